"""What people and nodes do to workloads: surges of load, rollouts, evictions, and other numbers of replicas."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate

import simpy

from meshsim.engine.environment import Process, Undo
from meshsim.engine.kubernetes import Cluster
from meshsim.engine.replica_sets import ReplicaSet
from meshsim.engine.timeline.reach import Reach, Scaling, nothing, together
from meshsim.mesh.placement import Zone
from meshsim.scenario.schema import PodChurn, Rollout, Scale, Target, TrafficSurge
from meshsim.scenario.selectors import select_clusters, select_workloads, select_zones

#: A Deployment, with the cluster that it is in.
Deployed = tuple[Cluster, ReplicaSet]


def traffic_surge(reach: Reach, event: TrafficSurge) -> Undo | None:
    """Multiply open load that enters by the target clusters; surges that overlap multiply."""
    clusters = select_clusters(reach.document, event.target)
    streams = reach.load.surge(lambda cluster: cluster in clusters, event.factor)
    return (lambda: reach.load.end_surge(streams, event.factor)) if streams else None


def rollout(reach: Reach, event: Rollout) -> Undo | None:
    """Replace every pod of the target workloads, or every replica of gateways; it goes on until it is done."""
    if event.gateway is not None:
        clusters = [reach.clusters[name] for name in select_clusters(reach.document, event.target)]
        gateways = [cluster.gateways[event.gateway] for cluster in clusters if event.gateway in cluster.gateways]
        for gateway in gateways:
            reach.mesh.env.process(gateway.roll_out())
        return nothing if gateways else None
    found = list(_replica_sets(reach, event.target))
    for cluster, replica_set in found:
        reach.mesh.env.process(cluster.roll_out(replica_set))
    return nothing if found else None


def pod_churn(reach: Reach, event: PodChurn, *, stream: str) -> Undo | None:
    """Delete pods at exponential gaps, at random places.

    Parameters
    ----------
    reach
        What can be hit.
    event
        Where, and how often.
    stream
        Name of the random stream: times and places are the same in every deployment.
    """
    zones = select_zones(reach.document, event.target)
    found = list(_replica_sets(reach, event.target))
    if not found or not zones:
        return None
    process = reach.mesh.env.process(_churn(reach, event.rate, found, zones, stream))
    return lambda: process.interrupt() if process.is_alive else None


def _churn(reach: Reach, rate: float, found: Sequence[Deployed], zones: Collection[Zone], stream: str) -> Process:
    random = reach.mesh.streams.of(stream)
    wanted = [_zones(reach, cluster, zones) for cluster, _ in found]
    while True:
        try:
            yield reach.mesh.env.timeout(random.exponential(1.0 / rate))
        except simpy.Interrupt:
            return
        where = random.random()  # drawn in any case, so that what follows does not depend on what there is now
        ends = list(accumulate(len(_inside(one, own)) for (_, one), own in zip(found, wanted, strict=True)))
        if not ends[-1]:
            continue
        place = int(where * ends[-1])
        at = bisect_right(ends, place)
        cluster, replica_set = found[at]
        number = _inside(replica_set, wanted[at])[place - ends[at]]
        if reach.mesh.api_servers[cluster.name].up:  # else nobody is asked for an eviction, now or later
            cluster.delete(replica_set, number)


def _zones(reach: Reach, cluster: Cluster, zones: Collection[Zone]) -> frozenset[str] | None:
    """Return which of a cluster's zones are among these; None if all are."""
    name = reach.document.clusters[cluster.name].region
    own = frozenset(zone for region, zone in zones if region == name)
    return None if own.issuperset(reach.document.regions[name].zones) else own


def _inside(replica_set: ReplicaSet, zones: Collection[str] | None) -> Sequence[int]:
    """Return the numbers of the pods that a Deployment has in some zones; None for anywhere."""
    if zones is None:
        return range(min(replica_set.desired, len(replica_set.slots)))
    return [number for number, slot in enumerate(replica_set.slots[: replica_set.desired]) if slot.zone in zones]


def scale(reach: Reach, event: Scale) -> Undo | None:
    """Give workloads another number of replicas: the latest event that lasts decides, after all what was before."""
    return together(
        _scale(reach, cluster, replica_set, event.replicas)
        for cluster, replica_set in _replica_sets(reach, event.target)
    )


def _scale(reach: Reach, cluster: Cluster, replica_set: ReplicaSet, replicas: int) -> Undo:
    scalings = reach.scalings.setdefault(replica_set, [])
    asked = reach.asked.get(replica_set)
    own = Scaling(before=asked[-1] if asked else replica_set.desired)
    scalings.append(own)
    _ask(reach, cluster, replica_set, replicas)

    def undo() -> None:
        place = scalings.index(own)
        del scalings[place]
        if place == len(scalings):
            _ask(reach, cluster, replica_set, own.before)
        else:  # somebody has scaled since: that stays, and will be followed by what was before both
            scalings[place].before = own.before

    return undo


def _ask(reach: Reach, cluster: Cluster, replica_set: ReplicaSet, replicas: int) -> None:
    """Have a number of replicas set, and note it until the API server has taken it."""
    asked = reach.asked.setdefault(replica_set, [])
    asked.append(replicas)
    cluster.scale(replica_set, replicas)
    cluster.admission.when_up(lambda: asked.pop(0))


def _replica_sets(reach: Reach, target: Target) -> Iterator[Deployed]:
    wanted = select_workloads(reach.document, target)
    for cluster in reach.clusters.values():
        for replica_set in cluster.replica_sets:
            placed = replica_set.placed
            if (placed.service, placed.name, placed.cluster) in wanted:
                yield cluster, replica_set
