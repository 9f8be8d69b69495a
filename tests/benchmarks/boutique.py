"""Online Boutique as people would write it in SimPy, from the same scenario file: a process for each user's action.

Same call graph, counts, compute times, pods, worker threads and distances, and a choice of two pods at random by each
client's own active requests, among the pods of its network and one gateway for each cluster of another. Left out, which
spares SimPy work: what gateways cost, connections, retries, deadlines, records, and all of the control plane.
"""

from __future__ import annotations

import math
import random
from functools import cache

import simpy
from workloads import Answer, Job

import meshsim
from meshsim import bench
from meshsim.mesh.links import round_trip


class Pod:
    """A pod with its sidecar, or an ingress gateway with no workers; and how many requests it has at whose pods."""

    def __init__(self, env, cluster, zone, threads, workers):
        self.cluster, self.zone = cluster, zone
        self.sidecar = simpy.Resource(env, capacity=threads)
        self.worker = simpy.Resource(env, capacity=workers) if workers else None
        self.active = {}


class Mesh:
    """All pods by service, and what happens in them."""

    def __init__(self, env, document, seed):
        self.env, self.document, self.draws = env, document, random.Random(seed)
        self.calls, self.latencies = 0, []
        links = {(a, b): trip.p50 / 2 for a, b, trip in round_trip(document).items()}
        self.links = links | {(b, a): time for (a, b), time in links.items()}
        threads = document.sidecar.concurrency
        self.pods = {
            name: {
                cluster: [Pod(env, cluster, self.zone(cluster, n), threads, each.workers) for n in range(each.replicas)]
                for cluster in document.clusters
            }
            for name, each in document.services.items()
        }
        self.ingress = [Pod(env, name, self.zone(name, 0), threads, 0) for name in document.clusters]
        self.entry = next(iter(document.load.entries.values()))

    def zone(self, cluster, number):
        region = self.document.clusters[cluster].region
        zones = self.document.regions[region].zones
        return region, zones[number % len(zones)]

    @cache  # noqa: B019 (a mesh lives as long as its run)
    def endpoints(self, cluster, service):
        """Return what proxies of a cluster see: each pod of their network, and the gateway of each other cluster."""
        network = self.document.clusters[cluster].network
        seen = []
        for other, pods in self.pods[service].items():
            near = self.document.clusters[other].network == network
            seen += [[pod] for pod in pods] if near else [pods]
        return seen

    def call(self, client, target):
        """Take a request to one of the pods of a service, and its answer back."""
        service, endpoint = target.split("/", 1)
        with client.sidecar.request() as turn:
            yield turn
            yield self.env.timeout(self.document.sidecar.cpu)
        seen = self.endpoints(client.cluster, service)
        active = client.active.setdefault(service, [0] * len(seen))
        one, other = self.draws.randrange(len(seen)), self.draws.randrange(len(seen))
        chosen = other if active[other] < active[one] else one
        active[chosen] += 1
        pod = self.draws.choice(seen[chosen])
        yield self.env.timeout(self.links[client.zone, pod.zone])
        with pod.sidecar.request() as turn:
            yield turn
            yield self.env.timeout(self.document.sidecar.cpu)
        for step in self.document.services[service].endpoints[endpoint].script:
            if hasattr(step, "compute"):
                with pod.worker.request() as turn:
                    yield turn
                    yield self.env.timeout(self.demand(step.compute))
            else:
                for _ in range(self.times(step.count)):
                    yield from self.call(pod, step.call)
        yield self.env.timeout(self.links[client.zone, pod.zone])
        active[chosen] -= 1
        self.calls += 1

    def demand(self, compute):
        """Draw from the lognormal distribution that runs through a median and a 99th percentile."""
        p50, p99 = compute.lognormal.p50, compute.lognormal.p99
        return self.draws.lognormvariate(math.log(p50), math.log(p99 / p50) / 2.326348)

    def times(self, count):
        whole = int(count)
        return whole + (count > whole and self.draws.random() < count - whole)

    def action(self, client, requests):
        for endpoint in requests:
            began = self.env.now
            yield from self.call(client, f"frontend/{endpoint}")
            self.latencies.append(self.env.now - began)

    def arrivals(self, requests):
        actions = list(self.entry.actions.values())
        weights = [action.weight for action in actions]
        sent = 0
        while sent < requests:
            yield self.env.timeout(self.draws.expovariate(self.entry.rate))
            chosen = self.draws.choices(actions, weights)[0]
            sent += len(chosen.requests)
            self.env.process(self.action(self.draws.choice(self.ingress), chosen.requests))


def boutique(requests, seed):
    """Return a run of about so many requests of users."""
    mesh = Mesh(simpy.Environment(), meshsim.load(bench.REFERENCE).document, seed)
    mesh.env.process(mesh.arrivals(requests))
    return Job(
        mesh.env.run,
        lambda: Answer(len(mesh.latencies), sum(mesh.latencies) / len(mesh.latencies), mesh.calls),
    )
