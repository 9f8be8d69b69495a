"""The same loop over a heap of arrays, compiled by Numba: the limit for a simulator of this kind."""

# ruff: noqa: NPY002 (compiled code has the legacy generator only)
from __future__ import annotations

import numba
import numpy as np
from workloads import Answer, Job

from meshsim.dataplane.yardstick import simulate

NAME, PACKAGE = "compiled loop, the limit", "numba"
WORKLOADS = ("W1", "W2", "W3", "W2p", "W3p")
ARRIVAL, ENTER, SERVED, BACK = range(4)


def prepare(workload, requests, seed):
    if workload.proxy:
        return with_proxies(workload, requests, seed)
    figures = (workload.tiers, workload.pods, workload.demand, workload.link, workload.rate, workload.remote)
    loop(*figures, 10, 1)
    found = []
    return Job(
        lambda: found.append(loop(*figures, requests, seed)),
        lambda: Answer(requests, found[0] / requests, workload.tiers * requests),
    )


def with_proxies(workload, requests, seed):
    """Return the yardstick that the package has, as `meshsim bench` runs it."""
    tiers, rate = workload.tiers, workload.rate
    figures = (tiers, workload.pods, workload.demand, workload.link, workload.proxy, 2, rate)
    simulate(*figures, 0.1, 1)
    found = []
    return Job(
        lambda: found.extend(simulate(*figures, requests / rate, seed)),
        lambda: Answer(found[0], found[1], tiers * found[0]),
    )


@numba.njit
def loop(tiers, pods, demand, link, rate, remote, requests, seed):
    """Return the sum of all latencies; what happens, where and since when are columns of the heap."""
    np.random.seed(seed)
    times, what, since = np.empty(1 << 16), np.empty(1 << 16, dtype=np.int64), np.empty(1 << 16)
    free, half, left, total = np.zeros((tiers, pods)), tiers - 1 + remote, requests, 0.0
    count = push(times, what, since, 0, np.random.exponential(1 / rate), ARRIVAL, 0.0)
    while count:
        now, kind, tier, began = times[0], what[0] & 3, what[0] >> 2, since[0]
        count = pop(times, what, since, count)
        if kind == ARRIVAL:
            left -= 1
            if left:
                count = push(times, what, since, count, now + np.random.exponential(1 / rate), ARRIVAL, 0.0)
            if remote:
                count = push(times, what, since, count, now + link, ENTER, now)
                continue
            began = now
        if kind <= ENTER:
            pod = int(np.random.random() * pods)
            done = max(free[tier, pod], now) + np.random.exponential(demand)
            free[tier, pod] = done
            count = push(times, what, since, count, done, tier << 2 | SERVED, began)
        elif kind == SERVED and tier + 1 < tiers:
            count = push(times, what, since, count, now + link, (tier + 1) << 2 | ENTER, began)
        elif kind == SERVED and half:
            count = push(times, what, since, count, now + link, (half - 1) << 2 | BACK, began)
        elif kind == BACK and tier:
            count = push(times, what, since, count, now + link, (tier - 1) << 2 | BACK, began)
        else:
            total += now - began
    return total


@numba.njit(inline="always")
def push(times, what, since, count, time, kind, began):
    hole = count
    while hole > 0:
        above = (hole - 1) >> 1
        if times[above] <= time:
            break
        times[hole], what[hole], since[hole] = times[above], what[above], since[above]
        hole = above
    times[hole], what[hole], since[hole] = time, kind, began
    return count + 1


@numba.njit(inline="always")
def pop(times, what, since, count):
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
        times[hole], what[hole], since[hole] = times[below], what[below], since[below]
        hole = below
    times[hole], what[hole], since[hole] = times[count], what[count], since[count]
    return count
