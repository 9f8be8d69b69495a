"""What a number depends on: one field at a time (tornado), or all together (Sobol' indices)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from meshsim.analysis.wanted import Wanted, all_wanted
from meshsim.errors import MeshsimError, Problem, ScenarioError, did_you_mean, gathering
from meshsim.experiment import designs
from meshsim.experiment.designs import Axis
from meshsim.experiment.engines import Engine
from meshsim.experiment.points import Checked, Job, Watch, chosen, run
from meshsim.experiment.units import Units
from meshsim.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.means import Known
    from meshsim.analysis.statistics import Estimate

METHODS = ("tornado", "sobol")

#: Differences no further apart than this part of their value are the same: sums round.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Study:
    """A sensitivity study before it is run, checked.

    Parameters
    ----------
    method
        One of `METHODS`.
    axes
        The fields that vary.
    metrics
        The numbers that may depend on them.
    points
        What each point changes, as the values of all axes; of a tornado, None where the base's value stays.
    deployments, replications
        What is run at each.
    jobs
        Every unit.
    seed
        Of the points and of the intervals.
    count
        Points that were asked for, of Sobol' indices.
    """

    method: str
    axes: tuple[Axis, ...]
    metrics: tuple[Wanted, ...]
    points: tuple[tuple[str | None, ...], ...]
    deployments: tuple[str, ...]
    replications: int
    jobs: tuple[Job, ...]
    seed: int
    count: int = 0


def study(
    scenario: Scenario,
    vary: Sequence[str] | Mapping[str, Any],
    metrics: Sequence[str],
    deployments: Sequence[str] = (),
    *,
    method: str = "tornado",
    points: int | None = None,
    replications: int | None = None,
) -> Study:
    """Return a sensitivity study that is ready to run.

    Parameters
    ----------
    scenario
        The base: of a tornado, what stays while one field varies.
    vary
        ``path=low..high`` each; of a tornado also ``path=a,b``, whose first value is the low one.
    metrics
        See `meshsim.analysis.wanted.wanted`.
    deployments
        Names of its deployments; all by default.
    method
        One of `METHODS`.
    points
        Base points of Sobol' indices, a power of two; the study has that times (number of fields + 2).
    replications
        Runs of each deployment at each point; the scenario's number by default.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    problems = _misfits(method, points)
    axes: tuple[Axis, ...] = ()
    numbers: list[Wanted] = []
    names: list[str] = []
    count = 0
    with gathering(problems):
        axes = designs.axes(vary)
        problems += [problem for one in axes for problem in _unfit(one, method)]
    with gathering(problems):
        numbers = all_wanted(metrics, scenario.document)
    with gathering(problems):
        names, count = chosen(scenario, deployments, replications)
    if problems:
        raise ScenarioError(problems)
    checked, seed = Checked(scenario), scenario.document.seed
    axes = checked.with_kinds(axes)
    found = _one_at_a_time(axes) if method == "tornado" else _together(axes, points or 0, seed)
    jobs = _jobs(checked, axes, found, names, count)
    return Study(
        method, axes, tuple(numbers), tuple(found), tuple(names), count, tuple(jobs), seed % 2**32, points or 0
    )


def _misfits(method: str, points: int | None) -> list[Problem]:
    if method not in METHODS:
        return [Problem(f"unknown method '{method}'{did_you_mean(method, METHODS)}", file="--method")]
    if method == "tornado":
        return [Problem("is for --method sobol", file="--points")] if points is not None else []
    problems = []
    if find_spec("SALib") is None:
        problems.append(Problem("sobol needs SALib; pip install 'meshsim[sweep]'", file="--method"))
    if points is None or points < 2 or points & (points - 1):
        said = "is missing" if points is None else f"{points} is no power of two"
        problems.append(Problem(f"{said}; Sobol' indices want 16, 32, 64 or more", file="--points"))
    return problems


def _unfit(one: Axis, method: str) -> list[Problem]:
    if not one.listed:
        why = "a tornado looks at both ends" if method == "tornado" else "points are drawn from the whole range"
        return designs.needless_count(one, why)
    if method == "sobol":
        return [Problem("Sobol' indices want a range; write low..high", one.path, designs.FILE)]
    if len(one.listed) != 2:
        return [Problem("a tornado wants two values, or low..high", one.path, designs.FILE)]
    return []


def _one_at_a_time(axes: Sequence[Axis]) -> list[tuple[str | None, ...]]:
    """Return the base, then the low and the high end of each field."""
    nothing: tuple[str | None, ...] = (None,) * len(axes)
    ends = [(*nothing[:at], one.at(share), *nothing[at + 1 :]) for at, one in enumerate(axes) for share in (0.0, 1.0)]
    return [nothing, *ends]


def _problem(axes: Sequence[Axis]) -> dict[str, Any]:
    return {"num_vars": len(axes), "names": [one.path for one in axes], "bounds": [[0.0, 1.0]] * len(axes)}


def _together(axes: Sequence[Axis], count: int, seed: int) -> list[tuple[str | None, ...]]:
    from SALib.sample import sobol

    shares = sobol.sample(_problem(axes), count, calc_second_order=False, seed=seed % 2**32)
    return [tuple(one.at(share) for one, share in zip(axes, row, strict=True)) for row in shares]


def _jobs(
    checked: Checked, axes: Sequence[Axis], points: Sequence[Sequence[str | None]], names: Sequence[str], count: int
) -> list[Job]:
    """Return the units of every point, numbered by its point; points that are the same share the names of theirs."""
    jobs: list[Job] = []
    problems: dict[str, Problem] = {}
    for number, at in enumerate(points):
        varied = [one for one, value in zip(axes, at, strict=True) if value is not None]
        try:
            own = checked.jobs(varied, [[value for value in at if value is not None]], names, range(count))
        except ScenarioError as error:
            problems |= {str(problem): problem for problem in error.problems}
            continue
        jobs += [replace(job, point=number) for job in own]
    if problems:
        raise ScenarioError(list(problems.values()))
    return jobs


def carry_out(given: Study, by: Engine, store: Units | None = None, watch: Watch | None = None) -> pd.DataFrame:
    """Run a sensitivity study.

    Returns
    -------
    pandas.DataFrame
        Of a tornado: a row for each deployment, metric, field and end, with ``value`` of the field, ``mean`` of the
        metric with the ends ``low`` and ``high`` of its interval, ``difference`` to the base (paired by replication)
        and its ``half_width``, whether that is ``beyond_chance`` (corrected for the number of ends), and ``swing``, the
        larger difference of the field's two ends; fields with the largest swing first. ``never`` counts replications in
        which it never ended: then ``mean`` is inf, and so is a ``difference`` that is beyond chance in order
        (`meshsim.analysis.multiple_comparisons.in_order`), else nan. Columns that begin with ``base`` are those of the
        base; ``same`` says that all replications agree, ``difference_same`` that their differences do, ``steady`` that
        these are too few to be beyond chance, ``events`` on how many a rate rests, and ``requests_needed`` what a
        replication lacks for a percentile to have a meaning, or 0: then nothing is beyond chance. ``base_n`` and
        ``end_n`` count replications that have a value there, ``missing`` those that have none, and ``n`` the pairs. Of
        Sobol' indices: a row for each deployment, metric and field, with ``first_order`` and ``total`` and their half
        widths; nan where the metric is the same at every point; and ``requests_needed`` at any point.

    Raises
    ------
    MeshsimError
        If the engine fails, or a run has no value of a metric.
    """
    values = _values(given, by, store, watch)
    if given.method == "tornado":
        return _tornado(given, values)
    return _indices(given, values[0]).assign(requests_needed=_needed(given, values))


def _values(given: Study, by: Engine, store: Units | None, watch: Watch | None) -> Any:
    """Return the metrics, and what they are counted among, by deployment, metric, point and replication."""
    import numpy as np

    shape = (2, len(given.deployments), len(given.metrics), len(given.points), given.replications)
    values = np.full(shape, np.nan)
    for number, done in run(given.jobs, by, store, watch):
        job = given.jobs[number]
        for at, metric in enumerate(given.metrics):
            deployment = given.deployments.index(job.task.unit.deployment)
            values[:, deployment, at, job.point, job.task.unit.replication] = metric.value(done.summary)  # type: ignore[arg-type]
    return values


def _tornado(given: Study, values: Any) -> pd.DataFrame:
    import pandas as pd

    from meshsim.analysis.means import known

    rows = []
    for d, deployment in enumerate(given.deployments):
        for m, metric in enumerate(given.metrics):
            points = list(zip(values[0, d, m], values[1, d, m], strict=True))
            at_base = known(metric.metric, *points[0])
            for a, one in enumerate(given.axes):
                places = [1 + 2 * a + end for end in (0, 1)]
                ends = [_end(metric.metric, at_base, points[0], points[at], 2 * len(given.axes)) for at in places]
                swings = [abs(end["difference"]) for end in ends if not _unclear(end)]
                rows += [
                    {
                        "deployment": deployment, "metric": str(metric), "field": one.path, "end": name,
                        "value": given.points[at][a], **end, "swing": max(swings, default=math.nan),
                    }
                    for name, at, end in zip(("low", "high"), places, ends, strict=True)
                ]  # fmt: skip
    frame = pd.DataFrame(rows)
    order = {(name, str(metric)): n for n, (name, metric) in enumerate(_each(given))}
    frame["_group"] = [order[pair] for pair in zip(frame["deployment"], frame["metric"], strict=True)]
    frame = frame.sort_values(["_group", "swing"], ascending=[True, False], kind="stable", na_position="last")
    return frame.drop(columns="_group").reset_index(drop=True)


def _end(metric: str, at_base: Known, base: Any, end: Any, ends: int) -> dict[str, Any]:
    """Return what is known of one end of a field beside the base, each a pair of values and what they count among."""
    from meshsim.analysis.means import known
    from meshsim.analysis.rare_events import least_difference
    from meshsim.analysis.statistics import paired

    at_end = known(metric, *end)
    if at_base.never or at_end.never:
        return _in_order(at_base, at_end, base[0], end[0], 1 - 0.05 / ends)
    change, strict = (paired(base[0], end[0], level) for level in (0.95, 1 - 0.05 / ends))
    half, sure = change.half_width, abs(change.mean) > strict.half_width
    rounding = _ROUNDING * max(abs(change.mean), abs(at_base.mean))
    same = change.n > 1 and half <= rounding  # all differences are
    moved = same and abs(change.mean) > rounding
    if same:
        half = _apart(metric, base, end, change.mean, 0.975)
        sure = moved and _agreed(metric, base, end, change, ends)
    gap = abs(at_end.events - at_base.events)  # so few events that differ may all fall on one side by chance
    sure = sure and not gap < least_difference(1 - 0.05 / ends)
    enough = not (at_base.requests_needed or at_end.requests_needed)
    return {
        **_means(at_base, at_end), "difference": change.mean, "half_width": half, "difference_same": same,
        "n": change.n, "beyond_chance": bool(enough and sure), "steady": bool(enough and moved and not sure),
    }  # fmt: skip


def _means(at_base: Known, at_end: Known) -> dict[str, Any]:
    return {
        "base": at_base.mean, "base_low": at_base.low, "base_high": at_base.high, "base_same": at_base.same,
        "base_events": at_base.events, "base_n": at_base.n, "base_missing": at_base.missing,
        "base_never": at_base.never, "base_requests_needed": at_base.requests_needed, "mean": at_end.mean,
        "low": at_end.low, "high": at_end.high, "same": at_end.same, "events": at_end.events, "end_n": at_end.n,
        "missing": at_end.missing, "never": at_end.never, "requests_needed": at_end.requests_needed,
    }  # fmt: skip


def _in_order(at_base: Known, at_end: Known, base: Any, end: Any, confidence: float) -> dict[str, Any]:
    """Return what is known of an end where something never ended: there is no mean, so no difference of two."""
    import numpy as np

    from meshsim.analysis.multiple_comparisons import all_pairs

    [pair] = all_pairs(np.stack([base, end])[:, None, :], confidence)
    n, higher = int(pair.n[0]), int(pair.sign[0]) if pair.beyond_chance[0] else 0
    return {
        **_means(at_base, at_end), "difference": math.inf * higher if higher else math.nan, "half_width": math.nan,
        "difference_same": False, "n": n, "beyond_chance": higher != 0,
        "steady": n > 1 and higher == 0 and bool(pair.parted[0]),
    }  # fmt: skip


def _unclear(end: Mapping[str, Any]) -> bool:
    """Return whether there is no difference to the base, or one of percentiles of too few requests."""
    return math.isnan(end["difference"]) or bool(end["base_requests_needed"] or end["requests_needed"])


def _agreed(metric: str, base: Any, end: Any, change: Estimate, ends: int) -> bool:
    """Return whether a difference that is the same in every replication is beyond chance.

    It is where chance has no part in it, where the exact intervals of both ends exclude it, or else where there are as
    many replications as it takes coins that fall on one side.
    """
    from meshsim.analysis.means import without_chance
    from meshsim.analysis.rare_events import least_difference

    if without_chance(metric) or change.n >= least_difference(1 - 0.05 / ends):
        return True
    return abs(change.mean) > _apart(metric, base, end, change.mean, 1 - 0.025 / ends)


def _apart(metric: str, base: Any, end: Any, difference: float, confidence: float) -> float:
    """Return how far a difference without spread may be off, as the exact intervals of both ends say; nan for none."""
    from meshsim.analysis.means import AMONG, known

    if metric.partition(":")[0] not in AMONG:
        return math.nan
    a, b = (known(metric, values, among, confidence) for values, among in (base, end))
    return max(b.high - a.low - difference, difference - (b.low - a.high))


def _each(given: Study) -> list[tuple[str, Wanted]]:
    return [(name, metric) for name in given.deployments for metric in given.metrics]


def _needed(given: Study, values: Any) -> list[int]:
    """Return, for each row of the indices, how many requests a replication lacks at any point."""
    from meshsim.analysis.means import known

    found = [
        known(metric.metric, values[0, d, m].ravel(), values[1, d, m].ravel()).requests_needed
        for d in range(len(given.deployments))
        for m, metric in enumerate(given.metrics)
    ]
    return [needed for needed in found for _ in given.axes]


def _indices(given: Study, values: Any) -> pd.DataFrame:
    import numpy as np
    import pandas as pd
    from SALib.analyze import sobol

    means = values.mean(axis=-1)
    rows = []
    for d, deployment in enumerate(given.deployments):
        for m, metric in enumerate(given.metrics):
            y = means[d, m]
            if not np.isfinite(y).all():
                where = given.jobs[int(np.flatnonzero(~np.isfinite(y))[0]) * len(given.deployments)].where
                raise MeshsimError(
                    f"{metric} has no value under {deployment} at {where}, so there are no indices of it"
                )
            if np.ptp(y) == 0:
                nothing = [math.nan] * len(given.axes)  # no variance that anything could explain
                found: dict[str, Any] = dict.fromkeys(("S1", "S1_conf", "ST", "ST_conf"), nothing)
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of its own dependencies
                    found = sobol.analyze(_problem(given.axes), y, calc_second_order=False, seed=given.seed)
            rows += [
                {
                    "deployment": deployment, "metric": str(metric), "field": one.path,
                    "first_order": float(found["S1"][a]), "first_order_half_width": float(found["S1_conf"][a]),
                    "total": float(found["ST"][a]), "total_half_width": float(found["ST_conf"][a]),
                    "points": len(given.points), "replications": given.replications,
                }
                for a, one in enumerate(given.axes)
            ]  # fmt: skip
    return pd.DataFrame(rows)
