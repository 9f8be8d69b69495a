"""The simulator arm: the data plane alone, built by hand for a point, with every request at its exact time and work.

One client proxy for each client pod, endpoints without sidecar cost on links that take next to no time, and the
gateway where there is one. What changes while the load runs is done between two advances.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshsim.dataplane import distributions, state
from meshsim.dataplane.blueprint import Blueprint
from meshsim.dataplane.hosts import Hosts
from meshsim.dataplane.lowering import lower
from meshsim.dataplane.plane import DataPlane
from meshsim.dataplane.scope import upstream_of
from meshsim.scenario import load as load_scenario
from meshsim.scenario.istio.clients import Client
from meshsim.scenario.istio.clients import Request as Asked
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.routes import Route
from meshsim.scenario.schema import Document, Gateway, Sidecar
from tests.conformance import simulator_policy
from tests.conformance.cases import Endpoint, Point, within
from tests.conformance.records import Recording
from tests.conformance.simulator_trace import read
from tests.conformance.workload import headers, workload

#: Half a round trip between any two places, seconds: a loopback's, so that handshakes take time, but hardly any.
HALF = 0.0001
#: Requests that a pod without servers of its own computes at once.
ANY = 1_000_000
#: Seconds a client waits for an answer unless the load says otherwise.
PATIENCE = 20.0
#: How long before the load the proxies are there, seconds.
EARLIER = 1.0
#: Rate of a source whose requests are all injected, per second.
NEVER = 1e-9
#: Second word of the seed of the timers' phase, and how long timers take at most from tick to tick, seconds.
PHASE, LONGEST_INTERVAL = 2, 10.0
UP, GATEWAY = "upstream", "gateway"
FREE = {"cpu": "0s", "latency": "0s", "handshake": "0s"}


def run(point: Point, seed: int, repeat: int = 0) -> Recording:
    """Run a point in the simulator: ``seed`` names the workload, ``repeat`` one of many draws of all else."""
    return Run(point, seed, repeat).record()


@dataclass(frozen=True, slots=True)
class _Change:
    time: float
    apply: Callable[[float], None]


class Run:
    """One run: the world, what changes in it, and the load."""

    def __init__(self, point: Point, seed: int, repeat: int) -> None:
        self.point, self.seed = point, seed
        #: Begins the names of all that draws: whatever has another name draws otherwise.
        self.name = f"{point.name}/{seed}/{repeat}"
        self.terminated = point.gateway.get("mode") == "http"
        phase = np.random.default_rng([seed, PHASE, _word(self.name)]).uniform(0.0, LONGEST_INTERVAL)
        self.start = EARLIER + phase + float(point.load.get("pre_delay", 0.0))
        self.drawn = workload(point.load, seed)
        self.plan = self._plan()
        links = state.records("links", (1, 1))
        links.half, links.factor = HALF, 1.0
        self.plane = DataPlane(self.plan, links, clusters=1, entries=1, seed=seed, replication=_word(self.name))
        self.clients: list[tuple[int, int]] = []  # proxy and source of each client pod
        self.gateway_proxy = state.NONE
        self._build()

    # --- the world ----------------------------------------------------------------------------------------------------

    def _plan(self) -> Blueprint:
        point = self.point
        policies = {UP: simulator_policy.client_policy(point), GATEWAY: simulator_policy.client_policy(point)}
        if self.terminated:
            policies[UP] = simulator_policy.gateway_policy(point)
        first = GATEWAY if self.terminated else UP

        def policy_of(service: str, _: str) -> Policy:
            return policies[service]

        def route_of(client: Client, asked: Asked) -> Route:
            if client.gateway == "mesh":
                return simulator_policy.plain_route(asked.service)
            return simulator_policy.client_route(point, asked.service)

        plan = lower(_document(first), policy_of, route_of)
        self._add_gateway_policy(plan)
        row = plan.arrays["policies"][plan.services.index(first)]
        simulator_policy.refine(row, point)
        self._replay_work(plan)
        self._number_keys(plan)
        streams = [each.h2_max_streams for each in point.endpoints if each.h2_max_streams]
        if streams:
            # Its servers have no sidecars, so the client keeps the limit.
            rows = plan.arrays["policies"]
            reaching = rows.service == plan.services.index(UP)
            rows.max_streams[reaching] = np.minimum(rows.max_streams[reaching], min(streams))
        codes = {failure.status for each in point.endpoints for failure in each.fail}
        codes |= {code for each in point.endpoints for code in each.status_by_attempt}
        plan.codes = sorted({*plan.codes, *codes})
        return plan

    def _add_gateway_policy(self, plan: Blueprint) -> None:
        """Append the policy of a passthrough gateway as a destination that no route leads to."""
        from meshsim.dataplane.lowering import lower_policy

        rows = state.records("policies", len(plan.destinations) + 1)
        rows[:-1] = plan.arrays["policies"]
        lower_policy(rows[-1], simulator_policy.gateway_policy(self.point))
        rows[-1].service = plan.services.index(UP)
        rows[-1].http1 = 1
        if self.terminated:
            rows[plan.services.index(UP)].http1 = int(not self.point.gateway.get("http2"))
        plan.arrays["policies"] = rows
        plan.destinations.append((UP, "behind the gateway"))

    def _replay_work(self, plan: Blueprint) -> None:
        """Let the upstream's script take as long as the workload says; endpoints multiply it by their service time."""
        plan.distribution_rows.append((distributions.REPLAYED, 0.0, 0.0, len(plan.samples), len(self.drawn.work)))
        plan.samples.extend(self.drawn.work.tolist())
        operation = plan.operations[f"{UP}/x"]
        step = plan.arrays["scripts"][operation, 0]
        plan.arrays["steps"][step].distribution = len(plan.distribution_rows) - 1

    def _number_keys(self, plan: Blueprint) -> None:
        """Give every key of the load a variant of its own, with a fixed hash that differs from seed to seed."""
        self.keys = sorted({self.key(number) for number in range(len(self.drawn.times))})
        rows = state.records("hash_keys", len(self.keys))
        for row, key in zip(rows, self.keys, strict=True):
            row.count, row.first, row.fixed = 0, state.NONE, _word(f"{self.name}/{key}") << 32 | _word(key)
        plan.arrays["hash_keys"] = rows
        plan.arrays["variant_keys"] = np.arange(len(self.keys), dtype=np.int32)[:, None]
        steps, resolved = plan.arrays["steps"], plan.arrays["resolved"]
        steps.route[steps.kind == state.CALL_OUT] = resolved.shape[1]  # the one call there is, for every variant
        calls = np.repeat(resolved[:, :1], len(self.keys), axis=1)
        plan.arrays["resolved"] = np.concatenate([resolved, calls], axis=1)

    def key(self, number: int) -> str:
        """Return the key of a request that consistent hashing looks at."""
        return headers(self.point.load, number).get("x-key", "")

    def _build(self) -> None:
        """Add pods, gateway and clients, and give every proxy its endpoints."""
        plane, plan = self.plane, self.plan
        off = Sidecar(enabled=False)
        up = plan.services.index(UP)
        self.pods = [plane.add_pod(up, 0, f"{self.name}/{each.name}", cluster=0, zone=0, sidecar=off)
                     for each in self.point.endpoints]  # fmt: skip
        self._describe_pods()
        self.address = state.NONE
        if self.point.gateway and not self.terminated:
            self._passthrough()
        if self.terminated:
            self._terminating(plan.services.index(GATEWAY))
        for pod in range(int(self.point.gateway.get("client_pods", 1))):
            self.clients.append(self._client(pod))
        entry = plan.services.index(GATEWAY if self.terminated else UP)
        self.upstream = int(upstream_of(plane.world, self.clients[0][0], entry))
        self._push(0.0)
        plane.trace(1)

    def _describe_pods(self) -> None:
        codes: list[int] = []
        for pod, each in zip(self.pods, self.point.endpoints, strict=True):
            row = self.plane.world.pods[pod]
            row.slow = each.service
            row.workers = each.servers or ANY
            row.fails_late = 1
            row.reset_fraction = each.reset
            row.first_code, row.codes = len(codes), len(each.status_by_attempt)
            codes += each.status_by_attempt
            if each.listen == "accept":
                self.plane.serve(pod)
            elif each.listen == "blackhole":
                row.state = state.SILENT
            self._at(pod, each, 0.0)
        self.plane._set("attempt_codes", np.array(codes or [0], dtype=np.int32))

    def _passthrough(self) -> None:
        settings = Gateway(concurrency=1, **FREE)
        up = self.plan.services.index(UP)
        name = f"{self.name}/gateway"
        proxy = self.plane.add_proxy(state.EAST_WEST, name, cluster=0, zone=0, settings=settings, callees=[up])
        self.address = self.plane.add_gateway(0, 0, [proxy])
        self.gateway_proxy = proxy
        upstream = upstream_of(self.plane.world, proxy, up)
        self.plane.world.upstreams[upstream].policy = len(self.plan.destinations) - 1

    def _terminating(self, service: int) -> None:
        settings = Sidecar(concurrency=1, **FREE)
        pod = self.plane.add_pod(service, 0, f"{self.name}/gateway", cluster=0, zone=0, sidecar=settings)
        self.plane.world.pods[pod].workers = ANY
        self.plane.serve(pod)
        self.gateway_pod = pod
        self.gateway_proxy = int(self.plane.world.pods[pod].proxy)

    def _client(self, number: int) -> tuple[int, int]:
        settings = Gateway(concurrency=self.point.concurrency, **FREE)
        name = f"{self.name}/client{number}"
        entry = self.plan.services.index(GATEWAY if self.terminated else UP)
        proxy = self.plane.add_proxy(state.INGRESS, name, cluster=0, zone=0, settings=settings, callees=[entry])
        source = self.plane.add_source(
            name, proxy=proxy, entry=0, kind=state.POISSON, rate=NEVER, think=None, actions=self.plan.actions["entry"]
        )
        return proxy, source

    # --- endpoints as proxies see them --------------------------------------------------------------------------------

    def _push(self, time: float) -> None:
        """Give every proxy its endpoints as they are at a time of the load."""
        up, now = self.plan.services.index(UP), self.start + time if time > 0 else 0.0
        behind = [each for each in self.point.endpoints if self._through_gateway(each)]
        direct = [each for each in self.point.endpoints if not self._through_gateway(each)]
        if self.gateway_proxy != state.NONE:
            self.plane.push(self.gateway_proxy, up, self._hosts(behind, time), now)
        for proxy, _ in self.clients:
            if self.terminated:
                entry = self.plan.services.index(GATEWAY)
                self.plane.push(proxy, entry, Hosts.equal([self.gateway_pod]), now)
            else:
                self.plane.push(proxy, up, self._hosts(direct, time, gateway=self.address != state.NONE), now)

    def _through_gateway(self, endpoint: Endpoint) -> bool:
        behind = any(each.behind_gw for each in self.point.endpoints)
        return bool(self.point.gateway) and (endpoint.behind_gw or not behind)

    def _hosts(self, endpoints: list[Endpoint], time: float, *, gateway: bool = False) -> Hosts:
        present = [each for each in endpoints if _present(each, time)]
        places: dict[tuple[int, Any], int] = {}
        rows = []
        for each in present:
            local = (each.priority, each.locality and (each.locality.region, each.locality.zone))
            within_level = sum(level == each.priority for level, _ in places)
            number = places.setdefault(local, within_level)
            weight = each.locality.weight if each.locality else 0
            ill = int(_health(each, time) != "HEALTHY")
            rows.append((self.pods[each.index], each.priority, each.weight or 1, ill, number, weight))
        if gateway:
            behind = self.point.gateway.get("as_endpoint") or {}
            rows.append((-self.address - 2, behind.get("priority", 0), behind.get("weight", 1), 0, 0, 0))
        columns = list(zip(*rows, strict=True)) or [()] * 6
        kinds = (np.int32, np.int32, np.float64, np.int32, np.int32, np.float64)
        arrays = [np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)]
        return Hosts(*arrays, np.zeros(len(rows), dtype=np.int32), np.full(len(rows), -1.0))

    # --- what changes -------------------------------------------------------------------------------------------------

    def _changes(self) -> list[_Change]:
        changes = []
        for pod, each in zip(self.pods, self.point.endpoints, strict=True):
            changes += [_Change(moment, functools.partial(self._at, pod, each)) for moment in _edges(each)]
            for begin, end in each.refuse_windows:
                changes += [_Change(begin, functools.partial(self._refuse, pod))]
                changes += [_Change(end, functools.partial(self._accept, pod))]
            moments = {each.join_t, each.leave_t, *(moment for moment, _ in each.health_at)} - {None}
            changes += [_Change(moment, self._push) for moment in moments if moment is not None]
        return sorted(changes, key=lambda change: change.time)

    def _at(self, pod: int, endpoint: Endpoint, time: float) -> None:
        """Set how an endpoint behaves from a time of the load on."""
        row = self.plane.world.pods[pod]
        row.hang_fraction = 1.0 if within(endpoint.hang_windows, time) else endpoint.hang
        row.check_fails = int(within(endpoint.hc_fail_windows, time))
        active = [each for each in endpoint.fail if not each.windows or within(each.windows, time)]
        row.fail_fraction = active[0].prob if active else 0.0
        row.fail_code = active[0].status if active else 0

    def _refuse(self, pod: int, time: float) -> None:
        self.plane.kill(pod, self.start + time, silent=False, for_good=False)

    def _accept(self, pod: int, time: float) -> None:
        del time
        self.plane.serve(pod)

    # --- the load -----------------------------------------------------------------------------------------------------

    def record(self) -> Recording:
        """Run it: changes come before the requests of the same moment."""
        changes = self._changes()
        for number, due in enumerate(self.drawn.times.tolist()):
            while changes and changes[0].time <= due:
                self._change(changes.pop(0))
            self.plane.advance(self.start + due)
            self._inject(number, self.start + due)
        for change in changes:
            self._change(change)
        patience = float(self.point.load.get("timeout", PATIENCE))
        self.plane.advance(self.start + float(self.drawn.times[-1]) + patience)
        return read(self, patience)

    def _change(self, change: _Change) -> None:
        self.plane.advance(self.start + change.time)
        change.apply(change.time)

    def _inject(self, number: int, now: float) -> None:
        """Let the ``number``-th request begin now: its number chooses its work, its action's variant its key."""
        pod = int(headers(self.point.load, number).get("x-pod", 0)) % len(self.clients)
        source = self.plane.world.sources[self.clients[pod][1]]
        source.made = number
        self.plane.world.actions[source.first_action].variant = self.keys.index(self.key(number))
        self.plane.inject(self.clients[pod][1], now)
        self.plane.advance(np.nextafter(now, np.inf))


def _edges(endpoint: Endpoint) -> set[float]:
    """Return the times at which an endpoint begins or ceases to fail."""
    failing = [window for failure in endpoint.fail for window in failure.windows]
    windows = [*endpoint.hang_windows, *endpoint.hc_fail_windows, *failing]
    return {edge for window in windows for edge in window}


def _present(endpoint: Endpoint, time: float) -> bool:
    joined = not endpoint.absent or (endpoint.join_t is not None and time >= endpoint.join_t)
    return joined and (endpoint.leave_t is None or time < endpoint.leave_t)


def _health(endpoint: Endpoint, time: float) -> str:
    health = endpoint.health
    for since, then in endpoint.health_at:
        health = then if time >= since else health
    return health


def _word(text: str) -> int:
    return zlib.crc32(text.encode())


@functools.cache
def _document(first: str) -> Document:
    """Return the smallest scenario with the services of a point; ``first`` is the one that clients call."""
    services: dict[str, Any] = {UP: {"workers": ANY // 10, "endpoints": {"x": {"script": [{"compute": "1s"}]}}}}
    if first == GATEWAY:
        services[GATEWAY] = {"workers": ANY // 10, "endpoints": {"x": {"script": [{"call": f"{UP}/x"}]}}}
    return load_scenario(
        {
            "name": "conformance",
            "regions": {"r": {"zones": ["z"]}},
            "clusters": {"c": {"region": "r"}},
            "services": services,
            "load": {"entry": {"service": first, "rate": "1/s"}},
            "deployments": ["multi-primary"],
        }
    ).document
