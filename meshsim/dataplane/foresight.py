"""Calls that are about to be made: what they will need is fetched, as far as it is known by then.

Which calls a script makes and which hosts its balancer compares is drawn here with the numbers that the call will draw
again, so that a guess is wrong only where something happens in between.
"""

from __future__ import annotations

import numpy as np

from meshsim.dataplane.calling import worker_of
from meshsim.dataplane.draws import DECISION, NETWORK, child, uniforms
from meshsim.dataplane.fetching import fetch
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import LEAST_REQUEST, PLAIN
from meshsim.dataplane.pool import first_ready
from meshsim.dataplane.queues import CALL, come_to, join, row_of
from meshsim.dataplane.scope import upstream_of
from meshsim.dataplane.serving import repetitions
from meshsim.dataplane.state import BRANCH, CALL_OUT, END, FORK, INGRESS, NONE

#: Steps that may make more calls than this are not foreseen: each of them would be drawn.
_FEW = 4


@jit
def foresee_after(w, call):
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
    foresee_calls(w, caller, at)


@jit
def foresee_calls(w, index, at):
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
            foresee(w, proxy, route, frame.request, child(frame.path, step.place, count * 128))
            return
        at += 1


@jit
def foresee(w, proxy, route, request, path):
    """Let a call that is about to be made join its queue."""
    row = join(w, CALL)
    row.request = request
    row.path = path
    row.proxy = proxy
    row.route = route
    fetch(w.routes, route)


@jit
def destinations(w):
    """Fetch the upstreams that foreseen calls' routes lead to, by weight most likely their first targets."""
    for number in come_to(w, CALL, 1):
        row = row_of(w, CALL, number)
        route = w.routes[row.route]
        row.upstream = NONE if route.targets == 0 else w.targets[route.first_target].destination
        if row.upstream != NONE:
            fetch(w.policies, row.upstream)
            row.upstream = upstream_of(w, row.proxy, row.upstream)
            fetch(w.upstreams, row.upstream)
            fetch(w.priorities, row.upstream)


@jit
def hosts(w):
    """Fetch the hosts that foreseen calls' balancers will compare."""
    for number in come_to(w, CALL, 2):
        row = row_of(w, CALL, number)
        if row.upstream != NONE:
            _draw_hosts(w, row)


@jit
def slots(w):
    """Fetch what is known of these hosts."""
    for number in come_to(w, CALL, 3):
        row = row_of(w, CALL, number)
        if row.upstream != NONE:
            row.first, row.other = w.available[row.first], w.available[row.other]
            fetch(w.slots, row.first)
            fetch(w.slots, row.other)


@jit
def connections(w):
    """Fetch the connections that foreseen calls will use."""
    for number in come_to(w, CALL, 4):
        row = row_of(w, CALL, number)
        if row.upstream != NONE:
            slot = row.other if w.slots[row.other].active < w.slots[row.first].active else row.first
            fetch(w.connections, first_ready(w, slot, row.worker))


@jit
def _draw_hosts(w, row):
    """Draw the hosts that the balancer of a foreseen call will compare, if that is what it does."""
    up = w.upstreams[row.upstream]
    policy = w.policies[up.policy]
    level = w.priorities[0, row.upstream]
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
