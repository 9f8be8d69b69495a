"""A yardstick for speed: the three-tier chain of the benchmark as a bare compiled heap loop that can do nothing else.

Not a part of the simulator. Same events a call as the compiled path (at the sidecar, at the pod, computed, back), with
none of its mechanisms: no frames to free, no priorities, breakers, retries or records.
"""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane.jit import jit

_SIDECAR, _POD, _COMPUTED, _BACK, _ARRIVAL = range(5)


@jit
def simulate(tiers, pods, demand, link, sidecar, workers, rate, duration, seed):
    """Return how many requests ended and their mean latency; times in seconds, ``rate`` per second."""
    np.random.seed(seed)
    size = 1 << 14
    times, what = np.empty(size), np.empty((size, 3), dtype=np.int64)
    proxies = np.zeros((tiers * pods + 1, workers))
    free = np.zeros(tiers * pods)
    active = np.zeros((tiers * pods + 1, pods), dtype=np.int64)
    path, began = np.zeros((size, tiers + 1), dtype=np.int64), np.zeros(size)
    unused = np.arange(size)
    count, spare, ended, total = 0, size, 0, 0.0
    count = _push(times, what, count, 0.0, _ARRIVAL, 0, 0)
    while count > 0 and times[0] < duration:
        now, kind, request, tier = times[0], what[0, 0], what[0, 1], what[0, 2]
        count = _pop(times, what, count)
        if kind == _ARRIVAL:
            count = _push(times, what, count, now - math.log(np.random.random()) / rate, _ARRIVAL, 0, 0)
            spare -= 1
            request = unused[spare]
            began[request] = now
            path[request, 0] = tiers * pods
            count = _call(times, what, count, proxies, active, path, request, 0, pods, link, sidecar, now)
        elif kind == _SIDECAR:
            leaves = _station(proxies[path[request, tier + 1]], sidecar, now)
            count = _push(times, what, count, leaves, _POD, request, tier)
        elif kind == _POD:
            pod = path[request, tier + 1]
            free[pod] = max(free[pod], now) - math.log(np.random.random()) * demand
            count = _push(times, what, count, free[pod], _COMPUTED, request, tier)
        elif kind == _COMPUTED and tier + 1 < tiers:
            count = _call(times, what, count, proxies, active, path, request, tier + 1, pods, link, sidecar, now)
        elif kind == _COMPUTED:
            count = _push(times, what, count, now + link, _BACK, request, tier)
        else:
            active[path[request, tier], path[request, tier + 1] % pods] -= 1
            if tier > 0:
                count = _push(times, what, count, now + link, _BACK, request, tier - 1)
            else:
                ended += 1
                total += now - began[request]
                unused[spare] = request
                spare += 1
    return ended, total / max(ended, 1)


@jit
def _station(free, sidecar, now):
    best = 0
    for index in range(1, len(free)):
        if free[index] < free[best]:
            best = index
    free[best] = max(free[best], now) + sidecar
    return free[best]


@jit
def _call(times, what, count, proxies, active, path, request, tier, pods, link, sidecar, now):
    client = path[request, tier]
    leaves = _station(proxies[client], sidecar, now)
    one, other = int(np.random.random() * pods), int(np.random.random() * pods)
    chosen = other if active[client, other] < active[client, one] else one
    active[client, chosen] += 1
    path[request, tier + 1] = tier * pods + chosen
    return _push(times, what, count, leaves + link, _SIDECAR, request, tier)


@jit
def _push(times, what, count, time, kind, request, tier):
    hole = count
    while hole > 0:
        above = (hole - 1) >> 1
        if times[above] <= time:
            break
        times[hole] = times[above]
        what[hole] = what[above]
        hole = above
    times[hole] = time
    what[hole, 0], what[hole, 1], what[hole, 2] = kind, request, tier
    return count + 1


@jit
def _pop(times, what, count):
    count -= 1
    hole = 0
    while True:
        below = 2 * hole + 1
        if below >= count:
            break
        if below + 1 < count and times[below + 1] < times[below]:
            below += 1
        if times[below] >= times[count]:
            break
        times[hole] = times[below]
        what[hole] = what[below]
        hole = below
    times[hole] = times[count]
    what[hole] = what[count]
    return count
