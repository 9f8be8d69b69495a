"""Closed forms of retries, which the simulator must agree with."""

from __future__ import annotations


def retry_attempts(failure: float, retries: int) -> float:
    """Return the mean attempts of a call whose every attempt fails independently with probability ``failure``.

    The geometric sum 1 + p + … + pⁿ.

    Examples
    --------
    >>> retry_attempts(0.5, 2), retry_attempts(1.0, 2)
    (1.75, 3.0)
    """
    return sum(failure**tried for tried in range(retries + 1))


def retry_amplification(failure: float, retries: int, depth: int) -> float:
    """Return the mean attempts at the end of a chain of ``depth`` calls, each retried by its own caller.

    Only the last service fails by itself, with probability ``failure``; every other fails when all attempts of its own
    call have failed. So a level's attempts are `retry_attempts` of the failure of the level below, and multiply;
    with everything failing it is (retries + 1) to the power of ``depth``, as Google's Site Reliability Engineering
    (O'Reilly 2016), chapter 22, warns.

    Examples
    --------
    >>> retry_amplification(1.0, 2, 3), retry_amplification(0.5, 1, 2)
    (27.0, 1.875)
    """
    attempts, failing = 1.0, failure
    for _ in range(depth):
        attempts *= retry_attempts(failing, retries)
        failing **= retries + 1
    return attempts
