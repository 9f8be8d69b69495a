"""Counts stay what they count whatever happens to pods, links, gateways and endpoint lists in the meantime."""

from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.scenario.istio.policy import (
    CircuitBreaker,
    ConnectionPool,
    OutlierDetection,
    Policy,
    Retry,
    RetryBudget,
)
from meshsim.scenario.istio.routes import Destination, Fault, Mirror
from tests.dataplane.invariants import check

pytestmark = pytest.mark.slow

ZONES = ["eu/a", "eu/a", "eu/b", "us/a", "us/a"]
RETRY = Retry(attempts=2, conditions=("5xx", "reset"), per_try_timeout=0.3)


def policy(draw):
    """Return a policy of limits that are reached now and then."""
    return Policy(
        load_balancer=draw.choice(["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"]), tls=bool(draw.integers(2)),
        connect_timeout=0.5, retry_budget=RetryBudget(50.0, 2) if draw.integers(2) else None,
        circuit_breaker=CircuitBreaker(*draw.integers(2, 20, 4).tolist()),
        connection_pool=ConnectionPool(
            max_requests_per_connection=int(draw.integers(4)), max_concurrent_streams=int(draw.integers(1, 5)),
            idle_timeout=2.0, max_connection_duration=5.0 if draw.integers(2) else None,
        ),
        outlier_detection=OutlierDetection(
            consecutive_5xx=3, interval=1.0, base_ejection_time=1.0, max_ejection_percent=60,
            split_external_local_origin_errors=bool(draw.integers(2)),
        ),
    )  # fmt: skip


def built(Bench, echo, draw):
    """Return a bench of web → app (over gateways for the pods of us/a) → db with everything that can go wrong."""
    calls = [{"call": "app/GET", "timeout": "800ms", "on_error": "ignore"}, {"compute": {"exponential": "5ms"}}]
    services = {
        "web": echo(script=[[*calls, {"call": "app/GET", "wait": False}]], workers=50),
        "app": echo(
            script=[{"call": "db/GET", "retries": 1}, {"compute": {"exponential": "10ms"}}], workers=3, queue=5,
            protocol=str(draw.choice(["http", "http2", "grpc"])),
        ),
        "db": echo(script=[{"compute": {"exponential": "20ms"}}], workers=20),
    }  # fmt: skip
    routes = {
        "app": {
            "retry": RETRY, "timeout": 1.0, "mirrors": (Mirror(Destination("db"), 30.0),),
            "fault": Fault(delay=0.05, delay_percent=10.0, abort_code=503, abort_percent=5.0),
        },
        "db": {"retry": RETRY},
    }  # fmt: skip
    bench = Bench(
        services, policies={name: policy(draw) for name in services}, routes=routes, seed=int(draw.integers(1000)),
        zones={"web": ZONES[:3], "app": ZONES, "db": ZONES}, gateway={"concurrency": 2},
        sidecar={"enabled": bool(draw.integers(2)), "concurrency": 2},
    )  # fmt: skip
    bench.gateways, bench.clients = [], [bench.proxy_of(pod) for pod in bench.pods["web"]]
    for client in bench.clients:
        address, proxies = bench.behind_gateway(client, "app", zone="us/a", replicas=2)
        bench.gateways.append((address, proxies))
        for proxy in proxies:
            bench.push(proxy, "app", hosts=bench.pods["app"][3:])
        bench.push(client, "app", hosts=[*bench.pods["app"][:3], -address - 2])
    return bench


def disturb(bench, draw, now):
    """Let something happen."""
    pods = [pod for service in ("app", "db", "web") for pod in bench.pods[service]]
    pod = int(draw.choice(pods))
    address, proxies = bench.gateways[draw.integers(len(bench.gateways))]
    match draw.integers(9):
        case 0 | 1:
            bench.plane.kill(pod, now, silent=bool(draw.integers(2)), for_good=False)
        case 2 | 3:
            for one in pods:
                bench.plane.serve(one)
            bench.plane.end_silence(now)
        case 4:
            a, b = draw.choice(3, 2, replace=False)
            bench.links[a, b].cut = bench.links[b, a].cut = 1
        case 5:
            bench.links["cut"] = 0
            bench.plane.end_silence(now)
        case 6:
            alive = bool(draw.integers(2))
            bench.plane.set_gateway(int(draw.choice(proxies)), now, alive=alive, silent=bool(draw.integers(2)))
        case 7:
            hosts = draw.permutation([*bench.pods["app"][:3], -address - 2])[: draw.integers(5)]
            bench.push(int(draw.choice(bench.clients)), "app", hosts=hosts.tolist(), now=now)
        case _:
            bench.world.pods[pod].fail_fraction, bench.world.pods[pod].fail_code = draw.random(), 503
            bench.world.pods[pod].reset_fraction = 0.3 * draw.random()


@pytest.mark.parametrize("seed", range(8))
def test_counts_stay_what_they_count(Bench, echo, seed):
    draw = np.random.default_rng(seed)
    bench = built(Bench, echo, draw)
    bench.paced(60.0)
    for step in range(1, 60):
        bench.run(0.15 * step)
        check(bench.world)
        disturb(bench, draw, 0.15 * step)
        check(bench.world)
    # All is well again: whatever is still under way ends (the fixture waits for it).
    bench.links["cut"] = 0
    for pod in range(len(bench.plane.pods)):
        bench.plane.serve(pod)
    for _, proxies in bench.gateways:
        for proxy in proxies:
            bench.plane.set_gateway(proxy, 9.0, alive=True)
    bench.plane.end_silence(9.0)
    assert bench.world.clock[0].ended > 0
    assert sum(pod.state == state.SERVING for pod in bench.plane.pods) == len(bench.plane.pods)
