"""The trace: one line for each step in the life of a sampled request, as in Envoy's access and event logs."""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NO_FLAG, NONE

#: Kinds of lines: a call began, an attempt was sent to a host and reached a pod, an attempt ended, a call ended; a host
#: was ejected, a host is back; a connection was opened, one could not be.
CALL_BEGAN, SENT, AT_POD, ATTEMPT_ENDED, CALL_ENDED, EJECTED, RETURNED, CONNECTED, NOT_CONNECTED = range(9)
#: Lines that one event may write; the clock stops before there is no room for them.
ROOM = 256
_NUMBER, _ZERO = np.uint64(0xFFFFF), np.uint64(0)


@jit
def sampled(w, request):
    """Return whether a request is traced: the given part of them, evenly, by its number within its source."""
    part = w.clock[0].part
    if part == 0.0:
        return False
    number = float(request & _NUMBER)
    return math.floor((number + 1.0) * part) > math.floor(number * part)


@jit
def _line(w, kind, now):
    """Return a fresh line that says nothing but its kind and time; the caller has made sure that there is room."""
    clock = w.clock[0]
    line = w.trace[clock.traced]
    clock.traced += 1
    line.time = now
    line.kind = kind
    line.request = _ZERO
    line.path = _ZERO
    line.began = now
    line.call = NONE
    line.route = NONE
    line.attempt = 0
    line.operation = NONE
    line.connection = NONE
    line.code = 0
    line.flag = NO_FLAG
    return line


@jit
def note(w, kind, index, host, connection, code, flag, now):
    """Write a line about a call, if there is room."""
    if w.clock[0].traced >= len(w.trace):
        return
    frame = w.frames[index]
    line = _line(w, kind, now)
    line.request = frame.request
    line.path = frame.path
    line.began = frame.started
    line.call = index
    line.route = frame.route
    line.attempt = frame.attempts
    line.proxy = frame.proxy
    line.operation = frame.operation
    line.upstream = frame.upstream
    line.host = host
    line.connection = connection
    line.code = code
    line.flag = flag


@jit
def note_health(w, upstream, slot, ejected, now):
    """Write a line about a host that was ejected (1) or is back (0)."""
    if w.clock[0].part == 0.0 or w.clock[0].traced >= len(w.trace):
        return
    line = _line(w, EJECTED if ejected == 1 else RETURNED, now)
    line.proxy = w.upstreams[upstream].proxy
    line.upstream = upstream
    line.host = w.slots[slot].host


@jit
def note_connection(w, index, kind, now):
    """Write a line about a connection and the attempt that asked for it."""
    if w.clock[0].part == 0.0 or w.clock[0].traced >= len(w.trace):
        return
    connection = w.connections[index]
    line = _line(w, kind, now)
    line.request = connection.request
    line.path = connection.path
    line.attempt = connection.attempt
    line.upstream = w.pools[connection.pool].upstream
    line.proxy = w.upstreams[line.upstream].proxy
    line.host = w.slots[w.pools[connection.pool].slot].host
    line.connection = index
