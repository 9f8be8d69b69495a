"""What the processes of one run share: the clock, the data plane, the truth, the proxies and the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from meshsim.dataplane import state
from meshsim.dataplane.plane import DataPlane
from meshsim.engine.api_server import ApiServer
from meshsim.engine.east_west import EastWestGateways
from meshsim.engine.environment import Environment
from meshsim.engine.network import Network
from meshsim.engine.prepared import Prepared
from meshsim.engine.recorder import Recorder
from meshsim.engine.spans import part_of
from meshsim.engine.streams import Streams
from meshsim.engine.truth import GATEWAYS, Knowledge, Truth
from meshsim.engine.views import Known, View, Views
from meshsim.mesh.deployment import ControlPlane
from meshsim.mesh.placement import Zone, zones_of
from meshsim.mesh.places import Client
from meshsim.scenario.proxies import gateway_threads
from meshsim.scenario.requests import INGRESS_CLIENT
from meshsim.scenario.schema import Gateway

if TYPE_CHECKING:
    from meshsim.engine.control_plane import IstiodGroup
    from meshsim.engine.xds import Stream


@dataclass(slots=True, eq=False)
class Proxy:
    """A proxy as the control plane sees it: what it asked for, and what it has.

    ``home`` is its own service if it routes by zone, and so looks at where the pods of that are; ``scope`` are the
    services in its Sidecar scope, None for all; ``changes`` the changes of configuration that are in force at it, None
    before its first configuration. ``behind`` are services whose endpoints it has not got right; ``causes`` tell why a
    gateway replica is down.
    """

    number: int
    name: str
    kind: int
    client: Client
    zone: int
    service: str
    workload: str
    destinations: dict[str, tuple[int, ...]]
    home: str = ""
    scope: frozenset[str] | None = None
    changes: tuple[int, ...] | None = None
    stream: Stream | None = None
    applied: dict[str, tuple[View, ...]] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    causes: list[str] = field(default_factory=list)

    def concerned(self, changed: Collection[str]) -> Collection[str]:
        """Return the services whose endpoints it may have to see otherwise when those of some have changed."""
        if self.home and self.home in changed:
            return self.destinations
        return [service for service in changed if service in self.destinations]


class Mesh:
    """Shared state of one run.

    Parameters
    ----------
    prepared
        What does not change from run to run.
    planes
        Control planes of the deployment.
    replication
        Number of the run; with the seed, the key of every draw.
    """

    def __init__(self, prepared: Prepared, planes: Sequence[ControlPlane], replication: int) -> None:
        self.document = document = prepared.scenario.document
        self.env = Environment()
        self.planes = tuple(planes)
        self.streams = Streams(document.seed, replication)
        self.clusters = list(document.clusters)
        self.zones: list[Zone] = [(name, zone) for name, region in document.regions.items() for zone in region.zones]
        self.network = Network.of(prepared.links, self.zones)
        self.plane = DataPlane(
            prepared.blueprint,
            self.network.records,
            clusters=len(self.clusters),
            entries=len(document.load.entries),
            seed=document.seed,
            replication=replication,
        )
        # The first replication has spans; a trace of every one would only take time.
        self.plane.trace(document.access_log or (part_of(document) if replication == 0 else 0.0))
        self.prepared = prepared
        self.truth = Truth(
            {name: (body.region, body.network) for name, body in document.clusters.items()},
            lambda: self.env.now,
            prepared.endpoint_labels,
            prepared.plain,
        )
        self.unready_endpoints = any(policy.unready_endpoints for policy in prepared.policies)
        self.recorder = Recorder(
            self.plane,
            self.clusters,
            list(document.load.entries),
            logs=document.access_log > 0,
            spans=replication == 0,
        )
        self.proxies: dict[int, Proxy] = {}
        self.interested: dict[str, list[Proxy]] = {service: [] for service in document.services}
        self._peers: dict[str, list[Proxy]] = defaultdict(list)
        self.pushes: dict[str, int] = defaultdict(int)
        self.api_servers = {name: ApiServer(self.home_zone(name)) for name in self.clusters}
        self.groups: dict[str, IstiodGroup] = {}
        self.intended: tuple[int, ...] = ()
        self.gateways = EastWestGateways(self)
        self.ingress: dict[str, list[Proxy]] = defaultdict(list)
        self.views = Views(prepared)
        self.gateways.add()

    def begin(self) -> None:
        """Compare proxies with the truth from now on."""
        self.truth.listeners.append(self._truth_changed)
        self.pushes.clear()

    # --- places ---------------------------------------------------------------------------------------------

    def zone_number(self, cluster: str, zone: str) -> int:
        """Return the number of a cluster's zone."""
        return self.zones.index((self.document.clusters[cluster].region, zone))

    def home_zone(self, cluster: str) -> int:
        """Return the zone that stands for a cluster where its control plane and API server are meant."""
        return self.zone_number(cluster, zones_of(self.document, cluster)[0])

    def client(self, cluster: str, zone: str, workload: tuple[str, str] = INGRESS_CLIENT) -> Client:
        """Return where a proxy is, as Istio sees it, and the labels of its pod if anybody looks at them."""
        body = self.document.clusters[cluster]
        labels = self.prepared.client_labels.get(workload, ())
        return Client(cluster, body.network, body.region, zone, labels=labels)

    def connected(self, a: int, b: int) -> bool:
        """Return whether connections between two zones work: messages pass both ways."""
        return self.network.open(a, b) and self.network.open(b, a)

    def group_of(self, cluster: str) -> IstiodGroup:
        """Return the control plane that serves a cluster's proxies."""
        return next(group for group in self.groups.values() if cluster in group.plane.serves)

    def paths_changed(self) -> None:
        """Look at all streams and watches again, after anything that can open or close a way."""
        for group in self.groups.values():
            group.look()

    # --- proxies --------------------------------------------------------------------------------------------

    def add_gateway_proxy(
        self, kind: int, name: str, where: Client, settings: Gateway, destinations: Sequence[int]
    ) -> Proxy:
        """Add a replica of a gateway."""
        threads = gateway_threads(settings, self.prepared.scenario.resources)
        number = self.plane.add_proxy(
            kind,
            name,
            cluster=self.clusters.index(where.cluster),
            zone=self.zone_number(where.cluster, where.zone),
            settings=settings.model_copy(update={"concurrency": threads}),
            callees=destinations,
        )
        return self.register(number, name, kind, where, destinations)

    def register(
        self,
        number: int,
        name: str,
        kind: int,
        where: Client,
        destinations: Sequence[int],
        *,
        service: str = "",
        workload: str = "",
        zone: int | None = None,
    ) -> Proxy:
        """Make a proxy known to the control plane; its zone is that of ``where`` unless told otherwise."""
        by_service: dict[str, tuple[int, ...]] = {}
        for destination in destinations:
            called = self.plane.plan.destinations[destination][0]
            by_service[called] = (*by_service.get(called, ()), destination)
        zone = self.zone_number(where.cluster, where.zone) if zone is None else zone
        scope = self.prepared.scopes.get((service, workload))
        home = service if self.views.zone_aware else ""
        proxy = Proxy(number, name, kind, where, zone, service, workload, by_service, home, scope)
        self.proxies[number] = proxy
        for called in by_service:
            self.interested[called].append(proxy)
        if home:
            self._peers[home].append(proxy)
        return proxy

    def forget(self, proxy: Proxy) -> None:
        """Drop a proxy whose pod is gone."""
        del self.proxies[proxy.number]
        for service in proxy.destinations:
            self.interested[service].remove(proxy)
        if proxy.home:
            self._peers[proxy.home].remove(proxy)
        if proxy.stream is not None:
            proxy.stream.end()
        if proxy.behind:
            self.recorder.stale[proxy.client.cluster].add(-1, self.env.now)
        if self._drifts(proxy):
            self.recorder.drifted[proxy.client.cluster].add(-1, self.env.now)

    def lose_gateway(self, cluster: str, proxy: Proxy, mode: str) -> None:
        """Take a gateway replica down for one more cause; ``mode`` tells what connections see."""
        proxy.causes.append(mode)
        self._gateway_changed(cluster, proxy)

    def regain_gateway(self, cluster: str, proxy: Proxy, mode: str) -> None:
        """Take one cause away; without any the replica is up again."""
        proxy.causes.remove(mode)
        self._gateway_changed(cluster, proxy)

    def _gateway_changed(self, cluster: str, proxy: Proxy) -> None:
        self.plane.set_gateway(proxy.number, self.env.now, alive=not proxy.causes, silent="blackhole" in proxy.causes)
        self.gateways.silence(cluster)

    # --- configuration --------------------------------------------------------------------------------------

    def apply(self, proxy: Proxy, service: str, views: tuple[View, ...]) -> bool:
        """Let a proxy apply the endpoints of a service; return whether they differed from what it had."""
        before = proxy.applied.get(service)
        if before != views:
            for number, (destination, view) in enumerate(zip(proxy.destinations[service], views, strict=True)):
                if before is None or before[number] != view:
                    self.plane.push(proxy.number, destination, view.hosts, self.env.now)
            proxy.applied[service] = views
            self.pushes[proxy.client.cluster] += 1
        self._compare(proxy, service)
        return before != views

    def view_of(self, proxy: Proxy, service: str, known: Knowledge) -> tuple[View, ...]:
        """Return what istiod would send to a proxy for each destination of a service, given what it knows."""
        home = known.shards(proxy.home) if proxy.home else ()
        seen = Known(known.shards(service), home, known.gateways())
        own = proxy.kind == state.EAST_WEST
        return tuple(
            self.views.of(proxy.client, destination, seen, own_network=own)
            for destination in proxy.destinations[service]
        )

    def _truth_changed(self, service: str, cluster: str) -> None:  # noqa: ARG002 (a listener's signature)
        everybody = service == GATEWAYS
        for proxy in self.proxies.values() if everybody else chain(self.interested[service], self._peers[service]):
            for called in proxy.destinations if everybody else proxy.concerned((service,)):
                self._compare(proxy, called)

    def _compare(self, proxy: Proxy, service: str) -> None:
        """Keep count of the proxies whose endpoints are not what a control plane that knows all would send."""
        if proxy.applied.get(service) != self.view_of(proxy, service, self.truth):
            if not proxy.behind:
                self.recorder.stale[proxy.client.cluster].add(1, self.env.now)
            proxy.behind.add(service)
        elif service in proxy.behind:
            proxy.behind.discard(service)
            if not proxy.behind:
                self.recorder.stale[proxy.client.cluster].add(-1, self.env.now)

    def configure(self, proxy: Proxy, applied: tuple[int, ...]) -> bool:
        """Let a proxy take a configuration: the base and some changes; return whether it has one now that it takes.

        Envoy rejects (NACK) what a bad change makes, and keeps what it has; a new proxy then has nothing.
        """
        prepared = self.prepared
        if not prepared.rejected.isdisjoint(applied):
            return False
        if proxy.changes != applied:
            drifted = self._drifts(proxy)
            proxy.changes = applied
            self.plane.configure(proxy.number, prepared.configuration(applied))
            self._count_drift(proxy, drifted)
        return True

    def intend(self, change: int, *, applied: bool) -> None:
        """Note that from now on everybody should run a change of configuration, or no longer."""
        rest = tuple(known for known in self.intended if known != change)
        wanted = (*rest, change) if applied and change not in self.prepared.rejected else rest
        if wanted == self.intended or (applied and change in self.intended):
            return
        before = [(proxy, self._drifts(proxy)) for proxy in self.proxies.values()]
        self.intended = wanted
        for proxy, drifted in before:
            self._count_drift(proxy, drifted)

    def _drifts(self, proxy: Proxy) -> bool:
        """Return whether a proxy runs another configuration than it should."""
        return proxy.changes is not None and proxy.changes != self.intended

    def _count_drift(self, proxy: Proxy, drifted: bool) -> None:  # noqa: FBT001 (what it was before)
        change = int(self._drifts(proxy)) - int(drifted)
        if change:
            self.recorder.drifted[proxy.client.cluster].add(change, self.env.now)
