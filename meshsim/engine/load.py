"""Load: sources of user requests at the ingress gateways, and how their rates follow phases and surges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from meshsim.dataplane import state
from meshsim.engine.east_west import NOT_SCALED
from meshsim.engine.environment import Process
from meshsim.engine.gateway_sets import GatewaySet
from meshsim.engine.kubernetes import Cluster
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.skipping import Skipped
from meshsim.mesh.placement import spread, zones_of
from meshsim.scenario.sampling import Spans, loaded
from meshsim.scenario.schema import DiurnalPhase, EntryLoad, Gateway, LoadPhase, RampPhase, SpikePhase

#: Ramps and curves are followed in steps of this many seconds (a curve: in 1440 steps a period, or 100 000 a run).
STEP = 1.0
_KINDS = {"poisson": state.POISSON, "constant": state.STEADY, "closed": state.CLOSED}


@dataclass(slots=True, eq=False)
class Stream:
    """One entry's requests in one cluster.

    ``rate`` is the entry's, ``share`` the cluster's part of it, divided over the ingress replicas at the places in
    ``live``; ``sources`` are those of the data plane, one for each place in the pool.
    """

    entry: str
    cluster: str
    load: EntryLoad
    rate: float
    share: float
    sources: list[int] = field(default_factory=list)
    live: list[int] = field(default_factory=list)
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
        self._entries = list(entries)
        self._spans = loaded(mesh.document)
        on = self._spans is None or any(start <= 0.0 for start, _ in self._spans)
        #: Sources by number while the load is off; None while it is on.
        self._skipped: dict[int, Skipped] | None = None if on else {}
        for cluster in mesh.clusters:
            if any(shares(load, mesh.clusters).get(cluster, 0.0) > 0 for load in entries.values()):
                for _ in range(self._settings(cluster).replicas):
                    self._add_replica(cluster)
        for entry, load in entries.items():
            self._enter(entry, load)

    def _settings(self, cluster: str) -> Gateway:
        return self.mesh.document.ingress.get(cluster, Gateway())

    def _add_replica(self, cluster: str) -> Proxy:
        """Add a proxy to the pool of a cluster's ingress gateway."""
        pool = self.mesh.ingress[cluster]
        zone = spread(len(pool) + 1, zones_of(self.mesh.document, cluster))[-1]
        name, where = f"{cluster}/ingress-{len(pool)}", self.mesh.client(cluster, zone)
        callees = self.mesh.plane.plan.callees[state.NONE]
        proxy = self.mesh.add_gateway_proxy(state.INGRESS, name, where, self._settings(cluster), callees)
        pool.append(proxy)
        return proxy

    def _enter(self, entry: str, load: EntryLoad) -> None:
        """Add the streams of an entry: its rate or its users divided over ingress replicas by the clusters' shares."""
        mesh = self.mesh
        reached = 0.0
        rate = (load.rate or 0.0) * mesh.document.load.scale
        for cluster, share in shares(load, mesh.clusters).items():
            if share <= 0:
                continue
            stream = Stream(entry, cluster, load, rate, share)
            self.streams.append(stream)
            stream.live = list(range(len(mesh.ingress[cluster])))
            for place in stream.live:
                self._add_source(stream)
                before, reached = reached, reached + share / len(stream.live)
                if load.users is not None:  # rounded where they are cumulated, so that nobody is lost
                    users = round(load.users * reached) - round(load.users * before)
                    mesh.plane.add_users(stream.sources[place], _name(stream, place), users)
            self._update(stream)

    def _add_source(self, stream: Stream) -> None:
        """Add a stream's source at the next replica of the pool, without a rate."""
        plane, place = self.mesh.plane, len(stream.sources)
        source = plane.add_source(
            _name(stream, place),
            proxy=self.mesh.ingress[stream.cluster][place].number,
            entry=self._entries.index(stream.entry),
            kind=_KINDS[stream.load.arrivals],
            rate=0.0,
            think=stream.load.think_time,
            actions=plane.plan.actions[stream.entry],
        )
        stream.sources.append(source)

    def begin(self, clusters: Mapping[str, Cluster]) -> None:
        """Let Kubernetes keep the ingress gateways, and every stream with phases follow them."""
        for name, pool in self.mesh.ingress.items():
            gateway = GatewaySet(clusters[name], "ingress", self._settings(name), pool, partial(self._prepare, name))
            gateway.on_change.append(self._divide)
            clusters[name].add_gateway(gateway)
        for stream in self.streams:
            if stream.load.phases:
                self.mesh.env.process(self._follow(stream))
        if self._spans is not None:
            self.mesh.env.process(self._sample(self._spans))

    # --- windows --------------------------------------------------------------------------------------------

    def _sample(self, spans: Spans) -> Process:
        """Let the load be on in these spans (seconds) only."""
        env, recorder = self.mesh.env, self.mesh.recorder
        for start, end in spans:
            if start > 0.0:
                yield env.at(start)
            self.turn_on()
            recorder.event(env.now, "load begins", "sample")
            if end >= self.mesh.document.duration:
                return
            yield env.at(end)
            self.turn_off()
            recorder.event(env.now, "load ends", "sample")

    def turn_off(self) -> None:
        """Let open streams send nothing; their users go on coming, so that later ones are the same as ever."""
        if self._skipped is not None:
            return
        plane, now = self.mesh.plane, self.mesh.env.now
        sources = [source for stream in self.streams if stream.load.arrivals != "closed" for source in stream.sources]
        self._skipped = {source: Skipped.stop(plane, source, now) for source in sources}

    def turn_on(self) -> None:
        """Let streams send to those who come from now on."""
        skipped, self._skipped = self._skipped or {}, None
        for one in skipped.values():
            one.resume(self.mesh.env.now)

    # --- replicas come and go -------------------------------------------------------------------------------

    def _prepare(self, cluster: str) -> None:
        """Add a proxy that does not run yet."""
        proxy = self._add_replica(cluster)
        self.mesh.forget(proxy)
        self.mesh.lose_gateway(cluster, proxy, NOT_SCALED)

    def _divide(self, gateway: GatewaySet) -> None:
        """Divide load over the replicas that the ingress gateway's Service has now; without any it stays as it is."""
        if not gateway.serving:
            return
        live = [place for place, proxy in enumerate(gateway.pool) if proxy in gateway.serving]
        for stream in self.streams:
            if stream.cluster == gateway.cluster.name and stream.live != live:
                while len(stream.sources) <= live[-1]:
                    self._add_source(stream)
                stream.live = live
                self._update(stream)
                self._move_users(stream)

    def _move_users(self, stream: Stream) -> None:
        """Let users whose replica has left go to the others in turn; all the others stay where they are."""
        live = [stream.sources[place] for place in stream.live]
        self.mesh.plane.move_users([source for source in stream.sources if source not in live], live)

    # --- rates ----------------------------------------------------------------------------------------------

    def _follow(self, stream: Stream) -> Process:
        phases = stream.load.phases
        while True:
            now = self.mesh.env.now
            stream.factor = math.prod(factor(phase, now) for phase in phases)
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
        if stream.load.arrivals == "closed":
            return
        rate = stream.rate * (stream.share / len(stream.live)) * stream.factor * math.prod(stream.surges)
        for place, source in enumerate(stream.sources):
            self._set_rate(source, rate if place in stream.live else 0.0)

    def _set_rate(self, source: int, rate: float) -> None:
        if self._skipped is None:
            self.mesh.plane.set_rate(source, rate, self.mesh.env.now)
        else:
            skipped = self._skipped.setdefault(source, Skipped(self.mesh.plane, source))
            skipped.set_rate(rate, self.mesh.env.now)


def _name(stream: Stream, place: int) -> str:
    return f"{stream.cluster}/ingress/{stream.entry}-{place}"


def shares(load: EntryLoad, clusters: Sequence[str]) -> dict[str, float]:
    """Return the share of an entry's load by cluster; shares add up to 1.

    Examples
    --------
    >>> shares(EntryLoad(rate="1/s"), ["eu-1", "us-1"])
    {'eu-1': 0.5, 'us-1': 0.5}
    """
    given = load.enters or dict.fromkeys(clusters, 1.0)
    total = sum(given.values())
    return {cluster: share / total for cluster, share in given.items()}


def factor(phase: LoadPhase, now: float) -> float:
    """Return what a phase multiplies rates by at a time (seconds).

    Examples
    --------
    >>> from meshsim.scenario.schema import Ramp
    >>> factor(RampPhase(ramp=Ramp(start="10s", duration="10s", to=3.0)), 15.0)
    2.0
    """
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
