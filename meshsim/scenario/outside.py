"""Endpoints that no Deployment keeps: those of ServiceEntries, virtual machines, names of the outside world."""

from __future__ import annotations

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """An endpoint of a ServiceEntry, or a WorkloadEntry.

    Parameters
    ----------
    name
        Its address; with a number where a service has the same address twice.
    region, zone
        Where it stands.
    locality
        Region, zone and subzone that istiod is told, empty where nobody tells it.
    network
        Empty = that of every client.
    weight
        Its share of the load.
    labels
        As a pod's.
    sidecar
        Whether it has a sidecar, and so takes Istio's mutual TLS.
    """

    name: str
    region: str
    zone: str
    locality: tuple[str, str, str] = ("", "", "")
    network: str = ""
    weight: int = 1
    labels: Labels = ()
    sidecar: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What a service has besides the pods of its Deployments, or in their place.

    Parameters
    ----------
    source
        The ServiceEntry; empty for a Kubernetes Service that selects WorkloadEntries.
    endpoints
        Those whose place is known.
    homeless
        Addresses of those whose place nobody tells.
    selector
        Labels of the pods that a ServiceEntry selects; none = no pods.
    ports
        Those of the ServiceEntry; none = it names none.
    """

    source: str = ""
    endpoints: tuple[Outside, ...] = ()
    homeless: tuple[str, ...] = ()
    selector: Labels = ()
    ports: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether there is no Kubernetes Service, so that only selected pods are endpoints."""
        return bool(self.source)

    def find(self, name: str) -> Outside | None:
        """Return the endpoint of a name, or None.

        Examples
        --------
        >>> Entry(endpoints=(Outside("10.0.0.1", "eu", "a"),)).find("10.0.0.1").zone
        'a'
        """
        return next((one for one in self.endpoints if one.name == name), None)
