"""The scenarios that answer users' questions give the answers that docs/questions.md tells.

Each asserts who wins and roughly by how much: the 95 % interval over a few replications lies between two bounds.
"""

from __future__ import annotations

import re

import pytest

import meshsim
from meshsim.analysis.cost import MONTH, breakdown
from meshsim.analysis.governance import findings
from meshsim.analysis.statistics import interval
from meshsim.analysis.theory import erlang_b
from meshsim.lint import lint
from tests.scenario_files.answers import (
    FILES,
    ROOT,
    attempts,
    between,
    errors,
    flagged,
    latency,
    leaves,
    metric,
    ran,
    shares_of_pods,
    succeeds,
    value,
)

pytestmark = pytest.mark.slow

#: What `meshsim validate` says of a scenario that shows a mistake.
LINTS = {
    "bad-remote-pod-behind-gateway": "MS204",
    "failover-without-outlier-detection": "MS101",
    "limit-eight-clients": "MS501",
    "local-outage-retries": "MS201",
    "network-failover-default-ejection": "MS201",
    "outlier-ejects-nothing": "MS201",
    "remote-grpc-sticks": "MS506",
    "rollout-through-gateway-drain": "MS506",
    "rollout-through-gateway-drain-none": "MS506",
    "sameness-merged": "MS702",
    "split-remote-pods-in-three-zones": "MS607",
}

# --- the files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_says_question_expectation_and_source(file):
    scenario = meshsim.load(file)
    assert scenario.document.name == file.stem
    assert len(scenario.document.description.splitlines()) == 1
    assert scenario.document.description.startswith("Question ")
    head = re.findall(r"(?m)^# (\w+):", file.read_text().partition("\ninclude:")[0])
    assert head == ["Question", "Expectation", "Source"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_validate_says_what_is_wrong_with_a_scenario_that_shows_a_mistake(file):
    scenario = meshsim.load(file)
    codes = [found.code for found in lint(scenario)]
    assert file.stem not in LINTS or LINTS[file.stem] in codes
    expected = ("has no effect without outlierDetection", "(503 NC)")
    assert all(any(words in warning for words in expected) for warning in scenario.warnings)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_is_in_the_page_about_questions(file):
    page = (ROOT / "docs" / "questions.md").read_text("utf-8")
    assert f"`{file.stem}`" in page


EXPECTING = [file for file in FILES if "\nexpect:" in file.read_text("utf-8")]


@pytest.mark.parametrize("file", EXPECTING, ids=lambda file: file.stem)
def test_a_scenario_keeps_what_it_expects(file):
    run, _ = ran(file.stem)
    assert [result for result in run.checked if not result.holds] == []


# --- question 1: why does locality failover not happen? ------------------------------------------------------------


def test_without_outlier_detection_there_is_no_locality_and_no_failover():
    name = "failover-without-outlier-detection"
    assert between(0.35, value(name, leaves, "before"), 0.5)
    assert between(0.35, value(name, leaves, "during"), 0.5)
    assert between(0.35, value(name, succeeds, "during"), 0.5)


def test_with_outlier_detection_traffic_stays_until_the_local_pods_fail():
    name = "failover-with-outlier-detection"
    assert between(0.0, value(name, leaves, "before"), 0.0)
    assert between(0.9, value(name, succeeds, "during"), 0.99)
    assert between(1.0, value(name, leaves, "after"), 1.0)


# --- question 2: does a mesh over two networks fail over, and how fast? --------------------------------------------


def test_default_ejection_never_fails_over_to_the_other_network():
    name = "network-failover-default-ejection"
    assert between(0.0, value(name, succeeds, "during"), 0.005)
    assert between(0.0, value(name, leaves), 0.0)


@pytest.mark.parametrize("name", ["network-failover-eject-all", "network-failover-short-ejection"])
def test_full_ejection_fails_over_within_two_seconds(name):
    run, spans = ran(name)
    calls = run.tables["calls"]
    first = calls[(calls["destination"] == "catalog") & (calls["start"] >= spans["during"].start)]
    wrong = first[(first["code"] != 200) & (first["start"] < spans["during"].start + 2.9)]  # before pods come back
    assert wrong["start"].max() < spans["during"].start + 2.0
    assert between(60, interval(wrong.groupby("replication")["count"].sum()), 250)  # of 100 requests a second


def test_short_ejections_lose_several_times_as_many_requests():
    long = value("network-failover-eject-all", errors, "during")
    short = value("network-failover-short-ejection", errors, "during")
    assert between(250, long, 500)
    assert between(3 * long.mean, short, 8 * long.mean)


def test_short_ejections_are_back_home_sooner():
    assert between(0.25, value("network-failover-eject-all", leaves, "after"), 0.7)
    sooner = value("network-failover-short-ejection", leaves, "after")
    assert sooner.mean < value("network-failover-eject-all", leaves, "after").mean


# --- question 3: why is the split uneven? --------------------------------------------------------------------------


def test_a_gateway_for_one_zone_gets_its_half():
    assert between(0.45, value("split-remote-pods-in-one-zone", leaves), 0.5)


def test_a_gateway_for_three_zones_gets_one_zones_share():
    assert between(0.23, value("split-remote-pods-in-three-zones", leaves), 0.27)


# --- question 4: why does one remote pod get everything? -----------------------------------------------------------


def test_grpc_through_a_gateway_sticks_to_one_pod():
    for shares in shares_of_pods("remote-grpc-sticks"):
        assert shares == [1.0]


def test_renewed_connections_reach_all_pods():
    for shares in shares_of_pods("remote-grpc-renewed-connections"):
        assert len(shares) == 4
        assert min(shares) > 0.15
        assert max(shares) < 0.35


def test_renewed_connections_cost_handshakes():
    sticking = value("remote-grpc-sticks", latency)
    renewed = value("remote-grpc-renewed-connections", latency)
    assert between(1.3 * sticking.mean, renewed, 6 * sticking.mean)


# --- question 5: does outlier detection find a bad pod behind a gateway? -------------------------------------------


def test_in_one_network_the_bad_pod_goes_alone():
    name = "bad-remote-pod-same-network"
    assert between(0.97, value(name, succeeds, "during"), 1.0)
    assert between(0.0, value(name, flagged("UH")), 0.0)


def test_behind_a_gateway_a_bad_pod_takes_all_with_it():
    name = "bad-remote-pod-behind-gateway"
    assert 0.15 < value(name, flagged("UH"), "during", since=5.0, until=25.0).mean < 0.65  # by the luck of the draw
    run, _ = ran(name)
    calls = run.tables["calls"]
    failed = calls[(calls["destination"] == "catalog") & (calls["code"] != 200)].groupby("response_flag")["count"].sum()
    assert failed["UH"] > 20 * failed[""]  # the gateway is away far longer than it takes to notice the pod


def test_behind_several_addresses_a_bad_pod_takes_its_own_with_it():
    name = "bad-remote-pod-behind-four-addresses"
    assert value(name, succeeds, "during").mean > 0.93  # now and then a client finds it behind all of them


# --- question 6: is the gateway a single point of failure? ---------------------------------------------------------


def test_the_only_replica_of_a_gateway_takes_the_network_with_it():
    name = "gateway-one-replica"
    assert between(0.0, value(name, succeeds, "during"), 0.01)
    assert between(0.99, value(name, flagged("URX,UF"), "during"), 1.0)
    assert between(1.0, value(name, succeeds, "after", since=1.0), 1.0)


def test_of_two_replicas_one_costs_only_what_was_on_its_way():
    name = "gateway-two-replicas"
    assert between(0.998, value(name, succeeds, "during"), 1.0)
    assert between(1.0, value(name, succeeds, "during", since=1.0), 1.0)
    assert between(0.0, value(name, flagged("URX,UF")), 0.0)


@pytest.mark.parametrize("name", ["gateway-one-replica", "gateway-two-replicas"])
def test_the_gateway_is_no_bottleneck(name):
    metrics = ran(name)[0].metrics
    (busy,) = metrics.loc[(metrics["metric"] == "gateway_utilisation") & (metrics["phase"] == "all"), "mean"]
    assert 0.0 < busy < 0.01


# --- question 7: how does traffic stay local? ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "left", "succeeded"),
    [
        ("stay-local-default", (0.35, 0.5), (0.35, 0.5)),
        ("stay-local-failover", (0.0, 0.0), (0.95, 0.99)),
        ("stay-local-distribute", (0.18, 0.22), (0.18, 0.22)),
        ("stay-local-cluster-local", (0.0, 0.0), (0.0, 0.005)),
    ],
)
def test_only_failover_stays_and_leaves_when_it_must(name, left, succeeded):
    assert between(left[0], value(name, leaves, "before"), left[1])
    assert between(1.0, value(name, succeeds, "before"), 1.0)
    assert between(succeeded[0], value(name, succeeds, "during"), succeeded[1])


# --- question 10: retries and other regions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "succeeded", "tries"),
    [
        ("local-outage-retries", (0.0, 0.01), (2.95, 3.01)),
        ("local-outage-retry-remote-localities", (1.0, 1.0), (2.95, 3.01)),
        ("local-outage-ejection", (0.93, 0.99), (1.0, 1.2)),
    ],
)
def test_retries_leave_the_region_only_when_told_and_ejection_needs_none(name, succeeded, tries):
    assert between(succeeded[0], value(name, succeeds, "during"), succeeded[1])
    assert between(tries[0], value(name, attempts, "during"), tries[1])
    assert between(0.0, value(name, leaves, "before"), 0.0)


# --- question 18: whose is a limit? --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "clients"), [("limit-two-clients", 2), ("limit-two-clients-more-pods", 2), ("limit-eight-clients", 8)]
)
def test_a_limit_is_each_clients(name, clients):
    load = 600 / clients * 0.0206  # 20 ms and two sidecars
    assert between(0.85 * erlang_b(6, load), value(name, flagged("UO")), 1.15 * erlang_b(6, load))


# --- question 19: retry storms -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["retry-storm-without-budget", "retry-storm-with-budget"])
def test_before_the_surge_retries_do_no_harm(name):
    assert between(0.999, value(name, succeeds, "before"), 1.0)


def test_without_a_budget_retries_keep_the_service_down():
    name = "retry-storm-without-budget"
    assert between(0.0, value(name, succeeds, "after", since=30.0), 0.4)
    assert between(2.5, value(name, attempts, "after", since=30.0), 4.0)


def test_with_a_budget_the_service_recovers():
    assert between(0.99, value("retry-storm-with-budget", succeeds, "after", since=30.0), 1.0)


# --- question 20: everything ejected, or nothing -------------------------------------------------------------------


def test_a_tenth_of_four_pods_is_none():
    assert between(0.7, value("outlier-ejects-nothing", succeeds, "during"), 0.78)
    assert between(0.99, value("outlier-ejects-the-bad-pod", succeeds, "during"), 1.0)


def test_all_pods_ejected_make_a_short_outage_long():
    name = "outlier-ejects-everything"
    assert between(0.95, value(name, flagged("UH"), "after", until=18.0), 1.0)
    assert between(1.0, value(name, succeeds, "after", since=30.0), 1.0)


@pytest.mark.parametrize("name", ["outlier-keeps-half", "outlier-panics"])
def test_hosts_that_stay_in_use_end_the_outage_with_its_cause(name):
    assert between(0.15, value(name, succeeds, "during"), 0.3)
    assert between(0.999, value(name, succeeds, "after"), 1.0)
    assert between(0.0, value(name, flagged("UH")), 0.0)


# --- question 26: which data leaves its region, and when? -----------------------------------------------------------


def test_data_leaves_in_the_failover_and_stays_before_it():
    name = "eu-data-leaves-in-failover"
    run, spans = ran(name)
    found = [one for one in findings(run.tables, run.plot.document) if one.kind == "data sent outside"]
    assert [one.phase for one in found] == ["during", "after"]
    assert {one.subject for one in found} == {"frontend of eu-1 → catalog of us-1"}
    assert all(one.bytes == 4000 * one.calls for one in found)  # requests leave, answers come in
    assert found[0].first - spans["during"].start < 3.0  # as soon as the pods are ejected
    assert metric(name, "cost_cross_region", "before") == 0.0
    assert metric(name, "cost_cross_region", "during") > 10.0


def test_measured_cpu_of_sidecars_is_that_of_their_passes():
    name = "stay-local-cluster-local"
    run, spans = ran(name)
    (settings, used) = run.plot.document.sidecar, metric(name, "cost_used", "before")
    calls = run.tables["calls"]
    calls = calls[(calls["start"] >= spans["before"].start) & (calls["end"] <= spans["before"].end)]
    # A user's request passes one sidecar, the frontend's; the frontend's call passes two.
    sidecars = calls["attempts"] * calls["source"].map({"ingress": 1, "frontend": 2})
    seconds = spans["before"].end - spans["before"].start
    cores = sidecars.sum() * settings.cpu / seconds / calls["replication"].nunique()
    bill = breakdown(run.tables, [spans["before"]], run.plot.document)
    bill = bill[(bill["part"] == "sidecars") & (bill["resource"] == "cpu")]
    assert bill["used"].sum() / MONTH == pytest.approx(cores, rel=0.03)  # and some handshakes
    assert used < bill["usd"].sum() + metric(name, "cost_reserved", "before")


# --- question 27: a gateway is lost, what would have helped? --------------------------------------------------------


def test_a_second_gateway_or_pods_at_home_help_and_ejection_and_retries_do_not():
    scenario = meshsim.load(ROOT / "scenarios" / "questions" / "gateway-lost-what-helps.yaml")
    run = meshsim.what_if(scenario, replications=2)
    assert [(result.number, result.deployment) for result in run.checked if not result.holds] == []
    assert len(run.checked) == len(scenario.document.expect)
    lost = run.table().loc[("during", "errors", "all")]
    assert lost["multi-primary"] > 100 * max(lost["second replica"], 1)
    cost = run.table().loc[("before", "cost", "all")]
    assert 2 < cost["second replica"] - cost["multi-primary"] < 4


# --- question 28: is a second control plane worth its price? --------------------------------------------------------


def test_two_control_planes_win_until_cost_counts_three_times_as_much_as_availability():
    run, _ = ran("second-control-plane-worth-it")
    decision = run.decide()
    totals = dict(zip(decision.totals["deployment"], decision.totals["total"], strict=True))
    assert 0.85 < totals["multi-primary"] < 0.95
    assert 0.35 < totals["primary-remote"] < 0.5
    dear = run.decide({"cost": 20.0}).totals.set_index("deployment")["total"]
    assert dear["primary-remote"] > dear["multi-primary"]
