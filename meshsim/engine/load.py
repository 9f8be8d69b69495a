"""Load: sources of user requests at the ingress gateways, and how their rates follow phases and surges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from meshsim.dataplane import state
from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh
from meshsim.mesh.placement import spread, zones_of
from meshsim.scenario.schema import DiurnalPhase, EntryLoad, Gateway, LoadPhase, RampPhase, SpikePhase

#: Ramps and curves are followed in steps of this many seconds (a curve: at least 1440 steps a period).
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
        The run; an ingress gateway is added in every cluster that load enters by.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.streams: list[Stream] = []
        for entry, load in mesh.document.load.entries.items():
            shares = load.enters or dict.fromkeys(mesh.clusters, 1.0)
            total = sum(shares.values())
            for cluster, share in shares.items():
                if share > 0:
                    self._enter(entry, load, cluster, share / total)

    def _enter(self, entry: str, load: EntryLoad, cluster: str, share: float) -> None:
        mesh, document = self.mesh, self.mesh.document
        settings = document.ingress.get(cluster, Gateway())
        service = load.service or entry
        zones = spread(settings.replicas, zones_of(document, cluster))
        for number, zone in enumerate(zones):
            name = f"{cluster}/ingress/{entry}-{number}"
            proxy = mesh.add_gateway_proxy(state.INGRESS, name, mesh.client(cluster, zone), settings, [service])
            mesh.ingress[cluster].append(proxy)
            rate = (load.rate or 0.0) * document.load.scale * share / len(zones)
            actions = [(action.weight, action.requests) for action in load.actions.values()]
            described = actions or [(1.0, list(document.services[service].endpoints))]
            operations = mesh.plane.plan.operations
            source = mesh.plane.add_source(
                name,
                proxy=proxy.number,
                entry=list(document.load.entries).index(entry),
                kind=_KINDS[load.arrivals],
                rate=rate,
                think=load.think_time,
                actions=[
                    (weight, [operations[f"{service}/{one}"] for one in requests]) for weight, requests in described
                ],
            )
            self.streams.append(Stream(source, cluster, rate, load))
            if load.users is not None:
                mesh.plane.add_users(source, name, _part(load.users, share, number, len(zones)))

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
            following = min(_next_change(phase, now) for phase in phases)
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


def _part(users: int, share: float, number: int, replicas: int) -> int:
    """Return how many of the users come by one of a cluster's ingress replicas; the parts add up to the whole."""
    before, after = (round(users * share * count / replicas) for count in (number, number + 1))
    return after - before


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


def _next_change(phase: LoadPhase, now: float) -> float:
    match phase:
        case RampPhase(ramp=ramp):
            if now < ramp.start:
                return ramp.start
            end = ramp.start + ramp.duration
            return min(now + STEP, end) if now < end else math.inf
        case SpikePhase(spike=spike):
            return next((t for t in (spike.start, spike.start + spike.duration) if t > now), math.inf)
        case DiurnalPhase(diurnal=day):
            return now + min(max(day.period / 1440, 1e-3), 60.0)
    raise AssertionError(phase)
