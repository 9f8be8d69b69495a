"""From the result tables to what a user reads: metrics per phase, deployments compared, and their course over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.comparison import compare, differences, estimates
from meshsim.analysis.governance import shared
from meshsim.analysis.grid import Grid, Values, buckets, over, runs
from meshsim.analysis.measures import Measure, measures, requests, staleness
from meshsim.analysis.metrics import STALE_TOLERANCE, SUCCESS_TOLERANCE
from meshsim.analysis.phases import Phase, counted_at, counted_in, phases, whole
from meshsim.mesh.complexity import complexity
from meshsim.results.histogram import edges
from meshsim.results.tables import BINS, FLOWS
from meshsim.scenario.sampling import Spans, within
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Phase", "compare", "differences", "distributions", "over_phases", "phases", "summarize", "timeline"]

#: The phase from the end of the warm-up to the end of the run.
WHOLE = "all"

#: In the table ``totals``: how many control planes the deployment has.
CONTROL_PLANES = "control planes"


def summarize(
    tables: Mapping[str, pd.DataFrame], spans: Sequence[Phase], document: Document | None = None
) -> pd.DataFrame:
    """Return every metric of every run and phase, in long form.

    Parameters
    ----------
    tables
        The tables of a run.
    spans
        As `phases` returns them. A phase ``all`` over the whole of them is added where there is none.
    document
        The scenario that was run. Without it there are no metrics of cost, governance and what there is to operate.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, replication, phase, metric, flow, value``; units and meanings in
        `meshsim.analysis.metrics`. ``flow`` is ``all`` or the farthest hop of a user request (of a call, for
        ``call_share``). A value is nan where nothing was observed, and inf for a recovery that never came.

    Raises
    ------
    ResultsError
        If a time bucket of the tables crosses the edge of a phase.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> run = {"deployment": ["hybrid"], "replication": [0], "start": [0.0], "end": [5.0]}
    >>> ended = {"entry": ["web"], "cluster": ["eu"], "flow": ["local"], "code": [200], "response_flag": [""]}
    >>> tables = concatenate([{"requests": {**run, **ended, "count": [10], "latency_sum": [0.2]}}])
    >>> summary = summarize(tables, [Phase("all", 0.0, 5.0)]).set_index(["metric", "flow"])["value"]
    >>> float(summary["requests_per_second", "all"]), float(summary["success_rate", "local"])
    (2.0, 1.0)
    """
    compared = runs(tables)
    measured = over_phases(compared, spans, lambda grid: measures(tables, grid, document))
    once = [*_recoveries(tables, compared, spans), *_control_planes(tables, compared)]
    once += [] if document is None else _operated(document, compared)
    return _joined([measured, _long(compared, [whole(spans, WHOLE)], once)])


def over_phases(
    compared: Sequence[tuple[str, int]], spans: Sequence[Phase], found: Callable[[Grid], Iterable[Measure]]
) -> pd.DataFrame:
    """Return what is measured in each phase and in all of them together, in the form of a summary.

    Parameters
    ----------
    compared
        Deployments and replications.
    spans
        The phases, in order.
    found
        Measures a grid of runs and phases.

    Examples
    --------
    >>> spans = [Phase("before", 0.0, 5.0), Phase("during", 5.0, 9.0)]
    >>> found = over_phases([("hybrid", 0)], spans, lambda grid: [("length", "all", grid.lengths[None, :])])
    >>> found[["phase", "value"]].to_numpy().tolist()
    [['before', 5.0], ['during', 4.0], ['all', 9.0]]
    """
    each = [list(spans)] + ([[whole(spans, WHOLE)]] if [phase.name for phase in spans] != [WHOLE] else [])
    return _joined([_long(compared, phases, found(over(compared, phases))) for phases in each])


def timeline(
    tables: Mapping[str, pd.DataFrame], confidence: float = 0.95, windows: Spans | None = None
) -> pd.DataFrame:
    """Return the metrics of every time bucket, means over replications with their intervals.

    Parameters
    ----------
    tables
        Of a run.
    confidence
        Of the intervals.
    windows
        When users' requests count, seconds; what depends on load is nan in other buckets. None for all the time.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, start, end, metric, flow, mean, half_width, n, missing``, by deployment and time.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> timeline(concatenate([])).columns.tolist()[:6]
    ['deployment', 'start', 'end', 'metric', 'flow', 'mean']
    """
    compared = runs(tables)
    starts, ends = buckets(tables)
    found = list(measures(tables, Grid(compared, starts, ends, windows))) if len(starts) else []
    deployments = list(dict.fromkeys(name for name, _ in compared))
    values = _stacked(compared, deployments, [array for _, _, array in found], len(starts))
    import pandas as pd

    each = np.repeat(np.arange(len(starts)), len(found))
    names = pd.DataFrame(
        {
            "start": starts[each],
            "end": ends[each],
            "metric": [name for name, _, _ in found] * len(starts),
            "flow": [flow for _, flow, _ in found] * len(starts),
        }
    )
    return estimates(deployments, names, values, confidence)


def distributions(
    tables: Mapping[str, pd.DataFrame], start: float, end: float = np.inf, windows: Spans | None = None
) -> pd.DataFrame:
    """Return the distribution of what users waited from ``start`` to ``end`` (seconds), all replications together.

    With ``windows`` (starts and ends, seconds) only what ended in one of them counts.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, flow, seconds, share``: the share of requests that took at most so long.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> distributions(concatenate([]), 30.0).columns.tolist()
    ['deployment', 'flow', 'seconds', 'share']
    """
    table = tables["latency"]
    phase = Phase("", start, end, None if windows is None else within(windows, start, end))
    table = table[(table["kind"] == "request") & counted_at((table["start"] + table["end"]) / 2, phase)]
    import pandas as pd

    parts = [pd.DataFrame({"deployment": [], "flow": [], "seconds": [], "share": []})]
    for deployment in dict.fromkeys(name for name, _ in runs(tables)):
        own = table[table["deployment"] == deployment]
        for flow in ("all", *FLOWS):
            part = own if flow == "all" else own[own["flow"] == flow]
            counts = np.bincount(part["bin"].to_numpy(), weights=part["count"].to_numpy(), minlength=BINS)
            seen = np.flatnonzero(counts)
            shares = np.cumsum(counts[seen]) / max(counts.sum(), 1.0)
            parts.append(
                pd.DataFrame({"deployment": deployment, "flow": flow, "seconds": edges(seen + 1), "share": shares})
            )
    return _joined(parts)


# --- what is known once per run ---------------------------------------------------------------------------------


def _recoveries(
    tables: Mapping[str, pd.DataFrame], compared: Sequence[tuple[str, int]], spans: Sequence[Phase]
) -> Iterator[Measure]:
    """Return how long after the last fault users, and configuration, were back where they had been before."""
    named = {phase.name: phase for phase in spans}
    if not {"before", "during"} <= set(named):
        return
    starts, ends = buckets(tables)
    inside = (starts >= spans[0].start - 1e-6) & (ends <= spans[-1].end + 1e-6)
    grid = Grid(tuple(compared), starts[inside], ends[inside], counted_in(spans))
    earlier = grid.ends <= named["before"].end + 1e-6
    fault_end = named["during"].end
    success = _only("success_rate", requests(tables, grid))
    usual = _only("success_rate", requests(tables, over(compared, [named["before"]])))
    least = np.minimum(usual - SUCCESS_TOLERANCE, -_highest(-success[:, earlier]))
    yield "time_to_recover", "all", _recovery(grid, success < least, ~np.isnan(success - least), fault_end)
    stale = _only("stale_share", staleness(tables, grid))
    most = _highest(stale[:, earlier]) + STALE_TOLERANCE
    yield "config_recovery", "all", _recovery(grid, stale > most, ~np.isnan(stale - most), fault_end)


def _highest(values: Values) -> Values:
    """Return the highest value of each run, nan where there is none; shape ``(runs, 1)``."""
    highest = np.max(values, axis=1, initial=-np.inf, where=~np.isnan(values), keepdims=True)
    return np.where(np.isfinite(highest), highest, np.nan)


def _recovery(grid: Grid, bad: NDArray[np.bool_], seen: NDArray[np.bool_], fault_end: float) -> Values:
    """Return, per run, seconds from the fault's end to the end of the last bad bucket; inf if none is good after it.

    It is nan where nothing was observed after the fault.
    """
    seconds = np.full((len(bad), 1), np.nan)
    late = grid.starts >= fault_end - 1e-6
    for run in range(len(bad)):
        observed, failed = np.flatnonzero(seen[run, late]), np.flatnonzero(bad[run, late])
        if not len(observed):
            continue
        if not len(failed):
            seconds[run] = 0.0
        elif failed[-1] < observed[-1]:
            seconds[run] = _seen_well(grid, late, int(failed[-1]), observed) - fault_end
        else:
            seconds[run] = np.inf
    return seconds


def _seen_well(grid: Grid, late: NDArray[np.bool_], failed: int, observed: NDArray[np.int64]) -> float:
    """Return when it was well again after the last bad bucket: where nobody looked, only once somebody did."""
    if grid.windows is None:
        return float(grid.ends[late][failed])
    return float(grid.starts[late][observed[observed > failed][0]])


def _control_planes(tables: Mapping[str, pd.DataFrame], compared: Sequence[tuple[str, int]]) -> Iterator[Measure]:
    table = tables["totals"]
    table = table[table["quantity"] == CONTROL_PLANES]
    known = {
        (str(name), int(number)): float(value)
        for name, number, value in table[["deployment", "replication", "value"]].itertuples(index=False)
    }
    if known:
        yield "control_planes", "all", np.array([[known.get(run, np.nan)] for run in compared])


def _operated(document: Document, compared: Sequence[tuple[str, int]]) -> Iterator[Measure]:
    """Return what the scenario alone says of each deployment: what there is to operate, and who shares it."""
    known = {name: _counted(document, name) for name in dict.fromkeys(name for name, _ in compared)}
    for count in dict.fromkeys(count for counts in known.values() for count in counts):
        yield count, "all", np.array([[known[name].get(count, np.nan)] for name, _ in compared], dtype=float)


def _counted(document: Document, name: str) -> dict[str, int]:
    if name not in document.deployments:
        return {}
    found = asdict(complexity(document, name))
    del found["control_planes"]  # which the run says itself
    domains = shared(document, name)
    if domains is not None:
        found["shared_control_planes"], found["foreign_secrets"] = domains
    return found


def _only(name: str, found: Iterable[Measure]) -> Values:
    return next(values for metric_name, flow, values in found if (metric_name, flow) == (name, "all"))


# --- frames and cubes -------------------------------------------------------------------------------------------


def _long(compared: Sequence[tuple[str, int]], spans: Sequence[Phase], found: Iterable[Measure]) -> pd.DataFrame:
    """Return a row per run, phase and measure."""
    import pandas as pd

    names = ["deployment", "replication", "phase", "metric", "flow", "value"]
    labels = [(*run, phase.name) for run in compared for phase in spans]
    rows = [
        (*label, name, flow, value)
        for name, flow, values in found
        for label, value in zip(labels, values.ravel().tolist(), strict=True)
    ]
    return pd.DataFrame(rows, columns=names).astype({"replication": "int64", "value": "float64"})


def _stacked(
    compared: Sequence[tuple[str, int]], deployments: Sequence[str], arrays: Sequence[Values], spans: int
) -> NDArray[np.float64]:
    """Return measures (each runs by spans) by deployment, span and measure, and replication."""
    replications = sorted({number for _, number in compared})
    values = np.full((len(deployments), spans, len(arrays), len(replications)), np.nan)
    for row, (name, number) in enumerate(compared):
        for at, array in enumerate(arrays):
            values[deployments.index(name), :, at, replications.index(number)] = array[row]
    return values.reshape(len(deployments), spans * len(arrays), len(replications))


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    full = [part for part in parts if len(part)]
    return pd.concat(full, ignore_index=True) if full else parts[0]
