"""Checks of where VirtualServices send the calls of scripts."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.checks.services import certain_calls, rings
from meshsim.scenario.istio import IstioResources
from meshsim.scenario.requests import operations_of, request_of, sidecar
from meshsim.scenario.schema import Document
from meshsim.scenario.selectors import workloads_of
from meshsim.scenario.tree import Path


def routed_calls_come_to_an_end(document: Document, resources: IstioResources) -> Iterator[Finding]:
    """Yield rings of calls that come about because VirtualServices send calls to other services than they name.

    Calls without headers of users are looked at, and routes that lead to one place for every workload of the caller.
    """
    if not resources.virtual_services:
        return
    declared = certain_calls(document)
    known = {(caller, called) for caller, calls in declared.items() for called, _ in calls}
    edges: dict[str, list[tuple[str, Path]]] = {}
    for caller, calls in declared.items():
        edges[caller] = []
        workloads = workloads_of(document, caller.partition("/")[0])
        for called, path in calls:
            found = [_targets(document, resources, caller, workload, called) for workload in workloads]
            edges[caller] += [
                (target, path) for target in dict.fromkeys(found[0]) if all(target in one for one in found)
            ]
    if all((caller, called) in known for caller, calls in edges.items() for called, _ in calls):
        return  # they go where they say, and that has been looked at
    yield from rings(edges)


def _targets(document: Document, resources: IstioResources, caller: str, workload: str, called: str) -> list[str]:
    """Return the operations that a call certainly ends up at, those of its mirrors included."""
    client = sidecar(document, caller.partition("/")[0], workload)
    request = request_of(document, called)
    route = resources.route(client, request, document.istio_version)
    if route.fault.abort_percent >= 100.0:
        return []
    ends = operations_of(document, route, request, called)
    sent, copied = ends[: len(route.destinations)], ends[len(route.destinations) :]
    copies = [end for end, mirror in zip(copied, route.mirrors, strict=True) if mirror.percent >= 100.0]
    certain = [*sent[:1], *copies] if len(set(sent)) == 1 else copies
    return [operation for operation in certain if operation is not None]
