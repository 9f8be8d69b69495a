"""What few events, or none, say about a rate: exact bounds, and how many events make a difference."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: With fewer events than this, a mean and its half width are no fair picture of a rate: bounds are shown.
FEW = 30

#: A number of replications that nobody runs.
_MOST = 2.0**30

#: How often a forecast is corrected until it stands still.
_STEPS = 10

#: How many requests have to lie beyond a percentile, in each replication, for it to be one.
BEYOND = 10


def clopper_pearson(
    events: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bound of the probability of an event; nan where there were no trials.

    Exact: two bounds cover the probability at least as often as they say, however rare it is, if events are independent
    of each other. Where nothing happened, or always, there is only one bound, which gets all of the doubt: 0 of 120,000
    is below 0.0025 %. So at 95 %, where 3 to 3.5 events are expected, they cover 93.8 % at least of many trials, and
    92.5 % of few. Source: C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.

    Parameters
    ----------
    events, trials
        How many of how many; shape ``(n,)`` or numbers.
    confidence
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there are more events than trials, or fewer than none.

    Examples
    --------
    >>> low, high = clopper_pearson([0, 3, 120_000], 120_000)
    >>> [f"{share:.4%}" for share in high], f"{low[2]:.4%}"
    (['0.0025%', '0.0073%', '100.0000%'], '99.9975%')
    """
    from scipy.special import betaincinv

    happened, asked = (np.asarray(given, dtype=float) for given in (events, trials))
    if np.any((happened < 0) | (happened > asked)):
        raise ValueError("events are between none and the number of trials")
    doubt = np.where((happened == 0) | (happened == asked), 1 - confidence, (1 - confidence) / 2)
    known = asked > 0
    # betaincinv wants parameters above 0; what it says at the ends is replaced by the ends.
    low = betaincinv(np.maximum(happened, 0.5), asked - happened + 1, doubt)
    high = betaincinv(happened + 1, np.maximum(asked - happened, 0.5), 1 - doubt)
    low, high = np.where(happened == 0, 0.0, low), np.where(happened == asked, 1.0, high)
    return np.where(known, low, math.nan), np.where(known, high, math.nan)


def replications_for_rates(
    events: ArrayLike, trials: ArrayLike, n: ArrayLike, half_width: ArrayLike, confidence: float = 0.95
) -> NDArray[np.float64]:
    """Return about how many replications make the exact interval of each share no wider than ± ``half_width``.

    If events go on as often as they did. The bound of what never happened falls as fast as replications grow, and that
    of few events faster than their root; ``n`` at least, and nan where there is no such number.

    Parameters
    ----------
    events, trials
        How many of how many in all replications; nan for what counts none.
    n
        How many replications that was.
    half_width
        The longer side, as a share.

    Examples
    --------
    >>> replications_for_rates([0, 4], [3_000, 3_000], 3, 0.0005).tolist()
    [6.0, 29.0]
    """
    given = (np.asarray(of, dtype=float) for of in (events, trials, n, half_width))
    happened, asked, had, wanted = np.broadcast_arrays(*given)
    usable = (happened >= 0) & (happened <= asked) & (asked > 0) & (wanted > 0)
    happened, asked, wanted = (np.where(usable, of, 1.0) for of in (happened, asked, wanted))
    share, more = happened / asked, np.ones(happened.shape)
    # The longer side falls as 1/k where nothing happened, or always, else with a power of k from 1/2 to 3/4 or so.
    power = np.where((happened == 0) | (happened == asked), 1.0, 5 / 3)
    for _ in range(_STEPS):
        low, high = clopper_pearson(happened * more, asked * more, confidence)
        more = np.clip(more * (np.maximum(high - share, share - low) / wanted) ** power, 1.0, _MOST)
    needed = np.ceil(more * had - 1e-6)
    return np.where(usable & (needed < _MOST), needed, np.nan)


def least_difference(confidence: float) -> int:
    """Return by how many events two deployments must differ before chance can be ruled out at all.

    Both see the same requests. Those that failed under one and not under the other fall on either side like coins if
    the deployments are alike (McNemar's exact test), and even if all of them fall on one side, a few coins do.

    Examples
    --------
    >>> least_difference(0.95), least_difference(1 - 0.05 / 3)
    (6, 7)
    """
    return math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)


def requests_for(quantile: float) -> int:
    """Return how many requests a replication needs for a quantile of theirs to have a meaning.

    Examples
    --------
    >>> [requests_for(q) for q in (0.5, 0.9, 0.99, 0.999)]
    [20, 100, 1000, 10000]
    """
    return math.ceil(BEYOND / (1 - quantile) - 1e-6)
