"""Deployments: the places that their pods fill, and what an autoscaler sees of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import simpy

from meshsim.engine.truth import Pod
from meshsim.mesh.placement import PlacedWorkload

#: A pod that has been ready, by its number in the data plane (none: -1), with its proxy's.
Member = tuple[int, int]


class Scaled(Protocol):
    """What a HorizontalPodAutoscaler scales: a Deployment of a service or of a gateway."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def replicas(self) -> int:
        """How many replicas are wanted."""

    @property
    def starting(self) -> int:
        """How many pods there are that have never been ready."""

    def members(self) -> Iterable[Member]:
        """Return the pods that have been ready and do not terminate."""


@dataclass(slots=True, eq=False)
class Slot:
    """A replica's place in a Deployment: the pod that fills it now, and how often it was filled."""

    zone: str
    pod: Pod | None = None
    filled: int = 0
    starting: simpy.Event | None = None


@dataclass(slots=True, eq=False)
class ReplicaSet:
    """A Deployment in one cluster.

    Parameters
    ----------
    placed
        The workload and where its first pods are.
    slots
        Places of its pods; those beyond ``desired`` are empty, or about to be.
    desired
        How many replicas are wanted.
    starting
        Pods there are that have never been ready.
    """

    placed: PlacedWorkload
    slots: list[Slot] = field(default_factory=list)
    desired: int = 0
    starting: int = 0
    _members: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return ``cluster/workload``."""
        return f"{self.placed.cluster}/{self.placed.name}"

    @property
    def replicas(self) -> int:
        """Return how many replicas are wanted."""
        return self.desired

    def members(self) -> Iterable[Member]:
        """Return the pods that have been ready and do not terminate, with their proxies."""
        return self._members.items()

    def join(self, pod: int, proxy: int) -> None:
        """Note that a pod is ready for the first time."""
        self._members[pod] = proxy

    def leave(self, pod: int) -> None:
        """Note that a pod terminates."""
        self._members.pop(pod, None)


def surge_and_unavailable(replicas: int, max_surge: float, max_unavailable: float) -> tuple[int, int]:
    """Return how many pods a rolling update may have beyond ``replicas``, and how many may be missing.

    Kubernetes rounds the first up and the second down, and lets one pod be missing where that leaves nothing. Where
    both limits are zero, which Kubernetes does not take, there may be one pod more.

    Examples
    --------
    >>> surge_and_unavailable(6, 0.25, 0.25), surge_and_unavailable(3, 0.0, 0.25), surge_and_unavailable(3, 0.0, 0.0)
    ((2, 1), (0, 1), (1, 0))
    """
    surge, unavailable = math.ceil(max_surge * replicas), math.floor(max_unavailable * replicas)
    if surge or unavailable:
        return surge, unavailable
    return (0, 1) if max_unavailable > 0.0 else (1, 0)
