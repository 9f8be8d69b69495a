"""A second simulator: the same small mesh on a plain heap, written from the description, agrees to the last bit.

Users reach two pods of web through an ingress gateway; each web request computes, calls one of two pods of db, and
answers. Every proxy has one worker thread that a request occupies for a while and a constant latency; links are
constant. Only the draws are meshsim's, asked for by the identity of what they are for.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
import zlib
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest

from meshsim import load
from meshsim.dataplane import draws
from meshsim.engine.simulation import Simulation

RATE, LINK, CPU, LATENCY, END, SEED = 150.0, 0.0005, 0.0004, 0.0003, 60.0, 11
MEAN = {"web": 0.008, "db": 0.01}


def scenario(balancer: str) -> dict:
    proxy = {"concurrency": 1, "cpu": f"{CPU}s", "latency": f"{LATENCY}s"}
    work = {name: {"compute": {"exponential": f"{mean}s"}} for name, mean in MEAN.items()}
    return {
        "name": "oracle",
        "regions": {"r": {"zones": ["z"]}},
        "clusters": {"c": {"region": "r"}},
        "latency": [{"between": ["r/z", "r/z"], "rtt": f"{2 * LINK}s"}],
        "services": {
            "web": {"replicas": 2, "endpoints": {"x": {"script": [work["web"], {"call": "db/x"}]}}},
            "db": {"replicas": 2, "endpoints": {"x": {"script": [work["db"]]}}},
        },
        "load": {"web": {"rate": f"{RATE}/s"}},
        "sidecar": proxy,
        "ingress": {"c": proxy},
        "istio": [
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "DestinationRule",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"host": name, "trafficPolicy": {"loadBalancer": {"simple": balancer}}},
            }
            for name in MEAN
        ],
        "deployments": ["multi-primary"],
        "duration": f"{END}s",
        "warm_up": "5s",
        "seed": SEED,
    }


@dataclass(eq=False)
class Proxy:
    free: float = 0.0
    active: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})

    def leaves(self, now: float) -> float:
        start = max(self.free, now)
        self.free = start + CPU
        return start + LATENCY


@dataclass(eq=False)
class Pod:
    service: str
    proxy: Proxy = field(default_factory=Proxy)
    busy: bool = False
    queue: deque = field(default_factory=deque)
    served: int = 0


@dataclass(eq=False)
class Call:
    service: str
    request: np.uint64
    path: np.uint64
    client: Proxy
    started: float
    then: object = None  # what the caller does with the answer
    host: int = -1


class Oracle:
    def __init__(self, balancer: str) -> None:
        self.keys = draws.round_keys(SEED, 0)
        self.balancer = balancer
        self.pods = {name: [Pod(name), Pod(name)] for name in MEAN}
        self.ingress = Proxy()
        self.number, self.made = (
            int.from_bytes(hashlib.sha256(b"c/ingress/web-0").digest()[:8], "little") >> 32 << 32,
            0,
        )
        self.ended: list[tuple[float, str, float]] = []
        self.calendar: list[tuple] = []
        self.order = itertools.count()
        self.at(-math.log(self.draw(draws.ARRIVAL, self.number, 1)[0]) / RATE, self.arrival)
        while self.calendar and self.calendar[0][0] < END:
            now, _, what, about = heapq.heappop(self.calendar)
            what(now, *about)

    def draw(self, purpose: int, *identity: int) -> tuple[float, ...]:
        words = [np.uint64(word) for word in (*identity, 0, 0, 0)[:4]]
        return draws.uniforms(self.keys, purpose, *words)

    def at(self, time: float, what, *about) -> None:
        heapq.heappush(self.calendar, (time, next(self.order), what, about))

    def arrival(self, now: float) -> None:
        request = self.number | self.made
        self.made += 1
        self.at(now + -math.log(self.draw(draws.ARRIVAL, request)[0]) / RATE, self.arrival)
        name = b"web/x"
        identity = np.uint64(zlib.crc32(name) << 32 | zlib.adler32(name))
        self.call(now, Call("web", request, np.uint64(draws.child(identity, 0, 0)), self.ingress, now))

    def call(self, now: float, call: Call) -> None:
        leaves = call.client.leaves(now)
        _, first, second, _ = self.draw(draws.DECISION, call.request, call.path, 1)
        active = call.client.active
        one, other = int(first * 2), int(second * 2)
        call.host = other if self.balancer == "LEAST_REQUEST" and active[other] < active[one] else one
        active[call.host] += 1
        self.at(leaves + LINK, self.at_server, call)

    def at_server(self, now: float, call: Call) -> None:
        self.at(self.pods[call.service][call.host].proxy.leaves(now), self.at_pod, call)

    def at_pod(self, now: float, call: Call) -> None:
        pod = self.pods[call.service][call.host]
        if pod.busy:
            pod.queue.append(call)
        else:
            pod.busy = True
            self.compute(now, call)

    def compute(self, now: float, call: Call) -> None:
        u = self.draw(draws.DEMAND, call.request, call.path, 1)[0]  # of the first step of the script
        self.at(now + -math.log(u) * MEAN[call.service], self.computed, call)

    def computed(self, now: float, call: Call) -> None:
        pod = self.pods[call.service][call.host]
        if pod.queue:
            self.compute(now, pod.queue.popleft())
        else:
            pod.busy = False
        if call.service == "db":
            self.respond(now, call)
            return
        path = np.uint64(draws.child(call.path, 1, 128))  # the second step, its only repetition, the first try
        self.call(now, Call("db", call.request, path, pod.proxy, now, then=call))

    def respond(self, now: float, call: Call) -> None:
        self.pods[call.service][call.host].served += 1
        self.at(now + LINK, self.answered, call)

    def answered(self, now: float, call: Call) -> None:
        call.client.active[call.host] -= 1
        self.ended.append((now, call.service, now - call.started))
        if call.then is not None:
            self.respond(now, call.then)


@pytest.mark.parametrize("balancer", ["RANDOM", "LEAST_REQUEST"])
def test_the_engine_agrees_with_an_independent_heap_to_the_last_bit(balancer):
    oracle = Oracle(balancer)
    simulation = Simulation(load(scenario(balancer)), "multi-primary")
    tables = simulation.run()
    expected: dict[tuple[float, str], list[float]] = {}
    starts = sorted(set(tables["config"]["start"]))
    for time, service, latency in oracle.ended:
        row = expected.setdefault((max(start for start in starts if start <= time), service), [0, 0.0])
        row[0] += 1
        row[1] += latency
    rows = tables["calls"]
    columns = (rows[column] for column in ("start", "destination", "count", "latency_sum"))
    found = {(start, service): [count, latency] for start, service, count, latency in zip(*columns, strict=True)}
    assert len(oracle.ended) > 15_000
    assert found == expected
    assert simulation.mesh.plane.pods.served.tolist() == [pod.served for pods in oracle.pods.values() for pod in pods]
    totals = dict(zip(tables["totals"]["quantity"], tables["totals"]["value"], strict=True))
    assert totals["requests arrived"] == oracle.made
