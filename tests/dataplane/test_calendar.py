from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshsim.dataplane import state
from meshsim.dataplane.calendar import ARRIVAL, RESPONSE, drop_first, schedule

plain_schedule, plain_drop = schedule.py_func, drop_first.py_func


def calendar(size=256):
    return SimpleNamespace(clock=state.records("clock", 1), heap=state.records("heap", size))


def first(world):
    event = world.heap[0]
    return float(event.time), int(event.sequence), int(event.subject)


def drain(world):
    found = []
    while world.clock[0].size > 0:
        found.append(first(world))
        plain_drop(world)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=60))
def test_events_come_in_order_of_time_and_then_of_scheduling(times):
    world = calendar()
    for number, time in enumerate(times):
        plain_schedule(world, float(time), ARRIVAL, number, 0, 0)
    assert drain(world) == sorted((float(time), number, number) for number, time in enumerate(times))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 4), st.none()), max_size=80))
def test_order_holds_when_events_are_taken_in_between(steps):
    world, model = calendar(), []
    for number, step in enumerate(steps):
        if step is not None:
            plain_schedule(world, float(step), ARRIVAL, number, 0, 0)
            model.append((float(step), number))
        elif model:
            expected = min(model)
            time, _, subject = first(world)
            assert (time, subject) == expected
            model.remove(expected)
            plain_drop(world)
        assert world.clock[0].size == len(model)
    assert [(time, subject) for time, _, subject in drain(world)] == sorted(model)


def test_an_event_keeps_what_it_was_scheduled_with(Bench, echo):
    world = Bench({"web": echo()}).world
    schedule(world, 2.5, RESPONSE, 7, 3, -9)
    event = world.heap[0]
    assert (event.time, event.kind, event.subject, event.generation, event.extra) == (2.5, RESPONSE, 7, 3, -9)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_the_compiled_calendar_keeps_the_same_order(Bench, echo, count):
    world = Bench({"web": echo()}).world
    for number in range(count):
        schedule(world, float(number * 7919 % 13), RESPONSE, number, 0, 0)
    order = []
    while world.clock[0].size > 0:
        order.append((float(world.heap[0].time), int(world.heap[0].subject)))
        drop_first(world)
    assert order == sorted((float(number * 7919 % 13), number) for number in range(count))
