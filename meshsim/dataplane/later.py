"""Events that are not due soon: put off unsorted, by time, until the calendar's heap is empty.

Each of `CELLS` cells of a wheel has the events of one short span of time, and one more cell has those that are due
later than the wheel reaches. A cell is a list of chunks, the latest first. Spans are as long as it takes to handle a
few events, and are measured anew every half turn, or after as many events as a whole turn is meant to have. Source:
R. Brown, "Calendar queues" (CACM 31, 1988), where each cell is sorted; here the heap does that, so that the order is
that of one heap to the last bit.
"""

from __future__ import annotations

from meshsim.dataplane.fetching import fetch_events
from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NONE

#: Cells of the wheel, a power of two; events in a chunk, also one; events that a span is meant to have.
CELLS, CHUNK, WANTED = 4096, 8, 32
#: Chunks that are in use for a moment while events move from cell to cell.
_MOVING = 8
#: Where the heap begins if some events stand before it: behind an odd number of places, so that the two below an event
#: stand in one line of the cache.
ROOT = 65
#: All places that there can be: tells the compiler that none is negative, which it would check at every step.
PLACES = (1 << 40) - 1
#: The number of a span that no time that matters reaches; so many events at least tell how long a span is to be.
_NEVER, _ENOUGH = 2.0**60, 1024


def room(events: int) -> dict[str, int]:
    """Return the lengths of the arrays that so many events may need: every cell has a chunk that is not full."""
    chunks = events // CHUNK + CELLS + 1 + _MOVING
    return {"later": chunks * CHUNK, "chunks": chunks, "cells": CELLS + 1}


@jit
def begin(w):
    """Begin with an empty wheel, and spans of the length that the events so far suggest."""
    clock = w.clock[0]
    clock.near = 0
    clock.head = 0
    clock.later = 0
    clock.chunks = 0
    clock.free_chunk = NONE
    clock.pace = max(clock.handled / WANTED, 1.0) / clock.now if clock.now > 0.0 else 1.0
    clock.day = _span_of(clock, clock.now)
    clock.turned = clock.day
    clock.turned_at = clock.now
    clock.turned_after = clock.handled
    for place in range(CELLS + 1):
        w.cells[place].count = 0


@jit
def _span_of(clock, time):
    """Return the number of the span that a time falls into."""
    return int(min(time * clock.pace, _NEVER))


@jit
def is_later(clock, time):
    """Return whether an event of this time comes after all those of the heap."""
    return _span_of(clock, time) > clock.day


@jit
def put_off(w, time, sequence, kind, subject, generation, extra):
    """Keep an event for later."""
    w.clock[0].later += 1
    event = w.later[_place_for(w, time)]
    event.time = time
    event.sequence = sequence
    event.kind = kind
    event.subject = subject
    event.generation = generation
    event.extra = extra


@jit
def _place_for(w, time):
    """Return a place in the cell for a time."""
    clock = w.clock[0]
    span = _span_of(clock, time)
    cell = w.cells[span & (CELLS - 1) if span < clock.turned + CELLS else CELLS]
    count = cell.count
    cell.count = count + 1
    if count & (CHUNK - 1) == 0:
        chunk = clock.free_chunk
        if chunk == NONE:
            chunk = clock.chunks
            clock.chunks = chunk + 1
        else:
            clock.free_chunk = w.chunks[chunk]
        w.chunks[chunk] = cell.chunk
        cell.chunk = chunk
    return cell.chunk * CHUNK + (count & (CHUNK - 1))


@jit
def take_up(w):
    """Put the events of the next span that has any into the heap, which is empty; there are some."""
    clock = w.clock[0]
    if clock.handled - clock.turned_after >= WANTED * CELLS:  # spans are far too long, and half a turn is far off
        _turn(w)
    while True:
        if clock.later == w.cells[CELLS].count or clock.day - clock.turned >= CELLS // 2:
            _turn(w)
        clock.day += 1
        place = clock.day & (CELLS - 1)
        if w.cells[place].count > 0:
            break
    _fetch(w, w.cells[(place + 1) & (CELLS - 1)])
    cell = w.cells[place]
    left, chunk, size = cell.count, cell.chunk, 0
    cell.count = 0
    clock.later -= left
    heap = w.heap[ROOT:]
    while left > 0:
        for number in range(((left - 1) & (CHUNK - 1)) + 1):
            event = w.later[chunk * CHUNK + number]
            copy(heap[rise(heap, size, event.time, event.sequence)], event)
            size += 1
        left = (left - 1) & ~(CHUNK - 1)
        chunk = _give_back(w, chunk)


@jit
def _fetch(w, cell):
    """Fetch the events of a cell."""
    left, chunk = cell.count, cell.chunk
    while left > 0:
        fetch_events(w.later, chunk * CHUNK)
        left -= CHUNK
        chunk = w.chunks[chunk]


@jit
def _give_back(w, chunk):
    """Return a chunk to the free ones, and the one after it in its list."""
    clock = w.clock[0]
    following = w.chunks[chunk]
    w.chunks[chunk] = clock.free_chunk
    clock.free_chunk = chunk
    return following


@jit
def _turn(w):
    """Let the wheel reach further; where it is empty go on to the first event."""
    clock = w.clock[0]
    handled, passed = clock.handled - clock.turned_after, clock.now - clock.turned_at
    if handled >= _ENOUGH and passed > 0.0:
        pace = handled / passed / WANTED
        if not 0.5 * clock.pace < pace < 2.0 * clock.pace:
            clock.turned = -(1 << 61)  # nothing is within its reach
            for place in range(CELLS):
                _sort_out(w, w.cells[place])
            clock.pace = pace
        clock.turned_at = clock.now
        clock.turned_after = clock.handled
    if clock.later == w.cells[CELLS].count:
        clock.day = _span_of(clock, _first_of_rest(w)) - 1
    clock.turned = clock.day
    _sort_out(w, w.cells[CELLS])


@jit
def _first_of_rest(w):
    """Return the first time of the events beyond the wheel, of which there are some."""
    rest = w.cells[CELLS]
    left, chunk = rest.count, rest.chunk
    first = w.later[chunk * CHUNK].time
    while left > 0:
        for number in range(((left - 1) & (CHUNK - 1)) + 1):
            first = min(first, w.later[chunk * CHUNK + number].time)
        left = (left - 1) & ~(CHUNK - 1)
        chunk = w.chunks[chunk]
    return first


@jit
def _sort_out(w, cell):
    """Put each event of a cell into the one that it belongs to now."""
    left, chunk = cell.count, cell.chunk
    cell.count = 0
    while left > 0:
        for number in range(((left - 1) & (CHUNK - 1)) + 1):
            event = w.later[chunk * CHUNK + number]
            copy(w.later[_place_for(w, event.time)], event)
        left = (left - 1) & ~(CHUNK - 1)
        chunk = _give_back(w, chunk)


def places(w):
    """Yield where in `World.later` the events stand."""
    for cell in w.cells:
        left, chunk = int(cell.count), int(cell.chunk)
        while left > 0:
            count = (left - 1) % CHUNK + 1
            yield from range(chunk * CHUNK, chunk * CHUNK + count)
            left, chunk = left - count, int(w.chunks[chunk])


@jit
def rise(heap, hole, time, sequence):
    """Move a hole of a heap up to where an event has its place, and return it."""
    while hole > 0:
        above = (hole - 1) >> 1 & PLACES
        if heap[above].time < time or (heap[above].time == time and heap[above].sequence < sequence):
            break
        move(heap, hole, above)
        hole = above
    return hole


@jit
def move(heap, to, place):
    """Copy an event from place to place."""
    copy(heap[to], heap[place])


@jit
def copy(event, other):
    """Copy an event, field by field: as a whole it would be copied in bytes, which is slow to read again."""
    event.time = other.time
    event.sequence = other.sequence
    event.kind = other.kind
    event.subject = other.subject
    event.generation = other.generation
    event.extra = other.extra
