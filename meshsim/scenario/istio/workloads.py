"""Gateways, and the services and workloads that Kubernetes does not know: ServiceEntry and WorkloadEntry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshsim.errors import did_you_mean
from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.report import Report
from meshsim.scenario.istio.rules import Resource
from meshsim.scenario.tree import Path

Labels = tuple[tuple[str, str], ...]

#: The warning for a ServiceEntry that no service stands for.
UNREACHED = "is the host of no service of the scenario (services.NAME.host): requests there are not simulated"


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """A port of a gateway: ``tls`` is its mode, empty for plain text; ``hosts`` as written, with their namespaces."""

    port: int
    protocol: str
    tls: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayResource:
    """A Gateway: the servers of the gateway workloads that ``selector`` means; no selector = all.

    Examples
    --------
    >>> server = GatewayServer(15443, "TLS", "AUTO_PASSTHROUGH", ("*.local",))
    >>> GatewayResource("cross-network", "istio-system", servers=(server,)).passthrough
    True
    """

    name: str
    namespace: str
    selector: Labels = ()
    servers: tuple[GatewayServer, ...] = ()

    @property
    def passthrough(self) -> bool:
        """Whether it opens a network to others, as an east-west gateway does (spec §4.4)."""
        return any(server.tls == "AUTO_PASSTHROUGH" for server in self.servers)


@dataclass(frozen=True, slots=True)
class ExternalEndpoint:
    """An address behind a ServiceEntry, given there or by a WorkloadEntry.

    Parameters
    ----------
    address
        IP address or host name.
    ports
        (name, number) that differ from the service's.
    locality
        Region, zone and subzone, separated by slashes.
    network
        Its network; empty = that of every client.
    weight
        Its share of the load. Default 1.
    labels
        As a pod's.
    service_account
        Whose certificate its sidecar has; empty = there is no sidecar.

    Examples
    --------
    >>> ExternalEndpoint("10.0.0.1", locality="eu/a").place
    ('eu', 'a', '')
    """

    address: str
    ports: tuple[tuple[str, int], ...] = ()
    locality: str = ""
    network: str = ""
    weight: int = 1
    labels: Labels = ()
    service_account: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Region, zone and subzone, empty where they are not given; a label has dots for the slashes, as in Istio."""
        written = self.locality or dict(self.labels).get("istio-locality", "").replace(".", "/")
        region, zone, subzone, *_ = (*written.split("/"), "", "", "")
        return region, zone, subzone

    @property
    def mutual_tls(self) -> bool:
        """Whether it takes Istio's mutual TLS: by its label, or its service account (serviceentry/conversion.go)."""
        mode = dict(self.labels).get("security.istio.io/tlsMode", "")
        return mode == "istio" if mode else bool(self.service_account)


@dataclass(frozen=True, slots=True)
class ExternalService:
    """A ServiceEntry.

    Parameters
    ----------
    name, namespace
        The resource's.
    hosts
        Names that it serves.
    ports
        (number, protocol).
    location
        MESH_EXTERNAL (the default) or MESH_INTERNAL.
    resolution
        NONE (the default) = the address that the client asked for; STATIC = the endpoints; DNS = what the names of
        the endpoints, or else the hosts, resolve to.
    endpoints
        Those given, or those of the WorkloadEntries that it selects in its namespace.
    export_to
        Namespaces that see it; empty = all.
    selector
        Labels of the WorkloadEntries and pods behind it; empty = none are selected.
    source
        Where it stands, for messages.

    Examples
    --------
    >>> ExternalService("db", "shop", ("*.example.com",)).serves("db.example.com")
    True
    """

    name: str
    namespace: str
    hosts: tuple[str, ...]
    ports: tuple[tuple[int, str], ...] = ()
    location: str = "MESH_EXTERNAL"
    resolution: str = "NONE"
    endpoints: tuple[ExternalEndpoint, ...] = ()
    export_to: tuple[str, ...] = ()
    selector: Labels = field(default=())
    source: str = field(default="", compare=False)

    @property
    def external(self) -> bool:
        """Whether it is outside the mesh, so that nothing there has a sidecar."""
        return self.location == "MESH_EXTERNAL"

    def serves(self, host: str) -> bool:
        """Tell whether one of its hosts means this one."""
        return any(hosts.matches(own, host) for own in self.hosts)

    def seen_from(self, namespace: str) -> bool:
        """Tell whether clients of a namespace see it.

        Examples
        --------
        >>> ExternalService("db", "shop", ("db.example.com",), export_to=(".",)).seen_from("bank")
        False
        """
        own = "." in self.export_to and namespace == self.namespace
        return own or not self.export_to or "*" in self.export_to or namespace in self.export_to


@dataclass(frozen=True, slots=True)
class Workload:
    """A WorkloadEntry: an endpoint of the ServiceEntries, and of the Kubernetes Services, that select its labels."""

    name: str
    namespace: str
    endpoint: ExternalEndpoint


def gateway(resource: Resource) -> GatewayResource:
    """Return what a Gateway says."""
    servers = tuple(
        GatewayServer(
            int(server["port"]["number"]),
            str(server["port"]["protocol"]),
            str((server.get("tls") or {}).get("mode", "PASSTHROUGH")) if server.get("tls") is not None else "",
            tuple(server["hosts"]),
        )
        for server in resource.spec.get("servers") or []
    )
    selector = tuple((resource.spec.get("selector") or {}).items())
    return GatewayResource(resource.name, resource.namespace, selector, servers)


def external_endpoint(spec: Mapping[str, Any]) -> ExternalEndpoint:
    """Return an entry of ``endpoints``, or the ``spec`` of a WorkloadEntry.

    Examples
    --------
    >>> external_endpoint({"address": "10.0.0.1", "locality": "eu/a"}).weight
    1
    """
    return ExternalEndpoint(
        str(spec.get("address", "")),
        tuple((spec.get("ports") or {}).items()),
        str(spec.get("locality", "")),
        str(spec.get("network", "")),
        int(spec.get("weight") or 1),
        tuple((spec.get("labels") or {}).items()),
        str(spec.get("serviceAccount", "")),
    )


def workload(resource: Resource) -> Workload:
    """Return what a WorkloadEntry says."""
    return Workload(resource.name, resource.namespace, external_endpoint(resource.spec))


def external_service(resource: Resource, workloads: Iterable[Workload]) -> ExternalService:
    """Return what a ServiceEntry says, with the WorkloadEntries that it selects."""
    spec = resource.spec
    selector = tuple(((spec.get("workloadSelector") or {}).get("labels") or {}).items())
    own = [one.endpoint for one in workloads if one.namespace == resource.namespace]
    picked = [endpoint for endpoint in own if selector and has_labels(endpoint.labels, selector)]
    return ExternalService(
        name=resource.name,
        namespace=resource.namespace,
        hosts=tuple(spec["hosts"]),
        ports=tuple((int(port["number"]), str(port.get("protocol", "TCP"))) for port in spec.get("ports") or []),
        location=str(spec.get("location", "MESH_EXTERNAL")),
        resolution=str(spec.get("resolution", "NONE")),
        endpoints=(*(external_endpoint(found) for found in spec.get("endpoints") or []), *picked),
        export_to=tuple(spec.get("exportTo") or ()),
        selector=selector,
        source=resource.origin.source(("spec",)),
    )


def has_labels(labels: Labels | Mapping[str, str], wanted: Labels) -> bool:
    """Tell whether something has all of some labels.

    Examples
    --------
    >>> has_labels({"app": "db", "version": "v1"}, (("app", "db"),))
    True
    """
    own = dict(labels)
    return all(own.get(key) == value for key, value in wanted)


def serving(services: Iterable[ExternalService], host: str) -> ExternalService | None:
    """Return the ServiceEntry for a host: an exact name beats a wildcard, then the first counts.

    Examples
    --------
    >>> wide, exact = (ExternalService(name, "shop", (name,)) for name in ("*.example.com", "db.example.com"))
    >>> serving([wide, exact], "db.example.com").name
    'db.example.com'
    """
    found = [one for one in services if one.serves(host)]
    return next((one for one in found if host in one.hosts), found[0] if found else None)


def check(
    entries: Sequence[Resource],
    workloads: Sequence[Resource],
    services: Collection[hosts.Service],
    places: Mapping[str, Collection[str]] | None,
    report: Report,
) -> None:
    """Report localities that the scenario does not have, and resources that no request reaches.

    Parameters
    ----------
    entries, workloads
        ServiceEntries and WorkloadEntries.
    services
        The services; those of ServiceEntries by their host.
    places
        Zones by region; None = nobody knows.
    report
        Takes errors and warnings.
    """
    used: list[tuple[Resource, Path, Mapping[str, Any]]] = []
    names = [hosts.full_name(service) for service in services]
    selectors: list[tuple[str, Labels]] = [(namespace, (("app", name),)) for name, namespace in services]
    for entry in entries:
        service = external_service(entry, ())
        if not any(service.serves(name) for name in names):
            report.warn(entry.origin, ("spec",), UNREACHED, ("spec", "hosts"))
            continue
        selectors.append((service.namespace, service.selector))
        given = entry.spec.get("endpoints") or []
        used += [(entry, ("spec", "endpoints", index), endpoint) for index, endpoint in enumerate(given)]
    for one in workloads:
        labels = external_endpoint(one.spec).labels
        if any(wanted and home == one.namespace and has_labels(labels, wanted) for home, wanted in selectors):
            used.append((one, ("spec",), one.spec))
        else:
            message = "is an endpoint of no service of the scenario: it has no effect"
            report.warn(one.origin, ("spec",), message, ("spec", "labels") if labels else ("spec",))
    for resource, path, spec in used if places is not None else []:
        _check_place(resource, path, external_endpoint(spec), places or {}, report)


def _check_place(
    resource: Resource, path: Path, endpoint: ExternalEndpoint, places: Mapping[str, Collection[str]], report: Report
) -> None:
    region, zone, _ = endpoint.place
    where = (*path, "locality") if endpoint.locality else (*path, "labels", "istio-locality")
    if zone and not region:
        written = endpoint.locality or dict(endpoint.labels)["istio-locality"]
        report.problem(resource.origin, where, f"'{written}' names a zone and no region")
    elif region and region not in places:
        report.problem(resource.origin, where, f"unknown region '{region}'{did_you_mean(region, places)}")
    elif zone and zone not in places[region]:
        report.problem(resource.origin, where, f"unknown zone '{zone}' of {region}{did_you_mean(zone, places[region])}")
