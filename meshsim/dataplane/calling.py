"""Calls: from the caller through its proxy onto a connection: faults, route, host, breaker, connection."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import connecting, outlier_detection, pool, routing, trace
from meshsim.dataplane.calendar import schedule
from meshsim.dataplane.draws import DECISION, child, normal, uniforms
from meshsim.dataplane.frames import give_back, is_current, take
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import choose
from meshsim.dataplane.network import network_draws, pass_station, transit
from meshsim.dataplane.scope import upstream_of
from meshsim.dataplane.state import (
    CALL,
    FI,
    FLAG,
    HELD,
    HERE,
    LOCAL,
    NC,
    NO_FLAG,
    NO_HASH,
    NONE,
    ON_THE_WAY,
    OPEN,
    SERVE,
    SIDECAR,
    UH,
    UO,
    WAITING,
)

#: A user whose ingress gateway gives no answer gives up after this many seconds (Envoy's and Istio's connect timeout).
INGRESS_PATIENCE = 10.0
#: Stands for the repetition in the identity of a serve that is a retry; no step repeats a call so often.
RETRIED = 0x7FFFFFFF
#: The same for a mirrored copy.
MIRRORED = 0x7FFFFFFE
#: A connection whose packets get no answer is given up after this many seconds (Linux, tcp_retries2 = 15).
GIVE_UP = 924.6


@jit
def new_call(w, parent, operation, route, variant, proxy, request, path, now):
    """Return the frame of a call that a proxy is about to make."""
    index = take(w, CALL)
    frame = w.frames[index]
    frame.request = request
    frame.path = path
    frame.started = now
    frame.parent = parent
    frame.parent_generation = w.frames[parent].generation if parent != NONE else 0
    frame.operation = operation
    frame.route = route
    frame.variant = variant
    frame.proxy = proxy
    frame.pod = NONE
    frame.upstream = NONE
    frame.slot = NONE
    frame.state = HERE
    frame.attempt = 0
    frame.attempts = 0
    frame.sent = 0
    frame.tried = np.uint64(0)
    frame.tried_levels = 0
    frame.left_out = 0
    frame.holds_retry = 0
    frame.mirrored = 0
    frame.connection = NONE
    frame.source = NONE
    frame.user = NONE
    w.clock[0].calls_started += 1
    return index


@jit
def start_call(w, index, timeout, now):
    """Take a call into its proxy: injected faults come first, then the route."""
    frame = w.frames[index]
    if timeout > 0.0:
        schedule(w, now + timeout, on.APPLICATION_TIMEOUT, index, frame.generation, 0)
    if w.routes[frame.route].faults == 1:
        pause, aborted = routing.faults(w, frame)
        if pause > 0.0 or aborted:
            schedule(w, now + pause, on.ROUTED, index, frame.generation, int(aborted))
            return
    on_routed(w, index, 0, now)


@jit
def on_routed(w, index, aborted, now):
    """Send a call to one of its route's destinations, or answer it at once."""
    frame = w.frames[index]
    route = w.routes[frame.route]
    if aborted == 1:
        fail_later(w, index, FI, now)
        return
    if route.direct > 0:
        fail_later(w, index, NO_FLAG if route.direct_flag == 0 else route.direct_flag, now)
        return
    target = routing.target(w, frame, route)
    destination, operation = w.targets[target].destination, w.targets[target].operation
    frame.upstream = upstream_of(w, frame.proxy, destination) if destination != NONE else NONE
    if frame.upstream == NONE:
        fail_later(w, index, NC, now)
        return
    frame.operation = operation
    if route.timeout > 0.0:
        schedule(w, now + route.timeout, on.ROUTE_TIMEOUT, index, frame.generation, 0)
    for number in range(route.mirrors):
        mirror(w, index, route.first_mirror + number, now)
    attempt(w, index, now)


@jit
def worker_of(w, proxy_index, upstream, u):
    """Return the worker thread of a proxy that the connection of the caller of an upstream is on.

    An HTTP/2 client keeps one connection to its sidecar, so all its requests are on one thread; those of
    HTTP/1.1 clients and of users are on any.
    """
    proxy = w.proxies[proxy_index]
    if proxy.threads == 1:
        return 0
    up = w.upstreams[upstream]
    if proxy.kind == SIDECAR and w.policies[up.policy].http1 == 0:
        return np.int64(up.thread)
    return int(u * proxy.threads)


@jit
def mirror(w, index, target, now):
    """Send a copy of a call, the answer to which nobody waits for; it is not retried."""
    frame = w.frames[index]
    if not routing.is_mirrored(w, frame, target):
        return
    destination, operation = w.targets[target].destination, w.targets[target].operation
    upstream = upstream_of(w, frame.proxy, destination) if destination != NONE else NONE
    if upstream == NONE or operation == NONE:
        return
    path = child(frame.path, target, MIRRORED)
    copy = new_call(w, NONE, operation, frame.route, frame.variant, frame.proxy, frame.request, path, now)
    w.frames[copy].upstream = upstream
    w.frames[copy].mirrored = 1
    limit = w.routes[frame.route].timeout
    if limit > 0.0:
        schedule(w, now + limit, on.ROUTE_TIMEOUT, copy, w.frames[copy].generation, 0)
    attempt(w, copy, now)


@jit
def attempt(w, index, now):
    """Make one attempt of a call: host, breaker, then on its way over a connection or into the queue for one."""
    frame = w.frames[index]
    frame.attempt += 1
    frame.attempts += 1
    frame.slot = NONE
    u_client, u_server, u_jitter, u_worker = network_draws(w, frame)
    if frame.attempt == 1:
        frame.worker = worker_of(w, frame.proxy, frame.upstream, u_worker)
    leaves = pass_station(w, frame.proxy, frame.worker, now, u_client, frame.request, frame.path, frame.attempt)
    if trace.sampled(w, frame.request):
        trace.note_attempt(w, index, leaves, now)
    if w.proxies[frame.proxy].alive == 0:  # an ingress gateway that is lost: its users get no answer, or a refusal
        patience = INGRESS_PATIENCE if w.proxies[frame.proxy].silent == 1 else 0.0
        schedule(w, now + patience, on.APPLICATION_TIMEOUT, index, frame.generation, 0)
        return
    up = w.upstreams[frame.upstream]
    policy = w.policies[up.policy]
    slot = kept_host(w, frame, up) if policy.keeps_host == 1 else NONE
    if slot == NONE:
        slot = choose_host(w, index)
    if slot == NONE:
        fail_later(w, index, UH, leaves)
        return
    host = w.slots[slot]
    frame.tried |= np.uint64(1) << np.uint64((slot - up.first_slot) & 63)
    frame.tried_levels |= 1 << host.priority
    if policy.keeps_host == 1:
        w.balancers[up.first_balancer + frame.worker].kept = host.pools + frame.worker + 1
    connection = pool.ready(w, slot, frame.worker, policy, now)
    if connection != NONE:
        if up.active >= policy.max_requests:
            fail_later(w, index, UO, leaves)
            return
        frame.slot = slot
        send(w, index, connection, leaves, normal(u_jitter), u_server)
    elif up.pending >= policy.max_pending:
        fail_later(w, index, UO, leaves)
    else:
        frame.slot = slot
        frame.state = WAITING
        frame.pod = NONE
        pool.enqueue(w, host.pools + frame.worker, index)
        open_or_send(w, host.pools + frame.worker, index, leaves)


@jit
def open_or_send(w, pool_index, opener, now):
    """Open connections for those who wait; where that takes no time, send them at once."""
    waits = w.pools[pool_index]
    if waits.waiting > waits.promised:
        connecting.open_needed(w, pool_index, opener, now)
        if pool.first_ready(w, waits.slot, waits.worker) != NONE:
            serve_waiting(w, pool_index, now)


@jit
def serve_waiting(w, pool_index, now):
    """Send the requests that wait in a pool over the connections that are free, and open others for the rest."""
    waits = w.pools[pool_index]
    up = w.upstreams[waits.upstream]
    policy = w.policies[up.policy]
    while waits.head != NONE:
        connection = pool.ready(w, waits.slot, waits.worker, policy, now)
        if connection == NONE:
            if waits.waiting <= waits.promised:
                return
            connecting.open_needed(w, pool_index, waits.head, now)
            if pool.first_ready(w, waits.slot, waits.worker) == NONE:
                return
            continue
        index = waits.head
        pool.leave_queue(w, pool_index, index)
        if up.active >= policy.max_requests:
            w.frames[index].slot = NONE
            w.frames[index].state = HERE
            fail_later(w, index, UO, now)
        else:
            _, u_server, u_jitter, _ = network_draws(w, w.frames[index])
            send(w, index, connection, now, normal(u_jitter), u_server)


@jit
def kept_host(w, frame, up):
    """Return where a TCP client's connections are: they stay until they break; none if there are none."""
    kept = w.balancers[up.first_balancer + frame.worker].kept - 1
    if kept == NONE or pool.first_ready(w, w.pools[kept].slot, frame.worker) == NONE:
        return NONE
    return w.pools[kept].slot


@jit
def choose_host(w, index):
    """Return the slot this attempt goes to; a retry asks again, a few times, when it meets a host already tried."""
    frame = w.frames[index]
    up = w.upstreams[frame.upstream]
    policy = w.policies[up.policy]
    route = w.routes[frame.route]
    keyed, key = 0, np.uint64(0)
    if policy.hash_kind != NO_HASH:
        keyed, key = routing.hash_key(w, frame, policy)
    if frame.attempt % 2 == 1:  # previous_priorities: every second retry leaves out the priorities tried so far
        frame.left_out = frame.tried_levels
    tried = int(frame.left_out) if route.remote_localities == 1 else 0
    tries = 1
    avoids = route.avoid_previous == 1 and (policy.hash_kind == NO_HASH or route.own_retries == 1)
    if frame.attempt > 1 and avoids:
        tries += route.host_attempts
    slot = NONE
    for number in range(tries):
        u0, u1, u2, _ = uniforms(
            w.keys, DECISION, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(number)
        )
        slot = choose(w, frame.upstream, frame.worker, keyed, key, u0, u1, u2, tried)
        keyed += keyed > 0
        if slot == NONE or frame.tried & (np.uint64(1) << np.uint64((slot - up.first_slot) & 63)) == np.uint64(0):
            break
    return slot


@jit
def send(w, index, connection_index, leaves, jitter, hop):
    """Put an attempt on a connection and on the link towards its pod or its gateway.

    ``jitter`` and ``hop`` are what was drawn for its links and for the server's sidecar (`attempt`).
    """
    call = w.frames[index]
    call.state = HERE
    up = w.upstreams[call.upstream]
    policy = w.policies[up.policy]
    up.active += 1
    w.slots[call.slot].active += 1
    outlier_detection.connected(policy, w.slots[call.slot])
    pool.attach(w, connection_index, policy)
    connection = w.connections[connection_index]
    call.connection = connection_index
    call.opening = connection.generation
    call.sent += 1
    limit = w.routes[call.route].per_try_timeout
    if limit > 0.0:
        schedule(w, leaves + limit, on.TRY_TIMEOUT, index, call.generation, call.attempt)
    if trace.sampled(w, call.request):
        trace.note(w, trace.SENT, index, w.slots[call.slot].host, connection_index, 0, NO_FLAG, leaves)
    serve_index = take(w, SERVE)
    serve = w.frames[serve_index]
    serve.parent = index
    serve.parent_generation = call.generation
    serve.request = call.request
    # What a server does for a retry is drawn anew, down to the last call of the tree below it.
    serve.path = call.path if call.attempt == 1 else child(call.path, call.attempt, RETRIED)
    serve.operation = call.operation
    serve.variant = call.variant
    serve.attempt = call.attempt
    serve.jitter = jitter
    serve.hop = hop
    serve.worker = connection.server_worker
    serve.gateway = NONE
    serve.state = ON_THE_WAY
    serve.holds_worker = 0
    serve.verdict = 0
    serve.inside = 0
    serve.refused = connection.refused
    serve.closes = 0
    serve.pod = connection.pod
    serve.proxy = connection.replica
    here = w.proxies[call.proxy].zone
    serve.home = here
    serve.address = connection.address
    if connection.address == NONE:
        goes_to(w, index, serve.pod, connection.zone)
        travel(w, serve_index, here, connection.zone, leaves, on.AT_SERVER)
    else:
        zone = w.gateways[connection.address].zone if serve.pod == NONE else connection.zone
        goes_to(w, index, serve.pod, zone)
        travel(w, serve_index, here, w.proxies[serve.proxy].zone, leaves, on.AT_GATEWAY)


@jit
def travel(w, index, here, there, leaves, arrival):
    """Send a serve over a link; a cut one holds it back until it is mended or TCP gives up."""
    serve = w.frames[index]
    latency = transit(w, here, there, serve.jitter, serve.request, serve.path, serve.attempt * 8 + arrival)
    if latency < 0.0:
        hold_back(w, index, HELD, leaves)
    else:
        schedule(w, leaves + latency, arrival, index, serve.generation, 0)


@jit
def hold_back(w, index, state, now):
    """Keep a message that gets no answer; its connection breaks when TCP gives up."""
    serve = w.frames[index]
    serve.state = state
    if not is_current(w, serve):
        give_back(w, index)
        return
    if trace.sampled(w, serve.request):
        trace.note_serve(w, trace.LOST, index, now)
    connection_index = w.frames[serve.parent].connection
    connection = w.connections[connection_index]
    if connection.state == OPEN and connection.breaks == 0.0:
        connection.breaks = now + GIVE_UP
        schedule(w, connection.breaks, on.BROKEN, connection_index, connection.generation, 1)


@jit
def goes_to(w, index, pod_index, zone):
    """Write down on a call where its present attempt goes."""
    call = w.frames[index]
    call.pod = pod_index
    call.flow = w.links[w.proxies[call.proxy].zone, zone].distance
    call.farthest = max(call.farthest, call.flow)


@jit
def fail_later(w, index, flag, when):
    """Let the proxy answer for an attempt that found no way, when it has passed the proxy."""
    frame = w.frames[index]
    frame.flow = LOCAL
    frame.pod = NONE
    attempt_fails(w, index, flag, when)


@jit
def attempt_fails(w, index, flag, when):
    """Let a call's present attempt end without a response (`meshsim.dataplane.ending.on_failed`)."""
    frame = w.frames[index]
    schedule(w, when, on.FAILED, index, frame.generation, frame.attempt * (FLAG + 1) + flag)
