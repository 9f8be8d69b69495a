"""Gateways' Deployments: replicas that start, drain, are scaled and rolled out like other pods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from meshsim.engine.east_west import NOT_SCALED
from meshsim.engine.environment import Process
from meshsim.engine.mesh import Proxy
from meshsim.engine.replica_sets import Member
from meshsim.scenario.schema import Gateway

if TYPE_CHECKING:
    from meshsim.engine.kubernetes import Cluster


class GatewaySet:
    """The Deployment of a gateway in one cluster, and the Service in front of it.

    A replica is one of the proxies in ``pool``; one that does not run is down for the cause `NOT_SCALED`.

    Parameters
    ----------
    cluster
        Where it runs.
    kind
        ``east-west`` or ``ingress``.
    settings
        What the scenario says of it.
    pool
        Its proxies; the list is shared, and the entry of a replica that starts again is replaced.
    more
        Adds a proxy to the pool; without it there are no more than the pool has.

    Attributes
    ----------
    desired
        How many replicas are wanted.
    serving
        Replicas that the Service leads new connections to. A fault that takes one down does not change it.
    on_change
        Called with the set when ``serving`` changes.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: str,
        settings: Gateway,
        pool: list[Proxy],
        more: Callable[[], None] | None = None,
    ) -> None:
        self.cluster = cluster
        self.kind = kind
        self.settings = settings
        self.pool = pool
        self.desired = 0
        self.starting = 0
        self.serving: list[Proxy] = []
        self.on_change: list[Callable[[GatewaySet], None]] = []
        self._more = more
        self._mesh = cluster.mesh
        self._filled: dict[int, int] = {}
        self._in_use: set[int] = set()
        self._pending = 0
        self._surging = 0

    @property
    def name(self) -> str:
        """Return ``cluster/kind gateway``."""
        return f"{self.cluster.name}/{self.kind} gateway"

    @property
    def replicas(self) -> int:
        """Return how many replicas are wanted."""
        return self.desired

    def members(self) -> Iterable[Member]:
        """Return the replicas that serve; they have no pod in the data plane."""
        return [(-1, proxy.number) for proxy in self.serving]

    def begin(self) -> None:
        """Have the first replicas serve; the control plane does not know of the others."""
        for place, proxy in enumerate(self.pool):
            if NOT_SCALED in proxy.causes:
                self._mesh.forget(proxy)
            else:
                self._in_use.add(place)
                self.serving.append(proxy)
        self.desired = len(self.serving)
        self._changed()

    def _changed(self) -> None:
        self.cluster.changes += 1
        for hook in self.on_change:
            hook(self)

    # --- replicas come and go -------------------------------------------------------------------------------

    def _free(self) -> list[int]:
        """Return the places in the pool whose proxies do not run."""
        places = [place for place in range(len(self.pool)) if place not in self._in_use]
        if not places and self._more is not None:
            self._more()
            places = [len(self.pool) - 1]
        return places

    def _take_place(self) -> Process:
        """Return a place in the pool that is taken from now on; one that drains leaves its place soon."""
        yield from self._mesh.env.until(lambda: bool(self._free()))
        place = self._free()[0]
        self._in_use.add(place)
        return place

    def _wanted(self) -> bool:
        """Return whether the replicas that there are, or are about to be, are not too many."""
        return len(self.serving) + self._pending <= self.desired + self._surging

    def _start(self) -> Process:
        """Start a replica: admission (gateways are injected, too), image, configuration and certificate."""
        cluster, mesh = self.cluster, self._mesh
        self._pending += 1
        place = yield from self._take_place()
        number = self._filled[place] = self._filled.get(place, 0) + 1
        zone, name = self.pool[place].client.zone, f"{self.pool[place].name}.{number}"
        yield from cluster.admission.until_up(zone)
        if not (yield from cluster.admission.admit(name, "", self._wanted, injected=True)):
            self._in_use.discard(place)
            self._pending -= 1
            return
        self.starting += 1
        yield mesh.env.timeout(mesh.streams.duration(f"start/{name}", cluster.settings.pod_start))
        yield from cluster.admission.until_there(zone)
        proxy = self._renew(place)
        yield from cluster.join_mesh(proxy, injected=True)
        yield from cluster.admission.until_up(zone)
        self.starting -= 1
        self._pending -= 1
        self.serving.append(proxy)
        self._changed()
        mesh.recorder.event(mesh.env.now, "pod ready", name, self.name)
        if len(self.serving) > self.desired + self._surging:  # scaled down meanwhile
            self._drop(proxy)

    def _renew(self, place: int) -> Proxy:
        """Let a proxy run that did not; to the control plane it is a new one."""
        old = self.pool[place]
        if NOT_SCALED in old.causes:
            destinations = [number for numbers in old.destinations.values() for number in numbers]
            proxy = self._mesh.register(old.number, old.name, old.kind, old.client, destinations)
            proxy.causes = old.causes
            self.pool[place] = proxy
            self._mesh.regain_gateway(self.cluster.name, proxy, NOT_SCALED)
            self._mesh.paths_changed()
        return self.pool[place]

    def _drop(self, proxy: Proxy) -> None:
        """Take a replica out of the Service; its connections stay for the drain time."""
        self.serving.remove(proxy)
        self._changed()
        self._mesh.env.process(self._drain(proxy))

    def _drain(self, proxy: Proxy) -> Process:
        yield self._mesh.env.timeout(self.cluster.settings.drain)
        self.cluster.identity.forget(proxy)
        self._mesh.forget(proxy)
        self._mesh.lose_gateway(self.cluster.name, proxy, NOT_SCALED)
        self._mesh.paths_changed()
        self._in_use.discard(self.pool.index(proxy))

    # --- what people and controllers do ---------------------------------------------------------------------

    def scale(self, replicas: int) -> None:
        """Change the number of replicas: new ones start as pods do, the newest go first."""
        self.cluster.admission.when_up(lambda: self._scale(replicas))

    def _scale(self, replicas: int) -> None:
        env = self._mesh.env
        self._mesh.recorder.event(env.now, "scaled", self.name, f"{self.desired} to {replicas} replicas")
        self.desired = replicas
        for _ in range(replicas + self._surging - len(self.serving) - self._pending):
            env.process(self._start())
        while len(self.serving) > replicas + self._surging:
            self._drop(self.serving[-1])

    def roll_out(self) -> Process:
        """Replace every replica, within the surge and unavailable limits."""
        yield from self.cluster.admission.until_up()
        waiting = list(self.serving)
        yield from self.cluster.replace_all(
            self.name, len(waiting), "replicas", lambda late: self._lane(waiting, first_delete=late)
        )

    def _lane(self, waiting: list[Proxy], *, first_delete: bool) -> Process:
        """Replace replicas one after the other; where the pool has no room for one more, the old one goes first."""
        env = self._mesh.env
        while waiting:
            proxy = waiting.pop(0)
            yield from self.cluster.admission.until_up(proxy.client.zone)
            if proxy not in self.serving:  # scaled down meanwhile
                continue
            if first_delete or not self._free():
                self._drop(proxy)
                yield env.process(self._start())
                continue
            self._surging += 1
            yield env.process(self._start())
            yield from self.cluster.admission.until_up()
            self._surging -= 1
            if proxy in self.serving and len(self.serving) > self.desired + self._surging:
                self._drop(proxy)
