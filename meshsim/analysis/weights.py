"""At which weights another deployment wins: exact, as totals are straight lines in each weight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.statistics import quantile_t

Values = NDArray[np.float64]

#: Slopes nearer to each other than sums round are the same.
_ROUNDING = 1e-12


class Segment(NamedTuple):
    """Weights of one criterion, the others as they are, with which one deployment wins."""

    low: float
    high: float
    winner: int


class Overtaking(NamedTuple):
    """What it takes for a deployment to draw level with the winner by the weight of one criterion.

    Parameters
    ----------
    deployment, criterion
        Places.
    weight
        Of that criterion, the others as they are; more than that puts the deployment ahead.
    against
        The criterion that counts most for the winner.
    """

    deployment: int
    criterion: int
    weight: float
    against: int


def winners(scores: Values, weights: Values, criterion: int, winner: int) -> list[Segment]:
    """Return who wins at each weight of a criterion from 0 on, the other weights as they are.

    Parameters
    ----------
    scores
        Means, by deployment and criterion.
    weights
        By criterion.
    criterion
        Whose weight changes.
    winner
        Place of the present winner, who wins what is even.

    Examples
    --------
    >>> winners(np.array([[1.0, 0.0], [0.0, 0.5]]), np.array([1.0, 1.0]), 1, 0)
    [Segment(low=0.0, high=2.0, winner=0), Segment(low=2.0, high=inf, winner=1)]
    """
    slope = scores[:, criterion]
    constant = scores @ weights - weights[criterion] * slope
    order = [winner, *(place for place in range(len(scores)) if place != winner)]
    here = max(order, key=lambda place: (round(float(constant[place]), 12), float(slope[place])))
    at, found = 0.0, []
    while True:
        ahead = [
            (max(float((constant[here] - constant[one]) / (slope[one] - slope[here])), at), -float(slope[one]), one)
            for one in order
            if slope[one] > slope[here] + _ROUNDING
        ]
        end = min(ahead)[0] if ahead else math.inf
        if end > at:
            found.append(Segment(at, end, here))
        if not ahead:
            return found
        at, here = end, min(ahead)[2]


def around(segments: list[Segment], weight: float, winner: int) -> int:
    """Return the place of the segment in which the winner wins at a weight.

    Examples
    --------
    >>> around([Segment(0.0, 2.0, 1), Segment(2.0, math.inf, 0)], 2.0, 0)
    1
    """
    own = [place for place, one in enumerate(segments) if one.winner == winner]
    return min(own, key=lambda at: max(segments[at].low - weight, weight - segments[at].high, 0.0), default=0)


def surely(runs: Values, weights: Values, criterion: int, winner: int, confidence: float) -> tuple[float, float]:
    """Return between which weights of a criterion the winner is ahead of every other beyond chance; nan if nowhere.

    The difference of two totals has an interval at each weight; it excludes zero where
    ``(mean a + w mean b)² > t² (var a + 2 w cov(a, b) + w² var b) / n``, a quadratic in ``w`` (as in Fieller's interval
    of a ratio). Source: E. C. Fieller, Some problems in interval estimation, J. R. Stat. Soc. B 16 (1954) 175-185.

    Parameters
    ----------
    runs
        Scores by deployment, criterion and replication, without gaps.
    weights, criterion, winner
        As for `winners`.
    confidence
        Of the interval of one difference.

    Examples
    --------
    >>> runs = np.array([[[1.0, 1.1, 0.9], [0.0, 0.0, 0.0]], [[0.0, 0.1, 0.0], [0.5, 0.5, 0.5]]])
    >>> [round(end, 2) for end in surely(runs, np.array([1.0, 1.0]), 1, 0, 0.95)]
    [0.0, 1.65]
    """
    low, high, now = 0.0, math.inf, float(weights[criterion])
    for other in range(len(runs)):
        if other == winner or runs.shape[2] < 2:
            continue
        gap = runs[winner] - runs[other]
        slope, rest = gap[criterion], weights @ gap - now * gap[criterion]
        ends = _ahead(rest, slope, now, quantile_t(confidence, runs.shape[2]))
        if ends is None:
            return math.nan, math.nan
        low, high = max(low, ends[0]), min(high, ends[1])
    return (low, high) if runs.shape[2] > 1 else (math.nan, math.nan)


def _ahead(rest: Values, slope: Values, now: float, t: float) -> tuple[float, float] | None:
    """Return the weights around the present one at which ``rest + weight x slope`` is above zero beyond chance."""
    n = len(rest)
    (var_rest, both), (_, var_slope) = np.cov(rest, slope) * t * t / n
    mean_rest, mean_slope = float(rest.mean()), float(slope.mean())
    a = mean_slope**2 - var_slope
    b = 2 * (mean_rest * mean_slope - both)
    c = mean_rest**2 - var_rest
    if mean_rest + now * mean_slope <= 0 or a * now * now + b * now + c <= 0:
        return None
    ends = _roots(float(a), float(b), float(c))
    below, above = [end for end in ends if end < now], [end for end in ends if end > now]
    return max([0.0, *below]), min([math.inf, *above])


def _roots(a: float, b: float, c: float) -> tuple[float, ...]:
    if abs(a) <= _ROUNDING:
        return (-c / b,) if abs(b) > _ROUNDING else ()
    inside = max(b * b - 4 * a * c, 0.0) if b * b - 4 * a * c > -_ROUNDING else -1.0
    if inside < 0:
        return ()
    # The root that would be a difference of nearly equal numbers is found by the other.
    q = -(b + math.copysign(math.sqrt(inside), b)) / 2
    return tuple(root for root in (q / a, c / q if q else 0.0))


def overtakings(scores: Values, weights: Values, winner: int) -> Iterator[Overtaking]:
    """Yield what it takes for each other deployment to draw level with the winner by the weight of one criterion.

    Examples
    --------
    >>> list(overtakings(np.array([[1.0, 0.0], [0.0, 0.5]]), np.array([1.0, 1.0]), 0))
    [Overtaking(deployment=1, criterion=1, weight=2.0, against=0)]
    """
    for other in range(len(scores)):
        if other == winner:
            continue
        gap = scores[winner] - scores[other]
        lead, against = float(weights @ gap), int(np.argmax(weights * gap))
        for criterion in np.flatnonzero(gap < -_ROUNDING).tolist():
            weight = float(weights[criterion]) + max(lead, 0.0) / -float(gap[criterion])
            yield Overtaking(other, criterion, weight, against)
