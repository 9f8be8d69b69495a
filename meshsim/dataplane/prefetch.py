"""Fetching what the next events need into the processor's cache, while earlier ones are handled.

In a large mesh nearly every record that an event looks at comes from memory, and waiting for one after the other takes
most of the time. So an event is looked at long before its turn, when it still waits in the wheel of those that are not
due soon (`meshsim.dataplane.later`): it joins a queue of its kind, and with every span of time that passes it moves one
station on. What could be read by then says what to fetch next: its frame, what that names, what is beyond. Calls that a
script is about to make are foreseen, too, with the hosts that their balancers will compare. All that is at one station
is looked at at once, so that the processor waits for many lines of memory together.

Numbers do not depend on any of it, as it only reads; where all fits into the cache anyway it is left out.
"""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane.calling import worker_of
from meshsim.dataplane.draws import DECISION, NETWORK, child, uniforms
from meshsim.dataplane.fetching import fetch, fetch_events, fetch_two
from meshsim.dataplane.jit import jit
from meshsim.dataplane.later import CELLS, CHUNK
from meshsim.dataplane.load_balancing import LEAST_REQUEST, PLAIN
from meshsim.dataplane.recorder import bin_of
from meshsim.dataplane.serving import repetitions
from meshsim.dataplane.state import BRANCH, CALL_OUT, END, FORK, INGRESS, NONE
from meshsim.results.tables import BINS, FLOWS

#: From so many connections on it is worth while.
CONNECTIONS = 8192
#: Spans of the wheel between the first look at an event and its turn.
DEPTH = 8
#: The queues: events of some kinds, and calls that are about to be made; the rows that each has room for, a power of
#: two; and how many stations there are.
_ARRIVAL, _GATEWAY, _SERVER, _POD, _COMPUTED, _RESPONSE, _CALL = range(7)
QUEUES, ROWS, STATIONS = 7, 256, 5
_LAST = ROWS - 1
#: The queue of each kind of events.
_QUEUE_OF = np.full(on.HEALTH_CHECK + 1, NONE)
_QUEUE_OF[[on.ARRIVAL, on.AT_GATEWAY, on.AT_SERVER, on.AT_POD, on.COMPUTED, on.RESPONSE]] = range(_CALL)
#: Steps that may make more calls than this are not foreseen: each of them would be drawn.
_FEW = 4
_FLOWS = len(FLOWS)


@jit
def look_ahead(w):
    """Fetch something of what the next events need: what is at one station of one queue, another at each event."""
    clock = w.clock[0]
    if clock.looked < clock.day:
        clock.looked = max(clock.looked + 1, clock.day - DEPTH)
        _find(w, clock.looked + DEPTH)
    number = clock.glance + 1 if clock.glance < 23 else 0
    clock.glance = number
    if number == 0:
        _frames(w, _RESPONSE)
    elif number == 1:
        _frames(w, _SERVER)
    elif number == 2:
        _frames(w, _COMPUTED)
    elif number == 3:
        _frames(w, _POD)
    elif number == 4:
        _calls_answered(w)
    elif number == 5:
        _pods(w, _SERVER)
    elif number == 6:
        _pods(w, _COMPUTED)
    elif number == 7:
        _frames(w, _GATEWAY)
    elif number == 8:
        _of_calls_answered(w)
    elif number == 9:
        _sidecars(w, _SERVER)
    elif number == 10:
        _sidecars(w, _COMPUTED)
    elif number == 11:
        _pods(w, _POD)
    elif number == 12:
        _of_callers(w)
    elif number == 13:
        _calls_at_gateways(w)
    elif number == 14:
        _calls_after_computing(w)
    elif number == 15:
        _destinations(w)
    elif number == 16:
        _calls_after_responses(w)
    elif number == 17:
        _upstreams(w)
    elif number == 18:
        _scripts(w)
    elif number == 19:
        _hosts(w)
    elif number == 20:
        _connections_of_gateways(w)
    elif number == 21:
        _pools(w)
    elif number == 22:
        _arrivals(w)
    else:
        _connections(w)


@jit
def _find(w, span):
    """Let the events of a span join their queues."""
    _fetch_cell(w, w.cells[(span + 1) & (CELLS - 1)])
    cell = w.cells[span & (CELLS - 1)]
    left, chunk = cell.count, cell.chunk
    while left > 0:
        for number in range(((left - 1) & (CHUNK - 1)) + 1):
            event = w.later[chunk * CHUNK + number]
            queue = _QUEUE_OF[event.kind]
            if queue != NONE:
                row = w.ahead[queue, _joined(w, queue)]
                row.subject = event.subject
                row.generation = event.generation
                row.due = event.time
        left = (left - 1) & ~(CHUNK - 1)
        chunk = w.chunks[chunk]


@jit
def _fetch_cell(w, cell):
    """Fetch the events of a cell."""
    left, chunk = cell.count, cell.chunk
    while left > 0:
        fetch_events(w.later, chunk * CHUNK)
        left -= CHUNK
        chunk = w.chunks[chunk]


@jit
def _joined(w, queue):
    """Return the place of a new row at the end of a queue; where that is full the last row gives way."""
    end = w.marks[queue, 0]
    if end - w.marks[queue, 1] < ROWS // 2:
        w.marks[queue, 0] = end + 1
        return end & _LAST
    return (end - 1) & _LAST


@jit
def _come_to(w, queue, station):
    """Return the numbers of the rows of a queue that come to a station now."""
    first, end = w.marks[queue, station], w.marks[queue, station - 1]
    w.marks[queue, station] = end
    return range(first, end)


@jit
def _lives(w, row):
    """Return whether the frame of an event has not ended since: in its place there may be one of another kind."""
    return w.frames[row.subject].generation == row.generation


# --- events -----------------------------------------------------------------------------------------------------------


@jit
def _arrivals(w):
    """Foresee the first request of each user's action, most likely the first action of the source."""
    for number in _come_to(w, _ARRIVAL, 1):
        source = w.sources[w.ahead[_ARRIVAL, number & _LAST].subject]
        request = w.action_requests[w.actions[source.first_action].first]
        route = w.resolved[w.proxies[source.proxy].configuration, request.route, 0]
        path = child(w.operations[request.operation].identity, 0, 0)
        _foresee(w, source.proxy, route, source.number | source.made, path)


@jit
def _frames(w, queue):
    """Fetch the frames of events."""
    for number in _come_to(w, queue, 1):
        fetch_two(w.frames, w.ahead[queue, number & _LAST].subject)


@jit
def _pods(w, queue):
    """Fetch the pods that serves are at or come to, and where they go on in their script."""
    for number in _come_to(w, queue, 2):
        frame = w.frames[w.ahead[queue, number & _LAST].subject]
        fetch_two(w.pods, frame.pod)
        if queue == _COMPUTED:
            fetch(w.steps, frame.step + 1)


@jit
def _sidecars(w, queue):
    """Fetch the sidecars of the pods."""
    for number in _come_to(w, queue, 3):
        row = w.ahead[queue, number & _LAST]
        if _lives(w, row):
            fetch(w.proxies, w.pods[w.frames[row.subject].pod].proxy)


@jit
def _scripts(w):
    """Fetch the first steps of the scripts that pods are about to run."""
    for number in _come_to(w, _POD, 3):
        row = w.ahead[_POD, number & _LAST]
        if _lives(w, row):
            serve = w.frames[row.subject]
            fetch(w.steps, w.scripts[serve.operation, w.pods[serve.pod].workload])


@jit
def _calls_after_computing(w):
    """Foresee the calls that scripts make when they have computed."""
    for number in _come_to(w, _COMPUTED, 4):
        row = w.ahead[_COMPUTED, number & _LAST]
        if _lives(w, row):
            _foresee_calls(w, row.subject, w.frames[row.subject].step + 1)


@jit
def _calls_at_gateways(w):
    """Fetch the calls that serves at gateways belong to, and the gateways' replicas."""
    for number in _come_to(w, _GATEWAY, 2):
        serve = w.frames[w.ahead[_GATEWAY, number & _LAST].subject]
        fetch_two(w.frames, serve.parent)
        fetch(w.proxies, serve.proxy)


@jit
def _connections_of_gateways(w):
    """Fetch the connections that serves at gateways are on."""
    for number in _come_to(w, _GATEWAY, 3):
        row = w.ahead[_GATEWAY, number & _LAST]
        if _lives(w, row):
            fetch_two(w.connections, w.frames[w.frames[row.subject].parent].connection)


@jit
def _calls_answered(w):
    """Fetch the calls that responses answer."""
    for number in _come_to(w, _RESPONSE, 2):
        fetch_two(w.frames, w.frames[w.ahead[_RESPONSE, number & _LAST].subject].parent)


@jit
def _answers(w, row):
    """Return whether the call that a response answers has not ended, nor the response itself."""
    serve = w.frames[row.subject]
    return serve.generation == row.generation and w.frames[serve.parent].generation == serve.parent_generation


@jit
def _of_calls_answered(w):
    """Fetch what a call that comes back gives up, and its caller."""
    for number in _come_to(w, _RESPONSE, 3):
        row = w.ahead[_RESPONSE, number & _LAST]
        if _answers(w, row):
            call = w.frames[w.frames[row.subject].parent]
            fetch(w.upstreams, call.upstream)
            fetch(w.slots, call.slot)
            fetch(w.connections, call.connection)
            fetch(w.proxies, call.proxy)
            fetch_two(w.frames, call.parent)


@jit
def _of_callers(w):
    """Fetch where a call that comes back is counted, and what its caller needs to go on."""
    for number in _come_to(w, _RESPONSE, 4):
        row = w.ahead[_RESPONSE, number & _LAST]
        if _answers(w, row):
            call = w.frames[w.frames[row.subject].parent]
            fetch(w.pools, w.connections[call.connection].pool)
            fetch(w.calls, w.slots[call.slot].counter)
            up = w.upstreams[call.upstream]
            fetch(w.policies, up.policy)
            column = bin_of(row.due - call.started)
            fetch(w.call_latency, ((np.int64(up.service) * _FLOWS + call.flow) * 2) * BINS + column)
            caller = w.frames[call.parent]
            fetch(w.steps, caller.step + 1)
            fetch_two(w.pods, caller.pod)
            if caller.kind == BRANCH:
                fetch_two(w.frames, caller.parent)


@jit
def _calls_after_responses(w):
    """Foresee the calls that scripts make when others come back."""
    for number in _come_to(w, _RESPONSE, 5):
        row = w.ahead[_RESPONSE, number & _LAST]
        if _answers(w, row):
            _foresee_after(w, w.frames[w.frames[row.subject].parent])


@jit
def _foresee_after(w, call):
    """Foresee the calls that a caller makes after the one that is coming back."""
    caller = call.parent
    if caller == NONE or w.frames[caller].generation != call.parent_generation:
        return
    frame = w.frames[caller]
    at = frame.step + 1
    if frame.kind == BRANCH and at < len(w.steps) and w.steps[at].kind == END:
        caller = frame.parent
        serve = w.frames[caller]
        if serve.generation != frame.parent_generation or serve.pending != 1:
            return
        at = serve.step + 1
    _foresee_calls(w, caller, at)


# --- calls that are about to be made ----------------------------------------------------------------------------------


@jit
def _foresee_calls(w, index, at):
    """Foresee the calls that a script makes next, at a step; those of a fork are made at once."""
    if at >= len(w.steps):
        return
    step = w.steps[at]
    if step.kind != FORK:
        _foresee_call(w, index, at)
        return
    for number in range(step.first, step.first + step.branches):
        _foresee_call(w, index, w.branches[number])


@jit
def _foresee_call(w, index, at):
    """Foresee the first call that is made from a step on."""
    frame = w.frames[index]
    while w.steps[at].kind == CALL_OUT:
        step = w.steps[at]
        if step.count > _FEW:
            return
        count = repetitions(w, frame, step)
        if count > 0:
            proxy = w.pods[frame.pod].proxy
            route = w.resolved[w.proxies[proxy].configuration, step.route + frame.variant, 0]
            _foresee(w, proxy, route, frame.request, child(frame.path, step.place, count * 128))
            return
        at += 1


@jit
def _foresee(w, proxy, route, request, path):
    """Let a call that is about to be made join its queue."""
    row = w.ahead[_CALL, _joined(w, _CALL)]
    row.request = request
    row.path = path
    row.proxy = proxy
    row.route = route
    fetch(w.routes, route)


@jit
def _destinations(w):
    """Find out where the routes of foreseen calls lead, by weight most likely to their first targets."""
    for number in _come_to(w, _CALL, 1):
        row = w.ahead[_CALL, number & _LAST]
        route = w.routes[row.route]
        row.upstream = NONE if route.targets == 0 else w.targets[route.first_target].destination
        if row.upstream != NONE:
            fetch(w.upstream_of, np.int64(row.proxy) * w.upstream_of.shape[1] + row.upstream)
            fetch(w.policies, row.upstream)


@jit
def _upstreams(w):
    """Fetch the upstreams of foreseen calls."""
    for number in _come_to(w, _CALL, 2):
        row = w.ahead[_CALL, number & _LAST]
        if row.upstream != NONE:
            row.upstream = w.upstream_of[row.proxy, row.upstream]
            fetch(w.upstreams, row.upstream)
            fetch(w.priorities, np.int64(row.upstream) * w.priorities.shape[1])


@jit
def _hosts(w):
    """Fetch the hosts that foreseen calls' balancers will compare."""
    for number in _come_to(w, _CALL, 3):
        row = w.ahead[_CALL, number & _LAST]
        if row.upstream != NONE:
            _draw_hosts(w, row)


@jit
def _pools(w):
    """Fetch the pools of the hosts that foreseen calls will go to."""
    for number in _come_to(w, _CALL, 4):
        row = w.ahead[_CALL, number & _LAST]
        if row.upstream != NONE:
            slot, other = w.available[row.first], w.available[row.other]
            if w.slots[other].active < w.slots[slot].active:
                slot = other
            row.pool = w.slots[slot].pools + row.worker
            fetch(w.pools, row.pool)


@jit
def _connections(w):
    """Fetch the connections that foreseen calls will use."""
    for number in _come_to(w, _CALL, 5):
        row = w.ahead[_CALL, number & _LAST]
        if row.upstream != NONE:
            fetch(w.connections, w.pools[row.pool].ready)


@jit
def _draw_hosts(w, row):
    """Draw the hosts that the balancer of a foreseen call will compare, if that is what it does."""
    up = w.upstreams[row.upstream]
    policy = w.policies[up.policy]
    level = w.priorities[row.upstream, 0]
    if policy.balancer != LEAST_REQUEST or level.mode != PLAIN or up.priorities > 1:
        row.upstream = NONE
        return
    _, u1, u2, _ = uniforms(w.keys, DECISION, row.request, row.path, np.uint64(1), np.uint64(0))
    row.first = level.first + int(u1 * level.count)
    row.other = level.first + int(u2 * level.count)
    u = 0.0
    if w.proxies[row.proxy].kind == INGRESS:
        _, _, _, u = uniforms(w.keys, NETWORK, row.request, row.path, np.uint64(1), np.uint64(0))
    row.worker = worker_of(w, row.proxy, row.upstream, u)
    fetch(w.available, row.first)
    fetch(w.available, row.other)
    fetch(w.slots, row.first)
    fetch(w.slots, row.other)
