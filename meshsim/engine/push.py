"""The push pipeline of one istiod: debounce, push context, queue, generation (spec §5.1)."""

from __future__ import annotations

import heapq
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.truth import GATEWAYS
from meshsim.engine.xds import Stream

if TYPE_CHECKING:
    from meshsim.engine.istiod import Istiod

#: Proxies one istiod pushes to at once, and accepts per second: 15 + 5 a core, at most 100 (spec §5.1).
THROTTLE_BASE, THROTTLE_PER_CPU, THROTTLE_MOST = 15, 5, 100


def throttle(cpu: int) -> int:
    """Return how many proxies an istiod pushes to at once, and how many it accepts a second.

    Source: Istio pilot/pkg/features: PILOT_PUSH_THROTTLE and PILOT_MAX_REQUESTS_PER_SECOND.

    Examples
    --------
    >>> [throttle(cpu) for cpu in (1, 2, 4, 17, 64)]
    [20, 25, 35, 100, 100]
    """
    return min(THROTTLE_BASE + THROTTLE_PER_CPU * cpu, THROTTLE_MOST)


class Pushes:
    """Changes waiting to be pushed by one istiod, and the workers that push them.

    Parameters
    ----------
    mesh, istiod
        The run, and whose pushes they are.
    """

    def __init__(self, mesh: Mesh, istiod: Istiod) -> None:
        self._mesh = mesh
        self._istiod = istiod
        self._settings = mesh.document.istiod
        self._dirty: dict[str, float] = {}
        self._first = self._last = 0.0
        self._wanted = mesh.env.event()
        self._workers: list[float] = []
        self._processors_free = 0.0
        self.clear()

    @cached_property
    def _random(self) -> np.random.Generator:
        return self._mesh.streams.of(f"push/{self._istiod.group.plane.name}/{self._istiod.number}")

    def clear(self) -> None:
        """Forget what waits: the process is gone."""
        self._dirty.clear()
        self._workers = [0.0] * throttle(self._settings.cpu)
        self._processors_free = 0.0

    def begin(self) -> None:
        """Push what changes from now on."""
        self._dirty.clear()
        self._wanted = self._mesh.env.event()
        self._mesh.env.process(self._debounce())

    def changed(self, service: str, since: float) -> None:
        """Note that a service's endpoints changed (`GATEWAYS`: everything), and when they did, seconds."""
        now = self._mesh.env.now
        if not self._dirty:
            self._first = now
        self._dirty.setdefault(service, since)
        self._last = now
        if not self._wanted.triggered:
            self._wanted.succeed()

    def _debounce(self) -> Process:
        """Push when changes have been quiet for a while, or have gone on for long enough; one push at a time."""
        env = self._mesh.env
        while True:
            yield self._wanted
            while True:
                quiet = self._last + self._settings.debounce_after
                latest = self._first + self._settings.debounce_max
                if env.now >= quiet or env.now >= latest:
                    break
                yield env.at(min(quiet, latest))
            self._wanted = env.event()
            dirty, self._dirty = self._dirty, {}
            if GATEWAYS in dirty:
                yield from self._build()
            if self._istiod.ready:
                self._push(dirty)

    def _build(self) -> Process:
        """Compute what all proxies' configurations have in common."""
        seconds = self._settings.push_context_time * self._istiod.group.slowness
        self._istiod.record.cpu += seconds
        self._istiod.record.full_pushes += 1
        yield self._mesh.env.timeout(seconds)

    # --- queue ----------------------------------------------------------------------------------------------

    def _push(self, dirty: dict[str, float]) -> None:
        """Queue every connected proxy that has one of the services in its scope, in any order."""
        connected = list(self._istiod.streams.values())
        for number in self._random.permutation(len(connected)).tolist():
            stream, proxy = connected[number], connected[number].proxy
            if GATEWAYS in dirty:
                everything = {service: dirty.get(service, dirty[GATEWAYS]) for service in proxy.destinations}
                self._enqueue(stream, everything, self._in_scope(proxy), needed=True)
                continue
            sent = sum(proxy.scope is None or service in proxy.scope for service in dirty)
            if sent:
                self._enqueue(stream, self._concerning(proxy, dirty), sent)

    @staticmethod
    def _concerning(proxy: Proxy, dirty: dict[str, float]) -> dict[str, float]:
        """Return those of the changed services that matter to a proxy's requests, and what changes with them."""
        since = dirty.get(proxy.home, 0.0)
        return {service: dirty.get(service, since) for service in proxy.concerned(dirty)}

    def _in_scope(self, proxy: Proxy) -> int:
        return len(self._mesh.document.services) if proxy.scope is None else len(proxy.scope)

    def _enqueue(self, stream: Stream, updates: dict[str, float], services: int, *, needed: bool = False) -> None:
        """Queue a proxy; one that waits already gets both in one push.

        An update in which nothing concerns the proxy's requests takes its time, but need not be ``needed``.
        """
        now, place = self._mesh.env.now, stream.place
        for service, since in updates.items():
            stream.waiting.setdefault(service, since)
        if place.start <= now:
            place.start = max(heapq.heappop(self._workers), now)
            place.end = self._generated(place.start, services)
            place.sent = False
            heapq.heappush(self._workers, place.end)
        if (stream.waiting or needed) and not place.sent:
            place.sent = True
            self._mesh.env.process(self._send(stream, stream.connection, place.end))

    def _generated(self, start: float, services: int) -> float:
        """Return when an update that is begun at ``start`` is generated: after its time, and when the CPU had time."""
        settings, slowness = self._settings, self._istiod.group.slowness
        seconds = (settings.push_time + settings.push_time_per_service * services) * slowness
        work = (settings.push_cpu + settings.push_cpu_per_service * services) * slowness
        self._processors_free = max(self._processors_free, start) + work / settings.cpu
        self._istiod.record.cpu += work
        self._istiod.record.pushes += 1
        return max(start + seconds, self._processors_free)

    def _send(self, stream: Stream, connection: int, generated: float) -> Process:
        yield self._mesh.env.at(generated)
        if stream.connection == connection:
            stream.send()

    def answer(self, proxy: Proxy) -> float:
        """Return how long istiod takes to make all that a proxy needs that has just connected, seconds."""
        now = self._mesh.env.now
        return self._generated(now, self._in_scope(proxy)) - now
