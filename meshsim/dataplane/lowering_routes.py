"""Routes of a scenario: what every call and every request of a user is routed by, as records of the compiled room."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from meshsim.dataplane import retry, state
from meshsim.dataplane.blueprint import Actions, Blueprint, PolicyOf, RouteOf
from meshsim.scenario.istio.clients import Client
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Route
from meshsim.scenario.requests import Variant, actions_of, entry_variant, ingress, operations_of, request_of, sidecar
from meshsim.scenario.schema import CallStep, Document


class Routing:
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
        self._ends: list[tuple[int, ...]] = []
        self._found: dict[tuple[Any, ...], int] = {}
        self._alike: dict[tuple[Route, tuple[int, ...]], int] = {}
        #: Services that each caller (-1: users) reaches, and the destinations they are reached as.
        self.reached: dict[int, dict[int, None]] = {}
        self.callees: dict[int, dict[int, None]] = {}

    def actions(self, entry: str) -> Actions:
        """Return what the users of an entry do."""
        found: Actions = []
        for weight, action, requests in actions_of(self._document, entry):
            carried = entry_variant(self._document.load.entries[entry], action)
            sent = [self._user(one, carried) for one in requests]
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
        reached = operations_of(self._document, route, request, name)
        ends = tuple(state.NONE if one is None else plan.operations[one] for one in reached)
        number = self._alike.get((route, ends))  # the same rule may lead to other operations
        if number is None:
            number = self._alike[route, ends] = plan.add_route(route)
            self._ends.append(ends)
        asked = plan.services.index(name.split("/", 1)[0])
        self.reached.setdefault(caller, {})[asked] = None
        for destination in route.reached:
            target = plan.destination(destination, self._policy_of)
            if target != state.NONE:
                self.callees.setdefault(caller, {})[target] = None
                self.reached[caller][plan.services.index(destination.service)] = None
        return number

    def lower(self) -> None:
        """Write the records of all routes and their targets."""
        plan = self._plan
        rows = state.records("routes", max(len(plan.routes), 1))
        codes = np.zeros((len(rows), 600), dtype=np.uint8)
        targets: list[tuple[int, int, float]] = []
        for number, route in enumerate(plan.routes):
            row = rows[number]
            row.first_target, row.targets = len(targets), len(route.destinations)
            row.first_mirror, row.mirrors = len(targets) + len(route.destinations), len(route.mirrors)
            total = sum(weight for _, weight in route.destinations)
            shares = [weights / total for weights in accumulate(weight for _, weight in route.destinations)]
            shares += [mirror.percent / 100.0 for mirror in route.mirrors]
            for destination, operation, share in zip(route.reached, self._ends[number], shares, strict=True):
                targets.append((plan.destination(destination, self._policy_of), operation, share))
            _lower_route(row, route)
            retry.lower(row, codes[number], route.retry)
        plan.arrays["routes"], plan.arrays["retry_codes"] = rows, codes
        plan.arrays["targets"] = state.records("targets", max(len(targets), 1))
        for row, values in zip(plan.arrays["targets"], targets, strict=False):
            row.destination, row.operation, row.cumulative = values
        plan.arrays["resolved"] = np.array(self._resolved or [(0, 0)], dtype=np.int32)


def _lower_route(row: Any, route: Route) -> None:
    fault = route.fault
    row.timeout = route.timeout or 0.0
    row.delay, row.delay_fraction = fault.delay, fault.delay_percent / 100.0
    row.abort_code, row.abort_fraction = fault.abort_code, fault.abort_percent / 100.0
    row.faults = int(row.delay_fraction > 0.0 or row.abort_fraction > 0.0)
    row.own_retries = int(route.sources.get("retry.attempts", DEFAULT) != DEFAULT)
    row.direct = route.direct_code
    row.direct_flag = state.NR if route.no_route else state.NO_FLAG
