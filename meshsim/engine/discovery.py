"""Informers: what one istiod has heard of the clusters that it watches (spec §4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh
from meshsim.engine.truth import GATEWAYS, Shard
from meshsim.mesh.endpoints import GatewayAddress
from meshsim.mesh.places import OUTSIDE

if TYPE_CHECKING:
    from meshsim.engine.control_plane import IstiodGroup

#: A watch that is closed is opened again after so many seconds, doubling up to the second number; each pause is
#: lengthened by up to as much again (client-go's reflector).
FIRST_PAUSE, LONGEST_PAUSE = 0.8, 30.0


@dataclass(slots=True)
class Credential:
    """The remote secret for a cluster: what its API server takes, and what is stored; versions count up."""

    valid: int = 0
    stored: int | None = 0


@dataclass(slots=True)
class Watch:
    """One istiod's watch on a cluster.

    ``heard`` are the lists as of the last news, with when each changed; ``synced`` tells whether there has been any,
    ``holds`` which version of the remote secret it was opened with.
    """

    heard: dict[str, Shard]
    since: dict[str, float]
    gateways: tuple[GatewayAddress, ...] = ()
    holds: int | None = None
    synced: bool = False
    closed: simpy.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether news comes through it."""
        return self.closed is not None and not self.closed.triggered


class Informers:
    """What one istiod knows: endpoints and gateways of each cluster, and the configuration.

    Parameters
    ----------
    mesh, group
        The run, and the control plane that this istiod is of.
    name
        Key of its random draws.
    zone
        Number of the zone it runs in.
    changed
        Called with a service (`GATEWAYS` for everything) and the time of the change when there is news.

    Attributes
    ----------
    running
        Whether the process is there, so that it watches its clusters, or tries to.
    applied
        Changes of the configuration that it has heard of, in force.
    """

    def __init__(
        self, mesh: Mesh, group: IstiodGroup, name: str, zone: int, changed: Callable[[str, float], None]
    ) -> None:
        self._mesh = mesh
        self._group = group
        self._name = name
        self._zone = zone
        self._changed = changed
        self._life = 0
        self._watches: dict[str, Watch] = {}
        self._told: dict[str, tuple[Shard, ...]] = {}
        self._addresses: tuple[GatewayAddress, ...] | None = None
        self._news = mesh.env.event()
        self._knows_since = 0.0
        self._learnt: dict[str, float] = {}
        self.running = False
        self.applied: tuple[int, ...] = ()
        mesh.truth.listeners.append(self._truth_changed)

    # --- what it knows --------------------------------------------------------------------------------------

    def shards(self, service: str) -> tuple[Shard, ...]:
        """Return the endpoints of a service, cluster by cluster; those that are in none are its own configuration."""
        known = self._told.get(service)
        if known is None:
            heard = [watch.heard[service] for watch in self._watches.values() if service in watch.heard]
            known = self._told[service] = tuple(heard)
        outside = self._mesh.truth.shard(service, OUTSIDE)
        return (*known, outside) if outside.endpoints else known

    def gateways(self) -> tuple[GatewayAddress, ...]:
        """Return the addresses of all east-west gateways that it knows."""
        if self._addresses is None:
            self._addresses = tuple(address for watch in self._watches.values() for address in watch.gateways)
        return self._addresses

    def _forget_what_was_told(self) -> None:
        """Answer `shards` and `gateways` anew after a change of what is watched."""
        self._told.clear()
        self._addresses = None

    def since(self, service: str) -> float:
        """Return when what it sends of a service last changed, seconds.

        What came through a watch changed when the API server had it; what a list told, or went with a cluster that is
        forgotten, changed just then; and with a new process, which may know more or less than the one before,
        everything did when it had listed what it could.
        """
        return max(self._learnt.get(what, self._knows_since) for what in (service, GATEWAYS))

    def _learn(self, what: str, since: float) -> None:
        """Have it known, and pushed, that a service's endpoints changed (`GATEWAYS`: everything), and when."""
        self._learnt[what] = max(since, self._learnt.get(what, self._knows_since))
        self._changed(what, since)

    def reviews(self, cluster: str) -> bool:
        """Return whether the API server of a cluster reviews a token for it (TokenReview, spec §5.4)."""
        return self._reachable(cluster)

    def _is_home(self, cluster: str) -> bool:
        """Return whether it needs no secret to watch a cluster."""
        return cluster == self._group.plane.home

    def _is_needed(self, cluster: str) -> bool:
        """Return whether it does not start without a cluster: its home, and the one that keeps its configuration."""
        return cluster in (self._group.plane.home, self._group.plane.config_cluster)

    def _reachable(self, cluster: str) -> bool:
        server = self._mesh.api_servers[cluster]
        watch = self._watches.get(cluster)
        if watch is None or not server.up or not self._mesh.connected(self._zone, server.zone):
            return False
        return self._is_home(cluster) or watch.holds == self._group.credentials[cluster].valid

    # --- start and end --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Know all that there is at time zero."""
        self.running = True
        for cluster in self._group.plane.watches:
            self._open(cluster, at_once=True)
        self.applied = self._group.applied

    def forget(self) -> None:
        """Lose everything with the process."""
        self._life += 1
        self.running = False
        for cluster in self._watches:
            self._close(cluster)
        self._watches.clear()
        self._forget_what_was_told()
        self.applied = ()

    def close(self) -> None:
        """Be told of nothing any more."""
        self._mesh.truth.listeners.remove(self._truth_changed)

    def sync(self) -> Process:
        """Read all API servers; end when each has answered, or the remote ones have had their time (spec §4.2).

        Its own is waited for as long as it takes, and so is the one that keeps the configuration, and a secret for it.
        """
        env, life, watched = self._mesh.env, self._life, self._group.plane.watches
        self.running = True
        # Istio waits for as long as it takes if the limit is zero.
        deadline = env.now + (self._mesh.document.istiod.remote_cluster_timeout or math.inf)
        for cluster in watched:
            self.add(cluster)
        while life == self._life:
            missing = [cluster for cluster in watched if self._is_missing(cluster)]
            if not any(self._is_needed(cluster) for cluster in missing) and (not missing or env.now >= deadline):
                self._knows_since = env.now
                self._learnt.clear()
                return
            self._news = env.event()
            yield self._news | env.at(deadline) if env.now < deadline < math.inf else self._news

    def _is_missing(self, cluster: str) -> bool:
        """Return whether a cluster has not answered yet; one without a secret is not asked."""
        watch = self._watches.get(cluster)
        return self._is_needed(cluster) if watch is None else not watch.synced

    def add(self, cluster: str) -> None:
        """Watch a cluster, if there is a secret for it."""
        if cluster not in self._watches and (self._is_home(cluster) or self._stored(cluster) is not None):
            self._open(cluster)

    def _open(self, cluster: str, *, at_once: bool = False) -> None:
        watch = self._watches[cluster] = Watch({}, {}, holds=self._stored(cluster))
        self._watches = {name: self._watches[name] for name in self._group.plane.watches if name in self._watches}
        self._forget_what_was_told()
        if at_once:
            watch.closed = self._mesh.env.event()
            self._know(cluster, watch)
        self._mesh.env.process(self._keep_open(cluster, watch, self._life))

    def _stored(self, cluster: str) -> int | None:
        return self._group.credentials[cluster].stored

    def drop(self, cluster: str) -> None:
        """Forget a cluster whose secret was removed: its endpoints and gateways are no longer sent to anybody.

        The secret for the cluster that keeps its configuration is a file to istiod, which it reads when it starts.
        """
        if cluster in self._watches and not self._is_needed(cluster):
            self._close(cluster)
            del self._watches[cluster]
            self._forget_what_was_told()
            self._learn(GATEWAYS, self._mesh.env.now)

    def renew(self, cluster: str) -> None:
        """Read a cluster's new secret, and open the watch with it."""
        if cluster in self._watches:
            self._watches[cluster].holds = self._stored(cluster)
        else:
            self.add(cluster)

    # --- watches --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Close the watches whose way or API server is lost."""
        for cluster in self._watches:
            if not self._reachable(cluster):
                self._close(cluster)

    def _close(self, cluster: str) -> None:
        watch = self._watches[cluster]
        if watch.closed is not None and watch.is_open:
            watch.closed.succeed()

    def _keep_open(self, cluster: str, watch: Watch, life: int) -> Process:
        """List a cluster and watch it, again and again, while this process lives and has a secret for it."""
        env, pause = self._mesh.env, FIRST_PAUSE
        random = self._mesh.streams.of(f"watch/{self._name}/{cluster}/{life}")
        while self._is_current(cluster, watch, life):
            if not watch.is_open and self._reachable(cluster):
                yield env.timeout(2.0 * self._mesh.network.one_way(self._zone, self._mesh.api_servers[cluster].zone))
                if self._is_current(cluster, watch, life) and self._reachable(cluster):
                    watch.closed = env.event()
                    self._read(cluster, watch)
                    if not self._news.triggered:
                        self._news.succeed()
            if watch.closed is not None and watch.is_open:
                yield watch.closed
                pause = FIRST_PAUSE
            yield env.timeout(pause * (1.0 + float(random.random())))
            pause = min(2.0 * pause, LONGEST_PAUSE)

    def _is_current(self, cluster: str, watch: Watch, life: int) -> bool:
        return life == self._life and self._watches.get(cluster) is watch

    def _know(self, cluster: str, watch: Watch) -> None:
        """Have heard of all that there is in a cluster, so that nothing of it is news."""
        truth = self._mesh.truth
        watch.synced = True
        watch.heard = {name: shard for name, shard in truth.shards_of(cluster).items() if shard.endpoints}
        watch.since = {service: truth.since.get((service, cluster), 0.0) for service in watch.heard}
        watch.gateways = truth.gateways_of(cluster)

    def _read(self, cluster: str, watch: Watch) -> None:
        """List everything of a cluster; what differs from before is news, whenever it happened."""
        truth, now = self._mesh.truth, self._mesh.env.now
        watch.synced = True
        there = truth.shards_of(cluster)
        for service in self._mesh.document.services:
            if service in there or service in watch.heard:
                as_of = truth.since.get((service, cluster), 0.0)
                self._hear(cluster, service, truth.shard(service, cluster), as_of, now)
        if watch.gateways != truth.gateways_of(cluster):
            watch.gateways = truth.gateways_of(cluster)
            self._addresses = None
            self._learn(GATEWAYS, now)
        if cluster == self._group.plane.config_cluster and self.applied != self._group.applied:
            self._hear_configuration(now)

    def _truth_changed(self, service: str, cluster: str) -> None:
        watch = self._watches.get(cluster)
        if watch is not None and watch.closed is not None and watch.is_open:
            self._mesh.env.process(self._carry(cluster, service, watch, watch.closed))

    def _carry(self, cluster: str, service: str, watch: Watch, closed: simpy.Event) -> Process:
        """Carry one change from an API server to istiod, unless the watch is closed before it arrives."""
        truth = self._mesh.truth
        shard, gateways, since = (
            truth.shard(service, cluster),
            truth.gateways_of(cluster),
            truth.since[service, cluster],
        )
        yield from self._travel(cluster, f"{service}/{since!r}")
        if closed.triggered or self._watches.get(cluster) is not watch:
            return
        if service != GATEWAYS:
            self._hear(cluster, service, shard, since, since)
        elif gateways != watch.gateways and since >= watch.since.get(GATEWAYS, 0.0):
            watch.gateways, watch.since[GATEWAYS] = gateways, since
            self._addresses = None
            self._learn(GATEWAYS, since)

    def _travel(self, cluster: str, what: str) -> Process:
        mesh = self._mesh
        latency = mesh.streams.duration(f"watch/{self._name}/{cluster}/{what}", mesh.document.kubernetes.watch_latency)
        yield mesh.env.timeout(mesh.network.one_way(mesh.api_servers[cluster].zone, self._zone) + latency)

    def _hear(self, cluster: str, service: str, shard: Shard, as_of: float, since: float) -> None:
        """Take the state of a service in a cluster ``as_of`` a time; as a change it counts ``since`` another."""
        watch = self._watches[cluster]
        if as_of < watch.since.get(service, -1.0):
            return  # an informer delivers the latest state; an older one that was slower is not taken
        if watch.heard.get(service) is not shard and (shard.endpoints or service in watch.heard):
            watch.heard[service], watch.since[service] = shard, as_of
            self._told.pop(service, None)
            self._learn(service, since)

    # --- configuration --------------------------------------------------------------------------------------

    def configuration_changed(self) -> None:
        """Hear, after a while, of a change of the configuration."""
        watch = self._watches.get(self._group.plane.config_cluster)
        if watch is not None and watch.is_open:
            self._mesh.env.process(self._carry_configuration(self._life, self._mesh.env.now))

    def _carry_configuration(self, life: int, since: float) -> Process:
        yield from self._travel(self._group.plane.config_cluster, f"configuration/{since!r}")
        if life == self._life and self.applied != self._group.applied:
            self._hear_configuration(since)

    def _hear_configuration(self, since: float) -> None:
        self.applied = self._group.applied
        self._changed(GATEWAYS, since)
