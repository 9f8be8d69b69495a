"""What a selector means: the clusters, zones, services and workloads that it matches, in the order of the file."""

from __future__ import annotations

from meshsim.scenario.schema import Document, Service, Target, Workload


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


def workloads_of(document: Document, service: str) -> dict[str, Workload]:
    """Return the workloads behind a service by name; by default one, named as the service.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> list(workloads_of(load(EXAMPLE).document, "web"))
    ['web']
    """
    return dict(document.services[service].workloads) or {service: Workload()}


def replicas_of(document: Document, service: str, workload: str, cluster: str) -> int:
    """Return the pods of a workload in a cluster, by its own figure or else its service's.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> replicas_of(load(EXAMPLE).document, "web", "web", "eu-1")
    2
    """
    return _replicas(document.services[service], workloads_of(document, service)[workload], cluster) or 0


def _replicas(service: Service, workload: Workload, cluster: str) -> int | None:
    """Return the pods in a cluster, or None where the file names other clusters only."""
    given = workload.replicas if workload.replicas is not None else service.replicas
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

    A Deployment is in a cluster if it has pods there, or if the file gives it 0 there.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> select_workloads(load(EXAMPLE).document, Target(service="w*"))
    [('web', 'web', 'eu-1')]
    """
    clusters = select_clusters(document, target)
    return [
        (name, workload, cluster)
        for name, service in document.services.items()
        if matches(target.service, name)
        for workload, description in workloads_of(document, name).items()
        if matches(target.workload, workload)
        for cluster in clusters
        if _replicas(service, description, cluster) is not None
    ]


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
