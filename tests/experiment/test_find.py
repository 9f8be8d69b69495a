"""Breaking points: bisection against a known truth, with and without noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshsim
from meshsim.analysis.means import known as mean_of
from meshsim.analysis.wanted import wanted
from meshsim.errors import ScenarioError
from meshsim.experiment import find
from meshsim.experiment.breaking import Breaking, Look, State
from meshsim.experiment.designs import axis
from meshsim.experiment.engines import Here
from meshsim.experiment.find import bisect
from meshsim.experiment.wanted import bound
from tests.experiment.conftest import TINY


def bracket(said: str, resolution: float, state) -> tuple[list[float], dict[float, State]]:
    asking, known = bisect(axis(said), resolution), {}
    asked = next(asking)
    try:
        while True:
            assert not known.keys() & set(asked), "asked for a point twice"
            known |= {at: state(at) for at in asked}
            asked = asking.send({at: known[at] for at in asked})
    except StopIteration:
        return sorted(known), known


def test_bisection_closes_in_on_the_edge() -> None:
    points, known = bracket("x=0..8", 0.01, lambda at: State.BROKEN if at > np.pi else State.FINE)
    fine = max(at for at in points if known[at] is State.FINE)
    broken = min(at for at in points if known[at] is State.BROKEN)
    assert fine <= np.pi < broken
    assert broken - fine <= 0.0101
    assert len(points) <= 13


def test_bisection_goes_on_from_both_sides_of_what_stays_undecided() -> None:
    def state(at: float) -> State:
        return State.FINE if at < 3 else State.OPEN if at < 4 else State.BROKEN

    points, known = bracket("x=0..8", 0.01, state)
    assert max(at for at in points if known[at] is State.FINE) == pytest.approx(3, abs=0.0101)
    assert min(at for at in points if known[at] is State.BROKEN) == pytest.approx(4, abs=0.0101)


@pytest.mark.parametrize("side", [State.FINE, State.BROKEN])
def test_an_end_that_stays_undecided_does_not_keep_the_break_from_being_found(side: State) -> None:
    other = State.BROKEN if side is State.FINE else State.FINE
    low_open = bracket("x=0..8", 0.01, lambda at: State.OPEN if at < 1 else side if at < np.pi else other)[1]
    high_open = bracket("x=0..8", 0.01, lambda at: State.OPEN if at > 7 else side if at < np.pi else other)[1]
    for known in (low_open, high_open):
        last = max(at for at, state in known.items() if state is side)
        first = min(at for at, state in known.items() if state is other)
        assert last < np.pi <= first
        assert first - last <= 0.0101
        assert len(known) <= 14


def test_an_undecided_end_is_closed_in_on_from_the_side_that_is_decided() -> None:
    known = bracket("x=0..8", 0.01, lambda at: State.OPEN if at < 5 else State.BROKEN)[1]
    assert min(at for at, state in known.items() if state is State.BROKEN) == pytest.approx(5, abs=0.0101)


@given(st.data())
def test_a_search_ends_and_asks_for_no_point_twice_whatever_it_is_told(data: st.DataObject) -> None:
    said = data.draw(st.sampled_from(["x=0..8", "x=1..64/log"]))
    bracket(said, 0.05, lambda _: data.draw(st.sampled_from(State)))


def test_few_replicas_break_as_much_load_does() -> None:
    points, known = bracket("x=1..100", 1.0, lambda at: State.BROKEN if at < 20 else State.FINE)
    assert min(at for at in points if known[at] is State.FINE) == pytest.approx(20, abs=1.01)


@pytest.mark.parametrize("state", [State.FINE, State.BROKEN])
def test_a_range_without_a_break_is_looked_at_at_its_ends_only(state: State) -> None:
    assert bracket("x=0..8", 0.01, lambda _: state)[0] == [0.0, 8.0]


def looks(*states: State) -> tuple[Look, ...]:
    return tuple(Look(str(at), float(at), state, 0.0, 0.0, 3) for at, state in enumerate(states))


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((State.FINE, State.BROKEN), "between 0 and 1"),
        ((State.BROKEN, State.FINE), "between 0 and 1"),
        ((State.FINE, State.FINE), "does not break from 0 to 1"),
        ((State.BROKEN, State.BROKEN), "is broken everywhere from 0 to 1"),
        ((State.OPEN, State.BROKEN), "breaks at 1 or before it; nowhere from 0 to 1 is it surely fine"),
        ((State.FINE, State.OPEN), "is surely fine up to 0; nowhere from 0 to 1 is it surely broken"),
        ((State.OPEN, State.FINE), "is surely fine from 1 on; nowhere from 0 to 1 is it surely broken"),
        ((State.BROKEN, State.OPEN), "is surely broken up to 0; nowhere from 0 to 1 is it surely fine"),
        ((State.OPEN, State.OPEN), "the replications do not tell anywhere from 0 to 1"),
    ],
)
def test_the_answer_says_what_is_known(states: tuple[State, ...], said: str) -> None:
    assert str(Breaking("hybrid", looks(*states))) == said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sucess_rate < 99%", "--until: unknown metric 'sucess_rate'; did you mean 'success_rate'?"),
        ("success_rate < 99", "success_rate lies between 0 and 1, which 99 does not; write 99%"),
        ("success_rate", "'success_rate' is no condition; write METRIC < VALUE"),
        ("latency_p99 > fast", "'fast' is no bound"),
        ("latency_p99 in during > 1s", "the scenario has no phase 'during'"),
        ("latency_p99 lokal > 1s", "unknown flow 'lokal'; did you mean 'local'?"),
        ("pushes local > 1", "pushes does not exist for the flow 'local'"),
    ],
)
def test_a_bound_that_cannot_be_is_a_mistake(tiny: meshsim.Scenario, text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as error:
        bound(text, tiny.document)
    assert problem in str(error.value)


def test_metrics_are_written_with_flow_and_phase(tiny: meshsim.Scenario) -> None:
    assert str(wanted("latency_p99  cross-region in all", tiny.document)) == "latency_p99 cross-region"
    assert str(bound("errors:UH >= 3", tiny.document)) == "errors:UH >= 3"


@pytest.mark.parametrize(("vary", "resolution"), [("1..32/log", None), ("1..32", None), ("1..32", 0.5)])
def test_neighbours_among_whole_numbers_are_as_close_as_can_be(
    tiny: meshsim.Scenario, vary: str, resolution: float | None
) -> None:
    given = find.search(tiny, f"services.web.replicas={vary}", "success_rate < 99%", ["hybrid"], resolution=resolution)
    seen = mean_of("success_rate", [])
    known = {at: find._Point(state=State.BROKEN if at < 4 else State.FINE, known=seen) for at in (1.0, 3.0, 4.0, 32.0)}
    found = find._breaking(given, "hybrid", known)
    assert found.close
    assert str(found) == "between 3 and 4"
    known[5.0] = known.pop(4.0)
    assert not find._breaking(given, "hybrid", known).close


def test_every_mistake_of_a_search_is_said_at_once(tiny: meshsim.Scenario) -> None:
    with pytest.raises(ScenarioError) as error:
        find.search(tiny, "load.scale=1,2", "sucess_rate < 1%", ["hybird"], replications=1)
    assert [problem.file for problem in error.value.problems] == [
        "--until",
        "--vary",
        "--deployments",
        "--replications",
    ]


def test_a_number_of_values_in_the_range_of_a_search_is_a_mistake(tiny: meshsim.Scenario) -> None:
    with pytest.raises(ScenarioError) as error:
        find.search(tiny, "load.scale=1..1.2/7", "success_rate < 1%")
    assert str(error.value) == (
        "--vary: load.scale: /7 would have no effect: which points are looked at follows from what is found; "
        "write load.scale=low..high"
    )


@pytest.mark.slow
def test_the_load_that_saturates_a_server_is_found() -> None:
    # Two single-server pods of 20 ms: 100 requests a second. Beyond, the queue grows for as long as the run lasts.
    scenario = meshsim.load({**TINY, "duration": "40s", "warm_up": "5s"})
    [found] = meshsim.find(scenario, "load.web.rate=50/s..200/s", "latency_p99 > 1s", ["hybrid"], resolution=10)
    assert found.inside
    assert 80 < found.fine.number < found.broken.number < 130
    assert found.fine.value.endswith("/s")


@pytest.mark.slow
def test_a_range_that_does_not_break_says_so() -> None:
    [found] = meshsim.find(meshsim.load(TINY), "load.scale=0.5..0.6", "success_rate < 50%", ["hybrid"])
    assert str(found) == "does not break from 0.5 to 0.6"
    assert not found.inside


def test_a_point_is_decided_by_its_whole_interval(tiny: meshsim.Scenario) -> None:
    given = find.search(tiny, "load.scale=1..2", "latency_p99 > 100ms", ["hybrid"], replications=2, most=8)
    assert given.sizes() == [2, 4, 8]
    assert given.confidence == pytest.approx(1 - 0.05 / 3)
    nan, inf = float("nan"), float("inf")
    for values, state in (
        ([0.09, 0.11], State.OPEN),
        ([0.2, 0.2001, 0.2], State.BROKEN),
        ([inf] * 2, State.OPEN),  # it never came back, which two cannot tell from chance
        ([inf] * 6, State.BROKEN),
        ([nan, 0.2], State.OPEN),
    ):
        point = find._Point(values, [nan] * len(values))
        find._judge(point, given.bound, given.confidence)
        assert point.state is state, values


@pytest.mark.parametrize(("requests", "state"), [(999.0, State.OPEN), (1000.0, State.BROKEN)])
def test_a_percentile_of_too_few_requests_decides_nothing(
    tiny: meshsim.Scenario, requests: float, state: State
) -> None:
    given = find.search(tiny, "load.scale=1..2", "latency_p99 > 100ms", ["hybrid"])
    point = find._Point([0.2, 0.2001, 0.2], [5000.0, 5000.0, requests])
    find._judge(point, given.bound, given.confidence)
    assert point.state is state


def test_where_requests_are_too_few_no_more_replications_are_run_and_the_answer_says_so(
    tiny: meshsim.Scenario,
) -> None:
    [found] = meshsim.find(tiny, "load.scale=0.5..1", "latency_p99 > 1ms", ["hybrid"], replications=2)
    assert [(look.state, look.n, look.requests_needed) for look in found.looks] == [(State.OPEN, 2, 1000)] * 2
    assert str(found) == (
        "the replications do not tell anywhere from 0.5 to 1; "
        "too few requests at 2 of 2 points: 1,000 in each replication are needed"
    )


@pytest.mark.slow
def test_an_undecided_point_gets_replications_up_to_the_budget(tiny: meshsim.Scenario) -> None:
    # The bound is the mean itself: no number of replications tells.
    mean = meshsim.run(tiny, "hybrid", replications=4).metrics.query("metric == 'latency_mean' and flow == 'all'")
    bound_ = f"latency_mean > {1000 * mean['mean'].iloc[0]:.3f}ms"
    given = find.search(tiny, "load.scale=1..1.0001", bound_, ["hybrid"], replications=2, most=4)
    [found] = find.carry_out(given, Here())
    assert [look.n for look in found.looks] == [4, 4]
    assert str(found).startswith("the replications do not tell anywhere")
