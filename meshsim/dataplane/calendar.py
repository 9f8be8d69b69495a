"""The calendar: the events to come by time, ties broken by the order in which they were scheduled.

The next ones stand in order in a ring, where most of what is scheduled for now has its place, too
(`meshsim.dataplane.ring`). What is due later is not sorted before its time comes (`meshsim.dataplane.later`). Only if
many are due at about the same time a heap has those that the ring has no room for (`meshsim.dataplane.heap`): ring,
heap, and what was put off follow one another. `World.heap` holds the ring and the heap, `World.later` the rest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from meshsim.dataplane import heap, later, ring
from meshsim.dataplane.event import copy, write
from meshsim.dataplane.heap import ROOT
from meshsim.dataplane.jit import jit
from meshsim.dataplane.ring import RING, nth

# Kinds of events, in the order of a request's life; then those of a connection, then those of an upstream.
(
    ARRIVAL, USER, ROUTED, AT_GATEWAY, AT_SERVER, AT_POD, RESUME, COMPUTED, RESPONSE, FAILED, RETRY,
    ROUTE_TIMEOUT, TRY_TIMEOUT, APPLICATION_TIMEOUT,
    SYN, HELLO, LEG, LEG_HELLO, LEG_FAILED, CONNECTED, NOT_CONNECTED, BROKEN,
    REFRESH, RELEASE, OUTLIER_TICK, HEALTH_CHECK,
) = range(26)  # fmt: skip

#: So many events stand in the ring anyway, whenever they are due.
NEAR = 16


@jit
def schedule(w, time, kind, subject, generation, extra):
    """Put an event on the calendar; the caller has made sure that there is room."""
    clock = w.clock[0]
    sequence = clock.sequence
    clock.sequence = sequence + 1
    size = clock.scheduled
    clock.scheduled = size + 1
    if (size == clock.near and size < NEAR) or ring.is_before_last(w, time):
        if clock.near == RING:
            _push_out(w)
        place = ring.place_among(w, time, sequence)
    elif later.is_later(clock, time):
        later.put_off(w, time, sequence, kind, subject, generation, extra)
        return
    elif size == clock.near + clock.later and clock.near < RING:
        place = ring.place_among(w, time, sequence)
    else:
        place = ROOT + heap.rise(w.heap[ROOT:], size - clock.near - clock.later, time, sequence)
    write(w.heap[place], time, sequence, kind, subject, generation, extra)


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
        copy(w.heap[ROOT + heap.rise(w.heap[ROOT:], below, -math.inf, 0)], last)


@jit
def drop_first(w):
    """Take the first event off the calendar."""
    clock = w.clock[0]
    clock.scheduled -= 1
    clock.head = nth(w, 1)
    clock.near -= 1
    if clock.near == 0 and clock.scheduled > 0:
        if clock.scheduled == clock.later:
            later.take_up(w)
        if clock.near == 0:
            clock.near = 1
            copy(w.heap[clock.head], w.heap[ROOT])
            heap.fill(w.heap[ROOT:], clock.scheduled - clock.later - 1)


def events(w: Any) -> Any:
    """Return all events that are scheduled, in no particular order."""
    clock = w.clock[0]
    near, below = int(clock.near), int(clock.scheduled - clock.near - clock.later)
    here = w.heap[[*(int(nth(w, number)) for number in range(near)), *range(ROOT, ROOT + below)]]
    return np.concatenate([here, w.later[list(later.places(w))]]).view(np.recarray)
