"""AsyncFlow: a client, a load balancer, servers and edges; other models than asked for, as it has none of these.

A server's CPU time is a constant and its load balancer goes round (M/D/1, and less wait still behind the balancer); a
server can call no other. Its runs cannot be seeded.
"""

from __future__ import annotations

import simpy
from asyncflow import AsyncFlow, SimulationRunner
from asyncflow.components import Client, Edge, Endpoint, LoadBalancer, Server
from asyncflow.settings import SimulationSettings
from asyncflow.workload import RqsGenerator
from workloads import Answer, Job

NAME, PACKAGE = "AsyncFlow", "asyncflow-sim"
WORKLOADS = ("W1", "W2")
NOTE = {"W1": "another model: M/D/1", "W2": "another model: constant demand, round robin"}


def expected(workload):
    """Return the mean latency of the model that it has: Pollaczek and Khinchine's, or unknown."""
    load, demand = workload.utilisation, workload.demand
    return demand + load * demand / (2 * (1 - load)) if workload.pods == 1 else None


def prepare(workload, requests, seed):
    steps = [{"kind": "cpu_bound_operation", "step_operation": {"cpu_time": workload.demand}}]
    names = [f"pod-{number}" for number in range(workload.pods)]
    flow = AsyncFlow().add_generator(
        RqsGenerator(
            id="users",
            avg_active_users={"mean": 1, "distribution": "normal", "variance": 0},
            avg_request_per_minute_per_user={"mean": 60 * workload.rate, "distribution": "poisson"},
        )
    )
    flow.add_client(Client(id="client"))
    flow.add_servers(
        *(
            Server(
                id=name,
                server_resources={"cpu_cores": 1, "ram_mb": 1024},
                endpoints=[Endpoint(endpoint_name="/", steps=steps)],
            )
            for name in names
        )
    )
    link = workload.link if workload.remote else 0
    if workload.pods > 1:
        flow.add_load_balancer(LoadBalancer(id="proxy", algorithms="round_robin", server_covered=set(names)))
        flow.add_edges(edge("client", "proxy", link), *(edge("proxy", name) for name in names))
    else:
        flow.add_edges(edge("client", names[0], link))
    flow.add_edges(edge("users", "client"), *(edge(name, "client", link) for name in names))
    flow.add_simulation_settings(
        SimulationSettings(
            total_simulation_time=max(5, round(requests / workload.rate)),
            sample_period_s=0.1,
            enabled_sample_metrics=set(),
        )
    )
    runner, found = SimulationRunner(env=simpy.Environment(), simulation_input=flow.build_payload()), []

    def read():
        latencies = found[0].get_latency_stats()
        return Answer(int(latencies["total_requests"]), latencies["mean"], int(latencies["total_requests"]))

    return Job(lambda: found.append(runner.run()), read)


def edge(source, target, latency=0):
    """Return a link; a latency has to be above zero."""
    mean = {"mean": latency or 1e-9, "distribution": "normal", "variance": 0}
    return Edge(id=f"{source}-{target}", source=source, target=target, latency=mean)
