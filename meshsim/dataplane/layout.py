"""How an upstream's hosts are laid out for its load balancers: by priority and locality, queues and tables filled."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import consistent_hashing, slow_start, weighted_queue
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import (
    BY_LOCALITY,
    BY_ZONE,
    LEAST_REQUEST,
    PLAIN,
    RING_HASH,
    ROUND_ROBIN,
    WEIGHTED,
    fill_localities,
)
from meshsim.dataplane.state import NONE

#: How a priority chooses while its hosts have moved, because of those before it, away from their queues.
_MOVED = -1
_SEED, _LOW = np.uint64(0x5EED), np.uint64(0xFFFFFFFF)


@jit
def seed_of(w, up, worker):
    """Return the seed of a worker thread's load balancers: random, and the same in every run."""
    return consistent_hashing.mix(w.proxies[up.proxy].seed, np.uint64(up.policy * 256 + worker) ^ _SEED)


@jit
def lay_out(w, upstream):
    """Write down the hosts of every priority, one after the other, and which of them are healthy.

    Within a priority they stand in the order of their slots; where localities matter locality by locality, and where
    tables of consistent hashing are shared in an order that all clients agree on.
    """
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    hashed = policy.balancer >= RING_HASH
    position = up.first_slot
    up.localities = 0
    for p in range(w.priorities.shape[0]):
        level = w.priorities[p, upstream]
        if level.first != position:
            level.first = position
            level.mode = _MOVED
        level.total = 0
        level.healthy = 0
        if p >= up.priorities:
            continue
        for slot in range(up.first_slot, up.first_slot + up.capacity):
            if w.slots[slot].level == p:
                w.members[position + level.total] = slot
                level.total += 1
                level.healthy += w.slots[slot].shown
        if hashed or policy.locality_weighted == 1 or policy.zone_aware == 1:
            _sort(w, position, level.total, hashed)
        position += level.total


@jit
def _sort(w, first, count, hashed):
    """Sort hosts by locality, and within one, for consistent hashing, by what is hashed of them."""
    for index in range(first + 1, first + count):
        slot = w.members[index]
        hole = index
        while hole > first and _comes_before(w, slot, w.members[hole - 1], hashed):
            w.members[hole] = w.members[hole - 1]
            hole -= 1
        w.members[hole] = slot


@jit
def _comes_before(w, slot, other, hashed):
    here, there = w.slots[slot], w.slots[other]
    if here.locality != there.locality or not hashed:
        return here.locality < there.locality
    return consistent_hashing.identity(w, here.host) < consistent_hashing.identity(w, there.host)


@jit
def start(w, upstream, p, anew, now):
    """Prepare the choice among the hosts of a priority; ``anew`` is whether they have changed."""
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    level = w.priorities[p, upstream]
    _candidates(w, policy, level)
    if policy.balancer >= RING_HASH:
        if level.count > 0:
            consistent_hashing.set_table(w, policy, level, policy.balancer == RING_HASH)
        else:
            consistent_hashing.drop_table(w, level)
        return
    if policy.locality_weighted == 1 or (policy.zone_aware == 1 and p == 0):
        _find_localities(w, up, level)
        if level.panic == 0 and level.count > 0:
            if policy.locality_weighted == 1 and _by_weight(w, up, policy, level, p):
                _start_localities(w, up, policy, level, now)
                return
            if policy.zone_aware == 1 and _by_zone(w, up, policy, level):
                _start_localities(w, up, policy, level, now)
                return
        anew = True
    if anew or level.mode == _MOVED:
        row = up.first_balancer + p * up.threads
        level.mode = _start_hosts(w, up, policy, row, level.first, level.count, now)


@jit
def _candidates(w, policy, level):
    """Write down who may be picked: the healthy hosts, in panic all."""
    level.count = 0
    if level.panic == 1 and policy.fails_on_panic == 1 and policy.balancer < RING_HASH:
        return
    for index in range(level.first, level.first + level.total):
        slot = w.members[index]
        if level.panic == 1 or w.slots[slot].shown == 1:
            w.available[level.first + level.count] = slot
            level.count += 1


@jit
def _start_hosts(w, up, policy, row, first, count, now):
    """Fill the queues for some hosts, one a worker thread, if their weights differ; return whether they do."""
    if count < 2 or (policy.balancer != ROUND_ROBIN and policy.balancer != LEAST_REQUEST):
        return PLAIN
    weighted = slow_start.under_way(up, policy, now)
    weight = w.slots[w.available[first]].weight
    for index in range(first + 1, first + count):
        if w.slots[w.available[index]].weight != weight:
            weighted = True
    if not weighted:
        return PLAIN
    for worker in range(up.threads):
        picks = np.int64(seed_of(w, up, worker) & _LOW)
        base = weighted_queue.base_of(up, worker, first)
        weighted_queue.fill(w, up, policy, row + worker, base, first, count, picks, now)
    return WEIGHTED


# --- localities -----------------------------------------------------------------------------------------------------


@jit
def _find_localities(w, up, level):
    """Write down the localities of a priority; those of the priorities before it stand before them."""
    level.first_locality = up.first_locality + up.localities
    level.localities = 0
    at = level.first
    number = NONE
    for index in range(level.first, level.first + level.total):
        host = w.slots[w.members[index]]
        if number == NONE or host.locality != w.slots[w.members[index - 1]].locality:
            number = level.first_locality + level.localities
            level.localities += 1
            row = w.localities[number]
            row.first = at
            row.total = 0
            row.healthy = 0
            row.local = host.local
            row.weight = host.locality_weight
        w.localities[number].total += 1
        w.localities[number].healthy += host.shown
        at += host.shown
    up.localities += level.localities


@jit
def _by_weight(w, up, policy, level, p):
    """Weigh the localities of a priority by their health; return whether there is one to choose.

    Source: spec §2.7; weight · min(1, 1.4 · healthy / total).
    """
    whole = 0.0
    for number in range(level.first_locality, level.first_locality + level.localities):
        row = w.localities[number]
        row.effective = row.weight * min(1.0, policy.overprovisioning / 100.0 * (row.healthy / row.total))
        whole += row.effective
    if whole <= 0.0:
        return False
    level.mode = BY_LOCALITY
    # Drawn anew at every update, the same for all threads (unlike the hosts' seeds).
    number = np.uint64(int(up.policy) * 65536 + int(level.update))
    picks = np.int64(consistent_hashing.mix(w.proxies[up.proxy].seed, number) & _LOW)
    for worker in range(up.threads):
        fill_localities(w, up, level, p, worker, picks)
    return True


@jit
def _by_zone(w, up, policy, level):
    """Work out how much the client's own locality can carry and what the others have left (spec §2.8).

    Return False where zones are to be ignored: fewer than two localities of hosts or of the client's own service,
    the client not among the latter, too few healthy hosts.
    """
    known = 0.0 < up.own_share < 1.0
    if not known or level.localities < 2 or level.healthy < policy.min_cluster_size:
        return False
    level.mode = BY_ZONE
    level.local_share = 0
    residual = 0
    for number in range(level.first_locality, level.first_locality + level.localities):
        row = w.localities[number]
        hosts = 0 if row.healthy == 0 else 10000 * row.healthy // level.healthy
        share = w.slots[w.available[row.first]].own_share if row.healthy > 0 else 0.0
        clients = int(10000.0 * max(share, 0.0) + 1e-6)
        if row.local == 1:
            direct = hosts > 0 and hosts >= clients
            level.local_share = 10000 if direct else hosts * 10000 // clients if clients > 0 else 0
        elif hosts > clients:
            residual += hosts - clients
        row.residual = residual
    return True


@jit
def _start_localities(w, up, policy, level, now):
    """Prepare the choice within each locality of a priority."""
    for number in range(level.first_locality, level.first_locality + level.localities):
        locality = w.localities[number]
        row = up.first_turn + (number - up.first_locality) * up.threads
        for worker in range(up.threads):
            balancer = w.balancers[row + worker]
            if balancer.order == 0:  # has not begun; a queue that is filled counts on from here
                balancer.order = 1
                balancer.next = np.int64(seed_of(w, up, worker) >> np.uint64(33))
        locality.weighted = _start_hosts(w, up, policy, row, locality.first, locality.healthy, now)
