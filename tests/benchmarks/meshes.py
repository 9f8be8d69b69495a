"""Meshes of any size that do the same work for each of their users' requests, to see what size alone costs.

A random call graph in four layers: an entry service calls two of the second layer, each of these two of the third,
and those one of the fourth, so that a request makes 11 calls on average whatever the size. Each service has twice as
many callees as it calls at a time. Pods are spread over the clusters, half of which are in each of two networks, and
requests come at the same rate per pod, so that utilisation and the part of calls through gateways are alike.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

#: Part of the services in each layer, and how many services of the next one each calls on average.
LAYERS = ((1, 2), (2, 2), (4, 1), (4, 0))
#: How many calls a user's request makes on average, the one to the entry service included.
CALLS = 11
#: Calls per second that a pod gets, and how long it computes for each: a fifth of its time.
RATE, COMPUTE = 20.0, "10ms"
#: Regions with a known latency, alternately of the first and of the second network.
REGIONS = (
    "eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "eu-west-2",
    "us-east-2", "eu-north-1", "us-west-1", "eu-west-3", "ca-central-1",
)  # fmt: skip
#: Clusters in a region, if there are that many.
CLUSTERS_A_REGION = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How large a mesh is."""

    clusters: int
    services: int
    pods: int

    def __str__(self) -> str:
        return f"{self.clusters} clusters, {self.services} services, {self.pods} pods"

    @property
    def calls(self) -> float:
        """Return about how many calls it makes a second."""
        return self.pods * RATE


#: The sizes that are measured; costs are told as multiples of those of the first.
SIZES = (Size(3, 12, 60), Size(10, 100, 800), Size(25, 400, 3600), Size(50, 1000, 10_000))


def mesh(size: Size, duration: float, *, seed: int = 1) -> dict[str, Any]:
    """Return a scenario that lasts so many seconds, as `meshsim.load` takes it; the same for the same seed."""
    chance = random.Random(f"{size}/{seed}")
    regions = REGIONS[: max(2, size.clusters // CLUSTERS_A_REGION)]
    clusters = {
        f"c{number}": {"region": regions[number % len(regions)], "network": f"net-{number % len(regions) % 2}"}
        for number in range(size.clusters)
    }
    layers = _layers(size.services)
    replicas = {
        name: _spread(count, list(clusters), chance)
        for name, count in _shared([name for layer in layers for name in layer], size.pods).items()
    }
    services: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        following = layers[number + 1] if number + 1 < len(layers) else []
        deck: list[str] = []
        for name in layer:
            script = _script(LAYERS[number][1], following, deck, chance)
            services[name] = {"protocol": "grpc", "replicas": replicas[name], "endpoints": {"call": {"script": script}}}
    entries = layers[0]
    rate = size.calls / CALLS / len(entries)
    return {
        "name": f"mesh-{size.clusters}-{size.services}-{size.pods}",
        "regions": {name: {"cloud_region": f"aws:{name}", "zones": ["a", "b", "c"]} for name in regions},
        "clusters": clusters,
        "services": services,
        "load": {
            name: {
                "rate": f"{rate}/s",
                "actions": {"use": {"requests": ["call"]}},
                "enters": dict.fromkeys(replicas[name], 1.0),
            }
            for name in entries
        },
        "ingress": {name: {"autoscale": None} for name in clusters},
        "gateways": {name: {"autoscale": None} for name in clusters},
        "deployments": ["multi-primary"],
        "duration": f"{duration}s",
        "warm_up": "0s",
    }


def _layers(services: int) -> list[list[str]]:
    """Divide services into layers in proportion to the calls that those get, so that every service gets as many."""
    whole = sum(part for part, _ in LAYERS)
    names = [f"s{number}" for number in range(services)]
    layers, first, reached = [], 0, 0
    for part, _ in LAYERS:
        reached += part
        last = round(services * reached / whole)
        layers.append(names[first:last])
        first = last
    return layers


def _shared(names: list[str], pods: int) -> dict[str, int]:
    """Divide pods over services evenly."""
    return {name: pods * (number + 1) // len(names) - pods * number // len(names) for number, name in enumerate(names)}


def _spread(count: int, clusters: list[str], chance: random.Random) -> dict[str, int]:
    """Put the pods of a service into clusters, in turn, in any order."""
    order = chance.sample(clusters, min(count, len(clusters)))
    return {name: len(range(place, count, len(order))) for place, name in enumerate(order)}


def _script(calls: int, callees: list[str], deck: list[str], chance: random.Random) -> list[Any]:
    """Compute, then call: each callee in half of the cases; the first two at once, the others one after the other."""
    steps: list[Any] = []
    for _ in range(2 * calls):
        if not deck:
            deck.extend(chance.sample(callees, len(callees)))
        steps.append({"call": f"{deck.pop()}/call", "probability": 0.5})
    return [{"compute": COMPUTE}, *([steps[:2], *steps[2:]] if steps else [])]
