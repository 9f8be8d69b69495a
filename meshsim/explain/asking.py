"""Who asks, and what: the proxy and the requests that an explanation is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from meshsim.errors import Problem, ScenarioError, did_you_mean
from meshsim.explain.model import Asked
from meshsim.scenario import Scenario
from meshsim.scenario import requests as asked
from meshsim.scenario.requests import INGRESS
from meshsim.scenario.selectors import workloads_of
from meshsim.units import parse_duration

if TYPE_CHECKING:
    from meshsim.dataplane.blueprint import RouteOf
    from meshsim.engine.mesh import Proxy
    from meshsim.engine.simulation import Simulation
    from meshsim.lint.facts import Flow


def instant(text: str) -> float:
    """Return the seconds of ``--at``.

    Raises
    ------
    ScenarioError
        If it is not a duration.

    Examples
    --------
    >>> instant("3m")
    180.0
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        wrong("--at", str(error))


def headers(given: Sequence[str]) -> dict[str, str] | None:
    """Return headers written as ``name=value`` by name; None where none are given.

    Raises
    ------
    ScenarioError
        If one has no ``=``.

    Examples
    --------
    >>> headers(["end-user=jason"]), headers([])
    ({'end-user': 'jason'}, None)
    """
    for pair in given:
        if "=" not in pair:
            wrong("--headers", f"'{pair}' is not a header; write NAME=VALUE")
    return dict(pair.split("=", 1) for pair in given) or None


def wrong(option: str, message: str) -> NoReturn:
    """Report a mistake in an option.

    Raises
    ------
    ScenarioError
        Always.
    """
    raise ScenarioError([Problem(message, file=option)])


@dataclass(frozen=True, slots=True)
class Who:
    """The proxy that is asked for; no service for an ingress gateway."""

    cluster: str
    service: str = ""
    workload: str = ""
    pod: str = ""


def parsed(scenario: Scenario, source: str) -> Who:
    """Return what ``--from`` names.

    Raises
    ------
    ScenarioError
        If there is no such cluster or service.
    """
    clusters, document = scenario.document.clusters, scenario.document
    kind, at, cluster = source.partition("@")
    if at:
        if kind != INGRESS:
            wrong("--from", f"'{kind}' is no gateway that sends requests{did_you_mean(kind, [INGRESS])}")
        parts: Sequence[str] = (cluster,)
    else:
        parts = source.split("/", 2)
    if parts[0] not in clusters:
        wrong("--from", f"unknown cluster '{parts[0]}'{did_you_mean(parts[0], clusters)}")
    if at:
        return Who(cluster)
    known = {name: name for name in document.services} | {
        workload: name
        for name in document.services
        for workload in workloads_of(document, name)
        if workload not in document.services
    }
    if len(parts) < 2:
        wrong("--from", f"write {source}/SERVICE, or ingress@{source}{did_you_mean('', known)}")
    if parts[1] not in known:
        wrong("--from", f"unknown service '{parts[1]}'{did_you_mean(parts[1], known)}")
    service = known[parts[1]]
    return Who(parts[0], service, "" if parts[1] == service else parts[1], parts[2] if len(parts) > 2 else "")


def proxy_of(simulation: Simulation, who: Who) -> tuple[Proxy, str, str]:
    """Return the proxy, its name and its workload.

    Raises
    ------
    ScenarioError
        If there is no such proxy at this instant of the run.
    """
    mesh = simulation.mesh
    names = mesh.plane.proxy_names
    if not who.service:
        replicas = mesh.ingress.get(who.cluster, [])
        if not replicas:
            wrong("--from", f"no load enters by {who.cluster}{did_you_mean(who.cluster, mesh.ingress)}")
        return replicas[0], names[replicas[0].number], ""
    pods = [
        pod
        for pod in simulation.clusters[who.cluster].pods.values()
        if pod.service == who.service
        and who.workload in {"", pod.workload}
        and pod.number in simulation.clusters[who.cluster].proxies
    ]
    by_name = {pod.name.removeprefix(f"{who.cluster}/"): pod for pod in pods}
    if not pods:
        others = [
            f"{cluster}/{who.service}"
            for cluster, body in simulation.clusters.items()
            if any(pod.service == who.service for pod in body.pods.values())
        ]
        there = f"{who.cluster} has no pods of {who.workload or who.service} at that time"
        wrong("--from", there + did_you_mean("", others))
    if who.pod.isdecimal() and int(who.pod) < len(pods):
        pod = pods[int(who.pod)]
    elif who.pod and who.pod not in by_name:
        wrong("--from", f"unknown pod '{who.pod}'{did_you_mean(who.pod, by_name)}")
    else:
        pod = by_name[who.pod] if who.pod else pods[0]
    return simulation.clusters[who.cluster].proxies[pod.number], pod.name, pod.workload


# --- what it asks -----------------------------------------------------------------------------------------------


def flows_of(scenario: Scenario, who: Who, to: str) -> list[Flow]:
    """Return the requests that a client sends to a service, or that end there.

    Raises
    ------
    ScenarioError
        If there are none.
    """
    from meshsim.lint.facts import Facts

    own = [flow for flow in Facts(scenario).flows if flow.caller == who.service]
    wanted = [flow for flow in own if to in {flow.request.service, *(end.service for end in flow.route.reached)}]
    if not wanted:
        name = who.service or "the ingress gateway"
        wrong("--to", f"{name} sends no requests to {to}{did_you_mean(to, {flow.request.service for flow in own})}")
    return wanted


def requests_of(
    scenario: Scenario, flows: Sequence[Flow], workload: str, headers: Mapping[str, str] | None, route_of: RouteOf
) -> tuple[Asked, ...]:
    """Return the requests of a workload, each once, with their routes; with other headers where some are given."""
    found: dict[str, Asked] = {}
    for flow in flows:
        if flow.workload != workload:
            continue
        request = flow.request
        if headers is not None:
            request = asked.request_of(scenario.document, flow.operation, headers)
        route = route_of(flow.client, request)
        key = f"{request.method} {request.path} {request.authority} {sorted(request.headers.items())}"
        found.setdefault(key, Asked(flow.operation, request, route))
    return tuple(found.values())
