"""cimba: models that it compiles; a process and a store for each pod and each link.

A request is the time at which it began, as in cimba's own benchmark; a model spawned for each takes far longer.
"""

import cimba as cb
from cimba import random
from workloads import Answer, Job

NAME, PACKAGE = "cimba", "cimba"
WORKLOADS = ("W1", "W2", "W3")


class Pod(cb.Model):
    """A worker with a queue."""

    network: cb.Ref["Network"]
    tier: int
    queue: cb.Store[float]

    def __init__(self, network, tier):
        self.network, self.tier = network, tier

    @cb.process
    def serve(self):
        while True:
            began = self.queue.get()
            cb.hold(random.exponential(self.network.demand))
            self.network.leave(began, self.tier)


class Link(cb.Model):
    """Takes requests to a tier, or answers back to it; -1 is the client."""

    network: cb.Ref["Network"]
    tier: int
    answers: bool
    queue: cb.Store[float]
    came: cb.Store[float]

    def __init__(self, network, tier, answers):
        self.network, self.tier, self.answers = network, tier, answers

    @cb.process
    def carry(self):
        while True:
            began = self.queue.get()
            came = self.came.get()
            cb.hold(came + self.network.link - cb.now())
            if self.answers:
                self.network.answer(began, self.tier)
            else:
                self.network.enter(began, self.tier)


class Network(cb.Model):
    """Pods tier after tier, the links to tiers and back from them, their load, and the sum of latencies."""

    gap: cb.Param[float]
    demand: cb.Param[float]
    link: cb.Param[float]
    requests: cb.Param[int]
    remote: cb.Param[bool]
    width: cb.Param[int]
    depth: cb.Param[int]
    pods: list[Pod]
    there: list[Link]
    back: list[Link]
    ended: int = 0
    total: float = 0.0
    count: cb.Output[int]
    latency: cb.Output[float]

    def __init__(self, workload, requests):
        self.gap, self.demand, self.link = 1 / workload.rate, workload.demand, workload.link
        self.requests, self.remote = requests, workload.remote
        self.width, self.depth = workload.pods, workload.tiers
        self.pods, self.there, self.back = [], [], []
        for tier in range(workload.tiers):
            self.pods += [Pod(self, tier) for _ in range(workload.pods)]
            self.there.append(Link(self, tier, answers=False))
            self.back.append(Link(self, tier - 1, answers=True))

    @cb.process
    def arrivals(self):
        for _ in range(self.requests):
            cb.hold(random.exponential(self.gap))
            if self.remote:
                self.cross(self.there[0], cb.now())
            else:
                self.enter(cb.now(), 0)

    @cb.function
    def cross(self, link: Link, began: float) -> None:
        link.queue.put(began)
        link.came.put(cb.now())

    @cb.function
    def enter(self, began: float, tier: int) -> None:
        chosen = int(random.uniform(0.0, 1.0) * self.width)
        self.pods[tier * self.width + chosen].queue.put(began)

    @cb.function
    def leave(self, began: float, tier: int) -> None:
        if tier + 1 < self.depth:
            self.cross(self.there[tier + 1], began)
        else:
            self.answer(began, tier)

    @cb.function
    def answer(self, began: float, tier: int) -> None:
        if tier > 0 or (tier == 0 and self.remote):
            self.cross(self.back[tier], began)
        else:
            self.ended += 1
            self.total += cb.now() - began

    @cb.on_end
    def measure(self):
        self.count = self.ended
        self.latency = self.total / self.ended


def prepare(workload, requests, seed):
    model, results = Network(workload, requests), []
    experiment = cb.Experiment(model, window=cb.Window.until_idle(), seed=seed)

    def read():
        found = results[0][model]
        ended = int(found.count.values.item())
        return Answer(ended, float(found.latency.values.item()), workload.tiers * ended)

    return Job(lambda: results.append(experiment.run(workers=1)), read)
