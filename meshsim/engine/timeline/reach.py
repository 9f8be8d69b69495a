"""What the events of a timeline can reach, and how their undoing is put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshsim.scenario.schema import Document, Target
from meshsim.scenario.selectors import select_control_planes, select_workloads, select_zones

if TYPE_CHECKING:  # so that parts of it can be tried alone
    from meshsim.engine.control_plane import IstiodGroup
    from meshsim.engine.environment import Undo
    from meshsim.engine.identity import Identity
    from meshsim.engine.kubernetes import Cluster
    from meshsim.engine.load import Load
    from meshsim.engine.mesh import Mesh
    from meshsim.engine.replica_sets import ReplicaSet
    from meshsim.engine.truth import Pod


@dataclass(slots=True, eq=False)
class Trouble:
    """Something wrong with pods: they compute slower, or answer a fraction of requests with an error."""

    workloads: frozenset[tuple[str, str, str]]
    zones: frozenset[tuple[str, str]]
    slow: float = 1.0
    fraction: float = 0.0
    code: int = 0

    @classmethod
    def at(cls, document: Document, target: Target, **wrong: float) -> Trouble:
        """Return what is wrong with the pods of a target.

        Examples
        --------
        >>> from meshsim.scenario import load
        >>> from meshsim.scenario.scenario import EXAMPLE
        >>> Trouble.at(load(EXAMPLE).document, Target(zone="a"), slow=2.0).zones
        frozenset({('eu', 'a')})
        """
        workloads = frozenset(select_workloads(document, target))
        return cls(workloads, frozenset(select_zones(document, target)), **wrong)  # type: ignore[arg-type]

    def hits(self, pod: Pod) -> bool:
        """Return whether a pod is one of those that something is wrong with."""
        return (pod.service, pod.workload, pod.cluster) in self.workloads and (pod.region, pod.zone) in self.zones


@dataclass(slots=True, eq=False)
class Loss:
    """Why a pod is down, one mode for each cause; since when, and the state that it was in."""

    since: float
    state: int
    modes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Scaling:
    """A number of replicas that people wanted: what was before it, to which they go back."""

    before: int


@dataclass(slots=True, eq=False)
class Move:
    """A change of a gateway's addresses, with its undo, and whether it has ended."""

    undo: Undo
    ended: bool = False


@dataclass(slots=True)
class Reach:
    """What events can reach, and the causes of what is wrong now.

    Parameters
    ----------
    mesh
        The run.
    clusters
        Pods, by cluster.
    load
        Users' requests.
    identity
        Certificates.
    deployment
        Name of the deployment model.

    Attributes
    ----------
    troubles
        What is wrong with pods.
    losses
        Why pods are down, by their numbers in the data plane.
    expired
        How many events let a root certificate be expired.
    secrets
        How many events have spoilt the remote secret of a (control plane, cluster).
    scalings
        Numbers of replicas that people wanted and still want, the latest last.
    asked
        Those that no API server has taken yet.
    moves
        Changes of the addresses of clusters' gateways, the latest last.
    """

    mesh: Mesh
    clusters: dict[str, Cluster]
    load: Load
    identity: Identity
    deployment: str
    troubles: list[Trouble] = field(default_factory=list)
    losses: dict[int, Loss] = field(default_factory=dict)
    expired: Counter[str] = field(default_factory=Counter)
    secrets: Counter[tuple[str, str]] = field(default_factory=Counter)
    scalings: dict[ReplicaSet, list[Scaling]] = field(default_factory=dict)
    asked: dict[ReplicaSet, list[int]] = field(default_factory=dict)
    moves: dict[str, list[Move]] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        """Return the scenario."""
        return self.mesh.document

    def groups(self, target: Target) -> list[IstiodGroup]:
        """Return the control planes of this deployment that fit a selector."""
        return [self.mesh.groups[plane.name] for plane in select_control_planes(self.mesh.planes, target)]


def nothing() -> None:
    """Undo an event that is for good, or ends by itself."""


def together(undos: Iterable[Undo | None]) -> Undo | None:
    """Return one undo for several, in their order; None stands for a part without a target, and for all if all are.

    Examples
    --------
    >>> undone = together([lambda: print("pods"), None, lambda: print("gateways")])
    >>> undone()
    pods
    gateways
    >>> together([None, None]) is None
    True
    """
    parts = [undo for undo in undos if undo is not None]
    if not parts:
        return None

    def undo() -> None:
        for part in parts:
            part()

    return undo
