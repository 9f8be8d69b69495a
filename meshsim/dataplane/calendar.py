"""The calendar: the events to come by time, ties broken by the order in which they were scheduled.

It is a binary heap. In a large mesh the next events stand in order before its root, `CLOCK.ahead` of them, so that what
they need can be fetched before they are due (`meshsim.dataplane.prefetch`). A calendar that is sorted as a whole is one
with any number ahead.
"""

from __future__ import annotations

from meshsim.dataplane.fetching import fetch_events
from meshsim.dataplane.jit import jit

# Kinds of events, in the order of a request's life; then those of a connection, then those of an upstream.
(
    ARRIVAL, USER, ROUTED, AT_GATEWAY, AT_SERVER, AT_POD, RESUME, COMPUTED, RESPONSE, FAILED, RETRY,
    ROUTE_TIMEOUT, TRY_TIMEOUT, APPLICATION_TIMEOUT,
    SYN, HELLO, LEG, LEG_HELLO, LEG_FAILED, CONNECTED, NOT_CONNECTED, BROKEN,
    REFRESH, RELEASE, OUTLIER_TICK, HEALTH_CHECK,
) = range(26)  # fmt: skip


#: All places that there can be: tells the compiler that none is negative, which it would check at every step.
_PLACES = (1 << 40) - 1
#: From this place on, what stands three levels further down a heap is no longer in the innermost cache.
_SMALL = 128


@jit
def schedule(w, time, kind, subject, generation, extra):
    """Put an event on the calendar; the caller has made sure that there is room."""
    clock = w.clock[0]
    heap = w.heap
    root = clock.ahead
    sequence = clock.sequence
    clock.sequence = sequence + 1
    place = clock.scheduled
    clock.scheduled = place + 1
    if root == 0:
        place = _rise(heap, place, time)
    else:
        if place > root:
            place = root + _rise(heap[root:], place - root, time)
        while 0 < place <= root and heap[place - 1].time > time:
            _move(heap, place, place - 1)
            place -= 1
    event = heap[place]
    event.time = time
    event.sequence = sequence
    event.kind = kind
    event.subject = subject
    event.generation = generation
    event.extra = extra


@jit
def _rise(heap, hole, time):
    """Move a hole of a heap up to where an event of this time, the latest that was scheduled, has its place."""
    while hole > 0:
        above = (hole - 1) >> 1 & _PLACES
        if heap[above].time <= time:  # an equal time was scheduled earlier
            break
        _move(heap, hole, above)
        hole = above
    return hole


@jit
def drop_first(w):
    """Take the first event off the calendar."""
    clock = w.clock[0]
    heap = w.heap
    root = clock.ahead
    size = clock.scheduled - 1
    clock.scheduled = size
    if root == 0:
        _fill(heap, size)
        return
    for number in range(min(size, root)):
        _move(heap, number, number + 1)
    if size > root:
        _fill(heap[root:], size - root)


@jit
def _fill(heap, size):
    """Fill the place of a heap's root with what comes next; the event at ``size`` finds a new place."""
    time, sequence = heap[size].time, heap[size].sequence
    hole = 0
    while True:
        below = 2 * hole + 1 & _PLACES
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
        _move(heap, hole, below)
        hole = below
    _move(heap, hole, size)


@jit
def _move(heap, to, place):
    """Copy an event, field by field: as a whole it would be copied in bytes, which is slow to read again."""
    event, other = heap[to], heap[place]
    event.time = other.time
    event.sequence = other.sequence
    event.kind = other.kind
    event.subject = other.subject
    event.generation = other.generation
    event.extra = other.extra
