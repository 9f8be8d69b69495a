"""What a run saw, bucket by bucket, in the columns of `meshsim.results.tables`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane.plane import DataPlane
from meshsim.engine.access_log import access_log
from meshsim.engine.chunks import Chunks
from meshsim.engine.levels import Level, Levels
from meshsim.engine.spans import Spans
from meshsim.results.histogram import bin_of
from meshsim.results.tables import FLOWS, TABLES
from meshsim.results.words import Words
from meshsim.scenario.requests import INGRESS

Columns = dict[str, Any]
_OUTCOMES = ("ok", "error")
_LATENCIES = ("request", "ingress", "call")
_KINDS = ("sidecar", "ingress", "east-west")
#: Tables with many rows a bucket, kept as arrays.
_LARGE = ("requests", "calls", "latency", "pods")


def _nothing() -> float:
    return 0.0


def _counted_at(counts: NDArray[Any]) -> tuple[NDArray[np.int64], ...]:
    """Return where something was counted, an array for each dimension (`numpy.nonzero`, in a quarter of its time)."""
    return np.unravel_index(np.flatnonzero(counts != 0), counts.shape)


@dataclass(slots=True)
class PlaneRecord:
    """What one control plane does in the present time bucket; the engine adds to it.

    Parameters
    ----------
    ready
        Replicas that are ready.
    connected
        Proxies that have a stream to one of them.
    cpu
        CPU-seconds used.
    spent
        CPU-seconds used in the buckets before, which autoscaling looks at, too.
    pushes, full_pushes
        Updates generated, each for one proxy; rounds of pushes of everything, by each replica.
    connections, refused_connections
        Streams accepted, and refused: too many at once, or a token that could not be reviewed.
    certificates, refused_certificates
        Requests for a certificate that were signed, and that were not.
    rejected_configurations
        Updates that proxies rejected.
    memory
        Gives the bytes that the largest replica has now.
    """

    ready: Level = field(default_factory=Level)
    connected: Level = field(default_factory=Level)
    cpu: float = 0.0
    spent: float = 0.0
    pushes: int = 0
    full_pushes: int = 0
    connections: int = 0
    refused_connections: int = 0
    certificates: int = 0
    refused_certificates: int = 0
    rejected_configurations: int = 0
    memory: Callable[[], float] = _nothing

    def take(self, now: float) -> tuple[float, ...]:
        """Return the bucket's values in the order of the table ``control_planes``, and begin the next."""
        levels = (self.ready.take(now), self.ready.take_positive(now), self.connected.value)
        counted = (
            self.cpu, self.memory(), self.pushes, self.full_pushes, self.connections, self.refused_connections,
            self.certificates, self.refused_certificates, self.rejected_configurations,
        )  # fmt: skip
        self.spent += self.cpu
        self.cpu = 0.0
        self.pushes = self.full_pushes = self.connections = self.refused_connections = 0
        self.certificates = self.refused_certificates = self.rejected_configurations = 0
        return (*levels, *counted)


class Recorder:
    """Collects the tables of one run.

    Parameters
    ----------
    plane
        Read and emptied at the end of every bucket.
    clusters, entries
        Names behind the data plane's numbers.
    logs, spans
        Whether the access log, and the spans, of traced requests are kept.
    """

    def __init__(
        self,
        plane: DataPlane,
        clusters: Sequence[str],
        entries: Sequence[str],
        *,
        logs: bool = True,
        spans: bool = False,
    ) -> None:
        self._plane = plane
        self._clusters = list(clusters)
        self._entries = list(entries)
        self._logs = logs
        self._spans = Spans(plane, clusters) if spans else None
        self._start = 0.0
        self._phase = 0.0
        self.tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        #: Pods that are wanted, ready and blocked, by cluster and service.
        self._places: dict[tuple[str, str], int] = {}
        self.desired, self.ready, self.blocked = (Levels(self._places) for _ in range(3))
        self.stale: dict[str, Level] = {name: Level() for name in clusters}
        self.disconnected: dict[str, Level] = {name: Level() for name in clusters}
        self.drifted: dict[str, Level] = {name: Level() for name in clusters}
        self.control_planes: dict[str, PlaneRecord] = defaultdict(PlaneRecord)
        self.counts: dict[tuple[str, str, str], int] = defaultdict(int)
        self._convergence: dict[str, list[float]] = defaultdict(list)
        self._expired: dict[str, float] = defaultdict(float)
        outcomes = [plane.outcome(number) for number in range(plane.outcomes)]
        self._codes = np.array([code for code, _ in outcomes], dtype=np.int64)
        self._edges = np.array(plane.plan.edges, dtype=np.int64).reshape(-1, 2).T
        self._chunks = self._empty([flag for _, flag in outcomes])
        self._numbers = np.zeros((0, 2), dtype=np.int64)
        self._busy_pods = np.zeros(0)
        self._busy_proxies = np.zeros(0)

    def _empty(self, flags: list[str]) -> dict[str, Chunks]:
        """Return the large tables without rows, with the words behind the data plane's numbers."""
        clusters, services = [*self._clusters, ""], [*self._plane.plan.services, INGRESS]
        common = {"cluster": clusters, "flow": FLOWS, "response_flag": flags}
        ends = {"source": services, "destination": services}
        ends |= {"source_cluster": clusters, "destination_cluster": clusters}
        names = ["", *self._entries, *services]
        latency = {"kind": _LATENCIES, "service": names, "cluster": clusters, "flow": FLOWS, "outcome": _OUTCOMES}
        return {
            "requests": Chunks("requests", common | {"entry": self._entries}),
            "calls": Chunks("calls", common | ends),
            "latency": Chunks("latency", latency),
            "pods": Chunks("pods", {"cluster": clusters, "service": services}),
        }

    def event(self, time: float, kind: str, subject: str, detail: str = "") -> None:
        """Note something that happened."""
        self.tables["events"].append((time, kind, subject, detail))

    def converged(self, cluster: str, seconds: float) -> None:
        """Note how long after a change a proxy applied it."""
        self._convergence[cluster].append(seconds)

    def count(self, what: str, cluster: str, service: str) -> None:
        """Count a pod that was rejected, blocked or started."""
        self.counts[what, cluster, service] += 1

    def certified(self, cluster: str, expired: float, now: float) -> None:
        """Note that a proxy whose certificate had run out at a time (seconds) has a new one, or is gone.

        What is still expired at the end of a bucket is seen by itself; nothing happens where none was.
        """
        self._expired[cluster] += max(now - max(expired, self._start), 0.0)

    def close_bucket(self, now: float, proxies: dict[str, int], pushes: dict[str, int], *, last: bool) -> None:
        """Write the rows of the bucket that ends now.

        Parameters
        ----------
        now
            Seconds.
        proxies, pushes
            Proxies alive and updates applied in the bucket, by cluster.
        last
            Whether a phase ends here. Latencies of calls, and of requests by cluster of entry, are kept by phase: by
            bucket they would be most of a run's memory, and nobody reads them so.
        """
        if now <= self._start:
            return
        bucket = (self._start, now)
        taken = self._plane.take_counts("requests", "request_latency")
        self._requests(bucket, taken["requests"])
        self._calls(bucket)
        self._latency(bucket, "request", taken["request_latency"])
        if last:
            taken = self._plane.take_counts("ingress_latency", "call_latency")
            self._latency((self._phase, now), "ingress", taken["ingress_latency"])
            self._latency((self._phase, now), "call", taken["call_latency"])
            self._phase = now
        self._config(bucket, now, proxies, pushes)
        self.tables["control_planes"].extend(
            (*bucket, name, *plane.take(now)) for name, plane in self.control_planes.items()
        )
        self._pods(bucket, now)
        self._proxies(bucket)
        lines = self._plane.take_trace()
        if self._logs:
            self.tables["access_log"].extend(access_log(self._plane, self._clusters, lines))
        if self._spans is not None:
            self._spans.add(lines)
        self._start = now

    def _requests(self, bucket: tuple[float, float], counts: NDArray[Any]) -> None:
        entry, cluster, flow, outcome = found = _counted_at(counts["count"])
        rows = counts[found]
        columns = {
            "entry": entry,
            "cluster": cluster,
            "flow": flow,
            "code": self._codes[outcome],
            "response_flag": outcome,
            "count": rows["count"],
            "latency_sum": rows["latency"],
        }
        self._chunks["requests"].add(bucket, columns)

    def _calls(self, bucket: tuple[float, float]) -> None:
        rows, (edge, source, to, flow, outcome) = self._plane.take_calls()
        caller, callee = self._edges[:, edge]
        columns = {
            "source": caller,
            "destination": callee,
            "source_cluster": source,
            "destination_cluster": to,
            "flow": flow,
            "code": self._codes[outcome],
            "response_flag": outcome,
            "count": rows["count"],
            "attempts": rows["attempts"],
            "latency_sum": rows["latency"],
            "request_bytes": rows["request_bytes"],
            "response_bytes": rows["response_bytes"],
        }
        self._chunks["calls"].add(bucket, columns)

    def _latency(self, bucket: tuple[float, float], kind: str, counts: NDArray[Any]) -> None:
        name, flow, failed, column = found = _counted_at(counts)
        first = 1 if kind == "request" else 1 + len(self._entries)
        columns = {
            "kind": np.full(len(name), _LATENCIES.index(kind)),
            "service": np.zeros_like(name) if kind == "ingress" else first + name,
            "cluster": name if kind == "ingress" else np.full(len(name), len(self._clusters)),
            "flow": flow,
            "outcome": failed,
            "bin": column,
            "count": counts[found].astype(np.int64),
        }
        self._chunks["latency"].add(bucket, columns)

    def _config(self, bucket: tuple[float, float], now: float, proxies: dict[str, int], pushes: dict[str, int]) -> None:
        expired = self._expired_seconds(now)
        for number, cluster in enumerate(self._clusters):
            behind = [level[cluster].take(now) for level in (self.stale, self.disconnected, self.drifted)]
            expired_seconds = float(expired[number]) + self._expired.pop(cluster, 0.0)
            row = (proxies.get(cluster, 0), *behind, expired_seconds, pushes.get(cluster, 0))
            self.tables["config"].append((*bucket, cluster, *row))
            if taken := self._convergence.pop(cluster, None):
                bins, counts = np.unique(bin_of(taken), return_counts=True)
                rows = zip(bins.tolist(), counts.tolist(), strict=True)
                self.tables["convergence"].extend((*bucket, cluster, column, count) for column, count in rows)

    def _expired_seconds(self, now: float) -> NDArray[np.float64]:
        """Return the bucket's proxy-seconds with an expired certificate, by cluster, of those that still have it."""
        proxies = self._plane.proxies.view(np.ndarray)
        seconds = np.maximum(now - np.maximum(proxies["expires"], self._start), 0.0) * proxies["alive"]
        return np.bincount(proxies["cluster"], weights=seconds, minlength=len(self._clusters)).astype(np.float64)

    def _pods(self, bucket: tuple[float, float], now: float) -> None:
        busy = self._busy_by_service(now)
        plan, count = self._plane.plan, len(self._places)
        if len(self._numbers) != count:
            cluster_numbers = {name: number for number, name in enumerate(self._clusters)}
            service_numbers = {name: number for number, name in enumerate(plan.services)}
            found = [(cluster_numbers[cluster], service_numbers[service]) for cluster, service in self._places]
            self._numbers = np.array(found, dtype=np.int64).reshape(-1, 2)
        clusters, services = self._numbers.T
        ready = self.ready.take(now)
        columns = {
            "cluster": clusters,
            "service": services,
            "desired_seconds": self.desired.take(now),
            "ready_seconds": ready,
            "blocked_seconds": self.blocked.take(now),
            "busy_seconds": busy[clusters, services],
            "worker_seconds": ready * self._plane.world.services.view(np.ndarray)["workers"][services],
        }
        columns |= {what: np.zeros(count, dtype=np.int64) for what in ("rejected", "blocked", "started")}
        for (what, cluster, service), number in self.counts.items():
            columns[what][self._places[cluster, service]] = number
        self.counts.clear()
        self._chunks["pods"].add(bucket, columns)

    def _busy_by_service(self, now: float) -> NDArray[np.float64]:
        """Return worker-seconds by cluster and service since the last bucket."""
        pods = self._plane.pods.view(np.ndarray)
        total = pods["busy_area"] + pods["busy"] * (now - pods["busy_since"])
        before = np.zeros(len(total))
        before[: len(self._busy_pods)] = self._busy_pods
        self._busy_pods = total
        return self._summed(pods["cluster"], pods["service"], total - before, len(self._plane.plan.services))

    def _proxies(self, bucket: tuple[float, float]) -> None:
        proxies = self._plane.proxies.view(np.ndarray)
        before = np.zeros(len(proxies))
        before[: len(self._busy_proxies)] = self._busy_proxies
        self._busy_proxies = proxies["busy"].copy()
        places = (proxies["cluster"], proxies["kind"])
        busy = self._summed(*places, self._busy_proxies - before, len(_KINDS))
        workers = proxies["workers"] * proxies["alive"]  # a sidecar that is not enabled has none
        threads, alive = (self._summed(*places, of.astype(float), len(_KINDS)) for of in (workers, workers > 0))
        length = bucket[1] - bucket[0]
        for cluster, kind in np.argwhere(threads + busy).tolist():
            names = (self._clusters[cluster], _KINDS[kind])
            there = (float(of[cluster, kind] * length) for of in (threads, alive))
            self.tables["proxies"].append((*bucket, *names, float(busy[cluster, kind]), *there))

    def _summed(
        self, clusters: NDArray[Any], columns: NDArray[Any], values: NDArray[np.float64], width: int
    ) -> NDArray[np.float64]:
        flat = np.bincount(clusters * width + columns, weights=values, minlength=len(self._clusters) * width)
        return flat.astype(np.float64).reshape(len(self._clusters), width)

    def totals(self, quantities: Iterable[tuple[str, str, float]]) -> None:
        """Write the totals of the run as (quantity, subject, value)."""
        self.tables["totals"].extend(quantities)

    def columns(self, deployment: str, replication: int) -> dict[str, Columns]:
        """Return every table as columns, with the run's name in the first two."""
        result: dict[str, Columns] = {}
        columns: Columns
        for name, described in TABLES.items():
            own = [column.name for column in described[2:]]
            if name in _LARGE:
                columns = self._chunks[name].columns()
            elif name == "spans" and self._spans is not None:
                columns = self._spans.columns(self._start)
            else:
                values = zip(*self.tables[name], strict=True) if self.tables[name] else ([] for _ in own)
                columns = {column: list(value) for column, value in zip(own, values, strict=True)}
            rows = len(columns[own[0]])
            numbers = np.broadcast_to(np.int64(replication), rows)
            result[name] = {"deployment": Words.same(deployment, rows), "replication": numbers, **columns}
        return result
