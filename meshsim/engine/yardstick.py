"""A yardstick for speed: the three-tier chain of the benchmark as people write it in SimPy, a process per request.

Not a part of the simulator. It does what the compiled path does for the same chain: sidecars with worker threads,
power of two choices over each client's own active counts, links, and pods with one worker and a queue.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain: ``tiers`` services of ``pods`` pods; times in seconds."""

    tiers: int = 3
    pods: int = 8
    demand: float = 0.010
    link: float = 0.001
    sidecar: float = 0.0002
    workers: int = 2
    rate: float = 560.0


class Pod:
    """A pod with its sidecar, and its view of the next tier."""

    def __init__(self, env: simpy.Environment, chain: Chain) -> None:
        self.sidecar = simpy.Resource(env, capacity=chain.workers)
        self.worker = simpy.Resource(env, capacity=1)
        self.active: list[int] = [0] * chain.pods


def simulate(chain: Chain, duration: float, seed: int = 1) -> tuple[int, float]:
    """Return how many requests ended and their mean latency in seconds.

    Examples
    --------
    >>> ended, mean = simulate(Chain(rate=50.0), 5.0)
    >>> 150 < ended < 350 and mean > 0.03
    True
    """
    env = simpy.Environment()
    draws = random.Random(seed)  # noqa: S311 (nothing secret)
    tiers = [[Pod(env, chain) for _ in range(chain.pods)] for _ in range(chain.tiers)]
    ingress = Pod(env, chain)
    latencies: list[float] = []

    def call(client: Pod, tier: int) -> Process:
        with client.sidecar.request() as turn:
            yield turn
            yield env.timeout(chain.sidecar)
        one, other = draws.randrange(chain.pods), draws.randrange(chain.pods)
        chosen = other if client.active[other] < client.active[one] else one
        client.active[chosen] += 1
        pod = tiers[tier][chosen]
        yield env.timeout(chain.link)
        with pod.sidecar.request() as turn:
            yield turn
            yield env.timeout(chain.sidecar)
        with pod.worker.request() as turn:
            yield turn
            yield env.timeout(draws.expovariate(1.0 / chain.demand))
        if tier + 1 < chain.tiers:
            yield from call(pod, tier + 1)
        yield env.timeout(chain.link)
        client.active[chosen] -= 1

    def request() -> Process:
        began = env.now
        yield from call(ingress, 0)
        latencies.append(env.now - began)

    def arrivals() -> Process:
        while True:
            yield env.timeout(draws.expovariate(chain.rate))
            env.process(request())

    env.process(arrivals())
    env.run(until=duration)
    return len(latencies), sum(latencies) / max(len(latencies), 1)
