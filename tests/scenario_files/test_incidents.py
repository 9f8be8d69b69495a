"""The scenarios of public incidents show what history showed, as docs/incidents.md tells it.

Each asserts who wins and roughly by how much: the 95 % interval over a few replications lies between two bounds.
"""

from __future__ import annotations

import re
from functools import cache

import pandas as pd
import pytest

import meshsim
from meshsim.analysis.statistics import Estimate, interval
from tests.scenario_files.answers import ROOT, Quantity, attempts, between, flagged, latency, succeeds

pytestmark = pytest.mark.slow

FOLDER = ROOT / "scenarios" / "incidents"
FILES = sorted(FOLDER.glob("*.yaml"))
#: Who had the incident, or told of it, and when.
WHO = r"(Monzo 2017|GitHub 2018|AWS 2021|Slack 2021|OSDI 2022|Datadog 2023|crates\.io 2023|AWS 2025|Google 2025"
WHO += r"|Discord 2017|Discord 2017, Google 2025): "
#: What a scenario runs under where a test says nothing else.
USUAL = "multi-primary"
MINUTE = 60.0


@cache
def ran(name: str, deployment: str) -> meshsim.Comparison:
    """Run a scenario once for all tests, with as many replications as it says."""
    return meshsim.run(meshsim.load(FOLDER / f"{name}.yaml"), deployment)


def within(table: pd.DataFrame, since: float, until: float) -> pd.DataFrame:
    """Return the rows of the time buckets that begin in these seconds of the run."""
    return table[(table["start"] >= since) & (table["start"] < until)]


def value(
    name: str,
    quantity: Quantity,
    since: float,
    until: float,
    *,
    destination: str = "",
    deployment: str = USUAL,
) -> Estimate:
    """Return a quantity of the calls to a service, of users' requests by default, that ended in these seconds."""
    calls = within(ran(name, deployment).tables["calls"], since, until)
    calls = calls[calls["destination"] == destination] if destination else calls[calls["source"] == "ingress"]
    return interval([quantity(of_one) for _, of_one in calls.groupby("replication")])


def at_most(estimate: Estimate, bound: float) -> bool:
    """Return whether the whole interval is below a bound; a thousandth of requests may end in the next phase."""
    assert estimate.high <= bound + 1e-3, f"{estimate} is above {bound}"
    return True


def of_users_in(cluster: str, quantity: Quantity) -> Quantity:
    return lambda calls: quantity(calls[calls["source_cluster"] == cluster])


def answered_in(calls: pd.DataFrame) -> float:
    return latency(calls[calls["code"] == 200])


def lost(calls: pd.DataFrame) -> float:
    return count(calls[calls["code"] != 200])


def count(calls: pd.DataFrame) -> float:
    return float(calls["count"].sum())


def tries(calls: pd.DataFrame) -> float:
    return float(calls["attempts"].sum())


def metric(name: str, wanted: str, phase: str = "all", deployment: str = USUAL) -> float:
    """Return the mean of a metric over the replications."""
    metrics = ran(name, deployment).metrics
    chosen = (metrics["metric"] == wanted) & (metrics["phase"] == phase) & (metrics["flow"] == "all")
    (mean,) = metrics.loc[chosen, "mean"]
    return float(mean)


def disconnected(name: str, cluster: str, since: float, until: float) -> float:
    """Return the share of a cluster's proxies without a stream, over all replications."""
    config = within(ran(name, USUAL).tables["config"], since, until)
    config = config[config["cluster"] == cluster]
    of_all = config["proxies"] * (config["end"] - config["start"])
    return float(config["disconnected_seconds"].sum() / of_all.sum())


def ready(name: str, service: str, since: float, until: float) -> Estimate:
    """Return how many pods of a service were ready on average."""
    pods = within(ran(name, USUAL).tables["pods"], since, until)
    pods = pods[pods["service"] == service]
    return interval([of_one["ready_seconds"].sum() / (until - since) for _, of_one in pods.groupby("replication")])


# --- the files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_says_question_expectation_and_source(file):
    scenario = meshsim.load(file)
    assert scenario.document.name == file.stem
    assert len(scenario.document.description.splitlines()) == 1
    assert re.match(WHO, scenario.document.description)
    head = re.findall(r"(?m)^# (\w+):", file.read_text("utf-8").partition("\ninclude:")[0])
    assert head == ["Question", "Expectation", "Source"]
    assert all("(503 NC)" in warning for warning in scenario.warnings)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_is_in_the_page_about_incidents(file):
    page = (ROOT / "docs" / "incidents.md").read_text("utf-8")
    assert f"`{file.stem}`" in page


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_keeps_what_it_expects(file):
    scenario = meshsim.load(file)
    assert scenario.document.expect
    for deployment in scenario.document.deployments:
        assert [result for result in ran(file.stem, deployment).checked if not result.holds] == []


# --- Monzo 2017: slow rot, then a restart --------------------------------------------------------------------------

ROT = ["slow-rot", "slow-rot-proxies-restarted", "slow-rot-proxies-rolled", "slow-rot-istiod-restarted"]


@pytest.mark.parametrize("name", ROT)
def test_what_proxies_know_rots_slowly(name):
    assert between(1.0, value(name, succeeds, 15.0, 1 * MINUTE), 1.0)
    assert value(name, succeeds, 1 * MINUTE, 1.5 * MINUTE).mean > 0.97  # retries hide it
    assert 0.65 < value(name, succeeds, 3 * MINUTE, 4 * MINUTE).mean < 0.98  # by the luck of the draw
    assert value(name, attempts, 3 * MINUTE, 4 * MINUTE, destination="catalog").mean > 1.4


@pytest.mark.parametrize("name", ["slow-rot", "slow-rot-proxies-rolled"])
def test_without_a_restart_or_with_a_careful_one_it_stays_partial(name):
    before, after = (value(name, succeeds, since * MINUTE, until * MINUTE).mean for since, until in ((3, 4), (4.5, 7)))
    assert after == pytest.approx(before, abs=0.05)


def test_a_restart_of_all_proxies_makes_it_total():
    name = "slow-rot-proxies-restarted"
    assert at_most(value(name, succeeds, 4.25 * MINUTE, 7 * MINUTE), 0.0)
    assert at_most(ready(name, "frontend", 4.25 * MINUTE, 7 * MINUTE), 0.0)
    assert between(1.0, value(name, succeeds, 8 * MINUTE, 9 * MINUTE), 1.0)


def test_a_restart_of_istiod_without_an_api_server_makes_it_total():
    name = "slow-rot-istiod-restarted"
    assert at_most(value(name, succeeds, 5 * MINUTE, 7 * MINUTE), 0.0)
    assert between(1.0, value(name, flagged("UH"), 5 * MINUTE, 7 * MINUTE, destination="catalog"), 1.0)
    assert between(1.0, value(name, succeeds, 8.25 * MINUTE, 9 * MINUTE), 1.0)


# --- AWS 2025: an empty record, and what came after it -------------------------------------------------------------

RECORD = ["empty-record", "empty-record-ejection-off", "empty-record-ejection-switched-off"]


@pytest.mark.parametrize("name", RECORD)
def test_first_there_are_no_endpoints_and_then_too_few_pods(name):
    assert between(1.0, value(name, succeeds, 20.0, 1 * MINUTE), 1.0)
    assert between(0.99, value(name, flagged("UH"), 70.0, 8 * MINUTE, destination="records"), 1.0)
    assert between(5.0, ready(name, "shop", 1 * MINUTE, 5 * MINUTE), 5.0)
    assert between(1.0, ready(name, "shop", 7 * MINUTE, 8 * MINUTE), 1.0)  # the autoscaler found them idle


def test_then_ejection_takes_the_last_good_pod_for_good():
    name = "empty-record"
    assert between(0.85, value(name, flagged("UH"), 8.5 * MINUTE, 16 * MINUTE, destination="shop"), 1.0)
    assert between(1.0, ready(name, "shop", 8.5 * MINUTE, 16 * MINUTE), 1.0)
    assert at_most(value(name, succeeds, 15 * MINUTE, 16 * MINUTE), 0.1)


def test_without_ejection_the_autoscaler_ends_it_within_minutes():
    name = "empty-record-ejection-off"
    assert between(0.85, value(name, flagged("UT"), 8 * MINUTE, 8.5 * MINUTE, destination="shop"), 1.0)
    assert at_most(value(name, flagged("UH"), 8 * MINUTE, 16 * MINUTE, destination="shop"), 0.0)
    assert between(0.99, value(name, succeeds, 12 * MINUTE, 16 * MINUTE), 1.0)
    assert 1 * MINUTE < metric(name, "time_to_recover") < 4 * MINUTE


def test_switching_ejection_off_ends_what_it_kept_going():
    name = "empty-record-ejection-switched-off"
    assert at_most(value(name, succeeds, 8.5 * MINUTE, 12 * MINUTE), 0.1)
    assert between(0.99, value(name, succeeds, 15.5 * MINUTE, 16 * MINUTE), 1.0)


# --- AWS 2021: congestion between two networks ---------------------------------------------------------------------

SURGE = ["gateway-surge", "gateway-surge-retry-budget", "gateway-surge-load-removed", "gateway-surge-limit"]


@pytest.mark.parametrize("name", SURGE)
def test_before_the_surge_the_gateway_is_less_than_half_busy(name):
    assert between(0.999, value(name, succeeds, 15.0, 1 * MINUTE), 1.0)
    assert 2 * metric(name, "gateway_utilisation", "before") < 0.5


@pytest.mark.parametrize(("name", "low", "high"), [("gateway-surge", 1.9, 2.1), (SURGE[1], 1.2, 1.5)])
def test_the_congestion_outlives_the_surge(name, low, high):
    assert at_most(value(name, succeeds, 75.0, 3 * MINUTE), 0.0)
    assert between(low, value(name, attempts, 90.0, 3 * MINUTE, destination="catalog"), high)
    assert 2 * metric(name, "gateway_utilisation", "after") > 0.95


def test_taking_the_load_away_for_a_while_ends_the_congestion():
    name = "gateway-surge-load-removed"
    assert at_most(value(name, succeeds, 75.0, 2 * MINUTE), 0.0)
    assert between(0.999, value(name, succeeds, 135.0, 3 * MINUTE), 1.0)


def test_shedding_at_the_clients_keeps_the_gateway_at_its_best():
    name = "gateway-surge-limit"
    passed = value(name, lambda calls: count(calls[calls["code"] == 200]) / 10.0, 60.0, 70.0)
    assert between(0.85 * 667, passed, 1.05 * 667)  # requests a second that its thread can pass
    assert between(0.998, value(name, succeeds, 72.0, 3 * MINUTE), 1.0)


# --- OSDI 2022: hysteresis -----------------------------------------------------------------------------------------

HYSTERESIS = ["hysteresis-without-budget", "hysteresis-with-budget"]


def seconds_at(rate: float) -> tuple[float, float]:
    """Return when the load passes a rate, in requests a second, on the way up and on the way down."""
    return (rate - 40.0) / 2.0, 480.0 - (rate - 40.0) / 2.0


@pytest.mark.parametrize("name", HYSTERESIS)
def test_on_the_way_up_all_is_well_until_the_service_is_full(name):
    assert between(0.999, value(name, succeeds, 5.0, seconds_at(300)[0]), 1.0)
    assert at_most(value(name, succeeds, seconds_at(460)[0], 4 * MINUTE), 0.15)


@pytest.mark.parametrize("rate", [320.0, 280.0, 220.0])
def test_on_the_way_down_a_budget_decides(rate):
    up, down = seconds_at(rate)
    for name in HYSTERESIS:
        assert between(0.999, value(name, succeeds, up - 10.0, up + 10.0), 1.0)
    assert at_most(value(HYSTERESIS[0], succeeds, down - 10.0, down + 10.0), 0.1)
    if rate < 300.0:
        assert between(0.99, value(HYSTERESIS[1], succeeds, down - 10.0, down + 10.0), 1.0)


def test_without_a_budget_it_takes_less_than_half_the_load_to_recover():
    name = "hysteresis-without-budget"
    assert value(name, succeeds, seconds_at(200)[1] - 10.0, seconds_at(200)[1]).mean < 0.1
    assert between(0.99, value(name, succeeds, seconds_at(110)[1], 480.0), 1.0)


# --- Google 2025, Datadog 2023: correlated changes -----------------------------------------------------------------


@pytest.mark.parametrize("deployment", ["multi-primary", "primary-remote"])
def test_a_bad_change_to_all_regions_at_once_is_down_everywhere(deployment):
    name = "global-config-at-once"
    for cluster in ("eu-1", "us-1", "ap-1"):
        there = of_users_in(cluster, succeeds)
        assert at_most(value(name, there, 62.0, 2 * MINUTE, deployment=deployment), 0.01)
    assert value(name, succeeds, 2 * MINUTE, 2.3 * MINUTE, deployment=deployment).mean < 0.1  # all are ejected
    assert between(1.0, value(name, succeeds, 3.5 * MINUTE, 5 * MINUTE, deployment=deployment), 1.0)


def test_one_region_first_helps_where_each_has_a_control_plane():
    name = "global-config-one-region-first"
    assert between(0.98, value(name, succeeds, 1 * MINUTE, 2 * MINUTE), 0.995)
    of_one_primary = value(name, succeeds, 1 * MINUTE, 2 * MINUTE, deployment="primary-remote")
    assert at_most(of_one_primary, 0.02)


def test_failover_helps_against_an_update_in_turn_and_not_everywhere_at_once():
    assert at_most(value("same-update-everywhere", succeeds, 1 * MINUTE, 2 * MINUTE), 0.01)
    assert between(0.96, value("same-update-in-turn", succeeds, 1 * MINUTE, 4 * MINUTE), 0.99)
    slower = value("same-update-in-turn", latency, 1 * MINUTE, 4 * MINUTE).mean
    assert slower > 5 * value("same-update-in-turn", latency, 15.0, 1 * MINUTE).mean


# --- Slack 2021: a grey zone ---------------------------------------------------------------------------------------

GREY = ["grey-zone", "grey-zone-ejection", "grey-zone-drained"]


@pytest.mark.parametrize("name", GREY)
def test_a_grey_zone_gives_one_error_in_a_hundred(name):
    assert between(0.9999, value(name, succeeds, 15.0, 1 * MINUTE), 1.0)
    assert between(0.985, value(name, succeeds, 1 * MINUTE, 5 * MINUTE), 0.993)


def test_ejection_finds_nothing_and_draining_ends_it_at_once():
    as_it_is = value("grey-zone", succeeds, 5 * MINUTE, 8 * MINUTE)
    with_ejection = value("grey-zone-ejection", succeeds, 5 * MINUTE, 8 * MINUTE)
    assert between(0.985, as_it_is, 0.993)
    assert with_ejection.mean == pytest.approx(as_it_is.mean, abs=0.001)
    assert between(0.9999, value("grey-zone-drained", succeeds, 305.0, 8 * MINUTE), 1.0)


# --- GitHub 2018: a short partition --------------------------------------------------------------------------------


def test_a_short_partition_costs_what_it_lasts():
    name = "short-partition"
    assert between(0.75, value(name, succeeds, 1 * MINUTE, 103.0), 0.85)
    assert between(0.995, value(name, succeeds, 105.0, 4 * MINUTE), 1.0)


def test_failover_over_the_continent_costs_more_than_the_partition():
    name = "short-partition-failover"
    assert between(0.65, value(name, succeeds, 110.0, 4 * MINUTE), 0.71)  # 0.8 of users are east, 0.4 of them do work
    near = of_users_in("east-1", answered_in)
    assert value(name, near, 110.0, 4 * MINUTE).mean > 5 * value(name, near, 15.0, 1 * MINUTE).mean
    waited, failed_over = (value(which, lost, 1 * MINUTE, 4 * MINUTE) for which in ("short-partition", name))
    assert failed_over.low > 3 * waited.high


# --- Discord 2017, Google 2025, crates.io 2023: herds --------------------------------------------------------------

HERD = ["reconnect-herd", "reconnect-herd-three-replicas"]


@pytest.mark.parametrize("name", [*HERD, "reconnect-herd-flapping"])
def test_requests_notice_no_herd_at_the_control_plane(name):
    assert metric(name, "success_rate") == 1.0


def test_the_largest_region_is_the_last_to_be_back():
    name = "reconnect-herd"
    assert 0.4 < disconnected(name, "us-1", 64.0, 66.0) < 0.6  # 500 of 1000, at 25 a second from 45 s on
    assert disconnected(name, "eu-1", 64.0, 66.0) < 0.2
    assert disconnected(name, "us-1", 105.0, 240.0) < 0.01
    assert metric(name, "refused_connections", "after") > 500


def test_with_three_replicas_the_size_of_a_region_does_not_matter():
    name = "reconnect-herd-three-replicas"
    assert abs(disconnected(name, "us-1", 50.0, 80.0) - disconnected(name, "eu-1", 50.0, 80.0)) < 0.05
    ratio = metric(HERD[0], "disconnected_proxy_seconds", "after") / metric(name, "disconnected_proxy_seconds", "after")
    assert 1.4 < ratio < 2.2


def test_a_control_plane_that_flaps_takes_the_same_herd_again_and_again():
    name = "reconnect-herd-flapping"
    assert metric(name, "disconnected_share", "during") > 0.9
    waited = metric(name, "disconnected_proxy_seconds", "after")
    assert waited == pytest.approx(metric(HERD[0], "disconnected_proxy_seconds", "after"), rel=0.1)


@pytest.mark.parametrize(("name", "factor"), [("all-requests-fail", 4.0), ("all-requests-fail-mesh-retries", 12.0)])
def test_retries_at_two_levels_multiply(name, factor):
    before = value(name, tries, 15.0, 1 * MINUTE, destination="registry").mean / 45.0
    meanwhile = value(name, tries, 61.0, 3 * MINUTE, destination="registry").mean / 119.0
    assert meanwhile / before == pytest.approx(factor, rel=0.03)
    assert between(0.999, value(name, succeeds, 182.0, 4 * MINUTE), 1.0)
