"""Fetching what the next events need into the processor's cache, while earlier ones are handled.

In a large mesh nearly every record that an event looks at comes from memory, and waiting for one after the other takes
most of the time. So an event is looked at several times on its way to the front of the calendar, and each time what
could be read by then says what to fetch next: its frame, what that names, what is beyond. Calls that a script is about
to make are foreseen, too, with the hosts that their balancers will compare. Numbers do not depend on any of it, as it
only reads; where all fits into the cache anyway it is left out.
"""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane.calendar import NEAR, nth
from meshsim.dataplane.calling import worker_of
from meshsim.dataplane.draws import DECISION, NETWORK, child, uniforms
from meshsim.dataplane.fetching import fetch, fetch_two
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import LEAST_REQUEST, PLAIN
from meshsim.dataplane.recorder import bin_of, first_cell, key_of, outcome_of
from meshsim.dataplane.serving import repetitions
from meshsim.dataplane.state import BRANCH, CALL_OUT, END, FORK, INGRESS, NO_FLAG, NONE
from meshsim.results.tables import BINS, FLOWS

#: From so many connections on it is worth while.
CONNECTIONS = 8192
#: How many events before its turn an event's frame is fetched, what the frame names, what that names, and so on.
_FRAME, _NAMED, _BEYOND, _REST, _AFTER, _LAST = 23, 20, 17, 14, 12, 3
#: Foreseen calls that are remembered, a power of two.
REMEMBERED = 16
#: Steps that may make more calls than this are not foreseen: each of them would be drawn.
_FEW = 4
#: A foreseen call of which all is fetched.
_DONE = 5
_FLOWS = len(FLOWS)


@jit
def look_ahead(w):
    """Fetch what the next events need."""
    if w.clock[0].near < NEAR:
        return
    event = w.heap[nth(w, _FRAME)]
    if _has_frame(event.kind):
        fetch_two(w.frames, event.subject)
    event = w.heap[nth(w, _NAMED)]
    if _has_frame(event.kind) and _lives(w, event):
        _fetch_named(w, event)
    event = w.heap[nth(w, _BEYOND)]
    if _has_frame(event.kind) and _lives(w, event):
        _fetch_beyond(w, event)
    event = w.heap[nth(w, _REST)]
    if _has_frame(event.kind) and _lives(w, event):
        _fetch_rest(w, event)
    elif event.kind == on.ARRIVAL:
        _foresee_request(w, event.subject)
    event = w.heap[nth(w, _AFTER)]
    if event.kind == on.RESPONSE and _answers(w, event):
        _fetch_counters(w, event, False)
        _foresee_after(w, w.frames[w.frames[event.subject].parent])
    event = w.heap[nth(w, _LAST)]
    if event.kind == on.RESPONSE and _answers(w, event):
        _fetch_counters(w, event, True)
    free = w.clock[0].free
    if free != NONE:
        fetch_two(w.frames, free)
        fetch_two(w.frames, w.frames[free].next)


@jit
def _has_frame(kind):
    return on.USER < kind < on.SYN


@jit
def _lives(w, event):
    """Return whether the frame of an event has not ended since: in its place there may be one of another kind."""
    return w.frames[event.subject].generation == event.generation


@jit
def _answers(w, event):
    """Return whether a response's call has not ended."""
    serve = w.frames[event.subject]
    return serve.generation == event.generation and w.frames[serve.parent].generation == serve.parent_generation


@jit
def _fetch_named(w, event):
    """Fetch what a frame names: its pod, and whom it answers."""
    frame = w.frames[event.subject]
    if event.kind == on.RESPONSE or event.kind == on.AT_GATEWAY:
        fetch_two(w.frames, frame.parent)
    else:
        fetch_two(w.pods, frame.pod)
        if event.kind == on.COMPUTED:
            fetch_two(w.frames, frame.parent)
            fetch(w.steps, frame.step + 1)


@jit
def _fetch_beyond(w, event):
    """Fetch what the call that a response answers needs, or the sidecar of a pod."""
    frame = w.frames[event.subject]
    if event.kind == on.RESPONSE:
        if not _answers(w, event):
            return
        call = w.frames[frame.parent]
        fetch(w.upstreams, call.upstream)
        fetch(w.slots, call.slot)
        fetch(w.connections, call.connection)
        fetch(w.pods, call.pod)
        fetch(w.proxies, call.proxy)
        fetch_two(w.frames, call.parent)
    elif event.kind == on.AT_GATEWAY:
        fetch_two(w.connections, w.frames[frame.parent].connection)
        fetch(w.free_at, w.proxies[frame.proxy].station)
    elif event.kind == on.AT_POD:
        fetch(w.steps, w.scripts[frame.operation, w.pods[frame.pod].workload])
    else:
        fetch(w.proxies, w.pods[frame.pod].proxy)


@jit
def _fetch_rest(w, event):
    """Fetch the counters of a call that ends, and foresee the calls that scripts go on with."""
    frame = w.frames[event.subject]
    if event.kind == on.RESPONSE:
        if not _answers(w, event):
            return
        call = w.frames[frame.parent]
        proxy = w.proxies[call.proxy]
        fetch(w.free_at, proxy.station)
        fetch(w.pools, w.connections[call.connection].pool)
        up = w.upstreams[call.upstream]
        fetch(w.policies, up.policy)
        fetch(w.edge_of, np.int64(proxy.service + 1) * w.edge_of.shape[1] + up.service)
        caller = w.frames[call.parent]
        fetch(w.steps, caller.step + 1)
        fetch_two(w.pods, caller.pod)
        fetch_two(w.frames, caller.parent)
    elif event.kind == on.COMPUTED:
        fetch(w.free_at, w.proxies[w.pods[frame.pod].proxy].station)
        _foresee_calls(w, event.subject, frame.step + 1)
    elif event.kind == on.AT_SERVER:
        fetch(w.free_at, w.proxies[w.pods[frame.pod].proxy].station)


@jit
def _fetch_counters(w, event, known):
    """Fetch where a call that ends well is counted: its cell of the hash table, or, that ``known``, its row."""
    call = w.frames[w.frames[event.subject].parent]
    proxy = w.proxies[call.proxy]
    service = w.operations[call.operation].service
    to = w.pods[call.pod].cluster
    edge = w.edge_of[proxy.service + 1, service]
    cell = first_cell(w, key_of(w, edge, proxy.cluster, to, call.flow, outcome_of(w, 200, NO_FLAG)))
    if known:
        fetch(w.calls, w.call_cells[cell])
    else:
        fetch(w.call_cells, cell)
        fetch(w.call_latency, ((service * _FLOWS + call.flow) * 2) * BINS + bin_of(event.time - call.started))


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
        fetch_two(w.frames, serve.parent)
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
            _remember(w, proxy, route, frame.request, child(frame.path, step.place, count * 128))
            return
        at += 1


@jit
def _foresee_request(w, index):
    """Foresee the first request of a user's action, most likely the first action of the source."""
    source = w.sources[index]
    request = w.action_requests[w.actions[source.first_action].first]
    route = w.resolved[w.proxies[source.proxy].configuration, request.route, 0]
    path = child(w.operations[request.operation].identity, 0, 0)
    _remember(w, source.proxy, route, source.number | source.made, path)


@jit
def _remember(w, proxy, route, request, path):
    """Remember a foreseen call; one that is not yet looked at to the end gives way to the sixteenth after it."""
    clock = w.clock[0]
    row = w.foreseen[clock.foreseen & (REMEMBERED - 1)]
    clock.foreseen += 1
    row.request = request
    row.path = path
    row.proxy = proxy
    row.route = route
    row.stage = 0
    fetch(w.routes, route)


@jit
def foresee(w):
    """Fetch what the calls that are foreseen need, as far as it is known by now: at every second event."""
    clock = w.clock[0]
    if clock.handled & 1 == 1 or clock.foresaw == clock.foreseen:
        return
    clock.foresaw = max(clock.foresaw, clock.foreseen - REMEMBERED)
    for number in range(clock.foresaw, clock.foreseen):
        row = w.foreseen[number & (REMEMBERED - 1)]
        row.stage += 1
        if row.stage == 1:
            _foresee_destination(w, row)
        elif row.stage == 2:
            row.upstream = w.upstream_of[row.proxy, row.destination]
            fetch(w.upstreams, row.upstream)
            fetch(w.priorities, np.int64(row.upstream) * w.priorities.shape[1])
        elif row.stage == 3:
            _foresee_hosts(w, row)
        elif row.stage == 4:
            slot, other = w.available[row.first], w.available[row.other]
            if w.slots[other].active < w.slots[slot].active:
                slot = other
            row.pool = w.slots[slot].pools + row.worker
            fetch(w.pools, row.pool)
        elif row.stage == _DONE:
            fetch(w.connections, w.pools[row.pool].ready)
            clock.foresaw += number == clock.foresaw
        else:
            clock.foresaw += number == clock.foresaw


@jit
def _foresee_destination(w, row):
    """Find out where the route of a foreseen call leads, by weight most likely to its first target."""
    route = w.routes[row.route]
    row.destination = NONE if route.targets == 0 else w.targets[route.first_target].destination
    if row.destination == NONE:
        row.stage = _DONE
        return
    fetch(w.upstream_of, np.int64(row.proxy) * w.upstream_of.shape[1] + row.destination)
    fetch(w.policies, row.destination)


@jit
def _foresee_hosts(w, row):
    """Draw the hosts that the balancer of a foreseen call will compare, if that is what it does."""
    up = w.upstreams[row.upstream]
    policy = w.policies[up.policy]
    level = w.priorities[row.upstream, 0]
    if row.upstream == NONE or policy.balancer != LEAST_REQUEST or level.mode != PLAIN or up.priorities > 1:
        row.stage = _DONE
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
