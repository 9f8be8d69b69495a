"""Consistent hashing: RING_HASH and MAGLEV (spec §2.5; Envoy thread_aware_lb_impl.cc, ring_hash_lb.cc, maglev_lb.cc).

A table depends on hosts and weights alone, so upstreams that see the same share it. Its entries are places in
`World.available`, whose hosts stand in a fixed order. Tables nobody uses any more stay until room is needed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane.draws import multiply
from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NAMED_KEY as NAMED
from meshsim.dataplane.state import NO_HASH, NONE, SOURCE_IP
from meshsim.scenario.istio.balancing import HashPolicy

#: Most entries of a ring (Envoy ring_hash_lb.h).
LARGEST_RING = 8_388_608

_ZERO, _ONE, _32 = np.uint64(0), np.uint64(1), np.uint64(32)
_A, _B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_C, _D = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
_RING, _MAGLEV, _GATEWAY = np.uint64(0x52494E47), np.uint64(0x4D41474C), np.uint64(0x47570000)


def lower(row, hashed: HashPolicy | None, maximum: int = LARGEST_RING) -> None:
    """Write what a policy hashes into its record; the number of the key's name is the caller's to write."""
    row.hash_kind = NO_HASH
    row.hash_name = NONE
    row.ring_minimum, row.ring_maximum, row.table_size = 1024, maximum, 65537
    if hashed is not None:
        row.hash_kind = {"none": NO_HASH, "source_ip": SOURCE_IP}.get(hashed.kind, NAMED)
        row.ring_minimum, row.table_size = hashed.minimum_ring_size, hashed.table_size


@jit
def mix(one, other):
    """Return a well-mixed word of two words."""
    high, low = multiply(one ^ _A, _B)
    high, low = multiply(high ^ low ^ other, _C)
    high, low = multiply(high ^ low ^ _A, _D)
    return high ^ low


@jit
def word(u):
    """Return a random word for a uniform draw."""
    return mix(np.uint64(u * 4503599627370496.0), _ZERO)


@jit
def identity(w, host):
    """Return what a host's hash is made of: stable over its life, the same for every client."""
    return w.pods[host].seed if host >= 0 else mix(_GATEWAY, np.uint64(-host))


# --- looking up -----------------------------------------------------------------------------------------------------


@jit
def look_up(w, level, is_ring, hashed, again):
    """Return the slot for a hash; ``again`` is how many picks were rejected before."""
    if level.count == 0 or level.table == NONE:
        return NONE
    table = w.tables[level.table]
    if is_ring:
        place = (_on_ring(w.hash_points, table.first, table.entries, hashed) + again) % table.entries
    else:
        if again > 0:
            hashed ^= ~np.uint64(again - 1)
        place = np.int64(hashed % np.uint64(table.entries))
    return w.available[level.first + w.hash_tables[table.first + place]]


@jit
def _on_ring(points, first, size, hashed):
    """Return the place of the first point at or after a hash, the first of all beyond the last."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if points[first + middle] < hashed:
            low = middle + 1
        else:
            high = middle
    return low if low < size else 0


# --- building -------------------------------------------------------------------------------------------------------


@jit
def normalise(w, policy, level, weights):
    """Fill in the hosts' normalised weights, which add up to one; a locality's share is split among its hosts.

    Hosts of a locality without weight get 0 and no entries. Localities count with the weights they were given,
    whatever the health of their hosts (unlike in the choice of a locality by the other balancers).
    """
    count = level.count
    whole = 0.0
    start = 0
    while start < count:
        end, share = _same_locality(w, policy, level, start)
        whole += share
        start = end
    start = 0
    while start < count and whole > 0.0:
        end, share = _same_locality(w, policy, level, start)
        total = 0.0
        for index in range(start, end):
            total += w.slots[w.available[level.first + index]].weight
        for index in range(start, end):
            weights[index] = w.slots[w.available[level.first + index]].weight * (share / whole) / total
        start = end


@jit
def _same_locality(w, policy, level, start):
    """Return where the locality of the host at ``start`` ends, and its weight; all are one unless they have weights."""
    first = w.slots[w.available[level.first + start]]
    if policy.locality_weighted == 0:
        return level.count, 1.0
    end = start + 1
    while end < level.count and w.slots[w.available[level.first + end]].locality == first.locality:
        end += 1
    return end, first.locality_weight


@jit
def scale_of(smallest, minimum, maximum):
    """Return how many entries a ring has for a whole weight.

    So many that the host with the smallest weight gets a whole number: 3 hosts, at least 1024: 342 each, 1026.
    """
    return min(math.ceil(smallest * minimum) / smallest, float(maximum))


@jit
def set_table(w, policy, level, is_ring):
    """Give a priority the table for the hosts that may be picked: one that exists already, or a new one."""
    drop_table(w, level)
    weights = np.zeros(level.count)
    normalise(w, policy, level, weights)
    if weights.sum() <= 0.0:
        return
    names = np.zeros(level.count, dtype=np.uint64)
    fingerprint = mix(_RING, np.uint64(policy.ring_minimum)) if is_ring else mix(_MAGLEV, np.uint64(policy.table_size))
    for index in range(level.count):
        names[index] = identity(w, w.slots[w.available[level.first + index]].host)
        fingerprint = mix(mix(fingerprint, names[index]), np.uint64(weights[index] * 4294967296.0))
    clock = w.clock[0]
    for number in range(clock.tables):
        if w.tables[number].fingerprint == fingerprint:
            level.table = number
            w.tables[number].users += 1
            return
    table = w.tables[clock.tables]
    table.fingerprint = fingerprint
    table.first = clock.table_entries
    table.users = 1
    if is_ring:
        table.entries = _build_ring(w, policy, names, weights, table.first)
    else:
        table.entries = _build_maglev(w.hash_tables, names, weights, table.first, policy.table_size)
    level.table = clock.tables
    clock.tables += 1
    clock.table_entries += table.entries


@jit
def drop_table(w, level):
    """Take a priority off its table."""
    if level.table != NONE:
        w.tables[level.table].users -= 1
        level.table = NONE


@jit
def _build_ring(w, policy, names, weights, first):
    """Put every host on the ring as often as its weight demands; return how many entries there are."""
    smallest = 1.0
    for weight in weights:
        if weight > 0.0:
            smallest = min(smallest, weight)
    scale = scale_of(smallest, policy.ring_minimum, policy.ring_maximum)
    size = math.ceil(scale) + len(names)
    points = np.empty(size, dtype=np.uint64)
    owners = np.empty(size, dtype=np.int32)
    made = 0
    wanted = 0.0
    for index in range(len(names)):
        wanted += scale * weights[index]
        number = _ZERO
        while made < wanted and made < size:
            points[made] = mix(names[index], number)
            owners[made] = index
            number += _ONE
            made += 1
    order = np.argsort(points[:made])
    for place in range(made):
        w.hash_points[first + place] = points[order[place]]
        w.hash_tables[first + place] = owners[order[place]]
    return made


@jit
def _build_maglev(tables, names, weights, first, size):
    """Let the hosts take turns, by weight, at taking the next free entry of their own permutation of the table."""
    order = np.argsort(names)
    count = len(names)
    largest = weights.max()
    position = np.empty(count, dtype=np.int64)
    skip = np.empty(count, dtype=np.int64)
    target = np.zeros(count)
    for place in range(count):
        name = names[order[place]]
        position[place] = np.int64(mix(name, _ZERO) % np.uint64(size))
        skip[place] = np.int64(mix(name, _ONE) % np.uint64(size - 1)) + 1
    for entry in range(first, first + size):
        tables[entry] = NONE
    filled = 0
    turn = 0
    while filled < size:
        turn += 1
        for place in range(count):
            weight = weights[order[place]]
            if filled == size:
                break
            if weight <= 0.0 or turn * weight < target[place]:
                continue
            target[place] += largest
            while tables[first + position[place]] != NONE:
                position[place] = (position[place] + skip[place]) % size
            tables[first + position[place]] = order[place]
            filled += 1
    return size


# --- room -----------------------------------------------------------------------------------------------------------


def largest(policy: Any, is_ring: bool, weights: NDArray[Any], locality_weights: NDArray[Any]) -> int:  # noqa: FBT001
    """Return how many entries a table for some hosts can have, whichever of them are available.

    A ring has at most as many as the smallest share of a host demands, and one more for each host by rounding.
    """
    if not is_ring or len(weights) == 0:
        return int(policy.table_size)
    share = weights.min() / weights.sum()
    weighty = locality_weights[locality_weights > 0.0]
    if policy.locality_weighted == 1 and len(weighty) > 0:
        share *= weighty.min() / weighty.sum()
    return int(min(policy.ring_minimum + 1.0 / share, float(policy.ring_maximum))) + len(weights) + 1


@jit
def is_full(w):
    """Return whether the next event might find no room for its tables: one for each priority of an upstream.

    ``table_margin`` of the clock is what they take, at most; 0 where nothing is hashed.
    """
    clock = w.clock[0]
    return clock.table_margin > 0 and (
        clock.table_entries + clock.table_margin > len(w.hash_tables)
        or clock.table_entries + clock.table_margin > len(w.hash_points)
        or clock.tables + w.priorities.shape[0] > len(w.tables)
    )


@jit
def sweep(w):
    """Throw away the tables that nobody uses, and move the others together."""
    clock = w.clock[0]
    moved_to = np.full(max(clock.tables, 1), NONE, dtype=np.int32)
    kept, entries = 0, 0
    for number in range(clock.tables):
        table = w.tables[number]
        if table.users == 0:
            continue
        first = table.first
        for entry in range(table.entries):
            w.hash_tables[entries + entry] = w.hash_tables[first + entry]
            w.hash_points[entries + entry] = w.hash_points[first + entry]
        moved_to[number] = kept
        w.tables[kept] = table
        w.tables[kept].first = entries
        entries += w.tables[kept].entries
        kept += 1
    clock.tables, clock.table_entries = kept, entries
    for upstream in range(w.priorities.shape[1]):
        if w.upstreams[upstream].built == 0:
            continue
        for p in range(w.priorities.shape[0]):
            level = w.priorities[p, upstream]
            if level.table != NONE:
                level.table = moved_to[level.table]


def room(w: Any) -> dict[str, int]:
    """Return the lengths the arrays of the tables need; if they are full, sweep first, and ask for twice the margin."""
    if not is_full(w):
        return {}
    sweep(w)
    clock = w.clock[0]
    entries = int(clock.table_entries + 2 * clock.table_margin)
    return {"tables": int(clock.tables) + 2 * w.priorities.shape[0], "hash_tables": entries, "hash_points": entries}
