"""Sweeps: a scenario at many points, under several deployments, in several replications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshsim.errors import Problem, ScenarioError, gathering
from meshsim.experiment import designs
from meshsim.experiment.designs import Axis
from meshsim.experiment.engines import Engine
from meshsim.experiment.points import Checked, Job, Watch, chosen, run
from meshsim.experiment.units import Units
from meshsim.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.wanted import Wanted

#: Columns of a sweep that are not what varies.
COLUMNS = ("point", "deployment", "replication", "phase", "metric", "flow", "value")


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep before it is run, checked.

    Parameters
    ----------
    scenario
        The base of all points.
    axes
        What varies.
    design
        How points were chosen.
    points
        Values of each point, as they are written in a scenario.
    deployments, replications
        What is run at each.
    jobs
        Every unit.
    note
        What a user should be told of the design; empty for nothing.
    """

    scenario: Scenario
    axes: tuple[Axis, ...]
    design: str
    points: tuple[tuple[str, ...], ...]
    deployments: tuple[str, ...]
    replications: int
    jobs: tuple[Job, ...]
    note: str = ""

    def described(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return {
            "design": self.design,
            "vary": [one.path for one in self.axes],
            "points": [list(point) for point in self.points],
            "replications": self.replications,
        }


def plan(
    scenario: Scenario,
    vary: Sequence[str] | Mapping[str, Any],
    deployments: Sequence[str] = (),
    *,
    replications: int | None = None,
    design: str = "grid",
    points: int | None = None,
) -> Plan:
    """Return a sweep that is ready to run.

    Parameters
    ----------
    scenario
        The base of all points.
    vary
        What varies, see `meshsim.experiment.designs.axes`.
    deployments
        Names of its deployments; all by default.
    replications
        Runs of each deployment at each point; the scenario's number by default.
    design
        One of `meshsim.experiment.designs.DESIGNS`.
    points
        How many points are drawn, where the design draws them; with the scenario's seed.

    Raises
    ------
    ScenarioError
        With everything that is wrong, at all points.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> found = plan(load(EXAMPLE), {"load.scale": "0.5..2/4", "services.web.replicas": [1, 2]}, ["hybrid"])
    >>> len(found.jobs), found.points[0]
    (8, ('0.5', '1'))
    """
    axes, names, count = _read(scenario, vary, deployments, replications)
    checked = Checked(scenario)
    axes = checked.with_kinds(axes)
    found, note = designs.points(design, axes, points, scenario.document.seed)
    jobs = checked.jobs(axes, found, names, range(count))
    return Plan(scenario, axes, design, tuple(found), tuple(names), count, tuple(jobs), note)


def _read(
    scenario: Scenario, vary: Sequence[str] | Mapping[str, Any], deployments: Sequence[str], replications: int | None
) -> tuple[tuple[Axis, ...], list[str], int]:
    """Return what varies, the deployments and how many replications; every problem at once."""
    problems: list[Problem] = []
    axes: tuple[Axis, ...] = ()
    names: list[str] = []
    count = 0
    with gathering(problems):
        axes = designs.axes(vary)
    with gathering(problems):
        names, count = chosen(scenario, deployments, replications)
    if problems:
        raise ScenarioError(problems)
    return axes, names, count


def carry_out(planned: Plan, by: Engine, store: Units | None = None, watch: Watch | None = None) -> pd.DataFrame:
    """Run a sweep and return its metrics in long form.

    Parameters
    ----------
    planned
        The sweep.
    by
        Who computes.
    store
        Where finished units are found and land; None for nowhere.
    watch
        Told of every unit.

    Returns
    -------
    pandas.DataFrame
        Columns ``point``, one for each thing that varies under its path, ``deployment, replication, phase, metric,
        flow, value``; in order of point, replication and deployment, whatever the order in which they were computed.

    Raises
    ------
    MeshsimError
        If the engine fails; finished units are in the folder.
    """
    summaries: list[pd.DataFrame | None] = [None] * len(planned.jobs)
    for number, done in run(planned.jobs, by, store, watch):
        summaries[number] = done.summary
    parts = [part for part in summaries if part is not None]
    return labelled(parts, [job.point for job in planned.jobs], planned.axes, planned.points)


def labelled(
    parts: Sequence[pd.DataFrame], numbers: Sequence[int], axes: Sequence[Axis], points: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Return summaries of units in one frame, with the number and the values of each one's point."""
    import numpy as np
    import pandas as pd

    point = np.repeat(np.asarray(numbers, dtype=np.int64), [len(part) for part in parts])
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(0, "point", point)
    for at, one in enumerate(axes, start=1):
        values = pd.Series(typed([row[at - 1] for row in points]))
        frame.insert(at, one.path, values.iloc[point].to_numpy(), allow_duplicates=False)
    return frame


def typed(texts: Sequence[str]) -> list[Any]:
    """Return values as numbers where all are plain numbers, else as they are written.

    Examples
    --------
    >>> typed(["1", "2.5"]), typed(["1/s", "2/s"])
    ([1.0, 2.5], ['1/s', '2/s'])
    """
    found = [designs.number(text) for text in texts]
    numbers = [pair[0] for pair in found if pair is not None and not pair[1]]
    if len(numbers) < len(texts):
        return list(texts)
    whole = all(value == int(value) and "." not in text for value, text in zip(numbers, texts, strict=True))
    return [int(value) for value in numbers] if whole else numbers


def summary(frame: pd.DataFrame, metrics: Sequence[Wanted] = ()) -> pd.DataFrame:
    """Return means over replications with intervals, and paired differences to the first deployment, at each point.

    Parameters
    ----------
    frame
        As `carry_out` returns it.
    metrics
        Errors by response flag that have rows even if no run had one.

    Returns
    -------
    pandas.DataFrame
        ``point``, what varies, and the columns of `meshsim.analysis.summary.compare`. Errors with a response flag that
        occurred at some point are 0 at those where none had it.
    """
    import pandas as pd

    from meshsim.analysis.summary import compare

    varied = [name for name in frame.columns if name not in COLUMNS]
    parts = []
    for number, rows in _with_zeros(frame, metrics).groupby("point", sort=True):
        found = compare(pd.DataFrame(rows.drop(columns=["point", *varied])).reset_index(drop=True))
        found.insert(0, "point", int(str(number)))
        for at, name in enumerate(varied, start=1):
            found.insert(at, name, rows[name].iloc[0])
        parts.append(found)
    return pd.concat(parts, ignore_index=True)


def _with_zeros(frame: pd.DataFrame, metrics: Sequence[Wanted]) -> pd.DataFrame:
    """Return runs with no errors of each response flag at the points where no run had any."""
    import pandas as pd

    keys = ["phase", "metric", "flow"]
    flagged = frame.loc[frame["metric"].str.contains(":", regex=False), ["point", *keys]].drop_duplicates()
    there: dict[tuple[str, str, str], set[int]] = {}
    for point, phase, name, flow in flagged.itertuples(index=False, name=None):
        there.setdefault((phase, name, flow), set()).add(point)
    asked = [(one.phase, one.metric, one.flow) for one in metrics if ":" in one.metric]
    parts = [frame]
    for phase, name, flow in dict.fromkeys([*there, *asked]):
        whole = (frame["phase"] == phase) & (frame["metric"] == name.partition(":")[0]) & (frame["flow"] == flow)
        rows = frame[whole & ~frame["point"].isin(there.get((phase, name, flow), set()))]
        parts.append(rows.assign(metric=name, value=0.0 * rows["value"]))  # no value stays none
    return pd.concat([part for part in parts if len(part)], ignore_index=True)
