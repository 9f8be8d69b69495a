"""What a run saw, bucket by bucket, in the columns of `meshsim.results.tables`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane.plane import DataPlane
from meshsim.results.histogram import bin_of
from meshsim.results.tables import FLOWS, TABLES

Columns = dict[str, list[Any]]
_KINDS = ("sidecar", "ingress", "east-west")


class Level:
    """A number that steps up and down, with its time integral since the last reading."""

    __slots__ = ("_area", "_since", "value")

    def __init__(self) -> None:
        self.value = 0
        self._area = 0.0
        self._since = 0.0

    def add(self, change: int, now: float) -> None:
        """Step at a time (seconds)."""
        self._area += self.value * (now - self._since)
        self._since = now
        self.value += change

    def take(self, now: float) -> float:
        """Return the integral since the last call."""
        self.add(0, now)
        area, self._area = self._area, 0.0
        return area


class Recorder:
    """Collects the tables of one run.

    Parameters
    ----------
    plane
        Read and emptied at the end of every bucket.
    clusters, entries
        Names behind the data plane's numbers.
    """

    def __init__(self, plane: DataPlane, clusters: Sequence[str], entries: Sequence[str]) -> None:
        self._plane = plane
        self._clusters = list(clusters)
        self._entries = list(entries)
        self._start = 0.0
        self.tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self.desired: dict[tuple[str, str], Level] = defaultdict(Level)
        self.ready: dict[tuple[str, str], Level] = defaultdict(Level)
        self.blocked: dict[tuple[str, str], Level] = defaultdict(Level)
        self.stale: dict[str, Level] = {name: Level() for name in clusters}
        self.counts: dict[tuple[str, str, str], int] = defaultdict(int)
        self._convergence: dict[str, list[float]] = defaultdict(list)
        self._busy_pods = np.zeros(0)
        self._busy_proxies = np.zeros(0)

    def event(self, time: float, kind: str, subject: str, detail: str = "") -> None:
        """Note something that happened."""
        self.tables["events"].append((time, kind, subject, detail))

    def converged(self, cluster: str, seconds: float) -> None:
        """Note how long after a change a proxy applied it."""
        self._convergence[cluster].append(seconds)

    def count(self, what: str, cluster: str, service: str) -> None:
        """Count a pod that was rejected, blocked or started."""
        self.counts[what, cluster, service] += 1

    def close_bucket(self, now: float, proxies: dict[str, int], pushes: dict[str, int]) -> None:
        """Write the rows of the bucket that ends now.

        Parameters
        ----------
        now
            Seconds.
        proxies, pushes
            Proxies alive and updates applied in the bucket, by cluster.
        """
        if now <= self._start:
            return
        bucket = (self._start, now)
        taken = self._plane.take_counts()
        self._requests(bucket, taken["requests"])
        self._calls(bucket, taken["calls"])
        self._latency(bucket, "request", self._entries, taken["request_latency"])
        self._latency(bucket, "call", self._plane.plan.services, taken["call_latency"])
        self._config(bucket, now, proxies, pushes)
        self._pods(bucket, now)
        self._proxies(bucket)
        self._start = now

    def _requests(self, bucket: tuple[float, float], counts: NDArray[Any]) -> None:
        for entry, cluster, flow, outcome in np.argwhere(counts["count"]).tolist():
            row = counts[entry, cluster, flow, outcome]
            code, flag = self._plane.outcome(outcome)
            names = (self._entries[entry], self._clusters[cluster], FLOWS[flow], code, flag)
            self.tables["requests"].append((*bucket, *names, int(row["count"]), float(row["latency"])))

    def _calls(self, bucket: tuple[float, float], counts: NDArray[Any]) -> None:
        services = [*self._plane.plan.services, "ingress"]
        clusters = [*self._clusters, ""]
        for edge, source, to, flow, outcome in np.argwhere(counts["count"]).tolist():
            row = counts[edge, source, to, flow, outcome]
            caller, callee = self._plane.plan.edges[edge]
            code, flag = self._plane.outcome(outcome)
            self.tables["calls"].append(
                (
                    *bucket, services[caller], services[callee], clusters[source], clusters[to], FLOWS[flow], code, flag,
                    int(row["count"]), int(row["attempts"]), float(row["latency"]), int(row["request_bytes"]),
                    int(row["response_bytes"]),
                )  # fmt: skip
            )

    def _latency(self, bucket: tuple[float, float], kind: str, names: Sequence[str], counts: NDArray[Any]) -> None:
        for number, flow, failed, column in np.argwhere(counts).tolist():
            outcome = "error" if failed else "ok"
            count = int(counts[number, flow, failed, column])
            self.tables["latency"].append((*bucket, kind, names[number], FLOWS[flow], outcome, column, count))

    def _config(
        self, bucket: tuple[float, float], now: float, proxies: dict[str, int], pushes: dict[str, int]
    ) -> None:
        for cluster in self._clusters:
            stale = self.stale[cluster].take(now)
            self.tables["config"].append((*bucket, cluster, proxies.get(cluster, 0), stale, pushes.get(cluster, 0)))
            bins, counts = np.unique(bin_of(self._convergence.pop(cluster, [])), return_counts=True)
            rows = zip(bins.tolist(), counts.tolist(), strict=True)
            self.tables["convergence"].extend((*bucket, cluster, column, count) for column, count in rows)

    def _pods(self, bucket: tuple[float, float], now: float) -> None:
        busy = self._busy_by_service(now)
        for key, desired in self.desired.items():
            cluster, service = key
            ready = self.ready[key].take(now)
            workers = int(self._plane.world.services[self._plane.plan.services.index(service)].workers)
            happened = [self.counts.pop((what, cluster, service), 0) for what in ("rejected", "blocked", "started")]
            self.tables["pods"].append(
                (
                    *bucket, cluster, service, desired.take(now), ready, self.blocked[key].take(now), *happened,
                    busy[self._clusters.index(cluster), self._plane.plan.services.index(service)], ready * workers,
                )  # fmt: skip
            )

    def _busy_by_service(self, now: float) -> NDArray[np.float64]:
        """Return worker-seconds by cluster and service since the last bucket."""
        pods = self._plane.pods
        total = pods.busy_area + pods.busy * (now - pods.busy_since)
        before = np.zeros(len(total))
        before[: len(self._busy_pods)] = self._busy_pods
        self._busy_pods = total
        return self._summed(pods.cluster, pods.service, total - before, len(self._plane.plan.services))

    def _proxies(self, bucket: tuple[float, float]) -> None:
        proxies = self._plane.proxies
        before = np.zeros(len(proxies))
        before[: len(self._busy_proxies)] = self._busy_proxies
        self._busy_proxies = proxies.busy.copy()
        busy = self._summed(proxies.cluster, proxies.kind, proxies.busy - before, len(_KINDS))
        workers = self._summed(proxies.cluster, proxies.kind, (proxies.workers * proxies.alive).astype(float), len(_KINDS))
        for cluster, kind in np.argwhere(workers + busy).tolist():
            available = workers[cluster, kind] * (bucket[1] - bucket[0])
            names = (self._clusters[cluster], _KINDS[kind])
            self.tables["proxies"].append((*bucket, *names, float(busy[cluster, kind]), float(available)))

    def _summed(
        self, clusters: NDArray[Any], columns: NDArray[Any], values: NDArray[np.float64], width: int
    ) -> NDArray[np.float64]:
        flat = np.bincount(clusters * width + columns, weights=values, minlength=len(self._clusters) * width)
        return flat.reshape(len(self._clusters), width)

    def totals(self, quantities: Iterable[tuple[str, str, float]]) -> None:
        """Write the totals of the run as (quantity, subject, value)."""
        self.tables["totals"].extend(quantities)

    def columns(self, deployment: str, replication: int) -> dict[str, Columns]:
        """Return every table as columns, with the run's name in the first two."""
        result: dict[str, Columns] = {}
        for name, described in TABLES.items():
            rows = self.tables[name]
            own = [column.name for column in described[2:]]
            columns: Columns = {"deployment": [deployment] * len(rows), "replication": [replication] * len(rows)}
            values = zip(*rows, strict=True) if rows else ([] for _ in own)
            columns |= {column: list(value) for column, value in zip(own, values, strict=True)}
            result[name] = columns
        return result
