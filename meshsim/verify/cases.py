"""Scenarios small enough to have a closed form, and what theory says about each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from meshsim.analysis import theory
from meshsim.analysis.retries import retry_amplification, retry_attempts
from meshsim.scenario.fields import Percentiles
from meshsim.verify.parts import (
    DEMAND,
    Reader,
    Spec,
    attempts,
    exponential,
    latency_quantile,
    mean_latency,
    mesh,
    pool,
    rate,
    route,
    rule,
    service,
    share,
    throughput,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One number that theory knows.

    Parameters
    ----------
    what
        What it is, with its unit.
    exact
        What theory says.
    read
        Takes it from the tables "requests", "calls" and "latency" without warm-up; one value per replication.
    """

    what: str
    exact: float
    read: Reader


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario and the claims about it."""

    name: str
    scenario: Spec
    claims: tuple[Claim, ...] = field(repr=False)


# --- closed forms that only these cases need --------------------------------------------------------------------


def round_robin_response(per_second: float, demand: float, pods: int) -> float:
    """Return the mean response time (seconds) of exponential pods that take turns: each is an E_k/M/1 queue.

    Source: L. Kleinrock, Queueing Systems, volume 1, Wiley 1975, §6.4 (G/M/1).

    Examples
    --------
    >>> round(round_robin_response(80.0, 0.01, 1), 6)
    0.05
    """
    offered, waiting = per_second * demand, 0.5
    for _ in range(10_000):
        waiting = (offered / (offered + 1.0 - waiting)) ** pods
    return demand / (1.0 - waiting)


def choices_response(load: float, demand: float, pods: int) -> float:
    """Return the mean response time (seconds) of power of two choices with finitely many pods.

    The mean-field limit and its first correction, which falls with the number of pods. Source: N. Gast, B. Van Houdt,
    A refined mean field approximation, Proceedings of the ACM on Measurement and Analysis of Computing Systems 1(2),
    2017, §5, where 10 pods at 0.9 have 2.7513 requests each.

    Examples
    --------
    >>> round(choices_response(0.9, 1.0, 10) * 0.9, 4), round(choices_response(0.9, 1.0, 10**9), 4)
    (2.7513, 2.6141)
    """
    depth = 20  # one more than that many in a queue happens less often than numbers can say
    share_of = load ** (2.0 ** np.arange(1, depth + 1) - 1.0)  # pods with at least 1, 2, … requests
    below = np.concatenate([[1.0], share_of[:-1]])
    above = np.concatenate([share_of[1:], [0.0]])
    drift = (
        np.diag(-2.0 * load * share_of - 1.0) + np.diag(2.0 * load * share_of[:-1], -1) + np.diag(np.ones(depth - 1), 1)
    )
    noise = load * (below**2 - share_of**2) + share_of - above
    one = np.eye(depth)
    covariance = np.linalg.solve(np.kron(drift, one) + np.kron(one, drift), -np.diag(noise).ravel())
    variance = covariance.reshape(depth, depth).diagonal()
    curvature = load * (np.concatenate([[0.0], variance[:-1]]) - variance)
    correction = -np.linalg.solve(drift, curvature)
    return float((share_of + correction / pods).sum() / load * demand)


# --- the cases --------------------------------------------------------------------------------------------------


def queues() -> list[Case]:
    """Return one pod as a queue: M/M/1, M/M/c, M/D/1, M/G/1."""
    mean, second = theory.lognormal_moments(0.005, Percentiles.model_validate({"p50": "5ms", "p99": "25ms"}).sigma)
    lognormal = {"compute": {"p50": "5ms", "p99": "25ms"}}
    one = mesh({"web": service(exponential(), workers=1)}, rate(70), measured=9000)
    return [
        Case("M/M/1", one, (
            Claim("mean response, s", theory.mm1_response(70.0, DEMAND), mean_latency),
            Claim("p99 of responses, s", theory.mm1_response_quantile(70.0, DEMAND, 0.99), latency_quantile(0.99)),
        )),
        Case("M/M/4", mesh({"web": service(exponential(), workers=4)}, rate(320), measured=1000), (
            Claim("mean response, s", theory.mmc_response(320.0, DEMAND, 4), mean_latency),
        )),
        Case("M/D/1", mesh({"web": service({"compute": "10ms"}, workers=1)}, rate(80), measured=2000), (
            Claim("mean response, s", theory.md1_wait(80.0, DEMAND) + DEMAND, mean_latency),
        )),
        Case("M/G/1 lognormal", mesh({"web": service(lognormal, workers=1)}, rate(110), measured=3000), (
            Claim("mean response, s", theory.mg1_wait(110.0, mean, second) + mean, mean_latency),
        )),
    ]  # fmt: skip


def limited_queues() -> list[Case]:
    """Return one pod whose queue is limited, or its users are, or its workers wait for calls."""
    own, awaited = DEMAND, 0.005
    held = own + awaited
    moment = held**2 + own**2 + awaited**2  # the variance of a sum is the sum of the variances
    users = {"arrivals": "closed", "users": 10, "think_time": {"exponential": "100ms"}}
    keeping = {
        "web": service(exponential(own), {"call": "db/x"}, workers=1, hold_worker=True),
        "db": service(exponential(awaited)),
    }
    return [
        Case("M/M/2/8", mesh({"web": service(exponential(), workers=2, queue=6)}, rate(190), measured=1000), (
            Claim("fraction refused", theory.mmck_blocking(190.0, DEMAND, 2, 8), share(code=503)),
            Claim("mean response of the others, s", theory.mmck_response(190.0, DEMAND, 2, 8), mean_latency),
        )),
        Case("closed loop, 10 users", mesh({"web": service(exponential(), workers=1)}, users, measured=1000), (
            Claim("mean response, s", theory.closed_response(10, 0.1, DEMAND), mean_latency),
            Claim("requests per second", theory.closed_throughput(10, 0.1, DEMAND), throughput),
        )),
        Case("worker kept during calls", mesh(keeping, rate(45), measured=3000), (
            Claim("mean response, s", theory.mg1_wait(45.0, held, moment) + held, mean_latency),
        )),
    ]  # fmt: skip


def networks() -> list[Case]:
    """Return several queues: a chain, balancers over pods, parallel calls, and a gateway's worker threads."""
    chain = {
        "web": service(exponential(0.01), {"call": "app/x"}, workers=1),
        "app": service(exponential(0.008), {"call": "db/x"}, workers=1),
        "db": service(exponential(0.012), workers=1),
    }
    both = {
        "web": service([{"call": "a/x"}, {"call": "b/x"}]),
        "a": service(exponential()),
        "b": service(exponential()),
    }
    busy = {"c": {"cpu": "10ms", "latency": "1ms", "autoscale": None}}
    return [
        Case("tandem of three", mesh(chain, rate(60), measured=2500), (
            Claim("mean response, s", theory.tandem_response(60.0, [0.01, 0.008, 0.012]), mean_latency),
        )),
        _balanced("RANDOM", 8, 0.7, theory.mm1_response(70.0, DEMAND)),
        _balanced("ROUND_ROBIN", 4, 0.8, round_robin_response(320.0, DEMAND, 4), measured=1500.0),
        _balanced("LEAST_REQUEST", 50, 0.9, choices_response(0.9, DEMAND, 50), measured=100.0),
        Case("two calls at once", mesh(both, rate(200), measured=300), (
            Claim("mean of the longer one, s", 1.5 * DEMAND, mean_latency),
        )),
        Case("gateway threads as two M/D/1", mesh({"web": service()}, rate(150), measured=1000, ingress=busy), (
            Claim("mean latency, s", theory.md1_wait(75.0, DEMAND) + 0.001, mean_latency),
        )),
    ]  # fmt: skip


def _balanced(balancer: str, pods: int, load: float, exact: float, measured: float = 500.0) -> Case:
    scenario = mesh(
        {"web": service(exponential(), workers=1, replicas=pods)},
        rate(pods * load / DEMAND),
        measured=measured,
        warm_up=20.0,
        istio=[rule("web", loadBalancer={"simple": balancer})],
    )
    return Case(f"{balancer}, {pods} pods", scenario, (Claim("mean response, s", exact, mean_latency),))


def limits() -> list[Case]:
    """Return circuit breakers and time limits."""
    deadline = 0.01
    late = math.exp(-deadline / DEMAND)
    web = {"web": service(exponential())}
    connections = {"tcp": {"maxConnections": 2}, "http": {"http1MaxPendingRequests": 6}}
    impatient = {
        "web": service({"call": "db/x", "timeout": f"{deadline}s", "on_error": "ignore"}),
        "db": service(exponential()),
    }
    tries = {"attempts": 2, "perTryTimeout": f"{deadline}s", "retryOn": "5xx"}
    erlang = mesh(web, rate(500), measured=300, istio=[pool("web", http2MaxRequests=5)])
    pending = mesh(web, rate(190), measured=1000, istio=[rule("web", connectionPool=connections)])
    tried = mesh(web, rate(200), measured=300, istio=[route("web", retries=tries)])
    return [
        Case("http2MaxRequests as Erlang loss", erlang, (
            Claim("fraction overflowed", theory.erlang_b(5, 5.0), share(response_flag="UO")),
        )),
        Case("maxConnections as M/M/2/8", pending, (
            Claim("fraction overflowed", theory.mmck_blocking(190.0, DEMAND, 2, 8), share(response_flag="UO")),
            Claim("mean response of the others, s", theory.mmck_response(190.0, DEMAND, 2, 8), mean_latency),
        )),
        Case("application deadline", mesh(impatient, rate(200), measured=300), (
            Claim("fraction given up", late, share("calls", destination="db", response_flag="DC")),
            Claim("mean latency, s", DEMAND * (1.0 - late), mean_latency),
        )),
        Case("perTryTimeout and two retries", tried, (
            Claim("attempts per request", retry_attempts(late, 2), attempts("web")),
            Claim("fraction timed out", late**3, share(response_flag="URX,UT")),
        )),
    ]  # fmt: skip


def amplification(failure: float, retries: int) -> Case:
    """Return a chain of three calls, each retried, at whose end a fraction of attempts fails."""
    names = ["web", "app", "db"]
    services = {name: service({"call": f"{callee}/x"}) for name, callee in pairwise(names)}
    failing = {"event": "service_failing", "start": "0s", "duration": "210s", "fraction": failure}
    scenario = mesh(
        services | {"db": service({"compute": "1ms"})},
        rate(500),
        measured=200,
        warm_up=10.0,
        istio=[route(name, retries={"attempts": retries, "retryOn": "5xx"}) for name in names],
        timeline=[{**failing, "target": {"service": "db"}}],
    )
    exact = retry_amplification(failure, retries, len(names))
    lost = failure ** ((retries + 1) ** len(names))
    claims = (
        Claim("attempts at its end per request", exact, attempts("db")),
        Claim("fraction failed", lost, share(code=500)),
    )
    return Case(f"retries up a chain of {len(names)}", scenario, claims)


def cases() -> Sequence[Case]:
    """Return every case, in the order they are shown."""
    return [*queues(), *limited_queues(), *networks(), *limits(), amplification(failure=0.7, retries=1)]
