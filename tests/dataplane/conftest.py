"""A bench: a few proxies and pods without an engine, driven request by request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.calendar import ARRIVAL, schedule
from meshsim.dataplane.lowering import lower
from meshsim.dataplane.plane import DataPlane
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.schema import Document, Gateway

#: A link's half round-trip time between two zones, seconds: within a zone, a region and across regions.
HALF = (0.001, 0.002, 0.040)
ZONES = ("eu/a", "eu/b", "us/a")


class Bench:
    """Pods of some services and an ingress gateway; hosts are equal and in one priority unless pushed."""

    def __init__(
        self, services: Mapping[str, Any], *, policies: Mapping[str, Policy] | None = None,
        zones: Mapping[str, Sequence[str]] | None = None, sidecar: Mapping[str, Any] | None = None,
        timeline: Sequence[Mapping[str, Any]] = (), seed: int = 1, half: Sequence[float] = HALF,
    ) -> None:  # fmt: skip
        first = next(iter(services))
        self.document = Document.model_validate(
            {
                "name": "bench",
                "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}},
                "clusters": {"c-eu": {"region": "eu"}, "c-us": {"region": "us"}},
                "services": services,
                "load": {first: {"rate": "1/s"}},
                "sidecar": {"enabled": False, **(sidecar or {})},
                "timeline": list(timeline),
            }
        )
        self.plan = lower(self.document, {name: (policies or {}).get(name, Policy()) for name in services})
        links = state.records("links", (3, 3))
        for a in range(3):
            for b in range(3):
                links[a, b].distance = 0 if a == b else 1 if a + b == 1 else 2
                links[a, b].half = half[links[a, b].distance]
                links[a, b].factor = 1.0
        self.links = links
        self.plane = DataPlane(self.plan, links, clusters=2, entries=1, seed=seed, replication=0)
        self.world = self.plane.world
        gateway = Gateway.model_validate({"cpu": "0s", "latency": "0s"})
        self.ingress = self.plane.add_proxy(state.INGRESS, "in", cluster=0, zone=0, settings=gateway, callees=[0])
        self.pods: dict[str, list[int]] = {}
        for number, name in enumerate(services):
            places = (zones or {}).get(name, ["eu/a"])
            self.pods[name] = [self._pod(number, f"{name}-{i}", zone) for i, zone in enumerate(places)]
        for name in services:
            for proxy in [self.ingress, *(self.proxy_of(pod) for pods in self.pods.values() for pod in pods)]:
                if self.world.upstream_of[proxy, self.service(name)] >= 0:
                    self.push(proxy, name)
        self._sources = 0

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
        self, proxy: int, service: str, *, hosts: Sequence[int] | None = None, priorities: Sequence[int] | None = None,
        weights: Sequence[int] | None = None, now: float = 0.0,
    ) -> None:  # fmt: skip
        given = list(self.pods[service] if hosts is None else hosts)
        self.plane.push(
            proxy, self.service(service), np.array(given, np.int32),
            np.array([0] * len(given) if priorities is None else priorities, np.int32),
            np.array([1] * len(given) if weights is None else weights, np.int32), now,
        )  # fmt: skip

    def send(self, at: float, *requests: str, times: int = 1) -> None:
        """Let one user send requests one after the other, ``times`` of them at the same instant."""
        first = next(iter(self.pods))
        named = requests or tuple(self.document.services[first].endpoints)
        operations = [self.plan.operations[f"{first}/{name}"] for name in named]
        for _ in range(times):
            self._sources += 1
            source = self.plane.add_source(
                f"s{self._sources}", proxy=self.ingress, entry=0, kind=state.STEADY, rate=1e-12, think=None,
                actions=[(1.0, operations)],
            )  # fmt: skip
            generation = int(self.world.sources[source].generation)
            self.plane._grow("heap", self.scheduled() + 300)
            schedule(self.world, at, ARRIVAL, source, generation, 0)

    def paced(self, rate: float) -> int:
        """Add arrivals at equal distances."""
        operations = [self.plan.operations[f"{self.plan.services[0]}/{n}"] for n in self.first.endpoints]
        self._sources += 1
        return self.plane.add_source(
            f"s{self._sources}", proxy=self.ingress, entry=0, kind=state.STEADY, rate=rate, think=None,
            actions=[(1.0, [one]) for one in operations],
        )  # fmt: skip

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
        edge = int(self.world.edge_of[0 if caller is None else self.service(caller) + 1, self.service(callee)])
        found: Counter[tuple[int, str]] = Counter()
        table = self.world.calls[edge][what]
        for outcome in range(table.shape[-1]):
            value = table[..., outcome].sum()
            if self.world.calls[edge]["count"][..., outcome].sum():
                found[self.plane.outcome(outcome)] += value.item()
        return found

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
        edge = int(self.world.edge_of[0 if caller is None else self.service(caller) + 1, self.service(callee)])
        return [int(self.world.calls[edge]["count"][:, :, flow].sum()) for flow in range(3)]

    def served(self, service: str) -> list[int]:
        return [int(self.world.pods[pod].served) for pod in self.pods[service]]

    def upstream(self, proxy: int, service: str) -> Any:
        return self.world.upstreams[self.world.upstream_of[proxy, self.service(service)]]

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
def _bench() -> type[Bench]:
    return Bench


@pytest.fixture(name="echo")
def _echo() -> Any:
    return echo


@pytest.fixture(name="fail")
def _fail() -> Any:
    return fail
