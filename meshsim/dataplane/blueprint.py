"""What lowering makes of a scenario: constants that all its runs share, with the names behind the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
#: Gives the labels that the endpoints of a destination need to have; raises KeyError where there is no such subset.
LabelsOf = Callable[[str, str], Mapping[str, str]]
#: What users do: weight, variant, and the operation of each request with its row of `World.resolved`.
Actions = list[tuple[float, int, list[tuple[int, int]]]]


def no_labels(service: str, subset: str) -> Mapping[str, str]:  # noqa: ARG001 (the signature of `LabelsOf`)
    """Return the labels of destinations that are told apart by their names only."""
    return {}


def default_route(client: Client, request: Request) -> Route:  # noqa: ARG001 (the signature of `RouteOf`)
    """Return the route of a request that no VirtualService speaks of."""
    return Route(((Destination(request.service), 100),), path=request.path)


def never(client: Client, request: Request) -> bool:  # noqa: ARG001 (the signature of `Rules.as_at_first`)
    """Return that nothing is certain."""
    return False


@dataclass(frozen=True, slots=True)
class Rules:
    """What Istio's resources say in one configuration.

    Parameters
    ----------
    policy_of
        Gives the effective policy of a destination.
    route_of
        Gives what a client proxy does with a request.
    labels_of
        Gives the labels of a destination's endpoints.
    as_at_first
        Tells whether a request certainly has the route that it has in configuration 0, which is then not asked for.
    """

    policy_of: PolicyOf
    route_of: RouteOf = default_route
    labels_of: LabelsOf = no_labels
    as_at_first: Callable[[Client, Request], bool] = never


@dataclass
class Blueprint:
    """Lowered constants of a scenario, with the names behind the numbers.

    ``destinations`` are (service, subset), each as often as configurations make something else of it, with its policy
    in ``policies`` and its endpoints' labels in ``labels``; the first ones are the services themselves, in their order.
    ``known_as`` gives, for each configuration, the number of a (service, subset). ``inbound_limits`` are the requests
    that a pod's sidecar lets in at a time (0: any number), shape ``(configurations, services, workloads)``; None where
    they are the same in every configuration.
    """

    services: list[str]
    workloads: dict[str, list[str]]
    operations: dict[str, int]
    ports: Mapping[str, int]
    hosts: Mapping[str, str]
    rules: Sequence[Rules]
    destinations: list[tuple[str, str]] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    labels: list[Mapping[str, str]] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    actions: dict[str, Actions] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    callees: dict[int, list[int]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    distribution_rows: list[tuple[int, float, float, int, int]] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)
    inbound_limits: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.known_as: list[dict[tuple[str, str], int]] = [{} for _ in self.rules]
        for service in self.services:
            self.destination(Destination(service))

    @property
    def configurations(self) -> int:
        """Return how many configurations a proxy can have."""
        return len(self.rules)

    @property
    def numbers(self) -> Mapping[tuple[str, str], int]:
        """Return the numbers of the destinations, (service, subset), of configuration 0."""
        return self.known_as[0]

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

    def destination(self, wanted: Destination, configuration: int = 0) -> int:
        """Return the number of a destination, adding it if it is new; none for a host or subset that nobody has.

        One that another configuration has, too, with the same policy and labels is the same: Envoy keeps a cluster
        that a push does not change.
        """
        key, known = (wanted.service, wanted.subset), self.known_as[configuration]
        if wanted.service not in self.services:
            return state.NONE
        if key not in known:
            rules = self.rules[configuration]
            try:
                policy, labels = rules.policy_of(*key), rules.labels_of(*key)
            except KeyError:
                return state.NONE
            known[key] = self._same(key, policy, labels)
        return known[key]

    def _same(self, key: tuple[str, str], policy: Policy, labels: Mapping[str, str]) -> int:
        for number in dict.fromkeys(known[key] for known in self.known_as if key in known):
            if self.policies[number] == policy and self.labels[number] == labels:
                return number
        self.destinations.append(key)
        self.policies.append(policy)
        self.labels.append(labels)
        return len(self.destinations) - 1

    def add_route(self, wanted: Route) -> int:
        """Add a route and return its number."""
        self.routes.append(wanted)
        return len(self.routes) - 1
