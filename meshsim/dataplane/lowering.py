"""From a scenario to the arrays that no deployment and no run changes: services, scripts, policies, distributions."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from meshsim.dataplane import (
    circuit_breaking,
    distributions,
    load_balancing,
    outlier_detection,
    retry,
    state,
)
from meshsim.scenario.istio.clients import Client, Request
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Destination, Route
from meshsim.scenario.requests import (
    Variant,
    entry_variant,
    ingress,
    operation_at,
    request_of,
    sidecar,
    variants,
)
from meshsim.scenario.schema import CallStep, ComputeStep, Document, Endpoint, EntryLoad
from meshsim.scenario.selectors import workloads_of

#: HTTP codes a response without a flag can have; failing services, faults and routes may add others.
BASE_CODES = (0, 200, 404, 500, 503, 504)
UNLIMITED = 1 << 62

#: Gives the policy of a destination, (service, subset); raises KeyError where there is no such subset.
PolicyOf = Callable[[str, str], Policy]
#: Gives the route of a request.
RouteOf = Callable[[Client, Request], Route]
#: What users do: weight, variant, and the operation and route of each request.
Actions = list[tuple[float, int, list[tuple[int, int]]]]


@dataclass
class Blueprint:
    """Lowered constants of a scenario, with the names behind the numbers.

    ``destinations`` are (service, subset); the first ones are the services themselves, in their order.
    """

    services: list[str]
    workloads: dict[str, list[str]]
    operations: dict[str, int]
    destinations: list[tuple[str, str]]
    ports: Mapping[str, int]
    namespaces: Mapping[str, str]
    routes: list[Route] = field(default_factory=list)
    actions: dict[str, Actions] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    callees: dict[int, list[int]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    distribution_rows: list[tuple[int, float, float, int, int]] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)

    @property
    def delays(self) -> bool:
        """Whether any route delays requests: outcomes are then counted with and without the flag DI."""
        return any(route.fault.delay > 0.0 for route in self.routes)

    @property
    def operation_names(self) -> list[str]:
        """Return the names of the operations, ``service/endpoint``, by number."""
        return list(self.operations)

    def envoy_name(self, destination: int) -> str:
        """Return Envoy's name of a destination; empty for none."""
        if destination == state.NONE:
            return ""
        service, subset = self.destinations[destination]
        return f"outbound|{self.ports[service]}|{subset}|{service}.{self.namespaces[service]}.svc.cluster.local"

    def distribution(self, wanted: distributions.AnyDistribution) -> int:
        """Return the row of a distribution, adding it if it is new."""
        kind, a, b, values = distributions.lower(wanted)
        for number, (*known, first, count) in enumerate(self.distribution_rows):
            if known == [kind, a, b] and self.samples[first : first + count] == values:
                return number
        self.distribution_rows.append((kind, a, b, len(self.samples), len(values)))
        self.samples.extend(values)
        return len(self.distribution_rows) - 1

    def destination(self, wanted: Destination, policy_of: PolicyOf) -> int:
        """Return the number of a destination, adding it if it is new; none for a host or subset that nobody has."""
        if wanted.service not in self.services:
            return state.NONE
        key = (wanted.service, wanted.subset)
        if key not in self.destinations:
            try:
                policy_of(*key)
            except KeyError:
                return state.NONE
            self.destinations.append(key)
        return self.destinations.index(key)

    def route(self, wanted: Route) -> int:
        """Return the number of a route, adding it if it is new."""
        if wanted not in self.routes:
            self.routes.append(wanted)
        return self.routes.index(wanted)


def default_route(client: Client, request: Request) -> Route:  # noqa: ARG001 (the signature of `RouteOf`)
    """Return the route of a request that no VirtualService speaks of."""
    return Route(((Destination(request.service), 100),), path=request.path)


def lower(document: Document, policy_of: PolicyOf, route_of: RouteOf = default_route) -> Blueprint:
    """Lower a document.

    Parameters
    ----------
    document
        The validated scenario.
    policy_of
        Gives the effective policy of a destination.
    route_of
        Gives what a client proxy does with a request.

    Returns
    -------
    Blueprint
        Constants shared by every deployment and replication.

    Raises
    ------
    KeyError
        Never for a document and resources that `meshsim.load` has accepted.
    """
    names = list(document.services)
    operations: dict[str, int] = {}
    for name, service in document.services.items():
        for endpoint in service.endpoints:
            operations[f"{name}/{endpoint}"] = len(operations)
    plan = Blueprint(
        services=names,
        workloads={name: list(workloads_of(document, name)) for name in names},
        operations=operations,
        destinations=[(name, "") for name in names],
        ports={name: service.port for name, service in document.services.items()},
        namespaces={name: service.namespace for name, service in document.services.items()},
    )
    known = variants(document)
    routing = _Routing(document, plan, known, route_of, policy_of)
    _lower_scripts(document, plan, routing)
    for name, load in document.load.entries.items():
        plan.actions[name] = routing.actions(name, load)
    routing.lower()
    plan.codes = _codes(document, plan)
    _lower_services(document, plan)
    _lower_policies(document, plan, policy_of, known)
    _lower_edges(plan, routing)
    return plan


class _Routing:
    """Resolves the route of every call and of every request of a user."""

    def __init__(
        self, document: Document, plan: Blueprint, known: Sequence[Variant], route_of: RouteOf, policy_of: PolicyOf
    ) -> None:
        self._policy_of = policy_of
        self._document = document
        self._plan = plan
        self._known = known
        self._route_of = route_of
        self._resolved: list[tuple[int, int]] = []
        self._asked: dict[int, tuple[str, Request]] = {}
        self._found: dict[tuple[Any, ...], int] = {}
        #: Services that each caller (-1: users) reaches, and the destinations they are reached as.
        self.reached: dict[int, dict[int, None]] = {}
        self.callees: dict[int, dict[int, None]] = {}

    def actions(self, entry: str, load: EntryLoad) -> Actions:
        """Return what the users of an entry do; one without actions requests every endpoint in turn."""
        service = load.service or entry
        endpoints = list(self._document.services[service].endpoints)
        given: list[tuple[float, list[str], str | None]] = [
            (action.weight, action.requests, name) for name, action in load.actions.items()
        ]
        found: Actions = []
        for weight, requests, action in given or [(1.0, endpoints, None)]:
            carried = entry_variant(load, action)
            sent = [self._user(f"{service}/{one}", carried) for one in requests]
            found.append((weight, self._known.index(carried), sent))
        return found

    def _user(self, name: str, carried: Variant) -> tuple[int, int]:
        return self._plan.operations[name], self._find(state.NONE, ingress(), name, carried)

    def call(self, service: int, workload: str, step: CallStep) -> int:
        """Return where the routes of a calling step stand: for each variant the route and the variant below."""
        first = len(self._resolved)
        client = sidecar(self._document, self._plan.services[service], workload)
        for carried in self._known:
            below = carried.below(step)
            route = self._find(service, client, step.call, below)
            # A variant that never gets here may have one below that exists nowhere.
            self._resolved.append((route, self._known.index(below) if below in self._known else 0))
        return first

    def _find(self, caller: int, client: Client, name: str, carried: Variant) -> int:
        key = (caller, client.namespace, tuple(sorted(client.labels.items())), name, tuple(carried.sent.items()))
        if key not in self._found:
            self._found[key] = self._add(caller, client, name, carried)
        return self._found[key]

    def _add(self, caller: int, client: Client, name: str, carried: Variant) -> int:
        plan = self._plan
        request = request_of(self._document, name, carried.sent)
        route = self._route_of(client, request)
        number = plan.route(route)
        # Two requests may share a route and not the operations it leads to.
        while number in self._asked and self._operations(route, *self._asked[number]) != self._operations(
            route, name, request
        ):
            number += 1
            if number == len(plan.routes) or plan.routes[number] != route:
                plan.routes.append(route)
                number = len(plan.routes) - 1
        self._asked.setdefault(number, (name, request))
        asked = plan.services.index(name.split("/", 1)[0])
        self.reached.setdefault(caller, {})[asked] = None
        for destination in _destinations(route):
            target = plan.destination(destination, self._policy_of)
            if target != state.NONE:
                self.callees.setdefault(caller, {})[target] = None
                self.reached[caller][plan.services.index(destination.service)] = None
        return number

    def _operations(self, route: Route, name: str, request: Request) -> list[int]:
        return [self._operation(destination, name, request, route) for destination in _destinations(route)]

    def _operation(self, destination: Destination, name: str, request: Request, route: Route) -> int:
        if destination.service not in self._plan.services:
            return state.NONE
        arriving = replace(request, path=route.path.partition("?")[0] or request.path)
        found = operation_at(self._document, destination.service, arriving, name)
        return state.NONE if found is None else self._plan.operations[found]

    def lower(self) -> None:
        """Write the records of all routes and their targets."""
        plan = self._plan
        rows = state.records("routes", max(len(plan.routes), 1))
        codes = np.zeros((len(rows), 600), dtype=np.uint8)
        targets: list[tuple[int, int, float]] = []
        for number, route in enumerate(plan.routes):
            row = rows[number]
            name, request = self._asked[number]
            row.first_target, row.targets = len(targets), len(route.destinations)
            total, cumulated = sum(weight for _, weight in route.destinations), 0
            for destination, weight in route.destinations:
                cumulated += weight
                operation = self._operation(destination, name, request, route)
                number_of = plan.destination(destination, self._policy_of)
                targets.append((number_of, operation, cumulated / total))
            row.first_mirror, row.mirrors = len(targets), len(route.mirrors)
            for mirror in route.mirrors:
                operation = self._operation(mirror.destination, name, request, route)
                number_of = plan.destination(mirror.destination, self._policy_of)
                targets.append((number_of, operation, mirror.percent / 100.0))
            _lower_route(row, route)
            retry.lower(row, codes[number], route.retry)
        plan.arrays["routes"], plan.arrays["retry_codes"] = rows, codes
        plan.arrays["targets"] = state.records("targets", max(len(targets), 1))
        for row, values in zip(plan.arrays["targets"], targets, strict=False):
            row.destination, row.operation, row.cumulative = values
        plan.arrays["resolved"] = np.array(self._resolved or [(0, 0)], dtype=np.int32)


def _destinations(route: Route) -> list[Destination]:
    return [one for one, _ in route.destinations] + [mirror.destination for mirror in route.mirrors]


def _lower_route(row: Any, route: Route) -> None:
    fault = route.fault
    row.timeout = route.timeout or 0.0
    row.delay, row.delay_fraction = fault.delay, fault.delay_percent / 100.0
    row.abort_code, row.abort_fraction = fault.abort_code, fault.abort_percent / 100.0
    row.faults = int(row.delay_fraction > 0.0 or row.abort_fraction > 0.0)
    row.own_retries = int(route.sources.get("retry.attempts", DEFAULT) != DEFAULT)
    row.direct = route.direct_code
    row.direct_flag = state.NR if route.no_route else state.NO_FLAG


def _codes(document: Document, plan: Blueprint) -> list[int]:
    failing = [event.code for event in document.timeline if event.event == "service_failing"]
    own = [code for route in plan.routes for code in (route.direct_code, route.fault.abort_code) if code]
    return sorted({*BASE_CODES, *failing, *own})


def _lower_services(document: Document, plan: Blueprint) -> None:
    services = state.records("services", len(plan.services))
    for row, name in zip(services, plan.services, strict=True):
        service = document.services[name]
        row.grpc = int(service.protocol == "grpc")
        row.http1 = int(service.protocol == "http")
        row.hold_worker = int(service.hold_worker)
        row.workers = service.workers
        row.queue = UNLIMITED if service.queue is None else service.queue
        row.max_streams = UNLIMITED
    plan.arrays["services"] = services


def _lower_policies(document: Document, plan: Blueprint, policy_of: PolicyOf, known: Sequence[Variant]) -> None:
    rows = state.records("policies", len(plan.destinations))
    names: dict[str, int] = {}
    for row, (service, subset) in zip(rows, plan.destinations, strict=True):
        row.service = plan.services.index(service)
        policy = policy_of(service, subset)
        lower_policy(row, policy)
        row.http1 = int(document.services[service].protocol == "http" and not policy.connection_pool.h2_upgrade)
        row.tls = int(policy.tls and document.sidecar.enabled)
        if policy.hash is not None and policy.hash.name:
            row.hash_name = names.setdefault(policy.hash.name.lower(), len(names))
    plan.arrays["policies"] = rows
    _lower_keys(plan, known, list(names))


def lower_policy(row: Any, policy: Policy) -> None:
    """Write a policy into its record."""
    load_balancing.lower(row, policy)
    circuit_breaking.lower(row, policy)
    outlier_detection.lower(row, policy.outlier_detection)
    row.connect_timeout = policy.connect_timeout
    row.connect_attempts = 1
    pool = policy.connection_pool
    row.max_streams = pool.max_concurrent_streams
    row.requests_per_connection = pool.max_requests_per_connection
    row.idle_timeout = pool.idle_timeout
    row.max_duration = pool.max_connection_duration or 0.0


def _lower_keys(plan: Blueprint, known: Sequence[Variant], names: Sequence[str]) -> None:
    """Write where each variant has the value of each header, cookie or parameter that a consistent hash looks at."""
    keys: list[tuple[int, int, int]] = []
    table = np.full((len(known), max(len(names), 1)), state.NONE, dtype=np.int32)
    for number, variant in enumerate(known):
        drawn, fixed = dict(variant.keys), dict(variant.headers)
        for column, name in enumerate(names):
            if name in drawn:
                first = state.NONE
                if drawn[name].skew > 0.0:
                    first = len(plan.samples)
                    shares = np.arange(1, drawn[name].count + 1) ** -drawn[name].skew
                    plan.samples.extend((np.cumsum(shares) / shares.sum()).tolist())
                keys.append((drawn[name].count, first, zlib.crc32(name.encode()) << 32))
            elif name in fixed:
                keys.append((0, state.NONE, zlib.crc32(fixed[name].encode())))
            else:
                continue
            table[number, column] = len(keys) - 1
    rows = state.records("hash_keys", max(len(keys), 1))
    for row, values in zip(rows, keys, strict=False):
        row.count, row.first, row.fixed = values
    plan.arrays["hash_keys"], plan.arrays["variant_keys"] = rows, table


def _lower_scripts(document: Document, plan: Blueprint, routing: _Routing) -> None:
    widest = max(len(workloads) for workloads in plan.workloads.values())
    scripts = np.full((len(plan.operations), widest), state.NONE, dtype=np.int32)
    operations = state.records("operations", len(plan.operations))
    steps: list[dict[str, Any]] = []
    branches: list[int] = []
    for name, service in document.services.items():
        for endpoint, described in service.endpoints.items():
            number = plan.operations[f"{name}/{endpoint}"]
            _lower_operation(operations[number], f"{name}/{endpoint}", plan.services.index(name), service, described)
            for column, (workload, body) in enumerate(workloads_of(document, name).items()):
                own = body.endpoints.get(endpoint, described)
                caller = _Caller(plan, routing, plan.services.index(name), workload)
                start = scripts[number, column] = _sequence(own.script, steps, branches, caller)
                for place in range(start, len(steps)):
                    steps[place]["place"] = place - start
    rows = state.records("steps", len(steps))
    for row, step in zip(rows, steps, strict=True):
        for key, value in step.items():
            row[key] = value
    plan.arrays.update(
        scripts=scripts,
        operations=operations,
        steps=rows,
        branches=np.array(branches or [0], dtype=np.int32),
    )


def _lower_operation(row: Any, name: str, number: int, service: Any, endpoint: Endpoint) -> None:
    row.service = number
    row.identity = np.uint64(zlib.crc32(name.encode()) << 32 | zlib.adler32(name.encode()))
    row.request_size = service.request_size if endpoint.request_size is None else endpoint.request_size
    row.response_size = service.response_size if endpoint.response_size is None else endpoint.response_size


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whose script is lowered."""

    plan: Blueprint
    routing: _Routing
    service: int
    workload: str

    def call(self, step: CallStep) -> dict[str, Any]:
        return {
            "kind": state.CALL_OUT,
            "operation": self.plan.operations[step.call],
            "route": self.routing.call(self.service, self.workload, step),
            "count": step.count,
            "probability": step.probability,
            "timeout": step.timeout or 0.0,
            "retries": step.retries,
            "ignore": int(step.on_error == "ignore"),
            "wait": int(step.wait),
        }


def _sequence(script: Sequence[Any], steps: list[dict[str, Any]], branches: list[int], caller: _Caller) -> int:
    """Append a sequence of steps and its end; return where it starts. Steps stand side by side, branches apart."""
    start = len(steps)
    steps.extend({} for _ in range(len(script) + 1))
    for offset, step in enumerate(script):
        match step:
            case ComputeStep():
                computes = {"kind": state.COMPUTE, "distribution": caller.plan.distribution(step.compute)}
                steps[start + offset] = computes
            case CallStep():
                steps[start + offset] = caller.call(step)
            case list():
                first = len(branches)
                branches.extend(0 for _ in step)
                for number, branch in enumerate(step):
                    own = branch if isinstance(branch, list) else [branch]
                    branches[first + number] = _sequence(own, steps, branches, caller)
                steps[start + offset] = {"kind": state.FORK, "first": first, "branches": len(step)}
    steps[start + len(script)] = {"kind": state.END}
    return start


def _lower_edges(plan: Blueprint, routing: _Routing) -> None:
    """Give every pair (caller, callee) a number; the caller -1 is the ingress."""
    count = len(plan.services)
    edge_of = np.full((count + 1, count), state.NONE, dtype=np.int32)
    for caller in range(-1, count):
        plan.callees[caller] = list(routing.callees.get(caller, {}))
        for callee in routing.reached.get(caller, {}):
            edge_of[caller + 1, callee] = len(plan.edges)
            plan.edges.append((caller, callee))
    plan.arrays["edge_of"] = edge_of
