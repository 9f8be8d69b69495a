"""What is really there: pods by service and cluster, as the API servers know them, and who is told when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from meshsim.mesh.endpoints import Endpoint


@dataclass(slots=True)
class Pod:
    """A pod: ``number`` is its record in the data plane, ``-1`` before it has one."""

    name: str
    service: str
    workload: str
    cluster: str
    region: str
    zone: str
    number: int = -1
    ready: bool = False
    reachable: bool = True
    draining: bool = False
    gone: bool = False


@dataclass(slots=True)
class Truth:
    """Ready endpoints by service and cluster, as each cluster's API server publishes them.

    Listeners are called with (service, cluster) when the list of a cluster changes.
    """

    clusters: dict[str, tuple[str, str]]
    endpoints: dict[str, dict[str, tuple[Endpoint, ...]]] = field(default_factory=dict)
    listeners: list[Callable[[str, str], None]] = field(default_factory=list)

    def of(self, service: str) -> tuple[Endpoint, ...]:
        """Return all ready endpoints of a service, cluster by cluster."""
        shards = self.endpoints.get(service, {})
        return tuple(endpoint for cluster in self.clusters for endpoint in shards.get(cluster, ()))

    def shard(self, service: str, cluster: str) -> tuple[Endpoint, ...]:
        """Return the ready endpoints of a service in one cluster."""
        return self.endpoints.get(service, {}).get(cluster, ())

    def add(self, pod: Pod) -> None:
        """Publish a pod that became ready."""
        _, network = self.clusters[pod.cluster]
        endpoint = Endpoint(pod.number, pod.cluster, network, pod.region, pod.zone)
        self._replace(pod, (*self.shard(pod.service, pod.cluster), endpoint))

    def remove(self, pod: Pod) -> None:
        """Take back a pod that is terminating or was found not ready."""
        left = tuple(e for e in self.shard(pod.service, pod.cluster) if e.pod != pod.number)
        if len(left) != len(self.shard(pod.service, pod.cluster)):
            self._replace(pod, left)

    def _replace(self, pod: Pod, endpoints: tuple[Endpoint, ...]) -> None:
        self.endpoints.setdefault(pod.service, {})[pod.cluster] = endpoints
        for listener in self.listeners:
            listener(pod.service, pod.cluster)
