"""xDS streams: how a proxy connects to an istiod, hears from it, loses it and finds another (spec §5.1, §5.4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import simpy

from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.views import View

if TYPE_CHECKING:
    from meshsim.engine.control_plane import IstiodGroup
    from meshsim.engine.istiod import Istiod

#: Envoy pauses for a time drawn from zero to a limit that doubles from the first number to the second (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: gRPC gives up a connection that is not answered after so many seconds (MIN_CONNECT_TIMEOUT).
CONNECT_TIMEOUT = 20.0
#: Keep-alive finds a silent connection dead after 30 s without news and 10 s without an answer.
KEEPALIVE = 40.0
#: gRPC draws the age at which a stream is closed from so much around what is configured.
AGE_SPREAD = 0.1

#: What a proxy finds on its way to an istiod.
OPEN, REFUSED, SILENT = range(3)

Update = tuple[str, tuple[View, ...], float]


@dataclass(slots=True)
class Place:
    """A proxy's place in the push queue: when its update is generated, and whether somebody waits to send it."""

    start: float = -1.0
    end: float = -1.0
    sent: bool = True


class Stream:
    """The xDS stream of one proxy.

    Parameters
    ----------
    mesh, group
        The run, and the control plane that the proxy is configured to ask.
    proxy
        Whose stream it is.

    Attributes
    ----------
    istiod
        The one it is connected to; None while it is connected to none.
    connection
        Number of its connection; each end and each start takes the next.
    waiting
        Services whose endpoints are to be sent, with when they changed (seconds).
    configured
        Triggers when the proxy has its first configuration.
    """

    def __init__(self, mesh: Mesh, group: IstiodGroup, proxy: Proxy) -> None:
        self.proxy = proxy
        self.istiod: Istiod | None = None
        self.connection = 0
        self.waiting: dict[str, float] = {}
        self.place = Place()
        self.configured = mesh.env.event()
        self._mesh = mesh
        self._group = group
        self._ended = False
        self._stalled = False
        self._stalls = 0
        self._silent_since = 0.0
        self._told = False
        self._left = 0.0
        self._owed: dict[str, float] = {}
        self._reached = 0.0
        self._broken = mesh.env.event()
        self._due = mesh.env.event()

    @cached_property
    def _random(self) -> np.random.Generator:
        return self._mesh.streams.of(f"xds/{self.proxy.name}")

    # --- connecting -----------------------------------------------------------------------------------------

    def begin(self, istiod: Istiod) -> None:
        """Be connected, configured and of any age at time zero."""
        self._connect(istiod, self._age() * float(self._random.random()))
        self._mesh.configure(self.proxy, istiod.informers.applied)
        for service in self.proxy.destinations:
            self._mesh.apply(self.proxy, service, self._mesh.view_of(self.proxy, service, istiod.informers))
        self._told = True
        self.configured.succeed()
        self._mesh.env.process(self._live())

    def start(self) -> None:
        """Connect for the first time."""
        self._mesh.env.process(self._live())

    def _live(self) -> Process:
        """Connect, stay connected until the stream breaks, and connect again."""
        env, limit = self._mesh.env, 0.0
        while not self._ended:
            if self.istiod is not None:
                yield self._broken
                limit = FIRST_PAUSE
            yield env.timeout(limit * float(self._random.random()))
            limit = min(max(2.0 * limit, FIRST_PAUSE), LONGEST_PAUSE)
            if not self._ended:
                yield from self._try()

    def _try(self) -> Process:
        """Try to connect: find an istiod, pass its rate limit, have the token reviewed, and ask for everything."""
        env, group, proxy = self._mesh.env, self._group, self.proxy
        istiod = group.choose(self._random)
        way = REFUSED if istiod is None else group.way(proxy, istiod)
        if istiod is None or way != OPEN:
            if way == SILENT:
                yield env.timeout(CONNECT_TIMEOUT)
            return
        round_trip = 2.0 * self._mesh.network.one_way(proxy.zone, istiod.zone)
        yield env.timeout(2.0 * round_trip)  # TCP and TLS
        wait = istiod.accept(env.now)
        if wait is None:
            istiod.record.refused_connections += 1
            return
        review = 2.0 * self._mesh.network.one_way(istiod.zone, self._mesh.api_servers[proxy.client.cluster].zone)
        yield env.timeout(wait + review)
        if self._ended or group.way(proxy, istiod) != OPEN:
            return
        if not istiod.informers.reviews(proxy.client.cluster):
            istiod.record.refused_connections += 1
            return
        self._connect(istiod, self._age())
        connection = self.connection
        yield env.timeout(round_trip / 2.0 + istiod.pushes.answer(proxy))
        if connection == self.connection:
            self.waiting = {service: self._since(istiod, service) for service in proxy.destinations}
            self.send()
            self._told = True

    def _since(self, istiod: Istiod, service: str) -> float:
        """Return since when the proxy lacks what a replica that it comes to knows of a service, seconds.

        It was up to date with the one before it, but for what that one had not sent. Where they differ in older things
        nothing has changed but the replica.
        """
        changed = max(istiod.informers.since(each) for each in {service, self.proxy.home or service})
        return max(changed, min(self._left, self._owed.get(service, self._left)))

    def _age(self) -> float:
        return self._mesh.document.istiod.stream_age * (1.0 + AGE_SPREAD * (2.0 * float(self._random.random()) - 1.0))

    def _connect(self, istiod: Istiod, age: float) -> None:
        env = self._mesh.env
        self.istiod = istiod
        self.connection += 1
        self._broken = env.event()
        istiod.connect(self)
        if self.configured.triggered:
            self._mesh.recorder.disconnected[self.proxy.client.cluster].add(-1, env.now)
        self._due = env.at(env.now + age)
        self._due.callbacks += [partial(self._expire, self.connection)]

    def _expire(self, connection: int, _event: simpy.Event) -> None:
        """End a stream that is old enough: istiod asks the proxy to connect anew."""
        if connection == self.connection:
            self.lose()

    # --- losing ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """See whether the way to istiod is still open: a refusal ends the stream, silence does so after a while."""
        if self.istiod is None:
            return
        way = self._group.way(self.proxy, self.istiod)
        if way == REFUSED:
            self.lose()
        elif way == SILENT and not self._stalled:
            self._stalled = True
            self._silent_since = self._mesh.env.now
            self._stalls += 1
            self._mesh.env.process(self._wait(self.connection, self._stalls))
        elif way == OPEN and self._stalled:
            self._stalled = False
            self.send()

    def _wait(self, connection: int, stall: int) -> Process:
        """End a silent stream when keep-alive notices, unless it has been heard of meanwhile."""
        yield self._mesh.env.timeout(KEEPALIVE)
        if connection == self.connection and self._stalled and stall == self._stalls:
            self.lose()

    def lose(self) -> None:
        """End the stream."""
        if self.istiod is None:
            return
        self.istiod.disconnect(self)
        if not self._due.processed:
            self._due.callbacks.clear()  # a proxy that is gone is not kept in the calendar
        self.istiod = None
        self.connection += 1
        if self._told:
            self._left = self._silent_since if self._stalled else self._mesh.env.now
            self._owed = self.waiting
        self._stalled = self._told = False
        self.waiting, self.place = {}, Place()
        if self.configured.triggered:
            self._mesh.recorder.disconnected[self.proxy.client.cluster].add(1, self._mesh.env.now)
        self._broken.succeed()

    def end(self) -> None:
        """End for good: the proxy is gone."""
        self.lose()
        if self.configured.triggered:
            self._mesh.recorder.disconnected[self.proxy.client.cluster].add(-1, self._mesh.env.now)
        self._ended = True

    # --- hearing --------------------------------------------------------------------------------------------

    def send(self) -> None:
        """Send what waits, as istiod knows it now; while the way is silent it waits on."""
        if self.istiod is None or self._stalled:
            return
        mesh, informers = self._mesh, self.istiod.informers
        since, self.waiting = self.waiting, {}
        updates = [(service, mesh.view_of(self.proxy, service, informers), at) for service, at in since.items()]
        # One stream to a proxy: what is sent later does not arrive earlier.
        self._reached = max(self._reached, mesh.env.now + mesh.network.one_way(self.istiod.zone, self.proxy.zone))
        mesh.env.process(self._arrive(self.connection, updates, informers.applied))

    def _arrive(self, connection: int, updates: list[Update], applied: tuple[int, ...]) -> Process:
        mesh, proxy = self._mesh, self.proxy
        yield mesh.env.at(self._reached)
        if connection != self.connection:
            return
        if self._stalled:  # TCP sends it again when the way is open
            self.waiting = {service: at for service, _, at in updates} | self.waiting
            return
        taken = mesh.configure(proxy, applied)
        first = not self.configured.triggered
        for service, view, changed_at in updates:
            if mesh.apply(proxy, service, view) and not first:
                mesh.recorder.converged(proxy.client.cluster, mesh.env.now - changed_at)
        if not taken and self.istiod is not None:
            self.istiod.record.rejected_configurations += 1
        if first and taken:
            self.configured.succeed()
