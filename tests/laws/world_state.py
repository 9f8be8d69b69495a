"""What a run consists of at one moment, so that two runs can be compared, and what must add up in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from meshsim.dataplane.gateway import address_of
from meshsim.dataplane.state import NONE
from meshsim.engine.control_plane import IstiodGroup
from meshsim.engine.kubernetes import Cluster
from meshsim.engine.levels import Levels
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.simulation import Simulation

POD = ["state", "slow", "fail_fraction", "fail_code"]


def place_of(name: str) -> str:
    """Return the place that a pod fills: its name without the number of the pods that have filled it."""
    return name.rsplit(".", 1)[0]


def snapshot(simulation: Simulation) -> dict[str, Any]:
    """Return the state of a run; a pod and the one that replaced it are the same."""
    mesh, world = simulation.mesh, simulation.mesh.plane.world
    known = {int(pod.number): place_of(pod.name) for own in simulation.clusters.values() for pod in own.pods.values()}
    addresses = {name: list(gateway.addresses) for name, gateway in mesh.gateways.items()}
    return {
        "links": world.links.tolist(),
        "faults on links": len(mesh.network.faults),
        "api servers": {name: server.up for name, server in mesh.api_servers.items()},
        "control planes": {name: control_plane(group) for name, group in mesh.groups.items()},
        "pods": {name: pods(mesh, own) for name, own in simulation.clusters.items()},
        "proxies": {place_of(proxy.name): proxy_state(mesh, proxy, known) for proxy in mesh.proxies.values()},
        "gateways": {
            name: [(int(row.down), int(row.closed), int(row.replicas)) for row in world.gateways[numbers]]
            for name, numbers in addresses.items()
        },
        "addresses": addresses,
        "published": mesh.truth.gateways(),
        "expired roots": int(world.clock[0].expired_roots),
        "rates": [float(world.sources[n].rate) for stream in simulation.load.streams for n in stream.sources],
        "levels": levels(mesh),
    }  # fmt: skip


def control_plane(group: IstiodGroup) -> tuple[Any, ...]:
    """Return what a control plane is like, and what each of its replicas knows."""
    secrets = {name: (secret.stored is not None, secret.stored == secret.valid)
               for name, secret in group.credentials.items()}  # fmt: skip
    replicas = [
        (
            istiod.zone,
            istiod.ready,
            len(istiod.causes),
            istiod.informers.applied == group.applied,
            Counter(
                (endpoint.cluster, endpoint.zone, endpoint.workload, endpoint.ready)
                for service in group.mesh.document.services
                for shard in istiod.informers.shards(service)
                for endpoint in shard.endpoints
            ),
            istiod.informers.gateways(),
        )
        for istiod in group.istiods
    ]
    entrance = [len(causes) for causes in group._entrance]
    return group.root, group.trusts, group.ca_causes, group.slowness, group.applied, secrets, replicas, entrance


def pods(mesh: Mesh, cluster: Cluster) -> dict[str, Any]:
    """Return the pods of a cluster that are not on their way out, and what its Deployments want."""
    there = [pod for pod in cluster.pods.values() if not pod.draining]
    return {
        "there": sorted(
            (place_of(pod.name), pod.zone, pod.ready, pod.reachable, *mesh.plane.pods[POD][pod.number].tolist())
            for pod in there
        ),
        "wanted": {own.name: own.desired for own in cluster.replica_sets},
        "gateways": {kind: (own.desired, len(own.serving)) for kind, own in cluster.gateways.items()},
        "lost": sorted(zone for zone, causes in cluster.lost.items() if causes),
    }


def proxy_state(mesh: Mesh, proxy: Proxy, known: dict[int, str]) -> tuple[Any, ...]:
    """Return what a proxy has: its endpoints, its configuration, its stream and its certificate."""
    record = mesh.plane.proxies[proxy.number]
    # The first destination is that of the base configuration; others are for changes of it.
    applied = {service: list(hosts(views[0].hosts, known)) for service, views in proxy.applied.items()}
    certificate = (bool(record.expires > mesh.env.now), int(record.root), int(record.trusts))
    connected = proxy.stream is not None and proxy.stream.istiod is not None
    return applied, proxy.changes, connected, sorted(proxy.behind), list(proxy.causes), int(record.alive), certificate


def hosts(view: Any, known: dict[int, str]) -> Iterator[tuple[Any, ...]]:
    """Yield the hosts of a view in an order that does not depend on the pods' numbers."""
    names = [known.get(int(host), "gone") if host >= 0 else f"gateway {address_of(int(host))}" for host in view.hosts]
    rows = zip(names, view.priorities.tolist(), view.weights.tolist(), view.unhealthy.tolist(), strict=True)
    yield from sorted(rows)


def levels(mesh: Mesh) -> dict[str, Any]:
    """Return everything that the recorder counts up and down."""
    recorder = mesh.recorder
    named = {"stale": recorder.stale, "disconnected": recorder.disconnected, "drifted": recorder.drifted}
    found: dict[str, Any] = {
        f"{what} {name}": level.value for what, by_cluster in named.items() for name, level in by_cluster.items()
    }
    for what, by_service in {
        "desired": recorder.desired, "ready": recorder.ready, "blocked": recorder.blocked,
    }.items():  # fmt: skip
        found |= {f"{what} {key}": number for key, number in numbers(by_service).items()}
    for name, record in recorder.control_planes.items():
        found |= {f"ready {name}": record.ready.value, f"connected {name}": record.connected.value}
    return found


def numbers(levels: Levels) -> dict[tuple[str, str], int]:
    """Return the number that each thing has now; one that never stepped has none."""
    known = [*map(int, levels.value), *[0] * len(levels.places)]
    return dict(zip(levels.places, known, strict=False))


def counted(simulation: Simulation) -> dict[str, Any]:
    """Return `levels` counted anew from what is there."""
    mesh, found = simulation.mesh, dict.fromkeys(levels(simulation.mesh), 0)
    for proxy in mesh.proxies.values():
        stream, cluster = proxy.stream, proxy.client.cluster
        if stream is None:
            continue
        found[f"stale {cluster}"] += bool(proxy.behind)
        found[f"disconnected {cluster}"] += stream.configured.triggered and stream.istiod is None
        found[f"drifted {cluster}"] += proxy.changes is not None and proxy.changes != mesh.intended
        if stream.istiod is not None:
            assert stream.istiod.streams[proxy.number] is stream
            found[f"connected {stream.istiod.group.plane.name}"] += 1
    for group in mesh.groups.values():
        found[f"ready {group.plane.name}"] = sum(istiod.ready for istiod in group.istiods)
    for cluster in simulation.clusters.values():
        for pod in cluster.pods.values():
            found[f"ready {(cluster.name, pod.service)}"] += pod.ready and pod.reachable
            found[f"desired {(cluster.name, pod.service)}"] += pod.outside is not None
        for replica_set in cluster.replica_sets:
            found[f"desired {(cluster.name, replica_set.placed.service)}"] += replica_set.desired
    # Who waits to be admitted is known to nobody else; no more than are missing.
    for key, number in numbers(mesh.recorder.blocked).items():
        found[f"blocked {key}"] = number
    return found


def negative(tables: Any) -> list[str]:
    """Return the columns of a run's tables that have a number below zero."""
    found = []
    for name, columns in tables.items():
        for column, values in columns.items():
            numbers = [value for value in values if isinstance(value, int | float)]
            if column != "bin" and any(number < -1e-9 and number != NONE for number in numbers):
                found.append(f"{name}.{column}")
    return found
