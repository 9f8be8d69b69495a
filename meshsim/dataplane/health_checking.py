"""Active health checks: a proxy asks every host at an interval whether it is well (Envoy health_checker_base_impl.cc).

Istio has no setting for them; raw Envoy configurations do. A check takes a round trip, without jitter; an answer other
than 200 makes a host unhealthy at once, no answer only when repeated. Not modelled: handshakes, interval jitter, the
longer interval before the first request (no_traffic_interval).
"""

from __future__ import annotations

import math

from meshsim.dataplane import outlier_detection, pool, slow_start
from meshsim.dataplane.calendar import HEALTH_CHECK, schedule
from meshsim.dataplane.gateway import address_of, gives_no_answer, live_replica, zone_of
from meshsim.dataplane.jit import jit
from meshsim.dataplane.locality import health_changed
from meshsim.dataplane.network import is_cut
from meshsim.dataplane.state import NONE, SERVING, SILENT

#: Stages of a check: sent, at the host, answered well, answered badly, not answered.
SENT, ARRIVED, PASSED, FAILED, LOST = range(5)
_STAGES = 8


def lower(row, *, interval: float = 0.0, timeout: float = 1.0, unhealthy: int = 1, healthy: int = 1) -> None:
    """Write health checks into a policy's record; an interval of 0 seconds is none."""
    row.checks = int(interval > 0.0)
    row.check_interval, row.check_timeout = interval, timeout
    row.unhealthy_after, row.healthy_after = unhealthy, healthy


@jit
def forget_slot(host):
    """End the checks of the host that a slot held; ``checked`` goes on, to tell events apart."""
    host.checking = 0
    host.failing = 0


@jit
def begin(w, upstream, now):
    """Start to check the hosts that are new to an upstream, at once.

    Those of its first list count as healthy until they fail: a proxy begins to serve when it has checked them.
    """
    up = w.upstreams[upstream]
    if w.policies[up.policy].checks == 0:
        return
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        host = w.slots[slot]
        if host.present == 1 and host.checking == 0:
            host.checking = 1
            host.checked += 1
            host.failing = int(up.built != 0)
            host.streak = 0
            _send(w, upstream, slot, SENT, now)


@jit
def _send(w, upstream, slot, stage, when):
    offset = slot - w.upstreams[upstream].first_slot
    schedule(w, when, HEALTH_CHECK, upstream, w.slots[slot].checked, offset * _STAGES + stage)


@jit
def on_check(w, upstream, extra, generation, now):
    """Go on with a check: send it, let the host answer, take the answer."""
    up = w.upstreams[upstream]
    stage = extra % _STAGES
    offset = extra // _STAGES
    if offset >= up.capacity or w.proxies[up.proxy].alive == 0:
        return
    slot = up.first_slot + offset
    host = w.slots[slot]
    if host.present == 0 or host.checking == 0 or host.checked != generation:
        return
    if stage == SENT:
        _travel(w, upstream, slot, ARRIVED, now)
    elif stage == ARRIVED:
        _answer(w, upstream, slot, now)
    else:
        _take(w, upstream, slot, stage, now)
        _send(w, upstream, slot, SENT, now + w.policies[up.policy].check_interval)


@jit
def _latency(w, upstream, slot):
    """Return the one-way latency to a host in seconds, infinite over a link that is cut there or back."""
    here, there = w.proxies[w.upstreams[upstream].proxy].zone, zone_of(w, w.slots[slot].host)
    link = w.links[here, there]
    cut = is_cut(w, here, there) or is_cut(w, there, here)
    return math.inf if cut else link.half * link.factor + link.delay


@jit
def _travel(w, upstream, slot, stage, now):
    """Carry a check or its answer over the link; what takes too long is no answer, at the timeout."""
    latency = _latency(w, upstream, slot)
    timeout = w.policies[w.upstreams[upstream].policy].check_timeout
    if 2.0 * latency <= timeout:
        _send(w, upstream, slot, stage, now + latency)
    elif stage == ARRIVED:
        _send(w, upstream, slot, LOST, now + timeout)
    else:  # the link was cut or slowed down since the check was sent, we do not know how long ago
        _send(w, upstream, slot, LOST, now + max(timeout - min(latency, timeout), 0.0))


@jit
def _answer(w, upstream, slot, now):
    """Let a host answer a check; a silent one does not, one that is gone refuses the connection."""
    host = w.slots[slot].host
    silent, well, gone = False, True, False
    if host >= 0:
        server = w.pods[host]
        silent = server.state == SILENT
        gone = server.state != SERVING
        well = server.check_fails == 0
    else:
        address = address_of(host)
        gone = live_replica(w, address, 0.5) == NONE
        silent = gone and gives_no_answer(w, address)
    if silent:
        rest = w.policies[w.upstreams[upstream].policy].check_timeout - _latency(w, upstream, slot)
        _send(w, upstream, slot, LOST, now + max(rest, 0.0))
    elif gone:
        _travel(w, upstream, slot, LOST, now)
    else:
        _travel(w, upstream, slot, PASSED if well else FAILED, now)


@jit
def _take(w, upstream, slot, result, now):
    """Count the result of a check; the first one a host ever has decides alone."""
    policy = w.policies[w.upstreams[upstream].policy]
    host = w.slots[slot]
    first = host.streak == 0
    if result == PASSED:
        host.streak = max(host.streak, 0) + 1
        if host.failing == 1 and (first or host.streak >= policy.healthy_after):
            host.failing = 0
            slow_start.join_again(w.upstreams[upstream], policy, host, now)
            health_changed(w, upstream, slot, now)
        if host.failing == 0 and host.ejected == 1:
            outlier_detection.come_back(w, upstream, slot, now)
        return
    host.streak = min(host.streak, 0) - 1
    if host.failing == 0 and (first or result == FAILED or -host.streak >= policy.unhealthy_after):
        host.failing = 1
        pool.drain(w, slot)
        health_changed(w, upstream, slot, now)
