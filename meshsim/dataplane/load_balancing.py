"""Load balancers: which host an attempt goes to: priority, locality, host (spec §2.1 to 2.5, §2.7, §2.8).

To add one of Istio's: write a function that returns a slot, give it a number and a name in `BALANCERS`, and a line in
`pick`. Users add theirs from outside (`meshsim.load_balancer`), which is called by its address (`own_balancer`).
`meshsim.dataplane.locality` prepares what is read here: who may be picked, loads, localities, queues and tables.
"""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import consistent_hashing, own_balancer, slow_start, weighted_queue
from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NONE
from meshsim.scenario import own_balancers
from meshsim.scenario.istio.policy import Policy

ROUND_ROBIN, RANDOM, LEAST_REQUEST, PASSTHROUGH, OWN, RING_HASH, MAGLEV = range(7)

#: Istio's name of every balancer → its number here. PASSTHROUGH dials the address that the application asked for:
#: applications here know all endpoints and ask for any.
BALANCERS = {
    "ROUND_ROBIN": ROUND_ROBIN, "RANDOM": RANDOM, "LEAST_REQUEST": LEAST_REQUEST, "PASSTHROUGH": PASSTHROUGH,
    "RING_HASH": RING_HASH, "MAGLEV": MAGLEV,
}  # fmt: skip

#: How a priority is balanced: over all its hosts, alike or by weight, or over one of its localities, drawn by weight
#: or with regard to where the client's own service is.
PLAIN, WEIGHTED, BY_LOCALITY, BY_ZONE = range(4)

#: Hosts that LEAST_REQUEST compares; a priority with this percentage of hosts healthy, over 100, takes all its load;
#: health changes are merged for this many seconds after one was applied (Envoy's defaults; Istio leaves them).
CHOICES, OVERPROVISIONING, MERGE_WINDOW = 2, 140, 1.0


def lower(row, policy: Policy) -> None:
    """Write how a policy balances load into its record."""
    own = None if policy.load_balancer in BALANCERS else own_balancers.get(policy.load_balancer)
    row.balancer = BALANCERS[policy.load_balancer] if own is None else OWN
    row.own_balancer = 0 if own is None else own_balancer.address_of(own)
    row.choices = CHOICES
    row.bias = 1.0 if policy.load_balancer == "LEAST_REQUEST" else 0.0
    row.panic_threshold = policy.panic_threshold
    row.overprovisioning = OVERPROVISIONING
    row.merge_window = MERGE_WINDOW
    row.fails_on_panic = 0
    row.locality_weighted = int(policy.locality_weighted)
    zones = policy.zone_aware
    row.zone_aware = int(zones is not None and zones.self_discovery)
    row.min_cluster_size = 0 if zones is None else zones.min_cluster_size
    slow_start.lower(row, policy.warmup if row.balancer in (ROUND_ROBIN, LEAST_REQUEST) else None)
    consistent_hashing.lower(row, policy.hash)


@jit
def choose(w, upstream, worker, keyed, key, u0, u1, u2, tried_levels):
    """Return the slot that an attempt goes to, or none.

    ``u0`` chooses the priority (and the locality), ``u1`` and ``u2`` the host. ``tried_levels`` is a mask of
    priorities to keep away from. With consistent hashing ``key`` chooses all of it where ``keyed`` is at least 1:
    1 + how many picks were rejected for this attempt.
    """
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    if policy.balancer >= RING_HASH:
        return by_hash(w, upstream, up, policy, keyed, key, u1)
    p = level_of(w, upstream, up.priorities, u0, tried_levels, policy.overprovisioning) if up.priorities > 1 else 0
    level = w.priorities[p, upstream]
    if level.count == 0:
        return NONE
    if level.mode <= WEIGHTED:
        row = up.first_balancer + p * up.threads + worker
        return pick(w, up, policy, level.mode, row, worker, level.first, level.count, u1, u2)
    return _in_locality(w, up, policy, level, p, worker, u0, u1, u2)


@jit
def pick(w, up, policy, weighted, row, worker, first, count, u1, u2):
    """Return one of the ``count`` available hosts from ``first`` on; ``row`` is the balancer's state."""
    if weighted == PLAIN and policy.balancer == LEAST_REQUEST:
        return least_request(w, policy.choices, first, count, u1, u2)
    if weighted == WEIGHTED:
        base = weighted_queue.base_of(up, worker, first)
        return weighted_queue.pick(w, up, policy, row, base, count, w.clock[0].now)
    if policy.balancer == ROUND_ROBIN:
        return round_robin(w, row, first, count)
    if policy.balancer == OWN:
        return own_balancer.pick(w, policy.own_balancer, row, first, count, u1, u2)
    return w.available[first + int(u1 * count)]


@jit
def round_robin(w, row, first, count):
    """Return the next host in turn; the turn moves on at every pick, retries included."""
    balancer = w.balancers[row]
    turn = balancer.next
    balancer.next = turn + 1
    return w.available[first + turn % count]


@jit
def least_request(w, choices, first, count, u1, u2):
    """Return the least busy of some hosts drawn with replacement; a tie goes to the first drawn (least_request_lb.cc).

    The third draw and those after it are made of the first.
    """
    best = w.available[first + int(u1 * count)]
    other = w.available[first + int(u2 * count)] if choices > 1 else best
    if w.slots[other].active < w.slots[best].active:
        best = other
    if choices > 2:
        seed = consistent_hashing.word(u1)
        for number in range(2, choices):
            drawn = consistent_hashing.mix(seed, np.uint64(number))
            other = w.available[first + np.int64(drawn % np.uint64(count))]
            if w.slots[other].active < w.slots[best].active:
                best = other
    return best


# --- priorities -----------------------------------------------------------------------------------------------------


@jit
def level_of(w, upstream, count, u, tried, overprovisioning):
    """Return the priority for a uniform draw: 1 … 100 against the cumulated loads (spec §2.6)."""
    draw = int(u * 100.0) + 1
    if tried != 0:
        p = _other_level(w.priorities[:, upstream], count, draw, tried, overprovisioning)
        if p != NONE:
            return p
    return level_of_load(w, upstream, count, draw)


@jit
def level_of_load(w, upstream, count, draw):
    """Return the first priority up to which the loads add up to ``draw`` of 100."""
    cumulated = 0
    for p in range(count):
        cumulated += w.priorities[p, upstream].load
        if draw <= cumulated:
            return p
    return 0


@jit
def health_of(level, overprovisioning):
    """Return the health of a priority in percent: min(100, floor(140 · healthy / total))."""
    return min(100, overprovisioning * level.healthy // level.total) if level.total > 0 else 0


@jit
def _other_level(levels, count, draw, tried, overprovisioning):
    """Return a priority outside ``tried`` (previous_priorities.cc), or none where no priority has healthy hosts.

    The loads are worked out anew from the others' health; when those have none, from all.
    """
    kept = ~tried
    total = _health_of_all(levels, count, kept, overprovisioning)
    if total == 0:
        kept = -1
        total = _health_of_all(levels, count, kept, overprovisioning)
    if total == 0:
        return NONE
    total = min(total, 100)
    cumulated = 0
    first = NONE
    for p in range(count):
        health = health_of(levels[p], overprovisioning) if (kept >> p) & 1 else 0
        if health > 0 and first == NONE:
            first = p
        cumulated += health * 100 // total
        if draw <= cumulated:
            return p
    return first  # what rounding leaves over


@jit
def _health_of_all(levels, count, kept, overprovisioning):
    total = 0
    for p in range(count):
        if (kept >> p) & 1:
            total += health_of(levels[p], overprovisioning)
    return total


# --- localities -----------------------------------------------------------------------------------------------------


@jit
def _in_locality(w, up, policy, level, p, worker, u0, u1, u2):
    """Choose a locality of a priority, then one of its healthy hosts."""
    if level.mode == BY_LOCALITY:
        number = _next_locality(w, up, level, p, worker)
    else:
        fine = u0 * 100.0
        number = zone_of(w, level, fine - int(fine))
    row = w.localities[number]
    if row.healthy == 0:
        return NONE
    balancer = up.first_turn + (number - up.first_locality) * up.threads + worker
    return pick(w, up, policy, row.weighted, balancer, worker, row.first, row.healthy, u1, u2)


@jit
def _next_locality(w, up, level, p, worker):
    """Return the locality with the earliest deadline and queue it again, 1/weight later (spec §2.7)."""
    best = NONE
    chosen = NONE
    for number in range(level.first_locality, level.first_locality + level.localities):
        if w.localities[number].effective <= 0.0:
            continue
        turn = up.first_turn + (number - up.first_locality) * up.threads + worker
        row = w.balancers[turn]
        if (
            best == NONE
            or row.deadline < w.balancers[best].deadline
            or (row.deadline == w.balancers[best].deadline and row.place < w.balancers[best].place)
        ):
            best, chosen = turn, number
    order = w.balancers[up.first_balancer + p * up.threads + worker]
    order.order += 1
    row = w.balancers[best]
    row.deadline += 1.0 / w.localities[chosen].effective
    row.place = order.order
    return chosen


@jit
def fill_localities(w, up, level, p, worker, picks):
    """Start the schedule of the localities as if ``picks`` picks had been made, in their proportion."""
    total = 0.0
    for number in range(level.first_locality, level.first_locality + level.localities):
        total += w.localities[number].effective
    made = 0
    for number in range(level.first_locality, level.first_locality + level.localities):
        weight = w.localities[number].effective
        if weight <= 0.0:
            continue
        row = w.balancers[up.first_turn + (number - up.first_locality) * up.threads + worker]
        share = int(picks * (weight / total))
        made += share
        row.deadline = (share + 1.0) / weight
        row.place = number - level.first_locality
    w.balancers[up.first_balancer + p * up.threads + worker].order = level.localities
    for _ in range(made, picks):
        _next_locality(w, up, level, p, worker)


@jit
def zone_of(w, level, u):
    """Return a locality for a uniform draw: the client's own as far as it can carry its share, else another.

    Others by what they have more of the hosts than of the clients (spec §2.8; tryChooseLocalLocalityHosts). Shares
    are whole basis points.
    """
    first, end = level.first_locality, level.first_locality + level.localities
    own = NONE
    for number in range(first, end):
        if w.localities[number].local == 1:
            own = number
    point = int(u * 10000.0)
    if own != NONE and point < level.local_share:
        return own
    rest = (u * 10000.0 - level.local_share) / (10000.0 - level.local_share)
    total = w.localities[end - 1].residual
    if total == 0:
        return min(first + int(rest * level.localities), end - 1)
    threshold = min(int(rest * total), total - 1)
    for number in range(first, end):
        if threshold < w.localities[number].residual:
            return number
    return end - 1


# --- consistent hashing ---------------------------------------------------------------------------------------------


@jit
def by_hash(w, upstream, up, policy, keyed, key, u):
    """Return the slot for a key, which decides on the priority too; for a request without one any entry's."""
    hashed = consistent_hashing.mix(key, np.uint64(0)) if keyed > 0 else consistent_hashing.word(u)
    p = 0
    if up.priorities > 1:
        p = level_of_load(w, upstream, up.priorities, np.int64(hashed % np.uint64(100)) + 1)
    again = max(keyed - 1, 0)
    return consistent_hashing.look_up(w, w.priorities[p, upstream], policy.balancer == RING_HASH, hashed, again)
