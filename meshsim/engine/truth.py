"""What is really there: pods by service and cluster, as the API servers know them, and who is told when it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meshsim.mesh.places import OUTSIDE, Endpoint, outside_endpoint
from meshsim.scenario.outside import Labels, Outside

Endpoints = tuple[Endpoint, ...]


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
    listeners
        Called with (service, cluster) when the list of a cluster changes.
    """

    clusters: dict[str, tuple[str, str]]
    labels: Mapping[tuple[str, str], Labels] = field(default_factory=dict)
    plain: frozenset[tuple[str, str]] = frozenset()
    endpoints: dict[str, dict[str, Endpoints]] = field(default_factory=dict)
    listeners: list[Callable[[str, str], None]] = field(default_factory=list)

    def of(self, service: str) -> Endpoints:
        """Return all endpoints of a service, cluster by cluster, then those that are in none."""
        shards = self.endpoints.get(service, {})
        return tuple(endpoint for cluster in (*self.clusters, OUTSIDE) for endpoint in shards.get(cluster, ()))

    def shard(self, service: str, cluster: str) -> Endpoints:
        """Return the endpoints of a service in one cluster."""
        return self.endpoints.get(service, {}).get(cluster, ())

    def publish(self, pod: Pod) -> None:
        """Publish a pod with its present readiness."""
        endpoint = self._endpoint(pod)
        shard = self.shard(pod.service, endpoint.cluster)
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
        left = tuple(e for e in self.shard(pod.service, pod.cluster) if e.pod != pod.number)
        if len(left) != len(self.shard(pod.service, pod.cluster)):
            self._replace(pod, left)

    def _replace(self, pod: Pod, endpoints: Endpoints) -> None:
        cluster = pod.cluster if pod.outside is None else OUTSIDE
        self.endpoints.setdefault(pod.service, {})[cluster] = endpoints
        for listener in self.listeners:
            listener(pod.service, cluster)
