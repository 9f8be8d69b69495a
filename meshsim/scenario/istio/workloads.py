"""Gateways, and the services and workloads that Kubernetes does not know: ServiceEntry and WorkloadEntry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshsim.scenario.istio.rules import Resource

Labels = tuple[tuple[str, str], ...]


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
    """

    address: str
    ports: tuple[tuple[str, int], ...] = ()
    locality: str = ""
    network: str = ""
    weight: int = 1
    labels: Labels = ()


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
    )


def external_service(resource: Resource, workloads: Iterable[Resource]) -> ExternalService:
    """Return what a ServiceEntry says, with the WorkloadEntries that it selects."""
    spec = resource.spec
    selector = (spec.get("workloadSelector") or {}).get("labels") or {}
    own = [workload for workload in workloads if workload.namespace == resource.namespace]
    picked = [workload.spec for workload in own if selector and _has(workload.spec, selector)]
    return ExternalService(
        name=resource.name,
        namespace=resource.namespace,
        hosts=tuple(spec["hosts"]),
        ports=tuple((int(port["number"]), str(port.get("protocol", "TCP"))) for port in spec.get("ports") or []),
        location=str(spec.get("location", "MESH_EXTERNAL")),
        resolution=str(spec.get("resolution", "NONE")),
        endpoints=tuple(external_endpoint(found) for found in (*(spec.get("endpoints") or []), *picked)),
        export_to=tuple(spec.get("exportTo") or ()),
        selector=tuple(selector.items()),
    )


def _has(spec: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    own = spec.get("labels") or {}
    return all(own.get(key) == value for key, value in labels.items())


def external_services(entries: Sequence[Resource], workloads: Sequence[Resource]) -> tuple[ExternalService, ...]:
    """Return every ServiceEntry with its endpoints."""
    return tuple(external_service(entry, workloads) for entry in entries)
