"""What the control plane and the faults do to the data plane between two advances."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import gateway
from meshsim.dataplane.frames import give_back
from meshsim.dataplane.jit import jit
from meshsim.dataplane.locality import refresh
from meshsim.dataplane.pod import occupy
from meshsim.dataplane.recorder import record_call
from meshsim.dataplane.request import go_back
from meshsim.dataplane.state import (
    BRANCH,
    CALL,
    DC,
    GONE,
    HERE,
    LOST,
    NONE,
    ON_THE_WAY,
    SERVE,
    SERVING,
    UC,
)

#: Marks a host of a new list that has no slot yet.
WANTED = -2


@jit
def apply_endpoints(w, upstream, hosts, priorities, weights, now):
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
    up.members = len(hosts)
    up.priorities = 1
    free = up.first_slot
    for number in range(len(hosts)):
        slot = slot_of[_place(w, hosts[number])]
        if slot == WANTED:
            while free < end and not _is_free(w.slots[free]):
                free += 1
            if free == end:
                return False
            slot = free
            clear_slot(w, slot)
            w.slots[slot].host = hosts[number]
            w.slots[slot].present = 1
        host = w.slots[slot]
        host.priority = priorities[number]
        host.weight = weights[number]
        up.priorities = max(up.priorities, priorities[number] + 1)
    refresh(w, upstream, now)
    return True


@jit
def _place(w, host):
    """Return where a host stands among all pods and gateway addresses."""
    return host if host >= 0 else len(w.pods) - host - 2


@jit
def _is_free(host):
    """Return whether a slot's host is gone and no attempt stands on it any more."""
    return host.present == 0 and host.active == 0 and host.queue_head == NONE


@jit
def clear_slot(w, slot):
    """Forget everything about the host that a slot held."""
    host = w.slots[slot]
    host.host = NONE
    host.present = 0
    host.active = 0
    host.ejected = 0
    host.multiplier = 0
    host.errors = 0
    host.gateway_errors = 0
    host.local_errors = 0
    host.returned_at = -1.0e18
    host.deadline = 0.0
    host.order = 0
    host.queue_head = NONE
    host.queue_tail = NONE
    gateway.close_all(w, slot)


@jit
def move_upstream(w, upstream, base, capacity):
    """Move an upstream's slots to a larger block, with the attempts that stand on them."""
    up = w.upstreams[upstream]
    shift = base - up.first_slot
    for offset in range(capacity):
        if offset < up.capacity:
            w.slots[base + offset] = w.slots[up.first_slot + offset]
        else:
            w.slots[base + offset].connections = NONE
            clear_slot(w, base + offset)
    for index in range(w.clock[0].used):
        frame = w.frames[index]
        if frame.kind == CALL and frame.upstream == upstream and frame.slot != NONE:
            frame.slot += shift
    up.first_slot = base
    up.capacity = capacity


@jit
def kill_pod(w, index, state, now):
    """Stop a pod: a gone one resets its connections, a silent one leaves its clients waiting."""
    server = w.pods[index]
    server.state = state
    occupy(w, index, now, -server.busy)
    server.head = NONE
    server.tail = NONE
    server.queued = 0
    for number in range(w.clock[0].used):
        frame = w.frames[number]
        if frame.kind == CALL and frame.proxy == server.proxy:
            frame.code = 0
            frame.flag = DC
            record_call(w, number, now)
            give_back(w, number)
        elif frame.pod == index and frame.kind == BRANCH:
            give_back(w, number)
        elif frame.pod == index and frame.kind == SERVE and (frame.state == HERE or frame.state == ON_THE_WAY):
            frame.generation += 1
            frame.holds_worker = 0
            frame.code = 503
            frame.flag = UC
            if state == GONE:
                go_back(w, number, now)
            else:
                frame.state = LOST
    forget_client(w, server.proxy)


@jit
def forget_hosts(w, proxy):
    """Clear what a proxy knows of its destinations, before another pod takes over its records."""
    for service in range(w.upstream_of.shape[1]):
        upstream = w.upstream_of[proxy, service]
        if upstream == NONE:
            continue
        up = w.upstreams[upstream]
        up.ejected = 0
        up.members = 0
        up.refreshed = -1.0e18
        for slot in range(up.first_slot, up.first_slot + up.capacity):
            clear_slot(w, slot)
        refresh(w, upstream, -1.0e18)


@jit
def forget_client(w, proxy):
    """Clear what a dead pod's sidecar had under way."""
    for service in range(w.upstream_of.shape[1]):
        upstream = w.upstream_of[proxy, service]
        if upstream == NONE:
            continue
        up = w.upstreams[upstream]
        up.active = 0
        up.pending = 0
        up.retrying = 0
        for slot in range(up.first_slot, up.first_slot + up.capacity):
            w.slots[slot].active = 0
            w.slots[slot].queue_head = NONE
            w.slots[slot].queue_tail = NONE
            gateway.close_all(w, slot)


@jit
def resend_lost(w, now):
    """Carry on with responses that a cut link or a silent pod held back, where the way is open again."""
    for number in range(w.clock[0].used):
        frame = w.frames[number]
        if frame.kind == SERVE and frame.state == LOST and w.pods[frame.pod].state in (SERVING, GONE):
            go_back(w, number, now)
