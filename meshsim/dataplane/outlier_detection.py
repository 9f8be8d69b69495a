"""Outlier detection: ejection of hosts that give errors (spec §3.2; Envoy outlier_detection_impl.cc).

Errors in a row eject at once; success rate and failure percentage, which Istio switches off, at the ticks of an
interval timer with a random phase. Without those two the ticks are worked out, not simulated.
"""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane import pool, trace
from meshsim.dataplane.calendar import OUTLIER_TICK, RELEASE, schedule
from meshsim.dataplane.consistent_hashing import identity
from meshsim.dataplane.draws import DECISION, EJECTION, HEALTHY_TICK, uniforms
from meshsim.dataplane.jit import jit
from meshsim.dataplane.locality import health_changed
from meshsim.dataplane.state import DC, NO_FLAG, UC, UF, UT
from meshsim.scenario.istio.policy import OutlierDetection

#: What the draws of a host's ejections are numbered with.
_JITTER, _RATE, _PERCENT = range(3)


def lower(row, detection: OutlierDetection | None) -> None:
    """Write a policy's outlier detection into its record."""
    row.detects = int(detection is not None)
    row.always_ejects_one = 0
    row.jitter = 0.0
    row.success_rate = row.failure_percent = 0
    row.interval = 10.0
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
def forget_slot(host):
    """Forget the errors and ejections of the host that a slot held; ``ejections`` goes on, to tell events apart."""
    host.ejected = 0
    host.multiplier = 0
    host.errors = 0
    host.gateway_errors = 0
    host.local_errors = 0
    host.returned_at = -1.0e9
    host.successes = 0
    host.volume = 0


# --- errors in a row ------------------------------------------------------------------------------------------------


@jit
def connected(policy, host):
    """Note that an attempt has got a connection to its host: failures to connect no longer follow on one another.

    This is why timeouts, each of which had a connection, hardly ever add up where local errors are split off.
    """
    if policy.split_local == 1:
        host.local_errors = 0


@jit
def report_connected(w, upstream, slot, now):
    """Count a connection that was opened as a success of its host, for who sees nothing but connections."""
    connected(w.policies[w.upstreams[upstream].policy], w.slots[slot])
    report(w, upstream, slot, now, 200, NO_FLAG)


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
    if policy.split_local == 1 and flag in (UF, UC, UT):
        host.local_errors += 1
        if host.local_errors == policy.local_errors:
            host.local_errors = 0
            eject(w, upstream, slot, now)
        return
    host.volume += 1
    if code < 500:
        host.successes += 1
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
        eject(w, upstream, slot, now)


# --- ejection and return --------------------------------------------------------------------------------------------


@jit
def eject(w, upstream, slot, now):
    """Eject a host if the share of hosts that may be ejected allows it; its connections are closed."""
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    host = w.slots[slot]
    allowed = 100.0 * (up.ejected + 1) / up.members <= policy.max_ejected
    if host.ejected == 1 or not (allowed or (policy.always_ejects_one == 1 and up.ejected == 0)):
        return
    host.multiplier = max(0, host.multiplier - _healthy_ticks(w, up, policy, host, now))
    if host.multiplier * policy.base_ejection < policy.max_ejection + policy.base_ejection:
        host.multiplier += 1
    host.ejected = 1
    host.ejections += 1
    up.ejected += 1
    stays = min(host.multiplier * policy.base_ejection, policy.max_ejection)
    if policy.jitter > 0.0:
        stays += math.floor(_draw(w, up, host, _JITTER) * (policy.jitter * 1000.0 + 1.0)) / 1000.0
    schedule(w, tick_at_or_after(up, policy, now + stays), RELEASE, upstream, host.host, host.ejections)
    trace.note_health(w, upstream, slot, 1, now)
    pool.drain(w, slot)
    health_changed(w, upstream, slot, now)


@jit
def _draw(w, up, host, number):
    """Return a uniform draw of one ejection of a host by one proxy."""
    word = np.uint64(int(host.ejections) * 16 + number)
    u, _, _, _ = uniforms(w.keys, DECISION, w.proxies[up.proxy].seed, identity(w, host.host), word, np.uint64(EJECTION))
    return u


@jit
def tick_at_or_after(up, policy, time):
    """Return the first tick of the upstream's interval timer at or after a time; its phase is random."""
    return up.phase + math.ceil((time - up.phase) / policy.interval) * policy.interval


@jit
def _healthy_ticks(w, up, policy, host, now):
    """Return how many ticks passed since the host had been back for one interval: each lowers its multiplier.

    It comes back at a tick, so that one interval later is a tick again: whether that one counts is a race in Envoy,
    with one outcome for all hosts that came back together.
    """
    if host.multiplier == 0:
        return 0
    ticks = math.floor((now - host.returned_at) / policy.interval + 1e-9)
    if ticks >= 1:
        number = np.uint64(max(0, round((host.returned_at - up.phase) / policy.interval)))
        u, _, _, _ = uniforms(
            w.keys, DECISION, w.proxies[up.proxy].seed, np.uint64(up.policy), number, np.uint64(HEALTHY_TICK)
        )  # fmt: skip
        if u < 0.5:
            ticks -= 1
    return ticks


@jit
def release(w, upstream, wanted, ejection, now):
    """Let a host come back from an ejection, if it is still there and still ejected."""
    up = w.upstreams[upstream]
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if host.host == wanted and host.ejected == 1 and host.ejections == ejection:
            come_back(w, upstream, slot, now)
            return


@jit
def come_back(w, upstream, slot, now):
    """Put an ejected host into service again, its counters at zero."""
    host = w.slots[slot]
    host.ejected = 0
    host.errors = 0
    host.gateway_errors = 0
    host.local_errors = 0
    host.returned_at = now
    w.upstreams[upstream].ejected -= 1
    trace.note_health(w, upstream, slot, 0, now)
    health_changed(w, upstream, slot, now)


# --- success rate and failure percentage ----------------------------------------------------------------------------


@jit
def begin(w, upstream, now):
    """Start the ticks of an upstream whose policy looks at success rates or failure percentages."""
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    if policy.detects == 1 and up.ticking == 0 and (policy.success_rate > 0 or policy.failure_percent > 0):
        up.ticking = 1
        _next_tick(w, upstream, up, policy, now)


@jit
def _next_tick(w, upstream, up, policy, now):
    # Half an interval on: the tick after this one, whichever way the time of this one was rounded.
    schedule(w, tick_at_or_after(up, policy, now + 0.5 * policy.interval), OUTLIER_TICK, upstream, 0, 0)


@jit
def on_tick(w, upstream, now):
    """Compare the hosts by what they answered since the last tick, and eject those that stand out."""
    up = w.upstreams[upstream]
    policy = w.policies[up.policy]
    if w.proxies[up.proxy].alive == 0:
        up.ticking = 0
        return
    if up.members >= min(policy.success_hosts, policy.failure_hosts):
        _by_success_rate(w, upstream, up, policy, now)
        _by_failure_percentage(w, upstream, up, policy, now)
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        w.slots[slot].successes = 0
        w.slots[slot].volume = 0
    _next_tick(w, upstream, up, policy, now)


@jit
def _has_volume(host, least):
    return host.present == 1 and host.ejected == 0 and host.volume > 0 and host.volume >= least


@jit
def threshold_of(w, up, policy):
    """Return the success rate in percent below which a host stands out: mean minus a number of standard deviations.

    Source: Envoy successRateEjectionThreshold; rates of 50, 100, 100, 100, 100 with a factor of 1.9 give 90 - 1.9 · 20.
    Too few hosts with enough requests: below 0, which no rate is.
    """
    count, total, squares = 0, 0.0, 0.0
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if _has_volume(host, policy.success_volume):
            count += 1
            total += 100.0 * host.successes / host.volume
    if count == 0 or count < policy.success_hosts:
        return -1.0
    mean = total / count
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if _has_volume(host, policy.success_volume):
            squares += (100.0 * host.successes / host.volume - mean) ** 2
    return mean - policy.success_deviations * math.sqrt(squares / count)


@jit
def _by_success_rate(w, upstream, up, policy, now):
    if policy.success_rate == 0:
        return
    threshold = threshold_of(w, up, policy)
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if _has_volume(host, policy.success_volume) and 100.0 * host.successes / host.volume < threshold:
            if _draw(w, up, host, _RATE) * 100.0 < policy.success_rate:
                eject(w, upstream, slot, now)


@jit
def _by_failure_percentage(w, upstream, up, policy, now):
    """Eject the hosts that fail at least so many percent of their requests, if enough hosts have enough requests.

    A host that the success rate has just ejected counts among the hosts, not among the ejected again.
    """
    if policy.failure_percent == 0:
        return
    count = 0
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        count += int(host.present == 1 and host.volume > 0 and host.volume >= policy.failure_volume)
    if count == 0 or count < policy.failure_hosts:
        return
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if not _has_volume(host, policy.failure_volume):
            continue
        failed = 100.0 - 100.0 * host.successes / host.volume
        if failed >= policy.failure_threshold and _draw(w, up, host, _PERCENT) * 100.0 < policy.failure_percent:
            eject(w, upstream, slot, now)
