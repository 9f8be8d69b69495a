"""Frames: calls, serves and branches in flight, taken from and returned to a free list."""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import FREE, NO_FLAG, NONE


@jit
def take(w, kind):
    """Return the index of a frame of this kind; the caller has made sure that there is one."""
    clock = w.clock[0]
    index = clock.free
    if index != NONE:
        clock.free = w.frames[index].next
    else:
        index = clock.used
        clock.used = index + 1
    frame = w.frames[index]
    frame.kind = kind
    frame.next = NONE
    frame.previous = NONE
    frame.code = 200
    frame.flag = NO_FLAG
    frame.flow = 0
    frame.farthest = 0
    return index


@jit
def give_back(w, index):
    """Return a frame; whatever is still scheduled for it no longer finds it."""
    frame = w.frames[index]
    frame.kind = FREE
    frame.generation += 1
    frame.next = w.clock[0].free
    w.clock[0].free = index


@jit
def is_current(w, serve):
    """Return whether the caller still waits for this attempt."""
    call = w.frames[serve.parent]
    return call.generation == serve.parent_generation and call.attempt == serve.attempt and call.slot != NONE
