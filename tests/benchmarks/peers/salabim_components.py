"""salabim: a component for each request, a resource for each pod; in yield mode, without animation or monitors."""

from __future__ import annotations

import salabim
from workloads import Answer, Job

NAME, PACKAGE = "salabim", "salabim"
WORKLOADS = ("W1", "W2", "W3")


class Request(salabim.Component):
    """Visits a pod of each tier and returns."""

    def setup(self, model):
        self.model = model

    def process(self):
        workload, began = self.model.workload, self.env.now()
        for tier, pods in enumerate(self.model.tiers):
            if workload.remote or tier:
                yield self.hold(workload.link)
            pod = self.env.random.choice(pods)
            yield self.request(pod)
            yield self.hold(self.model.demand())
            self.release()
        for _ in range(workload.passes // 2):
            yield self.hold(workload.link)
        self.model.ended += 1
        self.model.total += self.env.now() - began


class Source(salabim.Component):
    """Sends them."""

    def setup(self, model):
        self.model = model

    def process(self):
        for _ in range(self.model.requests):
            yield self.hold(self.model.gap())
            Request(model=self.model)


class Model:
    """What requests share."""

    def __init__(self, workload, requests, seed):
        salabim.yieldless(False)
        self.env = salabim.Environment(trace=False, random_seed=seed)
        self.workload, self.requests, self.ended, self.total = workload, requests, 0, 0.0
        self.demand, self.gap = salabim.Exponential(workload.demand), salabim.Exponential(1 / workload.rate)
        self.tiers = [[self.pod() for _ in range(workload.pods)] for _ in range(workload.tiers)]
        Source(model=self)

    def pod(self):
        pod = salabim.Resource(capacity=1)
        for monitor in pod.all_monitors():
            monitor.monitor(False)
        return pod

    def read(self):
        return Answer(self.ended, self.total / self.ended, self.workload.tiers * self.ended)


def prepare(workload, requests, seed):
    model = Model(workload, requests, seed)
    return Job(model.env.run, model.read)
