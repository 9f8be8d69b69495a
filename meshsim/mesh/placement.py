"""Which pods run in which zone: replicas of every workload, spread over the zones of their cluster."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from meshsim.scenario.outside import Outside
from meshsim.scenario.schema import Document, Target
from meshsim.scenario.selectors import outside_of, replicas_of, select_workloads, zones_of

__all__ = ["PlacedWorkload", "Zone", "first_zone", "place", "spread", "zones_of"]

#: A zone with its region: ``(region, zone)``.
Zone = tuple[str, str]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PlacedWorkload:
    """A Deployment in one cluster.

    Parameters
    ----------
    service, name
        The service it stands behind and its own name; a service without workloads has one of its own name.
    cluster
        Kubernetes cluster.
    zones
        Zone of each replica.
    outside
        The endpoint, if it is one that no Deployment keeps; the cluster is then the one that stands for it.
    """

    service: str
    name: str
    cluster: str
    zones: tuple[str, ...]
    outside: Outside | None = None

    @property
    def replicas(self) -> int:
        """Number of pods."""
        return len(self.zones)


def spread(replicas: int, zones: Sequence[_T], start: int = 0) -> list[_T]:
    """Return the zone of each pod of a workload, one after the other, so that no zone has two more than another.

    This is what Kubernetes' default topology spread aims at.

    Parameters
    ----------
    replicas
        Number of pods.
    zones
        Zones of the cluster, by whatever tells them apart.
    start
        Where in ``zones`` the first pod goes (modulo their number).

    Raises
    ------
    ValueError
        If there are no zones.

    Examples
    --------
    >>> spread(4, ["a", "b", "c"], start=1)
    ['b', 'c', 'a', 'b']
    """
    if not zones:
        raise ValueError("no zones to spread pods over")
    return [zones[(start + number) % len(zones)] for number in range(replicas)]


def first_zone(workload: str) -> int:
    """Return where a workload's first pod goes: a hash of its name, the same in every run and process.

    Without it every workload with one replica would land in the first zone.

    Parameters
    ----------
    workload
        Name of the workload.

    Examples
    --------
    >>> first_zone("cart") % 3, first_zone("frontend") % 3
    (1, 2)
    """
    return zlib.crc32(workload.encode())


def place(document: Document) -> tuple[PlacedWorkload, ...]:
    """Return every workload of every cluster with the zones of its pods, in the order of the file.

    Endpoints that no Deployment keeps are among them, each with the cluster that stands for it.

    Parameters
    ----------
    document
        The scenario. A workload without pods in a cluster is there only if the file says 0 for that cluster.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> place(Document.model_validate(EXAMPLE))
    (PlacedWorkload(service='web', name='web', cluster='eu-1', zones=('b', 'a'), outside=None),)
    """
    placed = []
    for service, name, cluster in select_workloads(document, Target()):
        outside = outside_of(document, service).get(name)
        if outside is not None:
            placed.append(PlacedWorkload(service, name, cluster, (outside.zone,), outside))
            continue
        replicas = replicas_of(document, service, name, cluster)
        zones = spread(replicas, zones_of(document, cluster), first_zone(name))
        placed.append(PlacedWorkload(service, name, cluster, tuple(zones)))
    return tuple(placed)
