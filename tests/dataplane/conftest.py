"""A bench: a few proxies and pods without an engine, driven request by request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.blueprint import Rules
from meshsim.dataplane.hosts import Hosts
from meshsim.dataplane.lowering import lower
from meshsim.dataplane.plane import DataPlane
from meshsim.dataplane.scope import upstream_of
from meshsim.scenario.istio.policy import Policy, Retry
from meshsim.scenario.istio.routes import Destination, Route
from meshsim.scenario.schema import Document, EastWestGateway, Gateway
from tests.dataplane.invariants import check, come_to_rest

#: A link's half round-trip time between two zones, seconds: within a zone, a region and across regions.
HALF = (0.001, 0.002, 0.040)
ZONES = ("eu/a", "eu/b", "us/a")
#: A proxy that takes no time.
QUICK = {"cpu": "0s", "latency": "0s", "handshake": "0s"}


class Bench:
    """Pods of some services and an ingress gateway; hosts are equal and in one priority unless pushed.

    ``policies`` are by service or by service/subset; ``routes`` say what differs from the default route of calls to a
    service (or are a function of client and request), ``retry`` applies to those that do not say. The ingress gateway
    has one worker thread, so that it keeps one connection where one will do. ``load`` is the entry's; ``changed`` are
    configurations besides the first.
    """

    def __init__(
        self, services: Mapping[str, Any], *, policies: Mapping[str, Policy] | None = None,
        routes: Mapping[str, Mapping[str, Any]] | Callable[..., Mapping[str, Any]] | None = None,
        retry: Retry | None = None,
        zones: Mapping[str, Sequence[str]] | None = None, sidecar: Mapping[str, Any] | None = None,
        gateway: Mapping[str, Any] | None = None, load: Mapping[str, Any] | None = None,
        timeline: Sequence[Mapping[str, Any]] = (), seed: int = 1, half: Sequence[float] = HALF,
        changed: Sequence[Rules] = (),
    ) -> None:  # fmt: skip
        self.entry = next(iter(services))
        self.document = Document.model_validate(
            {
                "name": "bench",
                "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}},
                "clusters": {"c-eu": {"region": "eu"}, "c-us": {"region": "us"}},
                "services": services,
                "load": {self.entry: {"rate": "1/s", **(load or {})}},
                "sidecar": {"enabled": False, **(sidecar or {})},
                "timeline": list(timeline),
            }
        )
        own = policies or {}

        def policy_of(service: str, subset: str) -> Policy:
            return own[f"{service}/{subset}"] if subset else own.get(service, Policy())

        def route_of(client: Any, request: Any) -> Route:
            common = {"destinations": ((Destination(request.service), 100),), "path": request.path}
            common |= {} if retry is None else {"retry": retry}
            own = routes(client, request) if callable(routes) else (routes or {}).get(request.service, {})
            return Route(**(common | dict(own)))

        self.plan = lower(self.document, policy_of, rules=[Rules(policy_of, route_of), *changed])
        links = state.records("links", (3, 3))
        for a in range(3):
            for b in range(3):
                links[a, b].distance = 0 if a == b else 1 if a + b == 1 else 2
                links[a, b].half = half[links[a, b].distance]
                links[a, b].factor = 1.0
        self.links = links
        self.plane = DataPlane(self.plan, links, clusters=2, entries=1, seed=seed, replication=0)
        self.world = self.plane.world
        settings = Gateway.model_validate({**QUICK, "concurrency": 1, **(gateway or {})})
        self.ingress = self.plane.add_proxy(
            state.INGRESS, "in", cluster=0, zone=0, settings=settings, callees=self.plan.callees[-1]
        )
        self.pods: dict[str, list[int]] = {}
        for number, name in enumerate(services):
            places = (zones or {}).get(name, ["eu/a"])
            self.pods[name] = [self._pod(number, f"{name}-{i}", zone) for i, zone in enumerate(places)]
        for destination, (name, _) in enumerate(self.plan.destinations):
            for proxy in [self.ingress, *(self.proxy_of(pod) for pods in self.pods.values() for pod in pods)]:
                if upstream_of(self.world, proxy, destination) >= 0:
                    self.push(proxy, name, destination=destination)
        self.sources: list[int] = []

    def _pod(self, service: int, name: str, zone: str) -> int:
        number = ZONES.index(zone)
        pod = self.plane.add_pod(
            service, 0, name, cluster=int(number == 2), zone=number, sidecar=self.document.sidecar
        )  # fmt: skip
        self.plane.serve(pod)
        return pod

    def service(self, name: str) -> int:
        return self.plan.services.index(name)

    def proxy_of(self, pod: int) -> int:
        return int(self.world.pods[pod].proxy)

    def push(
        self, proxy: int, service: str, *, hosts: Sequence[int] | None = None, now: float = 0.0,
        destination: int | None = None, **fields: Any,
    ) -> None:  # fmt: skip
        """Give a proxy a list of endpoints; ``fields`` are those of `Hosts` that are not alike."""
        given = Hosts.equal(self.pods[service] if hosts is None else hosts)
        for name, values in fields.items():
            object.__setattr__(given, name, np.array(values, dtype=getattr(given, name).dtype))
        self.plane.push(proxy, self.service(service) if destination is None else destination, given, now)

    def behind_gateway(
        self, client: int, service: str, *, zone: str, replicas: int = 1, callees: Sequence[int] = ()
    ) -> tuple[int, list[int]]:
        """Put a service behind an east-west gateway for one client; return its address and its replicas.

        These know the ``callees``, too, but no host of theirs.
        """
        settings = EastWestGateway.model_validate({"cpu": "0s", "latency": "0s", "concurrency": 1})
        number, place = self.service(service), ZONES.index(zone)
        proxies = [
            self.plane.add_proxy(
                state.EAST_WEST, f"{service}-g{n}", cluster=int(place == 2), zone=place, settings=settings,
                callees=[number, *callees],
            )
            for n in range(replicas)
        ]  # fmt: skip
        address = self.plane.add_gateway(1, place, proxies)
        for proxy in proxies:
            self.push(proxy, service)
        self.push(client, service, hosts=[-address - 2])
        return address, proxies

    def sends(self, *requests: str, action: int = 0) -> Any:
        """Return what a user who sends these requests (default: all of an action) does."""
        _, variant, sent = self.plan.actions[self.entry][action]
        found = [self.plan.operations[f"{self.entry}/{name}"] for name in requests]
        return (1.0, variant, [next(one for one in sent if one[0] == operation) for operation in found] or sent)

    def _source(self, rate: float, *actions: Any) -> int:
        number = self.plane.add_source(
            f"s{len(self.sources) + 1}", proxy=self.ingress, entry=0, kind=state.STEADY, rate=rate, think=None,
            actions=list(actions),
        )  # fmt: skip
        self.sources.append(number)
        return number

    def send(self, at: float, *requests: str, times: int = 1, action: int = 0) -> None:
        """Let one user send requests one after the other, ``times`` of them at the same instant."""
        for _ in range(times):
            self.plane.inject(self._source(0.0, self.sends(*requests, action=action)), at)

    def paced(self, rate: float, *actions: Any) -> int:
        """Add arrivals at equal distances; each is one of the entry's requests unless other actions are given."""
        return self._source(rate, *(actions or [self.sends(name) for name in self.first.endpoints]))

    @property
    def first(self) -> Any:
        return next(iter(self.document.services.values()))

    def scheduled(self) -> int:
        """Return how many events are on the calendar."""
        return int(self.world.clock[0].scheduled)

    def run(self, until: float) -> None:
        self.plane.advance(until)

    # --- what came of it ------------------------------------------------------------------------------------

    def calls(self, callee: str, caller: str | None = None, what: str = "count") -> Counter[tuple[int, str]]:
        """Return counts (or attempts …) of the calls that ended by (code, flag)."""
        edge = self._edge(callee, caller)
        found: Counter[tuple[int, str]] = Counter()
        rows, (edges, *_, outcomes) = self.plane.counted_calls()
        for row, outcome in zip(rows[edges == edge], outcomes[edges == edge], strict=True):
            found[self.plane.outcome(int(outcome))] += row[what].item()
        return found

    def _edge(self, callee: str, caller: str | None) -> int:
        """Return the edge from a caller, or else from the ingress; from whoever calls it, if the ingress does not."""
        edge = int(self.world.edge_of[0 if caller is None else self.service(caller) + 1, self.service(callee)])
        if edge < 0 and caller is None:
            (edge,) = (number for number, (_, to) in enumerate(self.plane.plan.edges) if to == self.service(callee))
        return edge

    def requests(self, what: str = "count") -> Counter[tuple[int, str]]:
        """Return counts (or summed latencies) of the users' requests that ended by (code, flag)."""
        found: Counter[tuple[int, str]] = Counter()
        table = self.world.requests[0]
        for outcome in range(table.shape[-1]):
            if table["count"][..., outcome].sum():
                found[self.plane.outcome(outcome)] += table[what][..., outcome].sum().item()
        return found

    def latency(self) -> float:
        """Return the mean latency of users' requests, seconds."""
        table = self.world.requests
        return float(table["latency"].sum() / table["count"].sum())

    def flows(self, callee: str, caller: str | None = None) -> list[int]:
        """Return the calls that ended by flow: local, cross-zone, cross-region."""
        edge = self._edge(callee, caller)
        rows, (edges, _, _, flows, _) = self.plane.counted_calls()
        return [int(rows["count"][(edges == edge) & (flows == flow)].sum()) for flow in range(3)]

    def served(self, service: str) -> list[int]:
        return [int(self.world.pods[pod].served) for pod in self.pods[service]]

    def upstream(self, proxy: int, service: str) -> Any:
        return self.world.upstreams[upstream_of(self.world, proxy, self.service(service))]

    @property
    def opened(self) -> int:
        """Return how many connections were begun to be opened."""
        return int(self.world.clock[0].opened)

    def open_now(self, service: str | None = None) -> int:
        """Return how many connections there are, to the pods of a service or in all."""
        own = self.world.connections[: self.world.clock[0].connections]
        return sum(one.state == state.OPEN and (service is None or one.pod in self.pods[service]) for one in own)

    def took(self, *at: float, until: float = 100.0) -> list[float]:
        """Return how long single requests sent at some times took, seconds; none of them may overtake another."""
        found = []
        for number, time in enumerate(at):
            before = self.total()
            self.send(time)
            self.run(at[number + 1] if number + 1 < len(at) else until)
            found.append(self.total() - before)
        return found

    def total(self) -> float:
        return float(self.world.requests["latency"].sum())

    def traced(self, *kinds: int) -> list[Any]:
        """Return the lines of the trace so far, of some kinds."""
        return [line for line in self.plane.take_trace() if line.kind in kinds]

    def begin(self, up: Any) -> int:
        """Return where an upstream's slots begin."""
        return int(up.first_slot)

    def slot(self, proxy: int, service: str, pod: int) -> Any:
        up = self.upstream(proxy, service)
        for slot in self.world.slots[self.begin(up) : self.begin(up) + up.capacity]:
            if slot.present and slot.host == pod:
                return slot
        raise AssertionError(f"{service}: no slot for pod {pod}")


def echo(**fields: Any) -> dict[str, Any]:
    """Return a service that answers at once, or after the script given."""
    script = fields.pop("script", [])
    return {"endpoints": {"GET": {"script": script}}, **fields}


def fail(bench: Bench, *pods: int, code: int = 503, fraction: float = 1.0) -> None:
    for pod in pods:
        bench.world.pods[pod].fail_fraction = fraction
        bench.world.pods[pod].fail_code = code


@pytest.fixture(name="Bench")
def _bench() -> Iterator[Any]:
    """Return a function that builds a bench; at the end of the test each is checked, at once and at rest."""
    built: list[Bench] = []

    def build(*args: Any, **kwargs: Any) -> Bench:
        built.append(Bench(*args, **kwargs))
        return built[-1]

    yield build
    for bench in built:
        check(bench.world)
        come_to_rest(bench)


@pytest.fixture(name="echo")
def _echo() -> Any:
    return echo


@pytest.fixture(name="fail")
def _fail() -> Any:
    return fail
