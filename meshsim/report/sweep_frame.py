"""A sweep in a notebook: a data frame that knows its summary and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from meshsim.analysis.wanted import wanted
from meshsim.experiment import sweep
from meshsim.report.sweep import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meshsim.analysis.wanted import Wanted
    from meshsim.experiment.sweep import Plan
    from meshsim.report.panels import Panels
    from meshsim.scenario.schema import Document


class Sweep(pd.DataFrame):
    """Every metric of every run of a sweep, a row each; what is taken of it is an ordinary data frame.

    Columns are ``point``, one for each thing that varies under its path, ``deployment, replication, phase, metric,
    flow, value``.
    """

    _metadata = ["plan"]  # noqa: RUF012 (pandas wants a list)

    def __init__(self, *given: Any, plan: Plan | None = None, **more: Any) -> None:
        super().__init__(*given, **more)
        self.plan = plan

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    @property
    def varied(self) -> list[str]:
        """Paths of what varies."""
        return [str(name) for name in self.columns if name not in sweep.COLUMNS]

    def summary(self, *metrics: str) -> pd.DataFrame:
        """Return means over replications with 95 % intervals, and differences to the first deployment.

        Parameters
        ----------
        metrics
            Errors by response flag, as ``errors:UH``, that have rows even if no run had one.
        """
        return sweep.summary(pd.DataFrame(self), [self._wanted(metric) for metric in metrics])

    def picture(self, metric: str = METRICS[0], ax: Axes | None = None) -> Axes | Panels:
        """Draw one metric: curves over one field, a heat map over two, dots over more.

        Parameters
        ----------
        metric
            As ``latency_p99``, ``latency_p99 cross-region`` or ``latency_p99 in during``.
        ax
            Axes to draw in, or whose place several panels take; a picture of its own by default.

        Raises
        ------
        ScenarioError
            If there is no such metric, flow or phase.
        """
        from meshsim.report.sweep_pictures import picture

        design = self.plan.design if self.plan else "grid"
        return picture(self.summary(metric), self.varied, self._wanted(metric), design, ax)

    def _repr_html_(self) -> str:
        """Show the means of `METRICS` side by side; of a part of a sweep, its rows."""
        from meshsim.report.notebook import table

        if self.plan is None:
            return str(pd.DataFrame(self).to_html(max_rows=20))
        header, rows = self._side_by_side()
        what = f"<p>{len(self)} rows; summary() has every metric with its interval</p>"
        return f"<div>{what}{table(header, rows)}</div>"

    def _side_by_side(self) -> tuple[list[str], list[list[str]]]:
        from meshsim.report.cells import cell

        summary, names = self.summary(), list(dict.fromkeys(self["deployment"]))
        header = [*self.varied, *(f"{metric}, {name}" for metric in METRICS for name in names)]
        rows = []
        for _, of_point in summary.groupby("point", sort=True):
            line = [str(of_point[path].iloc[0]) for path in self.varied]
            for metric in METRICS:
                own = self._wanted(metric).of(of_point).set_index("deployment").to_dict("index")
                line += [cell(metric, own[name]) if name in own else "" for name in names]
            rows.append(line)
        return header, rows

    def _wanted(self, metric: str) -> Wanted:
        document: Document | None = self.plan.scenario.document if self.plan else None
        if document is None:
            raise ValueError("this is a part of a sweep: draw the whole")
        return wanted(metric, document)

    def save(self, folder: str | Path = "results", metrics: tuple[str, ...] = METRICS) -> Path:
        """Save the table, its summary, a manifest and pictures of some metrics in a new folder, and return it.

        Raises
        ------
        ResultsError
            If it cannot be written.
        """
        from meshsim.report.sweep_files import save_sweep

        return save_sweep(self, Path(folder), [self._wanted(metric) for metric in metrics])
