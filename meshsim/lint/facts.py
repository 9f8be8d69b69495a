"""What lints look at: who calls whom by which route, and which hosts each client sees for each destination."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from meshsim.lint.sources import placed
from meshsim.mesh import calls
from meshsim.mesh.deployment import control_planes, east_west_gateways
from meshsim.mesh.endpoints import GatewayAddress, Gateways, HostView, host_views
from meshsim.mesh.placement import PlacedWorkload, place, zones_of
from meshsim.mesh.places import Client, Endpoint, outside_endpoint
from meshsim.scenario import Scenario
from meshsim.scenario import requests as asked
from meshsim.scenario.istio import clients, destination_rules, hosts
from meshsim.scenario.istio.destination_rules import DestinationRule, Subset
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Route
from meshsim.scenario.proxies import gateway_threads, sidecar_threads
from meshsim.scenario.requests import INGRESS_CLIENT, Variant
from meshsim.scenario.schema import CallStep, Gateway, Service
from meshsim.scenario.selectors import several_networks, workloads_of
from meshsim.scenario.tree import format_path

_WARNING = re.compile(
    r"(?:(?P<file>.+?):(?P<line>\d+): )?(?P<label>[A-Za-z]+/[^:]+|MeshConfig): (?P<path>[^:]*): (?P<why>.*)"
)

#: (service, subset), the subset empty for the whole service.
Upstream = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests of one kind from one kind of proxy.

    Parameters
    ----------
    caller, workload
        Who sends them; empty for the ingress gateways.
    client, request, route
        The proxy, the request, and what it does with it.
    step
        The call in the caller's script; None for users.
    variant
        What the requests carry.
    operation
        ``service/endpoint`` that is asked for.
    operations
        ``service/endpoint`` of each place where they may end, mirrors included.
    made_by
        ``service/endpoint`` whose script makes the call; empty for users.
    """

    caller: str
    workload: str
    client: clients.Client
    request: clients.Request
    route: Route
    step: CallStep | None
    variant: Variant
    operation: str
    operations: tuple[str, ...]
    made_by: str = ""

    @property
    def name(self) -> str:
        """Return the request as messages show it."""
        return f"{self.request.method} {self.request.path} from {self.caller or 'the ingress gateway'}"


class Facts:
    """A scenario as lints see it; everything is worked out when it is first asked for.

    Parameters
    ----------
    scenario
        A valid scenario.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.document = scenario.document
        self.resources = scenario.resources
        self.version = scenario.document.istio_version
        self._views: dict[tuple[Upstream, Client, bool], tuple[HostView, ...]] = {}
        self._policies: dict[Upstream, Policy] = {}
        self._endpoints: dict[str, tuple[Endpoint, ...]] = {}

    # --- where things stand ---------------------------------------------------------------------------------

    def source(self, *path: str | int) -> str:
        """Return a place of the scenario's file as `Policy.sources` would write it."""
        where, shown = self.scenario.root.locate(path), format_path(path)
        return f"{shown} ({where.file}:{where.line})" if where.line else shown

    def subset_source(self, subset: Subset) -> str:
        """Return where a subset of a DestinationRule stands."""
        for index, found in enumerate(self.document.istio):
            named = found.get("metadata") or {}
            name = f"{found.get('kind')} {named.get('namespace') or 'default'}/{named.get('name')}"
            for number, part in enumerate(
                (found.get("spec") or {}).get("subsets") or [] if name == subset.title else []
            ):
                if part.get("name") == subset.name:
                    place = self.source("istio", index, "spec", "subsets", number)
                    return place.replace(placed(place)[0], name, 1)
        return subset.title

    # --- policies -------------------------------------------------------------------------------------------

    def service(self, name: str) -> Service:
        """Return a service of the scenario."""
        return self.document.services[name]

    def identity(self, service: str) -> hosts.Service:
        """Return name and namespace of a service, with its host for a name where it has one of its own."""
        return self.resources.identity(service, self.service(service).namespace)

    def policy(self, upstream: Upstream) -> Policy:
        """Return the policy of a destination."""
        if upstream not in self._policies:
            name, subset = upstream
            found = self.resources.policy(name, self.service(name).namespace, self.version, subset)
            self._policies[upstream] = found
        return self._policies[upstream]

    def rule(self, service: str) -> DestinationRule | None:
        """Return the DestinationRule of a service."""
        wanted = self.identity(service)
        return destination_rules.chosen(self.resources.destination_rules, wanted, self.resources.root_namespace)

    def has_subset(self, upstream: Upstream) -> bool:
        """Tell whether a destination exists: its subset is one of the DestinationRule's."""
        service, subset = upstream
        rule = self.rule(service)
        return not subset or (rule is not None and rule.subset(subset) is not None)

    @cached_property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Destinations that requests go to, in the order of the services."""
        used = {(to.service, to.subset) for flow in self.flows for to in flow.route.reached if to.service}
        order = list(self.document.services)
        known = [upstream for upstream in used if self.has_subset(upstream)]
        return tuple(sorted(known, key=lambda upstream: (order.index(upstream[0]), upstream[1])))

    @property
    def policies(self) -> Iterator[tuple[Upstream, Policy]]:
        """Destinations that requests go to, and their policies."""
        for upstream in self.upstreams:
            yield upstream, self.policy(upstream)

    # --- requests -------------------------------------------------------------------------------------------

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Every kind of request that users and services send, followed along its routes."""
        waiting = list(self._entries())
        seen: set[tuple[Variant, str]] = set()
        found = list(waiting)
        while waiting:
            flow = waiting.pop()
            for operation in flow.operations:
                if (flow.variant, operation) not in seen:
                    seen.add((flow.variant, operation))
                    more = list(self._calls(flow.variant, operation))
                    found += more
                    waiting += more
        return tuple(found)

    def flows_to(self, upstream: Upstream) -> list[Flow]:
        """Return the requests that may reach a destination, in the order of `flows`."""
        return self._flows_to.get(upstream, [])

    @cached_property
    def _flows_to(self) -> dict[Upstream, list[Flow]]:
        found: dict[Upstream, list[Flow]] = {}
        for flow in self.flows:
            for end in dict.fromkeys((to.service, to.subset) for to in flow.route.reached):
                found.setdefault(end, []).append(flow)
        return found

    def _entries(self) -> Iterator[Flow]:
        for name, entry in self.document.load.entries.items():
            for _, action, operations in asked.actions_of(self.document, name):
                variant = asked.entry_variant(entry, action)
                for operation in dict.fromkeys(operations):
                    yield self._flow("", "", operation, None, variant)

    def _calls(self, variant: Variant, operation: str) -> Iterator[Flow]:
        service, endpoint = calls.operation(operation)
        for workload, body in workloads_of(self.document, service).items():
            own = workload if endpoint in body.endpoints else ""
            for step in self._steps.get((service, endpoint, own), ()):
                flow = self._flow(service, workload, step.call, step, variant.below(step))
                yield replace(flow, made_by=operation)

    @cached_property
    def _steps(self) -> dict[tuple[str, str, str], list[CallStep]]:
        found: dict[tuple[str, str, str], list[CallStep]] = {}
        for call in calls.calls(self.document):
            found.setdefault((*call.caller, call.workload), []).append(call.step)
        return found

    def _flow(self, caller: str, workload: str, operation: str, step: CallStep | None, variant: Variant) -> Flow:
        client = asked.sidecar(self.document, caller, workload) if caller else asked.ingress()
        request = asked.request_of(self.document, operation, variant.sent)
        route = self.resources.route(client, request, self.version)
        ends = asked.operations_of(self.document, route, request, operation)
        operations = tuple(dict.fromkeys(end for end in ends if end is not None))
        return Flow(caller, workload, client, request, route, step, variant, operation, operations)

    # --- places ---------------------------------------------------------------------------------------------

    @cached_property
    def placed(self) -> tuple[PlacedWorkload, ...]:
        """Every Deployment of every cluster."""
        return place(self.document)

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """Return the pods of a service at the start, cluster by cluster."""
        if service not in self._endpoints:
            own = [body for body in self.placed if body.service == service]
            order = list(self.document.clusters)
            own.sort(key=lambda body: order.index(body.cluster))
            pods = [(body, zone) for body in own for zone in body.zones]
            self._endpoints[service] = tuple(self._pod(number, *pod) for number, pod in enumerate(pods))
        return self._endpoints[service]

    def pods(self, upstream: Upstream) -> list[Endpoint]:
        """Return the pods of a destination: those of its service that have the subset's labels."""
        service, subset = upstream
        rule = self.rule(service)
        found = rule.subset(subset) if rule is not None else None
        wanted = set(found.labels) if found is not None else set()
        return [pod for pod in self.endpoints(service) if wanted <= set(pod.labels)]

    def _pod(self, number: int, body: PlacedWorkload, zone: str) -> Endpoint:
        if body.outside is not None:
            return outside_endpoint(number, body.outside, tls=self.document.sidecar.enabled and body.outside.sidecar)
        where = self.document.clusters[body.cluster]
        labels = asked.labels_of(self.document, body.service, body.name)
        accepts = self.resources.mutual_tls(self.service(body.service).namespace, labels)
        tls = self.document.sidecar.enabled and accepts != "DISABLE"
        pairs = tuple(labels.items())
        return Endpoint(
            number, body.cluster, where.network, where.region, zone, workload=body.name, labels=pairs, tls=tls
        )

    @cached_property
    def gateways(self) -> Gateways:
        """East-west gateways; they are the same in every deployment where there are networks to join."""
        if not several_networks(self.document):
            return Gateways.of([])
        planes = control_planes(self.document, next(iter(self.document.deployments)))
        addresses = [
            (cluster, self.document.clusters[cluster].network)
            for cluster, settings in east_west_gateways(self.document, planes).items()
            for _ in range(settings.addresses)
        ]
        return Gateways.of(GatewayAddress(number, *where) for number, where in enumerate(addresses))

    @cached_property
    def ingress_clusters(self) -> tuple[str, ...]:
        """Clusters that users enter by."""
        shares = [
            entry.enters or dict.fromkeys(self.document.clusters, 1.0) for entry in self.document.load.entries.values()
        ]
        used = {cluster for given in shares for cluster, share in given.items() if share > 0}
        return tuple(cluster for cluster in self.document.clusters if cluster in used)

    def callers(self, upstream: Upstream) -> tuple[tuple[str, str], ...]:
        """Return who sends requests to a destination, as (service, workload); `INGRESS_CLIENT` for users."""
        return tuple(dict.fromkeys((flow.caller, flow.workload) for flow in self.flows_to(upstream)))

    def proxies(self, upstream: Upstream) -> int:
        """Return how many client proxies a destination has."""
        clusters = self.document.clusters
        return sum(self.replicas(caller, cluster) for caller in self.callers(upstream) for cluster in clusters)

    def clients(self, upstream: Upstream) -> tuple[Client, ...]:
        """Return the localities that have proxies which send requests to a destination, by what it tells them apart."""
        found = [client for caller in self.callers(upstream) for client in self.localities(caller, upstream)]
        return tuple(dict.fromkeys(found))

    def localities(self, caller: tuple[str, str], upstream: Upstream) -> tuple[Client, ...]:
        """Return the localities that have proxies of a caller, as of `callers`, with the labels that count there."""
        if caller == INGRESS_CLIENT:
            found = [(name, zone) for name in self.ingress_clusters for zone in zones_of(self.document, name)]
        else:
            bodies = [body for body in self.placed if (body.service, body.name) == caller and body.outside is None]
            found = [(body.cluster, zone) for body in bodies for zone in body.zones]
        clusters, labels = self.document.clusters, self._labels_that_count(caller, upstream)
        return tuple(
            Client(name, clusters[name].network, clusters[name].region, zone, labels=labels)
            for name, zone in dict.fromkeys(found)
        )

    def _labels_that_count(self, caller: tuple[str, str], upstream: Upstream) -> tuple[tuple[str, str], ...]:
        """Return those labels of a caller's pods by which a destination ranks its endpoints."""
        policy = self.policy(upstream)
        ranking = policy.zone_aware or (policy.locality if policy.locality_failover else None)
        if ranking is None or not ranking.failover_priority:
            return ()
        labels = asked.INGRESS_LABELS if caller == INGRESS_CLIENT else asked.labels_of(self.document, *caller)
        return tuple((name, value) for name, value in labels.items() if name in ranking.failover_priority)

    def replicas(self, caller: tuple[str, str], cluster: str) -> int:
        """Return how many proxies a caller, as of `callers`, has in a cluster."""
        return self._replicas[*caller, cluster]

    @cached_property
    def _replicas(self) -> Counter[tuple[str, str, str]]:
        found = Counter({(*INGRESS_CLIENT, name): self._ingress(name).replicas for name in self.ingress_clusters})
        for body in self.placed:
            found[body.service, body.name, body.cluster] += body.replicas
        return found

    def threads(self, caller: tuple[str, str], cluster: str) -> int:
        """Return the worker threads of each proxy of a caller, as of `callers`, in a cluster."""
        if caller == INGRESS_CLIENT:
            return gateway_threads(self._ingress(cluster), self.resources)
        return sidecar_threads(self.document, self.resources, *caller)

    def _ingress(self, cluster: str) -> Gateway:
        return self.document.ingress.get(cluster, Gateway())

    def views(self, upstream: Upstream, client: Client, *, dedup: bool | None = None) -> tuple[HostView, ...]:
        """Return the hosts of a destination as a client sees them.

        Parameters
        ----------
        upstream, client
            Who sees what.
        dedup
            Whether only the first copy of a gateway counts; None = as the Istio version has it.
        """
        dedup = self.document.one_gateway_copy if dedup is None else dedup
        key = (upstream, client, dedup)
        if key not in self._views:
            service, subset = upstream
            namespace = self.service(service).namespace
            labels = self.resources.subset_labels(service, namespace, subset) if subset else None
            self._views[key] = host_views(
                self.endpoints(service), self.gateways, client, self.policy(upstream),
                labels=labels, gateway_dedup=dedup,
            )  # fmt: skip
        return self._views[key]


def title(upstream: Upstream) -> str:
    """Return a destination as messages show it.

    Examples
    --------
    >>> title(("cart", "")), title(("cart", "v1"))
    ('cart', 'cart/v1')
    """
    return "/".join(filter(None, upstream))


def is_set(policy: Policy, name: str) -> bool:
    """Tell whether a resource sets a field of a policy.

    Examples
    --------
    >>> is_set(Policy(sources={"connect_timeout": "MeshConfig"}), "connect_timeout"), is_set(Policy(), "tls")
    (True, False)
    """
    return policy.sources.get(name, DEFAULT) != DEFAULT


def warned(facts: Facts, *phrases: str) -> Iterator[tuple[str, str, str]]:
    """Yield source, path and reason of the warnings of Istio's resources that say one of some things."""
    for warning in facts.resources.warnings:
        found = _WARNING.fullmatch(warning)
        if found is not None and any(phrase in warning for phrase in phrases):
            label = found["label"].replace("/", " ", 1)
            source = f"{label} ({found['file']}:{found['line']})" if found["file"] else label
            yield source, found["path"].removeprefix("spec."), found["why"]
