"""Events of places: clusters, zones and regions that are lost with everything that runs in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from meshsim.engine.environment import Process, Undo
from meshsim.engine.timeline.control_planes import lose_api_server, lose_replicas
from meshsim.engine.timeline.gateways import lose_east_west, lose_ingress
from meshsim.engine.timeline.reach import Loss, Reach, together
from meshsim.engine.truth import Pod
from meshsim.mesh.placement import Zone, spread, zones_of
from meshsim.scenario.schema import ClusterDown, RegionOutage, Target, ZoneOutage
from meshsim.scenario.selectors import select_clusters, select_zones


def cluster_down(reach: Reach, event: ClusterDown) -> Undo | None:
    """Lose clusters: API server, istiod, gateways and pods."""
    clusters = select_clusters(reach.document, event.target)
    return together(undo for name in clusters for undo in _lose_cluster(reach, name, event.mode))


def region_outage(reach: Reach, event: RegionOutage) -> Undo | None:
    """Lose the clusters of regions, and what runs there outside all clusters."""
    clusters = select_clusters(reach.document, event.target)
    lost = [undo for name in clusters for undo in _lose_cluster(reach, name, event.mode)]
    return together([*lost, *_lose_outside(reach, event.target, event.mode)])


def zone_outage(reach: Reach, event: ZoneOutage) -> Undo | None:
    """Lose zones: a cluster that has no other is lost, the others lose what runs there."""
    zones = select_zones(reach.document, event.target)
    undos: list[Undo | None] = []
    for name in select_clusters(reach.document, event.target):
        own = _zones(reach, name)
        lost = [zone for zone in own if zone in zones]
        part = _lose_cluster if len(lost) == len(own) else _lose_zones
        undos += part(reach, name, event.mode, lost)
    return together([*undos, *_lose_outside(reach, event.target, event.mode)])


def _zones(reach: Reach, cluster: str) -> list[Zone]:
    region = reach.document.clusters[cluster].region
    return [(region, zone) for zone in zones_of(reach.document, cluster)]


def _lose_cluster(reach: Reach, cluster: str, mode: str, zones: Collection[Zone] | None = None) -> list[Undo | None]:
    """Lose a whole cluster; its API server goes, so nobody learns what has become of its pods."""
    zones = _zones(reach, cluster) if zones is None else zones
    homes = [group for group in reach.mesh.groups.values() if group.plane.home == cluster]
    return [
        lose_api_server(reach, cluster),
        *(lose_replicas(group, mode) for group in homes),
        *_lose_proxies(reach, cluster, zones, mode),
        _lose_pods(reach, cluster, zones, mode, seen=False),
    ]


def _lose_zones(reach: Reach, cluster: str, mode: str, zones: Collection[Zone]) -> list[Undo | None]:
    """Lose some of a cluster's zones; its node controller notices after the grace period."""
    homes = [group for group in reach.mesh.groups.values() if group.plane.home == cluster]
    return [
        *(lose_replicas(group, mode, _numbers(reach, zones)) for group in homes),
        *_lose_proxies(reach, cluster, zones, mode),
        _lose_pods(reach, cluster, zones, mode, seen=True),
    ]


def _lose_proxies(reach: Reach, cluster: str, zones: Collection[Zone], mode: str) -> list[Undo | None]:
    return [lose_east_west(reach, cluster, zones, mode), lose_ingress(reach, cluster, zones, mode)]


def _numbers(reach: Reach, zones: Iterable[Zone]) -> list[int]:
    return [reach.mesh.zones.index(zone) for zone in zones]


def _lose_outside(reach: Reach, target: Target, mode: str) -> Iterator[Undo | None]:
    """Lose what is in no cluster: external control planes with their gateways, and endpoints that nobody withdraws."""
    zones = select_zones(reach.document, target)
    for group in reach.groups(target):
        plane = group.plane
        if plane.is_external:
            lost = [(plane.region, zone) for zone in plane.zones if (plane.region, zone) in zones]
            entrance = sum((plane.region, zone) in lost for zone in spread(plane.gateway_replicas, plane.zones))
            yield lose_replicas(group, mode, _numbers(reach, lost))
            yield group.lose_entrance(entrance, mode) if entrance else None
    pods = [pod for cluster in reach.clusters.values() for pod in cluster.pods.values()]
    yield _stop(reach, [pod for pod in pods if pod.outside is not None and (pod.region, pod.zone) in zones], mode)


# --- pods ---------------------------------------------------------------------------------------------------


def _lose_pods(reach: Reach, name: str, zones: Collection[Zone], mode: str, *, seen: bool) -> Undo | None:
    """Lose a cluster's pods in some zones; no pod starts there meanwhile."""
    cluster = reach.clusters[name]
    for _, zone in zones:
        cluster.lost[zone] += 1
    hit = [pod for pod in cluster.pods.values() if pod.outside is None and (pod.region, pod.zone) in zones]
    stopped = _stop(reach, hit, mode)
    if seen and hit:
        reach.mesh.env.process(_notice(reach, hit))

    def undo() -> None:
        for _, zone in zones:
            cluster.lost[zone] -= 1
        if stopped is not None:
            stopped()

    return undo


def _stop(reach: Reach, pods: Collection[Pod], mode: str) -> Undo | None:
    """Stop pods for one more cause."""
    if not pods:
        return None
    now = reach.mesh.env.now
    for pod in pods:
        loss = reach.losses.setdefault(pod.number, Loss(now, int(reach.mesh.plane.pods[pod.number].state)))
        loss.modes.append(mode)
        if len(loss.modes) == 1:
            _leave(reach, pod, silent=mode == "blackhole")
            pod.reachable = False
            reach.mesh.recorder.ready.add((pod.cluster, pod.service), -int(pod.ready), now)
        elif mode == "blackhole":
            reach.mesh.plane.silence(pod.number)
    return lambda: _bring_back(reach, pods, mode)


def _leave(reach: Reach, pod: Pod, *, silent: bool) -> None:
    reach.mesh.plane.kill(pod.number, reach.mesh.env.now, silent=silent, for_good=False)


def _notice(reach: Reach, pods: Iterable[Pod]) -> Process:
    """Withdraw the endpoints of pods that have been gone for the node's grace period without a break."""
    since = [(pod, reach.losses[pod.number].since) for pod in pods]
    yield reach.mesh.env.timeout(reach.document.kubernetes.node_grace)
    for pod, lost in since:
        loss = reach.losses.get(pod.number)
        if loss is not None and loss.since == lost and not pod.gone:
            reach.clusters[pod.cluster].withdraw(pod)


def _bring_back(reach: Reach, pods: Iterable[Pod], mode: str) -> None:
    """Take one cause away; pods without any are back as they were."""
    now = reach.mesh.env.now
    for pod in pods:
        loss = reach.losses[pod.number]
        loss.modes.remove(mode)
        if loss.modes:
            if mode == "blackhole" and "blackhole" not in loss.modes and not pod.gone:
                _leave(reach, pod, silent=False)
            continue
        del reach.losses[pod.number]
        if not pod.gone:
            reach.mesh.plane.revive(pod.number, loss.state)  # one that did not listen yet goes on to start
            pod.reachable = True
            reach.mesh.recorder.ready.add((pod.cluster, pod.service), int(pod.ready), now)
            if not pod.draining:
                reach.clusters[pod.cluster].restore(pod)
    reach.mesh.plane.end_silence(now)
