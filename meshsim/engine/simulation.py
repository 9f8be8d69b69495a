"""One run: a scenario under one deployment model and one replication, from time zero to its end."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from meshsim.engine.autoscaler import Autoscaling
from meshsim.engine.buckets import BUCKETS, most_buckets
from meshsim.engine.control_plane import IstiodGroup
from meshsim.engine.environment import Environment, Process, advance_freely, advance_stepwise
from meshsim.engine.identity import Identity
from meshsim.engine.kubernetes import Cluster
from meshsim.engine.load import Load
from meshsim.engine.mesh import Mesh
from meshsim.engine.prepared import Prepared, prepare
from meshsim.engine.recorder import Columns
from meshsim.engine.timeline import Timeline
from meshsim.engine.timeline.reach import Reach
from meshsim.mesh.deployment import control_planes
from meshsim.mesh.placement import place
from meshsim.scenario import Scenario
from meshsim.scenario.happenings import happenings
from meshsim.scenario.sampling import windows


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let nothing look for garbage meanwhile: what is built stays, and a large mesh has millions of objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Simulation:
    """A run that can be stepped, watched and interfered with.

    Parameters
    ----------
    prepared
        The scenario, or what `prepare` made of it.
    deployment
        Name of one of the scenario's deployments.
    replication
        Number of the run; with the scenario's seed, the key of every draw.
    stepwise
        Whether every request event is an event on SimPy's calendar, so that other SimPy processes can watch or
        interfere between any two. Numbers are the same to the last bit.

    Attributes
    ----------
    env
        SimPy's environment; add processes of your own before `run`.
    """

    @_without_collector()
    def __init__(
        self, prepared: Prepared | Scenario, deployment: str, replication: int = 0, *, stepwise: bool = False
    ) -> None:
        if isinstance(prepared, Scenario):
            prepared = prepare(prepared)
        self.scenario = prepared.scenario
        self.document = prepared.scenario.document
        self.deployment = deployment
        self.replication = replication
        planes = control_planes(self.document, deployment)
        self.mesh = Mesh(prepared, planes, replication)
        self.load = Load(self.mesh)
        self.groups = self.mesh.groups
        self.groups |= {plane.name: IstiodGroup(self.mesh, plane) for plane in planes}
        self.identity = Identity(self.mesh)
        placed = place(self.document)
        self.clusters = {
            name: Cluster(
                self.mesh,
                name,
                self.mesh.group_of(name),
                self.identity,
                [body for body in placed if body.cluster == name],
            )
            for name in self.mesh.clusters
        }
        for cluster in self.clusters.values():
            cluster.begin()
        self.load.begin(self.clusters)
        for group in self.groups.values():
            group.begin()
        self.identity.begin()
        self.mesh.begin()
        Autoscaling(self.mesh, self.clusters, self.groups.values()).begin()
        Timeline(Reach(self.mesh, self.clusters, self.load, self.identity, deployment)).begin()
        advance = advance_stepwise if stepwise else advance_freely
        self._watcher: Callable[[float], None] | None = None
        self.env.process(self._close_buckets())
        self._requests = self.env.process(advance(self.env, self.mesh.plane, self.document.duration))

    @property
    def env(self) -> Environment:
        """Return SimPy's environment."""
        return self.mesh.env

    def run(self, watch: Callable[[float], None] | None = None) -> dict[str, Columns]:
        """Run to the end and return the tables as columns.

        Parameters
        ----------
        watch
            Called with the simulated time (seconds) at the end of every time bucket.
        """
        self._watcher = watch
        self.env.run(until=self._requests)
        self._close(self.document.duration, last=True)
        self.mesh.recorder.totals(self._totals())
        return self.mesh.recorder.columns(self.deployment, self.replication)

    def _close_buckets(self) -> Process:
        cuts = phase_edges(self.scenario)
        for edge in bucket_edges(self.scenario, cuts):
            yield self.env.at(edge, priority=0)
            self._close(edge, last=edge in cuts)

    def _close(self, now: float, *, last: bool) -> None:
        mesh = self.mesh
        proxies = dict.fromkeys(mesh.clusters, 0)
        for proxy in mesh.proxies.values():
            proxies[proxy.client.cluster] += 1
        self.identity.settle()
        mesh.recorder.close_bucket(now, proxies, mesh.pushes, last=last)
        mesh.pushes.clear()
        if self._watcher is not None:
            self._watcher(now)

    def _totals(self) -> list[tuple[str, str, float]]:
        clock = self.mesh.plane.world.clock[0]
        end = self.document.duration
        pods = self.mesh.plane.pods
        values = {
            "requests arrived": clock.arrived,
            "requests ended": clock.ended,
            "requests in flight": clock.in_flight,
            "request-seconds in the system": clock.area + clock.in_flight * (end - clock.area_since),
            "calls started": clock.calls_started,
            "calls ended": clock.calls_ended,
            "events handled": clock.handled,
            "control planes": len(self.groups),
            "worker-seconds demanded": clock.demand,
            "worker-seconds busy": float((pods.busy_area + pods.busy * (end - pods.busy_since)).sum()),
        }
        return [(name, "", float(value)) for name, value in values.items()]


def bucket_width(duration: float, most: int = BUCKETS) -> float:
    """Return the width of time buckets in seconds: the next of 1, 2 and 5 times a power of ten of which ``most`` do.

    Examples
    --------
    >>> bucket_width(600.0), bucket_width(86_400.0)
    (5.0, 1000.0)
    """
    least = duration / most
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in (1.0, 2.0, 5.0, 10.0) if power * step >= least * (1 - 1e-9))


def phase_edges(scenario: Scenario) -> frozenset[float]:
    """Return when warm-up ends, when events of the timeline begin and end, and when windows do, in seconds.

    Of an event that is repeated only the first start and the last end count: thousands of edges would be as many time
    buckets, and no phase needs them.
    """
    document = scenario.document
    edges = {document.warm_up}
    last: dict[int, float] = {}
    for happening in happenings(document):
        if happening.repetition == 1:
            edges.add(happening.start)
        last[happening.index] = happening.start if happening.end is None else happening.end
    edges.update(last.values())
    edges.update(edge for window in windows(document) or () for edge in window)
    return frozenset(edge for edge in edges if 0.0 < edge < document.duration)


def bucket_edges(scenario: Scenario, cuts: frozenset[float] | None = None) -> list[float]:
    """Return where time buckets end, in seconds: a regular grid and the edges of phases, found here if not given.

    In windows the grid is as fine as if there were nothing else.
    """
    document = scenario.document
    duration, counted = document.duration, windows(document) or ()
    most = most_buckets(document)
    width = bucket_width(duration, most)
    fine = bucket_width(sum(end - start for start, end in counted) or duration, most)
    grid = (width * number for number in range(1, math.ceil(duration / width)))
    edges = {edge for edge in grid if not any(start < edge < end for start, end in counted)}
    for start, end in counted:
        edges.update(start + fine * number for number in range(1, math.ceil((end - start) / fine)))
    return sorted((edges | (phase_edges(scenario) if cuts is None else cuts)) - {0.0, duration})
