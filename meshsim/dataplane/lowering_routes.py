"""Routes of a scenario: what every call and every request of a user is routed by, as records of the compiled room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from meshsim.dataplane import retry, state
from meshsim.dataplane.blueprint import Actions, Blueprint
from meshsim.scenario.istio.clients import Client
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Destination, Route
from meshsim.scenario.requests import Variant, actions_of, entry_variant, ingress, operations_of, request_of, sidecar
from meshsim.scenario.schema import CallStep, Document


@dataclass(frozen=True, slots=True)
class _Question:
    """A request of a client, the route of which every configuration has to say; the caller -1 is the ingress."""

    caller: int
    client: Client
    operation: str
    carried: Variant


class Routing:
    """Resolves the routes of every call and of every request of a user, one for each configuration."""

    def __init__(self, document: Document, plan: Blueprint, known: Sequence[Variant]) -> None:
        self._document = document
        self._plan = plan
        self._known = known
        self._questions: list[_Question] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._rows: list[tuple[int, int]] = []
        self._first: list[tuple[Route, list[str | None]]] = []
        self._ends: list[tuple[tuple[int, int], ...]] = []
        self._alike: dict[tuple[Route, tuple[tuple[int, int], ...]], int] = {}
        #: Services that each caller (-1: users) reaches, and the destinations they are reached as.
        self.reached: dict[int, dict[int, None]] = {}
        self.callees: dict[int, dict[int, None]] = {}

    def actions(self, entry: str) -> Actions:
        """Return what the users of an entry do."""
        found: Actions = []
        for weight, action, requests in actions_of(self._document, entry):
            carried = entry_variant(self._document.load.entries[entry], action)
            variant = self._known.index(carried)
            sent = [
                (self._plan.operations[name], self._row(_Question(state.NONE, ingress(), name, carried), variant))
                for name in requests
            ]
            found.append((weight, variant, sent))
        return found

    def call(self, service: int, workload: str, step: CallStep) -> int:
        """Return where the routes of a calling step stand: for each variant the route and the variant below."""
        first = len(self._rows)
        client = sidecar(self._document, self._plan.services[service], workload)
        for carried in self._known:
            below = carried.below(step)
            # A variant that never gets here may have one below that exists nowhere.
            variant = self._known.index(below) if below in self._known else 0
            self._row(_Question(service, client, step.call, below), variant)
        return first

    def _row(self, asked: _Question, variant: int) -> int:
        """Add a row of `World.resolved` and return its number."""
        labels = tuple(sorted(asked.client.labels.items()))
        key = (asked.caller, asked.client.namespace, labels, asked.operation, tuple(asked.carried.sent.items()))
        number = self._numbers.setdefault(key, len(self._questions))
        if number == len(self._questions):
            self._questions.append(asked)
        self._rows.append((number, variant))
        return len(self._rows) - 1

    def lower(self) -> None:
        """Write the records of all routes and their targets, and who is routed by which."""
        plan = self._plan
        answers = np.array(
            [
                [self._answer(question, configuration) for question in range(len(self._questions))]
                for configuration in range(plan.configurations)
            ],
            dtype=np.int32,
        )
        resolved = np.zeros((plan.configurations, max(len(self._rows), 1), 2), dtype=np.int32)
        for row, (question, variant) in enumerate(self._rows):
            resolved[:, row, 0], resolved[:, row, 1] = answers[:, question], variant
        plan.arrays["resolved"] = resolved
        self._lower_routes()
        self._lower_clusters()

    def _way(self, question: int, configuration: int) -> tuple[Route, list[str | None]]:
        """Return the route of a request in a configuration, and the operations that it calls."""
        asked, rules = self._questions[question], self._plan.rules[configuration]
        request = request_of(self._document, asked.operation, asked.carried.sent)
        if configuration and rules.as_at_first(asked.client, request):
            return self._first[question]
        route = rules.route_of(asked.client, request)
        found = route, operations_of(self._document, route, request, asked.operation)
        if not configuration:
            self._first.append(found)
        return found

    def _answer(self, question: int, configuration: int) -> int:
        """Return the number of a request's route in a configuration."""
        plan, asked = self._plan, self._questions[question]
        route, reached = self._way(question, configuration)
        ends = tuple(
            (plan.destination(to, configuration), state.NONE if called is None else plan.operations[called])
            for to, called in zip(route.reached, reached, strict=True)
        )
        number = self._alike.get((route, ends))  # the same rule may lead to other operations and destinations
        if number is None:
            number = self._alike[route, ends] = plan.add_route(route)
            self._ends.append(ends)
        services = self.reached.setdefault(asked.caller, {})
        services[plan.services.index(asked.operation.split("/", 1)[0])] = None
        for to, (destination, _) in zip(route.reached, ends, strict=True):
            if destination != state.NONE:
                self.callees.setdefault(asked.caller, {})[destination] = None
                services[plan.services.index(to.service)] = None
        return number

    def _lower_routes(self) -> None:
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
            targets += [(*end, share) for end, share in zip(self._ends[number], shares, strict=True)]
            _lower_route(row, route)
            retry.lower(row, codes[number], route.retry)
        plan.arrays["routes"], plan.arrays["retry_codes"] = rows, codes
        plan.arrays["targets"] = state.records("targets", max(len(targets), 1))
        for row, values in zip(plan.arrays["targets"], targets, strict=False):
            row.destination, row.operation, row.cumulative = values

    def _lower_clusters(self) -> None:
        """Write what a gateway in each configuration takes a destination for: it knows clients' by name only."""
        plan = self._plan
        names = list(dict.fromkeys(plan.destinations))
        known = [{name: plan.destination(Destination(*name), own) for name in names} for own in range(len(plan.rules))]
        plan.arrays["known_as"] = np.array(
            [[numbers[name] for name in plan.destinations] for numbers in known], dtype=np.int32
        )


def _lower_route(row: Any, route: Route) -> None:
    fault = route.fault
    row.timeout = route.timeout or 0.0
    row.delay, row.delay_fraction = fault.delay, fault.delay_percent / 100.0
    row.abort_code, row.abort_fraction = fault.abort_code, fault.abort_percent / 100.0
    row.faults = int(row.delay_fraction > 0.0 or row.abort_fraction > 0.0)
    row.own_retries = int(route.sources.get("retry.attempts", DEFAULT) != DEFAULT)
    row.direct = route.direct_code
    row.direct_flag = state.NR if route.no_route else state.NO_FLAG
