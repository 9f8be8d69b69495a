"""SimPy as its documentation teaches it: a process for each request, a Resource for each pod."""

from __future__ import annotations

import random

import simpy
from boutique import boutique
from workloads import MESH, Answer, Job

from meshsim.engine.yardstick import Chain, simulate

NAME, PACKAGE = "SimPy, processes", "simpy"
WORKLOADS = ("W1", "W2", "W3", "W2p", "W3p", MESH)


def prepare(workload, requests, seed):
    if workload == MESH:
        return boutique(requests, seed)
    if workload.proxy:
        return with_proxies(workload, requests, seed)
    env, draws = simpy.Environment(), random.Random(seed)
    tiers = [[simpy.Resource(env, capacity=1) for _ in range(workload.pods)] for _ in range(workload.tiers)]
    latencies = []

    def call(tier):
        pod = draws.choice(tiers[tier])
        with pod.request() as turn:
            yield turn
            yield env.timeout(draws.expovariate(1 / workload.demand))
        if tier + 1 < workload.tiers:
            yield env.timeout(workload.link)
            yield from call(tier + 1)
            yield env.timeout(workload.link)

    def request():
        began = env.now
        if workload.remote:
            yield env.timeout(workload.link)
        yield from call(0)
        if workload.remote:
            yield env.timeout(workload.link)
        latencies.append(env.now - began)

    def arrivals():
        for _ in range(requests):
            yield env.timeout(draws.expovariate(workload.rate))
            env.process(request())

    env.process(arrivals())
    return Job(env.run, lambda: Answer(len(latencies), sum(latencies) / len(latencies), workload.tiers * requests))


def with_proxies(workload, requests, seed):
    """Return the yardstick that the package has, as `meshsim bench` runs it."""
    chain = Chain(workload.tiers, workload.pods, workload.demand, workload.link, workload.proxy, rate=workload.rate)
    found = []
    return Job(
        lambda: found.extend(simulate(chain, requests / chain.rate, seed)),
        lambda: Answer(found[0], found[1], chain.tiers * found[0]),
    )
