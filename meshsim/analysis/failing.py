"""Numbers that look good because requests failed: which they are, and of which deployments they earn no praise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: With a smaller share of its requests answered, a deployment gets no credit for what failed requests spare it. If a
#: tenth fails at once, p99 of all requests is p98.9 of those answered, and p50 is p44: more would be another number.
ANSWERED = 0.9

#: Metrics that a failed request makes smaller: it ends early, goes nowhere and moves nothing. All are better if lower.
_SPARED = ("latency_", "cross_region_", "residency_", "cost_cross_")
_SPARED_TOO = ("cost", "cost_used")


def spared(name: str) -> bool:
    """Return whether failed requests make a metric smaller, which then is no merit.

    Examples
    --------
    >>> [spared(name) for name in ("latency_p99", "cross_region_bytes", "cost", "cost_sidecars", "success_rate")]
    [True, True, True, False, False]
    """
    return name.startswith(_SPARED) or name in _SPARED_TOO


def failing(success: Values) -> NDArray[np.bool_]:
    """Return which deployments answered less than `ANSWERED` of their requests, on average over the replications.

    Parameters
    ----------
    success
        Success rates by deployment and replication; nan for none.

    Examples
    --------
    >>> failing(np.array([[0.99, 0.85], [0.99, 0.6], [np.nan, np.nan]])).tolist()
    [False, True, False]
    """
    there = ~np.isnan(success)
    known = there.any(axis=1)
    mean = np.where(there, success, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.asarray(known & (mean < ANSWERED))
