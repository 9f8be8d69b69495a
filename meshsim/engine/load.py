"""Load: sources of user requests at the ingress gateways, and how their rates follow phases and surges."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshsim.dataplane import state
from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh
from meshsim.mesh.placement import spread, zones_of
from meshsim.scenario.schema import DiurnalPhase, EntryLoad, Gateway, LoadPhase, RampPhase, SpikePhase

#: Ramps and curves are followed in steps of this many seconds (a curve: in 1440 steps a period, or 100 000 a run).
STEP = 1.0
_KINDS = {"poisson": state.POISSON, "constant": state.STEADY, "closed": state.CLOSED}


@dataclass(slots=True, eq=False)
class Stream:
    """One entry's requests at one ingress gateway replica."""

    number: int
    cluster: str
    rate: float
    load: EntryLoad
    factor: float = 1.0
    surges: list[float] = field(default_factory=list)


class Load:
    """All streams of a run.

    Parameters
    ----------
    mesh
        The run; ingress gateways are added in every cluster that load enters by, for all entries together.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.streams: list[Stream] = []
        entries = mesh.document.load.entries
        callees = mesh.plane.plan.callees[state.NONE]
        for cluster in mesh.clusters:
            if any(_shares(load, mesh.clusters).get(cluster, 0.0) > 0 for load in entries.values()):
                self._add_ingress(cluster, callees)
        for number, (entry, load) in enumerate(entries.items()):
            self._enter(number, entry, load)

    def _add_ingress(self, cluster: str, callees: list[int]) -> None:
        settings = self.mesh.document.ingress.get(cluster, Gateway())
        for number, zone in enumerate(spread(settings.replicas, zones_of(self.mesh.document, cluster))):
            name, where = f"{cluster}/ingress-{number}", self.mesh.client(cluster, zone)
            proxy = self.mesh.add_gateway_proxy(state.INGRESS, name, where, settings, callees)
            self.mesh.ingress[cluster].append(proxy)

    def _enter(self, number: int, entry: str, load: EntryLoad) -> None:
        """Add the streams of an entry: its rate or its users divided over ingress replicas by the clusters' shares."""
        mesh = self.mesh
        reached = 0.0
        for cluster, share in _shares(load, mesh.clusters).items():
            replicas = mesh.ingress[cluster] if share > 0 else []
            for replica, proxy in enumerate(replicas):
                name, part = f"{cluster}/ingress/{entry}-{replica}", share / len(replicas)
                rate = (load.rate or 0.0) * mesh.document.load.scale * part
                source = mesh.plane.add_source(
                    name,
                    proxy=proxy.number,
                    entry=number,
                    kind=_KINDS[load.arrivals],
                    rate=rate,
                    think=load.think_time,
                    actions=mesh.plane.plan.actions[entry],
                )
                self.streams.append(Stream(source, cluster, rate, load))
                before, reached = reached, reached + part
                if load.users is not None:  # rounded where they are cumulated, so that nobody is lost
                    mesh.plane.add_users(source, name, round(load.users * reached) - round(load.users * before))

    def begin(self) -> None:
        """Let every stream with phases follow them."""
        for stream in self.streams:
            if stream.load.phases:
                self.mesh.env.process(self._follow(stream))

    def _follow(self, stream: Stream) -> Process:
        phases = stream.load.phases
        while True:
            now = self.mesh.env.now
            stream.factor = math.prod(_factor(phase, now) for phase in phases)
            self._update(stream)
            following = min(_next_change(phase, now, self.mesh.document.duration) for phase in phases)
            if math.isinf(following):
                return
            yield self.mesh.env.at(following)

    def surge(self, wanted: Callable[[str], bool], factor: float) -> list[Stream]:
        """Multiply the rates of the streams that enter by the wanted clusters; return those streams."""
        hit = [stream for stream in self.streams if wanted(stream.cluster)]
        for stream in hit:
            stream.surges.append(factor)
            self._update(stream)
        return hit

    def end_surge(self, streams: list[Stream], factor: float) -> None:
        """Undo a surge."""
        for stream in streams:
            stream.surges.remove(factor)
            self._update(stream)

    def _update(self, stream: Stream) -> None:
        if stream.load.arrivals != "closed":
            rate = stream.rate * stream.factor * math.prod(stream.surges)
            self.mesh.plane.set_rate(stream.number, rate, self.mesh.env.now)


def _shares(load: EntryLoad, clusters: Sequence[str]) -> dict[str, float]:
    """Return the share of an entry's load by cluster; shares add up to 1."""
    given = load.enters or dict.fromkeys(clusters, 1.0)
    total = sum(given.values())
    return {cluster: share / total for cluster, share in given.items()}


def _factor(phase: LoadPhase, now: float) -> float:
    match phase:
        case RampPhase(ramp=ramp):
            done = min(max((now - ramp.start) / ramp.duration, 0.0), 1.0)
            return ramp.from_ + (ramp.to - ramp.from_) * done
        case SpikePhase(spike=spike):
            return spike.factor if spike.start <= now < spike.start + spike.duration else 1.0
        case DiurnalPhase(diurnal=day):
            middle, swing = (day.peak + day.trough) / 2, (day.peak - day.trough) / 2
            return middle + swing * math.cos(2 * math.pi * (now - day.peak_at) / day.period)
    raise AssertionError(phase)


def _next_change(phase: LoadPhase, now: float, duration: float) -> float:
    match phase:
        case RampPhase(ramp=ramp):
            if now < ramp.start:
                return ramp.start
            end = ramp.start + ramp.duration
            return min(now + STEP, end) if now < end else math.inf
        case SpikePhase(spike=spike):
            return next((t for t in (spike.start, spike.start + spike.duration) if t > now), math.inf)
        case DiurnalPhase(diurnal=day):
            return now + min(max(day.period / 1440, duration / 100_000), 60.0)
    raise AssertionError(phase)
