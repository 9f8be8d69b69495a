"""Whether there are enough replications: how well each headline metric is known, and how many more it would take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.metrics import metric
from meshsim.analysis.rare_events import replications_for_rates
from meshsim.analysis.statistics import Estimate, quantile_t, replications_for

if TYPE_CHECKING:
    import pandas as pd

#: Metrics that `--precision` makes known well, in every phase, each deployment's own and every paired difference.
PRECISE = ("success_rate", "latency_p50", "latency_p99")

#: A share is known well once it is known as well as one of 1 % has to be: failures of one in a million are nothing
#: that replications can tell to a twentieth, nor anything that a decision waits for.
LEAST_SHARE = 0.01

#: How well `compare` asks metrics to be known: half widths of at most 5 %.
USUAL = 0.05


@dataclass(frozen=True, slots=True)
class Lack:
    """A number that is not known well enough.

    Parameters
    ----------
    deployment, than
        Whose number; of a paired difference, less that of ``than``, else empty.
    phase, metric
        Which.
    half_width, wanted
        Of the interval now, and the widest that is well enough; in the metric's unit.
    n
        Replications it rests on.
    needed
        About how many it takes in all; None where the spread is unknown.
    """

    deployment: str
    than: str
    phase: str
    metric: str
    half_width: float
    wanted: float
    n: int
    needed: int | None


def tolerance(name: str, mean: float, relative: float) -> float:
    """Return the widest half width with which a mean is known to ± ``relative``.

    Of a share near 0 or 1 that is a part of the smaller side (of the error rate, not of the success rate), but of no
    less than `LEAST_SHARE`: at 5 % a success rate is known well within ± 0.05 percentage points.

    Examples
    --------
    >>> [round(tolerance(*of, 0.05), 6) for of in (("latency_p99", 0.2), ("success_rate", 0.9), ("success_rate", 1.0))]
    [0.01, 0.005, 0.0005]
    """
    if metric(name).unit == "fraction":
        return relative * max(min(abs(mean), abs(1 - mean)), LEAST_SHARE)
    return relative * abs(mean)


def forecast(comparison: pd.DataFrame, wanted: NDArray[np.float64], confidence: float = 0.95) -> NDArray[np.float64]:
    """Return about how many replications make each number's interval as narrow as wanted; 0 where it is.

    That of a rate is the wider of two (`meshsim.analysis.means.bounds`), so it takes the more of two: what Student's
    takes with the spread seen, and what the exact one takes with as many events a replication.

    Parameters
    ----------
    comparison
        Rows as `meshsim.analysis.comparison.compare` returns them.
    wanted
        The half width of each.
    confidence
        Of their intervals.

    Returns
    -------
    numpy.ndarray
        nan where that is open.
    """
    names = ("half_width", "n", "events", "trials", "spread")
    half, n, events, trials, spread = (comparison[name].to_numpy(dtype=float) for name in names)
    shares = np.array([metric(str(name)).unit == "fraction" for name in comparison["metric"]], dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(shares, wanted, wanted * n / trials)
    exact = np.full(len(half), np.nan)
    rates = np.flatnonzero((half > wanted) & ~np.isnan(events))
    if len(rates):
        exact[rates] = replications_for_rates(events[rates], trials[rates], n[rates], share[rates], confidence)
    factors = np.array([quantile_t(confidence, int(count)) if count > 1 else math.nan for count in n], dtype=float)
    own = np.where(np.isnan(events), half, spread * factors / np.sqrt(n))
    found = replications_for_each(own, n, np.full(len(n), confidence), wanted)
    # Where Student's is narrow enough, the exact one alone decides, and where that is open, nothing is known.
    more = np.where(found > 0, np.fmax(found, exact), found + exact)
    return np.where(half <= wanted, 0.0, more)


def replications_for_each(
    half_width: NDArray[np.float64],
    n: NDArray[np.float64] | NDArray[np.int64],
    confidence: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return about how many replications make each half width as narrow as wanted; 0 where it is, nan if unknown.

    Parameters
    ----------
    half_width, n, confidence
        Of each interval, and the replications it rests on.
    wanted
        The widest that is well enough.

    Examples
    --------
    >>> replications_for_each(np.array([0.4, 0.6]), np.array([4, 4]), np.full(2, 0.95), np.full(2, 0.5)).tolist()
    [0.0, 5.0]
    """
    found = np.where(half_width <= wanted, 0.0, np.nan)
    for at in np.flatnonzero(half_width > wanted):
        estimate = Estimate(math.nan, float(half_width[at]), int(n[at]), confidence=float(confidence[at]))
        found[at] = replications_for(estimate, float(wanted[at])) or np.nan
    return found


def lacks(comparison: pd.DataFrame, differences: pd.DataFrame, relative: float = USUAL) -> list[Lack]:
    """Return which of the headline metrics (`PRECISE`) are not yet known to ± ``relative``, those that lack most first.

    Each deployment's own, and the paired differences, which have to be known to within the same part of the metric
    itself (not of the difference, which may well be zero). Percentiles of too few requests are left out: replications
    do not give them a meaning.

    Parameters
    ----------
    comparison, differences
        As `meshsim.analysis.comparison` returns them.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.analysis.comparison import compare, differences
    >>> rows = [("hybrid", number, "all", "latency_p99", "all", value) for number, value in enumerate((0.9, 1.0, 1.1))]
    >>> summary = pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"])
    >>> [(lack.metric, lack.n, lack.needed) for lack in lacks(compare(summary), differences(summary))]
    [('latency_p99', 3, 18)]
    """
    own = comparison[comparison["metric"].isin(PRECISE) & (comparison["flow"] == "all")]
    own = own[(own["n"] > 0) & (own["requests_needed"] == 0)]
    means = {(row["phase"], row["metric"], row["deployment"]): float(row["mean"]) for row in _records(own)}
    own = own.assign(wanted=[tolerance(*of, relative) for of in zip(own["metric"], own["mean"], strict=True)])
    own = own.assign(needed=forecast(own, own["wanted"].to_numpy(dtype=float)))
    found = [_own(row) for row in _records(own) if not row["half_width"] <= row["wanted"]]
    pairs = differences[differences["metric"].isin(PRECISE) & (differences["flow"] == "all") & (differences["n"] > 0)]
    for row in _records(pairs):
        both = [means.get((row["phase"], row["metric"], row[name]), math.nan) for name in ("deployment", "than")]
        wanted = max(tolerance(row["metric"], mean, relative) for mean in both)
        estimate = Estimate(row["difference"], row["half_width"], row["n"], confidence=row["confidence"])
        if not math.isnan(sum(both)) and not estimate.half_width <= wanted:
            found.append(_lack(row, row["than"], estimate, wanted))
    return sorted(found, key=lambda lack: -(lack.needed or math.inf))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _own(row: dict[str, Any]) -> Lack:
    """Return what a deployment's own number lacks; the longer side of its interval counts."""
    needed = None if math.isnan(row["needed"]) else int(row["needed"])
    return Lack(row["deployment"], "", row["phase"], row["metric"], row["half_width"], row["wanted"], row["n"], needed)


def _lack(row: dict[str, Any], than: str, estimate: Estimate, wanted: float) -> Lack:
    needed = replications_for(estimate, wanted)
    return Lack(row["deployment"], than, row["phase"], row["metric"], estimate.half_width, wanted, estimate.n, needed)
