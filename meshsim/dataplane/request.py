"""The life of a request, top to bottom in the order it happens: one short handler per step.

arrive at the client's sidecar → priority → pick → breaker → link → east-west gateway if the networks differ →
server sidecar → pod queue → script → response back → outlier detection, retry or done → record.
`docs/life-of-a-request.md` tells the same in prose.
"""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import circuit_breaking as breaker
from meshsim.dataplane import gateway, outlier_detection, pod, retry
from meshsim.dataplane.calendar import drop_first, schedule
from meshsim.dataplane.distributions import sample
from meshsim.dataplane.draws import ARRIVAL, DECISION, FAILURE, NETWORK, SCRIPT, child, normal, uniforms
from meshsim.dataplane.frames import give_back, take
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import pick
from meshsim.dataplane.locality import choose_priority, refresh
from meshsim.dataplane.network import pass_station, transit
from meshsim.dataplane.recorder import in_flight, record_call, record_request
from meshsim.dataplane.state import (
    BRANCH,
    CALL,
    CALL_OUT,
    COMPUTE,
    DC,
    FORK,
    GATEWAY_CONNECTIONS,
    HERE,
    LOCAL,
    LOST,
    NO_FLAG,
    NONE,
    NR,
    ON_THE_WAY,
    POISSON,
    RETRY_OVERFLOW,
    RETURNING,
    SERVE,
    SERVING,
    SILENT,
    UC,
    UF,
    UH,
    UO,
    URX,
    UT,
)

#: What `advance` says when it stops: nothing left before the time, budget used up, or an array is nearly full.
DONE, BUDGET, FRAMES_FULL, CALENDAR_FULL, CONNECTIONS_FULL = range(5)
#: Room that one event may need, besides forks and calls that are not waited for.
MARGIN = 64
#: A user whose ingress gateway gives no answer gives up after this many seconds (Envoy's and Istio's connect timeout).
INGRESS_PATIENCE = 10.0
#: Stands for the repetition in the identity of a serve that is a retry; no step repeats a call so often.
RETRIED = 0x7FFFFFFF
#: A closed-loop user's next action begins at least this long (seconds) after the request before it was sent, longer
#: after an error: requests may take no time at all, and simulated time would stand still.
SHORTEST_CYCLE = 1e-6
ERROR_PAUSE = 0.001


# --- a user's request arrives -----------------------------------------------------------------------------------


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
    source.due = now + gap / source.rate
    schedule(w, source.due, on.ARRIVAL, index, generation, 0)
    start_action(w, index, number, u_action, NONE, now)


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
    first = w.actions[action].first
    start_request(w, source_index, number, user, first, first + w.actions[action].count, now)


@jit
def start_request(w, source_index, number, user, at, end, now):
    """Send one of a user's requests to the ingress gateway."""
    source = w.sources[source_index]
    operation = w.action_requests[at]
    clock = w.clock[0]
    clock.arrived += 1
    in_flight(w, now, 1)
    path = child(w.operations[operation].identity, at - w.actions[source.first_action].first, 0)
    call = start_call(w, NONE, operation, source.proxy, number, path, 0.0, now)
    frame = w.frames[call]
    frame.source = source_index
    frame.user = user
    frame.action_at = at
    frame.action_end = end


# --- the client's sidecar ---------------------------------------------------------------------------------------


@jit
def start_call(w, parent, operation, proxy, request, path, timeout, now):
    """Send a call through the caller's proxy and return its frame."""
    index = take(w, CALL)
    frame = w.frames[index]
    frame.request = request
    frame.path = path
    frame.started = now
    frame.parent = parent
    frame.parent_generation = w.frames[parent].generation if parent != NONE else 0
    frame.operation = operation
    frame.proxy = proxy
    frame.pod = NONE
    frame.gateway = NONE
    frame.upstream = w.upstream_of[proxy, w.operations[operation].service]
    frame.slot = NONE
    frame.state = HERE
    frame.attempt = 0
    frame.attempts = 0
    frame.sent = 0
    frame.tried = np.uint64(0)
    frame.holds_retry = 0
    frame.connection = NONE
    frame.source = NONE
    frame.user = NONE
    w.clock[0].calls_started += 1
    if timeout > 0.0:
        schedule(w, now + timeout, on.APPLICATION_TIMEOUT, index, frame.generation, 0)
    if frame.upstream != NONE:
        limit = w.policies[w.upstreams[frame.upstream].policy].timeout
        if limit > 0.0:
            schedule(w, now + limit, on.ROUTE_TIMEOUT, index, frame.generation, 0)
    attempt(w, index, now)
    return index


@jit
def attempt(w, index, now):
    """Make one attempt of a call: priority, host, breaker, then on its way or into the queue for a connection."""
    frame = w.frames[index]
    frame.attempt += 1
    frame.attempts += 1
    frame.slot = NONE
    u_client, u_server, u_jitter, _ = uniforms(
        w.keys, NETWORK, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(0)
    )
    frame.jitter = normal(u_jitter)
    frame.hop = u_server
    leaves = pass_station(w, frame.proxy, now, u_client, frame.request, frame.path, frame.attempt)
    if w.proxies[frame.proxy].alive == 0:  # an ingress gateway that is lost: its users get no answer, or a refusal
        patience = INGRESS_PATIENCE if w.proxies[frame.proxy].silent == 1 else 0.0
        schedule(w, now + patience, on.APPLICATION_TIMEOUT, index, frame.generation, 0)
        return
    if frame.upstream == NONE:
        fail_later(w, index, NR, leaves)
        return
    up = w.upstreams[frame.upstream]
    policy = w.policies[up.policy]
    slot = choose_host(w, index)
    if slot == NONE:
        fail_later(w, index, UH, leaves)
        return
    verdict = breaker.admit(policy, up, w.slots[slot], w.services[up.service].http1)
    if verdict == breaker.OVERFLOW:
        fail_later(w, index, UO, leaves)
        return
    frame.slot = slot
    frame.tried |= np.uint64(1) << np.uint64((slot - up.first_slot) & 63)
    if policy.per_try_timeout > 0.0:
        schedule(w, now + policy.per_try_timeout, on.TRY_TIMEOUT, index, frame.generation, frame.attempt)
    if verdict == breaker.WAIT:
        frame.state = ON_THE_WAY
        breaker.enqueue(w, frame.upstream, slot, index)
    else:
        send(w, index, leaves)


@jit
def choose_host(w, index):
    """Return the slot this attempt goes to; a retry asks again, a few times, when it meets a host already tried."""
    frame = w.frames[index]
    up = w.upstreams[frame.upstream]
    policy = w.policies[up.policy]
    tries = 1 + (policy.host_attempts if frame.attempt > 1 and policy.avoid_previous == 1 else 0)
    slot = NONE
    for number in range(tries):
        u0, u1, u2, _ = uniforms(
            w.keys, DECISION, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(number)
        )
        p = choose_priority(w.priorities, frame.upstream, up.priorities, u0) if up.priorities > 1 else 0
        level = w.priorities[frame.upstream, p]
        hosts = w.members if level.panic == 1 else w.available
        count = level.total if level.panic == 1 else level.healthy
        if count == 0:
            return NONE
        slot = pick(w, policy.balancer, level, hosts, level.first, count, u1, u2)
        if frame.tried & (np.uint64(1) << np.uint64((slot - up.first_slot) & 63)) == np.uint64(0):
            break
    return slot


@jit
def send(w, index, leaves):
    """Put an attempt on the link towards its pod or its gateway."""
    call = w.frames[index]
    call.state = HERE
    w.upstreams[call.upstream].active += 1
    w.slots[call.slot].active += 1
    host = w.slots[call.slot].host
    call.sent += 1
    serve_index = take(w, SERVE)
    serve = w.frames[serve_index]
    serve.parent = index
    serve.parent_generation = call.generation
    serve.request = call.request
    # What a server does for a retry is drawn anew, down to the last call of the tree below it.
    serve.path = call.path if call.attempt == 1 else child(call.path, call.attempt, RETRIED)
    serve.operation = call.operation
    serve.attempt = call.attempt
    serve.jitter = call.jitter
    serve.hop = call.hop
    serve.proxy = NONE
    serve.gateway = NONE
    serve.state = ON_THE_WAY
    serve.holds_worker = 0
    serve.connecting = 1
    serve.pod = host
    here = w.proxies[call.proxy].zone
    if host >= 0:
        goes_to(w, index, host, w.pods[host].zone)
        travel(w, serve_index, here, w.pods[host].zone, leaves, on.AT_SERVER)
    else:
        to_gateway(w, serve_index, -host - 2, here, leaves)


@jit
def travel(w, index, here, there, leaves, arrival):
    """Send a serve over a link; over a cut one the connection cannot be opened."""
    serve = w.frames[index]
    latency = transit(w, here, there, serve.jitter, serve.request, serve.path, serve.attempt * 8 + arrival)
    if latency < 0.0:
        cannot_connect(w, index, leaves, True)
    else:
        schedule(w, leaves + latency, arrival, index, serve.generation, 0)


@jit
def cannot_connect(w, index, now, silent):
    """End a serve whose connection was refused now, or gets no answer until the connect timeout.

    Behind an east-west gateway too, as TLS runs end to end; a connection that was kept is reset instead.
    """
    serve = w.frames[index]
    call = w.frames[serve.parent]
    flag = UF if serve.connecting == 1 else UC
    if is_current(w, serve):
        gateway.closed(w, call.connection)
        pause = 0.0
        if silent and call.slot != NONE and call.state == HERE:
            call.state = LOST  # a request that waits for its connection does not count as active (spec §2.4)
            w.slots[call.slot].active -= 1
        if silent:
            pause = w.policies[w.upstreams[call.upstream].policy].connect_timeout
        schedule(w, now + pause, on.FAILED, serve.parent, call.generation, serve.attempt * 16 + flag)
    give_back(w, index)


@jit
def goes_to(w, index, pod_index, zone):
    """Write down on a call where its present attempt goes."""
    call = w.frames[index]
    call.pod = pod_index
    call.flow = w.links[w.proxies[call.proxy].zone, zone].distance
    call.farthest = max(call.farthest, call.flow)


@jit
def is_current(w, serve):
    """Return whether the caller still waits for this attempt."""
    call = w.frames[serve.parent]
    return call.generation == serve.parent_generation and call.attempt == serve.attempt


# --- the east-west gateway --------------------------------------------------------------------------------------


@jit
def to_gateway(w, index, address, here, leaves):
    """Send a serve to a gateway: over a connection that is kept, or to any live replica to open a new one."""
    serve = w.frames[index]
    call = w.frames[serve.parent]
    u_connection, u_replica, _, _ = uniforms(
        w.keys, DECISION, serve.request, serve.path, np.uint64(serve.attempt), np.uint64(100)
    )
    http1 = w.services[w.upstreams[call.upstream].service].http1
    call.connection = gateway.connection_for(w, call.slot, http1, w.proxies[call.proxy].workers, u_connection)
    serve.pod = NONE
    if call.connection != NONE:
        kept = w.connections[call.connection]
        kept.streams += 1
        if gateway.is_open(w, call.connection):
            serve.connecting = 0
            serve.proxy = kept.replica
            serve.pod = kept.pod
    if serve.connecting == 1:
        serve.proxy = gateway.live_replica(w, address, u_replica)
    row = w.gateways[address]
    goes_to(w, serve.parent, serve.pod, row.zone if serve.pod == NONE else w.pods[serve.pod].zone)
    if serve.proxy != NONE:
        travel(w, index, here, w.proxies[serve.proxy].zone, leaves, on.AT_GATEWAY)
        return
    round_trip = 2.0 * transit(w, here, row.zone, serve.jitter, serve.request, serve.path, serve.attempt * 8)
    cannot_connect(w, index, leaves + max(round_trip, 0.0), row.down == SILENT or round_trip < 0.0)


@jit
def on_gateway(w, index, now):
    """Pass a serve through a gateway replica; for a new connection the gateway chooses a pod, blind to HTTP."""
    serve = w.frames[index]
    replica = serve.proxy
    if w.proxies[replica].alive == 0:
        turned_away(w, index, replica, now, w.proxies[replica].silent == 1)
        return
    serve.gateway = replica
    serve.life = w.proxies[replica].life
    u_hop, _, _, _ = uniforms(w.keys, NETWORK, serve.request, serve.path, np.uint64(serve.attempt), np.uint64(1))
    leaves = pass_station(w, replica, now, u_hop, serve.request, serve.path, serve.attempt)
    if serve.connecting == 1:
        u1, u2, _, _ = uniforms(w.keys, DECISION, serve.request, serve.path, np.uint64(serve.attempt), np.uint64(101))
        upstream = w.upstream_of[replica, w.operations[serve.operation].service]
        if upstream == NONE or w.priorities[upstream, 0].healthy == 0:
            turned_away(w, index, replica, leaves, False)
            return
        up = w.upstreams[upstream]
        level = w.priorities[upstream, 0]
        slot = pick(w, w.policies[up.policy].balancer, level, w.available, level.first, level.healthy, u1, u2)
        serve.pod = w.slots[slot].host
        if is_current(w, serve):
            goes_to(w, serve.parent, serve.pod, w.pods[serve.pod].zone)
    travel(w, index, w.proxies[replica].zone, w.pods[serve.pod].zone, leaves, on.AT_SERVER)


# --- the server's sidecar and the pod ---------------------------------------------------------------------------


@jit
def on_server(w, index, now):
    """Pass a serve through the server's sidecar, if its pod still listens."""
    serve = w.frames[index]
    server = w.pods[serve.pod]
    if server.state != SERVING:
        refused(w, index, now)
        return
    serve.state = HERE
    if serve.gateway != NONE and serve.connecting == 1 and is_current(w, serve):
        gateway.opened(w, w.frames[serve.parent].connection, serve.gateway, serve.pod)
    leaves = pass_station(w, server.proxy, now, serve.hop, serve.request, serve.path, serve.attempt)
    if leaves > now:
        schedule(w, leaves, on.AT_POD, index, serve.generation, 0)
    else:
        on_pod(w, index, now)


@jit
def refused(w, index, now):
    """Carry a refusal back to the client; a silent pod gives none."""
    serve = w.frames[index]
    server = w.pods[serve.pod]
    if serve.gateway != NONE:
        here, there = server.zone, w.proxies[serve.gateway].zone
        back = transit(w, here, there, serve.jitter, serve.request, serve.path, serve.attempt * 8 + 6)
        turned_away(w, index, serve.gateway, now + max(back, 0.0), server.state == SILENT or back < 0.0)
        return
    there = w.proxies[w.frames[serve.parent].proxy].zone
    back = transit(w, server.zone, there, serve.jitter, serve.request, serve.path, serve.attempt * 8 + 7)
    cannot_connect(w, index, now + max(back, 0.0), server.state == SILENT or back < 0.0)


@jit
def turned_away(w, index, replica, now, silent):
    """Carry a gateway's failure to connect back to the client; one that gets no answer gives none."""
    serve = w.frames[index]
    here, there = w.proxies[replica].zone, w.proxies[w.frames[serve.parent].proxy].zone
    back = transit(w, here, there, serve.jitter, serve.request, serve.path, serve.attempt * 8 + 7)
    cannot_connect(w, index, now + max(back, 0.0), silent or back < 0.0)


@jit
def on_pod(w, index, now):
    """Take a request into the pod: fail it, queue it, refuse it or start its script."""
    serve = w.frames[index]
    server = w.pods[serve.pod]
    if server.fail_fraction > 0.0:
        u, _, _, _ = uniforms(w.keys, FAILURE, serve.request, serve.path, np.uint64(serve.attempt), np.uint64(0))
        if u < server.fail_fraction:
            respond(w, index, server.fail_code, now)
            return
    if server.queued >= server.limit and server.busy >= server.workers:
        respond(w, index, 503, now)
        return
    serve.step = w.scripts[serve.operation, server.workload]
    serve.left = NONE
    serve.fail_code = 0
    if server.hold == 1:
        if server.busy >= server.workers:
            pod.enqueue(w, serve.pod, index)
            return
        pod.occupy(w, serve.pod, now, 1)
        serve.holds_worker = 1
    run_script(w, index, now)


@jit
def run_script(w, index, now):
    """Go on with a script until it waits for something or ends."""
    while True:
        frame = w.frames[index]
        step = w.steps[frame.step]
        if step.kind == COMPUTE:
            pod.compute(w, index, now, step.distribution)
            return
        if step.kind == CALL_OUT:
            if call_out(w, index, step, now):
                return
        elif step.kind == FORK:
            fork(w, index, step, now)
            return
        elif frame.kind == BRANCH:
            index = join(w, index)
            if index == NONE:
                return
            if w.frames[index].fail_code > 0:
                respond_or_join(w, index, now)
                return
        else:
            respond(w, index, 200, now)
            return


@jit
def call_out(w, index, step, now):
    """Make the calls of a step, one after the other; return whether the script has to wait."""
    frame = w.frames[index]
    while True:
        if frame.left == NONE:
            frame.left = repetitions(w, frame, step)
            frame.pending = 0
        if frame.left == 0:
            frame.left = NONE
            frame.step += 1
            return False
        path = child(frame.path, step.place, frame.left * 128 + frame.pending)
        proxy = w.pods[frame.pod].proxy
        waits = step.wait == 1
        start_call(w, index if waits else NONE, step.operation, proxy, frame.request, path, step.timeout, now)
        if waits:
            return True
        frame.left -= 1


@jit
def repetitions(w, frame, step):
    """Return how many calls a step makes: 1.6 is 1, and 2 in 60 % of cases; each is made with its probability."""
    count = int(step.count)
    rest = step.count - count
    if rest == 0.0 and step.probability >= 1.0:
        return count
    u, v, _, _ = uniforms(
        w.keys, SCRIPT, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(step.place << 16)
    )
    if u < rest:
        count += 1
    if step.probability >= 1.0:
        return count
    made = 1 if count > 0 and v < step.probability else 0
    for number in range(1, count):
        v, _, _, _ = uniforms(
            w.keys, SCRIPT, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(step.place << 16 | number)
        )
        made += 1 if v < step.probability else 0
    return made


@jit
def fork(w, index, step, now):
    """Start the branches of a step at once."""
    frame = w.frames[index]
    frame.pending = step.branches
    for number in range(step.first, step.first + step.branches):
        branch_index = take(w, BRANCH)
        branch = w.frames[branch_index]
        branch.parent = index
        branch.parent_generation = frame.generation
        branch.request = frame.request
        branch.path = frame.path
        branch.attempt = frame.attempt
        branch.pod = frame.pod
        branch.gateway = NONE
        branch.step = w.branches[number]
        branch.left = NONE
        branch.fail_code = 0
        branch.holds_worker = 0
        schedule(w, now, on.RESUME, branch_index, branch.generation, 0)


@jit
def join(w, index):
    """End a branch; return its parent when that was the last one, else none."""
    branch = w.frames[index]
    parent = branch.parent
    stale = w.frames[parent].generation != branch.parent_generation
    farthest, fail_code = branch.farthest, branch.fail_code
    give_back(w, index)
    if stale:
        return NONE
    frame = w.frames[parent]
    frame.farthest = max(frame.farthest, farthest)
    frame.fail_code = max(frame.fail_code, fail_code)
    frame.pending -= 1
    if frame.pending > 0:
        return NONE
    frame.step += 1
    return parent


@jit
def respond_or_join(w, index, now):
    """End a serve or a branch that failed, and every branch that it thereby completes."""
    while w.frames[index].kind == BRANCH:
        index = join(w, index)
        if index == NONE:
            return
    respond(w, index, w.frames[index].fail_code, now)


@jit
def on_computed(w, index, now):
    """Free the worker and go on with the script."""
    frame = w.frames[index]
    if w.pods[frame.pod].hold == 0:
        pod.release_worker(w, frame.pod, now)
    frame.step += 1
    run_script(w, index, now)


@jit
def respond(w, index, code, now):
    """Send the response on its way back."""
    serve = w.frames[index]
    if serve.holds_worker == 1:
        serve.holds_worker = 0
        pod.release_worker(w, serve.pod, now)
    w.pods[serve.pod].served += 1
    serve.code = code
    go_back(w, index, now)


@jit
def go_back(w, index, now):
    """Carry a response over the links; over a cut one it waits until the link is mended."""
    serve = w.frames[index]
    call = w.frames[serve.parent]
    if call.generation != serve.parent_generation:
        give_back(w, index)
        return
    serve.state = RETURNING
    here, there = w.pods[serve.pod].zone, w.proxies[call.proxy].zone
    salt = serve.attempt * 8 + 7
    if serve.gateway == NONE:
        latency = transit(w, here, there, serve.jitter, serve.request, serve.path, salt)
    else:
        replica = w.proxies[serve.gateway]
        if replica.life != serve.life:
            serve.flag = UC
            serve.code = 503
        latency = transit(w, here, replica.zone, serve.jitter, serve.request, serve.path, salt)
        rest = transit(w, replica.zone, there, serve.jitter, serve.request, serve.path, salt + 100000)
        latency = -1.0 if latency < 0.0 or rest < 0.0 else latency + rest
    if latency < 0.0:
        serve.state = LOST
    else:
        schedule(w, now + latency, on.RESPONSE, index, serve.generation, 0)


# --- back at the client's sidecar -------------------------------------------------------------------------------


@jit
def on_response(w, index, now):
    """Take a response, unless the call gave up on this attempt."""
    serve = w.frames[index]
    call_index = serve.parent
    call = w.frames[call_index]
    code, flag = serve.code, serve.flag
    if is_current(w, serve) and call.slot != NONE:
        call.farthest = max(call.farthest, serve.farthest)
        give_back(w, index)
        end_attempt(w, call_index, code, flag, now)
    else:
        give_back(w, index)


@jit
def fail_later(w, index, flag, when):
    """Let the proxy answer for an attempt that found no way, when it has passed the proxy."""
    frame = w.frames[index]
    frame.flow = LOCAL
    frame.pod = NONE
    schedule(w, when, on.FAILED, index, frame.generation, frame.attempt * 16 + flag)


@jit
def on_failed(w, index, extra, now):
    """End an attempt that got no response."""
    frame = w.frames[index]
    flag = extra % 16
    waiting = frame.slot != NONE or flag == NR or flag == UH or flag == UO
    if frame.attempt != extra // 16 or not waiting:
        return  # the attempt had timed out before
    end_attempt(w, index, 404 if flag == NR else 503, flag, now)


@jit
def let_go(w, index, flag, now):
    """Give up the attempt's place at its host; a call that waited for it goes next."""
    frame = w.frames[index]
    slot = frame.slot
    if slot == NONE:
        return
    frame.slot = NONE
    if frame.connection != NONE:
        w.connections[frame.connection].streams -= 1
        if (flag == UT or flag == DC) and w.services[w.upstreams[frame.upstream].service].http1 == 1:
            gateway.closed(w, frame.connection)  # HTTP/1.1 can abandon a request only with its connection
        frame.connection = NONE
    if frame.state == ON_THE_WAY:
        frame.state = HERE
        breaker.leave_queue(w, frame.upstream, slot, index)
        return
    w.upstreams[frame.upstream].active -= 1
    host = w.slots[slot]
    if frame.state == LOST:
        frame.state = HERE
    else:
        host.active -= 1
    following = host.queue_head
    if following != NONE:
        breaker.leave_queue(w, frame.upstream, slot, following)
        send(w, following, now)


@jit
def leave_host(w, index, code, flag, now):
    """Give up the attempt's place at its host, and tell outlier detection how it ended if it got that far."""
    frame = w.frames[index]
    slot = frame.slot
    waited = frame.state == ON_THE_WAY
    let_go(w, index, flag, now)
    if slot != NONE and not waited:
        outlier_detection.report(w, frame.upstream, slot, now, code, flag)


@jit
def end_attempt(w, index, code, flag, now):
    """Give up the attempt's place, then retry or end the call."""
    frame = w.frames[index]
    leave_host(w, index, code, flag, now)
    if (code >= 500 or flag != NO_FLAG) and frame.upstream != NONE:
        up = w.upstreams[frame.upstream]
        policy = w.policies[up.policy]
        if policy.retries > 0 and retry.matches(w, up.policy, w.services[up.service].grpc, code, flag):
            if frame.attempt > policy.retries:
                flag |= URX
            elif frame.holds_retry == 0 and not breaker.may_retry(policy, up):
                flag |= RETRY_OVERFLOW
            else:
                retry_later(w, index, now)
                return
    end_call(w, index, code, flag, now)


@jit
def retry_later(w, index, now):
    """Pause before the next attempt."""
    frame = w.frames[index]
    up = w.upstreams[frame.upstream]
    if frame.holds_retry == 0:
        frame.holds_retry = 1
        up.retrying += 1
    _, _, _, u = uniforms(w.keys, DECISION, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(0))
    pause = retry.backoff(w.policies[up.policy], frame.attempt, u)
    schedule(w, now + pause, on.RETRY, index, frame.generation, frame.attempt)


@jit
def end_call(w, index, code, flag, now):
    """Record a call and hand its result to whoever made it."""
    frame = w.frames[index]
    frame.code = code
    frame.flag = flag
    if frame.holds_retry == 1:
        w.upstreams[frame.upstream].retrying -= 1
    record_call(w, index, now)
    parent, parent_generation = frame.parent, frame.parent_generation
    if frame.source != NONE:
        end_request(w, index, now)
        return
    farthest = frame.farthest
    give_back(w, index)
    if parent == NONE or w.frames[parent].generation != parent_generation:
        return
    caller = w.frames[parent]
    caller.farthest = max(caller.farthest, farthest)
    call_returned(w, parent, code >= 400 or code <= 0, now)


@jit
def end_request(w, index, now):
    """Record a user's request; send the action's next one, or let the user think."""
    frame = w.frames[index]
    record_request(w, index, now)
    source_index, user, request = frame.source, frame.user, frame.request
    at, end = frame.action_at + 1, frame.action_end
    failed = frame.code >= 500 or frame.code <= 0
    started = frame.started
    give_back(w, index)
    if at < end:
        start_request(w, source_index, request, user, at, end, now)
    elif user != NONE:
        source = w.sources[source_index]
        pause = 0.0
        if source.think != NONE:
            u, _, _, _ = uniforms(w.keys, ARRIVAL, request, np.uint64(1), np.uint64(0), np.uint64(0))
            pause = sample(w, source.think, u, request, np.uint64(1), 2)
        least = ERROR_PAUSE if failed else SHORTEST_CYCLE
        schedule(w, max(now + pause, started + least), on.USER, user, 0, 0)


@jit
def call_returned(w, index, failed, now):
    """Go on with the script of a caller whose call came back."""
    frame = w.frames[index]
    step = w.steps[frame.step]
    if failed and frame.pending < step.retries:
        frame.pending += 1
        run_script(w, index, now)
    elif failed and step.ignore == 0:
        frame.fail_code = 500
        respond_or_join(w, index, now)
    else:
        frame.pending = 0
        frame.left -= 1
        run_script(w, index, now)


@jit
def on_timeout(w, index, code, flag, now):
    """End a call whose route timeout passed (504 UT) or whose caller gave up (0 DC); no retry."""
    leave_host(w, index, code, flag, now)
    end_call(w, index, code, flag, now)


# --- the loop ---------------------------------------------------------------------------------------------------


@jit
def handle(w, kind, index, extra, generation, now):
    """Handle one event."""
    if kind == on.ARRIVAL:
        on_arrival(w, index, generation, now)
    elif kind == on.USER:
        on_user(w, index, now)
    elif kind == on.REFRESH:
        w.upstreams[index].refresh_due = 0
        refresh(w, index, now)
    elif kind == on.RELEASE:
        outlier_detection.release(w, index, generation, extra, now)
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
def advance(w, until, budget):
    """Handle every event before a time, at most ``budget`` of them; return why it stopped."""
    clock = w.clock[0]
    room_frames = len(w.frames) - MARGIN - 2 * clock.widest
    room_events = len(w.heap) - MARGIN - 4 * clock.widest
    room_connections = len(w.connections) - GATEWAY_CONNECTIONS * (MARGIN + clock.widest)
    while clock.scheduled > 0 and w.heap[0].time < until:
        if clock.used >= room_frames:
            return FRAMES_FULL
        if clock.scheduled >= room_events:
            return CALENDAR_FULL
        if clock.connections >= room_connections:
            return CONNECTIONS_FULL
        if budget <= 0:
            return BUDGET
        budget -= 1
        first = w.heap[0]
        now, kind, subject, extra, generation = first.time, first.kind, first.subject, first.extra, first.generation
        drop_first(w)
        clock.now = now
        clock.handled += 1
        handle(w, kind, subject, extra, generation, now)
    return DONE
