"""Fetching what the next events need into the processor's cache, while earlier ones are handled.

In a large mesh nearly every record that an event looks at comes from memory, and waiting for one after the other takes
most of the time. So an event is looked at long before its turn, when it still waits in the wheel of those that are not
due soon (`meshsim.dataplane.later`): it joins a queue of its kind and goes from station to station. What could be read
by then says what to fetch next: its frame, what that names, what is beyond. Calls that a script is about to make are
foreseen, too (`meshsim.dataplane.foresight`). All that is at one station is looked at at once, and after each event
another station has its turn, so that the processor waits for a few lines of memory together, and never for many.

Numbers do not depend on any of it, as it only reads; where all fits into the cache anyway it is left out.
"""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import foresight
from meshsim.dataplane.draws import child
from meshsim.dataplane.fetching import fetch, fetch_events, fetch_two
from meshsim.dataplane.jit import jit
from meshsim.dataplane.later import CELLS, CHUNK, in_chunk
from meshsim.dataplane.queues import ARRIVAL, COMPUTED, GATEWAY, POD, RESPONSE, SERVER, come_to, join, row_of
from meshsim.dataplane.recorder import bin_of
from meshsim.dataplane.state import BRANCH, NONE
from meshsim.results.tables import BINS, FLOWS

#: From so many connections on it is worth while.
CONNECTIONS = 8192
#: Spans of the wheel between the first look at an event and its turn.
DEPTH = 8
#: The queue of each kind of events.
_QUEUE_OF = np.full(on.HEALTH_CHECK + 1, NONE)
_QUEUE_OF[on.ARRIVAL], _QUEUE_OF[on.AT_GATEWAY], _QUEUE_OF[on.AT_SERVER] = ARRIVAL, GATEWAY, SERVER
_QUEUE_OF[on.AT_POD], _QUEUE_OF[on.COMPUTED], _QUEUE_OF[on.RESPONSE] = POD, COMPUTED, RESPONSE
_FLOWS = len(FLOWS)


@jit
def look_ahead(w):
    """Fetch something of what the next events need: what is at one station of one queue, another at each event."""
    clock = w.clock[0]
    if clock.looked < clock.day:
        clock.looked = max(clock.looked + 1, clock.day - DEPTH)
        _find(w, clock.looked + DEPTH)
    clock.glance = clock.glance + 1 if clock.glance < 22 else 0
    if clock.glance < 12:
        _look_first(w, clock.glance)
    else:
        _look_again(w, clock.glance)


@jit
def _look_first(w, number):
    """Look at one of the first stations of the queues."""
    if number == 0:
        _frames(w, RESPONSE)
    elif number == 1:
        _frames(w, SERVER)
    elif number == 2:
        _frames(w, COMPUTED)
    elif number == 3:
        _frames(w, POD)
    elif number == 4:
        _calls_answered(w)
    elif number == 5:
        _pods(w, SERVER)
    elif number == 6:
        _pods(w, COMPUTED)
    elif number == 7:
        _frames(w, GATEWAY)
    elif number == 8:
        _of_calls_answered(w)
    elif number == 9:
        _sidecars(w, SERVER)
    elif number == 10:
        _sidecars(w, COMPUTED)
    else:
        _pods(w, POD)


@jit
def _look_again(w, number):
    """Look at one of the last stations of the queues."""
    if number == 12:
        _of_callers(w)
    elif number == 13:
        _calls_at_gateways(w)
    elif number == 14:
        _calls_after_computing(w)
    elif number == 15:
        foresight.destinations(w)
    elif number == 16:
        _calls_after_responses(w)
    elif number == 17:
        _scripts(w)
    elif number == 18:
        foresight.hosts(w)
    elif number == 19:
        _connections_of_gateways(w)
    elif number == 20:
        foresight.slots(w)
    elif number == 21:
        _arrivals(w)
    else:
        foresight.connections(w)


@jit
def _find(w, span):
    """Let the events of a span join their queues."""
    _fetch_cell(w, w.cells[(span + 1) & (CELLS - 1)])
    cell = w.cells[span & (CELLS - 1)]
    left, chunk = cell.count, cell.chunk
    while left > 0:
        size = in_chunk(left)
        for number in range(size):
            event = w.later[chunk * CHUNK + number]
            queue = _QUEUE_OF[event.kind]
            if queue != NONE:
                row = join(w, queue)
                row.subject = event.subject
                row.generation = event.generation
                row.due = event.time
        left -= size
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
def _lives(w, row):
    """Return whether the frame of an event has not ended since: in its place there may be one of another kind."""
    return w.frames[row.subject].generation == row.generation


@jit
def _arrivals(w):
    """Foresee the first request of each user's action, most likely the first action of the source."""
    for number in come_to(w, ARRIVAL, 1):
        source = w.sources[row_of(w, ARRIVAL, number).subject]
        request = w.action_requests[w.actions[source.first_action].first]
        route = w.resolved[w.proxies[source.proxy].configuration, request.route, 0]
        path = child(w.operations[request.operation].identity, 0, 0)
        foresight.foresee(w, source.proxy, route, source.number | source.made, path)


@jit
def _frames(w, queue):
    """Fetch the frames of events."""
    for number in come_to(w, queue, 1):
        fetch_two(w.frames, row_of(w, queue, number).subject)


@jit
def _pods(w, queue):
    """Fetch the pods that serves are at or come to, and where they go on in their script."""
    for number in come_to(w, queue, 2):
        frame = w.frames[row_of(w, queue, number).subject]
        fetch_two(w.pods, frame.pod)
        if queue == COMPUTED:
            fetch(w.steps, frame.step + 1)


@jit
def _sidecars(w, queue):
    """Fetch the sidecars of the pods."""
    for number in come_to(w, queue, 3):
        row = row_of(w, queue, number)
        if _lives(w, row):
            fetch(w.proxies, w.pods[w.frames[row.subject].pod].proxy)


@jit
def _scripts(w):
    """Fetch the first steps of the scripts that pods are about to run."""
    for number in come_to(w, POD, 3):
        row = row_of(w, POD, number)
        if _lives(w, row):
            serve = w.frames[row.subject]
            fetch(w.steps, w.scripts[serve.operation, w.pods[serve.pod].workload])


@jit
def _calls_after_computing(w):
    """Foresee the calls that scripts make when they have computed."""
    for number in come_to(w, COMPUTED, 4):
        row = row_of(w, COMPUTED, number)
        if _lives(w, row):
            foresight.foresee_calls(w, row.subject, w.frames[row.subject].step + 1)


@jit
def _calls_at_gateways(w):
    """Fetch the calls that serves at gateways belong to, and the gateways' replicas."""
    for number in come_to(w, GATEWAY, 2):
        serve = w.frames[row_of(w, GATEWAY, number).subject]
        fetch_two(w.frames, serve.parent)
        fetch(w.proxies, serve.proxy)


@jit
def _connections_of_gateways(w):
    """Fetch the connections that serves at gateways are on."""
    for number in come_to(w, GATEWAY, 3):
        row = row_of(w, GATEWAY, number)
        if _lives(w, row):
            fetch_two(w.connections, w.frames[w.frames[row.subject].parent].connection)


@jit
def _calls_answered(w):
    """Fetch the calls that responses answer."""
    for number in come_to(w, RESPONSE, 2):
        fetch_two(w.frames, w.frames[row_of(w, RESPONSE, number).subject].parent)


@jit
def _answers(w, row):
    """Return whether the call that a response answers has not ended, nor the response itself."""
    serve = w.frames[row.subject]
    return serve.generation == row.generation and w.frames[serve.parent].generation == serve.parent_generation


@jit
def _of_calls_answered(w):
    """Fetch what a call that comes back gives up, and its caller."""
    for number in come_to(w, RESPONSE, 3):
        row = row_of(w, RESPONSE, number)
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
    for number in come_to(w, RESPONSE, 4):
        row = row_of(w, RESPONSE, number)
        if _answers(w, row):
            call = w.frames[w.frames[row.subject].parent]
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
    for number in come_to(w, RESPONSE, 5):
        row = row_of(w, RESPONSE, number)
        if _answers(w, row):
            foresight.foresee_after(w, w.frames[w.frames[row.subject].parent])
