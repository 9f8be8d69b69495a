"""Load balancers as users write them: plain functions that know nothing of meshsim's inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from meshsim.scenario import own_balancers


def least_request(active, u1, u2):
    """The less busy of two random hosts, a tie to the first, as Istio's LEAST_REQUEST."""
    first, second = int(u1 * len(active)), int(u2 * len(active))
    return second if active[second] < active[first] else first


def round_robin(active, memory):
    """The next in turn, as Istio's ROUND_ROBIN."""
    place = memory[0] % len(active)
    memory[0] += 1
    return place


def random(active, u1):
    """Any, as Istio's RANDOM."""
    return int(u1 * len(active))


def least_of_all(active, u1):
    """The least busy of all; where the search begins is random, so that ties are shared out."""
    best = start = int(u1 * len(active))
    for step in range(1, len(active)):
        other = (start + step) % len(active)
        if active[other] < active[best]:
            best = other
    return best


def weighted(weights, u1):
    """Any, by weight."""
    left = u1 * weights.sum()
    for place in range(len(weights) - 1):
        left -= weights[place]
        if left < 0.0:
            return place
    return len(weights) - 1


#: By the names that the tests give them.
OWN: dict[str, Callable[..., Any]] = {
    "OUR_LEAST_REQUEST": least_request, "OUR_ROUND_ROBIN": round_robin, "OUR_RANDOM": random,
    "LEAST_OF_ALL": least_of_all, "OUR_WEIGHTED": weighted,
}  # fmt: skip


@contextmanager
def registered(**more: Callable[..., Any]) -> Iterator[None]:
    """Let scenarios name these balancers, and no longer than the body lasts."""
    named = {**OWN, **more}
    for name, function in named.items():
        own_balancers.load_balancer(name)(function)
    try:
        yield
    finally:
        for name in named:
            own_balancers.forget(name)
