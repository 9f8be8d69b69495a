"""Checks of deployments: every name is known, and every cluster has one control plane."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.errors import did_you_mean
from meshsim.scenario.checks.finding import Finding, twice, unknown
from meshsim.scenario.schema import ControlPlane, Deployment, Document
from meshsim.scenario.tree import Path
from meshsim.units import format_duration

#: Model → fields of a deployment that mean something to it.
PRESETS: dict[str, tuple[str, ...]] = {
    "multi-primary": (),
    "primary-remote": ("primary", "access"),
    "hybrid": ("primaries", "access"),
    "external": ("primary", "place", "access"),
}
#: Name that the preset of that name gives its control plane.
EXTERNAL = "external"


def deployments_control_every_cluster_once(document: Document) -> Iterator[Finding]:
    """Yield deployments that describe nothing, name what is not there, or leave a cluster without one control plane."""
    for name, deployment in document.deployments.items():
        path: Path = ("deployments", name)
        yield from _model(name, deployment, path)
        yield from _names(document, deployment, path)
        if deployment.control_planes:
            for plane, body in deployment.control_planes.items():
                yield from _control_plane(document, body, (*path, "control_planes", plane))
            yield from _served_once(document, deployment, path)


def waits_for_quiet_end(document: Document) -> Iterator[Finding]:
    """Yield a debounce whose quiet time is longer than the whole wait may be."""
    after, most = document.istiod.debounce_after, document.istiod.debounce_max
    if after > most:
        message = f"has no effect: debounce_max, {format_duration(most)}, ends the wait before"
        yield Finding(("istiod", "debounce_after"), f"{format_duration(after)} {message}", warning=True)


def _model(name: str, deployment: Deployment, path: Path) -> Iterator[Finding]:
    """Yield what does not go together."""
    if deployment.model is not None and deployment.control_planes:
        yield Finding(path, "has a model and control_planes; give one of them")
        return
    preset = deployment.model or name
    if preset not in PRESETS and not deployment.control_planes:
        message = f"{name!r} is no preset and has neither model nor control_planes{did_you_mean(name, PRESETS)}"
        yield Finding(path, message)
        return
    takes = ("access",) if deployment.control_planes else PRESETS[preset]
    for field in ("primary", "primaries", "place"):
        if getattr(deployment, field) and field not in takes:
            models = " and ".join(model for model, fields in PRESETS.items() if field in fields)
            one = "s" if " and " in models else ""
            yield Finding((*path, field), f"belongs to the model{one} {models} only")
    if deployment.access == "direct" and "access" not in takes:
        message = "has no effect: every cluster has a control plane of its own"
        yield Finding((*path, "access"), message, warning=True)


def _names(document: Document, deployment: Deployment, path: Path) -> Iterator[Finding]:
    if deployment.primary is not None and deployment.primary not in document.clusters:
        yield unknown((*path, "primary"), "cluster", deployment.primary, document.clusters)
    if deployment.place is not None:
        yield from _place(document, deployment.place, (*path, "place"))
    for region, cluster in deployment.primaries.items():
        where = (*path, "primaries", region)
        if region not in document.regions:
            yield unknown(where, "region", region, document.regions)
        elif cluster not in document.clusters:
            yield unknown(where, "cluster", cluster, document.clusters)
        elif document.clusters[cluster].region != region:
            of = [name for name, body in document.clusters.items() if body.region == region]
            message = f"the cluster '{cluster}' is in region '{document.clusters[cluster].region}'"
            yield Finding(where, message + did_you_mean(cluster, of))


def _place(document: Document, place: str, path: Path) -> Iterator[Finding]:
    zones = [f"{name}/{zone}" for name, region in document.regions.items() for zone in region.zones]
    if place not in document.regions and place not in zones:
        yield unknown(path, "region or zone", place, [*document.regions, *zones])


def _control_plane(document: Document, body: ControlPlane, path: Path) -> Iterator[Finding]:
    """Yield what is wrong with one control plane of the free form."""
    if body.home is not None and body.place is not None:
        yield Finding(path, "has a home and a place; give one of them")
    if body.place is not None:
        yield from _place(document, body.place, (*path, "place"))
    elif body.gateway_replicas != 1:
        message = "has no effect: only a control plane outside all clusters has a gateway of its own; give it a place"
        yield Finding((*path, "gateway_replicas"), message, warning=True)
    named = {"home": body.home, "config_cluster": body.config_cluster}
    for field, cluster in named.items():
        if cluster is not None and cluster not in document.clusters:
            yield unknown((*path, field), "cluster", cluster, document.clusters)
    if body.watches is not None:
        yield from _watched(document, body, (*path, "watches"))


def _watched(document: Document, body: ControlPlane, path: Path) -> Iterator[Finding]:
    watches = body.watches or []
    yield from twice(path, "cluster", watches)
    for index, cluster in enumerate(watches):
        if cluster not in document.clusters:
            yield unknown((*path, index), "cluster", cluster, document.clusters)
    # Its own cluster and that of its configuration are always watched.
    home = body.home or body.serves[0] if body.place is None else None
    known = {*watches, home, body.config_cluster or home or body.serves[0]}
    unseen = [cluster for cluster in body.serves if cluster not in known]
    if unseen:
        message = f"{', '.join(unseen)} missing: istiod refuses proxies of a cluster that it has no secret for"
        yield Finding(path, message, warning=True)


def _served_once(document: Document, deployment: Deployment, path: Path) -> Iterator[Finding]:
    server: dict[str, str] = {}
    for plane, body in deployment.control_planes.items():
        for index, cluster in enumerate(body.serves):
            where = (*path, "control_planes", plane, "serves", index)
            if cluster not in document.clusters:
                yield unknown(where, "cluster", cluster, document.clusters)
            elif cluster in server:
                yield Finding(where, f"the cluster '{cluster}' is already served by '{server[cluster]}'")
            else:
                server[cluster] = plane
    left = [cluster for cluster in document.clusters if cluster not in server]
    if left:
        yield Finding((*path, "control_planes"), f"no control plane serves {', '.join(left)}")


def names(document: Document) -> list[str]:
    """Return the names that a control plane of some deployment may have: those given, and those that presets give.

    A preset names a control plane after the cluster that it runs in. Which it is depends on the preset, which only
    `meshsim.mesh.deployment` knows.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> names(Document.model_validate({**EXAMPLE, "deployments": ["multi-primary", "external"]}))
    ['eu-1', 'external']
    """
    found: dict[str, None] = {}
    for name, deployment in document.deployments.items():
        if deployment.control_planes:
            found |= dict.fromkeys(deployment.control_planes)
        elif (deployment.model or name) == EXTERNAL:
            found[EXTERNAL] = None
        else:
            found |= dict.fromkeys(document.clusters)
    return list(found)
