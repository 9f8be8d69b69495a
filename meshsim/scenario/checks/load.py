"""Checks of the load: who is called, by which actions, through which clusters."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.istio import hosts
from meshsim.scenario.schema import DiurnalPhase, Document, EntryLoad, RampPhase
from meshsim.scenario.scripts import calls


def load_enters_known_services(document: Document) -> Iterator[Finding]:
    """Yield entries for unknown services, and entries whose actions cannot be told."""
    if not document.load.entries:
        first = next(iter(document.services))
        yield Finding(("load",), f"names no service; write {first}: {{rate: 100/s}} below it")
    for key, entry in document.load.entries.items():
        path = ("load", key) if entry.service is None else ("load", key, "service")
        name = entry.service if entry.service is not None else key
        service = document.services.get(name)
        if service is None:
            yield unknown(path, "service", name, document.services)
            continue
        if not entry.actions and len(service.endpoints) > 1:
            listed = ", ".join(service.endpoints)
            yield Finding(("load", key), f"actions are wanted, as '{name}' has more than one endpoint: {listed}")
        for action, description in entry.actions.items():
            for index, endpoint in enumerate(description.requests):
                if endpoint not in service.endpoints:
                    where = ("load", key, "actions", action, "requests", index)
                    yield unknown(where, "endpoint", endpoint, service.endpoints, name)


def load_enters_by_known_clusters(document: Document) -> Iterator[Finding]:
    """Yield entry shares of unknown clusters, and shares that are all zero."""
    for key, entry in document.load.entries.items():
        path = ("load", key, "enters")
        for cluster in entry.enters:
            if cluster not in document.clusters:
                yield unknown((*path, cluster), "cluster", cluster, document.clusters)
        if entry.enters and not any(entry.enters.values()):
            yield Finding(path, "all shares are 0; at least one cluster has to take load")


def phases_happen_within_the_run(document: Document) -> Iterator[Finding]:
    """Yield load phases that begin after the end, and daily curves upside down."""
    for key, entry in document.load.entries.items():
        for index, phase in enumerate(entry.phases):
            if isinstance(phase, DiurnalPhase):
                if phase.diurnal.peak < phase.diurnal.trough:
                    yield Finding(("load", key, "phases", index, "diurnal", "peak"), "is below trough")
                continue
            kind, start = ("ramp", phase.ramp.start) if isinstance(phase, RampPhase) else ("spike", phase.spike.start)
            if start >= document.duration:
                path = ("load", key, "phases", index, kind, "start")
                yield Finding(path, "begins after the end of the run", warning=True)


def scale_meets_open_load(document: Document) -> Iterator[Finding]:
    """Yield a scale that multiplies nothing."""
    entries = document.load.entries.values()
    if document.load.scale != 1 and entries and all(entry.arrivals == "closed" for entry in entries):
        yield Finding(("load", "scale"), "has no effect: it multiplies rates, and all load is closed", warning=True)


def load_reaches_every_service(document: Document) -> Iterator[Finding]:
    """Yield services that no request can reach."""
    edges: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for _, service, endpoint, call in calls(document):
        if call.count > 0 and call.probability > 0:
            name, _, called = call.call.partition("/")
            edges.setdefault((service, endpoint), []).append((name, called))
    reached = dict.fromkeys([*_entries(document), *_routed(document)])
    waiting = list(reached)
    while waiting:
        for callee in edges.get(waiting.pop(), ()):
            if callee not in reached:
                reached[callee] = None
                waiting.append(callee)
    services = {service for service, _ in reached}
    for name in document.services:
        if name not in services:
            yield Finding(("services", name), f"no load reaches the service '{name}'", warning=True)


def _routed(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the operations of services that a VirtualService sends or copies requests to."""
    names = {hosts.full_name((name, service.namespace)): name for name, service in document.services.items()}
    lists = [resource["items"] for resource in document.istio if isinstance(resource.get("items"), list)]
    for resource in [*document.istio, *(item for items in lists for item in items if isinstance(item, dict))]:
        if resource.get("kind") == "VirtualService":
            metadata = resource.get("metadata")
            namespace = (metadata.get("namespace") if isinstance(metadata, dict) else None) or "default"
            for host in _destinations(resource.get("spec")):
                if name := names.get(hosts.resolved(host, str(namespace))):
                    yield from ((name, endpoint) for endpoint in document.services[name].endpoints)


def _destinations(part: object) -> Iterator[str]:
    if isinstance(part, list):
        for inner in part:
            yield from _destinations(inner)
    elif isinstance(part, dict):
        for key, inner in part.items():
            if key in {"destination", "mirror"} and isinstance(inner, dict) and isinstance(inner.get("host"), str):
                yield inner["host"]
            yield from _destinations(inner)


def _entries(document: Document) -> Iterator[tuple[str, str]]:
    for key, entry in document.load.entries.items():
        name = entry.service if entry.service is not None else key
        if name in document.services:
            for endpoint in requested(entry, list(document.services[name].endpoints)):
                yield name, endpoint


def requested(entry: EntryLoad, endpoints: list[str]) -> list[str]:
    """Return the endpoints that an entry's actions request; without actions, all of the service.

    Examples
    --------
    >>> requested(EntryLoad(rate="1/s"), ["GET /"])
    ['GET /']
    """
    named = [endpoint for action in entry.actions.values() for endpoint in action.requests]
    return list(dict.fromkeys(named)) if entry.actions else endpoints
