"""Checks of places: every name is known, and what is said of proxies means something."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.finding import Finding, twice, unknown
from meshsim.scenario.schema import Document
from meshsim.scenario.selectors import several_networks


def clusters_lie_in_known_zones(document: Document) -> Iterator[Finding]:
    """Yield clusters in a region or zone that does not exist, and zones named twice."""
    for name, region in document.regions.items():
        yield from twice(("regions", name, "zones"), "zone", region.zones)
    for name, cluster in document.clusters.items():
        path = ("clusters", name)
        found = document.regions.get(cluster.region)
        if found is None:
            yield unknown((*path, "region"), "region", cluster.region, document.regions)
        if cluster.zones is None:
            continue
        if not cluster.zones:
            yield Finding((*path, "zones"), "is empty; leave it out to use all zones of the region")
        yield from twice((*path, "zones"), "zone", cluster.zones)
        for index, zone in enumerate(cluster.zones):
            if found is not None and zone not in found.zones:
                yield unknown((*path, "zones", index), "zone", zone, found.zones, cluster.region)


def gateways_stand_in_known_clusters(document: Document) -> Iterator[Finding]:
    """Yield gateways of unknown clusters."""
    for name in document.ingress:
        if name not in document.clusters:
            yield unknown(("ingress", name), "cluster", name, document.clusters)
    for name in document.gateways:
        if name not in document.clusters:
            yield unknown(("gateways", name), "cluster", name, document.clusters)


def latency_is_between_known_places(document: Document) -> Iterator[Finding]:
    """Yield overrides of latency between places that do not exist, and pairs given twice."""
    zones = [f"{name}/{zone}" for name, region in document.regions.items() for zone in region.zones]
    seen: dict[tuple[str, ...], int] = {}
    for index, override in enumerate(document.latency):
        path = ("latency", index, "between")
        for end, place in enumerate(override.between):
            if place not in document.regions and place not in zones:
                yield unknown((*path, end), "region or zone", place, [*document.regions, *zones])
        pair = tuple(sorted(override.between))
        if pair in seen:
            yield Finding(path, f"the same two places as latency[{seen[pair]}]")
        seen.setdefault(pair, index)


def proxies_cost_what_they_do(document: Document) -> Iterator[Finding]:
    """Yield costs of what a proxy never does, and networks that nobody can reach without sidecars."""
    for name, gateway in document.gateways.items():
        if "handshake" in gateway.model_fields_set:
            message = "has no effect: an east-west gateway passes TLS through"
            yield Finding(("gateways", name, "handshake"), message, warning=True)
    if not document.sidecar.enabled and several_networks(document):
        message = "without sidecars there is no mutual TLS, so no request gets to another network through its gateway"
        yield Finding(("sidecar", "enabled"), message, warning=True)
