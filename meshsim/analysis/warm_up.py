"""Whether a run had settled before it was measured, and whether it ever would: warm-up, trends, saturation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from meshsim.analysis.grid import Grid, Values, buckets, runs
from meshsim.analysis.phases import Phase, counted_at
from meshsim.analysis.statistics import interval

if TYPE_CHECKING:
    import pandas as pd

#: Fewer time buckets than this show no trend.
LEAST_BUCKETS = 8

#: A change of mean latency that is smaller than this part of it is of no consequence.
SLIGHT = 0.05

#: Confidence with which such a change is more than noise; high, since every deployment is asked every time.
SURE = 0.99

#: Busy share of all workers of a service or gateway from which queues grow as long as it lasts.
SATURATED = 0.99


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What MSER finds of one deployment's beginning.

    Parameters
    ----------
    deployment
        Whose.
    given
        The scenario's warm-up, seconds.
    found
        Where MSER would cut, seconds; nan where there are too few time buckets or no end of the beginning is in sight.
    buckets
        Time buckets that were looked at, from the start of the run to its first event.
    """

    deployment: str
    given: float
    found: float
    buckets: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason to mistrust the numbers.

    Parameters
    ----------
    kind
        ``warm-up``: still settling where measuring begins; ``trend``: the baseline grows or falls; ``saturated``:
        workers busy all the time.
    deployment
        Where.
    words
        What, in words that follow the deployment's name and a colon.
    """

    kind: Literal["warm-up", "trend", "saturated"]
    deployment: str
    words: str


def mser(values: Sequence[float] | Values) -> int | None:
    """Return how many of the first values to leave out, by White's marginal standard error rule; None if in doubt.

    The cut is where the standard error of the mean of the rest is smallest. A smallest one in the second half means
    that no steady part was found. Each value should be the mean of a batch: MSER-5 batches five observations, here a
    time bucket takes their place. Source: K. P. White, Simulation 69 (1997) 323; K. P. White, M. J. Cobb, S. C. Spratt,
    Proceedings of the 2000 Winter Simulation Conference, 755.

    Parameters
    ----------
    values
        In order of time; nan is left out of sums.

    Examples
    --------
    >>> mser([9.0, 5.0, 1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.0]), mser([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    (2, None)
    """
    row = np.asarray(values, dtype=float)
    half = len(row) // 2
    errors = []
    for cut in range(half + 1):
        rest = row[cut:][~np.isnan(row[cut:])]
        errors.append(float(np.sum((rest - rest.mean()) ** 2)) / len(rest) ** 2 if len(rest) else math.inf)
    best = int(np.argmin(errors)) if errors else 0
    return None if best >= half else best


def warm_ups(tables: Mapping[str, pd.DataFrame], spans: Sequence[Phase]) -> list[WarmUp]:
    """Return what MSER finds of each deployment: mean latencies of time buckets, averaged over the replications.

    Averaging first and cutting then is Welch's way: what replications have in common is the beginning, the rest is
    noise. Source: P. D. Welch, in: Computer Performance Modeling Handbook, Academic Press 1983, 268.

    Parameters
    ----------
    tables
        Of a run.
    spans
        Its phases: the first begins with the end of the warm-up and ends with the first event.

    Examples
    --------
    >>> from meshsim.analysis.phases import Phase
    >>> from meshsim.results.frames import concatenate
    >>> warm_ups(concatenate([]), [Phase("all", 30.0, 60.0)])
    []
    """
    return [
        _warm_up(deployment, grid, np.nanmean(latency, axis=0), spans[0].start)
        for deployment, grid, latency in _beginnings(tables, spans)
    ]


def _warm_up(deployment: str, grid: Grid, latency: Values, given: float) -> WarmUp:
    count = len(grid.starts)
    cut = mser(latency) if count >= LEAST_BUCKETS else None
    return WarmUp(deployment, given, math.nan if cut is None else float(grid.starts[cut]), count)


def doubts(tables: Mapping[str, pd.DataFrame], spans: Sequence[Phase]) -> list[Doubt]:
    """Return why the numbers of a run may not mean what they seem to, deployment by deployment.

    Only the part before the first event has to be steady: what comes after it is a transient and is meant to be one.
    Where load is on in windows only, each begins with its own lead-in, and there is no run-in to look for.

    Parameters
    ----------
    tables
        Of a run.
    spans
        Its phases.

    Examples
    --------
    >>> from meshsim.analysis.phases import Phase
    >>> from meshsim.results.frames import concatenate
    >>> doubts(concatenate([]), [Phase("all", 30.0, 60.0)])
    []
    """
    found: list[Doubt] = []
    if spans[0].windows is not None:
        deployments = dict.fromkeys(name for name, _ in runs(tables))
        return [doubt for deployment in deployments for doubt in _saturated(tables, deployment, spans[0])]
    for deployment, grid, latency in _beginnings(tables, spans):
        busy = list(_saturated(tables, deployment, spans[0]))
        found += busy
        measured = grid.starts >= spans[0].start - 1e-6
        cut = _warm_up(deployment, grid, np.nanmean(latency, axis=0), spans[0].start)
        late = _settling(cut, grid, latency, measured)
        # What follows from what has been said already is not said again.
        found += late or ([] if busy else _trend(deployment, latency[:, measured], spans[0]))
    return found


def _beginnings(tables: Mapping[str, pd.DataFrame], spans: Sequence[Phase]) -> Iterator[tuple[str, Grid, Values]]:
    """Return, by deployment, the time buckets up to the first event and mean latencies by replication and bucket."""
    if spans[0].name not in ("before", "all") or spans[0].windows is not None:
        return
    compared = runs(tables)
    if not compared or not len(tables["requests"]):
        return
    starts, ends = buckets(tables)
    early = ends <= spans[0].end + 1e-6
    if not early.any():
        return
    early_requests = tables["requests"][tables["requests"]["end"] <= spans[0].end + 1e-6]
    for deployment in dict.fromkeys(name for name, _ in compared):
        grid = Grid(tuple(run for run in compared if run[0] == deployment), starts[early], ends[early])
        own = early_requests[early_requests["deployment"] == deployment]
        cells = grid.cells(own)
        waited, ended = (grid.total(cells, own[name].to_numpy()) for name in ("latency_sum", "count"))
        latency = np.divide(waited, ended, out=np.full(ended.shape, np.nan), where=ended > 0)
        seen = ~np.isnan(latency).all(axis=0)
        if seen.any():
            yield deployment, Grid(grid.runs, grid.starts[seen], grid.ends[seen]), latency[:, seen]


def _settling(cut: WarmUp, grid: Grid, latency: Values, measured: np.ndarray) -> list[Doubt]:
    """Return a doubt if what MSER would cut is measured and differs from the rest by more than noise and trifles."""
    if math.isnan(cut.found) or cut.found <= cut.given + 1e-6:
        return []
    early = measured & (grid.starts < cut.found - 1e-6)
    share = _change(latency[:, early], latency[:, measured & ~early])
    if share is None:
        return []
    words = (
        f"still settling when measuring begins at {cut.given:g}s: MSER would begin at {cut.found:g}s, and mean latency"
        f" before that is {share:+.0%} off; try --set warm_up={cut.found:g}s"
    )
    return [Doubt("warm-up", cut.deployment, words)]


def _trend(deployment: str, latency: Values, baseline: Phase) -> list[Doubt]:
    """Return a doubt if the second half of what should be steady differs from the first."""
    count = latency.shape[1]
    if count < LEAST_BUCKETS:
        return []
    share = _change(latency[:, count // 2 :], latency[:, : count // 2])
    if share is None:
        return []
    what = "the part before the first event" if baseline.name == "before" else "the run"
    words = (
        f"not steady: mean latency changes by {share:+.0%} from the first to the second half of {what}, beyond chance;"
        " the numbers depend on how long it lasts"
    )
    return [Doubt("trend", deployment, words)]


def _change(part: Values, rest: Values) -> float | None:
    """Return by which share ``part`` differs from ``rest``, None where that may be chance or is slight."""
    if not part.shape[1] or not rest.shape[1]:
        return None
    here, there = (np.array([_mean(row) for row in side]) for side in (part, rest))
    difference, usual = interval(here - there, SURE), interval(there)
    if difference.n < 2 or difference.covers(0.0) or not abs(difference.mean) > SLIGHT * usual.mean:
        return None
    return difference.mean / usual.mean


def _mean(row: Values) -> float:
    present = row[~np.isnan(row)]
    return float(present.mean()) if len(present) else math.nan


def _saturated(tables: Mapping[str, pd.DataFrame], deployment: str, baseline: Phase) -> Iterator[Doubt]:
    """Return services and gateways whose workers were busy all the time before anything happened."""
    when = " before anything happens" if baseline.name == "before" else ""
    for name, by in (("pods", "service"), ("proxies", "kind")):
        table = tables[name]
        counted = counted_at((table["start"] + table["end"]) / 2, baseline)
        own = table[counted & (table["deployment"] == deployment)]
        worked = own.groupby([by, "cluster"], sort=True)[["busy_seconds", "worker_seconds"]].sum()
        for (what, cluster), busy, there in zip(worked.index, *(worked[c] for c in worked), strict=True):
            if there > 0 and busy >= SATURATED * there:
                share = busy / there
                noun = what if name == "pods" else f"the {what} proxies"
                words = (
                    f"{noun} in {cluster} is saturated ({share:.0%} busy){when}:"
                    " queues grow as long as it lasts, and latencies tell how long that was"
                )
                yield Doubt("saturated", deployment, words)
