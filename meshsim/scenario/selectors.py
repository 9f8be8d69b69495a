"""What a selector means: the clusters, zones, services and workloads that it matches, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from meshsim.scenario.outside import Entry, Outside
from meshsim.scenario.schema import Document, Service, Target, Workload


class Controls(Protocol):
    """A control plane as selectors see it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def home(self) -> str:
        """The cluster that it runs in; empty for none."""

    @property
    def region(self) -> str:
        """The region that it runs in."""


Plane = TypeVar("Plane", bound=Controls)


def matches(pattern: str | None, value: str) -> bool:
    """Tell whether a value fits a pattern in which ``*`` stands for any run of characters; None fits everything.

    Examples
    --------
    >>> matches("eu-*", "eu-1"), matches("eu", "eu-1"), matches(None, "eu-1")
    (True, False, True)
    """
    if pattern is None or pattern == value:
        return True
    first, star, rest = pattern.partition("*")
    *middle, last = rest.split("*")
    if not star or len(value) < len(first) + len(last) or not (value.startswith(first) and value.endswith(last)):
        return False
    # The leftmost fit of each part leaves most room for the next: linear, where a regular expression may take for ever.
    position, end = len(first), len(value) - len(last)
    for part in middle:
        found = value.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def zones_of(document: Document, cluster: str) -> list[str]:
    """Return the zones that a cluster's nodes are in; all of its region by default.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> zones_of(load(EXAMPLE).document, "eu-1")
    ['a', 'b']
    """
    own = document.clusters[cluster].zones
    region = document.regions.get(document.clusters[cluster].region)
    return list(own) if own is not None else list(region.zones) if region is not None else []


def several_networks(document: Document) -> bool:
    """Tell whether clusters are in different networks, so that requests between them go through gateways.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {"eu-1": {"region": "eu", "network": "a"}, "eu-2": {"region": "eu", "network": "b"}}
    >>> several_networks(load({**EXAMPLE, "clusters": clusters}).document), several_networks(load(EXAMPLE).document)
    (True, False)
    """
    return len({cluster.network for cluster in document.clusters.values()}) > 1


def workloads_of(document: Document, service: str) -> dict[str, Workload]:
    """Return the workloads behind a service by name; by default one, named as the service.

    Of the Deployments of a ServiceEntry's service only those count that it selects. An endpoint that no Deployment
    keeps is a workload of its own, named by its address.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> list(workloads_of(load(EXAMPLE).document, "web"))
    ['web']
    """
    body = document.services[service]
    entry = body.entry
    if entry is None:
        return dict(body.workloads) or {service: Workload()}
    own = {name: one for name, one in body.workloads.items() if not entry.whole or _selected(entry, service, name, one)}
    if not own and not entry.whole:
        own = {service: Workload()}
    return own | {one.name: Workload(labels=dict(one.labels)) for one in entry.endpoints}


def _selected(entry: Entry, service: str, name: str, workload: Workload) -> bool:
    own = pod_labels(service, name) | workload.labels
    return bool(entry.selector) and all(own.get(key) == value for key, value in entry.selector)


def pod_labels(service: str, workload: str) -> dict[str, str]:
    """Return the labels that a workload's pods have anyway: ``app``, and ``version`` where its name tells one.

    Examples
    --------
    >>> pod_labels("web", "web-v1")
    {'app': 'web', 'version': 'v1'}
    """
    version = workload.removeprefix(f"{service}-")
    return {"app": service} | ({"version": version} if version != workload else {})


def outside_of(document: Document, service: str) -> dict[str, Outside]:
    """Return the endpoints of a service that no Deployment keeps, by name.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> outside_of(load(EXAMPLE).document, "web")
    {}
    """
    entry = document.services[service].entry
    return {} if entry is None else {one.name: one for one in entry.endpoints}


def home_of(document: Document, outside: Outside) -> str:
    """Return the cluster that stands for an endpoint in tables, and whose control plane serves its sidecar.

    It is in none: the nearest is taken, which is the first of its zone, else of its region, else of its network.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> home_of(load(EXAMPLE).document, Outside("10.0.0.1", "eu", "b"))
    'eu-1'
    """

    def near(name: str) -> tuple[bool, bool, bool]:
        cluster = document.clusters[name]
        region = cluster.region == outside.region
        return region and outside.zone in zones_of(document, name), region, cluster.network == outside.network

    return max(document.clusters, key=near)


def replicas_of(document: Document, service: str, workload: str, cluster: str) -> int:
    """Return the pods of a workload in a cluster, by its own figure or else its service's.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> replicas_of(load(EXAMPLE).document, "web", "web", "eu-1")
    2
    """
    outside = outside_of(document, service).get(workload)
    if outside is not None:
        return int(cluster == home_of(document, outside))
    return _replicas(document.services[service], workloads_of(document, service)[workload], cluster) or 0


def _replicas(service: Service, workload: Workload, cluster: str) -> int | None:
    """Return the pods in a cluster, or None where the file names other clusters only."""
    given = workload.replicas if workload.replicas is not None else service.replicas
    if workload.replicas is None and service.entry is not None and service.entry.whole:
        return None  # a ServiceEntry has no Deployment of its own
    return given.get(cluster) if isinstance(given, dict) else given


def select_clusters(document: Document, target: Target) -> list[str]:
    """Return the clusters that fit a selector; a cluster fits a zone that it has nodes in.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> select_clusters(load(EXAMPLE).document, Target(region="eu"))
    ['eu-1']
    """
    return [
        name
        for name, cluster in document.clusters.items()
        if matches(target.cluster, name)
        and matches(target.region, cluster.region)
        and (target.zone is None or _has_zone(document, name, target.zone))
    ]


def select_control_planes(planes: Iterable[Plane], target: Target) -> list[Plane]:
    """Return the control planes that fit a selector: by their name, the cluster that they run in, and the region.

    One outside all clusters fits no selector with a cluster.

    Examples
    --------
    >>> from meshsim.mesh.deployment import ControlPlane
    >>> at_home = ControlPlane("eu", "eu-1", ("eu-1",), ("eu-1",), "eu-1", "eu", ("a",))
    >>> outside = ControlPlane("external", "", ("eu-1",), ("eu-1",), "eu-1", "eu", ("a",))
    >>> [plane.name for plane in select_control_planes([at_home, outside], Target(region="eu"))]
    ['eu', 'external']
    >>> [plane.name for plane in select_control_planes([at_home, outside], Target(cluster="*"))]
    ['eu']
    """
    return [
        plane
        for plane in planes
        if matches(target.control_plane, plane.name)
        and matches(target.region, plane.region)
        and (target.cluster is None or (plane.home != "" and matches(target.cluster, plane.home)))
    ]


def select_zones(document: Document, target: Target) -> list[tuple[str, str]]:
    """Return the zones, as (region, zone), that fit a selector's region and zone, and its cluster if one is given.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> select_zones(load(EXAMPLE).document, Target(zone="eu/b"))
    [('eu', 'b')]
    """
    used = {
        (cluster.region, zone)
        for name, cluster in document.clusters.items()
        if matches(target.cluster, name)
        for zone in zones_of(document, name)
    }
    return [
        (name, zone)
        for name, region in document.regions.items()
        for zone in region.zones
        if matches(target.region, name)
        and _zone_fits(target.zone, name, zone)
        and (target.cluster is None or (name, zone) in used)
    ]


def select_workloads(document: Document, target: Target) -> list[tuple[str, str, str]]:
    """Return the Deployments, as (service, workload, cluster), that fit a selector.

    A Deployment is in a cluster if it has pods there, or if the file gives it 0 there. An endpoint that no Deployment
    keeps is in none, so it fits no selector with a cluster; the cluster returned is that of `home_of`.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> select_workloads(load(EXAMPLE).document, Target(service="w*"))
    [('web', 'web', 'eu-1')]
    """
    clusters = select_clusters(document, target)
    found: list[tuple[str, str, str]] = []
    for name, service in document.services.items():
        if not matches(target.service, name):
            continue
        outside = outside_of(document, name)
        for workload, description in workloads_of(document, name).items():
            if not matches(target.workload, workload):
                continue
            if workload in outside:
                if _stands(outside[workload], target):
                    found.append((name, workload, home_of(document, outside[workload])))
                continue
            found += [
                (name, workload, cluster)
                for cluster in clusters
                if _replicas(service, description, cluster) is not None
            ]
    return found


def _stands(outside: Outside, target: Target) -> bool:
    """Tell whether an endpoint that is in no cluster fits a selector's places."""
    return (
        target.cluster is None
        and matches(target.region, outside.region)
        and _zone_fits(target.zone, outside.region, outside.zone)
    )


def select_services(document: Document, target: Target) -> list[str]:
    """Return the services that have a Deployment which fits a selector.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> select_services(load(EXAMPLE).document, Target(cluster="eu-*"))
    ['web']
    """
    return list(dict.fromkeys(service for service, _, _ in select_workloads(document, target)))


def _has_zone(document: Document, cluster: str, pattern: str) -> bool:
    region = document.clusters[cluster].region
    return any(_zone_fits(pattern, region, zone) for zone in zones_of(document, cluster))


def _zone_fits(pattern: str | None, region: str, zone: str) -> bool:
    return matches(pattern, zone) or matches(pattern, f"{region}/{zone}")
