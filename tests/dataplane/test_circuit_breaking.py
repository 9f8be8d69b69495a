from __future__ import annotations

import pytest

from meshsim.scenario.istio.policy import CircuitBreaker, Policy, Retry, RetryBudget


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
    # Envoy outcomes, recipe 7: who waits for a new connection is pending too, so that a cold burst gets one through.
    bench = burst(max_connections=1, max_pending_requests=1)
    assert bench.calls("app", "web") == {(200, ""): 1, (503, "UO"): 5}
    assert bench.calls("app", "web", "latency")[200, ""] == pytest.approx(0.002 + 0.102)
    # Once the connection is there: spec §3.1 measured, two of six; the second waits for the first one's connection.
    bench.send(20.0)
    bench.run(30.0)
    assert bench.calls("app", "web") == {(200, ""): 1 + 2, (503, "UO"): 5 + 4}
    assert bench.calls("app", "web", "latency")[200, ""] == pytest.approx(0.002 + 0.102 + 0.102 + 0.204)


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


# --- retry budgets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "least", "retries"),
    [
        (20.0, 0, 3),
        (20.0, 3, 3),
        (20.0, 5, 5),
        (100.0, 0, 10),
        (0.0, 0, 0),
    ],
)
def test_a_retry_budget_is_a_share_of_what_is_active_and_pending(Bench, echo, fail, percent, least, retries):
    # Spec §3.1: max(minRetryConcurrency, percent · (active + pending)), over HTTP/2. Twenty fail at once, the k-th
    # while 21 - k are active (itself included) and k - 1 retries wait: tried again if k - 1 < ⌊share · (21 - k)⌋.
    budget = RetryBudget(percent=percent, min_retry_concurrency=least)
    policy = Policy(retry_budget=budget, circuit_breaker=CircuitBreaker(max_retries=0))
    bench = Bench(
        {"web": echo(workers=100, protocol="http2")}, policies={"web": policy},
        retry=Retry(attempts=1, conditions=("5xx",)),
    )  # fmt: skip
    fail(bench, *bench.pods["web"])
    bench.send(0.0, times=20)
    bench.run(5.0)
    assert bench.requests()[503, "URX"] == retries
    assert bench.requests()[503, "UO"] == 20 - retries
    assert bench.upstream(bench.ingress, "web").retrying == 0


def test_a_retry_that_fails_asks_the_budget_again(Bench, echo, fail):
    # A slot of max_retries is kept for all retries of a request; a budget gives intermediate counts (recipe 8).
    policy = Policy(retry_budget=RetryBudget(percent=0.0, min_retry_concurrency=2))
    bench = Bench(
        {"web": echo(workers=100, protocol="http2")}, policies={"web": policy},
        retry=Retry(attempts=3, conditions=("5xx",)),
    )  # fmt: skip
    fail(bench, *bench.pods["web"])
    bench.send(0.0, times=3)
    bench.run(5.0)
    # Two of three are tried again; from then on no more than two ask at a time.
    assert bench.requests() == {(503, "URX"): 2, (503, "UO"): 1}
    assert bench.calls("web", what="attempts") == {(503, "URX"): 8, (503, "UO"): 1}


def test_a_request_keeps_its_slot_of_max_retries_for_all_its_retries(Bench, echo, fail):
    # Recipe 8: a request gets all its retries or none.
    policy = Policy(circuit_breaker=CircuitBreaker(max_retries=2))
    bench = Bench(
        {"web": echo(workers=100)}, policies={"web": policy}, retry=Retry(attempts=3, conditions=("5xx",)),
    )  # fmt: skip
    fail(bench, *bench.pods["web"])
    bench.send(0.0, times=10)
    bench.run(5.0)
    assert bench.calls("web", what="attempts") == {(503, "URX"): 2 * 4, (503, "UO"): 8}
