"""The calendar's heap: events of the present span of time that the ring has no room for, by time and sequence.

It begins behind the ring, in the same array.
"""

from __future__ import annotations

from meshsim.dataplane.event import copy
from meshsim.dataplane.fetching import fetch_events
from meshsim.dataplane.jit import jit

#: Where the heap begins: behind an odd number of places, so that the two below an event stand in one line of the cache.
ROOT = 65
#: All places that there can be: tells the compiler that none is negative, which it would check at every step.
_PLACES = (1 << 40) - 1
#: From this place on, what stands three levels further down a heap is no longer in the innermost cache.
_SMALL = 128


@jit
def rise(heap, hole, time, sequence):
    """Move a hole of a heap up to where an event has its place, and return it."""
    while hole > 0:
        above = (hole - 1) >> 1 & _PLACES
        if heap[above].time < time or (heap[above].time == time and heap[above].sequence < sequence):
            break
        copy(heap[hole], heap[above])
        hole = above
    return hole


@jit
def fill(heap, size):
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
        copy(heap[hole], heap[below])
        hole = below
    copy(heap[hole], heap[size])
