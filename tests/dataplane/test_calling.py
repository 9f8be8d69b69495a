"""Which of the client proxy's worker threads takes a call, and timeouts of calls that wait (spec §3.1, §3.4)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from meshsim.dataplane.trace import SENT
from meshsim.scenario.istio.policy import CircuitBreaker, OutlierDetection, Policy, Retry

SIDECAR = {"enabled": True, "cpu": "0s", "latency": "0s", "handshake": "0s", "concurrency": 2}
NEVER = Retry(attempts=0)


@pytest.fixture
def pair(Bench, echo):
    """Return a function that builds web → app with sidecars of two worker threads."""

    def built(protocol, hosts=1, calls=1, app=(), **bench):
        return Bench(
            {
                "web": echo(script=[{"call": "app/GET", "count": calls, "on_error": "ignore"}], workers=1000),
                "app": echo(protocol=protocol, workers=1000, script=list(app)),
            },
            zones={"app": ["eu/a"] * hosts}, sidecar=SIDECAR, retry=NEVER, **bench,
        )  # fmt: skip

    return built


def workers(bench, service):
    """Return how often each worker thread sent a request to a service."""
    found = Counter()
    for line in bench.traced(SENT):
        if int(line.host) in bench.pods[service]:
            found[int(bench.world.connections[line.connection].worker)] += 1
    return found


def test_http1_calls_are_on_any_thread(pair):
    # Recipe 10: an HTTP/1.1 application has many connections to its sidecar, each on a thread drawn at random.
    bench = pair("http", calls=100)
    bench.plane.trace(1)
    bench.send(0.0)
    bench.run(20.0)
    found = workers(bench, "app")
    assert set(found) == {0, 1}
    assert found[0] == pytest.approx(50, abs=20)  # four standard deviations
    assert bench.open_now("app") == 2


@pytest.mark.parametrize("protocol", ["http2", "grpc"])
def test_http2_calls_of_one_client_are_on_one_thread(pair, protocol):
    # An HTTP/2 application has one connection to its sidecar.
    bench = pair(protocol, hosts=3, calls=60)
    bench.send(0.0)
    bench.run(20.0)
    assert bench.open_now("app") == 3


def test_different_http2_clients_are_on_different_threads(Bench, echo):
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET"}], workers=1000), "app": echo(protocol="http2", workers=1000)},
        zones={"web": ["eu/a"] * 12}, sidecar=SIDECAR, retry=NEVER, policies={"web": Policy(load_balancer="RANDOM")},
    )  # fmt: skip
    bench.plane.trace(1)
    bench.paced(50.0)
    bench.run(4.0)
    found = workers(bench, "app")
    assert set(found) == {0, 1}
    assert bench.open_now("app") == 12  # one for each client


def test_users_are_on_any_thread_of_the_ingress_gateway(Bench, echo):
    bench = Bench({"web": echo(protocol="http2")}, gateway={"concurrency": 4})
    bench.paced(50.0)
    bench.run(4.0)
    assert bench.open_now("web") == 4


def test_round_robin_is_kept_by_each_thread(Bench, echo):
    # Recipe 10: RR state is per worker; each thread's own sequence is a strict cycle.
    bench = Bench(
        {"web": echo(workers=1000)}, zones={"web": ["eu/a"] * 3}, gateway={"concurrency": 2},
        policies={"web": Policy(load_balancer="ROUND_ROBIN")},
    )  # fmt: skip
    bench.plane.trace(1)
    bench.paced(30.0)
    bench.run(4.0)
    turns: dict[int, list[int]] = {}
    for line in bench.traced(SENT):
        worker = int(bench.world.connections[line.connection].worker)
        turns.setdefault(worker, []).append(bench.pods["web"].index(int(line.host)))
    assert set(turns) == {0, 1}
    for hosts in turns.values():
        assert all((after - before) % 3 == 1 for before, after in pairwise(hosts))


def test_a_saturated_thread_does_not_keep_the_other_waiting(Bench, echo):
    # Two stations of one server each, not one station of two.
    sidecar = {**SIDECAR, "cpu": "10ms"}
    bench = Bench({"web": echo(protocol="http2")}, sidecar=sidecar, retry=NEVER)
    bench.send(0.0, times=4)
    bench.run(5.0)
    # All four are on the ingress gateway's one connection, and so on one thread of the pod: 0, 10, 20, 30 ms.
    assert bench.latency() == pytest.approx(3 * 0.002 + 0.015)


# --- timeouts ---------------------------------------------------------------------------------------------------------


def test_a_route_timeout_counts_the_time_in_the_queue(Bench, echo):
    # Spec §3.4.
    policy = Policy(
        circuit_breaker=CircuitBreaker(max_connections=1),
        outlier_detection=OutlierDetection(consecutive_5xx=1, max_ejection_percent=100),
    )
    bench = Bench(
        {"web": echo(script=[{"compute": "80ms"}], workers=9)}, policies={"web": policy}, retry=NEVER,
        routes={"web": {"timeout": 0.1, "retry": NEVER}},
    )  # fmt: skip
    bench.send(0.0, times=2)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 1, (504, "UT"): 1}
    assert bench.requests("latency")[504, "UT"] == pytest.approx(0.1)
    assert bench.slot(bench.ingress, "web", bench.pods["web"][0]).ejections == 1  # it had its connection for 16 ms


def test_a_request_that_times_out_before_it_has_a_connection_does_not_count_against_its_host(Bench, echo):
    detection = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100)
    bench = Bench(
        {"web": echo()}, zones={"web": ["us/a"]}, policies={"web": Policy(outlier_detection=detection)},
        routes={"web": {"timeout": 0.05, "retry": NEVER}},
    )  # fmt: skip
    bench.send(0.0)  # its connection takes 80 ms
    bench.run(5.0)
    assert bench.requests() == {(504, "UT"): 1}
    assert bench.slot(bench.ingress, "web", bench.pods["web"][0]).ejections == 0


def test_a_try_is_timed_from_when_it_has_its_connection(Bench, echo):
    retry = Retry(attempts=1, conditions=("5xx",), per_try_timeout=0.05)
    bench = Bench(
        {"web": echo(script=[{"compute": "10ms"}])}, zones={"web": ["us/a"]}, retry=retry,
    )  # fmt: skip
    # 80 ms of handshake, then 80 + 10 ms for the answer: the limit of 50 ms counts from the end of the handshake.
    bench.send(0.0)
    bench.run(0.079)
    assert bench.calls("web") == {}
    bench.run(0.131)
    assert bench.upstream(bench.ingress, "web").retrying == 1
    bench.run(5.0)
    assert bench.calls("web") == {(504, "URX,UT"): 1}
