"""Sensitivity: tornado against its own runs, Sobol' indices against a function whose indices are known."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

import meshsim
from meshsim.analysis.means import known
from meshsim.errors import MeshsimError, ScenarioError
from meshsim.experiment import sensitivity
from meshsim.experiment.engines import Here
from meshsim.report import sweep as report

NEEDS_SALIB = pytest.mark.skipif(find_spec("SALib") is None, reason="SALib is not installed: meshsim[sweep]")


def test_a_tornado_puts_the_field_with_the_largest_effect_first(tiny: meshsim.Scenario) -> None:
    found = meshsim.sensitivity(
        tiny, {"sidecar.cpu": "0.1ms..0.3ms", "load.scale": "0.5..2"}, ["latency_mean"], ["hybrid"], replications=2
    )
    assert found["field"].tolist() == ["load.scale"] * 2 + ["sidecar.cpu"] * 2
    assert found["end"].tolist() == ["low", "high"] * 2
    assert found["difference"].iloc[0] < 0 < found["difference"].iloc[1]
    assert (found["swing"] >= found["difference"].abs() - 1e-12).all()
    assert (found["half_width"].iloc[:2] > 0).all()


@pytest.mark.slow
def test_the_base_is_the_scenario_as_it_is(tiny: meshsim.Scenario) -> None:
    found = meshsim.sensitivity(tiny, {"load.scale": "1..2"}, ["latency_mean"], ["hybrid"], replications=2)
    assert found["difference"].iloc[0] == 0  # its low end is what the scenario has


@pytest.mark.parametrize(
    ("metric", "base", "end", "beyond", "steady"),
    [
        ("cost_reserved", [23.1] * 2, [25.8] * 2, True, False),  # it is no chance what pods request
        ("control_planes", [1.0] * 2, [3.0] * 2, True, False),
        ("latency_p99", [0.1] * 2, [0.2] * 2, True, False),
        ("pods_blocked", [0.0] * 7, [3.0] * 7, False, True),
        ("pods_blocked", [0.0] * 8, [3.0] * 8, True, False),  # of six ends 0.05 / 6: two coins, eight times
        ("pods_blocked", [3.0] * 8, [3.0] * 8, False, False),
        ("pods_blocked", [0.0], [3.0], False, False),
        ("cost_reserved", [0.1 + 0.2] * 8, [0.3] * 8, False, False),  # sums round
    ],
)
def test_differences_that_all_agree_are_beyond_chance_where_there_is_none_or_enough_agree(
    metric: str, base: list[float], end: list[float], beyond: bool, steady: bool
) -> None:
    nothing = [float("nan")] * len(base)
    at_base = known(metric, base)
    found = sensitivity._end(metric, at_base, (base, nothing), (end, nothing), 6)
    assert (found["beyond_chance"], found["steady"]) == (beyond, steady)


@pytest.mark.parametrize(("requests", "beyond"), [(5, False), (5000, True)])
def test_rates_that_differ_by_the_same_are_beyond_chance_as_their_exact_intervals_say(
    requests: int, beyond: bool
) -> None:
    among = [float(requests)] * 3
    at_base = known("success_rate", [1.0] * 3, among)
    found = sensitivity._end("success_rate", at_base, ([1.0] * 3, among), ([0.8] * 3, among), 2)
    assert (found["beyond_chance"], found["steady"]) == (beyond, not beyond)


@pytest.mark.parametrize("metric", ["errors", "success_rate"])
@pytest.mark.parametrize(
    ("failed", "fields", "beyond"),
    [([1, 1, 1, 1, 0], 1, False), ([2, 1, 1, 1, 2], 1, True), ([2, 1, 1, 1, 2], 3, False), ([4, 3, 4, 3, 4], 3, True)],
)
def test_rates_that_differ_by_a_few_events_are_not_beyond_chance(
    metric: str, failed: list[int], fields: int, beyond: bool
) -> None:
    among = [3000.0] * 5
    base, end = ([1 - f / 3000 if metric == "success_rate" else f for f in run] for run in ([0] * 5, failed))
    found = sensitivity._end(metric, known(metric, base, among), (base, among), (end, among), 2 * fields)
    assert (found["beyond_chance"], found["steady"]) == (beyond, False)


@pytest.mark.parametrize("few", ["base", "end"])
def test_percentiles_of_too_few_requests_have_no_effect_beyond_chance(few: str) -> None:
    base, end = ([0.1, 0.11], [2000.0, 999.0 if few == "base" else 2000.0]), ([0.5, 0.51], [2000.0] * 2)
    if few == "end":
        end = (end[0], [999.0] * 2)
    found = sensitivity._end("latency_p99", known("latency_p99", *base), base, end, 2)
    assert not found["beyond_chance"]
    assert not found["steady"]
    assert (found["base_requests_needed"], found["requests_needed"]) == ((1000, 0) if few == "base" else (0, 1000))
    enough = [2000.0] * 2
    base, end = (base[0], enough), (end[0], enough)
    assert sensitivity._end("latency_p99", known("latency_p99", *base), base, end, 2)["beyond_chance"]


@NEEDS_SALIB
@pytest.mark.filterwarnings("ignore")
def test_indices_say_of_a_percentile_how_many_requests_it_needs(tiny: meshsim.Scenario) -> None:
    metrics = ["latency_p99", "latency_mean"]
    vary = {"load.scale": "0.9..1", "sidecar.cpu": "0.1ms..0.2ms"}
    found = meshsim.sensitivity(tiny, vary, metrics, ["hybrid"], method="sobol", points=2, replications=1)
    assert found["requests_needed"].tolist() == [1000, 1000, 0, 0]
    text = report.indices(found)
    assert text.count("too few  ") == 2
    assert "too few: a percentile needs 10 requests beyond" in text


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"method": "torndao"}, "--method: unknown method 'torndao'; did you mean 'tornado'?"),
        ({"points": 16}, "--points: is for --method sobol"),
        pytest.param({"method": "sobol"}, "--points: is missing", marks=NEEDS_SALIB),
        pytest.param({"method": "sobol", "points": 12}, "--points: 12 is no power of two", marks=NEEDS_SALIB),
        ({"vary": {"load.scale": [1, 2, 3]}}, "load.scale: a tornado wants two values"),
        ({"vary": {"load.scale": "1..2/3"}}, "load.scale: /3 would have no effect: a tornado looks at both ends"),
        pytest.param(
            {"vary": {"load.scale": "1..2/3"}, "method": "sobol", "points": 16},
            "load.scale: /3 would have no effect: points are drawn",
            marks=NEEDS_SALIB,
        ),
        ({"metrics": ["latency"]}, "--metric: unknown metric 'latency'"),
    ],
)
def test_a_study_that_cannot_be_is_a_mistake(tiny: meshsim.Scenario, asked: dict[str, object], problem: str) -> None:
    given = {"vary": {"load.scale": "1..2"}, "metrics": ["latency_mean"], **asked}
    with pytest.raises(ScenarioError) as error:
        sensitivity.study(tiny, **given)
    assert problem in str(error.value)


def test_without_salib_it_says_what_to_install(tiny: meshsim.Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "find_spec", lambda _: None)
    with pytest.raises(ScenarioError, match=r"sobol needs SALib; pip install 'meshsim\[sweep\]'"):
        sensitivity.study(tiny, {"load.scale": "1..2"}, ["latency_mean"], method="sobol", points=16)


@NEEDS_SALIB
@pytest.mark.filterwarnings("ignore")  # of SALib's own dependencies
def test_sobol_indices_are_those_of_a_function_that_is_known() -> None:
    # y = 4 a + 2 b + 0 c, all from 0 to 1: shares of the variance 16/20, 4/20 and 0.
    from meshsim.experiment.designs import axes

    varied = axes(["a=0..1", "b=0..1", "c=0..1"])
    points = sensitivity._together(varied, 512, 3)
    assert len(points) == 512 * 5
    given = SimpleNamespace(
        axes=varied, deployments=("hybrid",), metrics=("y",), points=points, replications=1, seed=3, jobs=()
    )
    y = np.array([4 * float(a) + 2 * float(b) for a, b, _ in points])
    found = sensitivity._indices(given, y[None, None, :, None])
    assert found["first_order"].tolist() == pytest.approx([0.8, 0.2, 0.0], abs=0.03)
    assert found["total"].tolist() == pytest.approx([0.8, 0.2, 0.0], abs=0.03)
    assert (abs(found["first_order"] - [0.8, 0.2, 0.0]) <= found["first_order_half_width"] + 0.01).all()


@NEEDS_SALIB
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_sobol_indices_of_a_mesh_find_what_matters(tiny: meshsim.Scenario) -> None:
    vary = {"load.scale": "0.5..2", "sidecar.handshake": "0.1ms..0.2ms"}
    found = meshsim.sensitivity(tiny, vary, ["latency_mean"], ["hybrid"], method="sobol", points=16, replications=1)
    assert found.set_index("field")["total"]["load.scale"] > 0.8


@pytest.mark.slow
@NEEDS_SALIB
@pytest.mark.filterwarnings("ignore")
def test_a_metric_without_a_value_has_no_indices(tiny: meshsim.Scenario) -> None:
    vary = {"load.scale": "0.9..1", "sidecar.cpu": "0.1ms..0.2ms"}
    study = sensitivity.study(
        tiny, vary, ["latency_p99 cross-region"], ["hybrid"], method="sobol", points=2, replications=1
    )
    with pytest.raises(MeshsimError, match=r"latency_p99 cross-region has no value under hybrid at load\.scale="):
        sensitivity.carry_out(study, Here())


def test_what_never_ended_at_the_base_or_at_an_end_is_an_effect():
    never, back = (np.array([value] * 8) for value in (np.inf, 60.0))
    asked = np.full(8, np.nan)

    def end(base: np.ndarray, at: np.ndarray) -> dict[str, object]:
        points = (base, asked), (at, asked)
        return sensitivity._end("time_to_recover", known("time_to_recover", base), *points, 4)

    found = end(never, back)
    assert (found["difference"], found["beyond_chance"], found["n"]) == (-np.inf, True, 8)
    assert (found["base_never"], found["never"], found["mean"]) == (8, 0, 60.0)
    assert end(back, never)["difference"] == np.inf
    some = np.array([60.0] * 4 + [np.inf] * 4)
    assert not end(back, some)["beyond_chance"]
    assert not end(back, some)["steady"]
    few = sensitivity._end(
        "time_to_recover", known("time_to_recover", back[:5]), (back[:5], asked[:5]), (never[:5], asked[:5]), 4
    )
    assert (few["beyond_chance"], few["steady"]) == (False, True)
    assert np.isnan(end(never, never)["difference"])
