from __future__ import annotations

import math

import pandas as pd
import pytest

from meshsim.analysis.expectations import CHECKS, check, require
from meshsim.analysis.metrics import FLAGS
from meshsim.dataplane import flags
from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema_expect import Expectation


def summary(*rows: tuple[str, str, str, str, list[float]]) -> pd.DataFrame:
    """Return a summary of (deployment, phase, metric, flow, value of each replication)."""
    columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    found = [
        (name, replication, phase, metric, flow, value)
        for name, phase, metric, flow, values in rows
        for replication, value in enumerate(values)
    ]
    return pd.DataFrame(found, columns=columns)


def held(values: list[float], metric: str = "latency_p99", **bounds: float | str) -> tuple[bool, bool]:
    """Return whether an expectation holds on average, and surely."""
    found = summary(("a", "all", metric, "all", values))
    [result] = check(found, [Expectation(metric=metric, **bounds)])
    return result.holds, result.sure


@pytest.mark.parametrize(
    ("values", "bounds", "expected"),
    [
        ([0.1, 0.11, 0.12], {"at_most": "250ms"}, (True, True)),
        ([0.1, 0.2, 0.3], {"at_most": "250ms"}, (True, False)),  # 0.2 ± 0.25
        ([0.1, 0.2, 0.6], {"at_most": "250ms"}, (False, False)),
        ([0.1, 0.11, 0.12], {"at_least": "250ms"}, (False, False)),
        ([0.3, 0.31, 0.32], {"at_least": "250ms", "at_most": "1s"}, (True, True)),
        ([0.25, 0.25], {"at_most": 0.26}, (True, True)),
        ([0.25, 0.25], {"at_most": 0.25}, (True, False)),  # a bin of the histogram is wider than that
        ([0.1], {"at_most": "250ms"}, (True, False)),  # one replication shows no interval
        ([0.1, math.nan, 0.1], {"at_most": "250ms"}, (True, True)),
        ([math.nan, math.nan], {"at_most": "250ms"}, (False, False)),
        ([math.nan, math.nan], {"at_least": 0}, (False, False)),
    ],
)
def test_the_mean_decides_and_the_interval_tells_whether_it_is_sure(values, bounds, expected):
    assert held(values, **bounds) == expected


@pytest.mark.parametrize(
    ("values", "bounds", "expected"),
    [
        ([10.0, math.inf, 12.0], {"at_most": "1h"}, (False, False)),
        ([10.0, math.inf, 12.0], {"at_least": "10s"}, (True, False)),
        ([math.inf] * 3, {"at_least": "10s"}, (True, False)),
        ([math.inf] * 5, {"at_least": "10s"}, (True, True)),
        ([math.inf] * 3, {"at_least": "10s", "at_most": "1h"}, (False, False)),
    ],
)
def test_what_never_recovered_took_longer_than_any_bound(values, bounds, expected):
    assert held(values, "time_to_recover", **bounds) == expected


@pytest.mark.parametrize(("count", "sure"), [(1, False), (4, False), (5, True)])
def test_replications_that_all_agree_are_sure_only_if_there_are_enough_for_the_sign_test(count, sure):
    assert held([0.1] * count, "stale_proxy_seconds", at_least=0.1, at_most=0.1) == (True, sure)


@pytest.mark.parametrize(("requests", "needed"), [(999, 1000), (1000, 0)])
def test_a_percentile_of_too_few_requests_holds_on_average_only(requests, needed):
    found = summary(
        ("a", "all", "latency_p99", "local", [0.1, 0.11, 0.12]),
        ("a", "all", "requests", "local", [5000, requests, 5000]),
        ("a", "all", "requests", "all", [50_000] * 3),
    )
    [result] = check(found, [Expectation(metric="latency_p99", flow="local", at_most=1)])
    assert (result.holds, result.sure, result.requests_needed) == (True, not needed, needed)


def test_what_the_scenario_decides_is_sure_with_two_replications():
    assert held([3.0, 3.0], "control_planes", at_most=3) == (True, True)


def served(success: float, requests: int, replications: int) -> pd.DataFrame:
    return summary(
        ("a", "all", "success_rate", "all", [success] * replications),
        ("a", "all", "errors", "all", [(1 - success) * requests] * replications),
        ("a", "all", "requests", "all", [float(requests)] * replications),
    )


@pytest.mark.parametrize(
    ("requests", "replications", "sure"),
    [(500, 5, False), (900, 3, False), (1_000, 3, True), (100_000, 1, False)],  # 3 of 3,000 are 0.1 %
)
def test_no_error_at_all_is_sure_only_of_as_much_as_that_many_requests_can_show(requests, replications, sure):
    wanted = [
        Expectation(metric="success_rate", at_least="99.9%"),
        Expectation(metric="errors", at_most=requests / 1_000),
        Expectation(metric="errors:UH", at_most=requests / 1_000),
    ]
    results = check(served(1.0, requests, replications), wanted)
    assert [(result.holds, result.sure) for result in results] == [(True, sure)] * 3


def test_no_error_at_all_never_makes_sure_that_there_are_none():
    wanted = [Expectation(metric="success_rate", at_least="100%"), Expectation(metric="errors", at_most=0)]
    assert [(result.holds, result.sure) for result in check(served(1.0, 10**6, 50), wanted)] == [(True, False)] * 2


def test_an_expectation_is_tested_in_each_deployment_that_its_pattern_matches():
    found = summary(*((name, "during", "success_rate", "local", [0.9]) for name in ("multi-primary", "hybrid", "pr")))
    expected = [
        Expectation(metric="success_rate", phase="during", flow="local", at_least=0.5, deployment="*r*"),
        Expectation(metric="success_rate", phase="during", flow="local", at_least=0.5, deployment="external"),
    ]
    results = check(found, expected)
    assert [(result.number, result.deployment) for result in results] == [
        (0, "multi-primary"),
        (0, "hybrid"),
        (0, "pr"),
    ]


def test_a_phase_that_the_run_does_not_have_is_not_observed():
    found = summary(("a", "all", "success_rate", "all", [1.0, 1.0]))
    [result] = check(found, [Expectation(metric="success_rate", phase="during", at_least=0.5)])
    assert (result.holds, result.n, result.missing) == (False, 0, 2)
    assert math.isnan(result.mean)


def test_flags_that_no_error_had_are_none_and_their_order_says_nothing():
    found = summary(("a", "all", "errors", "all", [4.0]), ("a", "all", "errors:URX,UF", "all", [4.0]))
    wanted = ("errors:UH", "errors:UF,URX", "errors:URX,UF", "call_errors:UH")
    results = check(found, [Expectation(metric=name, at_most=0) for name in wanted])
    assert [result.mean for result in results[:3]] == [0.0, 4.0, 4.0]
    assert [result.holds for result in results] == [True, False, False, False]  # no calls were observed at all


def test_every_flag_that_a_run_can_show_can_be_expected():
    shown = {name for name in flags.NAMES if name} | {"-", "DI", "URX"}
    assert set(FLAGS) == shown


SURGE = {"event": "traffic_surge", "start": "2m", "duration": "1m", "factor": 2, "target": {"region": "eu"}}


def problems(*expected: dict[str, object]) -> list[str]:
    try:
        load({**EXAMPLE, "timeline": [SURGE], "expect": list(expected)}, (), CHECKS)
    except ScenarioError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "expected",
    [
        {"metric": "success_rate", "at_least": "99%"},
        {"metric": "latency_p99.9", "flow": "cross-region", "at_most": "1s"},
        {"metric": "call_share", "flow": "local", "at_least": 0.5},
        {"metric": "errors:UF,URX", "at_most": 0},
        {"metric": "call_errors:-", "at_most": 0},
        {"metric": "control_planes", "at_most": 3, "deployment": "multi-*"},
        {"metric": "istiod_memory", "at_most": "2GB"},
        {"metric": "cross_region_bytes", "at_most": "10GiB", "at_least": 1},
        {"metric": "requests_per_second", "at_least": "600/min"},
        {"metric": "blocked_pod_seconds", "at_most": "2m"},
    ],
)
def test_what_is_measured_can_be_expected(expected):
    assert problems(expected) == []


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"metric": "sucess_rate", "at_least": 1}, "unknown metric 'sucess_rate'; did you mean 'success_rate'?"),
        ({"metric": "pushes:UH", "at_least": 1}, "pushes is not counted by response flag; errors and call_errors are"),
        ({"metric": "errors:XX", "at_most": 1}, "unknown response flag 'XX'"),
        ({"metric": "errors:", "at_most": 1}, "unknown response flag ''"),
        ({"metric": "call_share", "at_least": 0.5}, "call_share does not exist for the flow 'all' (one of local, "),
        ({"metric": "errors:UH", "at_most": 1, "flow": "local"}, "errors:UH does not exist for the flow 'local'"),
        ({"metric": "control_planes", "at_most": 1, "phase": "during"}, "one number for the whole run"),
        ({"metric": "success_rate", "at_least": 99}, "lies between 0 and 1, which 99 does not; write 99%"),
        ({"metric": "stale_share", "at_most": 2}, "lies between 0 and 1, which 2 does not; write 2%"),
        ({"metric": "success_rate", "at_least": "99.9ms"}, "at_least: has the wrong unit for success_rate, which is "),
        ({"metric": "latency_p99", "at_most": "90%"}, "users waited, failed requests included; write 250ms or 0.25"),
        ({"metric": "requests", "at_least": "10/s"}, "write a number without a unit, such as 3"),
        ({"metric": "istiod_memory", "at_most": "2000GB"}, "'2000GB' is no bound"),
    ],
)
def test_what_nobody_measures_is_found_when_the_scenario_is_read(expected, said):
    [problem] = problems(expected)
    assert said in problem
    assert problem.startswith("expect[0]")


def test_a_wrong_metric_is_reported_with_file_and_line(tmp_path):
    (tmp_path / "mesh.yaml").write_text(
        "name: x\nregions: {eu: {}}\nclusters: {c: {region: eu}}\nload: {web: {rate: 1/s}}\n"
        "services: {web: {endpoints: {get: {}}}}\nexpect:\n- metric: sucess_rate\n  at_least: 99%\n"
    )
    with pytest.raises(ScenarioError, match=r"mesh\.yaml:7: expect\[0\]\.metric: unknown metric"):
        load(tmp_path / "mesh.yaml", (), CHECKS)


def test_nothing_to_check_is_a_mistake():
    expected = [{"metric": "pushes", "at_least": 1, "deployment": "hybrid"}]
    with pytest.raises(ScenarioError, match="expect: is missing, so there is nothing to check"):
        require(load(EXAMPLE).document, ["hybrid"])
    document = load({**EXAMPLE, "expect": expected}).document
    require(document, ["multi-primary", "hybrid"])
    with pytest.raises(ScenarioError, match="has nothing to check of multi-primary, only of hybrid"):
        require(document, ["multi-primary"])
