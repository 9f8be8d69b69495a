from __future__ import annotations

import pytest

from meshsim.scenario.istio.policy import CircuitBreaker, Policy, Retry


@pytest.fixture
def burst(Bench, echo):
    """Return a function that sends six calls at once from one pod to ``hosts`` hosts under limits."""

    def sent(hosts=1, protocol="http", retry=None, **limits):
        policy = Policy(circuit_breaker=CircuitBreaker(**limits), load_balancer="ROUND_ROBIN")
        fork = [{"call": "app/GET", "on_error": "ignore"}] * 6
        bench = Bench(
            {"web": echo(script=[fork]), "app": echo(script=[{"compute": "100ms"}], workers=100, protocol=protocol)},
            policies={"app": policy}, retry=retry or Retry(attempts=0), zones={"app": ["eu/a"] * hosts},
        )  # fmt: skip
        bench.send(0.0)
        bench.run(10.0)
        return bench

    return sent


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc"])
def test_one_request_at_a_time_lets_one_of_six_through(burst, protocol):
    bench = burst(max_requests=1, protocol=protocol)
    assert bench.calls("app", "web") == {(200, ""): 1, (503, "UO"): 5}


def test_an_overflow_is_never_tried_again(burst):
    bench = burst(max_requests=1, retry=Retry(conditions=("5xx", "gateway-error", "reset")))
    assert bench.calls("app", "web") == {(200, ""): 1, (503, "UO"): 5}
    assert bench.calls("app", "web", "attempts") == {(200, ""): 1, (503, "UO"): 5}


def test_one_connection_and_one_pending_request_serve_two_of_six(burst):
    bench = burst(max_connections=1, max_pending_requests=1)
    assert bench.calls("app", "web") == {(200, ""): 2, (503, "UO"): 4}
    # A handshake of 2 ms, then 2 ms of link and 100 ms each: the second waits for the first one's connection.
    assert bench.calls("app", "web", "latency")[200, ""] == pytest.approx(2 * 0.002 + 0.102 + 0.204)


def test_a_connection_limit_still_allows_one_connection_to_each_host(burst):
    bench = burst(hosts=3, max_connections=1)
    assert bench.calls("app", "web") == {(200, ""): 6}
    assert bench.served("app") == [2, 2, 2]
    # Three at once, then the other three: 102 ms and 204 ms after the handshakes of 2 ms.
    assert bench.calls("app", "web", "latency")[200, ""] == pytest.approx(6 * 0.002 + 3 * 0.102 + 3 * 0.204)


def test_http2_requests_share_a_connection(burst):
    bench = burst(max_connections=1, protocol="http2")
    assert bench.calls("app", "web", "latency")[200, ""] == pytest.approx(6 * (0.002 + 0.102))


def test_all_counts_are_back_at_zero_afterwards(burst):
    bench = burst(max_connections=1, max_pending_requests=2)
    up = bench.upstream(bench.proxy_of(bench.pods["web"][0]), "app")
    assert (up.active, up.pending, up.retrying) == (0, 0, 0)


def test_a_call_that_is_given_up_leaves_the_queue(Bench, echo):
    policy = Policy(circuit_breaker=CircuitBreaker(max_connections=1))
    fork = [[{"call": "app/GET", "timeout": "50ms", "on_error": "ignore"}] for _ in range(3)]
    bench = Bench(
        {"web": echo(script=[fork]), "app": echo(script=[{"compute": "1s"}], workers=9)}, policies={"app": policy},
        retry=Retry(attempts=0),
    )  # fmt: skip
    bench.send(0.0)
    bench.run(0.040)
    up = bench.upstream(bench.proxy_of(bench.pods["web"][0]), "app")
    assert (up.active, up.pending) == (1, 2)
    bench.run(5.0)
    assert (up.active, up.pending) == (0, 0)
    assert bench.calls("app", "web") == {(0, "DC"): 3}


def test_more_retries_at_once_than_allowed_overflow(Bench, echo, fail):
    policy = Policy(circuit_breaker=CircuitBreaker(max_retries=1))
    retry = Retry(attempts=1, conditions=("5xx",))
    fork = [{"call": "app/GET", "on_error": "ignore"}] * 6
    bench = Bench({"web": echo(script=[fork]), "app": echo(workers=9)}, policies={"app": policy}, retry=retry)
    fail(bench, *bench.pods["app"])
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(503, "URX"): 1, (503, "UO"): 5}
    assert bench.calls("app", "web", "attempts") == {(503, "URX"): 2, (503, "UO"): 5}
