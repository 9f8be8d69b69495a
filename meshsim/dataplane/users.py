"""Users: arrivals, actions, and the requests they send one after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import trace
from meshsim.dataplane.calendar import schedule
from meshsim.dataplane.calling import new_call, start_call
from meshsim.dataplane.distributions import sample
from meshsim.dataplane.draws import ARRIVAL, child, uniforms
from meshsim.dataplane.frames import give_back
from meshsim.dataplane.jit import jit
from meshsim.dataplane.recorder import in_flight, record_request
from meshsim.dataplane.state import NONE, POISSON

#: A closed-loop user's next action begins at least this long (seconds) after the request before it was sent, longer
#: after an error: requests may take no time at all, and simulated time would stand still.
SHORTEST_CYCLE = 1e-6
ERROR_PAUSE = 0.001


@jit
def on_arrival(w, index, generation, now):
    """Start a user's action at a source and schedule the next arrival."""
    source = w.sources[index]
    if source.generation != generation:
        return
    number = source.number | source.made
    source.made += np.uint64(1)
    u_gap, u_action, _, _ = uniforms(w.keys, ARRIVAL, number, np.uint64(0), np.uint64(0), np.uint64(0))
    gap = -math.log(u_gap) if source.kind == POISSON else 1.0
    if source.rate > 0.0:
        source.due = now + gap / source.rate
        schedule(w, source.due, on.ARRIVAL, index, generation, 0)
    start_action(w, index, number, u_action, NONE, now)


@jit
def pass_by(keys: Any, number: Any, made: Any, due: float, rate: float, until: float, poisson: Any) -> Any:
    """Return the count of arrivals, and the time of the next, after all those before ``until`` have been let go.

    The same draws in the same order as where they are sent (`on_arrival`), so that the same users come at the same
    times afterwards, to the last bit.
    """
    while due < until:
        gap = 1.0
        if poisson:
            u, _, _, _ = uniforms(keys, ARRIVAL, number | made, np.uint64(0), np.uint64(0), np.uint64(0))
            gap = -math.log(u)
        made += np.uint64(1)
        due += gap / rate
    return made, due


@jit
def on_user(w, index, now):
    """Start the next action of a user who has finished thinking."""
    user = w.users[index]
    number = user.number | user.made
    user.made += np.uint64(1)
    _, u_action, _, _ = uniforms(w.keys, ARRIVAL, number, np.uint64(0), np.uint64(0), np.uint64(0))
    start_action(w, user.source, number, u_action, index, now)


@jit
def start_action(w, source_index, number, u, user, now):
    """Choose an action and send its first request."""
    source = w.sources[source_index]
    action = source.first_action
    while w.actions[action].cumulative < u and action < source.first_action + source.actions - 1:
        action += 1
    first, variant = w.actions[action].first, w.actions[action].variant
    start_request(w, source_index, number, user, variant, first, first + w.actions[action].count, now)


@jit
def start_request(w, source_index, number, user, variant, at, end, now):
    """Send one of a user's requests to the ingress gateway."""
    source = w.sources[source_index]
    operation = w.action_requests[at].operation
    route = w.resolved[w.proxies[source.proxy].configuration, w.action_requests[at].route, 0]
    clock = w.clock[0]
    clock.arrived += 1
    in_flight(w, now, 1)
    path = child(w.operations[operation].identity, at - w.actions[source.first_action].first, 0)
    call = new_call(w, NONE, operation, route, variant, source.proxy, number, path, now)
    frame = w.frames[call]
    frame.source = source_index
    frame.user = user
    frame.action_at = at
    frame.action_end = end
    if trace.sampled(w, number):
        trace.note_began(w, call, np.uint64(0), now)
    start_call(w, call, 0.0, now)


@jit
def end_request(w, index, now):
    """Record a user's request; send the action's next one, or let the user think."""
    frame = w.frames[index]
    record_request(w, index, now)
    source_index, user, request, variant = frame.source, frame.user, frame.request, frame.variant
    at, end = frame.action_at + 1, frame.action_end
    failed = frame.code >= 500 or frame.code <= 0
    started = frame.started
    give_back(w, index)
    if at < end:
        start_request(w, source_index, request, user, variant, at, end, now)
    elif user != NONE:
        source = w.sources[source_index]
        pause = 0.0
        if source.think != NONE:
            u, _, _, _ = uniforms(w.keys, ARRIVAL, request, np.uint64(1), np.uint64(0), np.uint64(0))
            pause = sample(w, source.think, u, request, np.uint64(1), 2)
        least = ERROR_PAUSE if failed else SHORTEST_CYCLE
        schedule(w, max(now + pause, started + least), on.USER, user, 0, 0)
