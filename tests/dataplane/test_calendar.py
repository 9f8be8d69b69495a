from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshsim.dataplane import state
from meshsim.dataplane.calendar import RESPONSE, drop_first, schedule


@pytest.fixture(scope="module")
def world():
    """Return a world with an empty calendar of 1024 places."""
    from meshsim.dataplane.lowering import lower
    from meshsim.dataplane.plane import DataPlane
    from meshsim.scenario.istio.policy import Policy
    from meshsim.scenario.scenario import EXAMPLE
    from meshsim.scenario.schema import Document

    plan = lower(Document.model_validate(EXAMPLE), lambda *_: Policy())
    return DataPlane(plan, state.records("links", (1, 1)), clusters=1, entries=1, seed=1, replication=0).world


def empty(world, ahead=0):
    world.clock[0] = 0
    world.clock[0].ahead = ahead


def left(world):
    return int(world.clock[0].scheduled)


def first(world):
    event = world.heap[0]
    return float(event["time"]), int(event["subject"])


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(times=st.lists(st.integers(0, 6), max_size=60), ahead=st.sampled_from([0, 1, 7, 23]))
def test_events_come_in_order_of_time_and_then_of_scheduling(world, times, ahead):
    empty(world, ahead)
    for number, time in enumerate(times):
        schedule(world, float(time), RESPONSE, number, 0, 0)
    found = []
    for _ in times:
        found.append(first(world))
        drop_first(world)
    assert found == sorted((float(time), number) for number, time in enumerate(times))
    assert left(world) == 0


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(steps=st.lists(st.one_of(st.integers(0, 4), st.none()), max_size=80), ahead=st.sampled_from([0, 1, 7, 23]))
def test_order_holds_when_events_are_taken_in_between(world, steps, ahead):
    empty(world, ahead)
    model = []
    for number, step in enumerate(steps):
        if step is not None:
            schedule(world, float(step), RESPONSE, number, 0, 0)
            model.append((float(step), number))
        elif model:
            assert first(world) == min(model)
            model.remove(min(model))
            drop_first(world)
        assert left(world) == len(model)


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(times=st.lists(st.integers(0, 6), max_size=60), ahead=st.sampled_from([1, 7, 23]))
def test_the_next_events_stand_in_order_before_the_root(world, times, ahead):
    empty(world, ahead)
    for number, time in enumerate(times):
        schedule(world, float(time), RESPONSE, number, 0, 0)
        front = [(float(event["time"]), int(event["subject"])) for event in world.heap[: min(number + 1, ahead + 1)]]
        assert front == sorted((float(each), place) for place, each in enumerate(times[: number + 1]))[: ahead + 1]


def test_an_event_keeps_what_it_was_scheduled_with(world):
    empty(world)
    schedule(world, 2.5, RESPONSE, 7, 3, -9)
    event = world.heap[0]
    assert (event.time, event.kind, event.subject, event.generation, event.extra) == (2.5, RESPONSE, 7, 3, -9)


@pytest.mark.parametrize("name", state.RECORDS)
def test_no_field_has_the_name_of_an_attribute_of_numpys_records(name):
    # numpy.record finds its own attribute first: a field "size" reads as 1 from Python, "base" as the array behind it.
    record = state.records(name, 1)[0]
    assert [
        field for field in record.dtype.names if record[field] is not None and field in dir(type(record).__mro__[1])
    ] == []


def test_a_plane_without_events_has_no_next_event(Bench, echo):
    assert Bench({"web": echo()}).plane.next_event == math.inf


def test_there_is_room_for_users_who_are_added_group_by_group(Bench, echo):
    bench = Bench({"web": echo()})
    source = bench.plane.add_source(
        "u", proxy=bench.ingress, entry=0, kind=state.CLOSED, rate=0.0, think=None, actions=[bench.sends()]
    )
    for group in range(4):
        bench.plane.add_users(source, f"group {group}", 200)
    bench.plane._grow("heap", 4096)  # what comes next must not hang on this test's own overflow
    before = len(bench.world.heap)
    for group in range(4, 40):
        if bench.scheduled() + 200 > before:
            break
        bench.plane.add_users(source, f"group {group}", 200)
    bench.plane._grow = _recording(bench.plane._grow, wanted := [])
    bench.plane.add_users(source, "last", 1)
    assert max(size for name, size in wanted if name == "heap") > bench.scheduled()


def _recording(grow, wanted):
    def recorded(name, needed):
        wanted.append((name, needed))
        return grow(name, needed)

    return recorded


def test_there_is_room_for_the_events_that_a_lost_pod_causes(Bench, echo):
    bench = Bench({"web": echo(script=[{"compute": "1000s"}])})
    bench.send(0.0, times=300)
    bench.run(1.0)
    bench.plane._grow = _recording(bench.plane._grow, wanted := [])
    bench.plane.kill(bench.pods["web"][0], 1.0, silent=False, for_good=False)
    # 300 arrivals far off and 300 answers to the frames in flight.
    assert max(size for name, size in wanted if name == "heap") >= 300 + 300
