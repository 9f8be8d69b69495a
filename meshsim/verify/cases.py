"""Scenarios small enough to have a closed form, and what theory says about each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from meshsim.analysis import theory
from meshsim.scenario.fields import Percentiles

if TYPE_CHECKING:
    import pandas as pd

Tables = Mapping[str, "pd.DataFrame"]
Reader = Callable[[Tables], "pd.Series[float]"]
Spec = dict[str, Any]

#: A proxy that costs nothing.
FREE: Spec = {"cpu": "0s", "latency": "0s"}
#: Mean service time of most cases, seconds.
DEMAND = 0.01


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


# --- scenarios --------------------------------------------------------------------------------------------------


def mesh(services: Mapping[str, Spec], load: Spec, *, measured: float, warm_up: float = 50.0, **more: Any) -> Spec:
    """Return a scenario in one zone where links and proxies take no time.

    Parameters
    ----------
    services
        By name; the first is the one that users call.
    load
        Of the first service.
    measured, warm_up
        Seconds.
    more
        Other fields of the scenario.
    """
    return {
        "name": "verify",
        "regions": {"r": {"zones": ["z"]}},
        "clusters": {"c": {"region": "r"}},
        "latency": [{"between": ["r/z", "r/z"], "rtt": "0s"}],
        "services": dict(services),
        "load": {next(iter(services)): load},
        "sidecar": {"enabled": False},
        "ingress": {"c": FREE},
        "deployments": ["multi-primary"],
        "duration": f"{warm_up + measured}s",
        "warm_up": f"{warm_up}s",
        **more,
    }


def service(*script: Any, **fields: Any) -> Spec:
    """Return a service with one endpoint, ``x``, and no limit on what a pod computes at once by default."""
    return {"workers": 10_000, "endpoints": {"x": {"script": list(script)}}, **fields}


def exponential(mean: float = DEMAND) -> Spec:
    """Return a computation of exponential length (seconds)."""
    return {"compute": {"exponential": f"{mean}s"}}


def rate(per_second: float) -> Spec:
    """Return Poisson load."""
    return {"rate": f"{per_second}/s"}


def rule(host: str, **policy: Any) -> Spec:
    """Return a DestinationRule with this traffic policy."""
    spec = {"host": host, "trafficPolicy": policy}
    return _resource("DestinationRule", host, spec)


def route(host: str, **http: Any) -> Spec:
    """Return a VirtualService whose only route has these fields."""
    spec = {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}], **http}]}
    return _resource("VirtualService", host, spec)


def _resource(kind: str, name: str, spec: Spec) -> Spec:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def pool(host: str, **http: Any) -> Spec:
    """Return a DestinationRule with these HTTP connection pool limits."""
    return rule(host, connectionPool={"http": http})


# --- what is read from the tables -------------------------------------------------------------------------------


def mean_latency(tables: Tables) -> pd.Series[float]:
    """Return the mean latency (seconds) of users' requests that were answered with 200."""
    rows = tables["requests"]
    sums = rows[rows["code"] == 200].groupby("replication")[["latency_sum", "count"]].sum()
    return sums["latency_sum"] / sums["count"]


def latency_quantile(q: float) -> Reader:
    """Return a reader of a quantile (seconds) of users' latencies."""
    from meshsim.results.histogram import quantile

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables["latency"]
        groups = rows[rows["kind"] == "request"].groupby("replication")[["bin", "count"]]
        return groups.apply(lambda group: quantile(group["bin"], group["count"], q))

    return read


def throughput(tables: Tables) -> pd.Series[float]:
    """Return users' requests that ended per second."""
    rows = tables["requests"]
    return rows.groupby("replication")["count"].sum() / (rows["end"].max() - rows["start"].min())


def share(table: str = "requests", **wanted: Any) -> Reader:
    """Return a reader of the fraction of a table's count that has these values, of those to the same destination."""

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables[table]
        if "destination" in wanted:
            rows = rows[rows["destination"] == wanted["destination"]]
        hit = rows
        for column, value in wanted.items():
            hit = hit[hit[column] == value]
        hits, total = (part.groupby("replication")["count"].sum() for part in (hit, rows))
        return hits.reindex(total.index, fill_value=0) / total

    return read


def attempts(destination: str) -> Reader:
    """Return a reader of the attempts at a service per request of a user."""

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables["calls"]
        made = rows[rows["destination"] == destination].groupby("replication")["attempts"].sum()
        return made / rows[rows["source"] == "ingress"].groupby("replication")["count"].sum()

    return read


def call_latency(destination: str) -> Reader:
    """Return a reader of the mean latency (seconds) of calls to a service."""

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables["calls"]
        sums = rows[rows["destination"] == destination].groupby("replication")[["latency_sum", "count"]].sum()
        return sums["latency_sum"] / sums["count"]

    return read


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


def mdc_wait(per_second: float, demand: float, servers: int) -> float:
    """Return the mean wait (seconds) of an M/D/c queue.

    Source: C. D. Crommelin, Delay probability formulae when the holding times are constant, Post Office Electrical
    Engineers' Journal 25, 1932.

    Examples
    --------
    >>> round(mdc_wait(80.0, 0.01, 1), 9), round(mdc_wait(150.0, 0.01, 2), 6)
    (0.02, 0.006666)
    """
    from scipy.special import gammainc, gammaln

    load = per_second * demand
    turns = np.arange(1, 2000)
    mean, room = turns * load, turns * servers
    beyond = gammainc(room, mean)  # probability that so many or more arrive in so many service times
    exactly = np.exp(room * np.log(mean) - mean - gammaln(room + 1))
    return float((beyond - servers / load * (beyond - exactly)).sum() * demand)


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
    depth = 40
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
    """Return one pod as a queue: M/M/1, M/M/c, M/D/1, M/G/1, M/M/c/K, closed, and a worker kept during calls."""
    spread = Percentiles(p50="5ms", p99="25ms")
    mean, second = theory.lognormal_moments(spread.p50, spread.sigma)
    single = [
        Claim("mean response, s", theory.mm1_response(70.0, DEMAND), mean_latency),
        Claim("p99 of responses, s", theory.mm1_response_quantile(70.0, DEMAND, 0.99), latency_quantile(0.99)),
    ]
    held = DEMAND, 0.005  # own and awaited work: the variance of a sum is the sum of the variances
    moment = sum(held) ** 2 + sum(part**2 for part in held)
    return [
        Case("M/M/1", mesh({"web": service(exponential(), workers=1)}, rate(70), measured=4000), tuple(single)),
        Case(
            "M/M/4",
            mesh({"web": service(exponential(), workers=4)}, rate(320), measured=1000),
            (Claim("mean response, s", theory.mmc_response(320.0, DEMAND, 4), mean_latency),),
        ),
        Case(
            "M/D/1",
            mesh({"web": service({"compute": "10ms"}, workers=1)}, rate(80), measured=2000),
            (Claim("mean response, s", theory.md1_wait(80.0, DEMAND) + DEMAND, mean_latency),),
        ),
        Case(
            "M/G/1 lognormal",
            mesh({"web": service({"compute": {"p50": "5ms", "p99": "25ms"}}, workers=1)}, rate(110), measured=3000),
            (Claim("mean response, s", theory.mg1_wait(110.0, mean, second) + mean, mean_latency),),
        ),
        Case(
            "M/M/2/8",
            mesh({"web": service(exponential(), workers=2, queue=6)}, rate(190), measured=1000),
            (
                Claim("fraction refused", theory.mmck_blocking(190.0, DEMAND, 2, 8), share(code=503)),
                Claim("mean response of the others, s", theory.mmck_response(190.0, DEMAND, 2, 8), mean_latency),
            ),
        ),
        Case(
            "closed loop, 10 users",
            mesh(
                {"web": service(exponential(), workers=1)},
                {"arrivals": "closed", "users": 10, "think_time": {"exponential": "100ms"}},
                measured=1000,
            ),
            (
                Claim("mean response, s", theory.closed_response(10, 0.1, DEMAND), mean_latency),
                Claim("requests per second", theory.closed_throughput(10, 0.1, DEMAND), throughput),
            ),
        ),
        Case(
            "worker kept during calls",
            mesh(
                {
                    "web": service(exponential(held[0]), {"call": "db/x"}, workers=1, hold_worker=True),
                    "db": service(exponential(held[1])),
                },
                rate(45),
                measured=3000,
            ),
            (Claim("mean response, s", theory.mg1_wait(45.0, sum(held), moment) + sum(held), mean_latency),),
        ),
    ]


def networks() -> list[Case]:
    """Return several queues: a chain, balancers over pods, parallel calls, and a gateway's worker."""
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
    return [
        Case(
            "tandem of three",
            mesh(chain, rate(60), measured=2500),
            (Claim("mean response, s", theory.tandem_response(60.0, [0.01, 0.008, 0.012]), mean_latency),),
        ),
        _balanced("RANDOM", 8, 0.7, theory.mm1_response(70.0, DEMAND)),
        _balanced("ROUND_ROBIN", 4, 0.8, round_robin_response(320.0, DEMAND, 4)),
        _balanced("LEAST_REQUEST", 50, 0.9, choices_response(0.9, DEMAND, 50), measured=100.0),
        Case(
            "two calls at once",
            mesh(both, rate(200), measured=300),
            (Claim("mean of the longer one, s", 1.5 * DEMAND, mean_latency),),
        ),
        Case(
            "gateway CPU as M/D/2",
            mesh({"web": service()}, rate(150), measured=1000, ingress={"c": {"cpu": "10ms", "latency": "1ms"}}),
            (Claim("mean latency, s", mdc_wait(150.0, DEMAND, 2) + 0.001, mean_latency),),
        ),
    ]


def _balanced(balancer: str, pods: int, load: float, exact: float, measured: float = 500.0) -> Case:
    scenario = mesh(
        {"web": service(exponential(), workers=1, replicas=pods)},
        rate(pods * load / DEMAND),
        measured=measured,
        warm_up=20.0,
        istio=[rule("web", loadBalancer={"simple": balancer})],
    )
    return Case(f"{balancer}, {pods} pods", scenario, (Claim("mean response, s", exact, mean_latency),))


def failures() -> list[Case]:
    """Return what fails: circuit breakers, retries up a chain, deadlines."""
    deadline = 0.01
    late = math.exp(-deadline / DEMAND)
    return [
        Case(
            "http2MaxRequests as Erlang loss",
            mesh({"web": service(exponential())}, rate(500), measured=300, istio=[pool("web", http2MaxRequests=5)]),
            (Claim("fraction overflowed", theory.erlang_b(5, 5.0), share(response_flag="UO")),),
        ),
        Case(
            "maxConnections as M/M/2/8",
            mesh(
                {"web": service(exponential())}, rate(190), measured=1000,
                istio=[rule("web", connectionPool={"tcp": {"maxConnections": 2}, "http": {"http1MaxPendingRequests": 6}})],
            ),
            (
                Claim("fraction overflowed", theory.mmck_blocking(190.0, DEMAND, 2, 8), share(response_flag="UO")),
                Claim("mean response of the others, s", theory.mmck_response(190.0, DEMAND, 2, 8), mean_latency),
            ),
        ),
        _amplification(failure=0.7, retries=1),
        Case(
            "application deadline",
            mesh(
                {"web": service({"call": "db/x", "timeout": f"{deadline}s", "on_error": "ignore"}), "db": service(exponential())},
                rate(200), measured=300,
            ),
            (
                Claim("fraction given up", late, share("calls", destination="db", response_flag="DC")),
                Claim("mean latency, s", DEMAND * (1.0 - late), mean_latency),
            ),
        ),
        Case(
            "perTryTimeout and two retries",
            mesh(
                {"web": service(exponential())}, rate(200), measured=300,
                istio=[route("web", retries={"attempts": 2, "perTryTimeout": f"{deadline}s", "retryOn": "5xx"})],
            ),
            (
                Claim("attempts per request", theory.retry_attempts(late, 2), attempts("web")),
                Claim("fraction timed out", late**3, share(response_flag="UT,URX")),
            ),
        ),
    ]  # fmt: skip


def _amplification(failure: float, retries: int) -> Case:
    """Return a chain of three calls, each retried, at whose end a fraction of attempts fails."""
    names = ["web", "app", "db"]
    services = {name: service({"call": f"{callee}/x"}) for name, callee in zip(names, names[1:], strict=False)}
    scenario = mesh(
        services | {"db": service({"compute": "1ms"})},
        rate(500),
        measured=200,
        warm_up=10.0,
        istio=[route(name, retries={"attempts": retries, "retryOn": "5xx"}) for name in names],
        timeline=[
            {
                "event": "service_failing",
                "start": "0s",
                "duration": "210s",
                "fraction": failure,
                "target": {"service": "db"},
            }
        ],
    )
    exact = theory.retry_amplification(failure, retries, len(names))
    lost = failure ** ((retries + 1) ** len(names))
    return Case(
        f"retries up a chain of {len(names)}",
        scenario,
        (
            Claim("attempts at its end per request", exact, attempts("db")),
            Claim("fraction failed", lost, share(code=500)),
        ),
    )


def cases() -> Sequence[Case]:
    """Return every case, in the order they are shown."""
    return [*queues(), *networks(), *failures()]
