"""Earliest deadline first: the queue of a weighted load balancer (spec §2.3; Envoy edf_scheduler.h).

A binary heap in `World.queue`, one for each worker thread, priority and locality, side by side in the order of the
hosts in `World.available`. The host with the earliest deadline is picked and queued again, 1/weight later, with its
weight read at that moment; equal deadlines go by who was queued first.
"""

from __future__ import annotations

import math

from meshsim.dataplane import slow_start
from meshsim.dataplane.jit import jit

#: Of the picks made beforehand so many for each host are made one by one: deadlines that should be equal differ by
#: rounding, and which of them comes first has then settled, as it has in a proxy that has been up for a while.
SETTLING = 4


@jit
def weight_of(w, up, policy, slot, now):
    """Return a host's weight now: LEAST_REQUEST divides it by (active + 1)^bias, the new request not yet counted."""
    host = w.slots[slot]
    weight = host.weight
    if policy.bias == 1.0:
        weight /= host.active + 1.0
    elif policy.bias != 0.0:
        weight /= (host.active + 1.0) ** policy.bias
    if slow_start.under_way(up, policy, now) and host.joined >= 0.0:
        weight *= slow_start.factor(policy, now - host.joined)
    return weight


@jit
def base_of(up, worker, first):
    """Return where the queue of a worker thread for the hosts from ``first`` on begins."""
    return up.first_queue + worker * up.capacity + first - up.first_slot


@jit
def pick(w, up, policy, row, base, count, now):
    """Return the host with the earliest deadline and queue it again."""
    head = w.queue[base]
    slot = head.slot
    balancer = w.balancers[row]
    balancer.order += 1
    _sink(w.queue, base, count, 0, head.deadline + 1.0 / weight_of(w, up, policy, slot, now), balancer.order, slot)
    return slot


@jit
def _sink(queue, base, count, hole, deadline, order, slot):
    """Put an entry into a hole, below all earlier ones."""
    while True:
        below = 2 * hole + 1
        if below >= count:
            break
        if below + 1 < count and _before(queue[base + below + 1], queue[base + below]):
            below += 1
        under = queue[base + below]
        if deadline < under.deadline or (deadline == under.deadline and order < under.order):
            break
        queue[base + hole] = under
        hole = below
    entry = queue[base + hole]
    entry.deadline = deadline
    entry.order = order
    entry.slot = slot


@jit
def _before(one, other):
    return one.deadline < other.deadline or (one.deadline == other.deadline and one.order < other.order)


@jit
def fill(w, up, policy, row, base, first, count, picks, now):
    """Queue the hosts from ``first`` on as if ``picks`` picks had been made, in their proportion.

    Without them, proxies that were updated together would send to the same hosts in step; Envoy takes their number
    from its seed (createWithPicks: whole shares at once, the rest one by one).
    """
    queue = w.queue
    total = 0.0
    for index in range(count):
        total += weight_of(w, up, policy, w.available[first + index], now)
    made = 0
    whole = max(picks - SETTLING * count, 0)
    for index in range(count):
        slot = w.available[first + index]
        weight = weight_of(w, up, policy, slot, now)
        share = math.floor(whole * (weight / total))
        made += int(share)
        entry = queue[base + index]
        entry.deadline = (share + 1.0) / weight
        entry.order = index
        entry.slot = slot
    for index in range(count // 2 - 1, -1, -1):
        entry = queue[base + index]
        _sink(queue, base, count, index, entry.deadline, entry.order, entry.slot)
    w.balancers[row].order = count
    for _ in range(made, picks):
        pick(w, up, policy, row, base, count, now)
