"""What stands in the compiled room: proxies, pods and gateways, and the arrays that make room for more of them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane import failures, later, state
from meshsim.dataplane.arrays import PRIORITIES, at_start
from meshsim.dataplane.blueprint import Blueprint
from meshsim.dataplane.recorder import BESIDE, FLAGS
from meshsim.dataplane.state import NONE
from meshsim.dataplane.world import World
from meshsim.scenario.schema import Gateway, Sidecar


class Building:
    """State of the compiled room: what stands in it, and room for more.

    The records of a pod's sidecar are used again when it is gone.

    Parameters
    ----------
    plan
        Lowered constants of the scenario.
    links
        Link records between all zones, shape ``(zones, zones)``.
    clusters, entries
        How many clusters and load entries there are.
    seed, replication
        Key of every draw.
    """

    def __init__(
        self, plan: Blueprint, links: NDArray[Any], *, clusters: int, entries: int, seed: int, replication: int
    ) -> None:
        self.plan = plan
        self._used: dict[str, int] = {}
        #: Sidecars of pods that are gone, by service and worker threads, which may differ between its workloads.
        self._idle: dict[tuple[int, int], list[int]] = {}
        #: Scopes by the destinations that they have.
        self._scopes: dict[tuple[int, ...], int] = {}
        #: The pod that each sidecar belongs to.
        self._pod_of: dict[int, int] = {}
        #: Rows of `World.calls` in the order of their keys.
        self._order_of_calls = np.zeros(0, dtype=np.int64)
        self.pod_names: list[str] = []
        self.proxy_names: list[str] = []
        self.outcomes = BESIDE * (FLAGS + len(plan.codes)) * (2 if plan.delays else 1)
        self._arrays = at_start(
            plan, links, clusters=clusters, entries=entries, outcomes=self.outcomes, seed=seed, replication=replication
        )
        self.world: World = None  # type: ignore[assignment]
        self._freeze_distributions()
        self.world = World(self._arrays)
        clock = self.world.clock[0]
        clock.free = clock.free_connection = NONE
        clock.clusters = clusters
        later.begin(clock)
        steps = plan.arrays["steps"]
        unawaited = steps[(steps.kind == state.CALL_OUT) & (steps.wait == 0)]
        clock.widest = int(steps.branches.max(initial=0) + np.ceil(unawaited["count"]).sum())

    # --- arrays that grow -----------------------------------------------------------------------------------

    def _freeze_distributions(self) -> None:
        rows = state.records("distributions", max(len(self.plan.distribution_rows), 1))
        for row, values in zip(rows, self.plan.distribution_rows, strict=False):
            row.kind, row.a, row.b, row.first, row.count = values
        self._set("distributions", rows)
        self._set("samples", np.array(self.plan.samples or [0.0]))

    def _set(self, name: str, array: NDArray[Any]) -> None:
        self._arrays[name] = array
        if self.world is not None:
            self.world.set(name, array)

    def _grow(self, name: str, needed: int, axis: int = 0) -> None:
        """Make room for ``needed`` rows of an array, or columns (``axis`` 1), by doubling."""
        old = self._arrays[name]
        if needed <= old.shape[axis]:
            return
        shape = list(old.shape)
        shape[axis] = max(needed, 2 * shape[axis])
        new = state.zeros(tuple(shape), old.dtype)
        new[tuple(map(slice, old.shape))] = old
        self._set(name, new.view(np.recarray) if isinstance(old, np.recarray) else new)

    def _take(self, name: str, count: int = 1) -> int:
        """Return the first of ``count`` fresh rows of an array."""
        first = self._used.get(name, 0)
        self._grow(name, first + count)
        self._used[name] = first + count
        return first

    # --- building -------------------------------------------------------------------------------------------

    def add_proxy(
        self, kind: int, name: str, *, cluster: int, zone: int, settings: Gateway | Sidecar, callees: Sequence[int]
    ) -> int:
        """Add a sidecar or a gateway replica with an empty view of each callee; return its number.

        A sidecar that is not enabled has no workers: requests pass it at once and for nothing.
        """
        index = self._take("proxies")
        scope = self._scope_of(tuple(callees))
        workers = _workers(settings)
        station = self._take("free_at", max(workers - state.AT_HAND, 0))
        latency = self.plan.distribution(settings.latency)
        if len(self.plan.distribution_rows) != len(self._arrays["distributions"]):
            self._freeze_distributions()
        self.proxy_names.append(name)
        proxy = self.world.proxies[index]
        proxy.kind, proxy.service = kind, NONE
        proxy.workers, proxy.station, proxy.cpu, proxy.latency = workers, station, settings.cpu, latency
        proxy.threads, proxy.handshake, proxy.scope = max(workers, 1), settings.handshake, scope
        proxy.first_upstream, proxy.upstreams = self._used.get("upstreams", 0), len(callees)
        self._move_in(index, name, cluster, zone)
        for destination in callees:
            self._add_upstream(index, destination)
        return index

    def _scope_of(self, callees: tuple[int, ...]) -> int:
        """Return the number of the scope that has these destinations, in this order."""
        if callees not in self._scopes:
            self._scopes[callees] = scope = self._take("scopes")
            self.world.scopes[scope] = NONE
            self.world.scopes[scope, list(callees)] = np.arange(len(callees))
        return self._scopes[callees]

    def _add_upstream(self, proxy: int, destination: int) -> None:
        index = self._take("upstreams")
        self._grow("priorities", index + 1, axis=1)
        client = self._row("proxies", proxy)
        threads, seed = int(client["threads"]), int(client["seed"])
        part = zlib.crc32(f"{seed}/{destination}".encode()) / 2**32
        first_balancer = self._take("balancers", PRIORITIES * threads)
        failures.add_upstream(self.world, index, proxy, destination, part, first_balancer)

    def _room_for(self, upstream: int, capacity: int) -> None:
        """Give an upstream, which may have none, room for so many hosts."""
        up = self._row("upstreams", upstream)
        threads, destination = int(up["threads"]), int(up["policy"])
        base = self._take("slots", capacity)
        first_pool = self._take("pools", (capacity - int(up["capacity"])) * threads)
        if self._has_localities(destination):
            up["first_locality"] = self._take("localities", capacity)
            up["first_turn"] = self._take("balancers", capacity * threads)
        up["first_queue"] = self._take("queue", capacity * threads)
        for name in ("members", "available"):
            self._grow(name, base + capacity)
        failures.move_upstream(self.world, upstream, base, capacity, first_pool)

    def _has_localities(self, destination: int) -> bool:
        policy = self._row("policies", destination)
        return bool(policy["locality_weighted"] == 1 or policy["zone_aware"] == 1)

    def _row(self, name: str, index: int) -> Any:
        """Return a record to read and write by the names of its fields, which is quicker than as attributes."""
        return self._arrays[name].view(np.ndarray)[index]

    def add_pod(
        self, service: int, workload: int, name: str, *,
        cluster: int, zone: int, sidecar: Sidecar, strict: bool = False, inbound_limit: int = 0,
    ) -> int:  # fmt: skip
        """Add a pod that does not listen yet, with its sidecar; return its number.

        A ``strict`` sidecar refuses plain text; ``inbound_limit`` is how many requests it lets in at a time (0: any).

        A pod takes over the records of a sidecar with as many worker threads, of a pod of the same service that is
        gone, cleared, so that churn does not make the world grow by more than the pods themselves.
        """
        index = self._take("pods")
        idle = self._idle.get((service, _workers(sidecar)))
        if idle:
            proxy = self._renew(idle.pop(), name, cluster, zone)
        else:
            callees = self.plan.callees[service]
            proxy = self.add_proxy(state.SIDECAR, name, cluster=cluster, zone=zone, settings=sidecar, callees=callees)
        self.pod_names.append(name)
        self._pod_of[proxy] = index
        self.world.proxies[proxy].service = service
        described = self.world.services[service]
        pod = self.world.pods[index]
        pod.service, pod.workload, pod.cluster, pod.zone, pod.proxy = service, workload, cluster, zone, proxy
        pod.workers, pod.limit, pod.hold = described.workers, described.queue, described.hold_worker
        pod.slow, pod.seed = 1.0, zlib.crc32(name.encode())
        pod.strict, pod.inbound_limit = int(strict and sidecar.enabled), inbound_limit
        pod.head = pod.tail = NONE
        return index

    def _renew(self, proxy: int, name: str, cluster: int, zone: int) -> int:
        row = self.world.proxies[proxy]
        self.proxy_names[proxy] = name
        self._move_in(proxy, name, cluster, zone)
        row.free = 0.0
        self.world.free_at[row.station : row.station + max(row.workers - state.AT_HAND, 0)] = 0.0
        failures.forget_hosts(self.world, proxy)
        return proxy

    def _move_in(self, proxy: int, name: str, cluster: int, zone: int) -> None:
        """Let a record stand for a new proxy: it is up, has the first configuration, and anybody takes it as it is."""
        row = self.world.proxies[proxy]
        row.cluster, row.zone, row.alive, row.seed = cluster, zone, 1, zlib.crc32(name.encode())
        row.configuration = 0
        row.expires, row.root, row.trusts = math.inf, NONE, NONE

    def add_gateway(self, cluster: int, zone: int, replicas: Sequence[int]) -> int:
        """Add an address of an east-west gateway with the replicas behind it; return its number."""
        index = self._take("gateways")
        row = self.world.gateways[index]
        row.cluster, row.zone, row.first = cluster, zone, self._take("gateway_replicas", len(replicas))
        self.lead_gateway(index, replicas)
        return index

    def lead_gateway(self, gateway: int, replicas: Sequence[int]) -> None:
        """Let new connections to a gateway address go to these replicas, at most as many as it was added with."""
        row = self.world.gateways[gateway]
        row.replicas = len(replicas)
        self.world.gateway_replicas[row.first : row.first + len(replicas)] = replicas


def _workers(settings: Gateway | Sidecar) -> int:
    """Return the worker threads of a proxy; a sidecar that is not enabled has none."""
    return 0 if isinstance(settings, Sidecar) and not settings.enabled else settings.concurrency
