"""Checks of services: pods, workloads, and calls that lead somewhere and come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.requests import INGRESS
from meshsim.scenario.schema import CallStep, Document, Variant
from meshsim.scenario.scripts import calls, steps_of
from meshsim.scenario.selectors import replicas_of, workloads_of
from meshsim.scenario.tree import Path


def services_have_names_of_their_own(document: Document) -> Iterator[Finding]:
    """Yield the service that has the name by which tables call who sends users' requests."""
    if INGRESS in document.services:
        message = f"'{INGRESS}' stands for the gateways that users come through in tables; name the service otherwise"
        yield Finding(("services", INGRESS), message)


def services_have_pods(document: Document) -> Iterator[Finding]:
    """Yield services without a pod anywhere, and replicas in clusters that do not exist."""
    for name, service in document.services.items():
        path = ("services", name)
        given: list[tuple[Path, int | dict[str, int]]] = [((*path, "replicas"), service.replicas)]
        given += [((*path, "workloads", key, "replicas"), own.replicas or 0) for key, own in service.workloads.items()]
        named = [(where, cluster) for where, pods in given if isinstance(pods, dict) for cluster in pods]
        wrong = [(where, cluster) for where, cluster in named if cluster not in document.clusters]
        for where, cluster in wrong:
            yield unknown((*where, cluster), "cluster", cluster, document.clusters)
        pods = sum(
            replicas_of(document, name, workload, cluster)
            for workload in workloads_of(document, name)
            for cluster in document.clusters
        )
        if pods == 0 and not wrong and (service.entry is None or not service.entry.whole):
            yield Finding((*path, "replicas"), f"the service '{name}' has no pod in any cluster")


def workloads_override_known_endpoints(document: Document) -> Iterator[Finding]:
    """Yield endpoints of a workload that its service does not have."""
    for name, service in document.services.items():
        for workload, own in service.workloads.items():
            for endpoint in own.endpoints:
                if endpoint not in service.endpoints:
                    path = ("services", name, "workloads", workload, "endpoints", endpoint)
                    yield unknown(path, "endpoint", endpoint, service.endpoints, name)


def calls_name_known_endpoints(document: Document) -> Iterator[Finding]:
    """Yield calls to services or endpoints that do not exist."""
    for path, _, _, call in calls(document):
        service, slash, endpoint = call.call.partition("/")
        where = (*path, "call")
        if not slash:
            message = f"{call.call[:80]!r} names no endpoint; write service/endpoint, such as '{_example(document)}'"
            yield Finding(where, message)
        elif service not in document.services:
            yield unknown(where, "service", service, document.services)
        elif endpoint not in document.services[service].endpoints:
            yield unknown(where, "endpoint", endpoint, document.services[service].endpoints, service)


def _example(document: Document) -> str:
    service, description = next(iter(document.services.items()))
    return f"{service}/{next(iter(description.endpoints))}"


def calls_come_to_an_end(document: Document) -> Iterator[Finding]:
    """Yield rings of calls that are always made, so that a request would never end."""
    yield from rings(certain_calls(document))


def rings(edges: Mapping[str, Sequence[tuple[str, Path]]]) -> Iterator[Finding]:
    """Yield the rings among certain calls, given by 'service/endpoint' as (called, path of the step)."""
    done: set[str] = set()
    for start in edges:
        trail: dict[str, Iterator[tuple[str, Path]]] = {start: iter(edges[start])} if start not in done else {}
        while trail:
            here = next(reversed(trail))
            callee, path = next(trail[here], (None, ()))
            if callee is None:
                trail.pop(here)
                done.add(here)
            elif callee in trail:
                names = list(trail)
                ring = " → ".join([*names[names.index(callee) :], callee])
                yield Finding((*path, "call"), f"a request would never end: {ring}, each with probability 1")
            elif callee not in done and callee in edges:
                trail[callee] = iter(edges[callee])


def certain_calls(document: Document) -> Mapping[str, list[tuple[str, Path]]]:
    """Return, by 'service/endpoint', the calls that every request makes whichever workload answers it."""
    edges: dict[str, list[tuple[str, Path]]] = {}
    for name, service in document.services.items():
        for endpoint, own in service.endpoints.items():
            path = ("services", name, "endpoints", endpoint)
            workloads = list(workloads_of(document, name).values())
            others = [workload.endpoints[endpoint] for workload in workloads if endpoint in workload.endpoints]
            # With no workload on the service's own script, only calls that all the others make are certain.
            scripts: Sequence[Variant] = others if others and len(others) == len(workloads) else [own, *others]
            made = [{call.call for _, call in steps_of(script, ()) if _certain(call)} for script in scripts]
            always = set.intersection(*made)
            edges[f"{name}/{endpoint}"] = [
                (call.call, where) for where, call in steps_of(own, path) if call.call in always
            ]
    return edges


def _certain(call: CallStep) -> bool:
    return call.probability == 1 and call.count >= 1
