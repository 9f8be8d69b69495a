"""Events that are not due soon: put off unsorted, by time, until the calendar's ring and heap are empty.

Each of `CELLS` cells of a wheel has the events of one short span of time; what is due later than those waits in one of
`TURNS` cells for the half turn of the wheel that it belongs to, and what is due later still in one more. A cell is a
list of chunks, the latest first. Spans are as long as it takes to handle a few events, and are measured anew when that
has changed. Source: R. Brown, "Calendar queues" (CACM 31, 1988), and G. Varghese and T. Lauck, "Hashed and hierarchical
timing wheels" (SOSP 1987). Neither keeps the order within a cell; here that is done when its span comes, so that the
order is that of one heap to the last bit.
"""

from __future__ import annotations

from typing import Any

from meshsim.dataplane.event import copy, write
from meshsim.dataplane.heap import ROOT, rise
from meshsim.dataplane.jit import jit
from meshsim.dataplane.ring import RING, place_among
from meshsim.dataplane.state import NONE

#: Cells of the wheel and those of half turns, powers of two; events in a chunk, also one; events that a span is meant
#: to have.
CELLS, TURNS, CHUNK, WANTED = 4096, 1024, 8, 16
_HALF = CELLS // 2
#: The last cell.
_REST = CELLS + TURNS
#: Chunks that are in use for a moment while events move from cell to cell.
_MOVING = 8
#: The number of a span that no time that matters reaches; so many events at least tell how long a span is to be.
_NEVER, _ENOUGH = 2.0**60, 1024
#: Spans a second to begin with.
_FIRST_PACE = 1000.0


def room(events: int) -> dict[str, int]:
    """Return the lengths of the arrays that so many events may need: every cell has a chunk that is not full."""
    chunks = events // CHUNK + _REST + 1 + _MOVING
    return {"later": chunks * CHUNK, "chunks": chunks, "cells": _REST + 1}


def begin(clock: Any) -> None:
    """Begin with an empty wheel."""
    clock.free_chunk = NONE
    clock.pace = _FIRST_PACE


@jit
def span_of(clock, time):
    """Return the number of the span that a time falls into."""
    return int(min(time * clock.pace, _NEVER))


@jit
def is_later(clock, time):
    """Return whether an event of this time comes after all those of the ring and the heap."""
    return span_of(clock, time) > clock.day


@jit
def put_off(w, time, sequence, kind, subject, generation, extra):
    """Keep an event for later."""
    w.clock[0].later += 1
    write(w.later[_place_for(w, time)], time, sequence, kind, subject, generation, extra)


@jit
def _place_for(w, time):
    """Return a place in the cell for a time."""
    clock = w.clock[0]
    span = span_of(clock, time)
    if span < clock.turned + CELLS:
        number = span & (CELLS - 1)
    else:
        clock.far += 1
        number = CELLS + (span // _HALF & (TURNS - 1)) if span < clock.turned + TURNS * _HALF else _REST
    cell = w.cells[number]
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
def in_chunk(left):
    """Return how many of a cell's last ``left`` events stand in the latest of their chunks; the others are full."""
    return ((left - 1) & (CHUNK - 1)) + 1


@jit
def take_up(w):
    """Put the events of the next span that has any into the ring, or where they are many into the heap.

    Both are empty, and there are events that were put off.
    """
    clock = w.clock[0]
    if clock.handled - clock.measured_after >= _ENOUGH:
        _measure(w)
    while True:
        if clock.later == clock.far:
            _go_on_to_first(w)
        elif clock.day + 1 >= clock.turned + _HALF:
            _turn_to(w, clock.turned + _HALF)
        clock.day += 1
        cell = w.cells[clock.day & (CELLS - 1)]
        if cell.count > 0:
            break
    left, chunk, count = cell.count, cell.chunk, 0
    many = left > RING
    cell.count = 0
    clock.later -= left
    heap = w.heap[ROOT:]
    while left > 0:
        size = in_chunk(left)
        for number in range(size):
            event = w.later[chunk * CHUNK + number]
            if many:
                copy(heap[rise(heap, count, event.time, event.sequence)], event)
                count += 1
            else:
                copy(w.heap[place_among(w, event.time, event.sequence)], event)
        left -= size
        chunk = _give_back(w, chunk)


@jit
def _give_back(w, chunk):
    """Return a chunk to the free ones, and the one after it in its list."""
    clock = w.clock[0]
    following = w.chunks[chunk]
    w.chunks[chunk] = clock.free_chunk
    clock.free_chunk = chunk
    return following


@jit
def _turn_to(w, span):
    """Let the wheel reach from the span where a half turn begins to the end of the next one."""
    clock = w.clock[0]
    reached = clock.turned + CELLS
    clock.turned = span
    if span // _HALF - clock.rest_turn >= TURNS // 2:
        clock.rest_turn = span // _HALF
        _sort_out(w, _REST)
    for first in range(max(reached, span), span + CELLS, _HALF):
        _sort_out(w, CELLS + (first // _HALF & (TURNS - 1)))


@jit
def _go_on_to_first(w):
    """Go on to the first half turn that has events, or to the first event of the rest: the wheel has none."""
    clock = w.clock[0]
    turn = clock.turned // _HALF
    if clock.rest_turn < turn:
        clock.rest_turn = turn
        _sort_out(w, _REST)
    if clock.far > w.cells[_REST].count:
        while w.cells[CELLS + (turn & (TURNS - 1))].count == 0:
            turn += 1
        clock.day = turn * _HALF - 1
    else:
        clock.day = span_of(clock, _first_of_rest(w)) - 1
        turn = (clock.day + 1) // _HALF
        clock.rest_turn = turn - TURNS  # so that the rest is sorted out
    _turn_to(w, turn * _HALF)


@jit
def _measure(w):
    """Let spans be as long as it takes to handle the events that are wanted in one."""
    clock = w.clock[0]
    handled, passed = clock.handled - clock.measured_after, clock.now - clock.measured_at
    clock.measured_after = clock.handled
    clock.measured_at = clock.now
    if passed <= 0.0:
        return
    pace = handled / passed / WANTED
    if 0.5 * clock.pace < pace < 2.0 * clock.pace:
        return
    clock.turned = -(1 << 62)  # nothing is within reach: all go to the rest, then on to where they belong
    for number in range(_REST):
        _sort_out(w, number)
    clock.pace = pace
    clock.day = span_of(clock, _first_of_rest(w)) - 1
    clock.looked = clock.day  # spans had other numbers


@jit
def _first_of_rest(w):
    """Return the first time of the events in the last cell, of which there are some."""
    rest = w.cells[_REST]
    left, chunk = rest.count, rest.chunk
    first = w.later[chunk * CHUNK].time
    while left > 0:
        size = in_chunk(left)
        for number in range(size):
            first = min(first, w.later[chunk * CHUNK + number].time)
        left -= size
        chunk = w.chunks[chunk]
    return first


@jit
def _sort_out(w, number):
    """Put each event of a cell into the one that it belongs to now."""
    cell = w.cells[number]
    left, chunk = cell.count, cell.chunk
    cell.count = 0
    if number >= CELLS:
        w.clock[0].far -= left
    while left > 0:
        size = in_chunk(left)
        for place in range(size):
            event = w.later[chunk * CHUNK + place]
            copy(w.later[_place_for(w, event.time)], event)
        left -= size
        chunk = _give_back(w, chunk)


def places(w):
    """Yield where in `World.later` the events stand."""
    for cell in w.cells:
        left, chunk = int(cell.count), int(cell.chunk)
        while left > 0:
            size = in_chunk(left)
            yield from range(chunk * CHUNK, chunk * CHUNK + size)
            left, chunk = left - size, int(w.chunks[chunk])
