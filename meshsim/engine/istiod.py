"""One replica of istiod: its life, what it knows, whom it serves and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshsim.engine.discovery import Informers
from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh
from meshsim.engine.push import Pushes, throttle
from meshsim.engine.xds import Stream

if TYPE_CHECKING:
    from meshsim.engine.control_plane import IstiodGroup

#: A connection that would have to wait longer than this for the rate limit is refused (seconds).
LONGEST_WAIT = 1.0


class Istiod:
    """A replica.

    Parameters
    ----------
    mesh, group
        The run, and the control plane it is of.
    number
        Its number within the control plane; with the group's name the key of its draws.
    zone
        Number of the zone it runs in.
    """

    def __init__(self, mesh: Mesh, group: IstiodGroup, number: int, zone: int) -> None:
        self.mesh = mesh
        self.group = group
        self.number = number
        self.zone = zone
        self.record = mesh.recorder.control_planes[group.plane.name]
        self.causes: list[bool] = []
        self.ready = False
        self.streams: dict[int, Stream] = {}
        self.pushes = Pushes(mesh, self)
        self.informers = Informers(mesh, group, f"{group.plane.name}/{number}", zone, self.pushes.changed)
        self.started = mesh.env.event()
        self.ended = mesh.env.event()
        self._next = 0.0
        self._life = 0

    @property
    def silent(self) -> bool:
        """Return whether connections to it get no answer, not even a refusal."""
        return any(self.causes)

    def memory(self) -> float:
        """Return how much memory it takes, bytes: a base, its proxies, and the services of each cluster it watches."""
        settings, watched = self.mesh.document.istiod, len(self.group.plane.watches)
        services = settings.memory_per_service * len(self.mesh.document.services) * watched
        return float(settings.memory + settings.memory_per_proxy * len(self.streams) + services)

    # --- life -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Be ready at time zero."""
        self.informers.begin()
        self.pushes.begin()
        self._set_ready(ready=True)

    def create(self, after: float) -> None:
        """Start as a new pod, ``after`` so many seconds."""
        self.pushes.begin()
        self.mesh.env.process(self._start(after, self._life))

    def fail(self, *, silent: bool) -> None:
        """Be lost, for one more cause, with all it knows; ``silent``: without closing its connections."""
        self.causes.append(silent)
        if len(self.causes) == 1:
            self._stop()
        for stream in list(self.streams.values()):
            stream.look()

    def recover(self, *, silent: bool) -> None:
        """Take one cause away; without any it starts again."""
        self.causes.remove(silent)
        if not self.causes:
            self._life += 1
            self.mesh.env.process(self._start(self.mesh.document.istiod.restart_time, self._life))

    def remove(self) -> None:
        """Be gone for good."""
        self.fail(silent=False)
        self.informers.close()
        self.ended.succeed()

    def _stop(self) -> None:
        self._life += 1
        self._set_ready(ready=False)
        self.informers.forget()
        self.pushes.clear()

    def _start(self, after: float, life: int) -> Process:
        """Start the process, read what is to be known, and be ready, unless this ``life`` has ended before."""
        yield self.mesh.env.timeout(after)
        if life != self._life:
            return
        for stream in list(self.streams.values()):  # a new process answers those of the old one with a reset
            stream.lose()
        yield from self.informers.sync()
        if life == self._life:
            self._set_ready(ready=True)
            self.mesh.recorder.event(self.mesh.env.now, "control plane ready", self.group.plane.name, f"{self.number}")

    def _set_ready(self, *, ready: bool) -> None:
        if ready != self.ready:
            self.ready = ready
            self.record.ready.add(1 if ready else -1, self.mesh.env.now)
            if ready and not self.started.triggered:
                self.started.succeed()
            self.group.readiness_changed()

    # --- connections ----------------------------------------------------------------------------------------

    def accept(self, now: float) -> float | None:
        """Return how long a new connection waits for the rate limit, seconds; None if it is refused."""
        wait = max(self._next - now, 0.0)
        if wait > LONGEST_WAIT:
            return None
        self._next = now + wait + 1.0 / throttle(self.mesh.document.istiod.cpu)
        return wait

    def connect(self, stream: Stream) -> None:
        """Serve a proxy from now on."""
        self.streams[stream.proxy.number] = stream
        self.record.connections += 1
        self.record.connected.add(1, self.mesh.env.now)

    def disconnect(self, stream: Stream) -> None:
        """Serve a proxy no longer."""
        del self.streams[stream.proxy.number]
        self.record.connected.add(-1, self.mesh.env.now)
