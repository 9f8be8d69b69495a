from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from meshsim.dataplane.load_balancing import BALANCERS, pick
from meshsim.scenario.istio.policy import Policy, Retry


@pytest.fixture
def proxy(Bench, echo):
    """Return a function that builds a bench and its client with ``n`` hosts of the given weights."""

    def built(balancer, weights, script=(), rate=None, until=0.0, workers=1000, scripts=None):
        policy = Policy(load_balancer=balancer, retry=Retry(attempts=0))
        bench = Bench(
            {
                "web": echo(script=[{"call": "app/GET"}], workers=1000),
                "app": echo(script=list(script), workers=workers),
            },
            policies={"app": policy}, zones={"app": ["eu/a"] * len(weights)},
        )  # fmt: skip
        bench.client = bench.proxy_of(bench.pods["web"][0])
        bench.push(bench.client, "app", weights=weights)
        for pod, slow in zip(bench.pods["app"], scripts or [], strict=False):
            bench.world.pods[pod].slow = slow
        if rate:
            bench.paced(rate)
            bench.run(until)
        return bench

    return built


def choose(bench, u1, u2):
    """Return the number of the app pod that a pick with these two draws goes to."""
    up = bench.upstream(bench.client, "app")
    policy = bench.world.policies[up.policy]
    level = bench.world.priorities[bench.world.upstream_of[bench.client, bench.service("app")], 0]
    slot = pick(bench.world, policy.balancer, level, bench.world.available, level.first, level.healthy, u1, u2)
    return bench.pods["app"].index(int(bench.world.slots[slot].host))


# --- scripted ---------------------------------------------------------------------------------------------------


def test_random_takes_the_host_at_its_draw(proxy):
    bench = proxy("RANDOM", [1, 1, 1, 1])
    # Four hosts: draws 0.0, 0.3, 0.6, 0.99 are places 0, 1, 2, 3.
    assert [choose(bench, u, 0.5) for u in (0.0, 0.3, 0.6, 0.99)] == [0, 1, 2, 3]


def test_random_ignores_weights(proxy):
    bench = proxy("RANDOM", [1, 2, 3])
    assert [choose(bench, u, 0.5) for u in (0.1, 0.4, 0.7)] == [0, 1, 2]


def test_round_robin_goes_round_from_where_the_proxy_begins(proxy):
    bench = proxy("ROUND_ROBIN", [1, 1, 1])
    picked = [choose(bench, 0.0, 0.0) for _ in range(7)]
    assert [(b - a) % 3 for a, b in pairwise(picked)] == [1] * 6


def test_least_request_takes_the_less_busy_of_two_and_the_first_of_equals(proxy):
    bench = proxy("LEAST_REQUEST", [1, 1, 1, 1])
    for place, active in enumerate([2, 0, 3, 2]):
        bench.slot(bench.client, "app", bench.pods["app"][place]).active = active
    # Draws 0.1 and 0.8 are hosts 0 (2 active) and 3 (2 active): a tie, the first. 0.6 and 0.3: 2 (3) and 1 (0).
    assert choose(bench, 0.1, 0.8) == 0
    assert choose(bench, 0.8, 0.1) == 3
    assert choose(bench, 0.6, 0.3) == 1
    assert choose(bench, 0.6, 0.6) == 2  # drawn with replacement


def test_weighted_round_robin_is_exactly_periodic(proxy):
    bench = proxy("ROUND_ROBIN", [3, 1])
    picked = [choose(bench, 0.0, 0.0) for _ in range(40)]
    # Deadlines of weight 3: 1/3, 2/3, 1, …; of weight 1: 1, 2, …: four picks are 3 and 1, for ever. (Which of two
    # equal deadlines comes first is up to rounding, in Envoy as here.)
    assert all(picked[i : i + 4].count(0) == 3 for i in range(0, 40, 4))


def test_weighted_least_request_reads_the_active_requests_when_it_queues_again(proxy):
    bench = proxy("LEAST_REQUEST", [2, 1])
    slots = [bench.slot(bench.client, "app", pod) for pod in bench.pods["app"]]
    slots[0].deadline, slots[1].deadline = 1.0, 2.0
    slots[0].active = 3
    assert choose(bench, 0.0, 0.0) == 0
    assert slots[0].deadline == pytest.approx(1.0 + (3 + 1) / 2)


# --- the contract -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_every_balancer_picks_members_only_and_is_fair_among_equals(proxy, balancer, count):
    bench = proxy(balancer, [1] * count)
    draws = np.random.default_rng(count).random((4000, 2))
    counts = np.bincount([choose(bench, *pair) for pair in draws], minlength=count)
    share = 1 / count
    assert len(counts) == count
    assert np.abs(counts / 4000 - share).max() <= 4 * np.sqrt(share * (1 - share) / 4000)


@pytest.mark.parametrize("balancer", BALANCERS)
def test_every_balancer_follows_a_change_of_members_and_leaves_other_upstreams_alone(proxy, balancer):
    bench = proxy(balancer, [1] * 4)
    ingress = bench.upstream(bench.ingress, "web").copy()
    bench.push(bench.client, "app", hosts=bench.pods["app"][1:3], now=1.0)
    draws = np.random.default_rng(1).random((200, 2))
    assert {choose(bench, *pair) for pair in draws} == {1, 2}
    assert bench.upstream(bench.ingress, "web") == ingress


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 4]])
def test_every_balancer_serves_every_host(proxy, balancer, weights):
    bench = proxy(balancer, weights, rate=500, until=4.0)
    assert min(bench.served("app")) > 100


# --- in the long run --------------------------------------------------------------------------------------------


def test_a_stuck_host_still_gets_one_nth_squared(proxy):
    # Two hosts, the second 1000 times slower: it is picked when drawn twice, ¼ of the time.
    bench = proxy("LEAST_REQUEST", [1, 1], [{"compute": "1ms"}], rate=500, until=20.0, scripts=[1.0, 100_000.0])
    up = bench.slot(bench.client, "app", bench.pods["app"][1])
    assert up.active / 10_000 == pytest.approx(0.25, abs=0.02)


def test_weighted_least_request_settles_at_the_square_root_of_weight_over_time(proxy):
    # Spec §2.4: weights 1, 1, 2, service 20, 20, 80 ms: √(w/S) = 36.9, 36.9, 26.1 %; measured 36/36/28.
    bench = proxy("LEAST_REQUEST", [1, 1, 2], [{"compute": "20ms"}], rate=2000, until=30.0, scripts=[1.0, 1.0, 4.0])
    served = np.array(bench.served("app"))
    np.testing.assert_allclose(served / served.sum(), [0.369, 0.369, 0.261], atol=0.02)


def test_weights_hold_for_least_request_when_there_is_little_to_do(proxy):
    bench = proxy("LEAST_REQUEST", [3, 1], rate=20, until=100.0)
    served = bench.served("app")
    assert served[0] / sum(served) == pytest.approx(0.75, abs=0.01)


def test_requests_that_wait_for_a_connection_do_not_count_as_active(proxy):
    # Spec §2.4, measured: a black-holed host gets 51 % when the two others are busy, not its bare 1/9.
    bench = proxy("LEAST_REQUEST", [1, 1, 1], [{"compute": "100ms"}])
    bench.plane.kill(bench.pods["app"][0], 0.0, silent=True, for_good=False)
    bench.paced(200)
    bench.run(30.0)
    calls = bench.calls("app", "web")
    assert calls[503, "UF"] / sum(calls.values()) > 0.3
