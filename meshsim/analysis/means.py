"""Means over replications with the bounds that can be vouched for: exact ones of rates, none where all agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.failing import failing, spared
from meshsim.analysis.metrics import COST, PERCENTILES, SUCCESSES, metric
from meshsim.analysis.multiple_comparisons import Differences
from meshsim.analysis.rare_events import clopper_pearson, requests_for
from meshsim.analysis.statistics import agreeing, intervals, moments
from meshsim.results.tables import BINS_PER_OCTAVE

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]

#: What a summary calls a row of.
KEYS = ["phase", "metric", "flow"]

#: Metrics that count events: metric → what they are counted among.
AMONG = {"success_rate": "requests", "errors": "requests", "call_success_rate": "calls", "call_errors": "calls"}

#: Metrics read from histograms, and how close that is: half a bin, as a share of the value.
_PERCENTILE = "latency_p"
FROM_HISTOGRAMS = (_PERCENTILE, "convergence_p")
RESOLUTION = 0.5 / BINS_PER_OCTAVE

#: Values are the same if they differ by no more than sums round.
_ROUNDING = 1e-12


class Known(NamedTuple):
    """What replications say of one number.

    Parameters
    ----------
    mean
        Of those that have a value; inf where one of them never ended, nan where none has a value.
    half_width
        The longer side of the interval; nan where there is none.
    low, high
        The interval's ends.
    n, missing, never
        Replications that have a value; that have none; and those of these in which it never ended.
    same
        Whether all agree to the last digit, so that there is no spread to make an interval of.
    events
        How many events were counted, of a rate; else nan.
    requests_needed
        Of a percentile: requests that a replication needs, where one of them has fewer; else 0.
    """

    mean: float
    half_width: float
    low: float
    high: float
    n: int
    missing: int
    never: int
    same: bool
    events: float
    requests_needed: int = 0

    def ends(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return between which ends the number surely lies; nan for both where that is not known.

        That is the interval. Where all replications agree and there is none, it is their value, if there are enough for
        it to be the usual one (`meshsim.analysis.statistics.agreeing`). One replication is never sure, nor is a
        percentile of too few requests.

        Examples
        --------
        >>> known("time_to_recover", [0.0] * 5).ends(), known("time_to_recover", [0.0] * 4).ends()
        ((0.0, 0.0), (nan, nan))
        """
        if self.requests_needed:
            return math.nan, math.nan
        if self.never:
            return (math.inf, math.inf) if not self.n and self.never >= agreeing(confidence) else (math.nan, math.nan)
        if self.n > 1 and math.isfinite(self.low) and math.isfinite(self.high):
            return self.low, self.high
        return (self.mean, self.mean) if self.same and self.n >= agreeing(confidence) else (math.nan, math.nan)


def known(name: str, values: Sequence[float], among: Sequence[float] | None = None, confidence: float = 0.95) -> Known:
    """Return what replications say of one number, with bounds that hold for rare events too.

    Parameters
    ----------
    name
        Of the metric.
    values
        One per replication; nan for none, inf for what never ended.
    among
        What its events or its percentile are counted among (`counted_among`), one per replication.
    confidence
        Of the interval.

    Examples
    --------
    >>> found = known("success_rate", [1.0, 1.0, 1.0], [40_000] * 3)
    >>> found.mean, round(found.low, 6), found.high
    (1.0, 0.999975, 1.0)
    """
    row = np.asarray(values, dtype=float)
    never = np.isinf(row)
    finite = np.where(never, np.nan, row)[None, :]
    asked = np.full(finite.shape, np.nan) if among is None else np.asarray(among, dtype=float)[None, :]
    total = np.where(np.isnan(finite), np.nan, asked)
    events = _counted(name, finite, total)
    half, low, high, same = bounds([name], finite, events, total, confidence)
    mean, _, n = intervals(finite, confidence)
    at = math.inf if never.any() else float(mean[0])
    return Known(
        at, float(half[0]), float(low[0]), float(high[0]), int(n[0]), row.size - int(n[0]), int(never.sum()),
        bool(same[0]), float(_total(events)[0]), int(_needed(name, finite, asked)[0]),
    )  # fmt: skip


def counted_among(name: str) -> str | None:
    """Return the metric that has what a metric's events, or the requests of a percentile, are counted among, if any.

    Examples
    --------
    >>> [counted_among(name) for name in ("call_errors:UH", "latency_p99", "latency_mean")]
    ['calls', 'requests', None]
    """
    base = name.partition(":")[0]
    return AMONG.get(base, "requests" if base.startswith(_PERCENTILE) else None)


def bounds(
    names: Sequence[str], values: Values, events: Values, trials: Values, confidence: float
) -> tuple[Values, Values, Values, NDArray[np.bool_]]:
    """Return longer side and ends of each row's interval, and whether all its values are the same.

    Student's interval, or the exact one of the events where that is wider, and nothing impossible. Values that all
    agree have no spread, and Student's formula makes an interval of no width of them: they have none here, unless they
    are rates, known to half a bin of a histogram, or decided by the scenario alone.

    Parameters
    ----------
    names
        The metric of each row.
    values, events, trials
        By row and replication; nan is no value, and in ``events`` and ``trials`` no rate.
    confidence
        Of the intervals.
    """
    mean, half, n = intervals(values, confidence)
    same = _all_the_same(values)
    fixed = np.array([metric(name).given for name in names], dtype=bool)
    binned = np.array([name.startswith(FROM_HISTOGRAMS) for name in names], dtype=bool)
    half = np.where(same, np.where(fixed, 0.0, np.where(binned, RESOLUTION * np.abs(mean), np.nan)), half)
    low, high = mean - half, mean + half
    least, most = _exact(names, _total(events), _total(trials), n, confidence)
    low, high = np.fmin(low, least), np.fmax(high, most)
    shares = np.array([metric(name).unit == "fraction" for name in names], dtype=bool)
    inside = np.isfinite(mean) & (mean >= 0)  # a metric of somebody's own may be negative
    low = np.where(inside, np.maximum(low, 0.0), low)
    high = np.where(shares & inside & (mean <= 1), np.minimum(high, 1.0), high)
    half = np.where(n > 1, np.fmax(half, np.fmax(high - mean, mean - low)), half)
    return half, low, high, same


def without_chance(name: str) -> bool:
    """Return whether a metric may differ by the same in every replication without chance.

    What the scenario decides does, and what is read from histograms. Most of a bill is what pods request, so that
    deployments often differ by the same amount in every replication.

    Examples
    --------
    >>> [without_chance(name) for name in ("control_planes", "cost", "latency_p99", "pods_blocked")]
    [True, True, True, False]
    """
    known = metric(name)
    return name.startswith(FROM_HISTOGRAMS) or known.given or known.unit == COST


def _exact(
    names: Sequence[str], events: Values, trials: Values, n: NDArray[np.int64], confidence: float
) -> tuple[Values, Values]:
    """Return Clopper and Pearson's ends of each row; nan for what counts no events."""
    countable = (trials > 0) & (events >= 0) & (events <= trials)
    least, most = clopper_pearson(np.where(countable, events, 0), np.where(countable, trials, 0), confidence)
    successes = np.array([name in SUCCESSES for name in names], dtype=bool)
    scale = np.where(successes, 1.0, trials / np.maximum(n, 1))
    least, most = np.where(successes, 1 - most, least * scale), np.where(successes, 1 - least, most * scale)
    # One replication has no interval; of what never happened, or always did, it has a bound all the same.
    usable = countable & ((n > 1) | (events == 0) | (events == trials))
    return np.where(usable, least, np.nan), np.where(usable, most, np.nan)


def _all_the_same(values: Values) -> NDArray[np.bool_]:
    """Return which rows have two values or more, all of them the same."""
    there = ~np.isnan(values)
    least = np.min(values, axis=1, initial=np.inf, where=there)
    most = np.max(values, axis=1, initial=-np.inf, where=there)
    close = np.isclose(least, most, rtol=_ROUNDING, atol=0.0)
    return np.asarray((there.sum(axis=1) > 1) & close)


def _needed(name: str, values: Values, requests: Values) -> NDArray[np.int64]:
    """Return of each row of a percentile how many requests a replication needs, where one has fewer; else 0."""
    if not name.startswith(_PERCENTILE):
        return np.zeros(len(values), dtype=np.int64)
    wanted = requests_for(PERCENTILES[name.removeprefix("latency_")])
    few = np.any((requests < wanted) & ~np.isnan(values), axis=1)
    return np.where(few, wanted, 0)


def _counted(name: str, values: Values, among: Values) -> Values:
    """Return the events behind values of a metric; nan where it counts none."""
    base = name.partition(":")[0]
    if base not in AMONG:
        return np.full(values.shape, np.nan)
    return np.round((1 - values) * among if base in SUCCESSES else np.where(np.isnan(among), np.nan, values))


def _total(values: Values) -> Values:
    """Return the sum over replications of each row, nan where none has a value."""
    return np.where(np.isnan(values).all(axis=1), np.nan, np.nansum(values, axis=1))


# --- one summary as arrays --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cube:
    """Values by deployment, row and replication, and what is known of the events behind them."""

    deployments: list[str]
    names: pd.DataFrame
    values: Values
    never: NDArray[np.bool_]
    #: Events counted and what they were counted among; nan for rows that count none.
    events: Values
    trials: Values
    #: By deployment and row: requests a replication needs, where one of them has fewer.
    needed: NDArray[np.int64]
    #: By deployment and row: whether most of what the number is made of are failed requests, see `failing`.
    failing: NDArray[np.bool_]

    @property
    def ordered(self) -> Values:
        """The values, with inf for what never ended."""
        return np.where(self.never, np.inf, self.values)

    def same(self, pair: Differences) -> NDArray[np.bool_]:
        """Return which values of two deployments are the same, or both missing, or both never ended."""
        a, b = self.ordered[pair.a], self.ordered[pair.b]
        return np.asarray(np.isclose(a, b, rtol=_ROUNDING, atol=0.0, equal_nan=True))

    def means(self, confidence: float) -> pd.DataFrame:
        """Return a row for each deployment and name, with mean, bounds, and what they rest on."""
        frame = estimates(self.deployments, self.names, self.values, confidence)
        names = [str(name) for name in frame["metric"]]
        flat = [rows(of) for of in (self.values, self.events, self.trials)]
        half, low, high, same = bounds(names, flat[0], flat[1], flat[2], confidence)
        return frame.assign(
            half_width=half,
            never=rows(self.never).sum(axis=1),
            low=low,
            high=high,
            same=same,
            events=_total(flat[1]),
            trials=_total(flat[2]),
            spread=moments(flat[0])[1],
            requests_needed=rows(self.needed[..., None])[:, 0],
            failing=rows(self.failing[..., None])[:, 0],
        )


def cube_of(summary: pd.DataFrame) -> Cube:
    """Return a summary as arrays; errors with a response flag that a replication had none of are 0 there."""
    deployments, names, values = cube(summary, KEYS)
    never = np.isinf(values)
    values[never] = np.nan  # one that never recovered has no place in a mean of seconds
    events, trials, needed = np.full(values.shape, np.nan), np.full(values.shape, np.nan), np.zeros(values.shape[:2])
    failed = np.zeros(values.shape[:2], dtype=bool)
    row = {key: at for at, key in enumerate(names.itertuples(index=False, name=None))}
    for (phase, name, flow), at in row.items():
        base, flagged, _ = str(name).partition(":")
        among = row.get((phase, counted_among(base), flow))
        if flagged and (whole := row.get((phase, base, flow))) is not None:
            values[:, at] = np.where(np.isnan(values[:, at]) & ~np.isnan(values[:, whole]), 0.0, values[:, at])
        if spared(base) and (success := row.get((phase, "success_rate", flow))) is not None:
            failed[:, at] = failing(values[:, success])
        if among is None:
            continue
        if base in AMONG:
            trials[:, at] = np.where(np.isnan(values[:, at]), np.nan, values[:, among])
            events[:, at] = _counted(base, values[:, at], trials[:, at])
        else:
            needed[:, at] = _needed(base, values[:, at], values[:, among])
    return Cube(deployments, names, values, never, events, trials, needed.astype(np.int64), failed)


def cube(frame: pd.DataFrame, keys: list[str]) -> tuple[list[str], pd.DataFrame, Values]:
    """Return deployments, names of what was measured, and values by deployment, name and replication."""
    import pandas as pd

    row = frame.groupby(keys, sort=False).ngroup().to_numpy()
    deployment, deployments = pd.factorize(frame["deployment"])
    replication, replications = pd.factorize(frame["replication"], sort=True)
    names = frame[keys].drop_duplicates().reset_index(drop=True)
    values = np.full((len(deployments), len(names), len(replications)), np.nan)
    values[deployment, row, replication] = frame["value"].to_numpy(dtype=float)
    return [str(name) for name in deployments], names, values


def estimates(deployments: Sequence[str], names: pd.DataFrame, values: Values, confidence: float) -> pd.DataFrame:
    """Return a row per deployment and name, with the mean of the replications and its Student interval."""
    import pandas as pd

    mean, half_width, n = intervals(rows(values), confidence)
    repeated = pd.concat([names] * len(deployments), ignore_index=True) if deployments else names
    frame = repeated.assign(mean=mean, half_width=half_width, n=n, missing=values.shape[2] - n)
    frame.insert(0, "deployment", [deployment for deployment in deployments for _ in range(len(names))])
    return frame


def rows(values: NDArray[Any]) -> NDArray[Any]:
    """Return values by deployment and name as rows."""
    return values.reshape(values.shape[0] * values.shape[1], values.shape[2])
