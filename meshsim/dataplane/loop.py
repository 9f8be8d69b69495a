"""The loop: every event of the calendar goes to the module where that step of a request's life is told.

`users` (arrival) → `calling` (the client's proxy: faults, route, host, breaker, connection) → `connecting` and
`passing` (handshakes, east-west gateway) → `serving` (server's sidecar, pod, script) → `ending` (back at the client:
outlier detection, retry or done). `docs/life-of-a-request.md` tells the same in prose.
"""

from __future__ import annotations

from meshsim.dataplane import calendar as on
from meshsim.dataplane import connecting, consistent_hashing, health_checking, outlier_detection, trace
from meshsim.dataplane.calendar import drop_first
from meshsim.dataplane.calling import attempt, on_routed
from meshsim.dataplane.ending import end_attempt, on_failed, on_response, on_timeout
from meshsim.dataplane.heap import ROOT
from meshsim.dataplane.jit import jit
from meshsim.dataplane.locality import on_refresh
from meshsim.dataplane.passing import on_broken, on_connected, on_gateway, on_leg, on_not_connected
from meshsim.dataplane.prefetch import CONNECTIONS, look_ahead
from meshsim.dataplane.serving import on_computed, on_pod, on_server, run_script
from meshsim.dataplane.state import DC, NONE, UT
from meshsim.dataplane.users import on_arrival, on_user

#: What `advance` says when it stops: nothing left before the time, budget used up, an array is nearly full, or the
#: mesh is so large by now that looking ahead of the calendar is worth while.
(
    DONE, BUDGET, FRAMES_FULL, CALENDAR_FULL, CONNECTIONS_FULL, CALLS_FULL, TRACE_FULL, TABLES_FULL, LARGE,
) = range(9)  # fmt: skip
#: Events between two looks at the room that is left.
AT_ONCE = 16
#: Frames, events and connections that one event may need, besides forks and calls that are not waited for.
EACH = 8
#: The room that this makes without any.
MARGIN = AT_ONCE * EACH


@jit
def handle(w, kind, index, extra, generation, now):
    """Handle one event."""
    if kind == on.ARRIVAL:
        on_arrival(w, index, generation, now)
    elif kind == on.USER:
        on_user(w, index, now)
    elif kind >= on.REFRESH:
        handle_upstream(w, kind, index, extra, generation, now)
    elif kind >= on.SYN:
        if w.connections[index].generation == generation:
            handle_connection(w, kind, index, extra, now)
    elif w.frames[index].generation != generation:
        return  # the frame has ended since: a timeout that was not needed
    elif kind == on.AT_SERVER:
        on_server(w, index, now)
    elif kind == on.AT_POD:
        on_pod(w, index, now)
    elif kind == on.COMPUTED:
        on_computed(w, index, now)
    elif kind == on.RESPONSE:
        on_response(w, index, now)
    elif kind == on.AT_GATEWAY:
        on_gateway(w, index, now)
    elif kind == on.RESUME:
        run_script(w, index, now)
    elif kind == on.ROUTED:
        on_routed(w, index, extra, now)
    elif kind == on.FAILED:
        on_failed(w, index, extra, now)
    elif kind == on.RETRY:
        if w.frames[index].attempt == extra:
            attempt(w, index, now)
    elif kind == on.TRY_TIMEOUT:
        if w.frames[index].attempt == extra and w.frames[index].slot != NONE:
            end_attempt(w, index, 504, UT, now)
    elif kind == on.ROUTE_TIMEOUT:
        on_timeout(w, index, 504, UT, now)
    else:
        on_timeout(w, index, 0, DC, now)


@jit
def handle_connection(w, kind, index, extra, now):
    """Handle an event of a connection."""
    if kind == on.SYN:
        connecting.on_syn(w, index, now)
    elif kind == on.HELLO:
        connecting.on_hello(w, index, now)
    elif kind == on.LEG:
        on_leg(w, index, now)
    elif kind == on.LEG_HELLO:
        connecting.on_leg_hello(w, index, now)
    elif kind == on.LEG_FAILED:
        connecting.on_leg_failed(w, index, now)
    elif kind == on.CONNECTED:
        on_connected(w, index, now)
    elif kind == on.NOT_CONNECTED:
        on_not_connected(w, index, now)
    else:
        on_broken(w, index, extra, now)


@jit
def handle_upstream(w, kind, index, extra, generation, now):
    """Handle an event of an upstream: its hosts' health."""
    if kind == on.REFRESH:
        on_refresh(w, index, extra, generation, now)
    elif kind == on.RELEASE:
        outlier_detection.release(w, index, generation, extra, now)
    elif kind == on.OUTLIER_TICK:
        outlier_detection.on_tick(w, index, now)
    else:
        health_checking.on_check(w, index, extra, generation, now)


@jit
def out_of_room(w):
    """Return which array may be too small for the next `AT_ONCE` events, or to look ahead, or `DONE`.

    A connection that opens sends every call that waits for it, each in a frame and with two events: it arrives, or its
    try is over. One that fails, or breaks, makes an event for each call that waits for it or is on it.
    """
    clock = w.clock[0]
    if 2 * clock.used + AT_ONCE * (EACH + 2 * clock.widest) >= len(w.frames):
        return FRAMES_FULL
    if ROOT + clock.scheduled + 2 * clock.used + AT_ONCE * (EACH + 4 * clock.widest) >= len(w.heap):
        return CALENDAR_FULL
    if clock.connections + AT_ONCE * (EACH + clock.widest) >= len(w.connections):
        return CONNECTIONS_FULL
    if clock.counted + AT_ONCE * EACH >= len(w.calls):
        return CALLS_FULL
    if clock.part > 0 and clock.traced + AT_ONCE * trace.ROOM >= len(w.trace):
        return TRACE_FULL
    if clock.looks == 0 and clock.connections > CONNECTIONS:
        return LARGE
    if clock.table_margin > 0 and consistent_hashing.is_full(w):
        return TABLES_FULL
    return DONE


@jit
def advance(w, until, budget):
    """Handle every event before a time, at most ``budget`` of them; return why it stopped."""
    clock = w.clock[0]
    while True:
        reason = out_of_room(w)
        if reason != DONE:
            return reason
        for _ in range(AT_ONCE if clock.table_margin == 0 else 1):
            first = w.heap[clock.head]
            if clock.scheduled == 0 or first.time >= until:
                return DONE
            if budget <= 0:
                return BUDGET
            budget -= 1
            now, kind, subject, extra, generation = first.time, first.kind, first.subject, first.extra, first.generation
            drop_first(w)
            if clock.looks > 0:
                look_ahead(w)
            clock.now = now
            clock.handled += 1
            handle(w, kind, subject, extra, generation, now)
