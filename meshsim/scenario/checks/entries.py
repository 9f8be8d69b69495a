"""Checks of services that stand for hosts of ServiceEntries: the entry is there, and so are its endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meshsim.errors import did_you_mean
from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.entries import host_of
from meshsim.scenario.partial import if_known
from meshsim.scenario.schema import Document
from meshsim.scenario.selectors import replicas_of, workloads_of
from meshsim.scenario.tree import Path


def hosts_have_entries(document: Document) -> Iterator[Finding]:
    """Yield services with a host that no ServiceEntry has, or that two services have."""
    resources = if_known(document, "istio")
    known = list(_entry_hosts(resources or ()))
    seen: dict[str, str] = {}
    for name, service in document.services.items():
        host, path = host_of(name, service), ("services", name, "host")
        if resources is not None and service.host is not None and service.entry is None and host not in known:
            hint = did_you_mean(host, known) if known else ""
            yield Finding(path, f"no ServiceEntry in istio has the host {host!r}{hint}")
        if host in seen:
            yield Finding(path, f"{host} is the host of services.{seen[host]}, too")
        seen.setdefault(host, name)


def _entry_hosts(resources: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the hosts of ServiceEntries, which may have any shape here."""
    for resource in resources:
        items = resource.get("items")
        for one in items if isinstance(items, list) else [resource]:
            spec = one.get("spec") if isinstance(one, dict) and one.get("kind") == "ServiceEntry" else None
            found = spec.get("hosts") if isinstance(spec, dict) else None
            yield from (str(host) for host in found if isinstance(found, list)) if found else ()


def entries_have_endpoints(document: Document) -> Iterator[Finding]:
    """Yield services whose ServiceEntry has no endpoint, or endpoints that stand nobody knows where."""
    for name, service in document.services.items():
        entry, path = service.entry, ("services", name)
        if service.place is not None:
            yield from _place(document, (*path, "place"), service.place, used=entry is not None)
        if entry is None:
            continue
        if entry.homeless:
            shown = ", ".join(entry.homeless[:3]) + (", …" if len(entry.homeless) > 3 else "")
            where = f"{next(iter(document.regions))}/{next(iter(document.regions.values())).zones[0]}"
            message = f"nobody tells where {shown} stands; give it a locality, or the service 'place: {where}'"
            yield Finding(path, message)
        elif entry.whole and not any(
            replicas_of(document, name, workload, cluster)
            for workload in workloads_of(document, name)
            for cluster in document.clusters
        ):
            yield Finding(path, f"the service '{name}' has no endpoint: {entry.source} has none and selects none")


def _place(document: Document, path: Path, place: str, *, used: bool) -> Iterator[Finding]:
    region, slash, zone = place.partition("/")
    zones = [f"{name}/{own}" for name, found in document.regions.items() for own in found.zones]
    if region not in document.regions or (slash and zone not in document.regions[region].zones):
        yield unknown(path, "region or zone", place, [*document.regions, *zones])
    elif not used:
        yield Finding(
            path, "has no effect: the service is no ServiceEntry's, and its pods are in clusters", warning=True
        )


def entries_take_the_place_of_pods(document: Document) -> Iterator[Finding]:
    """Yield replicas, workloads and ports that count for nothing beside a ServiceEntry."""
    for name, service in document.services.items():
        entry, path = service.entry, ("services", name)
        if entry is None or not entry.whole:
            continue
        if service.replicas != 1:
            message = (
                f"has no effect: the endpoints are those of {entry.source}; pods that it selects are given with "
                "their replicas under workloads"
            )
            yield Finding((*path, "replicas"), message, warning=True)
        known = workloads_of(document, name)
        for workload in service.workloads:
            if workload not in known:
                why = "selects no workload of these labels" if entry.selector else "has no workloadSelector"
                message = f"has no effect: {entry.source} {why}"
                yield Finding((*path, "workloads", workload), message, warning=True)
        if entry.ports and service.port not in entry.ports:
            ports = " or ".join(map(str, entry.ports))
            message = f"{service.port} is no port of {entry.source}; settings for port {ports} do not count"
            yield Finding((*path, "port"), message, warning=True)
