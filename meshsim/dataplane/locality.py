"""Priorities, panic and which hosts may be picked (spec §2.6, §2.10; Envoy load_balancer_impl.cc)."""

from __future__ import annotations

from meshsim.dataplane.calendar import REFRESH, schedule
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import rebuild

#: A priority with this percentage of hosts healthy, times 1.4, still takes all its load.
OVERPROVISIONING = 140
#: Health changes are merged for this long after one was applied (Envoy update_merge_window; Istio leaves it).
MERGE_WINDOW = 1.0


@jit
def distribute_load(priorities, count, threshold):
    """Fill in the load (percent) and panic of ``count`` priorities from their hosts.

    Integer arithmetic as in Envoy: health is min(100, floor(140·healthy/total)), loads are normalised when they do
    not reach 100, the remainder goes to the first priority that has any.
    """
    total_health = 0
    for p in range(count):
        total_health += _health(priorities[p])
    normal = min(100, total_health)
    remaining = 100
    first = -1
    all_panic = normal < 100
    hosts = 0
    for p in range(count):
        level = priorities[p]
        hosts += level.total
        level.load = 0
        if normal > 0:
            level.load = min(remaining, _health(level) * 100 // normal)
            remaining -= level.load
            if first < 0 and _health(level) > 0:
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
def _health(level):
    return min(100, OVERPROVISIONING * level.healthy // level.total) if level.total > 0 else 0


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


@jit
def choose_priority(priorities, upstream, count, u):
    """Return the priority for a uniform draw: 1 … 100 against the cumulated loads."""
    draw = int(u * 100.0) + 1
    cumulated = 0
    for p in range(count):
        cumulated += priorities[upstream, p].load
        if draw <= cumulated:
            return p
    return 0


@jit
def refresh(w, upstream, now):
    """Recompute who may be picked, after a change of membership or health."""
    up = w.upstreams[upstream]
    levels = w.priorities[upstream]
    count = up.priorities
    position = up.first_slot
    for p in range(count):
        level = levels[p]
        level.weighted = 0
        weight = -1.0
        level.first = position
        level.total = 0
        level.healthy = 0
        for slot in range(up.first_slot, up.first_slot + up.capacity):
            host = w.slots[slot]
            if host.present == 0 or host.priority != p:
                continue
            w.members[position + level.total] = slot
            level.total += 1
            if weight >= 0.0 and host.weight != weight:
                level.weighted = 1
            weight = host.weight
            if host.ejected == 0:
                w.available[position + level.healthy] = slot
                level.healthy += 1
        position += level.total
    distribute_load(levels, count, w.policies[up.policy].panic_threshold)
    up.refreshed = now
    rebuild(w, upstream)


@jit
def health_changed(w, upstream, now):
    """Apply a change of health: at once, or, less than the merge window after the last one, merged with others.

    The window of a change that has to wait begins with that change (Envoy scheduleUpdate; measured: the second of two
    ejections 0.2 s apart is applied 1 s after itself).
    """
    up = w.upstreams[upstream]
    if up.refresh_due == 1:
        return
    if now - up.refreshed >= MERGE_WINDOW:
        refresh(w, upstream, now)
    else:
        up.refresh_due = 1
        schedule(w, now + MERGE_WINDOW, REFRESH, upstream, 0, 0)
