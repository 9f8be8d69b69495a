"""Outlier detection: ejection of hosts after consecutive errors (spec §3.2; Envoy outlier_detection_impl.cc)."""

from __future__ import annotations

import math

from meshsim.dataplane.calendar import RELEASE, schedule
from meshsim.dataplane.jit import jit
from meshsim.dataplane.locality import health_changed
from meshsim.dataplane.state import DC, UC, UF, UT
from meshsim.scenario.istio.policy import OutlierDetection


def lower(row, detection: OutlierDetection | None) -> None:
    """Write a policy's outlier detection into its record."""
    row.detects = int(detection is not None)
    if detection is None:
        return
    row.errors = detection.consecutive_5xx
    row.gateway_errors = detection.consecutive_gateway_errors
    row.local_errors = detection.consecutive_local_origin_failures
    row.split_local = int(detection.split_external_local_origin_errors)
    row.max_ejected = detection.max_ejection_percent
    row.interval = detection.interval
    row.base_ejection = detection.base_ejection_time
    row.max_ejection = max(detection.max_ejection_time, detection.base_ejection_time)


@jit
def report(w, upstream, slot, now, code, flag):
    """Count the result of one attempt against its host, and eject the host when a limit is reached.

    A failure to connect counts as 503, a timeout as 504, a reset as 503, unless local errors are split off.
    """
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    host = w.slots[slot]
    if policy.detects == 0 or flag == DC or host.present == 0:
        return
    local = flag in (UF, UC, UT)
    if local and policy.split_local == 1:
        # Only refusals follow on one another: a connection was opened before a timeout or a reset.
        host.local_errors = host.local_errors + 1 if flag == UF else 1
        if host.local_errors == policy.local_errors:
            host.local_errors = 0
            _eject(w, upstream, slot, now)
        return
    host.local_errors = 0
    if code < 500:
        host.errors = 0
        host.gateway_errors = 0
        return
    tripped = False
    if 502 <= code <= 504:
        host.gateway_errors += 1
        if host.gateway_errors == policy.gateway_errors:
            host.gateway_errors = 0
            tripped = True
    else:
        host.gateway_errors = 0
    host.errors += 1
    if host.errors == policy.errors:
        host.errors = 0
        tripped = True
    if tripped:
        _eject(w, upstream, slot, now)


@jit
def _eject(w, upstream, slot, now):
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    host = w.slots[slot]
    if host.ejected == 1 or 100.0 * (up.ejected + 1) / up.members > policy.max_ejected:
        return
    host.multiplier = max(0, host.multiplier - _healthy_ticks(up, policy, host, now))
    if host.multiplier * policy.base_ejection < policy.max_ejection + policy.base_ejection:
        host.multiplier += 1
    host.ejected = 1
    host.ejections += 1
    up.ejected += 1
    stays = min(host.multiplier * policy.base_ejection, policy.max_ejection)
    schedule(w, _tick_at_or_after(up, policy, now + stays), RELEASE, upstream, host.host, host.ejections)
    health_changed(w, upstream, now)


@jit
def _tick_at_or_after(up, policy, time):
    """Return the first tick of the upstream's interval timer at or after a time; its phase is random."""
    return up.phase + math.ceil((time - up.phase) / policy.interval) * policy.interval


@jit
def _healthy_ticks(up, policy, host, now):
    """Return how many ticks passed since the host had been back for one interval: each lowers its multiplier."""
    if host.multiplier == 0:
        return 0
    since = _tick_at_or_after(up, policy, host.returned_at + policy.interval)
    return 0 if since > now else int((now - since) / policy.interval) + 1


@jit
def release(w, upstream, wanted, ejection, now):
    """Let a host come back from an ejection, its counters at zero, if it is still there and still ejected."""
    up = w.upstreams[upstream]
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if host.host != wanted or host.ejected == 0 or host.ejections != ejection:
            continue
        host.ejected = 0
        host.errors = 0
        host.gateway_errors = 0
        host.local_errors = 0
        host.returned_at = now
        up.ejected -= 1
        health_changed(w, upstream, now)
        return
