from __future__ import annotations

import math
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshsim.dataplane import state
from meshsim.dataplane.calendar import RESPONSE, drop_first, events, schedule
from meshsim.dataplane.later import CELLS, WANTED, begin, room
from meshsim.dataplane.loop import MARGIN
from meshsim.dataplane.ring import RING, nth


def new_plane():
    """Return a plane that has an empty calendar of 1024 places, and nothing else."""
    from meshsim.dataplane.lowering import lower
    from meshsim.dataplane.plane import DataPlane
    from meshsim.scenario.istio.policy import Policy
    from meshsim.scenario.scenario import EXAMPLE
    from meshsim.scenario.schema import Document

    plan = lower(Document.model_validate(EXAMPLE), lambda *_: Policy())
    return DataPlane(plan, state.records("links", (1, 1)), clusters=1, entries=1, seed=1, replication=0)


@pytest.fixture(scope="module")
def world():
    """Return a world with an empty calendar."""
    return new_plane().world


#: How many spans of the wheel pass a second: so few that all is due at once, several, many.
PACES = st.sampled_from([0.1, 1.0, 1e3, 1e9])
#: Times with many ties; some so late that their span has no number of its own, and one that never comes.
TIMES = st.sampled_from([*range(7), 1e30, math.inf])


def several(each):
    """Return a strategy of lists, most of them of more than a ring has room for."""
    return st.integers(0, 200).flatmap(lambda size: st.lists(each, min_size=size, max_size=size))


def empty(world, pace=1.0):
    world.clock[0] = 0
    world.cells[:] = 0
    begin(world.clock[0])
    world.clock[0].pace = pace


def left(world):
    return int(world.clock[0].scheduled)


def first(world):
    event = world.heap[world.clock[0].head]
    return float(event["time"]), int(event["subject"])


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(times=several(TIMES), pace=PACES)
def test_events_come_in_order_of_time_and_then_of_scheduling(world, times, pace):
    empty(world, pace)
    for number, time in enumerate(times):
        schedule(world, float(time), RESPONSE, number, 0, 0)
    found = []
    for _ in times:
        found.append(first(world))
        drop_first(world)
    assert found == sorted((float(time), number) for number, time in enumerate(times))
    assert left(world) == 0


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(steps=several(st.one_of(TIMES, TIMES, st.none())), pace=PACES)
def test_order_holds_when_events_are_taken_in_between(world, steps, pace):
    empty(world, pace)
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
@given(times=several(TIMES), pace=PACES)
def test_the_next_events_stand_in_order_in_a_ring(world, times, pace):
    empty(world, pace)
    for number, time in enumerate(times):
        schedule(world, float(time), RESPONSE, number, 0, 0)
    near = int(world.clock[0].near)
    assert near <= RING
    assert near > 0 or not times
    ring = [world.heap[int(nth(world, number))] for number in range(near)]
    front = [(float(event["time"]), int(event["subject"])) for event in ring]
    assert front == sorted((float(each), place) for place, each in enumerate(times))[:near]


@settings(max_examples=settings.default.max_examples * 3 // 5, deadline=None)
@given(times=several(TIMES), pace=PACES)
def test_all_events_can_be_listed_wherever_they_stand(world, times, pace):
    empty(world, pace)
    for number, time in enumerate(times):
        schedule(world, float(time), RESPONSE, number, 0, 0)
    for _ in range(len(times) // 2):
        drop_first(world)
    found = sorted((float(event["time"]), int(event["subject"])) for event in events(world))
    assert found == sorted((float(time), number) for number, time in enumerate(times))[len(times) // 2 :]


def keep_waiting(world, second, events):
    """Let a hundred events wait at any time, each for 1 to 11 ``second``, 6 on average; and one for a day.

    Each stands for so many ``events`` that are handled at its time.
    """
    model, clock = [(86_400.0, -1)], world.clock[0]
    schedule(world, 86_400.0, RESPONSE, -1, 0, 0)
    for number in range(4000):
        if number >= 100:
            assert first(world) == model[0]
            clock.now = heappop(model)[0]
            drop_first(world)
            clock.handled += events
        time = float(clock.now) + (1.0 + number * 7 % 11) * second
        schedule(world, time, RESPONSE, number, 0, 0)
        heappush(model, (time, number))
    assert int(clock.chunks) <= len(world.chunks)


def test_spans_become_as_long_as_the_events_are_far_apart(world):
    empty(world, 100.0)
    keep_waiting(world, 1.0, events=1)
    assert float(world.clock[0].pace) == pytest.approx(100 / 6 / WANTED, rel=0.2)


def test_spans_become_shorter_long_before_half_a_turn_when_events_come_faster(world):
    empty(world, 100.0)
    keep_waiting(world, 1e-3, events=64)
    clock = world.clock[0]
    assert float(clock.pace) == pytest.approx(64e3 * 100 / 6 / WANTED, rel=0.2)
    assert clock.now * 100.0 < CELLS / 2  # in spans as they were at the beginning


def follow(plane, times, *, handled=1):
    """Schedule an event at each time that is a number, take one off at each None, and see that order holds."""
    world, model, clock = plane.world, [], plane.world.clock[0]
    for number, time in enumerate([*times, *(None for _ in times)]):
        if time is not None:
            plane._grow("heap", left(world) + 2 * MARGIN)
            schedule(world, time, RESPONSE, number, 0, 0)
            heappush(model, (time, number))
        elif model:
            assert first(world) == heappop(model)
            clock.now = max(float(clock.now), first(world)[0])
            drop_first(world)
            clock.handled += handled
    assert (left(world), int(clock.near), int(clock.later), int(clock.far)) == (0, 0, 0, 0)
    assert not world.cells.count.any()


def test_order_holds_when_there_is_more_than_there_was_room_for():
    plane = new_plane()
    before = len(plane.world.heap)
    follow(plane, [float(number * 7919 % 10_007 // 2) for number in range(3 * before)])  # with ties
    assert len(plane.world.heap) > before
    assert all(len(getattr(plane.world, name)) >= length for name, length in room(len(plane.world.heap)).items())


@pytest.mark.parametrize("handled", [1, 100])
def test_order_holds_at_any_pace_and_however_far_off_events_are(handled):
    # Together: at once, in a span, in the wheel, in half turns of it, beyond all of these, all at one time; the pace
    # is measured anew several times.
    plane, times = new_plane(), []
    for number in range(6000):
        scale = 1e-6 if number // 1500 % 2 else 1e-2
        near = (number * 7919 % 101) * scale
        times.append((near, near * 100, near * 1e4, near * 1e6, 5.0, number // 1500 * 1e3)[number % 6])
        if number % 7 > 3:
            times.append(None)
    follow(plane, times, handled=handled)


def test_an_event_keeps_what_it_was_scheduled_with(world):
    empty(world)
    schedule(world, 2.5, RESPONSE, 7, 3, -9)
    event = world.heap[world.clock[0].head]
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
