from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane.retry import CONDITIONS, backoff, matches
from meshsim.dataplane.state import DC, NO_FLAG, NR, UC, UF, UH, UO, UT
from meshsim.scenario.istio.policy import DEFAULT_CONDITIONS, Policy, Retry

FAILURES = {
    "connect": (503, UF), "reset": (503, UC), "try timeout": (504, UT), "503": (503, NO_FLAG), "500": (500, NO_FLAG),
    "502": (502, NO_FLAG), "504": (504, NO_FLAG), "overflow": (503, UO), "no host": (503, UH), "no route": (404, NR),
    "gave up": (0, DC),
}  # fmt: skip
ANY_RESPONSE = {"503", "500", "502", "504"}
NO_RESPONSE = {"connect", "reset", "try timeout"}


@pytest.mark.parametrize(
    ("conditions", "codes", "grpc", "retried"),
    [
        (DEFAULT_CONDITIONS, (), 0, {"connect"}),
        (DEFAULT_CONDITIONS, (503,), 0, {"connect", "503"}),  # Istio up to 1.23
        (("5xx",), (), 0, NO_RESPONSE | ANY_RESPONSE),
        (("gateway-error",), (), 0, NO_RESPONSE | {"502", "503", "504"}),
        (("reset",), (), 0, NO_RESPONSE),
        (("connect-failure",), (), 0, {"connect"}),
        (("reset-before-request",), (), 0, {"connect"}),  # retry_state_impl.cc, wouldRetryFromReset
        (("retriable-status-codes",), (500, 504), 0, {"500", "504"}),
        (("unavailable",), (), 0, set()),
        (("unavailable",), (), 1, {"503"}),
        (("internal",), (), 1, {"500"}),
        (DEFAULT_CONDITIONS, (), 1, {"connect", "503"}),
        (("retriable-status-codes",), (503,), 1, set()),  # the HTTP code of UNAVAILABLE is 200
        ((), (), 0, set()),
    ],
)
def test_what_is_tried_again_follows_the_conditions(Bench, echo, conditions, codes, grpc, retried):
    bench = Bench({"web": echo()}, retry=Retry(conditions=conditions, status_codes=codes))
    assert {name for name, (code, flag) in FAILURES.items() if matches(bench.world, 0, grpc, code, flag)} == retried


def test_every_condition_has_a_bit_of_its_own():
    assert sorted(CONDITIONS.values()) == [1 << number for number in range(len(CONDITIONS))]


def test_pauses_double_from_25_to_250_ms(Bench, echo):
    route = Bench({"web": echo()}).world.routes[0]
    most = [backoff(route, number, 1.0 - 1e-12) for number in range(1, 8)]
    np.testing.assert_allclose(most, [0.025, 0.050, 0.100, 0.200, 0.250, 0.250, 0.250])
    assert backoff(route, 3, 1e-12) < 1e-12


@pytest.mark.parametrize(("retries", "mean"), [(1, 0.0125), (2, 0.0375), (3, 0.0875), (5, 0.3125)])
def test_mean_pauses_are_those_measured(Bench, echo, fail, retries, mean):
    # Spec §9.6: 12.5, 37.5, 87.5 and 312.5 ms in theory. Links take 2 ms a try, twice (ingress to web, which fails).
    bench = Bench({"web": echo()}, retry=Retry(attempts=retries, conditions=("5xx",)))
    fail(bench, *bench.pods["web"])
    bench.paced(200)
    bench.run(20.0)
    assert bench.requests().keys() == {(503, "URX")}
    pause = bench.latency() - (retries + 1) * 0.002
    spread = 0.25 / np.sqrt(12 * 4000) * np.sqrt(retries)
    assert pause == pytest.approx(mean, abs=4 * spread)


def test_attempts_are_one_more_than_retries_and_the_last_failure_says_so(Bench, echo, fail):
    bench = Bench({"web": echo()}, retry=Retry(attempts=2, conditions=("5xx",)))
    fail(bench, *bench.pods["web"])
    bench.send(0.0, times=3)
    bench.run(5.0)
    assert bench.calls("web") == {(503, "URX"): 3}
    assert bench.calls("web", what="attempts") == {(503, "URX"): 9}


def test_no_retries_make_one_attempt_without_the_flag(Bench, echo, fail):
    bench = Bench({"web": echo()}, retry=Retry(attempts=0, conditions=("5xx",)))
    fail(bench, *bench.pods["web"])
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("web") == {(503, ""): 1}


def test_the_default_policy_masks_one_dead_host_of_two(Bench, echo):
    # Spec §3.3: two hosts, one dead, default policy: 40 of 40; without retries half fail with UF.
    for retry, share in ((Retry(), 0.0), (Retry(attempts=0), 0.5)):
        bench = Bench({"web": echo()}, zones={"web": ["eu/a"] * 2}, retry=retry)
        bench.plane.kill(bench.pods["web"][0], 0.0, silent=False, for_good=False)
        bench.paced(100)
        bench.run(20.0)
        requests = bench.requests()
        failed = sum(count for (code, _), count in requests.items() if code != 200)
        # 2000 requests; P2C between two idle hosts is a coin: 0.5 ± 4·0.011. With retries 6 picks may all miss: 1/64.
        assert failed / sum(requests.values()) == pytest.approx(share, abs=0.045)


def test_a_retry_avoids_hosts_already_tried_but_not_for_ever(Bench, echo, fail):
    # RANDOM over two hosts, both tried after two attempts: the third takes the last of its six picks.
    retry, policy = Retry(attempts=2, conditions=("5xx",)), Policy(load_balancer="RANDOM")
    bench = Bench({"web": echo()}, zones={"web": ["eu/a"] * 2}, policies={"web": policy}, retry=retry)
    fail(bench, bench.pods["web"][0])
    bench.paced(1000)
    bench.run(10.0)
    failed = bench.requests()[503, "URX"]
    # Fails only if the bad host is drawn first (½), then six times (1/64) and again six times: 1.2 of 10 000.
    assert failed <= 8


def test_without_the_predicate_a_retry_may_meet_the_same_host(Bench, echo, fail):
    retry = Retry(attempts=1, conditions=("5xx",), avoid_previous_hosts=False)
    policy = Policy(load_balancer="RANDOM")
    bench = Bench({"web": echo()}, zones={"web": ["eu/a"] * 2}, policies={"web": policy}, retry=retry)
    fail(bench, bench.pods["web"][0])
    bench.paced(1000)
    bench.run(10.0)
    assert bench.requests()[503, "URX"] / 10_000 == pytest.approx(0.25, abs=4 * 0.0044)


def test_a_retried_request_meets_its_callees_anew(Bench, echo, fail):
    # web → app → db; db fails half of its requests, app is tried three times: ⅛ of requests fail, not ½.
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET"}]), "app": echo(script=[{"call": "db/GET"}]), "db": echo()},
        retry=Retry(attempts=0),
        routes={"app": {"retry": Retry(attempts=2, conditions=("5xx",))}},
    )
    fail(bench, *bench.pods["db"], fraction=0.5)
    bench.paced(400)
    bench.run(10.0)
    requests = bench.requests()
    assert requests[500, ""] / sum(requests.values()) == pytest.approx(0.125, abs=0.022)


@pytest.mark.parametrize(("remote", "outcome"), [(True, (200, "")), (False, (503, "URX"))])
def test_with_retry_remote_localities_every_second_retry_leaves_the_priorities_tried_before(
    Bench, echo, fail, remote, outcome
):
    # previous_priorities, updateFrequency 2: two tries in the first priority, then two elsewhere.
    retry = Retry(attempts=2, conditions=("5xx",), remote_localities=remote)
    bench = Bench({"web": echo(workers=100)}, zones={"web": ["eu/a", "us/a"]}, retry=retry)
    bench.push(bench.ingress, "web", priorities=[0, 1])
    fail(bench, bench.pods["web"][0])
    bench.send(0.0, times=5)
    bench.run(5.0)
    assert bench.requests() == {outcome: 5}
    assert bench.served("web") == ([10, 5] if remote else [15, 0])


def test_one_retry_stays_in_the_first_priority(Bench, echo, fail):
    retry = Retry(attempts=1, conditions=("5xx",), remote_localities=True)
    bench = Bench({"web": echo(workers=100)}, zones={"web": ["eu/a", "us/a"]}, retry=retry)
    bench.push(bench.ingress, "web", priorities=[0, 1])
    fail(bench, bench.pods["web"][0])
    bench.send(0.0, times=5)
    bench.run(5.0)
    assert bench.requests() == {(503, "URX"): 5}


def test_a_round_robin_retry_advances_the_cycle(Bench, echo):
    # Envoy measured: 1 of 3 hosts dead: ½ of the requests need a retry, not ⅓.
    policy = Policy(load_balancer="ROUND_ROBIN")
    bench = Bench({"web": echo(workers=100)}, zones={"web": ["eu/a"] * 3}, policies={"web": policy}, retry=Retry())
    bench.plane.kill(bench.pods["web"][0], 0.0, silent=False, for_good=False)
    bench.paced(10)
    bench.run(30.0)
    requests, attempts = bench.calls("web"), bench.calls("web", what="attempts")
    assert requests.keys() == {(200, "")}
    assert attempts[200, ""] / requests[200, ""] == pytest.approx(1.5, abs=0.02)
