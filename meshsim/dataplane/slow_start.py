"""Slow start: a new host's weight grows from a small share to the whole over a window (spec §2.5, warmup)."""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.scenario.istio.balancing import Warmup

#: A host is at least this old when its weight is asked for, seconds (Envoy load_balancer_impl.cc).
YOUNGEST = 0.001


def lower(row, warmup: Warmup | None) -> None:
    """Write a policy's warm-up into its record; a window of 0 is none."""
    row.warmup = 0.0 if warmup is None else warmup.duration
    row.warmup_minimum = 0.0 if warmup is None else warmup.minimum_percent / 100.0
    row.warmup_aggression = 1.0 if warmup is None else warmup.aggression


@jit
def factor(policy, age):
    """Return the fraction of its weight that a host of this age in seconds has.

    Source: spec §2.5; Envoy load_balancer_impl.cc applySlowStartFactor (whole milliseconds).
    """
    if age >= policy.warmup:
        return 1.0
    share = max(YOUNGEST, int(age * 1000.0 + 1e-6) / 1000.0) / policy.warmup
    if policy.warmup_aggression != 1.0:
        share = share ** (1.0 / policy.warmup_aggression)
    return max(share, policy.warmup_minimum)


@jit
def join(up, policy, host, now):
    """Begin the slow start of a host that is available for the first time."""
    if host.joined < 0.0:
        join_again(up, policy, host, now)


@jit
def join_again(up, policy, host, now):
    """Begin the slow start of a host that an active health check has found well again."""
    if policy.warmup > 0.0:
        host.joined = now
        up.latest = max(up.latest, now)


@jit
def under_way(up, policy, now):
    """Return whether a host of this upstream may still be in its slow start."""
    return policy.warmup > 0.0 and now - up.latest <= policy.warmup
