"""What a notebook sees: scenarios, comparisons and their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim import experiment, scenario

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from meshsim.analysis.expectations import Result
    from meshsim.analysis.warm_up import Doubt
    from meshsim.experiment.breaking import Breaking
    from meshsim.experiment.engines import Engine
    from meshsim.report.plots import Plots
    from meshsim.report.sweep_frame import Sweep


@dataclass(frozen=True, slots=True)
class Scenario(scenario.Scenario):
    """A scenario; see `meshsim.load`."""

    def graph(self, deployment: str | None = None) -> nx.MultiDiGraph[Any]:
        """Return the mesh as one graph: places, services, gateways, links, calls and who controls whom.

        Parameters
        ----------
        deployment
            Adds the control planes of this deployment and their edges.
        """
        from meshsim.mesh.graph import build

        return build(self.document, deployment)

    def export_graph(self, path: str | Path, deployment: str | None = None) -> Path:
        """Write the graph to a file: GraphML for ``.graphml``, else node-link JSON; return its path."""
        import json

        from meshsim.mesh.graph import to_node_link, write_graphml

        graph, target = self.graph(deployment), Path(path)
        if target.suffix == ".graphml":
            write_graphml(graph, target)
        else:
            target.write_text(json.dumps(to_node_link(graph), indent=1), encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        from meshsim.report.html import scenario_html

        return scenario_html(self)


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

    def print(self, *, full: bool = False) -> None:
        """Print the table: with colours on a terminal, as plain text elsewhere; ``full`` shows every metric."""
        from meshsim.report.terminal import show

        precision = self.manifest.get("precision")
        show(self.metrics, self.plot.document, full=full, doubts=self.doubts, precision=precision)

    def to_json(self) -> dict[str, Any]:
        """Return the metrics, and how what is expected went, as data that JSON can hold; see docs/results.md."""
        from meshsim.report import expectations
        from meshsim.report.tables import to_json

        return {
            **to_json(self.metrics),
            "notes": [asdict(doubt) for doubt in self.doubts],
            "precision": self.manifest.get("precision"),
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

    def _repr_html_(self) -> str:
        from meshsim.report.html import comparison_html

        return comparison_html(self)


def load(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Scenario:
    """Return the scenario of a file, a bundled name or a dict.

    Parameters
    ----------
    source
        Path of a file, name of a bundled scenario, or a dict of the same shape.
    overrides
        Changes as ``path=value``, such as ``load.frontend.rate=400/s``.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> load("online-boutique").document.name
    'online-boutique'
    """
    from meshsim.analysis import expectations
    from meshsim.mesh import checks
    from meshsim.mesh.deployment import control_planes

    found = scenario.load(source, overrides, (*checks.CHECKS, *expectations.CHECKS), control_planes)
    return Scenario(**{field.name: getattr(found, field.name) for field in fields(found)})


def compare(
    what: scenario.Scenario,
    deployments: Sequence[str] = (),
    *,
    replications: int | None = None,
    precision: float | experiment.Precision | None = None,
    jobs: int = 1,
) -> Comparison:
    """Run a scenario under several deployments (all of its own by default), all with the same random draws.

    Parameters
    ----------
    what
        The scenario.
    deployments
        Names of its deployments.
    replications
        Runs per deployment; the scenario's number by default.
    precision
        Instead of a number: go on until the headline metrics are known so well, such as 0.05 for ± 5 %.
    jobs
        Processes; -1 for one per processor.

    Raises
    ------
    ScenarioError
        If a deployment is unknown.
    """
    wanted = experiment.Precision(precision) if isinstance(precision, float) else precision
    outcome = experiment.run(what, deployments, replications=replications, precision=wanted, jobs=jobs)
    return Comparison(outcome.tables, outcome.manifest)


def run(
    what: scenario.Scenario,
    deployment: str,
    *,
    replications: int | None = None,
    precision: float | experiment.Precision | None = None,
    jobs: int = 1,
) -> Comparison:
    """Run a scenario under one deployment; see `compare`.

    Raises
    ------
    ScenarioError
        If the deployment is unknown.
    """
    return compare(what, [deployment], replications=replications, precision=precision, jobs=jobs)


def sweep(
    what: scenario.Scenario,
    vary: Mapping[str, Any] | Sequence[str],
    deployments: Sequence[str] = (),
    *,
    replications: int | None = None,
    design: str = "grid",
    points: int | None = None,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    keep: str | Path | None = None,
) -> Sweep:
    """Run a scenario at many points and return a tidy data frame, a row for each metric of each run.

    Parameters
    ----------
    what
        The scenario that varies.
    vary
        Values by path, ``{"load.scale": "0.5..2/7", "gateways.eu-1.replicas": [1, 2, 4]}``, or the same as text.
    deployments
        Names of its deployments; all by default.
    replications
        Runs of each deployment at each point; the scenario's number by default.
    design, points
        ``grid``, ``list``, or ``random``, ``sobol`` or ``lhs`` with so many points.
    jobs, engine, scheduler
        Processes of this machine, or another engine; see docs/sweeps.md.
    keep
        Folder in which finished runs are kept, so that the same sweep goes on where it stopped; None for nowhere.

    Raises
    ------
    ScenarioError
        With everything that is wrong, at all points, before anything runs.
    """
    from meshsim.experiment import sweep as sweeping
    from meshsim.report.sweep_frame import Sweep

    planned = sweeping.plan(what, vary, deployments, replications=replications, design=design, points=points)
    by = _engine(engine, jobs, scheduler)
    return Sweep(sweeping.carry_out(planned, by, _units(what, keep)), plan=planned)


def find(
    what: scenario.Scenario,
    vary: str,
    until: str,
    deployments: Sequence[str] = (),
    *,
    resolution: float | None = None,
    replications: int = 3,
    max_replications: int = 24,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    keep: str | Path | None = None,
) -> list[Breaking]:
    """Find the point of a range at which each deployment breaks.

    Parameters
    ----------
    what
        The scenario that varies.
    vary
        ``path=low..high`` or ``path=low..high/log``.
    until
        What is broken, such as ``success_rate < 99.9%`` or ``latency_p99 in during > 250ms``.
    deployments
        Names of its deployments; all by default.
    resolution
        How close to get, in the field's unit; a hundredth of the range by default.
    replications, max_replications
        Runs of each point, at first and at most.
    jobs, engine, scheduler, keep
        As for `sweep`.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    from meshsim.experiment import find as finding

    search = finding.search(
        what, vary, until, deployments, resolution=resolution, replications=replications, most=max_replications
    )
    return finding.carry_out(search, _engine(engine, jobs, scheduler), _units(what, keep))


def sensitivity(
    what: scenario.Scenario,
    vary: Mapping[str, Any] | Sequence[str],
    metrics: Sequence[str] = ("success_rate", "latency_p99"),
    deployments: Sequence[str] = (),
    *,
    method: str = "tornado",
    points: int | None = None,
    replications: int | None = None,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    keep: str | Path | None = None,
) -> pd.DataFrame:
    """Return what metrics depend on: one field at a time (``tornado``), or all together (``sobol``).

    Parameters
    ----------
    what
        The scenario that varies.
    vary
        Ranges by path, ``{"load.scale": "0.5..2"}``, or the same as text.
    metrics
        Such as ``latency_p99`` or ``latency_p99 cross-region in during``.
    deployments
        Names of its deployments; all by default.
    method, points
        ``tornado``, or ``sobol`` with a power of two of base points.
    replications
        Runs of each deployment at each point; the scenario's number by default.
    jobs, engine, scheduler, keep
        As for `sweep`.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    from meshsim.experiment import sensitivity as studying

    study = studying.study(what, vary, metrics, deployments, method=method, points=points, replications=replications)
    return studying.carry_out(study, _engine(engine, jobs, scheduler), _units(what, keep))


def _engine(name: str, jobs: int, scheduler: str) -> Engine:
    from meshsim.experiment.engines import engine

    return engine(name, jobs=jobs, scheduler=scheduler)


def _units(what: scenario.Scenario, keep: str | Path | None) -> experiment.Units | None:
    return None if keep is None else experiment.Units(Path(keep) / what.document.name / "units")


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
