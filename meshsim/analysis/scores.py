"""From values of a criterion to scores between 0 and 1, replication by replication, without blowing up chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.comparison import UNSEEN, compare, differences
from meshsim.analysis.criteria import Criterion
from meshsim.analysis.failing import failing, spared
from meshsim.analysis.means import Values, counted_among
from meshsim.analysis.phases import Phase

if TYPE_CHECKING:
    import pandas as pd

#: Scores nearer to each other than sums round are the same.
ROUNDING = 1e-12

#: Columns of paired differences that tell who is better.
_PAIR = ("deployment", "than", "difference", "verdict")


@dataclass(frozen=True)
class Scored:
    """One criterion, held against all deployments.

    Parameters
    ----------
    criterion
        Its scale (``best``, ``worst``) is that of the results where the scenario gives none; nan where all score 1.
    compared
        Rows of `meshsim.analysis.comparison.compare` by deployment, of the values as they were measured.
    counted
        The same of the values that count, in which nothing is missing.
    scores
        By deployment and replication; nan for a run that there is not.
    better
        Row is better than column beyond chance, and scores more.
    same
        Row and column have the same value in every replication, or the same score on a scale that the scenario gives.
    ahead
        Row is better than column by the same in every replication, of which there are too few to be beyond chance.
    missing, taken
        By deployment, replications without a value that counts; and what was taken for one that never came, and for
        one of which nothing was seen.
    failing
        By deployment, whether its value does not count, as so many requests failed (`meshsim.analysis.failing`).
    """

    criterion: Criterion
    compared: pd.DataFrame
    counted: pd.DataFrame
    scores: Values
    better: NDArray[np.bool_]
    same: NDArray[np.bool_]
    ahead: NDArray[np.bool_]
    missing: NDArray[np.int64]
    taken: tuple[float, float]
    failing: NDArray[np.bool_]


def score(
    summary: pd.DataFrame, criterion: Criterion, deployments: Sequence[str], longest: float, confidence: float = 0.95
) -> Scored | None:
    """Return the scores of deployments by one criterion; None where nothing was measured in any run.

    Parameters
    ----------
    summary
        As `meshsim.analysis.summary.summarize` returns it.
    criterion
        What is judged.
    deployments
        In order.
    longest
        Seconds from the end of the last fault to the end of the run: what a recovery that never came takes at least.
    confidence
        That all paired differences of the criterion hold at once.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.analysis.wanted import Wanted
    >>> rows = [(name, number, "all", "cost", "all", 100.0 * at + number)
    ...         for at, name in enumerate("abc") for number in range(5)]
    >>> columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    >>> found = score(pd.DataFrame(rows, columns=columns), Criterion("cost", Wanted("cost"), 1.0, "lower"), "abc", 0.0)
    >>> found.scores.mean(axis=1)[:2].round(2).tolist(), found.better[0].tolist()
    ([1.0, 0.5], [False, True, True])
    """
    rows = _about(summary, criterion)
    own = criterion.wanted.of(rows)
    if not own["value"].notna().any():
        return None
    taken = _taken(own["value"].to_numpy(dtype=float), criterion, longest)
    failed = _failing(summary, criterion, deployments)
    own = own.assign(value=own["value"].mask(own["deployment"].isin(np.asarray(list(deployments))[failed])))
    full = _filled(rows, own, taken)
    values = _wide(criterion.wanted.of(full), deployments)
    better = _better(full, values, criterion, deployments, confidence)
    scores, scale = _scores(values, criterion, better)
    measured = _wide(own, deployments)
    missing = (np.isfinite(values) & ~np.isfinite(measured)).sum(axis=1)
    compared = _compared(rows, criterion, deployments, confidence).assign(failing=failed)
    counted = _compared(full, criterion, deployments, confidence) if missing.any() else compared
    with np.errstate(invalid="ignore"):
        means = np.nanmean(scores, axis=1)
    better &= (means[:, None] - means[None, :]) > ROUNDING
    same = _named(compared, "alike") | (_alike(scores) & criterion.anchored)
    same &= (missing == 0)[:, None] & (missing == 0)[None, :]
    ahead = _named(counted, "steady") & _above(values, criterion) & ~same & ~better
    about = replace(criterion, best=scale[0], worst=scale[1])
    return Scored(about, compared, counted, scores, better, same, ahead, missing, taken, failed)


def longest_recovery(spans: Sequence[Phase]) -> float:
    """Return seconds from the end of the last fault to the end of the run; nan without faults.

    Examples
    --------
    >>> longest_recovery([Phase("before", 0.0, 5.0), Phase("during", 5.0, 9.0), Phase("after", 9.0, 29.0)])
    20.0
    """
    return next((spans[-1].end - phase.end for phase in spans if phase.name == "during"), math.nan)


def _about(summary: pd.DataFrame, criterion: Criterion) -> pd.DataFrame:
    """Return a row of a criterion's metric for every run, and the rows of what its verdict rests on."""
    import pandas as pd

    wanted = criterion.wanted
    base, flagged, _ = wanted.metric.partition(":")
    place = (summary["phase"] == wanted.phase) & (summary["flow"] == wanted.flow)
    rest = summary[place & summary["metric"].isin({base, counted_among(base) or base} - {wanted.metric})]
    run = ["deployment", "replication"]
    own = summary[run].drop_duplicates().merge(wanted.of(summary)[[*run, "value"]], on=run, how="left")
    if flagged:  # of errors with a flag there is no row where there are none
        whole = own[run].merge(rest.loc[rest["metric"] == base, [*run, "value"]], on=run, how="left")["value"]
        own["value"] = own["value"].where(own["value"].notna(), 0.0 * whole)
    own = own.assign(phase=wanted.phase, metric=wanted.metric, flow=wanted.flow)
    return pd.concat([own[summary.columns.tolist()], *([rest] if len(rest) else [])], ignore_index=True)


def _failing(summary: pd.DataFrame, criterion: Criterion, deployments: Sequence[str]) -> NDArray[np.bool_]:
    """Return whose value is no merit, as so many requests failed in the phase it is of."""
    wanted = criterion.wanted
    place = (summary["phase"] == wanted.phase) & (summary["flow"] == wanted.flow)
    rows = summary[place & (summary["metric"] == "success_rate")]
    if not spared(wanted.metric) or not len(rows):
        return np.zeros(len(deployments), dtype=bool)
    return failing(_wide(rows, deployments))


def _taken(values: Values, criterion: Criterion, longest: float) -> tuple[float, float]:
    """Return what counts as the value of a recovery that never came, and of what nothing was seen: the worst."""
    seen = [*values[np.isfinite(values)], *([criterion.worst] if criterion.anchored else [])]
    if criterion.better == "higher":
        worst = min(seen, default=0.0)
        return worst, worst
    worst = max(seen, default=0.0)
    never = float(np.fmax(worst, longest))
    return never, never if np.isinf(values).any() else worst


def _filled(rows: pd.DataFrame, own: pd.DataFrame, taken: tuple[float, float]) -> pd.DataFrame:
    """Return the rows with something in place of values that are missing."""
    values = rows["value"].to_numpy(dtype=float).copy()
    mine = np.zeros(len(values), dtype=bool)
    mine[own.index.to_numpy()] = True
    values[mine] = own["value"].to_numpy(dtype=float)
    values[mine & np.isinf(values)] = taken[0]
    values[mine & np.isnan(values)] = taken[1]
    return rows.assign(value=values)


def _wide(rows: pd.DataFrame, deployments: Sequence[str]) -> Values:
    """Return values by deployment and replication; nan for a run that there is not."""
    wide = rows.pivot_table(index="deployment", columns="replication", values="value", dropna=False)
    return np.asarray(wide.reindex(list(deployments)).to_numpy(dtype=float))


def _compared(rows: pd.DataFrame, criterion: Criterion, deployments: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return the rows of a comparison that are about a criterion, by deployment."""
    return criterion.wanted.of(compare(rows, confidence)).set_index("deployment").reindex(list(deployments))


def _named(compared: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Return which deployment (row) names which (column) in a column of a comparison."""
    return np.array([[other in names for other in compared.index] for names in compared[column]], dtype=bool)


def _alike(scores: Values) -> NDArray[np.bool_]:
    """Return which deployments score the same in every replication."""
    gaps = np.abs(scores[:, None, :] - scores[None, :, :])
    return np.asarray(((gaps <= ROUNDING) | np.isnan(gaps)).all(axis=2))


def _above(values: Values, criterion: Criterion) -> NDArray[np.bool_]:
    """Return which deployment (row) has a better mean than which (column)."""
    means = np.nanmean(values, axis=1) * (1.0 if criterion.better == "higher" else -1.0)
    return np.asarray(means[:, None] > means[None, :])


def _better(
    full: pd.DataFrame, values: Values, criterion: Criterion, deployments: Sequence[str], confidence: float
) -> NDArray[np.bool_]:
    """Return which deployment (row) is better than which (column) beyond chance."""
    found = np.zeros((len(deployments), len(deployments)), dtype=bool)
    sign = 1.0 if criterion.better == "higher" else -1.0
    if values.shape[1] == 1:  # one replication tells only what the scenario decides
        gap = sign * (values[:, :1] - values[:, :1].T)
        return np.asarray((gap > 0) & criterion.metric.given)
    at = {name: place for place, name in enumerate(deployments)}
    pairs = criterion.wanted.of(differences(full, confidence))
    for here, than, gap, verdict in zip(*(pairs[name] for name in _PAIR), strict=True):
        if verdict != UNSEEN:
            ends = (at[here], at[than]) if sign * gap > 0 else (at[than], at[here])
            found[ends] = True
    return found


def _scores(values: Values, criterion: Criterion, better: NDArray[np.bool_]) -> tuple[Values, tuple[float, float]]:
    """Return scores, and what is worth 1 and 0; nan for both where no deployment is known to differ from another."""
    there = np.where(np.isnan(values), np.nan, 1.0)
    if criterion.anchored:
        scale = criterion.best, criterion.worst
        return np.clip((values - scale[1]) / (scale[0] - scale[1]), 0.0, 1.0), scale
    means = np.nanmean(values, axis=1)
    low, high = float(means.min()), float(means.max())
    scale = (high, low) if criterion.better == "higher" else (low, high)
    known = better.any() or values.shape[1] == 1
    if not known or math.isclose(low, high, rel_tol=ROUNDING, abs_tol=0.0):
        return there, (math.nan, math.nan)
    return (values - scale[1]) / (scale[0] - scale[1]), scale
