"""The calendar: the events to come by time, ties broken by the order in which they were scheduled.

It is a binary heap. In a large mesh the next events stand in order before its root, so that what they need can be
fetched before they are due (`meshsim.dataplane.prefetch`): in a ring, the first of them at `CLOCK.head`. What is due
later than the heap's events is not sorted yet (`meshsim.dataplane.later`), so that the heap is small.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from meshsim.dataplane import later
from meshsim.dataplane.fetching import fetch_events
from meshsim.dataplane.jit import jit
from meshsim.dataplane.later import PLACES, ROOT, move, rise

# Kinds of events, in the order of a request's life; then those of a connection, then those of an upstream.
(
    ARRIVAL, USER, ROUTED, AT_GATEWAY, AT_SERVER, AT_POD, RESUME, COMPUTED, RESPONSE, FAILED, RETRY,
    ROUTE_TIMEOUT, TRY_TIMEOUT, APPLICATION_TIMEOUT,
    SYN, HELLO, LEG, LEG_HELLO, LEG_FAILED, CONNECTED, NOT_CONNECTED, BROKEN,
    REFRESH, RELEASE, OUTLIER_TICK, HEALTH_CHECK,
) = range(26)  # fmt: skip


#: From this place on, what stands three levels further down a heap is no longer in the innermost cache.
_SMALL = 128


#: Events that a ring has room for, a power of two, and those that stand in it if there are so many.
RING, NEAR = 64, 32


@jit
def nth(w, number):
    """Return the place of the next event (0), or where there is a ring of one of those after it."""
    return (w.clock[0].head + number) & (RING - 1)


@jit
def schedule(w, time, kind, subject, generation, extra):
    """Put an event on the calendar; the caller has made sure that there is room."""
    clock = w.clock[0]
    sequence = clock.sequence
    clock.sequence = sequence + 1
    enter(w, time, sequence, kind, subject, generation, extra)


@jit
def enter(w, time, sequence, kind, subject, generation, extra):
    """Put an event on the calendar that comes after all those of its time that are there."""
    clock = w.clock[0]
    heap = w.heap
    size = clock.scheduled
    clock.scheduled = size + 1
    if clock.ring == 0:
        place = rise(heap, size, time, sequence)
    elif size < NEAR or time < heap[nth(w, clock.near - 1)].time:
        place = _make_way(w, time)
    elif later.is_later(clock, time):
        later.put_off(w, time, sequence, kind, subject, generation, extra)
        return
    else:
        place = ROOT + rise(heap[ROOT:], size - clock.near - clock.later, time, sequence)
    event = heap[place]
    event.time = time
    event.sequence = sequence
    event.kind = kind
    event.subject = subject
    event.generation = generation
    event.extra = extra


@jit
def _make_way(w, time):
    """Return where in the ring an event of this time, the latest that was scheduled, has its place."""
    clock = w.clock[0]
    heap = w.heap
    if clock.near == RING:
        _push_out(w)
    last = clock.near
    clock.near = last + 1
    if heap[nth(w, last >> 1)].time > time:  # most come at once: the fewer events give way
        clock.head = (clock.head - 1) & (RING - 1)
        number = 0
        while number < last and heap[nth(w, number + 1)].time <= time:
            move(heap, nth(w, number), nth(w, number + 1))
            number += 1
        return nth(w, number)
    number = last
    while number > 0 and heap[nth(w, number - 1)].time > time:
        move(heap, nth(w, number), nth(w, number - 1))
        number -= 1
    return nth(w, number)


@jit
def _push_out(w):
    """Take the last event out of the ring, which is full: it comes before all of the heap, or that has none."""
    clock = w.clock[0]
    last = w.heap[nth(w, RING - 1)]
    below = clock.scheduled - 1 - RING - clock.later
    clock.near -= 1
    if later.is_later(clock, last.time):
        later.put_off(w, last.time, last.sequence, last.kind, last.subject, last.generation, last.extra)
    else:
        move(w.heap, ROOT + rise(w.heap[ROOT:], below, -math.inf, 0), nth(w, RING - 1))


@jit
def drop_first(w):
    """Take the first event off the calendar."""
    clock = w.clock[0]
    heap = w.heap
    size = clock.scheduled - 1
    clock.scheduled = size
    if clock.ring == 0:
        _fill(heap, size)
        return
    clock.head = nth(w, 1)
    clock.near -= 1
    if clock.near < NEAR and size > clock.near:
        if size == clock.near + clock.later:
            later.take_up(w)
        move(heap, nth(w, clock.near), ROOT)
        clock.near += 1
        _fill(heap[ROOT:], size - clock.near - clock.later)


@jit
def begin_ring(w, found):
    """Let the next events stand in a ring from now on: those found, in their order, are all there are."""
    clock = w.clock[0]
    clock.scheduled = 0
    clock.ring = 1
    later.begin(w)
    for number in range(len(found)):
        event = found[number]
        enter(w, event.time, event.sequence, event.kind, event.subject, event.generation, event.extra)


def events(w: Any) -> Any:
    """Return all events that are scheduled, in no particular order."""
    clock = w.clock[0]
    size, near, put_off = int(clock.scheduled), int(clock.near), int(clock.later)
    if clock.ring == 0:
        return w.heap[:size]
    here = w.heap[[*(int(nth(w, number)) for number in range(near)), *range(ROOT, ROOT + size - near - put_off)]]
    return np.concatenate([here, w.later[list(later.places(w))]]).view(np.recarray)


@jit
def _fill(heap, size):
    """Fill the place of a heap's root with what comes next; the event at ``size`` finds a new place."""
    time, sequence = heap[size].time, heap[size].sequence
    hole = 0
    while True:
        below = 2 * hole + 1 & PLACES
        if below >= size:
            break
        if below >= _SMALL:
            fetch_events(heap, 8 * hole + 7)  # what stands three levels further down
        right = below + 1
        if right < size and (
            heap[right].time < heap[below].time
            or (heap[right].time == heap[below].time and heap[right].sequence < heap[below].sequence)
        ):
            below = right
        if heap[below].time > time or (heap[below].time == time and heap[below].sequence > sequence):
            break
        move(heap, hole, below)
        hole = below
    move(heap, hole, size)
