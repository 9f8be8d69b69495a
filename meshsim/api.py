"""What a notebook sees: scenarios, comparisons and their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim import experiment, scenario

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from meshsim.analysis.expectations import Result
    from meshsim.report.plots import Plots


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
        """Means over replications, 95 % intervals and paired differences to the first deployment, in long form."""
        return self.plot.comparison

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

        show(self.metrics, self.plot.document, full=full)

    def to_json(self) -> dict[str, Any]:
        """Return the metrics, and how what is expected went, as data that JSON can hold; see docs/results.md."""
        from meshsim.report import expectations
        from meshsim.report.tables import to_json

        return {**to_json(self.metrics), "expectations": expectations.to_json(self.checked)}

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
    what: scenario.Scenario, deployments: Sequence[str] = (), *, replications: int | None = None, jobs: int = 1
) -> Comparison:
    """Run a scenario under several deployments (all of its own by default), all with the same random draws.

    Raises
    ------
    ScenarioError
        If a deployment is unknown.
    """
    outcome = experiment.run(what, deployments, replications=replications, jobs=jobs)
    return Comparison(outcome.tables, outcome.manifest)


def run(what: scenario.Scenario, deployment: str, *, replications: int | None = None, jobs: int = 1) -> Comparison:
    """Run a scenario under one deployment.

    Raises
    ------
    ScenarioError
        If the deployment is unknown.
    """
    return compare(what, [deployment], replications=replications, jobs=jobs)


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
