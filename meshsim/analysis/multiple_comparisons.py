"""All deployments against all, replication by replication, with intervals that hold together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshsim.analysis.statistics import intervals, quantile_t

Values = NDArray[np.float64]

#: An interval that is so narrow beside its difference has only the width of sums that round.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Differences:
    """One deployment less another, of every row.

    Parameters
    ----------
    a, b
        Places of the deployments; the difference is that of ``b`` less that of ``a``.
    mean, half_width
        Of the paired differences; shape ``(rows,)``. The interval is Bonferroni's, see `all_pairs`. Both are nan where
        something never ended.
    n
        Replications that have a value of both, or in which one of them never ended.
    confidence
        Of the interval on its own.
    never
        Rows in which something never ended.
    parted
        Of these, whether one side ended in every replication and the other in none.
    order
        Of these, 1 if ``b`` is higher beyond chance, -1 if it is lower, else 0; see `in_order`.
    """

    a: int
    b: int
    mean: Values
    half_width: Values
    n: NDArray[np.int64]
    confidence: Values
    never: NDArray[np.bool_]
    parted: NDArray[np.bool_]
    order: NDArray[np.int64]

    @property
    def beyond_chance(self) -> NDArray[np.bool_]:
        """Whether the interval excludes zero; where something never ended, whether one is higher in order."""
        return np.where(self.never, self.order != 0, (self.n > 1) & (np.abs(self.mean) > self.half_width))

    @property
    def agreeing(self) -> NDArray[np.bool_]:
        """Whether the differences of all replications are the same, but for the rounding of sums."""
        return np.asarray(self.half_width <= _ROUNDING * np.abs(self.mean))

    @property
    def sign(self) -> Values:
        """Which way ``b`` differs from ``a``: above 0 if it is higher."""
        return np.where(self.never, self.order, np.sign(self.mean))


def all_pairs(values: Values, confidence: float = 0.95) -> Iterator[Differences]:
    """Return the paired differences of all pairs of deployments, with intervals that hold together.

    The family is one row: one metric, phase and flow over all pairs. Its m intervals each have a confidence of
    ``1 - (1 - confidence) / m``, so that all of them cover at once with at least ``confidence``, whatever they have in
    common (Bonferroni). Holm's procedure rejects a little more, but has no intervals; these say how large a difference
    is and whether there is one, in one number. Source: A. M. Law, Simulation Modeling and Analysis, 5th edition,
    McGraw-Hill 2015, §10.3.

    Parameters
    ----------
    values
        By deployment, row and replication; nan is no value, and inf what never ended.
    confidence
        That all intervals of a row cover at once.

    Examples
    --------
    >>> values = np.array([[[10.0, 20.0, 30.0]], [[11.0, 21.0, 31.5]]])
    >>> [(pair.a, pair.b, pair.mean.round(2).tolist(), pair.half_width.round(2).tolist()) for pair in all_pairs(values)]
    [(0, 1, [1.17], [0.72])]
    """
    pairs = list(combinations(range(len(values)), 2))
    there, ended = ~np.isnan(values), np.where(np.isinf(values), np.nan, values)
    counts = [(there[a] & there[b]).sum(axis=1) for a, b in pairs]
    compared = np.sum([count > 1 for count in counts], axis=0, dtype=np.int64)
    alone = 1 - (1 - confidence) / np.maximum(compared, 1)
    for (a, b), n in zip(pairs, counts, strict=True):
        mean, half_width, _ = intervals(ended[b] - ended[a], confidence)
        open_ends = [(there[a] & there[b] & np.isinf(values[at])).sum(axis=1) for at in (a, b)]
        never = np.maximum(*open_ends) > 0
        parted = never & (np.minimum(*open_ends) == 0) & (np.maximum(*open_ends) == n)
        mean, half_width = (np.where(never, np.nan, found) for found in (mean, half_width))
        order = np.zeros(len(n), dtype=np.int64)
        if never.any():
            order[never] = in_order(values[a, never], values[b, never], alone[never])
        half_width = half_width * _wider(n, alone, confidence)
        yield Differences(a, b, mean, half_width, n, alone, never, parted, order)


def in_order(a: Values, b: Values, confidence: ArrayLike) -> NDArray[np.int64]:
    """Return 1 where ``b`` is higher than ``a`` beyond chance, -1 where it is lower, else 0; inf is what never ended.

    What never ended has no place in a mean, but it is longer than whatever ended. So replications are compared in
    order, each pair with itself (sign test, those that are the same left out). And who is quicker as a rule is not
    lower if it fails to end more often than the other.

    Parameters
    ----------
    a, b
        By row and replication; nan is no value.
    confidence
        Of the test, both sides together.

    Examples
    --------
    >>> quick, slow = [10.0] * 4 + [np.inf] * 2, [60.0] * 6
    >>> in_order(np.array([quick, [9.0] * 6]), np.array([slow, [np.inf] * 6]), 0.95).tolist()
    [0, 1]
    """
    from scipy.special import bdtr

    there = ~np.isnan(a) & ~np.isnan(b)
    higher, lower = ((there & which).sum(axis=1) for which in (b > a, b < a))
    # By chance either side comes up like a coin.
    chance = 2 * bdtr(np.minimum(higher, lower).astype(float), higher + lower, 0.5)
    oftener = (there & np.isinf(b)).sum(axis=1) - (there & np.isinf(a)).sum(axis=1)
    sign = np.sign(higher - lower)
    return np.where((chance <= 1 - np.asarray(confidence) + 1e-12) & (sign * oftener >= 0), sign, 0)


def _wider(n: NDArray[np.int64], alone: Values, confidence: float) -> Values:
    """Return by which factor each interval grows for being one of several."""
    factors = np.ones(len(n))
    for count, level in {(int(count), float(level)) for count, level in zip(n, alone, strict=True) if count > 1}:
        factors[(n == count) & (alone == level)] = quantile_t(level, count) / quantile_t(confidence, count)
    return factors
