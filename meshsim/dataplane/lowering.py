"""From a scenario to the arrays that no deployment and no run changes: services, scripts, policies, distributions."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from meshsim.dataplane import circuit_breaking, distributions, outlier_detection, retry, state
from meshsim.dataplane.load_balancing import BALANCERS
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.schema import CallStep, ComputeStep, Document, Endpoint
from meshsim.scenario.selectors import workloads_of

#: HTTP codes a response without a flag can have; failing services may add others.
BASE_CODES = (0, 200, 404, 500, 503, 504)
UNLIMITED = 1 << 62


@dataclass
class Blueprint:
    """Lowered constants of a scenario, with the names behind the numbers."""

    services: list[str]
    workloads: dict[str, list[str]]
    operations: dict[str, int]
    codes: list[int]
    edges: list[tuple[int, int]]
    callees: dict[int, list[int]]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    distribution_rows: list[tuple[int, float, float, int, int]] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)

    def distribution(self, wanted: distributions.AnyDistribution) -> int:
        """Return the row of a distribution, adding it if it is new."""
        kind, a, b, values = distributions.lower(wanted)
        for number, (*known, first, count) in enumerate(self.distribution_rows):
            if known == [kind, a, b] and self.samples[first : first + count] == values:
                return number
        self.distribution_rows.append((kind, a, b, len(self.samples), len(values)))
        self.samples.extend(values)
        return len(self.distribution_rows) - 1


def lower(document: Document, policies: Mapping[str, Policy]) -> Blueprint:
    """Lower a document.

    Parameters
    ----------
    document
        The validated scenario.
    policies
        The effective policy of every service.

    Returns
    -------
    Blueprint
        Constants shared by every deployment and replication.
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
        codes=_codes(document),
        edges=[],
        callees={},
    )
    _lower_services(document, policies, plan)
    _lower_scripts(document, plan)
    _lower_edges(document, plan)
    return plan


def _codes(document: Document) -> list[int]:
    failing = [event.code for event in document.timeline if event.event == "service_failing"]
    return sorted({*BASE_CODES, *failing})


def _lower_services(document: Document, policies: Mapping[str, Policy], plan: Blueprint) -> None:
    count = len(plan.services)
    services, rows = state.records("services", count), state.records("policies", count)
    codes = np.zeros((count, 600), dtype=np.uint8)
    for number, name in enumerate(plan.services):
        service, policy, row = document.services[name], policies[name], rows[number]
        services[number].policy = number
        services[number].grpc = int(service.protocol == "grpc")
        services[number].http1 = int(service.protocol == "http")
        services[number].hold_worker = int(service.hold_worker)
        services[number].workers = service.workers
        services[number].queue = UNLIMITED if service.queue is None else service.queue
        row.balancer = BALANCERS[policy.load_balancer]
        row.panic_threshold = policy.panic_threshold
        row.timeout = policy.timeout or 0.0
        row.connect_timeout = policy.connect_timeout
        circuit_breaking.lower(row, policy.circuit_breaker)
        outlier_detection.lower(row, policy.outlier_detection)
        retry.lower(row, codes[number], policy.retry)
    plan.arrays.update(services=services, policies=rows, retry_codes=codes)


def _lower_scripts(document: Document, plan: Blueprint) -> None:
    widest = max(len(workloads) for workloads in plan.workloads.values())
    scripts = np.full((len(plan.operations), widest), state.NONE, dtype=np.int32)
    operations = state.records("operations", len(plan.operations))
    steps: list[dict[str, Any]] = []
    branches: list[int] = []
    for name, service in document.services.items():
        for endpoint, described in service.endpoints.items():
            number = plan.operations[f"{name}/{endpoint}"]
            _lower_operation(operations[number], f"{name}/{endpoint}", plan.services.index(name), service, described)
            for column, workload in enumerate(workloads_of(document, name).values()):
                own = workload.endpoints.get(endpoint, described)
                start = scripts[number, column] = _sequence(own.script, steps, branches, plan)
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


def _sequence(script: Sequence[Any], steps: list[dict[str, Any]], branches: list[int], plan: Blueprint) -> int:
    """Append a sequence of steps and its end; return where it starts. Steps stand side by side, branches apart."""
    start = len(steps)
    steps.extend({} for _ in range(len(script) + 1))
    for offset, step in enumerate(script):
        match step:
            case ComputeStep():
                steps[start + offset] = {"kind": state.COMPUTE, "distribution": plan.distribution(step.compute)}
            case CallStep():
                steps[start + offset] = _call(step, plan)
            case list():
                first = len(branches)
                branches.extend(0 for _ in step)
                for number, branch in enumerate(step):
                    own = branch if isinstance(branch, list) else [branch]
                    branches[first + number] = _sequence(own, steps, branches, plan)
                steps[start + offset] = {"kind": state.FORK, "first": first, "branches": len(step)}
    steps[start + len(script)] = {"kind": state.END}
    return start


def _call(step: CallStep, plan: Blueprint) -> dict[str, Any]:
    return {
        "kind": state.CALL_OUT,
        "operation": plan.operations[step.call],
        "count": step.count,
        "probability": step.probability,
        "timeout": step.timeout or 0.0,
        "retries": step.retries,
        "ignore": int(step.on_error == "ignore"),
        "wait": int(step.wait),
    }


def _lower_edges(document: Document, plan: Blueprint) -> None:
    """Give every pair (caller, callee) a number; the caller -1 is the ingress."""
    count = len(plan.services)
    edge_of = np.full((count + 1, count), state.NONE, dtype=np.int32)
    entries = [load.service or name for name, load in document.load.entries.items()]
    pairs = [(-1, plan.services.index(name)) for name in dict.fromkeys(entries)]
    for number, name in enumerate(plan.services):
        called = [plan.services.index(call.call.split("/", 1)[0]) for call in _calls_of(document, name)]
        plan.callees[number] = list(dict.fromkeys(called))
        pairs += [(number, callee) for callee in plan.callees[number]]
    for caller, callee in pairs:
        edge_of[caller + 1, callee] = len(plan.edges)
        plan.edges.append((caller, callee))
    plan.arrays["edge_of"] = edge_of


def _calls_of(document: Document, service: str) -> list[CallStep]:
    scripts = [endpoint.script for endpoint in document.services[service].endpoints.values()]
    for workload in workloads_of(document, service).values():
        scripts += [endpoint.script for endpoint in workload.endpoints.values()]
    found: list[CallStep] = []
    stack: list[Any] = [step for script in reversed(scripts) for step in reversed(script)]
    while stack:
        step = stack.pop()
        if isinstance(step, list):
            stack.extend(reversed(step))
        elif isinstance(step, CallStep):
            found.append(step)
    return found
