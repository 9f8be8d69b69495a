"""All deployments against all, replication by replication, with intervals that hold together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.statistics import intervals, quantile_t

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Differences:
    """One deployment less another, of every row.

    Parameters
    ----------
    a, b
        Places of the deployments; the difference is that of ``b`` less that of ``a``.
    mean, half_width
        Of the paired differences; shape ``(rows,)``. The interval is Bonferroni's, see `all_pairs`.
    n
        Replications that have a value of both.
    confidence
        Of the interval on its own.
    """

    a: int
    b: int
    mean: Values
    half_width: Values
    n: NDArray[np.int64]
    confidence: Values

    @property
    def beyond_chance(self) -> NDArray[np.bool_]:
        """Whether the interval excludes zero."""
        return np.asarray((self.n > 1) & (np.abs(self.mean) > self.half_width))


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
        By deployment, row and replication; nan is no value.
    confidence
        That all intervals of a row cover at once.

    Examples
    --------
    >>> values = np.array([[[10.0, 20.0, 30.0]], [[11.0, 21.0, 31.5]]])
    >>> [(pair.a, pair.b, pair.mean.round(2).tolist(), pair.half_width.round(2).tolist()) for pair in all_pairs(values)]
    [(0, 1, [1.17], [0.72])]
    """
    pairs = list(combinations(range(len(values)), 2))
    differences = [values[b] - values[a] for a, b in pairs]
    compared = np.zeros(values.shape[1], dtype=np.int64)
    for difference in differences:
        compared += (~np.isnan(difference)).sum(axis=1) > 1
    alone = 1 - (1 - confidence) / np.maximum(compared, 1)
    for (a, b), difference in zip(pairs, differences, strict=True):
        mean, half_width, n = intervals(difference, confidence)
        yield Differences(a, b, mean, half_width * _wider(n, alone, confidence), n, alone)


def _wider(n: NDArray[np.int64], alone: Values, confidence: float) -> Values:
    """Return by which factor each interval grows for being one of several."""
    factors = np.ones(len(n))
    for count, level in {(int(count), float(level)) for count, level in zip(n, alone, strict=True) if count > 1}:
        factors[(n == count) & (alone == level)] = quantile_t(level, count) / quantile_t(confidence, count)
    return factors
