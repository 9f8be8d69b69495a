"""Priorities, localities, panic, and when the load balancers hear of a change (spec §2.6 to 2.8, §2.10).

The control plane's lists, ejections and health checks change an endpoint at once; the load balancers hear of it per
priority: of added and removed hosts at once, of all else at most once per merge window. Source: Envoy
load_balancer_impl.cc, locality_wrr.cc, cluster_manager_impl.cc (scheduleUpdate).
"""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane import consistent_hashing, slow_start
from meshsim.dataplane.calendar import REFRESH, schedule
from meshsim.dataplane.jit import jit
from meshsim.dataplane.layout import lay_out, seed_of, start
from meshsim.dataplane.load_balancing import RING_HASH, health_of
from meshsim.dataplane.state import NONE

#: Before any time, seconds; whole milliseconds since then fit a machine word.
NEVER = -1.0e9

# --- what happens to an endpoint ------------------------------------------------------------------------------------


@jit
def forget_slot(host):
    """Forget what the load balancers know of the host that a slot held."""
    host.level = NONE
    host.shown = 0
    host.changed = 0
    host.local = 0
    host.own_share = -1.0
    host.joined = -1.0
    host.unhealthy = 0


@jit
def place(host, priority, locality, weight, locality_weight, unhealthy):
    """Write what the control plane says of a host, and whether that is new."""
    if host.locality != locality or host.weight != weight or host.locality_weight != locality_weight:
        host.changed = 1
    host.priority = priority
    host.locality = locality
    host.weight = weight
    host.locality_weight = locality_weight
    host.unhealthy = unhealthy


@jit
def is_available(host):
    """Return whether a host is healthy by the control plane, outlier detection and the proxy's own checks."""
    return host.unhealthy == 0 and host.ejected == 0 and host.failing == 0


# --- when the load balancers hear of it -----------------------------------------------------------------------------


@jit
def refresh(w, upstream, now):
    """Take up a new list of endpoints: priorities with other hosts at once, health and weights merged."""
    up = w.upstreams[upstream]
    if up.built == 0:
        _begin(w, upstream)
    levels = w.priorities.shape[0]
    first_time = up.built == 0
    at_once, later = _what_changed(w, upstream)
    for p in range(levels):
        level = w.priorities[p, upstream]
        if (at_once >> p) & 1:
            level.refreshed = NEVER if first_time else now
            level.update += 1
            level.waits = 0
        elif (later >> p) & 1 and _is_due(w, upstream, p, now):
            at_once |= 1 << p
    if at_once != 0 or up.built != up.first_slot + 1:
        _tell(w, upstream, at_once, now)


@jit
def _begin(w, upstream):
    """Prepare an upstream that no list of endpoints has reached yet."""
    up = w.upstreams[upstream]
    up.latest = NEVER
    for p in range(w.priorities.shape[0]):
        level = w.priorities[p, upstream]
        level.total = 0
        level.healthy = 0
        level.count = 0
        level.panic = 0
        level.table = NONE
        level.waits = 0
        level.refreshed = NEVER
        for worker in range(up.threads):
            balancer = w.balancers[up.first_balancer + p * up.threads + worker]
            balancer.next = np.int64(seed_of(w, up, worker) >> np.uint64(33))


@jit
def _what_changed(w, upstream):
    """Return masks of the priorities with hosts added or removed, and of those with a change of health or weight."""
    up = w.upstreams[upstream]
    members, merged = 0, 0
    stay = np.zeros(w.priorities.shape[0], dtype=np.int64)
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if host.present == 1 and host.level == host.priority:
            stay[host.level] += 1
            if host.changed == 1 or host.shown != int(is_available(host)):
                merged |= 1 << host.level
        elif host.present == 1:
            members |= 1 << host.priority
    for p in range(w.priorities.shape[0]):
        if stay[p] != w.priorities[p, upstream].total:
            members |= 1 << p
    return members, merged


@jit
def health_changed(w, upstream, slot, now):
    """Let the load balancers hear of a host's change of health: at once, or with others when the window ends."""
    p = w.slots[slot].level
    if p != NONE and _is_due(w, upstream, p, now):
        _tell(w, upstream, 1 << p, now)


@jit
def _is_due(w, upstream, p, now):
    """Return whether a change may be told at once: when none was for more than a merge window, in whole milliseconds.

    Otherwise see to it that it is told one window from now; further changes do not put that off.
    """
    level = w.priorities[p, upstream]
    window = w.policies[w.upstreams[upstream].policy].merge_window
    if window <= 0.0 or math.floor((now - level.refreshed) * 1000.0) > math.floor(window * 1000.0):
        level.refreshed = now
        level.update += 1
        level.waits = 0
        return True
    if level.waits == 0:
        level.waits = 1
        schedule(w, now + window, REFRESH, upstream, level.update, p)
    return False


@jit
def on_refresh(w, upstream, p, update, now):
    """Tell the merged changes of a priority, unless something was told since that has them all."""
    level = w.priorities[p, upstream]
    if w.upstreams[upstream].built == 0 or level.waits == 0 or level.update != update:
        return
    level.waits = 0
    level.update += 1
    level.refreshed = now
    _tell(w, upstream, 1 << p, now)


@jit
def forget(w, upstream):
    """Forget every endpoint of an upstream, before another pod takes over the proxy's records."""
    up = w.upstreams[upstream]
    for p in range(w.priorities.shape[0]):
        level = w.priorities[p, upstream]
        if up.built != 0:
            consistent_hashing.drop_table(w, level)
        level.total = 0
        level.healthy = 0
        level.count = 0
        level.load = 0
        level.update += 1
        level.waits = 0
    up.built = 0
    up.members = 0
    up.priorities = 1


# --- what they then know --------------------------------------------------------------------------------------------


@jit
def _tell(w, upstream, levels, now):
    """Let the load balancers take over the hosts of some priorities as they are now, and adapt.

    Tables of consistent hashing are made from the hosts of all priorities as they are now, whichever has changed.
    """
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    levels = -1 if policy.balancer >= RING_HASH or up.built != up.first_slot + 1 else levels
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if host.present == 0:
            host.level = NONE
        elif (levels >> host.priority) & 1:
            host.level = host.priority
            host.shown = int(is_available(host))
            host.changed = 0
            if host.shown == 1:
                slow_start.join(up, policy, host, now)
    up.built = up.first_slot + 1
    lay_out(w, upstream)
    in_panic = 0
    for p in range(w.priorities.shape[0]):
        in_panic |= w.priorities[p, upstream].panic << p
    distribute_load(w.priorities[:, upstream], w.priorities.shape[0], policy.panic_threshold, policy.overprovisioning)
    for p in range(w.priorities.shape[0]):
        level = w.priorities[p, upstream]
        if level.total > 0 or level.count > 0:
            anew = (levels >> p) & 1 == 1 or (in_panic >> p) & 1 != level.panic
            start(w, upstream, p, anew, now)


@jit
def distribute_load(priorities, count, threshold, overprovisioning):
    """Fill in the load (percent) and panic of ``count`` priorities from their hosts.

    Integer arithmetic as in Envoy: health is min(100, floor(140·healthy/total)), loads are normalised when they do
    not reach 100, the remainder goes to the first priority that has any.
    """
    total_health = 0
    for p in range(count):
        total_health += health_of(priorities[p], overprovisioning)
    normal = min(100, total_health)
    remaining = 100
    first = -1
    all_panic = normal < 100
    hosts = 0
    for p in range(count):
        level = priorities[p]
        health = health_of(level, overprovisioning)
        hosts += level.total
        level.load = 0
        if normal > 0:
            level.load = min(remaining, health * 100 // normal)
            remaining -= level.load
            if first < 0 and health > 0:
                first = p
        level.panic = 0
        if normal < 100 and level.total > 0 and 100.0 * level.healthy / level.total < threshold:
            level.panic = 1
        elif level.total > 0:
            all_panic = False
    if normal > 0 and first >= 0:
        priorities[first].load += remaining
    elif normal == 0 and count > 0 and not (all_panic and hosts > 0):
        priorities[0].load = 100
    if all_panic and hosts > 0:
        _spread_panic(priorities, count, hosts)


@jit
def _spread_panic(priorities, count, hosts):
    remaining = 100
    first = -1
    for p in range(count):
        priorities[p].load = 100 * priorities[p].total // hosts
        remaining -= priorities[p].load
        if first < 0 and priorities[p].total > 0:
            first = p
    priorities[first].load += remaining
