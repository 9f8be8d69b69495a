"""The next events, in order, in a ring: the first of them at `CLOCK.head` of the calendar's array.

Most events come due in the order in which they are put there, or at once; so few have to give way to one that comes.
"""

from __future__ import annotations

from meshsim.dataplane.event import copy
from meshsim.dataplane.jit import jit

#: Events that a ring has room for, a power of two.
RING = 64


@jit
def nth(w, number):
    """Return the place of the next event (0), or of one of those after it."""
    return (w.clock[0].head + number) & (RING - 1)


@jit
def is_before_last(w, time):
    """Return whether an event of this time is due before the last one of the ring, which is not empty."""
    return time < w.heap[nth(w, w.clock[0].near - 1)].time


@jit
def place_among(w, time, sequence):
    """Return the place for an event in a ring that is not full, having made way for it."""
    clock = w.clock[0]
    heap = w.heap
    last = clock.near
    clock.near = last + 1
    if last > 1 and _is_after(heap[nth(w, last >> 1)], time, sequence):  # the fewer events give way
        clock.head = (clock.head - 1) & (RING - 1)
        number = 0
        while not _is_after(heap[nth(w, number + 1)], time, sequence):
            copy(heap[nth(w, number)], heap[nth(w, number + 1)])
            number += 1
        return nth(w, number)
    number = last
    while number > 0 and _is_after(heap[nth(w, number - 1)], time, sequence):
        copy(heap[nth(w, number)], heap[nth(w, number - 1)])
        number -= 1
    return nth(w, number)


@jit
def _is_after(event, time, sequence):
    return event.time > time or (event.time == time and event.sequence > sequence)
