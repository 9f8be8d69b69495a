"""What all runs of a scenario share: lowered scripts, latencies and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from meshsim.dataplane.blueprint import Blueprint
from meshsim.dataplane.lowering import lower
from meshsim.mesh.links import Links, round_trip
from meshsim.scenario import Scenario
from meshsim.scenario.istio.clients import Client, Request
from meshsim.scenario.istio.policy import UNLIMITED, Policy
from meshsim.scenario.istio.routes import Route
from meshsim.scenario.outside import Labels
from meshsim.scenario.requests import labels_of
from meshsim.scenario.schema import Document, Sidecar
from meshsim.scenario.selectors import outside_of, workloads_of


@dataclass(frozen=True, slots=True)
class Server:
    """The sidecar of a workload as a server.

    Parameters
    ----------
    sidecar
        Its costs and worker threads.
    strict
        Whether it refuses plain text (PeerAuthentication).
    inbound_limit
        Requests it lets in at a time, from all clients (connection pool of its Sidecar or DestinationRule); 0 = any.
    """

    sidecar: Sidecar
    strict: bool
    inbound_limit: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What runs of one scenario share.

    Parameters
    ----------
    scenario
        The scenario.
    blueprint
        Lowered scripts, routes and policies.
    policies, labels
        Of each destination of the blueprint: its policy, and the labels that its endpoints need to have.
    endpoint_labels, client_labels
        Labels of (service, workload), where subsets or ``failoverPriority`` look at them; otherwise none, as many
        proxies then see the same.
    plain
        Workloads, (service, workload), that do not take Istio's mutual TLS.
    servers
        The sidecars of workloads, (service, workload), as servers.
    links
        Round-trip times.
    """

    scenario: Scenario
    blueprint: Blueprint
    policies: tuple[Policy, ...]
    labels: tuple[Mapping[str, str], ...]
    endpoint_labels: Mapping[tuple[str, str], Labels]
    client_labels: Mapping[tuple[str, str], Labels]
    plain: frozenset[tuple[str, str]]
    servers: Mapping[tuple[str, str], Server]
    links: Links


def prepare(scenario: Scenario) -> Prepared:
    """Lower a scenario once for all its runs.

    Raises
    ------
    ScenarioError
        If two regions have no latency figure.
    """
    document, resources, version = scenario.document, scenario.resources, scenario.document.istio_version
    known = {
        (service, workload): labels_of(document, service, workload)
        for service in document.services
        for workload in workloads_of(document, service)
    }
    plain = frozenset(
        (service, workload)
        for (service, workload), own in known.items()
        if not _has_sidecar(document, service, workload)
        or resources.mutual_tls(document.services[service].namespace, own) == "DISABLE"
    )
    secure = {service for service, workload in known if (service, workload) not in plain}

    def namespace(service: str) -> str:
        return document.services[service].namespace

    @cache
    def policy(service: str, subset: str) -> Policy:
        if subset:
            resources.subset_labels(service, namespace(service), subset)
        found = resources.policy(service, namespace(service), version, subset)
        # Automatic mutual TLS depends on the endpoint; the data plane knows destinations only.
        return found if found.tls_mode != "AUTO" or service in secure else replace(found, tls=False)

    def route(client: Client, request: Request) -> Route:
        return resources.route(client, request, version)

    blueprint = lower(document, policy, route)
    policies = tuple(policy(service, subset) for service, subset in blueprint.destinations)
    labels = tuple(
        resources.subset_labels(service, namespace(service), subset) if subset else {}
        for service, subset in blueprint.destinations
    )
    flat = {workload: tuple(sorted(own.items())) for workload, own in known.items()}
    by_label = any(policy.locality.failover_priority for policy in policies)
    return Prepared(
        scenario,
        blueprint,
        policies,
        labels,
        endpoint_labels=flat if by_label or any(labels) else {},
        client_labels=flat if by_label else {},
        plain=plain,
        servers={workload: _server(scenario, *workload, own) for workload, own in known.items()},
        links=round_trip(document),
    )


def _has_sidecar(document: Document, service: str, workload: str) -> bool:
    """Tell whether the pods of a workload have one; endpoints outside all clusters may have none."""
    outside = outside_of(document, service).get(workload)
    return document.sidecar.enabled and (outside is None or outside.sidecar)


def _server(scenario: Scenario, service: str, workload: str, labels: Mapping[str, str]) -> Server:
    document, resources = scenario.document, scenario.resources
    namespace = document.services[service].namespace
    threads = resources.concurrency(namespace, labels)
    sidecar = document.sidecar
    if sidecar.enabled and not _has_sidecar(document, service, workload):
        sidecar = sidecar.model_copy(update={"enabled": False})
    if threads:  # 0 is one for each processor of the node, which the scenario does not tell
        sidecar = sidecar.model_copy(update={"concurrency": threads})
    limit = resources.inbound_breaker(service, namespace, document.istio_version, labels).max_requests
    return Server(
        sidecar,
        strict=resources.mutual_tls(namespace, labels) == "STRICT",
        inbound_limit=0 if limit == UNLIMITED or not sidecar.enabled else limit,
    )
