"""Log-linear histograms of durations (HDR style): at most 1 % relative error, merged by adding counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshsim.results.tables import BINS, BINS_PER_OCTAVE, SMALLEST


def bin_of(seconds: ArrayLike) -> NDArray[np.int64]:
    """Return the bin of each duration (seconds); bins of one octave are equally wide.

    Examples
    --------
    >>> bin_of([1e-6, 2e-6, 0.001]).tolist()
    [0, 64, 637]
    """
    scaled = np.maximum(np.asarray(seconds, dtype=float) / SMALLEST, 1.0)
    mantissa, exponent = np.frexp(scaled)
    bins = (exponent - 1) * BINS_PER_OCTAVE + ((2 * mantissa - 1) * BINS_PER_OCTAVE).astype(np.int64)
    limited: NDArray[np.int64] = np.minimum(bins, BINS - 1)
    return limited


def edges(bins: ArrayLike) -> NDArray[np.float64]:
    """Return the lower edge (seconds) of each bin; the upper edge is ``edges(bin + 1)``.

    Examples
    --------
    >>> edges([0, 64]).tolist()
    [1e-06, 2e-06]
    """
    octave, step = np.divmod(np.asarray(bins, dtype=np.int64), BINS_PER_OCTAVE)
    return SMALLEST * np.exp2(octave) * (1.0 + step / BINS_PER_OCTAVE)


def quantile(bins: ArrayLike, counts: ArrayLike, q: float) -> float:
    """Return the ``q`` quantile in seconds, interpolated inside its bin; nan where there are no counts.

    Parameters
    ----------
    bins, counts
        Bins, in any order and possibly repeated, and observations in each; shape ``(n,)``.
    q
        Between 0 and 1.

    Examples
    --------
    >>> round(quantile(bin_of([0.001, 0.002, 0.003]), [1, 1, 1], 0.5), 4)
    0.002
    """
    return float(quantiles(np.zeros(np.size(bins), dtype=np.int64), bins, counts, [q], 1)[0, 0])


def quantiles(groups: ArrayLike, bins: ArrayLike, counts: ArrayLike, q: ArrayLike, size: int) -> NDArray[np.float64]:
    """Return quantiles of many histograms at once, in seconds; nan where a group has no counts.

    Parameters
    ----------
    groups, bins, counts
        Group (from 0), bin and observations of each row, in any order and possibly repeated; shape ``(n,)``.
    q
        Between 0 and 1; shape ``(k,)``.
    size
        Number of groups.

    Returns
    -------
    numpy.ndarray
        Seconds, shape ``(k, size)``.

    Examples
    --------
    >>> quantiles([0, 2, 2], bin_of([0.001, 0.002, 0.004]), [1, 1, 1], [0.5], 3).round(4).tolist()
    [[0.001, nan, 0.002]]
    """
    keys, counts = _merged(np.asarray(groups, dtype=np.int64) * BINS + np.asarray(bins, dtype=np.int64), counts)
    cumulated = np.concatenate([[0.0], np.cumsum(counts)])
    first, last = np.searchsorted(keys, np.arange(size) * BINS), np.searchsorted(keys, np.arange(1, size + 1) * BINS)
    total = cumulated[last] - cumulated[first]
    some = total > 0
    found = np.full((np.size(q), size), np.nan)
    if not some.any():
        return found
    rank, base = np.asarray(q, dtype=float)[:, None] * total[some], cumulated[first[some]]
    # Whole numbers are exact, so a group's quantiles do not depend on the groups before it, not by the last bit.
    at = np.clip(np.searchsorted(cumulated[1:], base + np.ceil(rank)), first[some], last[some] - 1)
    inside = np.clip((rank - (cumulated[at] - base)) / counts[at], 0.0, 1.0)
    low, high = edges(keys[at] % BINS), edges(keys[at] % BINS + 1)
    found[:, some] = low + (high - low) * inside
    return found


def _merged(keys: NDArray[np.int64], counts: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the keys that have counts, once each and sorted, with the sum of the counts of each."""
    counts = np.asarray(counts, dtype=float)
    keys, counts = keys[counts > 0], counts[counts > 0]
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    if not len(keys):
        return keys, counts
    fresh = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[fresh], np.add.reduceat(counts, fresh)
