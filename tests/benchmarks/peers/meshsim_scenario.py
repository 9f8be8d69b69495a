"""This simulator: scenarios with proxies, connections, policies, retries and records, as any other."""

from __future__ import annotations

from workloads import MESH, Answer, Job

import meshsim
from meshsim import bench

NAME, PACKAGE = "meshsim", ""
WORKLOADS = ("W1", "W2", "W3", "W2p", "W3p", MESH)
#: A run takes a twentieth of a second before the first request, so measurements are longer than others'.
LONGER = 3.0
#: Actions of Online Boutique's users a second; each makes 1.47 requests.
ACTIONS = 200 * 1.47


def prepare(workload, requests, seed):
    from meshsim.engine.simulation import Simulation

    simulation = Simulation(described(workload, requests, seed), "multi-primary")
    tables = {}
    return Job(lambda: tables.update(simulation.run()), lambda: Answer(*bench.answer(tables)))


def described(workload, requests, seed):
    """Return the scenario of a workload that gets about so many requests."""
    if workload == MESH:
        return meshsim.load(bench.REFERENCE, [f"duration={requests / ACTIONS}s", "warm_up=0s", f"seed={seed}"])
    return meshsim.load(scenario(workload, requests, seed))


def scenario(workload, requests, seed):
    """Return the scenario file of a workload.

    Tiers are services. Where the client is no link away from the first, they are in zones of their own, users come in
    through the ingress gateway beside the first, and no time passes within a zone; else all are in one zone, whose
    round trip is that of a link. A DestinationRule asks for what theory is told of, a pod at random, where proxies
    take no time; else Istio's default is what is wanted. Proxies do all they do in either case.
    """
    zones = ["z0"] if workload.remote else [f"z{number}" for number in range(workload.tiers)]
    homes = zones * workload.tiers if workload.remote else zones
    trip = f"{2 * workload.link}s"
    between = [(a, b) for number, a in enumerate(zones) for b in zones[number:]]
    proxy = {"cpu": f"{workload.proxy}s", "latency": f"{workload.proxy}s", "concurrency": 2}
    beside = trip if workload.remote else "0s"
    return {
        "name": workload.name,
        "regions": {"local": {"zones": zones}},
        "clusters": {zone: {"region": "local", "zones": [zone]} for zone in zones},
        "latency": [{"between": [f"local/{a}", f"local/{b}"], "rtt": beside if a == b else trip} for a, b in between],
        "services": {
            f"tier{number}": {
                "replicas": {homes[number]: workload.pods},
                "endpoints": {"GET /": {"script": script(workload, number)}},
            }
            for number in range(workload.tiers)
        },
        "load": {"tier0": {"rate": f"{workload.rate}/s", "enters": {zones[0]: 1}}},
        "sidecar": proxy,
        "ingress": {zone: {**proxy, "autoscale": None} for zone in zones},
        "istio": [] if workload.proxy else [rule(f"tier{number}") for number in range(workload.tiers)],
        "deployments": ["multi-primary"],
        "duration": f"{requests / workload.rate}s",
        "warm_up": "0s",
        "seed": seed,
    }


def rule(service):
    """Return the DestinationRule that has a pod of a service chosen at random."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": service},
        "spec": {"host": service, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
    }


def script(workload, number):
    """Return what a tier does: it computes, and calls the next one."""
    compute = {"compute": {"exponential": f"{workload.demand}s"}}
    return [compute, {"call": f"tier{number + 1}/GET /"}] if number + 1 < workload.tiers else [compute]
