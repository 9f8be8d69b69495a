"""CrashLoopBackOff: when Kubernetes starts a container that crashes again (kubelet; Kubernetes: Pod Lifecycle)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from meshsim.engine.environment import Environment, Process

if TYPE_CHECKING:
    from meshsim.engine.istiod import Istiod

#: Kubernetes restarts a container that crashes at once, then after 10 s, 20 s, … at most 5 min.
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
#: One that ran for this long before it crashed begins anew (seconds).
RAN_WELL = 600.0


def crash_pause(before: float, ran: float) -> float:
    """Return the pause before a crashed container is started again, seconds.

    Parameters
    ----------
    before
        The pause before it was started last.
    ran
        How long it then ran.

    Examples
    --------
    >>> pauses = [0.0]
    >>> for _ in range(7):
    ...     pauses.append(crash_pause(pauses[-1], ran=60.0))
    >>> pauses
    [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    >>> crash_pause(300.0, ran=600.0)
    0.0
    """
    return 0.0 if ran >= RAN_WELL else min(max(2.0 * before, FIRST_PAUSE), LONGEST_PAUSE)


def crash_again_and_again(env: Environment, istiod: Istiod, runs_for: float, ended: simpy.Event) -> Process:
    """Let a replica crash now, and ``runs_for`` seconds after each start, until that has ``ended``."""
    pause = 0.0
    while not ended.triggered:
        istiod.fail(silent=False)
        yield ended | env.timeout(pause)
        istiod.recover(silent=False)
        if not ended.triggered:
            yield ended | env.timeout(runs_for)
        pause = crash_pause(pause, runs_for)
