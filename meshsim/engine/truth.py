"""What is really there: pods by service and cluster, as the API servers know them, and who is told when it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from meshsim.mesh.endpoints import GatewayAddress
from meshsim.mesh.places import OUTSIDE, Endpoint, outside_endpoint
from meshsim.scenario.outside import Labels, Outside

Endpoints = tuple[Endpoint, ...]
#: In place of a service: the east-west gateways of a cluster.
GATEWAYS = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Endpoints of a service in a cluster at one moment; equal only to itself, which is quick to tell."""

    endpoints: Endpoints = ()


#: Where a cluster has no pods of a service.
EMPTY = Shard()


class Knowledge(Protocol):
    """What somebody knows of the mesh: the truth itself, or what an istiod has heard of it."""

    def shards(self, service: str) -> tuple[Shard, ...]:
        """Return the endpoints of a service, cluster by cluster, then those that are in none."""

    def gateways(self) -> tuple[GatewayAddress, ...]:
        """Return the addresses of all east-west gateways."""


@dataclass(slots=True)
class Pod:
    """A pod: ``number`` is its record in the data plane, ``-1`` before it has one.

    An endpoint that no Deployment keeps is one, too, with what Istio's resources say of it: ``outside``.
    """

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
    outside: Outside | None = None


@dataclass(slots=True)
class Truth:
    """Endpoints by service and cluster, as each cluster's API server publishes them.

    Parameters
    ----------
    clusters
        Region and network by name.
    labels
        Labels by (service, workload), where anybody looks at them.
    plain
        Workloads, (service, workload), that do not take Istio's mutual TLS.
    clock
        Returns the present time, seconds.
    listeners
        Called with (service, cluster) when the list of a cluster changes; `GATEWAYS` in place of the service for its
        gateways.
    since
        When a list last changed, seconds, by (service, cluster).
    """

    clusters: dict[str, tuple[str, str]]
    clock: Callable[[], float]
    labels: Mapping[tuple[str, str], Labels] = field(default_factory=dict)
    plain: frozenset[tuple[str, str]] = frozenset()
    listeners: list[Callable[[str, str], None]] = field(default_factory=list)
    since: dict[tuple[str, str], float] = field(default_factory=dict)
    _shards: dict[str, dict[str, Shard]] = field(default_factory=dict)
    _gateways: dict[str, tuple[GatewayAddress, ...]] = field(default_factory=dict)
    _by_cluster: dict[str, dict[str, Shard]] = field(default_factory=dict)
    _told: dict[str, tuple[Shard, ...]] = field(default_factory=dict)
    _addresses: tuple[GatewayAddress, ...] | None = None

    def shards(self, service: str) -> tuple[Shard, ...]:
        """Return all endpoints of a service, cluster by cluster, then those that are in none."""
        told = self._told.get(service)
        if told is None:
            known = self._shards.get(service, {})
            told = tuple(known[cluster] for cluster in (*self.clusters, OUTSIDE) if cluster in known)
            self._told[service] = told
        return told

    def gateways(self) -> tuple[GatewayAddress, ...]:
        """Return the addresses of all east-west gateways, cluster by cluster."""
        if self._addresses is None:
            self._addresses = tuple(address for cluster in self.clusters for address in self._gateways.get(cluster, ()))
        return self._addresses

    def gateways_of(self, cluster: str) -> tuple[GatewayAddress, ...]:
        """Return the addresses of a cluster's east-west gateway."""
        return self._gateways.get(cluster, ())

    def shard(self, service: str, cluster: str) -> Shard:
        """Return the endpoints of a service in one cluster."""
        return self._shards.get(service, {}).get(cluster, EMPTY)

    def shards_of(self, cluster: str) -> Mapping[str, Shard]:
        """Return the endpoints in a cluster, by service."""
        return self._by_cluster.get(cluster, {})

    def publish_gateways(self, cluster: str, addresses: tuple[GatewayAddress, ...]) -> None:
        """Publish the addresses of a cluster's east-west gateway."""
        self._gateways[cluster] = addresses
        self._addresses = None
        self._tell(GATEWAYS, cluster)

    def publish(self, pod: Pod) -> None:
        """Publish a pod with its present readiness."""
        endpoint = self._endpoint(pod)
        shard = self.shard(pod.service, endpoint.cluster).endpoints
        if any(known.pod == pod.number for known in shard):
            self._replace(pod, tuple(endpoint if known.pod == pod.number else known for known in shard))
        else:
            self._replace(pod, (*shard, endpoint))

    def _endpoint(self, pod: Pod) -> Endpoint:
        workload = (pod.service, pod.workload)
        tls = workload not in self.plain
        if pod.outside is not None:
            return outside_endpoint(pod.number, pod.outside, tls=tls)
        _, network = self.clusters[pod.cluster]
        return Endpoint(
            pod.number, pod.cluster, network, pod.region, pod.zone, workload=pod.workload,
            labels=self.labels.get(workload, ()), ready=pod.ready, tls=tls,
        )  # fmt: skip

    def remove(self, pod: Pod) -> None:
        """Take back a pod that is terminating."""
        shard = self.shard(pod.service, pod.cluster).endpoints
        left = tuple(endpoint for endpoint in shard if endpoint.pod != pod.number)
        if len(left) != len(shard):
            self._replace(pod, left)

    def _replace(self, pod: Pod, endpoints: Endpoints) -> None:
        cluster = pod.cluster if pod.outside is None else OUTSIDE
        shard = self._shards.setdefault(pod.service, {})[cluster] = Shard(endpoints)
        self._by_cluster.setdefault(cluster, {})[pod.service] = shard
        self._told.pop(pod.service, None)
        self._tell(pod.service, cluster)

    def _tell(self, service: str, cluster: str) -> None:
        self.since[service, cluster] = self.clock()
        for listener in self.listeners:
            listener(service, cluster)
