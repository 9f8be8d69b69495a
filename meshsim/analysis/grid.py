"""Rows of the result tables summed into cells: one per run (deployment and replication) and span of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.phases import Phase, counted_in
from meshsim.errors import ResultsError
from meshsim.results.histogram import quantiles
from meshsim.scenario.sampling import Spans, seconds

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
Rows = NDArray[Any]

#: Seconds by which times may differ and still be the same edge.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells: runs by spans of time.

    Parameters
    ----------
    runs
        Deployment and replication of each row of cells.
    starts, ends
        Spans of time in order, not overlapping, seconds; one per column.
    windows
        Starts and ends (seconds) of when users' requests count; None for all the time.
    of_load
        Whether only what lies in the windows is looked at.
    """

    runs: tuple[tuple[str, int], ...]
    starts: Values
    ends: Values
    windows: Spans | None = None
    of_load: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Number of runs and of spans."""
        return len(self.runs), len(self.starts)

    @property
    def lengths(self) -> Values:
        """Seconds of each span that are looked at."""
        if self._sampled is None:
            return self.ends - self.starts
        return np.array(
            [seconds(self._sampled, *span) for span in zip(self.starts, self.ends, strict=True)], dtype=float
        )

    @property
    def counted(self) -> Grid:
        """The same cells for what depends on load: only what lies in the windows."""
        return replace(self, of_load=True)

    @property
    def _sampled(self) -> Spans | None:
        return self.windows if self.of_load else None

    def cells(self, table: pd.DataFrame) -> NDArray[np.int64]:
        """Return the cell of each row of a table, -1 for rows outside of all spans.

        Raises
        ------
        ResultsError
            If a time bucket lies across the edge of a span: its counts belong to neither side.
        """
        start, end = (table[name].to_numpy(dtype=float) for name in ("start", "end"))
        span = np.searchsorted(self.starts, (start + end) / 2, side="right") - 1
        outside = (span < 0) | ((start + end) / 2 >= self.ends[span])
        edges = np.unique(np.concatenate([self.starts, self.ends]))
        if self._sampled is not None:
            cuts = np.array(self._sampled, dtype=float).ravel()
            outside |= np.searchsorted(cuts, (start + end) / 2) % 2 == 0
            edges = np.unique(np.concatenate([edges, cuts]))
        crossed = np.searchsorted(edges, start + _SAME) != np.searchsorted(edges, end - _SAME)
        if crossed.any():
            first = int(np.flatnonzero(crossed)[0])
            raise ResultsError(
                f"the time bucket from {start[first]:g} s to {end[first]:g} s crosses the edge of a phase"
            )
        run = self._run_of(table)
        return np.where(outside | (run < 0), -1, run * len(self.starts) + span)

    def total(self, cells: NDArray[np.int64], values: Rows, where: Rows | None = None) -> Values:
        """Return the sum of ``values`` in each cell, of the rows ``where`` says; shape of the grid.

        It is nan where nobody looked.
        """
        keep = cells >= 0 if where is None else (cells >= 0) & where
        summed = np.bincount(cells[keep], weights=values[keep], minlength=int(np.prod(self.shape)))
        found = summed.astype(float).reshape(self.shape)
        if self._sampled is not None:
            found[:, self.lengths <= 0.0] = np.nan
        return found

    def largest(self, cells: NDArray[np.int64], values: Rows) -> Values:
        """Return the largest of ``values`` in each cell, nan where there are none; shape of the grid."""
        keep = cells >= 0
        found = np.full(int(np.prod(self.shape)), -np.inf)
        np.maximum.at(found, cells[keep], values[keep])
        return np.where(np.isfinite(found), found, np.nan).reshape(self.shape)

    def quantiles(
        self, cells: NDArray[np.int64], table: pd.DataFrame, q: Sequence[float], where: Rows | None = None
    ) -> list[Values]:
        """Return quantiles (seconds) of the histograms in ``table``, for each of ``q`` in the shape of the grid."""
        keep = cells >= 0 if where is None else (cells >= 0) & where
        bins, counts = table["bin"].to_numpy()[keep], table["count"].to_numpy()[keep]
        return [
            found.reshape(self.shape) for found in quantiles(cells[keep], bins, counts, q, int(np.prod(self.shape)))
        ]

    def _run_of(self, table: pd.DataFrame) -> NDArray[np.int64]:
        """Return the row of cells of each row of the table, -1 for a run that is not in the grid."""
        import pandas as pd

        names, deployments = pd.factorize(table["deployment"])
        numbers, replications = pd.factorize(table["replication"])
        rows = {run: row for row, run in enumerate(self.runs)}
        found = np.full((len(deployments), len(replications)), -1, dtype=np.int64)
        for i, deployment in enumerate(deployments):
            for j, replication in enumerate(replications):
                found[i, j] = rows.get((str(deployment), int(replication)), -1)
        return found[names, numbers]


def over(compared: Sequence[tuple[str, int]], spans: Sequence[Phase]) -> Grid:
    """Return the cells of runs by phases.

    Examples
    --------
    >>> over([("hybrid", 0)], [Phase("before", 0.0, 5.0), Phase("during", 5.0, 9.0)]).lengths.tolist()
    [5.0, 4.0]
    """
    starts, ends = (np.array([getattr(phase, edge) for phase in spans], dtype=float) for edge in ("start", "end"))
    return Grid(tuple(compared), starts, ends, counted_in(spans))


def runs(tables: Mapping[str, pd.DataFrame]) -> tuple[tuple[str, int], ...]:
    """Return the deployments and replications in the tables, in the order in which they were compared."""
    found: dict[tuple[str, int], None] = {}
    for table in tables.values():
        pairs = table[["deployment", "replication"]].drop_duplicates()
        found.update(dict.fromkeys((str(name), int(number)) for name, number in pairs.itertuples(index=False)))
    order = {name: at for at, name in enumerate(dict.fromkeys(name for name, _ in found))}
    return tuple(sorted(found, key=lambda run: (order[run[0]], run[1])))


def buckets(tables: Mapping[str, pd.DataFrame]) -> tuple[Values, Values]:
    """Return starts and ends (seconds) of the time buckets that the tables have rows for.

    Latencies of calls are kept by phase and say nothing about buckets.
    """
    import pandas as pd

    kept = [table for name, table in tables.items() if name != "latency" and "start" in table]
    parts = [table[["start", "end"]].drop_duplicates() for table in kept]
    found = pd.concat(parts).drop_duplicates().sort_values("start")
    return found["start"].to_numpy(dtype=float), found["end"].to_numpy(dtype=float)


def flags_of(table: pd.DataFrame, where: Rows) -> Iterable[tuple[str, Rows]]:
    """Return each response flag in the rows ``where`` says, ``-`` for none, with the rows that have it."""
    import pandas as pd

    codes, flags = pd.factorize(table["response_flag"])
    for flag in sorted(set(np.asarray(flags)[np.unique(codes[where])])):
        yield str(flag) or "-", where & (codes == list(flags).index(flag))
