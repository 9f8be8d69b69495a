"""SimPy's event queue without its processes: time-outs with callbacks, and a deque for each pod."""

from __future__ import annotations

import random
from collections import deque

import simpy
from workloads import Answer, Job

NAME, PACKAGE = "SimPy, callbacks only", "simpy"
WORKLOADS = ("W1", "W2", "W3")


class Pod:
    """A worker with a queue; `then` is called with each request that it has served."""

    def __init__(self, env, demand, then):
        self.env, self.demand, self.then = env, demand, then
        self.waiting = deque()
        self.busy = False

    def arrive(self, request):
        if self.busy:
            self.waiting.append(request)
        else:
            self.busy = True
            self.serve(request)

    def serve(self, request):
        self.env.timeout(self.demand(), request).callbacks.append(self.served)

    def served(self, event):
        if self.waiting:
            self.serve(self.waiting.popleft())
        else:
            self.busy = False
        self.then(event.value)


def prepare(workload, requests, seed):
    env, draws = simpy.Environment(), random.Random(seed)
    totals = [0, 0.0]

    def crossing(then):
        def crossed(event):
            then(event.value)

        def cross(request):
            env.timeout(workload.link, request).callbacks.append(crossed)

        return cross

    def tier(then):
        pods = [Pod(env, lambda: draws.expovariate(1 / workload.demand), then) for _ in range(workload.pods)]
        return lambda request: draws.choice(pods).arrive(request)

    def answered(began):
        totals[0] += 1
        totals[1] += env.now - began

    step = answered
    for _ in range(workload.passes // 2):
        step = crossing(step)
    for number in range(workload.tiers):
        step = tier(step)
        if workload.remote or number + 1 < workload.tiers:
            step = crossing(step)

    def arrive(event):
        step(env.now)
        if event.value < requests:
            env.timeout(draws.expovariate(workload.rate), event.value + 1).callbacks.append(arrive)

    env.timeout(draws.expovariate(workload.rate), 1).callbacks.append(arrive)
    return Job(env.run, lambda: Answer(totals[0], totals[1] / totals[0], workload.tiers * totals[0]))
