"""Links between zones and the stations of proxies: how long a message takes from here to there."""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane.distributions import sample
from meshsim.dataplane.draws import LOSS, NETWORK, uniforms
from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import AT_HAND

#: TCP's smallest retransmission timeout on Linux (RFC 6298 allows 1 s; Linux uses 200 ms), doubled at every loss.
RETRANSMISSION_TIMEOUT = 0.2


@jit
def network_draws(w, call):
    """Return the draws of a call's attempt: for the client's proxy, the server's, all links' jitter, and the worker."""
    return uniforms(w.keys, NETWORK, call.request, call.path, np.uint64(call.attempt), np.uint64(0))


@jit
def occupy_worker(w, proxy, worker, now, seconds):
    """Let a worker thread of a proxy work for a time, after what it has to do already; return when it begins."""
    record = w.proxies[proxy]
    if record.workers == 0:
        return now
    record.busy += seconds
    if worker < AT_HAND:
        start = max(record.free[worker], now)
        record.free[worker] = start + seconds
    else:
        start = max(w.free_at[record.station + worker - AT_HAND], now)
        w.free_at[record.station + worker - AT_HAND] = start + seconds
    return start


@jit
def pass_station(w, proxy, worker, now, u, request, path, attempt):
    """Return when a message leaves a proxy that it reaches now.

    Each worker thread is a first-come first-served server of its own, as a connection stays on the thread that
    accepted it. A request occupies it for the proxy's CPU time; the request itself leaves after the wait and the
    proxy's latency. The departure is known at the arrival.
    """
    record = w.proxies[proxy]
    if record.workers == 0:
        return now
    start = occupy_worker(w, proxy, worker, now, record.cpu)
    salt = np.int64(attempt) << 40 | np.int64(proxy) << 8 | 7
    return start + sample(w, record.latency, u, request, path, salt)


@jit
def is_cut(w, here, there):
    """Return whether nothing passes a link in this direction."""
    link = w.links[here, there]
    return link.cut > 0 or link.loss >= 1.0


@jit
def transit(w, here, there, jitter, request, path, salt):
    """Return the one-way latency in seconds of a link for one message; a cut link has none (negative).

    ``jitter`` is the message's standard normal: request and response share it, so that round trips have the
    percentiles of the table. A lost message is sent again after TCP's timeout, which doubles. What a link's own jitter
    adds is drawn for each message.
    """
    if is_cut(w, here, there):
        return -1.0
    link = w.links[here, there]
    latency = link.half if link.sigma == 0.0 else link.half * math.exp(link.sigma * jitter)
    latency = latency * link.factor + link.delay
    if link.loss > 0.0 or link.jitter > 0.0:
        u, late, _, _ = uniforms(w.keys, LOSS, request, path, np.uint64(salt), np.uint64(0))
        latency += link.jitter * late
        if link.loss > 0.0:
            lost = int(math.log(u) / math.log(link.loss))
            latency += RETRANSMISSION_TIMEOUT * (2.0 ** min(lost, 10) - 1.0)
    return latency
