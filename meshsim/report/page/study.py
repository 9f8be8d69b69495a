"""What the sections of the page are written from: one run, its numbers looked up by name, and what lies beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from meshsim.analysis.comparison import NOT_JUDGED, UNSEEN
from meshsim.analysis.phases import Phase, phases, whole
from meshsim.analysis.summary import WHOLE
from meshsim.errors import ScenarioError
from meshsim.report.cells import ABSENT, Printed, printed
from meshsim.report.metrics import shown
from meshsim.report.numbers import duration
from meshsim.report.what_if import left_out

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from meshsim.analysis.warm_up import Doubt
    from meshsim.report.plots import Plots
    from meshsim.scenario.schema import Document


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one phase and flow, for all deployments.

    Parameters
    ----------
    metric, phase, flow
        Of what.
    rows
        By deployment: the columns of `meshsim.analysis.comparison.compare`.
    """

    metric: str
    phase: str
    flow: str
    rows: Mapping[str, Mapping[str, Any]]

    @property
    def label(self) -> str:
        """Its short name, with the flow where that is not all."""
        return shown(self.metric).label + ("" if self.flow == "all" else f", {self.flow}")

    @property
    def better(self) -> str | None:
        """Which way is better; None where a difference is only a difference."""
        return shown(self.metric).better

    def text(self, deployment: str) -> str:
        """Return the mean with its interval and unit, as everywhere else."""
        return self.printed(deployment).text

    def printed(self, deployment: str) -> Printed:
        """Return the same with what has to be explained of it."""
        return printed(self.metric, self.rows[deployment]) if deployment in self.rows else ABSENT

    def mean(self, deployment: str) -> float:
        """Return the mean over the replications, nan where there is none."""
        return float(self.rows[deployment]["mean"]) if deployment in self.rows else float("nan")

    def seen(self, deployment: str) -> int:
        """Return how many replications have a value, or a recovery that never came."""
        row = self.rows.get(deployment, {})
        return int(row.get("n", 0)) + int(row.get("never", 0))

    def beats(self, deployment: str) -> tuple[str, ...]:
        """Return the deployments that are worse beyond chance."""
        return tuple(self.rows.get(deployment, {}).get("beats", ()))

    def beaten_by(self, deployment: str) -> tuple[str, ...]:
        """Return the deployments that are better beyond chance."""
        return tuple(other for other in self.rows if deployment in self.beats(other))

    def alike(self, deployment: str) -> tuple[str, ...]:
        """Return the deployments that have the same value in every replication."""
        return tuple(self.rows.get(deployment, {}).get("alike", ()))

    def steady(self, deployment: str) -> tuple[str, ...]:
        """Return the deployments from which it differs the same way in every replication, too few to be sure."""
        return tuple(self.rows.get(deployment, {}).get("steady", ()))

    def discounted(self, deployment: str) -> tuple[str, ...]:
        """Return the deployments that it would beat if failed requests were a merit."""
        return tuple(self.rows.get(deployment, {}).get("discounted", ()))

    @property
    def best(self) -> str:
        """The deployment that beats every other beyond chance; empty for none."""
        others = len(self.rows) - 1
        return next((name for name in self.rows if others and len(self.beats(name)) == others), "")

    @property
    def worst(self) -> str:
        """The deployment that every other beats beyond chance; empty for none."""
        others = len(self.rows) - 1
        return next((name for name in self.rows if others and len(self.beaten_by(name)) == others), "")

    def tells(self, deployment: str) -> bool:
        """Return whether a deployment has a value, and enough requests for it where it is a percentile."""
        row = self.rows.get(deployment, {})
        return math.isfinite(self.mean(deployment)) and not row.get("requests_needed", 0)

    @property
    def decided(self) -> bool:
        """Whether any deployment beats any other beyond chance."""
        return any(self.beats(name) for name in self.rows)

    @property
    def same(self) -> bool:
        """Whether all deployments have the same value in every replication."""
        return len(self.rows) > 1 and all(len(self.alike(name)) == len(self.rows) - 1 for name in self.rows)


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference, half the width of its interval, and whether that excludes 0."""

    mean: float
    half_width: float
    beyond_chance: bool


@dataclass(frozen=True)
class Study:
    """A run as the page sees it.

    Parameters
    ----------
    plots
        Its scenario, tables, numbers and pictures.
    manifest
        How it came about.
    question
        What the reader asked; the scenario's description where she asked nothing.
    sensitivity
        Folders of sensitivity studies to be shown.
    weights
        Of criteria, in place of those of the scenario.
    """

    plots: Plots
    manifest: Mapping[str, Any]
    question: str = ""
    sensitivity: tuple[Path, ...] = field(default=())
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        """The scenario."""
        return self.plots.document

    @property
    def deployments(self) -> tuple[str, ...]:
        """What was compared, in order."""
        return self.plots.deployments

    @cached_property
    def phases(self) -> list[Phase]:
        """The phases of the run."""
        return phases(self.document)

    @cached_property
    def decisive(self) -> Phase:
        """The phase that matters most: *during*, or the whole run where nothing goes wrong."""
        named = {phase.name: phase for phase in self.phases}
        return named.get("during") or whole(self.phases, WHOLE)

    @property
    def ordinary(self) -> Phase:
        """The phase in which nothing goes wrong yet: what a month costs is told of it."""
        return self.phases[0]

    @property
    def ordinary_in_words(self) -> str:
        """The ordinary phase in words."""
        return "the run" if self.ordinary.name == WHOLE else f"the phase “{self.ordinary.name}”"

    @property
    def when(self) -> str:
        """The decisive phase in words."""
        span = f"({duration(self.decisive.start)} to {duration(self.decisive.end)})"
        return f"the whole run {span}" if self.decisive.name == WHOLE else f"the phase “{self.decisive.name}” {span}"

    @property
    def replications(self) -> int:
        """How many replications there are."""
        n = self.plots.comparison["n"]
        return int(n.max()) if len(n) else 0

    def line(self, metric: str, flow: str = "all", phase: str = "") -> Line | None:
        """Return a metric in a phase (the decisive one by default, else the whole run); None where nothing has it."""
        wanted = [phase] if phase else [self.decisive.name, WHOLE]
        return next((self._lines[key] for name in wanted if (key := (name, metric, flow)) in self._lines), None)

    def differences(self, metric: str, phase: str) -> dict[tuple[str, str], Difference]:
        """Return by how much one deployment has more of a metric than another, for both orders of each pair.

        Pairs without an interval are left out.
        """
        from meshsim.analysis.summary import differences

        summary, found = self.plots.summary, {}
        frame = differences(summary[(summary["phase"] == phase) & (summary["flow"] == "all")])
        for row in frame[frame["metric"] == metric].to_dict("records"):
            here, there, mean, half_width = row["deployment"], row["than"], row["difference"], row["half_width"]
            if math.isfinite(mean) and math.isfinite(half_width):
                beyond_chance = row["verdict"] not in (UNSEEN, NOT_JUDGED)
                found[here, there] = Difference(mean, half_width, beyond_chance)
                found[there, here] = Difference(-mean, half_width, beyond_chance)
        return found

    @cached_property
    def unbilled(self) -> str:
        """That deployments differ in pods which no cost counts; empty where they do not."""
        return left_out(self.plots.comparison, self.ordinary.name)

    @cached_property
    def entries(self) -> dict[str, dict[str, Line]]:
        """What users saw in the decisive phase by the region they entered in: region → metric → its line."""
        from meshsim.analysis.comparison import compare
        from meshsim.analysis.entries import FROM, by_entry

        places = {name: cluster.region for name, cluster in self.document.clusters.items()}
        found = _lines(compare(by_entry(self.plots.tables, [self.decisive], places)))
        regions: dict[str, dict[str, Line]] = {}
        for (phase, metric, flow), line in found.items():
            asked = any(float(row["mean"]) > 0 for row in found[phase, "requests", flow].rows.values())
            if phase == self.decisive.name and asked:
                regions.setdefault(flow.removeprefix(FROM), {})[metric] = line
        return regions

    @cached_property
    def paths(self) -> pd.DataFrame:
        """Where the time of a typical and of a p99 request went in the decisive phase, by deployment."""
        from meshsim.analysis.critical_path import paths

        return paths(self.plots.tables, self.decisive)

    @cached_property
    def doubts(self) -> list[Doubt]:
        """Why the numbers may not mean what they seem to."""
        from meshsim.analysis.warm_up import doubts

        return doubts(self.plots.tables, self.phases)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What the scenario has that has no effect in meshsim, or why nobody knows."""
        from meshsim.scenario import load

        try:
            return load(self.manifest["scenario"]).warnings
        except KeyError:  # made by hand: the run is whole all the same
            return ("they could not be read: manifest.json has no scenario",)
        except ScenarioError as error:  # of another version, or with a load balancer that nobody registered here
            return (f"they could not be read: {'; '.join(problem.message for problem in error.problems)}",)

    @cached_property
    def _lines(self) -> dict[tuple[str, str, str], Line]:
        return _lines(self.plots.comparison)


def _lines(comparison: pd.DataFrame) -> dict[tuple[str, str, str], Line]:
    """Return every line that any deployment has a value of, or a recovery that never came."""
    found: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in comparison.to_dict("records"):
        key = (str(row["phase"]), str(row["metric"]), str(row["flow"]))
        found.setdefault(key, {})[str(row["deployment"])] = {str(name): value for name, value in row.items()}
    return {
        (phase, metric, flow): Line(metric, phase, flow, rows)
        for (phase, metric, flow), rows in found.items()
        if any(row["n"] or row.get("never", 0) for row in rows.values())
    }
