"""Puts the endpoints of ServiceEntries and WorkloadEntries behind the services that they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.resources import IstioResources
from meshsim.scenario.istio.workloads import ExternalEndpoint, ExternalService, has_labels
from meshsim.scenario.outside import Entry, Outside
from meshsim.scenario.schema import Document, Service

#: Resolutions for which Envoy asks DNS; networks are no matter there, as istiod sends such endpoints as they are.
DNS = ("DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")


def with_entries(document: Document, resources: IstioResources) -> Document:
    """Return a document whose services have the endpoints that Istio's resources give them.

    Parameters
    ----------
    document
        As the user wrote it.
    resources
        Read from it.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate(EXAMPLE)
    >>> with_entries(document, IstioResources()) is document
    True
    """
    changed: dict[str, Service] = {}
    for name, service in document.services.items():
        entry = resources.entry(name, service.namespace)
        found = _machines(name, service, resources, document) if entry is None else _entry(entry, service, document)
        if found is not None:
            changed[name] = service.with_entry(found)
    if not changed:
        return document
    return document.model_copy(update={"services": {**document.services, **changed}})


def _machines(name: str, service: Service, resources: IstioResources, document: Document) -> Entry | None:
    """Return the WorkloadEntries that a Kubernetes Service selects, by the label that its pods have, too."""
    if service.host is not None:
        return None
    wanted = (("app", name),)
    own = [one.endpoint for one in resources.workload_entries if one.namespace == service.namespace]
    picked = [endpoint for endpoint in own if has_labels(endpoint.labels, wanted)]
    return _with_places(Entry(), picked, service, document) if picked else None


def _entry(entry: ExternalService, service: Service, document: Document) -> Entry:
    """Return what a ServiceEntry puts behind a service; without endpoints the name itself is resolved, or asked for."""
    endpoints: Sequence[ExternalEndpoint] = entry.endpoints
    host = service.host or entry.hosts[0]
    if entry.resolution == "NONE" or (entry.resolution in DNS and not endpoints and not entry.selector):
        endpoints = (ExternalEndpoint(host),)
    found = Entry(entry.source, selector=entry.selector, ports=tuple(port for port, _ in entry.ports))
    return _with_places(found, endpoints, service, document, inside=not entry.external, direct=entry.resolution in DNS)


def _with_places(
    entry: Entry,
    endpoints: Iterable[ExternalEndpoint],
    service: Service,
    document: Document,
    *,
    inside: bool = True,
    direct: bool = False,
) -> Entry:
    """Return an entry with its endpoints where they stand."""
    seen: Counter[str] = Counter()
    placed: list[Outside] = []
    homeless: list[str] = []
    for endpoint in endpoints:
        address = endpoint.address or "no address"
        seen[address] += 1
        name = address if seen[address] == 1 else f"{address}#{seen[address]}"
        zone = _zone(endpoint, service, document)
        if zone is None:
            homeless.append(name)
            continue
        network = "" if direct else endpoint.network
        placed.append(
            Outside(
                name, *zone, endpoint.place, network, endpoint.weight, endpoint.labels, inside and endpoint.mutual_tls
            )
        )
    return Entry(entry.source, tuple(placed), tuple(homeless), entry.selector, entry.ports)


def _zone(endpoint: ExternalEndpoint, service: Service, document: Document) -> tuple[str, str] | None:
    """Return where an endpoint stands: in its locality, or where the service says; a region's first zone by default."""
    region, zone, _ = endpoint.place
    if not region and service.place is not None:
        region, _, zone = service.place.partition("/")
    if not region:
        return None
    if region not in document.regions:  # reported elsewhere
        region = next(iter(document.regions))
    zones = document.regions[region].zones
    return region, zone if zone in zones else zones[0]


def host_of(name: str, service: Service) -> str:
    """Return the host by which clients know a service.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> host_of("web", Document.model_validate(EXAMPLE).services["web"])
    'web.default.svc.cluster.local'
    """
    return service.host or hosts.full_name((name, service.namespace))
