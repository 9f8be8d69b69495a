"""A loop over Python's heapq, with nothing around it: what hand-written Python can do."""

from __future__ import annotations

import random
from heapq import heappop, heappush

from workloads import Answer, Job

NAME, PACKAGE = "plain Python, heapq", ""
WORKLOADS = ("W1", "W2", "W3")
ARRIVAL, ENTER, SERVED, BACK = range(4)


def prepare(workload, requests, seed):
    totals = [0, 0.0]

    def run():
        totals[0] = requests
        totals[1] = loop(workload, requests, random.Random(seed))

    return Job(run, lambda: Answer(totals[0], totals[1] / totals[0], workload.tiers * totals[0]))


def loop(workload, requests, draws):
    """Return the sum of all latencies; a pod is the time at which it will be free."""
    choose, draw, rate, serves = draws.random, draws.expovariate, workload.rate, 1 / workload.demand
    last, pods, link, half = workload.tiers - 1, workload.pods, workload.link, workload.passes // 2
    free = [[0.0] * pods for _ in range(workload.tiers)]
    heap, left, number, total = [(draw(rate), 0, ARRIVAL, 0, 0.0)], requests, 0, 0.0
    while heap:
        now, _, kind, tier, began = heappop(heap)
        number += 1
        if kind == ARRIVAL:
            left -= 1
            if left:
                heappush(heap, (now + draw(rate), number, ARRIVAL, 0, 0.0))
                number += 1
            if workload.remote:
                heappush(heap, (now + link, number, ENTER, 0, now))
                continue
            began = now
        if kind <= ENTER:
            line, pod = free[tier], int(choose() * pods)
            line[pod] = done = max(line[pod], now) + draw(serves)
            heappush(heap, (done, number, SERVED, tier, began))
        elif kind == SERVED and tier < last:
            heappush(heap, (now + link, number, ENTER, tier + 1, began))
        elif kind == SERVED and half:
            heappush(heap, (now + link, number, BACK, half - 1, began))
        elif kind == BACK and tier:
            heappush(heap, (now + link, number, BACK, tier - 1, began))
        else:
            total += now - began
    return total
