"""Events of links: slow, jittery or lossy ones, and partitions, both ways or one."""

from __future__ import annotations

from meshsim.engine.environment import Undo
from meshsim.engine.network import LinkFault
from meshsim.engine.timeline.reach import Reach
from meshsim.scenario.schema import Between, LinkLossy, LinkSlow, Partition
from meshsim.scenario.selectors import select_zones


def link_slow(reach: Reach, event: LinkSlow) -> Undo | None:
    """Make messages take longer; factors multiply, delays and jitters add up."""
    pairs = _pairs(reach, event.target, event.direction)
    return _install(reach, LinkFault(pairs, delay=event.delay, jitter=event.jitter, factor=event.factor))


def link_lossy(reach: Reach, event: LinkLossy) -> Undo | None:
    """Lose messages; each fault loses its part of what the others leave."""
    return _install(reach, LinkFault(_pairs(reach, event.target, event.direction), loss=event.loss))


def partition(reach: Reach, event: Partition) -> Undo | None:
    """Let nothing pass."""
    return _install(reach, LinkFault(_pairs(reach, event.target, event.direction), cut=True))


def _pairs(reach: Reach, target: Between, direction: str) -> tuple[tuple[int, int], ...]:
    """Return the pairs of zones between two places; a place's links to itself only if it is both."""
    zones = reach.mesh.zones
    sources, sinks = (
        [zones.index(zone) for zone in select_zones(reach.document, end)] for end in (target.from_, target.to)
    )
    pairs = [(a, b) for a in sources for b in sinks]
    if direction == "both":
        pairs += [(b, a) for a, b in pairs]
    return tuple(dict.fromkeys(pairs))


def _install(reach: Reach, fault: LinkFault) -> Undo | None:
    if not fault.pairs:
        return None
    reach.mesh.network.install(fault)

    def undo() -> None:
        reach.mesh.network.remove(fault)
        reach.mesh.plane.end_silence(reach.mesh.env.now)

    return undo
