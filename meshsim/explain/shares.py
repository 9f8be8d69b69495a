"""What share of the next requests each host of an upstream gets, by the load balancers' own records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple


class Part(NamedTuple):
    """Some hosts of a priority and the fraction of its requests that they get, by weight or alike."""

    fraction: float
    slots: Sequence[int]
    weighted: bool


def shares_of(world: Any, upstream: int) -> dict[int, float]:
    """Return the fraction of requests that loads, localities and weights give each slot; others get none.

    Parameters
    ----------
    world
        The data plane's records.
    upstream
        Number of the upstream.
    """
    up = world.upstreams[upstream]
    found: dict[int, float] = {}
    for number in range(int(up.priorities)):
        level = world.priorities[number, upstream]
        for part in _parts(world, world.policies[up.policy], level):
            weights = {slot: float(world.slots[slot].weight) if part.weighted else 1.0 for slot in part.slots}
            whole = sum(weights.values()) or 1.0
            load = int(level.load) / 100 * part.fraction
            found |= {slot: load * weight / whole for slot, weight in weights.items()}
    return found


def _parts(world: Any, policy: Any, level: Any) -> Iterator[Part]:
    """Yield the hosts of a priority, locality by locality where one is chosen first."""
    from meshsim.dataplane.load_balancing import BY_LOCALITY, RING_HASH, WEIGHTED

    slots = _available(world, int(level.first), int(level.count))
    if policy.balancer >= RING_HASH:
        yield from _hashed(world, policy, slots)
    elif level.mode <= WEIGHTED:
        yield Part(1.0, slots, bool(level.mode == WEIGHTED))
    else:
        first = int(level.first_locality)
        rows = [world.localities[first + number] for number in range(int(level.localities))]
        fractions = _by_weight(rows) if level.mode == BY_LOCALITY else _by_zone(rows, int(level.local_share) / 10_000)
        for row, fraction in zip(rows, fractions, strict=True):
            yield Part(fraction, _available(world, int(row.first), int(row.healthy)), bool(row.weighted == WEIGHTED))


def _available(world: Any, first: int, count: int) -> list[int]:
    return [int(slot) for slot in world.available[first : first + count]]


def _hashed(world: Any, policy: Any, slots: Sequence[int]) -> Iterator[Part]:
    """Yield hosts of tables of consistent hashing: entries by locality as it was given, then by weight."""
    if not policy.locality_weighted:
        yield Part(1.0, slots, weighted=True)
        return
    whole = 0.0
    groups: list[tuple[float, list[int]]] = []
    for _, group in groupby(slots, key=lambda slot: int(world.slots[slot].locality)):
        own = list(group)
        groups.append((float(world.slots[own[0]].locality_weight), own))
        whole += groups[-1][0]
    for weight, own in groups:
        yield Part(weight / whole if whole else 0.0, own, weighted=True)


def _by_weight(rows: Sequence[Any]) -> list[float]:
    """Return the part of each locality by its weight and health (spec §2.7)."""
    whole = sum(float(row.effective) for row in rows)
    return [float(row.effective) / whole for row in rows]


def _by_zone(rows: Sequence[Any], kept: float) -> list[float]:
    """Return the part of each locality as `load_balancing.zone_of` draws it (spec §2.8): the own one's is ``kept``.

    The rest goes by what the others have left, or to any where none has.
    """
    rest, whole = 1.0 - kept, int(rows[-1].residual)
    before = [0, *(int(row.residual) for row in rows[:-1])]
    left = [
        (int(row.residual) - under) / whole if whole else 1 / len(rows) for row, under in zip(rows, before, strict=True)
    ]
    return [rest * part + (kept if row.local else 0.0) for row, part in zip(rows, left, strict=True)]
