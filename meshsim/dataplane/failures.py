"""What the control plane and the faults do to the data plane between two advances."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import connecting, health_checking, locality, outlier_detection, pool
from meshsim.dataplane.calendar import schedule
from meshsim.dataplane.calling import hold_back, serve_waiting, travel
from meshsim.dataplane.draws import DECISION, THREAD, uniforms
from meshsim.dataplane.frames import give_back, is_current
from meshsim.dataplane.gateway import address_of, is_black_hole
from meshsim.dataplane.jit import jit
from meshsim.dataplane.pod import occupy
from meshsim.dataplane.recorder import record_call
from meshsim.dataplane.scope import upstreams_of
from meshsim.dataplane.serving import go_back
from meshsim.dataplane.state import (
    BRANCH,
    CALL,
    DC,
    GONE,
    HELD,
    HERE,
    LOST,
    NONE,
    ON_THE_WAY,
    OPEN,
    SERVE,
    SERVING,
    SILENT,
    UC,
    UNUSED,
)

#: Marks a host of a new list that has no slot yet.
WANTED = -2


@jit
def apply_endpoints(
    w, upstream, hosts, priorities, weights, unhealthy, localities, locality_weights, local, own_shares, now
):
    """Give an upstream a new list of endpoints; hosts that stay keep their state. Return False if there is no room."""
    up = w.upstreams[upstream]
    end = up.first_slot + up.capacity
    slot_of = np.full(len(w.pods) + len(w.gateways), NONE, dtype=np.int32)
    for host in hosts:
        slot_of[_place(w, host)] = WANTED
    for slot in range(up.first_slot, end):
        host = w.slots[slot]
        if host.present == 0:
            continue
        if slot_of[_place(w, host.host)] == WANTED:
            slot_of[_place(w, host.host)] = slot
        else:
            host.present = 0
            up.ejected -= host.ejected
            host.ejected = 0
            pool.drain(w, slot)
    up.members = len(hosts)
    up.priorities = 1
    free = up.first_slot
    for number in range(len(hosts)):
        slot = slot_of[_place(w, hosts[number])]
        if slot == WANTED:
            while free < end and not _is_free(w, up, w.slots[free]):
                free += 1
            if free == end:
                return False
            slot = free
            clear_slot(w, slot)
            w.slots[slot].host = hosts[number]
            w.slots[slot].present = 1
        host = w.slots[slot]
        if unhealthy[number] == 1 and host.unhealthy == 0:
            pool.drain(w, slot)
        priority = priorities[number]
        locality.place(host, priority, localities[number], weights[number], locality_weights[number], unhealthy[number])
        if host.own_share != own_shares[number]:
            host.changed = 1  # zone-aware routing is worked out anew
        host.local = local[number]
        host.own_share = own_shares[number]
        up.priorities = max(up.priorities, priority + 1)
    health_checking.begin(w, upstream, now)
    locality.refresh(w, upstream, now)
    outlier_detection.begin(w, upstream, now)
    return True


@jit
def _place(w, host):
    """Return where a host stands among all pods and gateway addresses."""
    return host if host >= 0 else len(w.pods) + address_of(host)


@jit
def _is_free(w, up, host):
    """Return whether a slot's host is gone and no attempt or connection stands on it any more."""
    if host.present == 1 or host.active > 0:
        return False
    for pool_index in range(host.pools, host.pools + up.threads):
        if w.pools[pool_index].connections > 0 or w.pools[pool_index].head != NONE:
            return False
    return True


@jit
def clear_slot(w, slot):
    """Forget everything about the host that a slot held."""
    host = w.slots[slot]
    host.host = NONE
    host.present = 0
    host.active = 0
    host.counted = 0
    locality.forget_slot(host)
    outlier_detection.forget_slot(host)
    health_checking.forget_slot(host)
    for pool_index in range(host.pools, host.pools + w.upstreams[w.pools[host.pools].upstream].threads):
        pool.clear(w, pool_index)


@jit
def add_upstream(w, index, proxy, destination, part, first_balancer):
    """Let a proxy have an upstream for a destination, without hosts; its checks begin at a part of their interval."""
    up = w.upstreams[index]
    policy = w.policies[destination]
    up.proxy = proxy
    up.policy = destination
    up.threads = w.proxies[proxy].threads
    up.service = policy.service
    up.phase = (policy.interval if policy.interval != 0.0 else 1.0) * part
    up.first_balancer = first_balancer
    up.thread = _own_thread(w, up)


@jit
def _own_thread(w, up):
    """Return the worker thread of a sidecar that its application's only connection to a destination is on."""
    proxy = w.proxies[up.proxy]
    u, _, _, _ = uniforms(w.keys, DECISION, proxy.seed, np.uint64(up.policy), np.uint64(0), np.uint64(THREAD))
    return int(u * proxy.threads)


@jit
def move_upstream(w, upstream, base, capacity, first_pool):
    """Move an upstream's slots to a larger block, with the attempts that stand on them; new slots get new pools."""
    up = w.upstreams[upstream]
    for offset in range(capacity):
        slot = base + offset
        if offset < up.capacity:
            w.slots[slot] = w.slots[up.first_slot + offset]
        else:
            w.slots[slot].pools = first_pool + (offset - up.capacity) * up.threads
        for worker in range(up.threads):
            waits = w.pools[w.slots[slot].pools + worker]
            waits.slot = slot
            waits.upstream = upstream
            waits.worker = worker
        if offset >= up.capacity:
            clear_slot(w, slot)
    if up.capacity > 0:
        _move_with(w, upstream, base)
    up.first_slot = base
    up.capacity = capacity


@jit
def _move_with(w, upstream, base):
    """Let the attempts and connections that stand on an upstream's slots follow them to where these begin now."""
    first, end = w.upstreams[upstream].first_slot, w.upstreams[upstream].first_slot + w.upstreams[upstream].capacity
    shift = base - first
    for index in range(w.clock[0].used):
        frame = w.frames[index]
        if frame.kind == CALL and frame.upstream == upstream and frame.slot != NONE:
            frame.slot += shift
    for index in range(w.clock[0].connections):
        connection = w.connections[index]
        if connection.state == UNUSED:
            continue
        if first <= connection.slot < end:
            connection.slot += shift
        if connection.gateway_upstream == upstream and connection.leg_slot != NONE:
            connection.leg_slot += shift


@jit
def kill_pod(w, index, state, now):
    """Stop a pod: a gone one resets its connections, a silent one leaves its clients waiting."""
    server = w.pods[index]
    server.state = state
    occupy(w, index, now, -server.busy)
    server.head = NONE
    server.tail = NONE
    server.queued = 0
    server.inside = 0
    for number in range(w.clock[0].used):
        frame = w.frames[number]
        if frame.kind == CALL and frame.proxy == server.proxy:
            frame.code = 0
            frame.flag = DC
            record_call(w, number, NONE, now)
            give_back(w, number)
        elif frame.pod == index and frame.kind == BRANCH:
            give_back(w, number)
        elif frame.pod == index and frame.kind == SERVE and frame.state in (HERE, ON_THE_WAY, HELD):
            if state == SILENT and frame.state != HERE:
                continue  # held back at the pod's door when it gets there
            frame.generation += 1
            frame.holds_worker = 0
            frame.inside = 0
            frame.code = 503
            frame.flag = UC
            if state == GONE:
                go_back(w, number, now)
            else:
                hold_back(w, number, LOST, now)
        elif frame.pod == index and frame.kind == SERVE and frame.state == LOST and state == GONE:
            frame.code = 503  # an answer that a cut link held back goes down with the pod
            frame.flag = UC
    forget_client(w, server.proxy)
    if state == GONE:
        reset_connections(w, index, NONE, NONE, now)


@jit
def reset_connections(w, pod, replica, address, now):
    """Reset the connections that end at a pod, or pass through a gateway's replica or one of its addresses.

    Requests on them hear of it half a round trip later: `kill_pod` sees to those at a pod, BROKEN to the others. A
    client that a cut link keeps from hearing of it goes on as if its connection stood.
    """
    for index in range(w.clock[0].connections):
        connection = w.connections[index]
        ends = pod != NONE and connection.pod == pod
        passes = (replica != NONE and connection.replica == replica) or (
            address != NONE and connection.address == address
        )
        if connection.state == UNUSED or not (ends or passes):
            continue
        zone = w.pods[pod].zone if ends else w.proxies[connection.replica].zone
        if not connecting.reaches_client(w, connection, zone):
            continue
        pool_index = pool.pool_of(w, connection)
        pool.broke(w, index)
        if passes and connection.state == OPEN:
            latency = connecting.back_to_client(w, connection, zone)
            schedule(w, now + latency, on.BROKEN, index, connection.generation, 0)
        if w.pools[pool_index].head != NONE:
            serve_waiting(w, pool_index, now)


@jit
def close_gateway(w, address, now):
    """Reset what goes through a gateway address that is no more."""
    for number in range(w.clock[0].used):
        serve = w.frames[number]
        if serve.kind == SERVE and serve.gateway != NONE and is_current(w, serve):
            if w.connections[w.frames[serve.parent].connection].address == address:
                serve.life = NONE  # its answer finds no way back
    reset_connections(w, NONE, NONE, address, now)
    for index in range(w.clock[0].connections):
        if w.connections[index].state != UNUSED and w.connections[index].address == address:
            w.connections[index].replica_life = NONE


@jit
def forget_hosts(w, proxy):
    """Clear what a proxy knows of its destinations, before another pod takes over its records."""
    for upstream in upstreams_of(w, proxy):
        up = w.upstreams[upstream]
        up.ejected = 0
        up.thread = _own_thread(w, up)
        for slot in range(up.first_slot, up.first_slot + up.capacity):
            clear_slot(w, slot)
        locality.forget(w, upstream)


@jit
def forget_client(w, proxy):
    """Clear what a dead pod's sidecar had under way."""
    for index in range(w.clock[0].connections):
        connection = w.connections[index]
        if connection.state != UNUSED and w.upstreams[pool.opener_of(w, connection)].proxy == proxy:
            pool.close(w, index)
    for upstream in upstreams_of(w, proxy):
        up = w.upstreams[upstream]
        up.active = 0
        up.retrying = 0
        for slot in range(up.first_slot, up.first_slot + up.capacity):
            w.slots[slot].active = 0
            for pool_index in range(w.slots[slot].pools, w.slots[slot].pools + up.threads):
                pool.clear(w, pool_index)


@jit
def resend_lost(w, now):
    """Carry on with messages that a cut link or a silent pod held back, where the way is open again."""
    for number in range(w.clock[0].used):
        frame = w.frames[number]
        if frame.kind != SERVE or (frame.state != LOST and frame.state != HELD):
            continue
        call = w.frames[frame.parent]
        if not is_current(w, frame):
            give_back(w, number)
            continue
        connection = w.connections[call.connection]
        if frame.state == HELD and connection.leg < 0.0:
            latency = connecting.back_to_client(w, connection, w.proxies[connection.replica].zone)
            if latency >= 0.0:  # the reset of a gateway that found no pod
                schedule(w, now + latency, on.BROKEN, call.connection, connection.generation, 0)
            continue
        breaks = connection.breaks
        if _may_go_on(w, frame, connection):
            connection.breaks = 0.0
            resend(w, number, call, now)
            if (frame.state == LOST or frame.state == HELD) and breaks > 0.0:
                connection.breaks = breaks  # held back again: TCP's patience does not begin anew


@jit
def _may_go_on(w, frame, connection):
    """Return whether who has or would get a message that was held back is there, if links allow."""
    if frame.state == LOST:
        return w.pods[frame.pod].state in (SERVING, GONE)
    if frame.gateway == NONE and frame.proxy != NONE:
        return w.proxies[frame.proxy].silent == 0 and not is_black_hole(w, connection.address)
    if frame.pod == NONE or w.pods[frame.pod].state == SILENT:
        return False
    plain = pool.policy_of(w, connection).tls == 0
    return frame.gateway == NONE or not plain or connection.leg > 0.0  # else the gateway is still connecting


@jit
def resend(w, number, call, now):
    """Put a message that was held back on its way again."""
    frame = w.frames[number]
    if frame.state == LOST:
        go_back(w, number, now)
        return
    frame.state = ON_THE_WAY
    if frame.gateway == NONE and frame.proxy != NONE:
        travel(w, number, w.proxies[call.proxy].zone, w.proxies[frame.proxy].zone, now, on.AT_GATEWAY)
    else:
        here = w.proxies[call.proxy].zone if frame.gateway == NONE else w.proxies[frame.gateway].zone
        travel(w, number, here, w.pods[frame.pod].zone, now, on.AT_SERVER)
