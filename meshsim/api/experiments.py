"""What can be done with a scenario: run it, compare, vary it, look for where it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim import experiment, scenario
from meshsim.api.comparison import Comparison

if TYPE_CHECKING:
    from meshsim.experiment.engines import Engine
    from meshsim.report.notebook import Found, Sensitivity
    from meshsim.report.sweep_frame import Sweep


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


def what_if(
    what: scenario.Scenario,
    *,
    replications: int | None = None,
    precision: float | experiment.Precision | None = None,
    jobs: int = 1,
) -> Comparison:
    """Run one deployment of a scenario and its variants (``what_if``), all with the same random draws.

    The results stand side by side as those of deployments do: the deployment as it is first, under its own name, then
    each variant under its own.

    Parameters
    ----------
    what
        The scenario.
    replications, precision, jobs
        As for `compare`.

    Raises
    ------
    ScenarioError
        If the scenario has no variants, or one is wrong.
    """
    from meshsim.experiment.variants import arms

    wanted = experiment.Precision(precision) if isinstance(precision, float) else precision
    outcome = experiment.run(what, replications=replications, precision=wanted, jobs=jobs, compared=arms(what))
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
) -> Found:
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
    from meshsim.report.notebook import Found

    search = finding.search(
        what, vary, until, deployments, resolution=resolution, replications=replications, most=max_replications
    )
    return Found(finding.carry_out(search, _engine(engine, jobs, scheduler), _units(what, keep)), search)


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
) -> Sensitivity:
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
    from meshsim.report.notebook import Sensitivity

    study = studying.study(what, vary, metrics, deployments, method=method, points=points, replications=replications)
    frame = studying.carry_out(study, _engine(engine, jobs, scheduler), _units(what, keep))
    return Sensitivity(frame, method=method)


def _engine(name: str, jobs: int, scheduler: str) -> Engine:
    from meshsim.experiment.engines import engine

    return engine(name, jobs=jobs, scheduler=scheduler)


def _units(what: scenario.Scenario, keep: str | Path | None) -> experiment.Units | None:
    return None if keep is None else experiment.Units(Path(keep) / what.document.name / "units")
