"""What all runs of a scenario share: lowered scripts, latencies and policies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane.blueprint import Blueprint, Rules
from meshsim.dataplane.lowering import lower
from meshsim.errors import ScenarioError
from meshsim.mesh.deployment import control_planes
from meshsim.mesh.links import Links, round_trip
from meshsim.scenario import Scenario
from meshsim.scenario.changes import Configurations, PlannedChange, configurations, planned, read
from meshsim.scenario.istio import IstioResources
from meshsim.scenario.istio.clients import MESH, Client, Request
from meshsim.scenario.istio.policy import UNLIMITED, Policy
from meshsim.scenario.istio.routes import Route, VirtualService
from meshsim.scenario.istio.scopes import in_scope
from meshsim.scenario.outside import Labels
from meshsim.scenario.proxies import has_sidecar, sidecar_threads
from meshsim.scenario.requests import EAST_WEST_CLIENT, EAST_WEST_LABELS, INGRESS_CLIENT, INGRESS_LABELS, labels_of
from meshsim.scenario.schema import Document, Sidecar
from meshsim.scenario.selectors import workloads_of

#: A Deployment: service and workload.
Workload: TypeAlias = tuple[str, str]


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
        Requests it lets in at a time, from all clients (connection pool of its Sidecar or DestinationRule) before any
        change of configuration; 0 = any.
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
        proxies then see the same. Among clients are `INGRESS_CLIENT` and `EAST_WEST_CLIENT`.
    plain
        Workloads, (service, workload), that do not take Istio's mutual TLS.
    servers
        The sidecars of workloads, (service, workload), as servers.
    links
        Round-trip times.
    scopes
        Services in the Sidecar scope of each workload, (service, workload); all where no Sidecar resource says
        otherwise.
    plans
        What is applied to which control plane when, by deployment.
    configurations
        Every configuration that a proxy can have.
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
    scopes: Mapping[tuple[str, str], frozenset[str]]
    plans: Mapping[str, tuple[PlannedChange, ...]]
    configurations: Configurations

    def changes(self, deployment: str) -> tuple[PlannedChange, ...]:
        """Return what is applied to the control planes of a deployment, and taken back, in order of time.

        Raises
        ------
        KeyError
            If the scenario has no such deployment.
        """
        return self.plans[deployment]

    def configuration(self, applied: Sequence[int]) -> int:
        """Return the number of the configuration with these changes in force (`Configurations.number`).

        Raises
        ------
        KeyError
            If no control plane ever gets there.
        """
        return self.configurations.number(applied)

    @property
    def rejected(self) -> frozenset[int]:
        """Return the numbers of the changes that proxies reject."""
        return self.configurations.rejected


def prepare(scenario: Scenario) -> Prepared:
    """Lower a scenario once for all its runs.

    Raises
    ------
    ScenarioError
        If two regions have no latency figure, or a change of configuration applies a resource that is wrong.
    """
    document, resources = scenario.document, scenario.resources
    known = {
        (service, workload): labels_of(document, service, workload)
        for service in document.services
        for workload in workloads_of(document, service)
    }
    plain = frozenset(
        (service, workload)
        for (service, workload), own in known.items()
        if not has_sidecar(document, service, workload)
        or resources.mutual_tls(document.services[service].namespace, own) == "DISABLE"
    )
    secure = {service for service, workload in known if (service, workload) not in plain}
    plans = {name: planned(document, control_planes(document, name)) for name in document.deployments}
    reachable = configurations(document, plans.values())
    changed = _resources(scenario, reachable)
    rules = [_rules(document, own, secure, resources) for own in changed]
    blueprint = lower(document, rules[0].policy_of, rules=rules)
    servers = {workload: _server(scenario, *workload, own) for workload, own in known.items()}
    blueprint.inbound_limits = _inbound_limits(scenario, changed, blueprint, servers)
    by_label = any(
        policy.locality.failover_priority or (policy.zone_aware is not None and policy.zone_aware.failover_priority)
        for policy in blueprint.policies
    )
    everybody = {**known, INGRESS_CLIENT: INGRESS_LABELS, EAST_WEST_CLIENT: EAST_WEST_LABELS}
    flat = {who: tuple(sorted(own.items())) for who, own in everybody.items()}
    return Prepared(
        scenario,
        blueprint,
        tuple(blueprint.policies),
        tuple(blueprint.labels),
        endpoint_labels=flat if by_label or any(blueprint.labels) else {},
        client_labels=flat if by_label else {},
        plain=plain,
        servers=servers,
        links=round_trip(document),
        scopes=_scopes(document, resources, known),
        plans=plans,
        configurations=reachable,
    )


def _resources(scenario: Scenario, reachable: Configurations) -> list[IstioResources]:
    """Return what the resources of each configuration say."""
    found = [scenario.resources]
    for paths in reachable.paths[1:]:
        resources, wrong = read(scenario.document, scenario.root, paths)
        if wrong:
            raise ScenarioError(wrong)
        found.append(resources)
    return found


def _rules(document: Document, resources: IstioResources, secure: Collection[str], base: IstioResources) -> Rules:
    """Return what the data plane asks of a configuration's resources."""
    version = document.istio_version
    touched = _touched(base, resources)

    def namespace(service: str) -> str:
        return document.services[service].namespace

    @cache
    def labels(service: str, subset: str) -> Mapping[str, str]:
        return resources.subset_labels(service, namespace(service), subset) if subset else {}

    @cache
    def policy(service: str, subset: str) -> Policy:
        labels(service, subset)  # there is no policy for a subset that is not there
        found = resources.policy(service, namespace(service), version, subset)
        # Automatic mutual TLS depends on the endpoint; the data plane knows destinations only.
        return found if found.tls_mode != "AUTO" or service in secure else replace(found, tls=False)

    def route(client: Client, request: Request) -> Route:
        return resources.route(client, request, version)

    def as_at_first(client: Client, request: Request) -> bool:
        by_host = client.gateway == MESH and request.protocol != "tcp"  # others look at more than the host
        return by_host and not any(one.precision(request.host) for one in touched)

    return Rules(policy, route, labels, as_at_first)


def _touched(base: IstioResources, resources: IstioResources) -> list[VirtualService]:
    """Return the VirtualServices that one of two configurations has, and the other not or in another form."""
    old, new = ({(one.namespace, one.name): one for one in own.virtual_services} for own in (base, resources))
    return [one for here, there in ((old, new), (new, old)) for key, one in here.items() if there.get(key) != one]


def _scopes(
    document: Document, resources: IstioResources, known: Mapping[tuple[str, str], Mapping[str, str]]
) -> dict[tuple[str, str], frozenset[str]]:
    """Return the services that the proxies of each workload are told of; those with one Sidecar share the answer."""
    found: dict[tuple[str, int | None], frozenset[str]] = {}
    scopes: dict[tuple[str, str], frozenset[str]] = {}
    for (service, workload), labels in known.items():
        namespace = document.services[service].namespace
        own = in_scope(resources.sidecars, namespace, labels, resources.root_namespace)
        key = (namespace, id(own[0]) if own else None)
        if key not in found:
            found[key] = frozenset(
                name
                for name, body in document.services.items()
                if resources.visible(name, body.namespace, namespace, labels)
            )
        scopes[service, workload] = found[key]
    return scopes


def _server(scenario: Scenario, service: str, workload: str, labels: Mapping[str, str]) -> Server:
    document, resources = scenario.document, scenario.resources
    namespace = document.services[service].namespace
    sidecar = document.sidecar
    if sidecar.enabled and not has_sidecar(document, service, workload):
        sidecar = sidecar.model_copy(update={"enabled": False})
    threads = sidecar_threads(document, resources, service, workload)
    if threads != sidecar.concurrency:
        sidecar = sidecar.model_copy(update={"concurrency": threads})
    return Server(
        sidecar,
        strict=resources.mutual_tls(namespace, labels) == "STRICT",
        inbound_limit=_inbound_limit(document, resources, service, labels) if sidecar.enabled else 0,
    )


def _inbound_limit(document: Document, resources: IstioResources, service: str, labels: Mapping[str, str]) -> int:
    """Return how many requests at a time a sidecar lets in, 0 for any; over TCP connections it sees none."""
    if document.services[service].protocol == "tcp":
        return 0
    namespace = document.services[service].namespace
    limit = resources.inbound_breaker(service, namespace, document.istio_version, labels).max_requests
    return 0 if limit == UNLIMITED else limit


def _inbound_limits(
    scenario: Scenario, configurations: Sequence[IstioResources], plan: Blueprint, servers: Mapping[Workload, Server]
) -> NDArray[np.int64] | None:
    """Return `Blueprint.inbound_limits`."""
    widest = max(len(workloads) for workloads in plan.workloads.values())
    limits = np.zeros((len(configurations), len(plan.services), widest), dtype=np.int64)
    for number, resources in enumerate(configurations[1:], start=1):
        for row, service in enumerate(plan.services):
            for column, workload in enumerate(plan.workloads[service]):
                limits[0, row, column] = servers[service, workload].inbound_limit
                if servers[service, workload].sidecar.enabled:
                    labels = labels_of(scenario.document, service, workload)
                    limits[number, row, column] = _inbound_limit(scenario.document, resources, service, labels)
    return limits if (limits != limits[0]).any() else None
