"""The timeline: each event is installed at its start and uninstalled after its duration, leaving no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from meshsim.engine.control_plane import Istiod
from meshsim.engine.environment import Process
from meshsim.engine.kubernetes import Cluster, ReplicaSet
from meshsim.engine.load import Load
from meshsim.engine.mesh import Mesh
from meshsim.engine.network import LinkFault
from meshsim.engine.truth import Pod
from meshsim.mesh.placement import Zone, zones_of
from meshsim.scenario import schema
from meshsim.scenario.selectors import matches, select_clusters, select_workloads, select_zones

Undo = Callable[[], None]


@dataclass(slots=True, eq=False)
class Trouble:
    """Something wrong with pods: they compute slower, or answer a fraction of requests with an error."""

    wanted: set[tuple[str, str, str]]
    zone: Callable[[Pod], bool]
    slow: float = 1.0
    fraction: float = 0.0
    code: int = 503


@dataclass(slots=True)
class Reach:
    """What faults can reach."""

    mesh: Mesh
    clusters: dict[str, Cluster]
    istiods: list[Istiod]
    load: Load
    troubles: list[Trouble] = field(default_factory=list)
    lost: dict[int, list[str]] = field(default_factory=dict)


class Timeline:
    """Runs the events of a scenario's timeline against a world."""

    def __init__(self, world: Reach) -> None:
        self.world = world
        self.mesh = world.mesh
        self.document = world.mesh.document
        for cluster in world.clusters.values():
            cluster.on_new_pod.append(self._new_pod)

    def begin(self) -> None:
        """Schedule every event."""
        for number, event in enumerate(self.document.timeline):
            self.mesh.env.process(self._happen(number, event))

    def _happen(self, number: int, event: schema.TimelineEvent) -> Process:
        env, recorder = self.mesh.env, self.mesh.recorder
        yield env.at(event.start)
        name = event.name or event.event.replace("_", " ")
        install = getattr(self, f"_{event.event}")
        recorder.event(env.now, "event begins", name, event.event)
        undo = install(event, number)
        duration = getattr(event, "duration", None)
        if duration is None:
            return
        yield env.at(event.start + duration)
        undo()
        recorder.event(env.now, "event ends", name, event.event)

    # --- control planes -------------------------------------------------------------------------------------

    def _control_plane_down(self, event: schema.ControlPlaneDown, _number: int) -> Undo:
        homes = select_clusters(self.document, event.target)
        hit = [
            istiod
            for istiod in self.world.istiods
            if istiod.plane.home in homes and matches(event.target.control_plane, istiod.plane.name)
        ]
        return self._fail(hit)

    def _fail(self, istiods: list[Istiod]) -> Undo:
        for istiod in istiods:
            istiod.fail()
            self.mesh.recorder.event(self.mesh.env.now, "control plane lost", istiod.plane.name, istiod.plane.home)

        def undo() -> None:
            for istiod in istiods:
                self.mesh.env.process(istiod.recover())

        return undo

    # --- places ---------------------------------------------------------------------------------------------

    def _cluster_down(self, event: schema.ClusterDown, _number: int) -> Undo:
        return self._lose(select_clusters(self.document, event.target), event.mode)

    def _region_outage(self, event: schema.RegionOutage, _number: int) -> Undo:
        with ExitStack() as undos:
            undos.callback(self._lose(select_clusters(self.document, event.target), event.mode))
            undos.callback(self._lose_outside(event.target, event.mode))
            return undos.pop_all().close

    def _zone_outage(self, event: schema.ZoneOutage, _number: int) -> Undo:
        zones = select_zones(self.document, event.target)
        clusters = select_clusters(self.document, event.target)
        whole = [name for name in clusters if all(zone in zones for zone in self._zones(name))]
        partly = [name for name in clusters if name not in whole]
        with ExitStack() as undos:
            undos.callback(self._lose(whole, event.mode))
            undos.callback(self._lose_gateways(partly, zones, event.mode, ingress=True))
            undos.callback(self._lose_pods(partly, zones, event.mode, seen=True))
            undos.callback(self._lose_outside(event.target, event.mode))
            return undos.pop_all().close

    def _zones(self, cluster: str) -> list[Zone]:
        region = self.document.clusters[cluster].region
        return [(region, zone) for zone in zones_of(self.document, cluster)]

    def _lose(self, clusters: list[str], mode: str) -> Undo:
        """Lose whole clusters: their API servers go too, so that nobody learns of it."""
        zones = [zone for name in clusters for zone in self._zones(name)]
        self.mesh.lost.update(clusters)
        with ExitStack() as undos:
            undos.callback(self._reconnect, clusters)
            undos.callback(self.mesh.lost.subtract, clusters)
            undos.callback(self._fail([istiod for istiod in self.world.istiods if istiod.plane.home in clusters]))
            undos.callback(self._lose_gateways(clusters, zones, mode, ingress=True))
            undos.callback(self._lose_pods(clusters, zones, mode, seen=False))
            return undos.pop_all().close

    def _lose_pods(self, clusters: list[str], zones: list[Zone], mode: str, *, seen: bool) -> Undo:
        """Stop pods; where the cluster's controllers live on, they notice after the node's grace period."""
        places = [(self.world.clusters[name], zone) for name in clusters for zone in self._zones(name) if zone in zones]
        for cluster, (_, zone) in places:
            cluster.lost[zone] += 1
        hit = [
            pod
            for cluster, zone in places
            for pod in cluster.pods.values()
            if (pod.region, pod.zone) == zone and pod.outside is None
        ]
        self._stop(hit, mode)
        if seen and hit:
            self.mesh.env.process(self._notice(hit))

        def undo() -> None:
            for cluster, (_, zone) in places:
                cluster.lost[zone] -= 1
            self._bring_back(hit, mode)

        return undo

    def _lose_outside(self, target: schema.Target, mode: str) -> Undo:
        """Stop endpoints that are in no cluster: nobody takes them out of Istio's resources."""
        zones = select_zones(self.document, target) if target.cluster is None else []
        pods = [pod for cluster in self.world.clusters.values() for pod in cluster.pods.values()]
        hit = [pod for pod in pods if pod.outside is not None and (pod.region, pod.zone) in zones]
        self._stop(hit, mode)
        return lambda: self._bring_back(hit, mode)

    def _stop(self, pods: list[Pod], mode: str) -> None:
        """Stop pods, for one more cause."""
        now = self.mesh.env.now
        for pod in pods:
            causes = self.world.lost.setdefault(pod.number, [])
            causes.append(mode)
            if len(causes) == 1:
                self.mesh.plane.kill(pod.number, now, silent=mode == "blackhole", for_good=False)
                pod.reachable = False
                self.mesh.recorder.ready[pod.cluster, pod.service].add(-int(pod.ready), now)

    def _notice(self, pods: list[Pod]) -> Process:
        yield self.mesh.env.timeout(self.document.kubernetes.node_grace)
        for pod in pods:
            if self.world.lost.get(pod.number) and not pod.gone:
                self.world.clusters[pod.cluster].withdraw(pod)

    def _bring_back(self, pods: list[Pod], mode: str) -> None:
        now = self.mesh.env.now
        for pod in pods:
            causes = self.world.lost[pod.number]
            causes.remove(mode)
            if not causes and not pod.gone:
                self.mesh.plane.serve(pod.number)
                pod.reachable = True
                self.mesh.recorder.ready[pod.cluster, pod.service].add(int(pod.ready), now)
                if not pod.draining:
                    self.world.clusters[pod.cluster].restore(pod)
        self.mesh.plane.end_silence(now)

    # --- gateways -------------------------------------------------------------------------------------------

    def _gateway_down(self, event: schema.GatewayDown, _number: int) -> Undo:
        clusters = select_clusters(self.document, event.target)
        with ExitStack() as undos:
            undos.callback(self._reconnect, clusters)
            undos.callback(self._lose_gateways(clusters, self.mesh.zones, event.mode, most=event.replicas))
            return undos.pop_all().close

    def _lose_gateways(
        self,
        clusters: list[str],
        zones: list[Zone],
        mode: str,
        *,
        most: int | None = None,
        ingress: bool = False,
    ) -> Undo:
        """Stop east-west gateway replicas, and with ``ingress`` the ingress gateways too."""
        hit = []
        for name in clusters:
            gateway = self.mesh.gateways.get(name)
            here = [proxy for proxy in gateway.replicas if self.mesh.zones[proxy.zone] in zones] if gateway else []
            here = here[: len(here) if most is None else most]
            here += [
                proxy for proxy in self.mesh.ingress.get(name, []) if ingress and self.mesh.zones[proxy.zone] in zones
            ]
            hit += [(name, proxy) for proxy in here]
        for name, proxy in hit:
            self.mesh.lose_gateway(name, proxy, mode)

        def undo() -> None:
            for name, proxy in hit:
                self.mesh.regain_gateway(name, proxy, mode)

        return undo

    def _reconnect(self, clusters: list[str]) -> None:
        """Let watches and xDS streams that were cut open again."""
        for istiod in self.world.istiods:
            touched = self.mesh.clusters if istiod.plane.home in clusters else clusters
            istiod.sync(touched)
            istiod.reconnect(touched)

    # --- links ----------------------------------------------------------------------------------------------

    def _link_slow(self, event: schema.LinkSlow, _number: int) -> Undo:
        return self._link(LinkFault(self._pairs(event.target), delay=event.delay, factor=event.factor))

    def _link_lossy(self, event: schema.LinkLossy, _number: int) -> Undo:
        return self._link(LinkFault(self._pairs(event.target), loss=event.loss))

    def _partition(self, event: schema.Partition, _number: int) -> Undo:
        return self._link(LinkFault(self._pairs(event.target), cut=True))

    def _pairs(self, target: schema.Between) -> tuple[tuple[int, int], ...]:
        """Return the pairs of zones between two places, both ways; a place's links to itself only if it is both."""
        ends = [
            [self.mesh.zones.index(zone) for zone in select_zones(self.document, end)]
            for end in (target.from_, target.to)
        ]
        pairs = [pair for a in ends[0] for b in ends[1] for pair in ((a, b), (b, a))]
        return tuple(dict.fromkeys(pairs))

    def _link(self, fault: LinkFault) -> Undo:
        self.mesh.network.install(fault)

        def undo() -> None:
            self.mesh.network.remove(fault)
            self.mesh.plane.end_silence(self.mesh.env.now)
            if fault.cut or fault.loss >= 1.0:
                self._reconnect(self.mesh.clusters)

        return undo

    # --- services -------------------------------------------------------------------------------------------

    def _service_slow(self, event: schema.ServiceSlow, _number: int) -> Undo:
        return self._trouble(self._trouble_at(event.target, slow=event.factor))

    def _service_failing(self, event: schema.ServiceFailing, _number: int) -> Undo:
        return self._trouble(self._trouble_at(event.target, fraction=event.fraction, code=event.code))

    def _trouble_at(
        self, target: schema.Target, *, slow: float = 1.0, fraction: float = 0.0, code: int = 503
    ) -> Trouble:
        zones = select_zones(self.document, target)
        wanted = set(select_workloads(self.document, target))
        return Trouble(wanted, lambda pod: (pod.region, pod.zone) in zones, slow, fraction, code)

    def _trouble(self, trouble: Trouble) -> Undo:
        self.world.troubles.append(trouble)
        self._update_pods(trouble)

        def undo() -> None:
            self.world.troubles.remove(trouble)
            self._update_pods(trouble)

        return undo

    def _update_pods(self, trouble: Trouble) -> None:
        for cluster in self.world.clusters.values():
            for pod in cluster.pods.values():
                if (pod.service, pod.workload, pod.cluster) in trouble.wanted:
                    self._new_pod(pod)

    def _new_pod(self, pod: Pod) -> None:
        """Set a pod's speed and failures from the troubles that are installed now."""
        here = [t for t in self.world.troubles if (pod.service, pod.workload, pod.cluster) in t.wanted and t.zone(pod)]
        record = self.mesh.plane.pods[pod.number]
        record.slow, healthy = 1.0, 1.0
        for trouble in here:
            record.slow *= trouble.slow
            healthy *= 1.0 - trouble.fraction
            record.fail_code = trouble.code if trouble.fraction > 0 else record.fail_code
        record.fail_fraction = 1.0 - healthy

    # --- people and traffic ---------------------------------------------------------------------------------

    def _traffic_surge(self, event: schema.TrafficSurge, _number: int) -> Undo:
        clusters = select_clusters(self.document, event.target)
        streams = self.world.load.surge(lambda cluster: cluster in clusters, event.factor)
        return lambda: self.world.load.end_surge(streams, event.factor)

    def _replica_sets(self, target: schema.Target) -> Iterator[tuple[Cluster, ReplicaSet]]:
        wanted = select_workloads(self.document, target)
        for cluster in self.world.clusters.values():
            for replica_set in cluster.replica_sets:
                placed = replica_set.placed
                if (placed.service, placed.name, placed.cluster) in wanted:
                    yield cluster, replica_set

    def _rollout(self, event: schema.Rollout, _number: int) -> None:
        for cluster, replica_set in self._replica_sets(event.target):
            self.mesh.env.process(cluster.roll_out(replica_set))

    def _pod_churn(self, event: schema.PodChurn, number: int) -> Undo:
        ended: list[bool] = []
        self.mesh.env.process(self._churn(event, number, ended))
        return lambda: ended.append(True)

    def _churn(self, event: schema.PodChurn, number: int, ended: list[bool]) -> Process:
        """Delete pods at random places; places and times are the same in every deployment."""
        random = self.mesh.streams.of(f"churn/{number}")
        zones = select_zones(self.document, event.target)
        places = [
            (cluster, replica_set, number)
            for cluster, replica_set in self._replica_sets(event.target)
            for number, zone in enumerate(replica_set.placed.zones)
            if (self.document.clusters[cluster.name].region, zone) in zones
        ]
        while places:
            yield self.mesh.env.timeout(random.exponential(1.0 / event.rate))
            cluster, replica_set, slot = places[int(random.integers(len(places)))]
            if ended:
                return
            if slot < replica_set.desired:
                cluster.delete(replica_set, slot)

    def _scale(self, event: schema.Scale, _number: int) -> Undo:
        before = []
        for cluster, replica_set in self._replica_sets(event.target):
            before.append((cluster, replica_set, replica_set.desired))
            cluster.scale(replica_set, event.replicas)

        def undo() -> None:
            for cluster, replica_set, replicas in before:
                cluster.scale(replica_set, replicas)

        return undo
