"""What it takes to create and change pods: an API server that answers, its injection webhook, and nodes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from meshsim.engine.control_plane import IstiodGroup
from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh

#: A pause between two tries doubles up to this many times the first one.
MOST_PAUSES = 16


class Admission:
    """The way to the API server of a cluster, and what that needs in turn (spec §5.3, §5.4).

    Parameters
    ----------
    mesh
        The run.
    cluster
        The cluster.
    group
        The control plane that serves it, whose webhook its API server asks.
    lost
        The cluster's zones in which nothing runs, with the number of causes.
    """

    def __init__(self, mesh: Mesh, cluster: str, group: IstiodGroup, lost: Counter[str]) -> None:
        self._mesh = mesh
        self._cluster = cluster
        self._group = group
        self._lost = lost
        self._server = mesh.api_servers[cluster]
        self._first_pause = mesh.document.kubernetes.retry_create
        self._waiting: deque[Callable[[], object]] = deque()

    def until_up(self, zone: str | None = None) -> Process:
        """Wait until the API server answers and, if one is given, a zone is not lost."""
        return self._mesh.env.until(lambda: self._server.up and (zone is None or self._lost[zone] <= 0))

    def until_there(self, zone: str) -> Process:
        """Wait until a zone is not lost."""
        return self._mesh.env.until(lambda: self._lost[zone] <= 0)

    def when_up(self, action: Callable[[], object]) -> None:
        """Do something that needs the API server: now, or when it is back, in the order of the calls."""
        if self._server.up and not self._waiting:
            action()
            return
        self._waiting.append(action)
        if len(self._waiting) == 1:
            self._mesh.env.process(self._catch_up())

    def _catch_up(self) -> Process:
        while self._waiting:
            yield from self.until_up()
            self._waiting[0]()
            self._waiting.popleft()

    def admit(self, name: str, service: str, wanted: Callable[[], bool], *, injected: bool) -> Process:
        """Have a pod created; return whether it was, before it was no longer ``wanted``.

        Where a sidecar is injected the API server has to reach the webhook: failurePolicy Fail rejects the pod while
        it does not. Whoever creates it tries again after pauses that double.

        Parameters
        ----------
        name, service
            The pod, and the service that counts it; none for a gateway.
        wanted
            Tells whether it is still wanted.
        injected
            Whether the webhook is asked.
        """
        env, recorder, pause, since = self._mesh.env, self._mesh.recorder, self._first_pause, None
        while wanted() and not (self._server.up and (not injected or self._group.admits(self._cluster))):
            if not self._server.up:
                yield from self.until_up()
                continue
            if since is None:
                since = env.now
                recorder.event(since, "pod rejected", name, "the injection webhook cannot be reached")
                self._block(service, 1)
            if service:
                recorder.count("rejected", self._cluster, service)
            yield env.timeout(pause)
            pause = min(2.0 * pause, MOST_PAUSES * self._first_pause)
        if since is not None:
            self._block(service, -1)
        return wanted()

    def _block(self, service: str, change: int) -> None:
        """Count a service's pods that wait for the webhook; those of gateways are not counted."""
        if service:
            self._mesh.recorder.blocked.add((self._cluster, service), change, self._mesh.env.now)
            if change > 0:
                self._mesh.recorder.count("blocked", self._cluster, service)
