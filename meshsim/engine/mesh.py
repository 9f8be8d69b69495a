"""What the processes of one run share: the clock, the data plane, the truth, the proxies and the network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from meshsim.dataplane import state
from meshsim.dataplane.plane import DataPlane
from meshsim.engine.environment import Environment
from meshsim.engine.network import Network
from meshsim.engine.prepared import Prepared
from meshsim.engine.recorder import Recorder
from meshsim.engine.streams import Streams
from meshsim.engine.truth import Endpoints, Truth
from meshsim.engine.views import View, Views
from meshsim.mesh.deployment import ControlPlane, east_west_gateways
from meshsim.mesh.endpoints import GatewayAddress, Gateways
from meshsim.mesh.placement import Zone, spread, zones_of
from meshsim.mesh.places import Client
from meshsim.scenario.schema import Gateway


@dataclass(slots=True, eq=False)
class Proxy:
    """A proxy as the control plane sees it: what it asked for, what it has, and when the last push to it arrives."""

    number: int
    kind: int
    client: Client
    zone: int
    service: str
    destinations: dict[str, tuple[int, ...]]
    applied: dict[str, tuple[View, ...]] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    causes: list[str] = field(default_factory=list)
    reached: float = 0.0


@dataclass(slots=True, eq=False)
class EastWest:
    """The east-west gateway of a cluster: its replicas' proxies and its addresses in the data plane."""

    replicas: list[Proxy]
    addresses: list[int]

    @property
    def alive(self) -> bool:
        """Return whether any replica is up."""
        return any(not proxy.causes for proxy in self.replicas)


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
        self.plane.trace(document.access_log)
        self.prepared = prepared
        self.truth = Truth(
            {name: (body.region, body.network) for name, body in document.clusters.items()},
            prepared.endpoint_labels,
            prepared.plain,
        )
        self.unready_endpoints = any(policy.unready_endpoints for policy in prepared.policies)
        self.recorder = Recorder(self.plane, self.clusters, list(document.load.entries))
        self.proxies: dict[int, Proxy] = {}
        self.interested: dict[str, list[Proxy]] = {service: [] for service in document.services}
        self.peers: dict[str, list[Proxy]] = defaultdict(list)
        self.pushes: dict[str, int] = defaultdict(int)
        self.lost: Counter[str] = Counter()  # clusters whose API server is gone, with the rest of them
        self.gateways: dict[str, EastWest] = {}
        self.ingress: dict[str, list[Proxy]] = defaultdict(list)
        self.views = Views(prepared, self._add_gateways())

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

    def client(self, cluster: str, zone: str, workload: tuple[str, str] = ("", "")) -> Client:
        """Return where a proxy is, as Istio sees it, and the labels of its pod if anybody looks at them."""
        body = self.document.clusters[cluster]
        labels = self.prepared.client_labels.get(workload, ())
        return Client(cluster, body.network, body.region, zone, labels=labels)

    # --- proxies --------------------------------------------------------------------------------------------

    def _add_gateways(self) -> Gateways:
        """Add the east-west gateways; they pass traffic only where there are several networks."""
        addresses: list[GatewayAddress] = []
        several = len({body.network for body in self.document.clusters.values()}) > 1
        for cluster, settings in east_west_gateways(self.document, self.planes).items():
            gateway = self.gateways[cluster] = EastWest(self._gateway_replicas(cluster, settings), [])
            if not several:
                continue
            numbers = [proxy.number for proxy in gateway.replicas]
            home = self.home_zone(cluster)
            for _ in range(settings.addresses):
                number = self.plane.add_gateway(self.clusters.index(cluster), home, numbers)
                gateway.addresses.append(number)
                addresses.append(GatewayAddress(number, cluster, self.document.clusters[cluster].network))
        return Gateways.of(addresses)

    def _gateway_replicas(self, cluster: str, settings: Gateway) -> list[Proxy]:
        destinations = range(len(self.plane.plan.destinations))
        zones = spread(settings.replicas, zones_of(self.document, cluster))
        return [
            self.add_gateway_proxy(
                state.EAST_WEST, f"{cluster}/east-west-{number}", self.client(cluster, zone), settings, destinations
            )
            for number, zone in enumerate(zones)
        ]

    def add_gateway_proxy(
        self, kind: int, name: str, where: Client, settings: Gateway, destinations: Sequence[int]
    ) -> Proxy:
        """Add a replica of a gateway."""
        number = self.plane.add_proxy(
            kind,
            name,
            cluster=self.clusters.index(where.cluster),
            zone=self.zone_number(where.cluster, where.zone),
            settings=settings,
            callees=destinations,
        )
        return self.register(number, kind, where, destinations)

    def register(
        self,
        number: int,
        kind: int,
        where: Client,
        destinations: Sequence[int],
        service: str = "",
        *,
        zone: int | None = None,
    ) -> Proxy:
        """Make a proxy known to the control plane; its zone is that of ``where`` unless told otherwise."""
        by_service: dict[str, tuple[int, ...]] = {}
        for destination in destinations:
            called = self.plane.plan.destinations[destination][0]
            by_service[called] = (*by_service.get(called, ()), destination)
        zone = self.zone_number(where.cluster, where.zone) if zone is None else zone
        proxy = Proxy(number, kind, where, zone, service, by_service)
        self.proxies[number] = proxy
        for called in by_service:
            self.interested[called].append(proxy)
        if service and self.views.zone_aware:
            self.peers[service].append(proxy)
        return proxy

    def concerned(self, service: str) -> Iterator[tuple[Proxy, str]]:
        """Yield the proxies that a service's endpoints matter to, and the service that they see differently.

        A proxy that routes by zone also looks at where the pods of its own service are.
        """
        for proxy in self.interested[service]:
            yield proxy, service
        for proxy in self.peers[service]:
            for called in proxy.destinations:
                yield proxy, called

    def forget(self, proxy: Proxy) -> None:
        """Drop a proxy whose pod is gone."""
        del self.proxies[proxy.number]
        for service in proxy.destinations:
            self.interested[service].remove(proxy)
        if proxy in self.peers[proxy.service]:
            self.peers[proxy.service].remove(proxy)
        if proxy.behind:
            self.recorder.stale[proxy.client.cluster].add(-1, self.env.now)

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
        gateway = self.gateways.get(cluster)
        if gateway is not None:
            silent = any("blackhole" in replica.causes for replica in gateway.replicas)
            for address in gateway.addresses:
                self.plane.set_gateway_silent(address, silent=silent)

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

    def view_of(self, proxy: Proxy, service: str, known: Callable[[str], Endpoints]) -> tuple[View, ...]:
        """Return what istiod would send to a proxy, for each destination, given the endpoints of each service."""
        own = proxy.kind == state.EAST_WEST
        home = known(proxy.service) if self.views.zone_aware and proxy.service else ()
        return tuple(
            self.views.of(proxy.client, destination, known(service), home, own_network=own)
            for destination in proxy.destinations[service]
        )

    def _truth_changed(self, service: str, cluster: str) -> None:  # noqa: ARG002 (a listener's signature)
        for proxy, seen in self.concerned(service):
            self._compare(proxy, seen)

    def _compare(self, proxy: Proxy, service: str) -> None:
        """Keep count of the proxies whose endpoints are not what a control plane that knows all would send."""
        if proxy.applied.get(service) != self.view_of(proxy, service, self.truth.of):
            if not proxy.behind:
                self.recorder.stale[proxy.client.cluster].add(1, self.env.now)
            proxy.behind.add(service)
        elif service in proxy.behind:
            proxy.behind.discard(service)
            if not proxy.behind:
                self.recorder.stale[proxy.client.cluster].add(-1, self.env.now)
