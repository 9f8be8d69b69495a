"""From a scenario to the arrays that no deployment and no run changes: services, scripts, policies, distributions."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshsim.dataplane import (
    circuit_breaking,
    load_balancing,
    outlier_detection,
    state,
)
from meshsim.dataplane.blueprint import Blueprint, PolicyOf, RouteOf, Rules, default_route
from meshsim.dataplane.lowering_routes import Routing
from meshsim.scenario.entries import host_of
from meshsim.scenario.istio.connections import MAX_STREAMS
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.versions import profile
from meshsim.scenario.requests import Variant, variants
from meshsim.scenario.schema import CallStep, ComputeStep, Document, Endpoint
from meshsim.scenario.selectors import workloads_of

#: HTTP codes a response without a flag can have; failing services, faults and routes may add others.
BASE_CODES = (0, 200, 404, 500, 503, 504)
UNLIMITED = 1 << 62


def lower(
    document: Document, policy_of: PolicyOf, route_of: RouteOf = default_route, *, rules: Sequence[Rules] = ()
) -> Blueprint:
    """Lower a document.

    Parameters
    ----------
    document
        The validated scenario.
    policy_of, route_of
        What Istio's resources say, where no ``rules`` are given.
    rules
        What they say in each configuration that a proxy can have, the first at the start.

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
        ports={name: service.port for name, service in document.services.items()},
        hosts={name: host_of(name, service) for name, service in document.services.items()},
        rules=rules or (Rules(policy_of, route_of),),
    )
    known = variants(document)
    routing = Routing(document, plan, known)
    _lower_scripts(document, plan, routing)
    for name in document.load.entries:
        plan.actions[name] = routing.actions(name)
    routing.lower()
    plan.codes = _codes(document, plan)
    _lower_services(document, plan)
    _lower_policies(document, plan, known)
    _lower_edges(plan, routing)
    return plan


def _codes(document: Document, plan: Blueprint) -> list[int]:
    failing = [event.code for event in document.timeline if event.event == "service_failing"]
    own = [code for route in plan.routes for code in (route.direct_code, route.fault.abort_code) if code]
    return sorted({*BASE_CODES, *failing, *own})


def _lower_services(document: Document, plan: Blueprint) -> None:
    services = state.records("services", len(plan.services))
    for row, name in zip(services, plan.services, strict=True):
        service = document.services[name]
        row.grpc = int(service.protocol == "grpc")
        row.hold_worker = int(service.hold_worker)
        row.workers = service.workers
        row.queue = UNLIMITED if service.queue is None else service.queue
        streams = profile(document.istio_version).http2_streams
        row.max_streams = UNLIMITED if service.protocol == "tcp" else streams
    plan.arrays["services"] = services


def _lower_policies(document: Document, plan: Blueprint, known: Sequence[Variant]) -> None:
    rows = state.records("policies", len(plan.destinations))
    names: dict[str, int] = {}
    handed_out: set[str] = set()  # cookies that the proxy gives to a user who has none
    for row, (service, _), policy in zip(rows, plan.destinations, plan.policies, strict=True):
        row.service = plan.services.index(service)
        lower_policy(row, policy)
        row.keeps_host = int(document.services[service].protocol == "tcp")
        row.http1 = int(document.services[service].protocol == "http" and not policy.connection_pool.h2_upgrade)
        row.tls = int(policy.tls and document.sidecar.enabled)
        if row.keeps_host:  # what passes over a TCP connection is nothing that a proxy could count
            row.idle_timeout = policy.connection_pool.tcp_idle_timeout
            row.max_requests, row.max_streams = UNLIMITED, MAX_STREAMS
            row.requests_per_connection = 0
        if policy.hash is not None and policy.hash.name:
            name = policy.hash.name.lower()
            row.hash_name = names.setdefault(name, len(names))
            if policy.hash.kind == "cookie" and policy.hash.ttl is not None:
                handed_out.add(name)
    plan.arrays["policies"] = rows
    _lower_keys(plan, known, list(names), handed_out)


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


def _lower_keys(plan: Blueprint, known: Sequence[Variant], names: Sequence[str], handed_out: Collection[str]) -> None:
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
            elif name in handed_out:
                keys.append((-1, state.NONE, 0))
            else:
                continue
            table[number, column] = len(keys) - 1
    rows = state.records("hash_keys", max(len(keys), 1))
    for row, values in zip(rows, keys, strict=False):
        row.count, row.first, row.fixed = values
    plan.arrays["hash_keys"], plan.arrays["variant_keys"] = rows, table


def _lower_scripts(document: Document, plan: Blueprint, routing: Routing) -> None:
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
    routing: Routing
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
    """Append a sequence of steps and its end; return where it starts. Steps stand side by side, branches apart.

    A list without steps does nothing.
    """
    script = [step for step in script if step != []]
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


def _lower_edges(plan: Blueprint, routing: Routing) -> None:
    """Give every pair (caller, callee) a number; the caller -1 is the ingress."""
    count = len(plan.services)
    edge_of = np.full((count + 1, count), state.NONE, dtype=np.int32)
    for caller in range(-1, count):
        plan.callees[caller] = list(routing.callees.get(caller, {}))
        for callee in routing.reached.get(caller, {}):
            edge_of[caller + 1, callee] = len(plan.edges)
            plan.edges.append((caller, callee))
    plan.arrays["edge_of"] = edge_of
