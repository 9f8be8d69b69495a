"""istiod: watches API servers, debounces, and pushes endpoints to the proxies it serves (spec §5.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.truth import Endpoints
from meshsim.mesh.deployment import ControlPlane
from meshsim.mesh.places import OUTSIDE

#: Proxies one istiod pushes to at once, and accepts per second: 15 + 5 a core, at most 100 (spec §5.1).
THROTTLE_BASE, THROTTLE_PER_CPU, THROTTLE_MOST = 15, 5, 100
#: Envoy reconnects after a pause drawn from zero to this many seconds (jittered back-off, 0.5 s base).
RECONNECT_JITTER = 0.5

#: Version of a list of endpoints that istiod has not heard of.
NEVER = -1


class Istiod:
    """One control plane: all its replicas, which share what they know and divide the proxies.

    Parameters
    ----------
    mesh
        The run.
    plane
        Where it runs, whom it serves and what it watches.
    """

    def __init__(self, mesh: Mesh, plane: ControlPlane) -> None:
        self.mesh = mesh
        self.plane = plane
        self.settings = settings = mesh.document.istiod
        self.down = 0
        self.life = 0
        throttle = min(THROTTLE_BASE + THROTTLE_PER_CPU * settings.cpu, THROTTLE_MOST) * settings.replicas
        self._workers: deque[float] = deque([0.0] * throttle)
        self._accepts = float(throttle)
        self._known: dict[str, dict[str, Endpoints]] = {}
        self._heard: dict[tuple[str, str], int] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._dirty: dict[str, float] = {}
        self._last_change = 0.0
        self._changed = mesh.env.event()
        self._queued: dict[Proxy, dict[str, float]] = {}
        self._missed: dict[Proxy, dict[str, float]] = {}

    def begin(self) -> None:
        """Start in step with the world: caches synced, every proxy it serves configured."""
        for service, shards in self.mesh.truth.endpoints.items():
            self._known[service] = {name: shards[name] for name in self.plane.watches if name in shards}
            self._heard |= {(service, name): 0 for name in self.plane.watches}
        for proxy in self.mesh.proxies.values():
            if proxy.client.cluster in self.plane.serves:
                self.configure(proxy)
        self.mesh.truth.listeners.append(self._truth_changed)
        self.mesh.env.process(self._debounce())

    @property
    def up(self) -> bool:
        """Return whether it runs and has synced its caches."""
        return self.down == 0

    def reaches(self, cluster: str) -> bool:
        """Return whether it and a cluster can talk: remote ones through its home's east-west gateway (15012, 15017)."""
        if not self.up or cluster == self.plane.home:
            return self.up
        gateway = self.mesh.gateways.get(self.plane.home)
        return (gateway is None or gateway.alive) and self.mesh.network.open(
            self.mesh.home_zone(self.plane.home), self.mesh.home_zone(cluster)
        )

    # --- what it knows --------------------------------------------------------------------------------------

    def endpoints(self, service: str) -> Endpoints:
        """Return the endpoints it knows, cluster by cluster; those that are in none are its own configuration."""
        shards = self._known.get(service, {})
        known = tuple(endpoint for cluster in self.plane.watches for endpoint in shards.get(cluster, ()))
        return known + self.mesh.truth.shard(service, OUTSIDE)

    def _truth_changed(self, service: str, cluster: str) -> None:
        if cluster not in self.plane.watches:
            return
        version = self._versions[service, cluster] = self._versions.get((service, cluster), 0) + 1
        if self.up:
            self.mesh.env.process(self._watch(service, cluster, version, self.life))

    def _watch(self, service: str, cluster: str, version: int, life: int) -> Process:
        """Carry one change from an API server to istiod."""
        mesh, changed_at = self.mesh, self.mesh.env.now
        endpoints = mesh.truth.shard(service, cluster)
        name = f"watch/{self.plane.home}/{cluster}/{service}/{version}"
        travel = mesh.network.one_way(mesh.home_zone(cluster), mesh.home_zone(self.plane.home))
        yield mesh.env.timeout(travel + mesh.streams.duration(name, mesh.document.kubernetes.watch_latency))
        if life == self.life and self._watching(cluster):
            self._hear(service, cluster, endpoints, version, changed_at)

    def _watching(self, cluster: str) -> bool:
        here, there = self.mesh.home_zone(self.plane.home), self.mesh.home_zone(cluster)
        return self.up and not self.mesh.lost[cluster] and self.mesh.network.open(here, there)

    def _hear(self, service: str, cluster: str, endpoints: Endpoints, version: int, changed_at: float) -> None:
        if version <= self._heard.get((service, cluster), NEVER):
            return  # an informer delivers the latest state; an older one that was slower is not taken
        self._heard[service, cluster] = version
        self._known.setdefault(service, {})[cluster] = endpoints
        self._dirty.setdefault(service, changed_at)
        self._last_change = self.mesh.env.now
        if not self._changed.triggered:
            self._changed.succeed()

    def sync(self, clusters: Iterable[str]) -> None:
        """Learn everything that the reachable API servers know (a start, or a watch that is open again)."""
        for cluster in clusters:
            if cluster in self.plane.watches and self._watching(cluster):
                for service in self.mesh.document.services:
                    version = self._versions.get((service, cluster), 0)
                    if version > self._heard.get((service, cluster), NEVER):
                        endpoints = self.mesh.truth.shard(service, cluster)
                        self._hear(service, cluster, endpoints, version, self.mesh.env.now)

    # --- pushing --------------------------------------------------------------------------------------------

    def _debounce(self) -> Process:
        """Push when changes have been quiet for a while, or have gone on for long enough (spec §5.1)."""
        env = self.mesh.env
        while True:
            yield self._changed
            first = env.now
            while True:
                quiet = self._last_change + self.settings.debounce_after
                latest = first + self.settings.debounce_max
                if env.now >= quiet or env.now >= latest:
                    break
                yield env.at(min(quiet, latest))
            self._changed = env.event()
            dirty, self._dirty = self._dirty, {}
            if self.up:
                self._push(dirty)

    def _push(self, dirty: dict[str, float]) -> None:
        """Queue every proxy it serves that one of the services matters to."""
        for cluster in self.plane.serves:
            for service, changed_at in dirty.items():
                for proxy, seen in self.mesh.concerned(service):
                    if proxy.client.cluster == cluster:
                        self._enqueue(proxy, seen, changed_at)

    def _enqueue(self, proxy: Proxy, service: str, changed_at: float) -> None:
        waiting = self._queued.get(proxy)
        if waiting is not None:
            waiting.setdefault(service, changed_at)
            return
        self._queued[proxy] = {service: changed_at}
        start = max(self._workers.popleft(), self.mesh.env.now)
        self._workers.append(start + self.settings.push_time)
        self.mesh.env.process(self._send(proxy, start + self.settings.push_time, self.life))

    def _send(self, proxy: Proxy, generated: float, life: int) -> Process:
        """Generate one proxy's update, send it, and let the proxy apply it."""
        mesh = self.mesh
        yield mesh.env.at(generated)
        if life != self.life:
            return
        services = self._queued.pop(proxy)
        updates = [(name, mesh.view_of(proxy, name, self.endpoints), at) for name, at in services.items()]
        if not self.reaches(proxy.client.cluster):
            self._missed.setdefault(proxy, {}).update(services)
            return
        # One stream to a proxy: what is sent later does not arrive earlier.
        proxy.reached = max(
            proxy.reached, mesh.env.now + mesh.network.one_way(mesh.home_zone(self.plane.home), proxy.zone)
        )
        yield mesh.env.at(proxy.reached)
        if mesh.proxies.get(proxy.number) is not proxy:
            return
        for service, view, changed_at in updates:
            if mesh.apply(proxy, service, view):
                mesh.recorder.converged(proxy.client.cluster, mesh.env.now - changed_at)

    def configure(self, proxy: Proxy) -> None:
        """Give a proxy that connects for the first time everything it asks for."""
        for service in proxy.destinations:
            self.mesh.apply(proxy, service, self.mesh.view_of(proxy, service, self.endpoints))

    # --- failure --------------------------------------------------------------------------------------------

    def fail(self) -> None:
        """Lose all replicas, with everything they know and have queued."""
        self.down += 1
        if self.down > 1:
            return
        self.life += 1
        self._known.clear()
        self._heard.clear()
        self._dirty.clear()
        self._queued.clear()
        self._missed.clear()

    def recover(self) -> Process:
        """Start again: sync the caches, then let the proxies reconnect at the rate istiod accepts."""
        yield self.mesh.env.timeout(self.settings.restart_time)
        self.down -= 1
        if self.down > 0:
            return
        self._workers = deque([0.0] * len(self._workers))
        self.sync(self.plane.watches)
        self.reconnect(self.plane.serves)

    def reconnect(self, clusters: Iterable[str]) -> None:
        """Let the proxies of some clusters open their streams again and receive what they have missed."""
        wanted = [name for name in clusters if name in self.plane.serves and self.reaches(name)]
        proxies = [proxy for proxy in self.mesh.proxies.values() if proxy.client.cluster in wanted]
        for place, proxy in enumerate(proxies):
            self.mesh.env.process(self._reconnect(proxy, place / self._accepts, self.life))

    def _reconnect(self, proxy: Proxy, turn: float, life: int) -> Process:
        jitter = RECONNECT_JITTER * self.mesh.streams.of(f"reconnect/{proxy.number}/{life}").random()
        yield self.mesh.env.timeout(turn + jitter)
        if life == self.life and self.mesh.proxies.get(proxy.number) is proxy:
            since = self._missed.pop(proxy, {})
            for service in proxy.destinations:
                self._enqueue(proxy, service, since.get(service, self.mesh.env.now))


def serving(istiods: Iterable[Istiod], cluster: str) -> Istiod:
    """Return the control plane that serves a cluster's proxies."""
    return next(istiod for istiod in istiods if cluster in istiod.plane.serves)
