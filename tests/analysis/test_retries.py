"""Attempts of calls that are retried, against all outcomes listed."""

from __future__ import annotations

import itertools
import math

import pytest

from meshsim.analysis.retries import retry_amplification, retry_attempts


def outcomes(failure: float, retries: int, depth: int) -> dict[tuple[bool, int], float]:
    """Return the probability of (success, attempts at the end of the chain), from every course it can take."""
    if depth == 0:
        return {(True, 1): 1 - failure, (False, 1): failure}
    below = outcomes(failure, retries, depth - 1)
    ended: dict[tuple[bool, int], float] = {}
    trying = {0: 1.0}
    for attempt in range(retries + 1):
        failed: dict[int, float] = {}
        for (so_far, p), ((good, more), share) in itertools.product(trying.items(), below.items()):
            target, key = (ended, (good, so_far + more)) if good or attempt == retries else (failed, so_far + more)
            target[key] = target.get(key, 0.0) + p * share
        trying = failed
    return ended


@pytest.mark.parametrize("failure", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_retry_amplification_agrees_with_all_outcomes_listed(failure, retries, depth):
    listed = outcomes(failure, retries, depth)
    assert math.fsum(listed.values()) == pytest.approx(1.0)
    expected = math.fsum(number * share for (_, number), share in listed.items())
    assert retry_amplification(failure, retries, depth) == pytest.approx(expected)
    if depth == 1:
        assert retry_attempts(failure, retries) == pytest.approx(expected)
