"""Ciw: a network of nodes; links are nodes with as many servers as it takes, and routing is a matrix."""

from __future__ import annotations

import ciw
from workloads import Answer, Job

NAME, PACKAGE = "Ciw", "Ciw"
WORKLOADS = ("W1", "W2", "W3")


def prepare(workload, requests, seed):
    stages = []
    for tier in range(workload.tiers):
        if workload.remote or tier:
            stages.append("link")
        stages.append("pods")
    stages += ["link"] * (workload.passes // 2)
    sizes = [1 if stage == "link" else workload.pods for stage in stages]
    kinds = [stage for stage, size in zip(stages, sizes, strict=True) for _ in range(size)]
    ciw.seed(seed)
    simulation = ciw.Simulation(
        ciw.create_network(
            arrival_distributions=arrivals(workload, sizes),
            service_distributions=[
                ciw.dists.Deterministic(workload.link) if kind == "link" else ciw.dists.Exponential(1 / workload.demand)
                for kind in kinds
            ],
            number_of_servers=[float("inf") if kind == "link" else 1 for kind in kinds],
            routing=routing(sizes),
        )
    )
    until = requests / workload.rate
    return Job(lambda: simulation.simulate_until_max_time(until), lambda: answer(simulation, workload))


def arrivals(workload, sizes):
    """Return the arrivals at each node: the first stage shares the load, as if by choosing at random."""
    shares = [ciw.dists.Exponential(workload.rate / sizes[0])] * sizes[0]
    return shares + [None] * (sum(sizes) - sizes[0])


def routing(sizes):
    """Return the probabilities of going from node to node: to any node of the next stage alike, and out at the end."""
    matrix = []
    for stage, size in enumerate(sizes):
        row, first = [0.0] * sum(sizes), sum(sizes[: stage + 1])
        if stage + 1 < len(sizes):
            row[first : first + sizes[stage + 1]] = [1 / sizes[stage + 1]] * sizes[stage + 1]
        matrix += [list(row) for _ in range(size)]
    return matrix


def answer(simulation, workload):
    """Return the mean time between the first arrival and the last exit of those who have left."""
    first, last = {}, {}
    left = {individual.id_number for individual in simulation.nodes[-1].all_individuals}
    for record in simulation.get_all_records():
        if record.id_number in left:
            first[record.id_number] = min(record.arrival_date, first.get(record.id_number, record.arrival_date))
            last[record.id_number] = max(record.exit_date, last.get(record.id_number, 0.0))
    return Answer(len(first), sum(last[i] - first[i] for i in first) / len(first), workload.tiers * len(first))
