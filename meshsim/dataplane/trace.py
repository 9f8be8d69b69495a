"""The trace: one line for each step in the life of a sampled request, as in Envoy's access and event logs."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane.frames import is_current
from meshsim.dataplane.jit import jit
from meshsim.dataplane.pool import opener_of
from meshsim.dataplane.state import NO_FLAG, NONE

#: Kinds of lines: a call began, an attempt was sent to a host and reached a pod, an attempt ended, a call ended; a host
#: was ejected, a host is back; a connection was opened, one could not be.
CALL_BEGAN, SENT, AT_POD, ATTEMPT_ENDED, CALL_ENDED, EJECTED, RETURNED, CONNECTED, NOT_CONNECTED = range(9)
#: An attempt began, and leaves the client's proxy at ``until``; it reached an east-west gateway, left it, reached the
#: server's sidecar, was answered there, got lost; a pause before the next attempt began. A computation was queued; one
#: began that lasts until ``until`` (``call`` is the frame that computes). ``inside`` is the path of the serve: of the
#: attempt, or that makes the call or computes.
(
    ATTEMPT_BEGAN, AT_GATEWAY, LEFT_GATEWAY, AT_SERVER, ANSWERED, LOST, BACKED_OFF, QUEUED, COMPUTING,
) = range(9, 18)  # fmt: skip
#: Lines that one event may write; the clock stops before there is no room for them.
ROOM = 256
_NUMBER, _ZERO, _ONE = np.uint64(0xFFFFF), np.uint64(0), np.uint64(1)
#: `CLOCK.part` of everything; what comes above the low bits of a request's number; 2^32 over the golden ratio.
WHOLE, _ABOVE, _LOW, _SPREAD = 1 << 32, np.uint64(20), np.uint64(0xFFFFFFFF), np.uint64(0x9E3779B1)


@jit
def sampled(w, request):
    """Return whether a request is traced: the given part of them, evenly, by its number within its source.

    Every source, and every user, begins to count elsewhere, so that of many with few requests some are traced.
    """
    part = w.clock[0].part
    if part == _ZERO:
        return False
    first = (request >> _ABOVE & _LOW) * _SPREAD & _LOW
    return ((request & _NUMBER) + _ONE) * part + first & _LOW < part


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
    line.inside = _ZERO
    line.began = now
    line.until = now
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
    """Write a line about a call, if there is room; return its number, or none."""
    number = w.clock[0].traced
    if number >= len(w.trace):
        return NONE
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
    return number


@jit
def note_began(w, index, inside, now):
    """Write a line about a call that a serve of this path makes, or a user (0); code 1 if the serve waits for it."""
    number = note(w, CALL_BEGAN, index, NONE, NONE, 1 if w.frames[index].parent != NONE else 0, NO_FLAG, now)
    if number != NONE:
        w.trace[number].inside = inside


@jit
def note_attempt(w, index, until, now):
    """Write a line about an attempt that begins, and when it leaves the client's proxy."""
    number = note(w, ATTEMPT_BEGAN, index, NONE, NONE, 0, NO_FLAG, now)
    if number != NONE:
        w.trace[number].until = until


@jit
def note_serve(w, kind, index, now):
    """Write a line about where an attempt is, if its caller still waits for it."""
    serve = w.frames[index]
    if not is_current(w, serve):
        return
    number = note(w, kind, serve.parent, serve.pod, w.frames[serve.parent].connection, 0, NO_FLAG, now)
    if number != NONE:
        w.trace[number].inside = serve.path


@jit
def note_work(w, kind, index, until, now):
    """Write a line about a computation of a serve or a branch."""
    if w.clock[0].traced >= len(w.trace):
        return
    frame = w.frames[index]
    line = _line(w, kind, now)
    line.request = frame.request
    line.inside = frame.path
    line.until = until
    line.call = index
    line.attempt = frame.attempt
    line.host = frame.pod


@jit
def note_health(w, upstream, slot, ejected, now):
    """Write a line about a host that was ejected (1) or is back (0)."""
    if w.clock[0].part == _ZERO or w.clock[0].traced >= len(w.trace):
        return
    line = _line(w, EJECTED if ejected == 1 else RETURNED, now)
    line.proxy = w.upstreams[upstream].proxy
    line.upstream = upstream
    line.host = w.slots[slot].host


@jit
def note_connection(w, index, kind, now):
    """Write a line about a connection and the attempt that asked for it."""
    if w.clock[0].part == _ZERO or w.clock[0].traced >= len(w.trace):
        return
    connection = w.connections[index]
    line = _line(w, kind, now)
    line.request = connection.request
    line.path = connection.path
    line.attempt = connection.attempt
    line.upstream = opener_of(w, connection)
    line.proxy = w.upstreams[line.upstream].proxy
    line.host = w.slots[connection.slot].host
    line.connection = index
