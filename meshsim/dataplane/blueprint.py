"""What lowering makes of a scenario: constants that all its runs share, with the names behind the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from meshsim.dataplane import distributions, state
from meshsim.scenario.istio.clients import Client, Request
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.routes import Destination, Route

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
    hosts: Mapping[str, str]
    routes: list[Route] = field(default_factory=list)
    actions: dict[str, Actions] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    callees: dict[int, list[int]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    distribution_rows: list[tuple[int, float, float, int, int]] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.numbers = {key: number for number, key in enumerate(self.destinations)}

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
        return f"outbound|{self.ports[service]}|{subset}|{self.hosts[service]}"

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
        if key not in self.numbers:
            try:
                policy_of(*key)
            except KeyError:
                return state.NONE
            self.numbers[key] = len(self.destinations)
            self.destinations.append(key)
        return self.numbers[key]

    def add_route(self, wanted: Route) -> int:
        """Add a route and return its number."""
        self.routes.append(wanted)
        return len(self.routes) - 1
