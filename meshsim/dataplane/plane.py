"""The data plane as the engine sees it: advance, change the world between two advances, read the counters."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane import consistent_hashing, failures, flags, later, loop, own_balancer, recorder, state
from meshsim.dataplane.arrays import PRIORITIES
from meshsim.dataplane.blueprint import Actions
from meshsim.dataplane.building import Building
from meshsim.dataplane.calendar import ARRIVAL, USER, schedule
from meshsim.dataplane.distributions import sample
from meshsim.dataplane.draws import ARRIVAL as ARRIVALS
from meshsim.dataplane.draws import uniforms
from meshsim.dataplane.hosts import Hosts
from meshsim.dataplane.load_balancing import RING_HASH
from meshsim.dataplane.loop import CALENDAR_FULL, CALLS_FULL, CONNECTIONS_FULL, FRAMES_FULL, TRACE_FULL
from meshsim.dataplane.scope import upstream_of
from meshsim.dataplane.state import NONE
from meshsim.dataplane.trace import ROOM, WHOLE
from meshsim.errors import SimulationError
from meshsim.results.tables import FLOWS

#: Hosts that an upstream has room for at least.
LEAST = 4
#: Events handled in one compiled call; between two of them Ctrl-C is heard.
EVENTS_A_CALL = 2_000_000
#: Calls, attempts and branches under way, beyond which a run is given up.
MOST_FRAMES = 16_000_000
#: The array that is nearly full, by why `loop.advance` stopped.
_FULL = {FRAMES_FULL: "frames", CALENDAR_FULL: "heap", CONNECTIONS_FULL: "connections", TRACE_FULL: "trace"}


class DataPlane(Building):
    """State of the compiled room with the methods that change it while it runs; its parameters are `Building`'s."""

    # --- users' requests ------------------------------------------------------------------------------------

    def add_source(
        self, name: str, *, proxy: int, entry: int, kind: int, rate: float, think: Any, actions: Actions
    ) -> int:
        """Add a stream of users' actions that enters through a proxy."""
        index = self._take("sources")
        first = self._take("actions", len(actions))
        total, cumulated = sum(weight for weight, _, _ in actions), 0.0
        think_row = NONE if think is None else self.plan.distribution(think)
        self._freeze_distributions()
        for number, (weight, variant, requests) in enumerate(actions):
            at = self._take("action_requests", len(requests))
            self.world.action_requests[at : at + len(requests)] = requests  # (operation, row of `World.resolved`)
            cumulated += weight
            row = self._arrays["actions"][first + number]
            row.cumulative, row.first, row.count, row.variant = cumulated / total, at, len(requests), variant
        source = self.world.sources[index]
        source.proxy, source.entry, source.kind, source.first_action = proxy, entry, kind, first
        source.actions, source.think, source.rate = len(actions), think_row, 0.0
        source.number = _identity(name, 32)
        u, _, _, _ = uniforms(self.world.keys, ARRIVALS, source.number, np.uint64(1), np.uint64(0), np.uint64(0))
        source.left = -math.log(u) if kind == state.POISSON else u
        if kind != state.CLOSED:
            self.set_rate(index, rate, 0.0)
        return index

    def add_users(self, source: int, name: str, count: int) -> None:
        """Add users to a closed source; each begins by thinking."""
        think = int(self.world.sources[source].think)
        for number in range(count):
            index = self._take("users")
            self._grow("heap", int(self.world.clock[0].scheduled) + loop.MARGIN * 2 + count)
            user = self.world.users[index]
            user.source = source
            user.number = _identity(f"{name}#{number}", 20)
            u, _, _, _ = uniforms(self.world.keys, ARRIVALS, user.number, np.uint64(2), np.uint64(0), np.uint64(0))
            first = sample(self.world, think, u, user.number, np.uint64(2), 3) if think != NONE else 0.0
            schedule(self.world, first, USER, index, 0, 0)

    def move_users(self, leaving: Sequence[int], staying: Sequence[int]) -> None:
        """Let the users of closed sources that are ``leaving`` go to those ``staying``, in turn."""
        users = self.world.users[: self._used.get("users", 0)]
        moved = np.flatnonzero(np.isin(users.source, leaving))
        users.source[moved] = np.asarray(staying)[np.arange(len(moved)) % len(staying)]

    def set_rate(self, source: int, rate: float, now: float) -> None:
        """Change a source's rate; what has passed of the gap counts, so that every rate sees the same draws.

        Exact for a Poisson process with a rate that is constant between changes (time change theorem).
        """
        row = self.world.sources[source]
        if rate == row.rate:
            return
        if row.rate > 0.0:
            row.left = (row.due - now) * row.rate
        row.rate = rate
        row.generation += 1
        if rate > 0.0:
            self._grow("heap", int(self.world.clock[0].scheduled) + 2 * loop.MARGIN)
            row.due = now + row.left / rate
            schedule(self.world, row.due, ARRIVAL, source, row.generation, 0)

    def inject(self, source: int, at: float) -> None:
        """Let one action of a source begin at a time of the caller's choice, besides those of its rate."""
        self._grow("heap", int(self.world.clock[0].scheduled) + 2 * loop.MARGIN)
        schedule(self.world, at, ARRIVAL, source, int(self.world.sources[source].generation), 0)

    # --- while it runs --------------------------------------------------------------------------------------

    @property
    def next_event(self) -> float:
        """Return when the next request event happens, seconds; infinity if there is none."""
        clock = self.world.clock[0]
        return float(self.world.heap[clock.head].time) if clock.scheduled else math.inf

    def advance(self, until: float, budget: int = 1 << 62) -> bool:
        """Handle every event before ``until`` seconds, at most ``budget``; return whether none is left before it."""
        clock = self._arrays["clock"].view(np.ndarray)  # far faster to read than a record with attributes
        while True:
            handled = int(clock["handled"][0])
            reason = loop.advance(self.world, until, min(budget, EVENTS_A_CALL))
            budget -= int(clock["handled"][0]) - handled
            own_balancer.check(clock[0])
            if reason in _FULL:
                if reason == FRAMES_FULL and len(self._arrays["frames"]) > MOST_FRAMES:
                    raise SimulationError(
                        f"more than {MOST_FRAMES:,} calls are under way at {float(self.world.clock[0].now):g} s: calls "
                        "make ever more calls (by mirrors, retries or rings), or wait for ever without a timeout"
                    )
                self._grow(_FULL[reason], len(self._arrays[_FULL[reason]]) + 1)
            elif reason == CALLS_FULL:
                self._room_for_calls(len(self._arrays["calls"]) + 1)
            elif reason == loop.TABLES_FULL:
                self._room_for_tables()
            elif reason == loop.LARGE:
                self._look_ahead()
            elif reason == loop.DONE or budget <= 0:
                return bool(reason == loop.DONE)

    def _look_ahead(self) -> None:
        """Fetch what events will need, from now on."""
        clock = self.world.clock[0]
        clock.looks, clock.looked = 1, clock.day

    def _grow(self, name: str, needed: int, axis: int = 0) -> None:
        """Make room for rows of an array; for events that are put off too, as for all others."""
        super()._grow(name, needed, axis)
        if name == "heap":
            for other, length in later.room(len(self._arrays["heap"])).items():
                super()._grow(other, length)

    def push(self, proxy: int, destination: int, hosts: Hosts, now: float) -> None:
        """Give one proxy a new list of endpoints for a destination.

        Raises
        ------
        SimulationError
            If they have more priorities than there is room for.
        """
        if hosts.priorities.max(initial=0) >= PRIORITIES:
            raise SimulationError(f"failoverPriority gives more than {PRIORITIES} priorities, which is not modelled")
        upstream = self.upstream(proxy, destination)
        self._room()
        policy = self._row("policies", destination)
        if policy["balancer"] >= RING_HASH:
            policy = self.world.policies[destination]
            is_ring = bool(policy.balancer == RING_HASH)
            largest = consistent_hashing.largest(policy, is_ring, hosts.weights, hosts.locality_weights)
            clock = self.world.clock[0]
            clock.table_margin = max(int(clock.table_margin), PRIORITIES * (largest + 1))
            self._room_for_tables()
        up = self._row("upstreams", upstream)
        up["own_share"] = hosts.own_share
        if up["capacity"] == 0:
            self._room_for(upstream, LEAST if len(hosts.hosts) <= LEAST else 2 * len(hosts.hosts))
        if policy["checks"] == 1:
            self._grow("heap", int(self.world.clock[0].scheduled) + len(hosts.hosts) + 2 * loop.MARGIN)
        while not failures.apply_endpoints(
            self.world, upstream, hosts.hosts, hosts.priorities, hosts.weights, hosts.unhealthy, hosts.localities,
            hosts.locality_weights, hosts.local, hosts.own_shares, now,
        ):  # fmt: skip
            capacity = int(self.world.upstreams[upstream].capacity)
            self._room_for(upstream, 2 * max(capacity, len(hosts.hosts)))

    def _room_for_tables(self) -> None:
        for name, length in consistent_hashing.room(self.world).items():
            self._grow(name, length)

    def configure(self, proxy: int, configuration: int) -> None:
        """Let a proxy treat new requests by a configuration; those under way keep their route.

        Raises
        ------
        SimulationError
            If there is no such configuration.
        """
        if not 0 <= configuration < self.plan.configurations:
            raise SimulationError(f"there is no configuration {configuration}, only {self.plan.configurations}")
        self.world.proxies[proxy].configuration = configuration
        limits = self.plan.inbound_limits
        if limits is not None and proxy in self._pod_of:
            pod = self.world.pods[self._pod_of[proxy]]
            pod.inbound_limit = limits[configuration, pod.service, pod.workload]

    def serve(self, pod: int) -> None:
        """Let a pod listen."""
        self.world.pods[pod].state = state.SERVING
        self.world.proxies[self.world.pods[pod].proxy].alive = 1

    def kill(self, pod: int, now: float, *, silent: bool, for_good: bool) -> None:
        """Stop a pod at once: it resets its connections, or (``silent``) leaves its clients without an answer."""
        self._room()
        failures.kill_pod(self.world, pod, state.SILENT if silent else state.GONE, now)
        proxy = int(self.world.pods[pod].proxy)
        self.world.proxies[proxy].alive = 0
        if for_good:
            alike = int(self.world.pods[pod].service), int(self.world.proxies[proxy].workers)
            self._idle.setdefault(alike, []).append(proxy)

    def silence(self, pod: int) -> None:
        """Let a pod that is down answer nothing from now on, not even with a refusal."""
        self.world.pods[pod].state = state.SILENT

    def revive(self, pod: int, was: int) -> None:
        """Let a pod that was not killed for good be in the state that it ``was`` in before."""
        self.serve(pod)
        self.world.pods[pod].state = was

    def trouble(self, pod: int, *, slow: float, fraction: float, code: int) -> None:
        """Let a pod compute ``slow`` times as long, and answer a fraction of its requests with an error code."""
        row = self.world.pods[pod]
        row.slow, row.fail_fraction, row.fail_code = slow, fraction, code

    def end_silence(self, now: float) -> None:
        """Carry on with messages that a cut link or a silent pod held back, where the way is open again."""
        self._room()
        failures.resend_lost(self.world, now)

    def set_gateway(self, proxy: int, now: float, *, alive: bool, silent: bool = False) -> None:
        """Take a gateway replica down or up; what passed through it when it went is reset."""
        row = self.world.proxies[proxy]
        lost = bool(not alive and row.alive)
        row.life += int(lost)
        row.alive, row.silent = int(alive), int(silent and not alive)
        if lost and not silent:
            self._room()
            failures.reset_connections(self.world, NONE, proxy, NONE, now)

    def set_gateway_silent(self, gateway: int, *, silent: bool) -> None:
        """Say whether a gateway address without live replicas refuses connections or gives no answer."""
        self.world.gateways[gateway].down = state.SILENT if silent else state.ABSENT

    def close_gateway(self, gateway: int, now: float, *, closed: bool, silent: bool = False) -> None:
        """Say whether a gateway address leads nowhere any more, as when its name or load balancer changed.

        New connections to a closed address fail, at the connect timeout if it is ``silent``. Established ones hang if
        it is, until it is open again or TCP gives them up; otherwise they are reset.
        """
        self.world.gateways[gateway].closed = (state.SILENT if silent else state.GONE) if closed else state.ABSENT
        self._room()
        if closed and not silent:
            failures.close_gateway(self.world, gateway, now)
        else:
            failures.resend_lost(self.world, now)

    def drain(self, pod: int) -> None:
        """Let a pod's sidecar ask its clients to leave: each connection ends with the next answer that comes over it.

        That is ``connection: close`` with HTTP/1.1 and GOAWAY with HTTP/2. Connections without requests stay.
        """
        has_sidecar = self.world.proxies[self.world.pods[pod].proxy].workers > 0
        self.world.pods[pod].draining = int(has_sidecar)

    def set_certificate(self, proxy: int, *, expires: float = math.inf, root: int = NONE, trusts: int = NONE) -> None:
        """Give a proxy a certificate; only handshakes look at it, and what is connected stays so.

        Parameters
        ----------
        proxy
            Number of the proxy.
        expires
            When it is no longer valid, seconds.
        root
            Bit of the root that signed it; without, everybody takes it.
        trusts
            Mask of the roots that the proxy trusts; all by default.
        """
        row = self.world.proxies[proxy]
        row.expires, row.root, row.trusts = expires, root, trusts

    def expire_root(self, root: int, *, expired: bool) -> None:
        """Say whether a root certificate, given by its bit, is no longer valid: nobody takes what it signed then."""
        clock = self.world.clock[0]
        clock.expired_roots = clock.expired_roots & ~(1 << root) | int(expired) << root

    def _room(self) -> None:
        """Make room for two events for every frame in flight, and for a connection for each."""
        clock = self._row("clock", 0)
        used, connections = int(clock["used"]), int(clock["connections"])
        self._grow("heap", int(clock["scheduled"]) + 2 * used + connections + 2 * loop.MARGIN)
        self._grow("connections", connections + used + 2 * loop.MARGIN)
        self._grow("frames", 2 * used + 2 * loop.MARGIN)
        self._room_for_calls(int(clock["counted"]) + used + 2 * loop.MARGIN)

    def _room_for_calls(self, needed: int) -> None:
        """Make room for rows of calls; the hash table that leads to them stays at most half full."""
        if needed > len(self._arrays["calls"]):
            self._grow("calls", 1 << (needed - 1).bit_length())
            self._set("call_cells", np.zeros(2 * len(self._arrays["calls"]), dtype=np.int32))
            recorder.place_calls(self.world)

    # --- reading --------------------------------------------------------------------------------------------

    @property
    def pods(self) -> Any:
        """Return the records of all pods there have been, shape ``(pods,)``."""
        return self._arrays["pods"][: self._used.get("pods", 0)]

    @property
    def proxies(self) -> Any:
        """Return the records of all proxies, shape ``(proxies,)``."""
        return self._arrays["proxies"][: self._used.get("proxies", 0)]

    def upstream(self, proxy: int, destination: int) -> int:
        """Return the number of a proxy's upstream for a destination; -1 where it does not know it."""
        return int(upstream_of(self.world, proxy, destination))

    def is_alive(self, proxy: int) -> bool:
        """Return whether a proxy is up."""
        return bool(self._arrays["proxies"].view(np.ndarray)["alive"][proxy])

    def take_counts(self, *names: str) -> dict[str, NDArray[Any]]:
        """Return copies of counters and histograms, and set them to zero."""
        taken = {}
        for name in names:
            array = self._arrays[name].view(np.ndarray)
            taken[name] = array.copy()
            array.view(np.uint8)[...] = 0
        return taken

    def counted_calls(self) -> tuple[NDArray[Any], tuple[NDArray[np.int64], ...]]:
        """Return what is counted of calls.

        Returns
        -------
        rows, (edge, source, to, flow, outcome)
            Rows of `state.CALLS`, and what each of them counts by number, in the order of these numbers; ``to`` is the
            number of clusters where no cluster was reached.
        """
        rows = self._arrays["calls"].view(np.ndarray)[: int(self.world.clock[0].counted)]
        if len(self._order_of_calls) != len(rows):
            self._order_of_calls = np.argsort(rows["key"])
        order = self._order_of_calls
        found = rows.take(order[rows["count"][order] > 0])
        clusters = int(self.world.clock[0].clusters)
        dimensions = (len(self.plan.edges), clusters, clusters + 1, len(FLOWS), self.outcomes)
        return found, np.unravel_index(found["key"], dimensions)

    def take_calls(self) -> tuple[NDArray[Any], tuple[NDArray[np.int64], ...]]:
        """Return what is counted of calls (`counted_calls`), and set it to zero."""
        taken = self.counted_calls()
        rows = self._arrays["calls"].view(np.ndarray)[: int(self.world.clock[0].counted)]
        for name in state.COUNTED:
            rows[name] = 0
        return taken

    def trace(self, part: float) -> None:
        """Trace this part of each source's requests from now on."""
        self.world.clock[0].part = math.ceil(min(part, 1.0) * WHOLE)
        self._grow("trace", 2 * loop.AT_ONCE * ROOM if part else 1)

    def take_trace(self) -> Any:
        """Return the lines of the trace since the last time, in the order they were written (`state.TRACE`)."""
        clock = self.world.clock[0]
        lines = self._arrays["trace"][: int(clock.traced)].copy()
        clock.traced = 0
        return lines

    def outcome(self, number: int) -> tuple[int, str]:
        """Return the code and response flags of an outcome number."""
        return flags.outcome(number, self.plan.codes)


def _identity(name: str, room: int) -> int:
    """Return a 64-bit identity whose ``room`` low bits are free to count with."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> room << room
