"""Runs of one scenario side by side: numbers, pictures, words, and what to make of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim import scenario

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.decision import Decision
    from meshsim.analysis.expectations import Result
    from meshsim.analysis.warm_up import Doubt, WarmUp
    from meshsim.engine.simulation import Simulation
    from meshsim.report.plots import Plots


@dataclass(frozen=True)
class Comparison:
    """Runs of one scenario under one or several deployments.

    Parameters
    ----------
    tables
        Every table of `meshsim.results.tables.TABLES`, as data frames.
    manifest
        How they came about.
    """

    tables: Mapping[str, pd.DataFrame]
    manifest: Mapping[str, Any]

    @classmethod
    def of(cls, simulations: Iterable[Simulation]) -> Comparison:
        """Run simulations of one scenario to their ends, with all that was added to them, and return what was measured.

        Parameters
        ----------
        simulations
            None of which has run yet; see docs/notebooks.md.
        """
        from meshsim.results.frames import concatenate
        from meshsim.results.manifest import describe

        began, given = time.perf_counter(), list(simulations)
        tables = concatenate([one.run() for one in given])
        what, count = given[0].scenario, len({one.replication for one in given})
        manifest = describe(
            what.resolved(),
            scenario_hash=what.hash,
            seed=what.document.seed,
            deployments=list(dict.fromkeys(one.deployment for one in given)),
            replications_asked=count,
            replications_finished=count,
            wall_time=time.perf_counter() - began,
        )
        return cls(tables, manifest)

    @cached_property
    def plot(self) -> Plots:
        """The pictures: ``plot.topology()``, ``plot.timeline()``, ``plot.distributions()``, ``plot.bars()``."""
        from meshsim.report.plots import plots_of

        return plots_of(self)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Means over replications, 95 % intervals, and who is better beyond chance; see docs/statistics.md."""
        return self.plot.comparison

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Paired differences of all pairs of deployments, with 95 % intervals that hold together in every row."""
        from meshsim.analysis.summary import differences

        return differences(self.plot.summary)

    @cached_property
    def doubts(self) -> list[Doubt]:
        """Why the numbers may not mean what they seem to: still settling, not steady, saturated."""
        from meshsim.analysis.phases import phases
        from meshsim.analysis.warm_up import doubts

        return doubts(self.tables, phases(self.plot.document))

    @cached_property
    def warm_ups(self) -> list[WarmUp]:
        """Where MSER would begin to measure, for each deployment, beside the warm-up of the scenario."""
        from meshsim.analysis.phases import phases
        from meshsim.analysis.warm_up import warm_ups

        return warm_ups(self.tables, phases(self.plot.document))

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Every metric of every single run: ``deployment, replication, phase, metric, flow, value``."""
        return self.plot.summary

    @cached_property
    def over_time(self) -> pd.DataFrame:
        """Every metric over time: ``deployment, start, end, metric, flow, mean, half_width, n`` (of replications)."""
        from meshsim.analysis.summary import timeline
        from meshsim.scenario.sampling import windows

        return timeline(self.tables, windows=windows(self.plot.document))

    @cached_property
    def verdicts(self) -> tuple[tuple[str, str], ...]:
        """Of each headline metric its label and, phase by phase, who is better beyond chance."""
        from meshsim.report.verdicts import spoken

        return spoken(self.metrics)

    def text(self, metric: str, deployment: str = "", *, phase: str = "all", flow: str = "all") -> str:
        """Return a number as it stands in the table: with its unit, and what is known of it.

        Parameters
        ----------
        metric, phase, flow
            As in `metrics`.
        deployment
            The first by default.

        Raises
        ------
        KeyError
            If there is no such number.
        """
        from meshsim.report.cells import cell

        name = deployment or self.manifest["deployments"][0]
        wanted = {"deployment": name, "phase": phase, "metric": metric, "flow": flow}
        rows = self.metrics[(self.metrics[list(wanted)] == list(wanted.values())).all(axis=1)]
        if rows.empty:
            raise KeyError(" ".join(wanted.values()))
        return cell(metric, rows.iloc[0].to_dict())

    def table(self) -> pd.DataFrame:
        """Return the means with deployments side by side; rows are phase, metric and flow."""
        wide = self.metrics.pivot_table(
            index=["phase", "metric", "flow"], columns="deployment", values="mean", sort=False, dropna=False
        )
        return wide[[name for name in self.manifest["deployments"] if name in wide.columns]].dropna(how="all")

    def check(self) -> pd.DataFrame:
        """Return how what the scenario expects went: a row for each expectation and deployment.

        Columns are those of `meshsim.analysis.expectations.Result`: what was looked at, the bounds, mean and interval,
        whether the mean keeps the bounds (``holds``) and whether the whole interval does (``sure``).

        Raises
        ------
        ScenarioError
            If the scenario expects nothing of what was run.
        """
        from meshsim.analysis.expectations import require
        from meshsim.report.expectations import frame

        require(self.plot.document, self.manifest["deployments"], self.plot.document.name)
        return frame(self.checked)

    @cached_property
    def checked(self) -> list[Result]:
        """What the scenario expects, held against what was run; see `check`."""
        from meshsim.analysis.expectations import check

        return check(self.plot.summary, self.plot.document.expect)

    def decide(self, weights: Mapping[str, float] | None = None, like: scenario.Scenario | None = None) -> Decision:
        """Return what speaks for which deployment, by the scenario's criteria (docs/decision.md); a notebook shows it.

        Parameters
        ----------
        weights
            Weights in place of those of the scenario, by criterion.
        like
            A scenario whose criteria count instead of those of the one that was run.

        Raises
        ------
        ScenarioError
            If a criterion cannot be read, a weight is of none, or nothing was measured of any.
        """
        from meshsim.analysis.decision import decide
        from meshsim.report.notebook import Decided

        document = self.plot.document
        if like is not None:
            document = document.model_copy(update={"decision": like.document.decision})
        return Decided.of(decide(self.plot.summary, document, weights))

    def print(self, *, full: bool = False) -> None:
        """Print the table: with colours on a terminal, as plain text elsewhere; ``full`` shows every metric."""
        from meshsim.report.terminal import show

        show(
            self.metrics,
            self.plot.document,
            full=full,
            doubts=self.doubts,
            warm_ups=self.warm_ups,
            precision=self.manifest.get("precision"),
            manifest=self.manifest,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the metrics, and how what is expected went, as data that JSON can hold; see docs/results.md."""
        from meshsim.report import expectations, verdicts, what_if
        from meshsim.report.tables import to_json

        return {
            **to_json(self.metrics),
            "notes": [asdict(doubt) for doubt in self.doubts],
            "warm_up": verdicts.warm_up_json(self.warm_ups),
            "precision": self.manifest.get("precision"),
            "what_if": what_if.to_json(self.manifest),
            "expectations": expectations.to_json(self.checked),
        }

    def save(self, folder: str | Path = "results", *, pictures: bool = True) -> Path:
        """Save tables, manifest and pictures in a new folder below ``folder``, and return it.

        Raises
        ------
        ResultsError
            If it cannot be written.
        """
        from meshsim.results.store import write

        run_folder = write(Path(folder), self.tables, self.manifest)
        if pictures:
            self.plot.save(run_folder)
        return run_folder

    def report(
        self,
        folder: str | Path,
        *,
        question: str = "",
        sensitivity: Sequence[str | Path] = (),
        weights: Mapping[str, float] | None = None,
    ) -> Path:
        """Write the report, and every picture and table of it, into a folder; return the page (see docs/report.md).

        Parameters
        ----------
        folder
            Created where missing; files of the same name are replaced.
        question
            What was asked; the scenario's description by default.
        sensitivity
            Folders that ``meshsim sensitivity`` has saved, to be shown.
        weights
            Of the scores, in place of those of the scenario, by criterion.

        Raises
        ------
        ScenarioError
            If a weight is of no criterion.
        ResultsError
            If it cannot be written.
        """
        from meshsim.report.page.writing import write

        studies = [Path(one) for one in sensitivity]
        return write(self, Path(folder), question=question, studies=studies, weights=weights)[0]

    def _repr_html_(self) -> str:
        from meshsim.report.html import comparison_html

        return comparison_html(self)


def read(folder: str | Path) -> Comparison:
    """Return a comparison that was saved.

    Raises
    ------
    ResultsError
        If there is none, or it is incomplete.
    """
    from meshsim.results.store import read as read_results

    found = read_results(Path(folder))
    return Comparison(found.tables, found.manifest)
