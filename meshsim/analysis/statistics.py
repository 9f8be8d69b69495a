"""Means over replications with their Student intervals, and what can be said about a difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over independent replications.

    Parameters
    ----------
    mean
        Of the replications that have a value; nan where none has.
    half_width
        Of the confidence interval; nan with fewer than two values.
    n
        Replications that have a value.
    missing
        Replications that have none (nothing was observed, or it did not happen).
    confidence
        Probability that such an interval covers the expectation.
    """

    mean: float
    half_width: float
    n: int
    missing: int = 0
    confidence: float = 0.95

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width

    def covers(self, value: float) -> bool:
        """Return whether the interval covers a value; without an interval, never."""
        return self.low <= value <= self.high

    def __format__(self, spec: str) -> str:
        """Return ``mean ± half width``, each in the given format."""
        spec = spec or ".4g"
        if self.n == 0:
            return "no value"
        few = f" ({self.n} of {self.n + self.missing})" if self.missing else ""
        if self.n == 1:
            return f"{self.mean:{spec}} ± ?{few} (one replication shows no interval)"
        return f"{self.mean:{spec}} ± {self.half_width:{spec}}{few}"

    def __str__(self) -> str:
        return format(self)


def interval(values: Iterable[float], confidence: float = 0.95) -> Estimate:
    """Return the mean of replications with its Student-t interval.

    Parameters
    ----------
    values
        One per replication, independent of each other; nan where a replication has none. Never samples from within
        one run: they are correlated, and their interval would be too narrow.
    confidence
        Between 0 and 1.

    Raises
    ------
    ValueError
        If ``confidence`` is not between 0 and 1.

    Examples
    --------
    >>> f"{interval([1.0, 2.0, 3.0]):.2f}"
    '2.00 ± 2.48'
    >>> print(interval([2.0]))
    2 ± ? (one replication shows no interval)
    """
    row = np.asarray(list(values), dtype=float)[None, :]
    means, half_widths, counts = intervals(row, confidence)
    n = int(counts[0])
    return Estimate(float(means[0]), float(half_widths[0]), n, row.size - n, confidence)


def intervals(
    rows: NDArray[np.float64], confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return mean, half width and number of values of each row; nan is no value.

    Parameters
    ----------
    rows
        A row per quantity, a column per replication.

    Raises
    ------
    ValueError
        If ``confidence`` is not between 0 and 1.

    Examples
    --------
    >>> means, half_widths, counts = intervals(np.array([[1.0, 2.0, 3.0], [5.0, np.nan, np.nan]]))
    >>> means.tolist(), half_widths.round(2).tolist(), counts.tolist()
    ([2.0, 5.0], [2.48, nan], [3, 1])
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    means, deviations, n = moments(rows)
    factors = {count: quantile_t(confidence, count) if count > 1 else math.nan for count in np.unique(n).tolist()}
    with np.errstate(invalid="ignore", divide="ignore"):
        return means, deviations / np.sqrt(n) * np.array([factors[count] for count in n.tolist()], dtype=float), n


def moments(
    rows: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return mean, standard deviation and number of values of each row; nan is no value.

    Parameters
    ----------
    rows
        As for `intervals`.

    Examples
    --------
    >>> [found.tolist() for found in moments(np.array([[1.0, 2.0, 3.0], [5.0, np.nan, np.nan]]))]
    [[2.0, 5.0], [1.0, nan], [3, 1]]
    """
    present = ~np.isnan(rows)
    n = present.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(present, rows, 0.0).sum(axis=1) / n
        squares = np.where(present, rows - means[:, None], 0.0) ** 2
        return means, np.sqrt(squares.sum(axis=1) / (n - 1)), n.astype(np.int64)


def paired(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Return the mean of ``b - a``, replication by replication, with its interval.

    With common random numbers the noise that both share drops out, so this interval is far narrower than the two
    means suggest. Source: A. M. Law, Simulation Modeling and Analysis, 5th edition, McGraw-Hill 2015, §10.2.

    Parameters
    ----------
    a, b
        The same replications in the same order; a pair of which either is nan counts as missing.

    Raises
    ------
    ValueError
        If they differ in length.

    Examples
    --------
    >>> f"{paired([10.0, 20.0, 30.0], [11.0, 21.0, 31.5]):.2f}"
    '1.17 ± 0.72'
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} replications cannot be paired")
    return interval(np.asarray(b, dtype=float) - np.asarray(a, dtype=float), confidence)


def replications_for(estimate: Estimate, half_width: float) -> int | None:
    """Return about how many replications give an interval no wider than ± ``half_width``; None where unknown.

    From the spread seen so far, so it is a forecast: the more replications it rests on, the better.

    Examples
    --------
    >>> replications_for(interval([9.0, 10.0, 11.0, 10.0]), 0.5)
    13
    """
    if estimate.n < 2 or math.isnan(estimate.half_width) or not half_width > 0:
        return None
    spread = estimate.half_width * math.sqrt(estimate.n) / quantile_t(estimate.confidence, estimate.n)
    # The t quantile falls slowly: what it asks for at a million is never more than what is needed in the end.
    needed = max(2, math.ceil((quantile_t(estimate.confidence, 1_000_000) * spread / half_width) ** 2))
    while needed < 1_000_000 and quantile_t(estimate.confidence, needed) * spread / math.sqrt(needed) > half_width:
        needed += 1
    return needed


def agreeing(confidence: float = 0.95) -> int:
    """Return how many replications have to agree on a value for it to be the usual one beyond chance.

    Where all agree there is no spread, so no interval. If at most every second run had that value, ``n`` would agree
    with a probability of 0.5 to the power of ``n`` at most (the sign test).

    Examples
    --------
    >>> agreeing(0.95), agreeing(0.9875)
    (5, 7)
    """
    return math.ceil(-math.log2(1 - confidence) - 1e-9)


@lru_cache(maxsize=4096)
def quantile_t(confidence: float, n: int) -> float:
    """Return how many standard errors either side an interval over ``n`` replications reaches.

    Examples
    --------
    >>> round(quantile_t(0.95, 10), 3)
    2.262
    """
    from scipy.special import stdtrit  # scipy.stats has the same number and takes ten times as long to import

    return float(stdtrit(n - 1, 0.5 + confidence / 2))
