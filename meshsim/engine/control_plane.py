"""A control plane: the replicas of istiod, the Service and the gateway in front of them, and what becomes of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import simpy

from meshsim.engine.crash_loop import crash_again_and_again
from meshsim.engine.discovery import Credential
from meshsim.engine.east_west import EastWest
from meshsim.engine.environment import Process, Undo
from meshsim.engine.istiod import Istiod
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.xds import OPEN, REFUSED, SILENT, Stream
from meshsim.mesh.deployment import ControlPlane
from meshsim.mesh.placement import spread
from meshsim.scenario.happenings import happenings

#: The istiod chart's rolling update: as many new replicas as old, a quarter of the old ones may go first.
UNAVAILABLE = 0.25
#: Who applies configuration tries again after this many seconds.
APPLY_PAUSE = 5.0


@dataclass(slots=True, eq=False)
class _Loss:
    """Why replicas are lost: in some zones (None: all), with or without closing their connections."""

    zones: Collection[int] | None
    silent: bool
    hit: list[Istiod] = field(default_factory=list)

    def takes(self, istiod: Istiod) -> bool:
        """Return whether it takes a replica, by where that is."""
        return self.zones is None or istiod.zone in self.zones


class IstiodGroup:
    """A control plane.

    Parameters
    ----------
    mesh
        The run.
    plane
        Where it runs, whom it serves and what it watches.

    Attributes
    ----------
    istiods
        Its replicas; during a rollout, old and new ones.
    replicas
        How many are wanted.
    zones
        Numbers of the zones that they are spread over.
    root, trusts
        What it signs certificates with, and which roots it tells proxies to trust.
    ca_causes
        Why it signs nothing; 0 = it does.
    applied
        Changes of configuration in force, in the order of their arrival.
    credentials
        Its remote secrets by cluster.
    """

    def __init__(self, mesh: Mesh, plane: ControlPlane) -> None:
        self.mesh = mesh
        self.plane = plane
        self.root = plane.root
        self.trusts: tuple[str, ...] = (plane.root,)
        self.ca_causes = 0
        self._slow: list[float] = []
        self.applied: tuple[int, ...] = ()
        self.credentials = {cluster: Credential() for cluster in mesh.clusters}
        self._wanted: deque[tuple[int, bool]] = deque()
        self._applying = False
        self._entrance: list[list[str]] = [[] for _ in range(plane.gateway_replicas)]
        self.replicas = plane.replicas
        self._leaving: list[Istiod] = []
        self._losses: list[_Loss] = []
        self._made = 0
        self.record = mesh.recorder.control_planes[plane.name]
        self.record.memory = self._memory
        self.zones = [mesh.zones.index((plane.region, zone)) for zone in plane.zones]
        self.istiods = [self._new(zone) for zone in spread(plane.replicas, self.zones)]

    @cached_property
    def _names(self) -> dict[int, str]:
        """Names of changes of configuration; of no use where there are none."""
        return {happening.number: happening.name for happening in happenings(self.mesh.document)}

    def _new(self, zone: int) -> Istiod:
        self._made += 1
        return Istiod(self.mesh, self, self._made - 1, zone)

    def _memory(self) -> float:
        return max((istiod.memory() for istiod in self.istiods if istiod.ready), default=0.0)

    def begin(self) -> None:
        """Start in step with the world: caches synced, every proxy it serves connected and configured."""
        for istiod in self.istiods:
            istiod.begin()
        for proxy in self.mesh.proxies.values():
            if proxy.client.cluster in self.plane.serves:
                stream = proxy.stream = Stream(self.mesh, self, proxy)
                random = self.mesh.streams.of(f"replica/{proxy.name}")
                stream.begin(self.istiods[int(random.integers(len(self.istiods)))])

    # --- who reaches it -------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Return whether any replica is ready."""
        return any(istiod.ready for istiod in self.istiods)

    def choose(self, random: np.random.Generator) -> Istiod | None:
        """Return the replica that its Service leads a new connection to; None if none is ready."""
        ready = [istiod for istiod in self.istiods if istiod.ready]
        if not ready:
            return next((istiod for istiod in self.istiods if istiod.silent), None)
        return ready[int(random.integers(len(ready)))]

    def way(self, proxy: Proxy, istiod: Istiod) -> int:
        """Return what a proxy finds on its way to a replica: open, refused, or silent."""
        if not self.mesh.plane.is_alive(proxy.number):
            return SILENT
        return self._way(proxy.client.cluster, proxy.zone, istiod)

    def _way(self, cluster: str, zone: int, istiod: Istiod) -> int:
        if not istiod.ready:
            return SILENT if istiod.silent else REFUSED
        door = self._door(cluster)
        if door is None:
            return OPEN if self.mesh.connected(zone, istiod.zone) else SILENT
        place, causes = door
        if all(causes):
            return SILENT if any("blackhole" in each for each in causes) else REFUSED
        return OPEN if self.mesh.connected(zone, place) and self.mesh.connected(place, istiod.zone) else SILENT

    def _door(self, cluster: str) -> tuple[int, list[list[str]]] | None:
        """Return the gateway that leads from a cluster to istiod: its zone, and of each replica why it is down."""
        if self.plane.entrance:
            return self.zones[0], self._entrance
        home = self.plane.gateway_to(cluster)
        gateway: EastWest | None = self.mesh.gateways.get(home) if home is not None else None
        if home is None or gateway is None:
            return None
        return self.mesh.home_zone(home), [proxy.causes for proxy in gateway.replicas]

    def _answers(self, cluster: str) -> bool:
        """Return whether the API server of a cluster reaches istiod's webhooks."""
        server = self.mesh.api_servers[cluster]
        return server.up and any(self._way(cluster, server.zone, istiod) == OPEN for istiod in self.istiods)

    def admits(self, cluster: str) -> bool:
        """Return whether pods can be created in a cluster: its API server asks the injection webhook (spec §5.3)."""
        return self._answers(cluster)

    def signs(self, proxy: Proxy) -> bool:
        """Return whether it would sign a proxy's certificate now, after its cluster's API server reviewed the token."""
        return self.ca_causes == 0 and any(
            istiod.ready and self.way(proxy, istiod) == OPEN and istiod.informers.reviews(proxy.client.cluster)
            for istiod in self.istiods
        )

    def connect(self, proxy: Proxy) -> simpy.Event:
        """Open the stream of a new proxy; the event happens when it has its first configuration."""
        stream = proxy.stream = Stream(self.mesh, self, proxy)
        stream.start()
        return stream.configured

    def look(self) -> None:
        """See which streams and watches are still open."""
        for istiod in self.istiods:
            istiod.informers.look()
            for stream in list(istiod.streams.values()):
                stream.look()

    def readiness_changed(self) -> None:
        """Note in the log when the last replica is lost."""
        if not self.up:
            self.mesh.recorder.event(self.mesh.env.now, "control plane lost", self.plane.name, self.plane.home)

    # --- failure --------------------------------------------------------------------------------------------

    def fail(self, replicas: int | None = None, zones: Collection[int] | None = None, *, silent: bool = False) -> Undo:
        """Lose replicas, all or some, those in some zones; ``silent``: without closing their connections.

        Where all are lost, those that are created meanwhile are, too.
        """
        loss = _Loss(zones, silent)
        loss.hit = [istiod for istiod in self.istiods if loss.takes(istiod)][:replicas]
        for istiod in loss.hit:
            istiod.fail(silent=silent)
        if replicas is None:
            self._losses.append(loss)

        def undo() -> None:
            if replicas is None:
                self._losses.remove(loss)
            for istiod in loss.hit:
                istiod.recover(silent=silent)

        return undo

    def crash_loop(self, replicas: int | None, runs_for: float) -> Undo:
        """Let replicas crash again and again, ``runs_for`` seconds after each start."""
        ended = self.mesh.env.event()
        for istiod in self.istiods[:replicas]:
            self.mesh.env.process(crash_again_and_again(self.mesh.env, istiod, runs_for, ended))

        def undo() -> None:
            ended.succeed()

        return undo

    @property
    def slowness(self) -> float:
        """Return how many times longer everything takes that istiod computes."""
        return math.prod(self._slow)

    def slow(self, factor: float) -> Undo:
        """Let istiod compute slower."""
        self._slow.append(factor)
        return lambda: self._slow.remove(factor)

    def stop_signing(self) -> Undo:
        """Sign no certificates."""
        self.ca_causes += 1

        def undo() -> None:
            self.ca_causes -= 1

        return undo

    def lose_entrance(self, replicas: int | None, mode: str) -> Undo:
        """Lose replicas of the gateway in front of a control plane that is outside all clusters."""
        hit = self._entrance[:replicas]
        for causes in hit:
            causes.append(mode)

        def undo() -> None:
            for causes in hit:
                causes.remove(mode)

        return undo

    # --- remote secrets -------------------------------------------------------------------------------------

    def change_secret(self, cluster: str, change: str, *, picked_up: bool) -> Undo:
        """Remove, let expire or rotate the secret by which this control plane watches a cluster.

        Parameters
        ----------
        cluster
            The cluster that is watched.
        change
            ``removed``: istiod forgets the cluster. ``expired``: its API server no longer takes what istiod holds.
            ``rotated``: the same, and there is a new one.
        picked_up
            Whether istiod reads a rotated secret at once, not only when it starts (istio#60612).
        """
        credential = self.credentials[cluster]
        if change == "removed":
            credential.stored = None
            self._each(lambda istiod: istiod.informers.drop(cluster))
        else:
            credential.valid += 1
            if change == "rotated":
                credential.stored = credential.valid
            if change == "rotated" and picked_up:
                self._each(lambda istiod: istiod.informers.renew(cluster))
            self._each(lambda istiod: istiod.informers.look())

        def undo() -> None:
            credential.stored = credential.valid
            self._each(lambda istiod: istiod.informers.renew(cluster))

        return undo

    def _each(self, act: Callable[[Istiod], None]) -> None:
        for istiod in self.istiods:
            if istiod.informers.running:  # one that is not there yet reads them when it starts
                act(istiod)

    # --- configuration --------------------------------------------------------------------------------------

    def configure(self, change: int, *, applied: bool) -> None:
        """Have a change of configuration applied, or taken back, as soon as it is accepted; one after the other."""
        self.mesh.intend(change, applied=applied)
        self._wanted.append((change, applied))
        if not self._applying:
            self._applying = True
            self.mesh.env.process(self._apply())

    def _apply(self) -> Process:
        """Apply changes: the API server of the config cluster asks istiod's validation webhook (spec §5.3)."""
        mesh, refused = self.mesh, False
        while self._wanted:
            if not self._answers(self.plane.config_cluster):
                if not refused:
                    mesh.recorder.event(mesh.env.now, "configuration refused", self.plane.name, "cannot be validated")
                refused = True
                yield mesh.env.timeout(APPLY_PAUSE)
                continue
            (change, applied), refused = self._wanted.popleft(), False
            rest = tuple(known for known in self.applied if known != change)
            self.applied = (*rest, change) if applied else rest
            what = "configuration applied" if applied else "configuration taken back"
            mesh.recorder.event(mesh.env.now, what, self.plane.name, self._names[change])
            for istiod in self.istiods:
                istiod.informers.configuration_changed()
        self._applying = False

    # --- replicas come and go -------------------------------------------------------------------------------

    def can_change(self) -> bool:
        """Return whether pods of istiod can be created and deleted: the API server of its home answers."""
        return not self.plane.home or self.mesh.api_servers[self.plane.home].up

    def scale(self, replicas: int) -> None:
        """Change the number of replicas: new ones start as pods do, the newest go first."""
        now, was, self.replicas = self.mesh.env.now, self.replicas, replicas
        self.mesh.recorder.event(now, "scaled", self.plane.name, f"{was} to {replicas} replicas of istiod")
        staying = [istiod for istiod in self.istiods if istiod not in self._leaving]
        for zone in spread(replicas, self.zones)[len(staying) :]:
            self._create(zone)
        for istiod in staying[replicas:]:
            self._remove(istiod)

    def _create(self, zone: int) -> Istiod:
        istiod, mesh = self._new(zone), self.mesh
        self.istiods.append(istiod)
        name = f"start/istiod/{self.plane.name}/{istiod.number}"
        istiod.create(mesh.streams.duration(name, mesh.document.kubernetes.pod_start))
        for loss in self._losses:
            if loss.takes(istiod):
                loss.hit.append(istiod)
                istiod.fail(silent=loss.silent)
        return istiod

    def _remove(self, istiod: Istiod) -> None:
        self.istiods.remove(istiod)
        istiod.remove()

    def roll_out(self) -> Process:
        """Replace every replica by a new one: a rolling update with the chart's surge and unavailable limits.

        Each step waits for the API server of its home, if it has one.
        """
        mesh = self.mesh
        yield from mesh.env.until(self.can_change)
        old = [istiod for istiod in self.istiods if istiod not in self._leaving]
        mesh.recorder.event(mesh.env.now, "rollout begins", self.plane.name, f"{len(old)} replicas of istiod")
        self._leaving += old
        new = [self._create(istiod.zone) for istiod in old]
        for istiod in old[: math.floor(UNAVAILABLE * len(old))]:
            self._leave(istiod)
        for fresh in new:
            yield fresh.started | fresh.ended
            yield from mesh.env.until(self.can_change)
            left = [istiod for istiod in old if istiod in self._leaving]
            if left:
                self._leave(left[0])
        mesh.recorder.event(mesh.env.now, "rollout done", self.plane.name, f"{len(new)} replicas of istiod")

    def _leave(self, istiod: Istiod) -> None:
        self._leaving.remove(istiod)
        self._remove(istiod)
