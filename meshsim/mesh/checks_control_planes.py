"""Checks that need to know who controls whom: what an event is meant for is there in some deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from meshsim.errors import did_you_mean
from meshsim.mesh.deployment import ControlPlane, control_planes, ways_through
from meshsim.scenario.checks import Finding
from meshsim.scenario.schema import (
    ConfigChange,
    ControlPlaneCrashLoop,
    ControlPlaneDown,
    Document,
    EastWestGateway,
    GatewayAddressChange,
    GatewayDown,
    RemoteSecret,
    RootChange,
    Target,
)
from meshsim.scenario.selectors import matches, select_clusters, select_control_planes, several_networks
from meshsim.scenario.tree import Path

#: Deployment → its control planes.
Planes: TypeAlias = Mapping[str, Sequence[ControlPlane]]

#: Events that happen to control planes, as their selectors say.
_OF_CONTROL_PLANES = (
    "control_plane_down",
    "control_plane_crash_loop",
    "control_plane_slow",
    "control_plane_rollout",
    "certificate_authority_down",
    "root_change",
    "root_expired",
    "config_change",
)


def events_hit_some_deployment(document: Document) -> Iterator[Finding]:
    """Yield events that happen to nothing in any deployment; to be missing in some is what deployments differ in."""
    planes = _planes(document)
    for index, event in enumerate(document.timeline):
        path: Path = ("timeline", index, "target")
        if event.event in _OF_CONTROL_PLANES and isinstance(event.target, Target):
            yield from _hits(planes, event.target, path)
        elif isinstance(event, RemoteSecret):
            yield from _secret(document, planes, event, path)
        elif isinstance(event, GatewayDown) and event.target.control_plane is not None:
            yield from _entrance(planes, event.target, path)
        elif isinstance(event, (GatewayDown, GatewayAddressChange)):
            yield from _gateways(document, planes, event, path)


def faults_take_what_is_there(document: Document) -> Iterator[Finding]:
    """Yield faults that take more replicas than there are."""
    planes = _planes(document)
    for index, event in enumerate(document.timeline):
        wanted: int | None = getattr(event, "replicas", None)
        if wanted is None or not isinstance(event, (ControlPlaneDown, ControlPlaneCrashLoop, GatewayDown)):
            continue
        most = max(_replicas(document, planes, event), default=wanted)
        if wanted > most:
            message = f"{wanted} is more than there are: {most} at the start; leave it out to take all of them"
            yield Finding(("timeline", index, "replicas"), message, warning=True)


def _replicas(
    document: Document, planes: Planes, event: ControlPlaneDown | ControlPlaneCrashLoop | GatewayDown
) -> Iterator[int]:
    """Yield the replicas of each control plane or gateway that a fault hits."""
    hit = [plane for found in planes.values() for plane in select_control_planes(found, event.target)]
    if not isinstance(event, GatewayDown):
        yield from (plane.replicas for plane in hit)
    elif event.target.control_plane is not None:
        yield from (plane.gateway_replicas for plane in hit if plane.entrance)
    else:
        clusters = select_clusters(document, event.target)
        yield from (document.gateways.get(name, EastWestGateway()).replicas for name in clusters)


def changes_reach_control_planes(document: Document) -> Iterator[Finding]:
    """Yield staggers without a second control plane to wait, and control planes whose turn comes after the end."""
    planes = _planes(document)
    for index, event in enumerate(document.timeline):
        if not isinstance(event, ConfigChange) or event.stagger == 0:
            continue
        most = max(len(select_control_planes(found, event.target)) for found in planes.values())
        path: Path = ("timeline", index, "stagger")
        if most == 1:
            yield Finding(path, "has no effect: no deployment has two control planes that match", warning=True)
        elif event.start + (most - 1) * event.stagger >= document.duration:
            message = f"the last of {most} control planes is reached only after the end of the run"
            yield Finding(path, message, warning=True)


def roots_change(document: Document) -> Iterator[Finding]:
    """Yield changes to a root that every control plane signs with already."""
    roots = {(name, plane.name): plane.root for name, found in _planes(document).items() for plane in found}
    changes = [(index, event) for index, event in enumerate(document.timeline) if isinstance(event, RootChange)]
    for index, event in sorted(changes, key=lambda change: change[1].start):
        hit = [
            (name, plane.name)
            for name, found in _planes(document).items()
            for plane in select_control_planes(found, event.target)
        ]
        if hit and all(roots[key] == event.root for key in hit):
            message = f"changes nothing: '{event.root}' is what they sign with already"
            yield Finding(("timeline", index, "root"), message, warning=True)
        roots |= dict.fromkeys(hit, event.root)


def gateways_carry_something(document: Document) -> Iterator[Finding]:
    """Yield east-west gateways that join no networks and lead to no control plane."""
    if several_networks(document):
        return
    used = [cluster for planes in _planes(document).values() for cluster in ways_through(document, planes)]
    idle = [cluster for cluster in document.gateways if cluster not in used]
    if idle:
        network = next(iter(document.clusters.values())).network
        message = (
            f"nothing goes through the east-west gateway of {', '.join(idle)}: all clusters are in the network "
            f"'{network}', and no other cluster's control plane is there"
        )
        yield Finding(("gateways", idle[0]), message, warning=True)


def _planes(document: Document) -> Planes:
    return {name: control_planes(document, name) for name in document.deployments}


def _hits(planes: Planes, target: Target, path: Path) -> Iterator[Finding]:
    if any(select_control_planes(found, target) for found in planes.values()):
        return
    known = dict.fromkeys(plane.name for found in planes.values() for plane in found)
    nearest = did_you_mean(target.control_plane or "", known)
    yield Finding(path, f"no deployment has a control plane that matches {_shown(target)}{nearest}")


def _secret(document: Document, planes: Planes, event: RemoteSecret, path: Path) -> Iterator[Finding]:
    clusters = select_clusters(document, Target(cluster=event.target.cluster))
    watching = [
        plane
        for found in planes.values()
        for plane in found
        if matches(event.target.control_plane, plane.name) and not set(plane.secrets).isdisjoint(clusters)
    ]
    if not watching:
        who = f"control plane '{event.target.control_plane}'" if event.target.control_plane else "control plane"
        message = f"no {who} of any deployment watches {', '.join(clusters)} by a remote secret"
        yield Finding(path, message + "; the cluster it runs in needs none")


def _entrance(planes: Planes, target: Target, path: Path) -> Iterator[Finding]:
    if any(plane.entrance for found in planes.values() for plane in select_control_planes(found, target)):
        return
    known = dict.fromkeys(plane.name for found in planes.values() for plane in found if plane.entrance)
    message = f"no control plane outside all clusters, with a gateway of its own, matches {_shown(target)}"
    yield Finding(path, message + did_you_mean(target.control_plane or "", known))


def _gateways(
    document: Document, planes: Planes, event: GatewayDown | GatewayAddressChange, path: Path
) -> Iterator[Finding]:
    clusters = select_clusters(document, event.target)
    if not any(cluster in clusters for found in planes.values() for cluster in ways_through(document, found)):
        message = f"no deployment sends anything through an east-west gateway of {', '.join(clusters)}"
        yield Finding(path, message, warning=isinstance(event, GatewayDown))


def _shown(target: Target) -> str:
    given = target.model_dump(exclude_none=True)
    return "{" + ", ".join(f"{name}: {pattern}" for name, pattern in given.items()) + "}"


#: Every check of control planes.
CHECKS: tuple[Callable[[Document], Iterator[Finding]], ...] = (
    events_hit_some_deployment,
    faults_take_what_is_there,
    changes_reach_control_planes,
    roots_change,
    gateways_carry_something,
)
