"""happysim: a source, servers behind a random router for each tier, network links, and a sink."""

from __future__ import annotations

import random

from happysimulator import Instant, Server, Simulation, Sink, Source
from happysimulator.components.network import NetworkLink
from happysimulator.components.random_router import RandomRouter
from happysimulator.distributions import ConstantLatency, ExponentialLatency
from workloads import Answer, Job

NAME, PACKAGE = "happysim", "happysim"
WORKLOADS = ("W1", "W2", "W3")


def prepare(workload, requests, seed):
    random.seed(seed)
    sink = Sink()
    entities, out = [sink], sink

    def link(out):
        entities.append(NetworkLink(f"link {len(entities)}", ConstantLatency(workload.link), egress=out))
        return entities[-1]

    for _ in range(workload.passes // 2):
        out = link(out)
    for tier in range(workload.tiers):
        demand = ExponentialLatency(workload.demand)
        pods = [Server(f"pod {tier}-{n}", service_time=demand, downstream=out) for n in range(workload.pods)]
        out = RandomRouter(f"tier {tier}", targets=pods)
        entities += [*pods, out]
        if workload.remote or tier + 1 < workload.tiers:
            out = link(out)
    simulation = Simulation(
        sources=[Source.poisson(rate=workload.rate, target=out)],
        entities=entities,
        end_time=Instant.from_seconds(requests / workload.rate),
    )

    def read():
        return Answer(sink.events_received, sink.average_latency(), workload.tiers * sink.events_received)

    return Job(simulation.run, read)
