"""HorizontalPodAutoscalers on CPU: of services, gateways and istiod, all looked at together every 15 s."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane.plane import DataPlane
from meshsim.engine.control_plane import IstiodGroup
from meshsim.engine.environment import Process
from meshsim.engine.kubernetes import Cluster
from meshsim.engine.mesh import Mesh
from meshsim.engine.replica_sets import Member, Scaled
from meshsim.scenario.sampling import loaded, seconds
from meshsim.scenario.schema import Autoscale, Kubernetes

#: Scaling up adds so many pods, or so many times what there is, in so many seconds: whichever is more.
MOST_PODS, MOST_TIMES, RATE_PERIOD = 4, 2, 15.0
#: Cores that a replica requests where the scenario does not say: Istio's gateway chart, and its istiod chart.
GATEWAY_REQUEST, ISTIOD_REQUEST = 0.1, 0.5
#: More than any autoscaler may ask for; CPU use that many events multiply can be infinite, and then unknown.
_TOO_MANY = 1e9


@dataclass(frozen=True, slots=True)
class Sample:
    """What metrics tell of a Deployment.

    Parameters
    ----------
    cores
        CPU in use by the ready pods.
    ready
        Pods that have been ready for the whole period.
    unready
        Pods that have not: those that start, and those that became ready in it.
    missing
        Pods that were ready once and of which nothing is heard.
    """

    cores: float
    ready: int
    unready: int = 0
    missing: int = 0


def wanted_replicas(replicas: int, sample: Sample, *, request: float, utilization: float, tolerance: float) -> int:
    """Return how many replicas CPU use asks for, by Kubernetes' rules.

    It is as many as would each use the target, rounded up, and no change while use is within ``tolerance`` of it. Pods
    that are not ready yet count as idle if more are wanted, and are left out otherwise. Missing ones count as idle if
    more are wanted, and as using all that they request if fewer are.

    Parameters
    ----------
    replicas
        How many are wanted now.
    sample
        What metrics tell.
    request
        Cores that a replica requests.
    utilization, tolerance
        The part of them that it should use, and how far off that is no matter; fractions.

    Examples
    --------
    >>> wanted_replicas(4, Sample(cores=4.8, ready=4), request=1.0, utilization=0.8, tolerance=0.1)
    6
    >>> wanted_replicas(6, Sample(cores=4.8, ready=4, unready=2), request=1.0, utilization=0.8, tolerance=0.1)
    6
    """
    target = request * utilization
    if sample.ready == 0 or math.isnan(sample.cores):
        return replicas
    ratio = sample.cores / (sample.ready * target)
    cores, pods = sample.cores, sample.ready
    if sample.missing and ratio != 1.0:
        pods += sample.missing
        cores += sample.missing * request if ratio < 1.0 else 0.0
    if ratio > 1.0:
        pods += sample.unready
    ratio_of_all = cores / (pods * target)
    if abs(ratio_of_all - 1.0) <= tolerance or (ratio_of_all - 1.0) * (ratio - 1.0) < 0.0:
        return replicas
    wanted = math.ceil(round(min(ratio_of_all * pods, _TOO_MANY), 9))
    if pods > sample.ready and (wanted - replicas) * (ratio_of_all - 1.0) < 0.0:
        return replicas
    return wanted


@dataclass(slots=True, eq=False)
class Autoscaler:
    """A HorizontalPodAutoscaler: what it wanted lately, and what it did.

    Parameters
    ----------
    least, most
        Replicas.
    request
        Cores that a replica requests.
    utilization
        The part of them that it should use.
    settings
        Period, tolerance and stabilisation.
    """

    least: int
    most: int
    request: float
    utilization: float
    settings: Kubernetes
    _wanted: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def decide(self, now: float, replicas: int, sample: Sample) -> int:
        """Return how many replicas there should be from now on (seconds).

        Fewer are taken only if no more were wanted in the stabilisation time. More are limited by what was added in
        the last 15 s. A Deployment with no replicas is switched off and stays so.

        Examples
        --------
        >>> one = Autoscaler(1, 10, 1.0, 0.8, Kubernetes())
        >>> one.decide(0.0, 2, Sample(cores=8.0, ready=2)), one.decide(15.0, 6, Sample(cores=0.1, ready=6))
        (6, 6)
        """
        if replicas == 0:
            return 0
        if not self.least <= replicas <= self.most:
            return self._do(now, replicas, min(max(replicas, self.least), self.most))
        wanted = wanted_replicas(
            replicas, sample, request=self.request, utilization=self.utilization, tolerance=self.settings.hpa_tolerance
        )
        lately = self._latest(now, wanted)
        if wanted > replicas:
            return self._do(now, replicas, min(wanted, self._limit(now, replicas), self.most))
        return self._do(now, replicas, max(min(lately, replicas), self.least))

    def _latest(self, now: float, wanted: int) -> int:
        """Return the highest number wanted in the stabilisation time; numbers that a later one tops are dropped."""
        known, stabilization = self._wanted, self.settings.hpa_stabilization
        while known and known[-1][1] <= wanted:
            known.pop()
        known.append((now, wanted))
        while known[0][0] < now - stabilization:
            known.popleft()
        return known[0][1]

    def _limit(self, now: float, replicas: int) -> int:
        while self._changes and self._changes[0][0] <= now - RATE_PERIOD:
            self._changes.popleft()
        before = replicas - sum(change for _, change in self._changes)
        return max(before + MOST_PODS, before * MOST_TIMES, replicas)

    def _do(self, now: float, replicas: int, wanted: int) -> int:
        if wanted != replicas:
            self._changes.append((now, wanted - replicas))
        return wanted

    def remember(self, now: float, replicas: int) -> None:
        """Take what there is as wanted at a time (seconds), as Kubernetes does when it first sees a Deployment."""
        self._latest(now, replicas)


class Metrics:
    """CPU use of the pods and gateways that are scaled, from the data plane's counters: one look for all.

    Parameters
    ----------
    plane
        Has the counters.
    scaled
        What is scaled.
    """

    def __init__(self, plane: DataPlane, scaled: Sequence[Scaled]) -> None:
        self._plane = plane
        self._scaled = scaled
        self._keys: list[Member] = []
        self._owners: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._proxies: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._with_pod: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._pods: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._before = np.zeros(0)

    def begin(self) -> None:
        """Take what there is at time zero as there for long."""
        self._look()
        self._before = np.zeros(len(self._keys))

    def read(self, now: float, period: float, *, changed: bool) -> list[Sample]:
        """Return what metrics tell of each after another ``period`` (seconds).

        A pod's use is that of its workers and of its sidecar, as Kubernetes adds its containers; a worker that is held
        while a call is made counts as busy.

        Parameters
        ----------
        now
            Seconds.
        period
            Seconds since the last time.
        changed
            Whether there may be other pods than the last time.
        """
        if changed:
            self._look()
        proxies, pods = self._plane.proxies.view(np.ndarray), self._plane.pods.view(np.ndarray)
        total = proxies["busy"][self._proxies]
        if len(self._pods):
            busy, since = pods["busy"][self._pods], pods["busy_since"][self._pods]
            total[self._with_pod] += pods["busy_area"][self._pods] + busy * (now - since)
        alive = proxies["alive"][self._proxies] == 1
        used, self._before = total - self._before, total
        fresh = np.isnan(used)
        counted = alive & ~fresh
        count = len(self._scaled)
        cores = np.bincount(self._owners[counted], used[counted] / period, count).tolist()
        ready = np.bincount(self._owners[counted], minlength=count).tolist()
        unready = np.bincount(self._owners[alive & fresh], minlength=count).tolist()
        missing = np.bincount(self._owners[~alive], minlength=count).tolist()
        return [
            Sample(cores[number], ready[number], unready[number] + one.starting, missing[number])
            for number, one in enumerate(self._scaled)
        ]

    def _look(self) -> None:
        """See which pods there are; of those that are new nothing is known yet."""
        before = dict(zip(self._keys, self._before.tolist(), strict=True))
        found = [(number, member) for number, one in enumerate(self._scaled) for member in one.members()]
        self._keys = [member for _, member in found]
        self._owners = np.array([number for number, _ in found], dtype=np.int64)
        self._proxies = np.array([proxy for _, proxy in self._keys], dtype=np.int64)
        self._with_pod = np.array([place for place, (pod, _) in enumerate(self._keys) if pod >= 0], dtype=np.int64)
        self._pods = np.array([pod for pod, _ in self._keys if pod >= 0], dtype=np.int64)
        self._before = np.array([before.get(member, math.nan) for member in self._keys])


@dataclass(slots=True, eq=False)
class Pair:
    """A Deployment with its autoscaler, and how its number of replicas is changed."""

    cluster: str
    scaled: Scaled
    autoscaler: Autoscaler
    scale: Callable[[int], None]


@dataclass(slots=True, eq=False)
class OfIstiod:
    """A control plane with its autoscaler, and the CPU-seconds that it had used at the last look."""

    group: IstiodGroup
    autoscaler: Autoscaler
    used: float = 0.0


class Autoscaling:
    """All HorizontalPodAutoscalers of a run, which look at the same moments.

    Parameters
    ----------
    mesh
        The run.
    clusters
        Their Deployments and gateways.
    groups
        The control planes.
    """

    def __init__(self, mesh: Mesh, clusters: Mapping[str, Cluster], groups: Iterable[IstiodGroup]) -> None:
        self._mesh = mesh
        self._settings = mesh.document.kubernetes
        self._clusters = list(clusters.values())
        self._pairs = [pair for cluster in self._clusters for pair in self._pairs_of(cluster)]
        described = mesh.document.istiod.autoscale
        self._istiods = [
            OfIstiod(group, self._autoscaler(described, group.replicas, ISTIOD_REQUEST))
            for group in groups
            if described is not None
        ]

    def _pairs_of(self, cluster: Cluster) -> Iterator[Pair]:
        for replica_set in cluster.replica_sets:
            service = self._mesh.document.services[replica_set.placed.service]
            if service.autoscale is not None:
                one = self._autoscaler(service.autoscale, max(replica_set.desired, 1), float(service.workers))
                yield Pair(cluster.name, replica_set, one, partial(cluster.scale, replica_set))
        for gateway in cluster.gateways.values():
            if gateway.settings.autoscale is not None:
                one = self._autoscaler(gateway.settings.autoscale, gateway.replicas, GATEWAY_REQUEST)
                yield Pair(cluster.name, gateway, one, gateway.scale)

    def _autoscaler(self, described: Autoscale, replicas: int, request: float) -> Autoscaler:
        least = replicas if described.min_replicas is None else described.min_replicas
        request = request if described.cpu_request is None else described.cpu_request
        return Autoscaler(least, max(described.max_replicas, least), request, described.utilization, self._settings)

    def begin(self) -> None:
        """Look every sync period from now on; what is there at time zero has been wanted."""
        for pair in self._pairs:
            pair.autoscaler.remember(0.0, pair.scaled.replicas)
        for istiod in self._istiods:
            istiod.autoscaler.remember(0.0, istiod.group.replicas)
        if self._pairs or self._istiods:
            self._mesh.env.process(self._run())

    def _run(self) -> Process:
        env, period, changes = self._mesh.env, self._settings.hpa_sync_period, -1
        spans = loaded(self._mesh.document)
        metrics = Metrics(self._mesh.plane, [pair.scaled for pair in self._pairs])
        metrics.begin()
        while True:
            yield env.timeout(period)
            before, changes = changes, sum(cluster.changes for cluster in self._clusters)
            if self._pairs:
                samples = metrics.read(env.now, period, changed=changes != before)
                if spans is None or seconds(spans, env.now - period, env.now) > 0.999 * period:
                    self._scale_pods(samples)
                else:
                    self._hold()
            for istiod in self._istiods:
                self._scale_istiod(istiod, period)

    def _hold(self) -> None:
        """Take what there is as wanted while the load is off, or was for a part of the period: use tells nothing."""
        for pair in self._pairs:
            pair.autoscaler.remember(self._mesh.env.now, pair.scaled.replicas)

    def _scale_pods(self, samples: Sequence[Sample]) -> None:
        """Let each Deployment have what its autoscaler decides, where the API server answers."""
        now, servers = self._mesh.env.now, self._mesh.api_servers
        for pair, sample in zip(self._pairs, samples, strict=True):
            replicas, one = pair.scaled.replicas, pair.autoscaler
            if one.least == one.most == replicas or not servers[pair.cluster].up:
                continue
            wanted = one.decide(now, replicas, sample)
            if wanted != replicas:
                pair.scale(wanted)

    def _scale_istiod(self, istiod: OfIstiod, period: float) -> None:
        """Do the same for istiod: replicas that are not ready count as missing."""
        group, one = istiod.group, istiod.autoscaler
        before, istiod.used = istiod.used, group.record.spent + group.record.cpu
        if one.least == one.most == group.replicas or not group.can_change():
            return
        ready = sum(replica.ready for replica in group.istiods)
        sample = Sample((istiod.used - before) / period, ready, missing=max(group.replicas - ready, 0))
        wanted = one.decide(self._mesh.env.now, group.replicas, sample)
        if wanted != group.replicas:
            group.scale(wanted)
