"""Queues of what is looked at ahead: events by kind, and calls that are about to be made.

What joins a queue goes from station to station, where something is looked at of all that came there since the last
time. `World.marks` has for each queue and station how many rows of `World.ahead` have passed it; those of station 0
have joined.
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit

#: The queues; the rows that each has room for, a power of two; and how many stations there are.
ARRIVAL, GATEWAY, SERVER, POD, COMPUTED, RESPONSE, CALL = range(7)
QUEUES, ROWS, STATIONS = 7, 256, 5


@jit
def join(w, queue):
    """Return a new row at the end of a queue; where that is full the last row gives way."""
    end = w.marks[queue, 0]
    if end - w.marks[queue, 1] < ROWS // 2:
        w.marks[queue, 0] = end + 1
        return w.ahead[queue, end & (ROWS - 1)]
    return w.ahead[queue, (end - 1) & (ROWS - 1)]


@jit
def row_of(w, queue, number):
    """Return a row of a queue by its number."""
    return w.ahead[queue, number & (ROWS - 1)]


@jit
def come_to(w, queue, station):
    """Return the numbers of the rows of a queue that come to a station now."""
    first, end = w.marks[queue, station], w.marks[queue, station - 1]
    w.marks[queue, station] = end
    return range(first, end)
