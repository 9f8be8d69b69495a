"""The calendar: a binary heap of events by time, ties broken by the order in which they were scheduled."""

from __future__ import annotations

from meshsim.dataplane.jit import jit

# Kinds of events, in the order of a request's life; then those of a connection, then those of an upstream.
(
    ARRIVAL, USER, ROUTED, AT_GATEWAY, AT_SERVER, AT_POD, RESUME, COMPUTED, RESPONSE, FAILED, RETRY,
    ROUTE_TIMEOUT, TRY_TIMEOUT, APPLICATION_TIMEOUT,
    SYN, HELLO, LEG, LEG_HELLO, LEG_FAILED, CONNECTED, NOT_CONNECTED, BROKEN,
    REFRESH, RELEASE, OUTLIER_TICK, HEALTH_CHECK,
) = range(26)  # fmt: skip


@jit
def schedule(w, time, kind, subject, generation, extra):
    """Put an event on the calendar; the caller has made sure that there is room."""
    clock = w.clock[0]
    heap = w.heap
    sequence = clock.sequence
    clock.sequence = sequence + 1
    hole = clock.scheduled
    clock.scheduled = hole + 1
    while hole > 0:
        above = (hole - 1) >> 1
        if heap[above].time <= time:  # an equal time was scheduled earlier
            break
        heap[hole] = heap[above]
        hole = above
    event = heap[hole]
    event.time = time
    event.sequence = sequence
    event.kind = kind
    event.subject = subject
    event.generation = generation
    event.extra = extra


@jit
def drop_first(w):
    """Take the first event off the calendar."""
    clock = w.clock[0]
    heap = w.heap
    size = clock.scheduled - 1
    clock.scheduled = size
    if size == 0:
        return
    time, sequence = heap[size].time, heap[size].sequence
    hole = 0
    while True:
        below = 2 * hole + 1
        if below >= size:
            break
        right = below + 1
        if right < size and (
            heap[right].time < heap[below].time
            or (heap[right].time == heap[below].time and heap[right].sequence < heap[below].sequence)
        ):
            below = right
        if heap[below].time > time or (heap[below].time == time and heap[below].sequence > sequence):
            break
        heap[hole] = heap[below]
        hole = below
    heap[hole] = heap[size]
