"""What is simulated: three queueing networks whose mean latency theory gives exactly, for every simulator alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Workload:
    """Tiers of pods, each a worker with a queue, which a request visits one after the other and returns through.

    A pod of each tier is chosen at random, unless proxies take time. Arrivals are Poisson, demands exponential; times
    in seconds.
    """

    name: str
    what: str
    tiers: int
    pods: int
    utilisation: float
    #: Whether the client is a link away from the first tier, as each tier is from the next.
    remote: bool
    #: Time that each proxy needs for a request, in one of its two worker threads. If any, clients choose the better of
    #: two random pods by their own active requests, and theory has no figure for the latency.
    proxy: float = 0.0
    demand: float = 0.010
    link: float = 0.001

    @property
    def rate(self) -> float:
        """Return the requests per second."""
        return self.utilisation * self.pods / self.demand

    @property
    def passes(self) -> int:
        """Return how many times a request, and then its answer, crosses a link."""
        return 2 * (self.tiers - 1 + self.remote)

    @property
    def latency(self) -> float | None:
        """Return the mean latency: an M/M/1 queue in each tier (Jackson), and the links; None if unknown."""
        if self.proxy:
            return None
        return self.tiers * self.demand / (1 - self.utilisation) + self.passes * self.link

    def noise(self, requests: int) -> float:
        """Return about the standard deviation of a mean latency that was measured over so many requests.

        From the asymptotic variance of the mean wait in an M/M/1 queue (Daley 1968), as if tiers were independent.
        """
        load = self.utilisation
        wait = load * (2 + 5 * load - 4 * load**2 + load**3) / (1 - load) ** 4
        return self.demand * math.sqrt(self.tiers * (wait + 1) / requests)


WORKLOADS = {
    one.name: one
    for one in (
        Workload("W1", "one pod, 80 % busy (M/M/1)", 1, 1, 0.8, remote=False),
        Workload("W2", "client, 1 ms, 8 pods 70 % busy", 1, 8, 0.7, remote=True),
        Workload("W3", "three tiers of 8 pods, 1 ms apart", 3, 8, 0.7, remote=False),
        Workload("W2p", "W2 through proxies that take 0.2 ms and choose", 1, 8, 0.7, remote=True, proxy=0.0002),
        Workload("W3p", "client, 1 ms, and W3, through such proxies", 3, 8, 0.7, remote=True, proxy=0.0002),
    )
}
#: Online Boutique in three clusters, as the bundled scenario has it.
MESH = "mesh"
ALL = (*WORKLOADS, MESH)


class Answer(NamedTuple):
    """What a run found: requests that ended, their mean latency in seconds, and calls (the first included)."""

    ended: int
    latency: float
    calls: int


class Job(NamedTuple):
    """A model that is ready to run, once: only ``run`` is timed, then ``read`` tells what came out."""

    run: Callable[[], object]
    read: Callable[[], Answer]
