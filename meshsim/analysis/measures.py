"""Metrics of each cell of a grid, from the result tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from meshsim.analysis import cost, governance
from meshsim.analysis.grid import Grid, Rows, Values, flags_of
from meshsim.analysis.metrics import PERCENTILES
from meshsim.results.tables import FLOWS
from meshsim.scenario.requests import INGRESS
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

#: Metric, flow, and its values in the shape of the grid.
Measure = tuple[str, str, Values]

#: Metrics that are the sum of a column of ``control_planes``.
_COUNTED = {
    "full_pushes": "full_pushes",
    "refused_connections": "refused_connections",
    "certificates_issued": "certificates",
    "certificates_refused": "refused_certificates",
    "config_rejections": "rejected_configurations",
}
_WORKERS = {"sidecar": "sidecar_utilisation", "ingress": "ingress_utilisation", "east-west": "gateway_utilisation"}


def measures(tables: Mapping[str, pd.DataFrame], grid: Grid, document: Document | None = None) -> Iterator[Measure]:
    """Return every metric of `METRICS` that has a value for any span of time.

    What depends on load is looked at in the windows of the grid only, all else all the time. Cost, and data that left
    its regions, are left out without the scenario that was run.
    """
    yield from requests(tables, grid)
    yield from _latency(tables, grid.counted)
    yield from _calls(tables, grid.counted)
    yield from staleness(tables, grid)
    yield from _behind(tables, grid)
    yield from _convergence(tables, grid)
    yield from _control_planes(tables, grid)
    yield from _pods(tables, grid)
    yield from _proxies(tables, grid.counted)
    if document is not None:
        yield from cost.measures(tables, grid, document)
        yield from governance.measures(tables, grid, document)


def requests(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    """Return counts, success and mean latency of user requests, by flow, and their errors by response flag."""
    table, grid = tables["requests"], grid.counted
    cells, count, good = grid.cells(table), table["count"].to_numpy(), _good(table)
    waited = table["latency_sum"].to_numpy()
    for flow, where in _flows(table):
        ended = grid.total(cells, count, where)
        yield "requests", flow, ended
        yield "requests_per_second", flow, ended / grid.lengths
        yield "success_rate", flow, _ratio(grid.total(cells, count, where & good), ended)
        yield "latency_mean", flow, _ratio(grid.total(cells, waited, where), ended)
    yield "errors", "all", grid.total(cells, count, ~good)
    for flag, where in flags_of(table, ~good):
        yield f"errors:{flag}", "all", grid.total(cells, count, where)
    yield "cross_region_requests", "all", grid.total(cells, count, _is(table, "flow", "cross-region"))


def _latency(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    table = tables["latency"]
    table = table[_is(table, "kind", "request")]
    yield from percentiles(table, grid, _flows(table))


def percentiles(table: pd.DataFrame, grid: Grid, parts: Iterable[tuple[str, Rows]]) -> Iterator[Measure]:
    """Return the percentiles (seconds) of histograms, for each part of their rows under its name.

    Parameters
    ----------
    table
        Rows of the table ``latency``, of one kind.
    grid
        The cells.
    parts
        A flow, or a place, and which of the rows belong to it.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> run = {"deployment": ["hybrid"], "replication": [0], "start": [0.0], "end": [5.0]}
    >>> waited = {"kind": ["ingress"], "service": [""], "cluster": ["eu-1"], "flow": ["local"], "outcome": ["ok"]}
    >>> table = concatenate([{"latency": {**run, **waited, "bin": [637], "count": [10]}}])["latency"]
    >>> grid = Grid((("hybrid", 0),), np.array([0.0]), np.array([5.0]))
    >>> found = list(percentiles(table, grid, [("eu", [True])]))
    >>> [(name, of, round(float(values[0, 0]), 3)) for name, of, values in found[:2]]
    [('latency_p50', 'eu', 0.001), ('latency_p90', 'eu', 0.001)]
    """
    cells = grid.cells(table)
    for part, where in parts:
        found = grid.quantiles(cells, table, list(PERCENTILES.values()), where)
        for name, values in zip(PERCENTILES, found, strict=True):
            yield f"latency_{name}", part, values


def _calls(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    table = tables["calls"]
    cells, count = grid.cells(table), table["count"].to_numpy()
    between = ~_is(table, "source", INGRESS)  # a user's request has failed already where `errors` counts it
    failed = between & ~_good(table)
    made, lost = grid.total(cells, count, between), grid.total(cells, count, failed)
    yield "calls", "all", made
    yield "call_errors", "all", lost
    yield "call_success_rate", "all", _ratio(made - lost, made)
    for flag, where in flags_of(table, failed):
        yield f"call_errors:{flag}", "all", grid.total(cells, count, where)
    ended = grid.total(cells, count)
    yield "attempts_per_call", "all", _ratio(grid.total(cells, table["attempts"].to_numpy()), ended)
    reached = ~_is(table, "destination_cluster", "")
    arrived = grid.total(cells, count, reached)
    for flow in FLOWS:
        yield "call_share", flow, _ratio(grid.total(cells, count, reached & _is(table, "flow", flow)), arrived)
    yield "call_unreached_share", "all", _ratio(ended - arrived, ended)
    far = _is(table, "flow", "cross-region")
    yield "cross_region_calls", "all", grid.total(cells, count, far)
    moved = table["request_bytes"].to_numpy() + table["response_bytes"].to_numpy()
    yield "cross_region_bytes", "all", grid.total(cells, moved, far)


def staleness(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    """Return how long and how much of the mesh had endpoints behind the truth."""
    table = tables["config"]
    cells = grid.cells(table)
    stale = grid.total(cells, table["stale_seconds"].to_numpy())
    yield "stale_proxy_seconds", "all", stale
    yield "stale_share", "all", _of_all(stale, table, grid)
    yield "pushes", "all", grid.total(cells, table["pushes"].to_numpy())


def _behind(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    """Return how much of the mesh had no control plane, another configuration than intended, no valid certificate."""
    table = tables["config"]
    cells = grid.cells(table)
    for state in ("disconnected", "expired"):
        seconds = grid.total(cells, table[f"{state}_seconds"].to_numpy())
        yield f"{state}_proxy_seconds", "all", seconds
        yield f"{state}_share", "all", _of_all(seconds, table, grid)
    yield "config_drift_seconds", "all", grid.total(cells, table["drift_seconds"].to_numpy())


def _of_all(seconds: Values, table: pd.DataFrame, grid: Grid) -> Values:
    """Return proxy-seconds as a share of those alive, which are known from the proxies at the end of each bucket.

    Proxies that die within a bucket may push that above one, which no share is.
    """
    alive = grid.total(grid.cells(table), (table["proxies"] * (table["end"] - table["start"])).to_numpy())
    return np.minimum(_ratio(seconds, alive), 1.0)


def _control_planes(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    """Return what istiod did and needed; all control planes have the same buckets, so each weighs the same."""
    table = tables["control_planes"]
    cells = grid.cells(table)
    time = grid.total(cells, (table["end"] - table["start"]).to_numpy())
    yield "control_plane_availability", "all", _ratio(grid.total(cells, table["up_seconds"].to_numpy()), time)
    yield "istiod_cpu", "all", grid.total(cells, table["cpu_seconds"].to_numpy()) / grid.lengths
    yield "istiod_memory", "all", grid.largest(cells, table["memory_bytes"].to_numpy())
    yield "istiod_connected", "all", grid.largest(cells, table["connected"].to_numpy())
    for name, column in _COUNTED.items():
        yield name, "all", grid.total(cells, table[column].to_numpy())


def _convergence(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    table = tables["convergence"]
    median, tail = grid.quantiles(grid.cells(table), table, [0.5, 0.99])
    yield "convergence_p50", "all", median
    yield "convergence_p99", "all", tail


def _pods(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    table = tables["pods"]
    cells = grid.cells(table)

    def total(column: str) -> Values:
        return grid.total(cells, table[column].to_numpy())

    yield "pods_blocked", "all", total("blocked")
    yield "pods_rejected", "all", total("rejected")
    yield "blocked_pod_seconds", "all", total("blocked_seconds")
    yield "pods_started", "all", total("started")
    yield "ready_pods", "all", total("ready_seconds") / grid.lengths
    yield "desired_pods", "all", total("desired_seconds") / grid.lengths
    counted = grid.counted
    inside = counted.cells(table)
    busy, there = (counted.total(inside, table[f"{which}_seconds"].to_numpy()) for which in ("busy", "worker"))
    yield "utilisation", "all", _ratio(busy, there)


def _proxies(tables: Mapping[str, pd.DataFrame], grid: Grid) -> Iterator[Measure]:
    table = tables["proxies"]
    cells = grid.cells(table)
    for kind, name in _WORKERS.items():
        where = _is(table, "kind", kind)
        busy, all_of_it = (
            grid.total(cells, table[f"{which}_seconds"].to_numpy(), where) for which in ("busy", "worker")
        )
        yield name, "all", _ratio(busy, all_of_it)


def _good(table: pd.DataFrame) -> Rows:
    """Answers of the application: below 500, and not the proxy's own 404 for want of a route (NR)."""
    code = table["code"].to_numpy()
    routed = ~table["response_flag"].str.contains("NR", regex=False).to_numpy(dtype=bool)
    return np.asarray((code > 0) & (code < 500) & routed)


def _is(table: pd.DataFrame, column: str, word: str) -> Rows:
    return np.asarray((table[column] == word).to_numpy(dtype=bool))


def _flows(table: pd.DataFrame) -> Iterator[tuple[str, Rows]]:
    yield "all", np.ones(len(table), dtype=bool)
    for flow in FLOWS:
        yield flow, _is(table, "flow", flow)


def _ratio(part: Values, whole: Values) -> Values:
    share = np.full(part.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
