from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.load_balancing import BALANCERS, level_of, lower
from meshsim.scenario.istio.balancing import HashPolicy, Locality, Warmup, ZoneAware
from meshsim.scenario.istio.policy import OutlierDetection, Policy, Retry
from tests.dataplane.hosts import Hosts
from tests.own_balancers import OWN, registered

#: Balancers that honour weights.
WEIGHTED = ("ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH", "MAGLEV", "OUR_WEIGHTED")
#: Istio's, and some that users could write.
EVERY = (*BALANCERS, *OWN)


@pytest.fixture(autouse=True, scope="module")
def own():
    with registered():
        yield


def hosts_of(balancer, weights, **policy):
    hosts = Hosts(balancer=balancer, **{"bias": float(balancer == "LEAST_REQUEST"), "table_size": 1009, **policy})
    hosts.push(*({"weight": weight} for weight in weights))
    return hosts


# --- scripted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("balancer", ["RANDOM", "PASSTHROUGH"])
@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [1, 2, 3, 4]])
def test_random_takes_the_host_at_its_draw_whatever_its_weight(balancer, weights):
    # Four hosts: draws 0.0, 0.3, 0.6, 0.99 are places 0, 1, 2, 3. Measured: RANDOM ignores weights (lb_random).
    hosts = hosts_of(balancer, weights)
    assert [hosts.choose(0.5, u) for u in (0.0, 0.3, 0.6, 0.99)] == [0, 1, 2, 3]


def test_round_robin_goes_round_from_where_the_thread_begins():
    starts = set()
    for seed in range(1, 6):
        picked = hosts_of("ROUND_ROBIN", [1, 1, 1], seed=seed).picks(7)
        assert [(b - a) % 3 for a, b in pairwise(picked)] == [1] * 6
        starts.add(picked[0])
    assert len(starts) > 1


def test_every_thread_has_its_own_turn():
    # Measured (workers2, rr_n3): the same host twice in a row, never three times.
    hosts = hosts_of("ROUND_ROBIN", [1, 1, 1], threads=2)
    first = [hosts.choose(worker=0) for _ in range(3)]
    picked = [hosts.choose(worker=number % 2) for number in range(12)]
    assert picked[0::2] == first * 2
    assert [(b - a) % 3 for a, b in pairwise(picked[1::2])] == [1] * 5


def test_the_turn_goes_on_after_a_change_of_hosts():
    hosts = hosts_of("ROUND_ROBIN", [1] * 4)
    before = int(hosts.w.balancers[0].next)
    hosts.picks(3)
    hosts.push({}, {}, {}, now=1.0)
    assert hosts.w.balancers[0].next == before + 3


def test_least_request_takes_the_less_busy_of_two_and_the_first_of_equals():
    hosts = hosts_of("LEAST_REQUEST", [1, 1, 1, 1])
    for pod, active in enumerate([2, 0, 3, 2]):
        hosts.slot(pod).active = active
    # Draws 0.1 and 0.8 are hosts 0 (2 active) and 3 (2 active): a tie, the first. 0.6 and 0.3: 2 (3) and 1 (0).
    assert hosts.choose(0.5, 0.1, 0.8) == 0
    assert hosts.choose(0.5, 0.8, 0.1) == 3
    assert hosts.choose(0.5, 0.6, 0.3) == 1
    assert hosts.choose(0.5, 0.6, 0.6) == 2  # drawn with replacement


@pytest.mark.parametrize(("count", "choices"), [(2, 2), (5, 2), (2, 3), (5, 3), (5, 5), (10, 1)])
def test_a_busy_host_is_picked_when_all_draws_fall_on_it(count, choices):
    # (1/n)^d: measured (lb_lr_sampling) 23.8 % of n = 2, 3.7 % of n = 5 with two choices.
    hosts = hosts_of("LEAST_REQUEST", [1] * count, choices=choices)
    hosts.slot(0).active = 1000
    share = (1 / count) ** choices
    assert hosts.shares(4000).get(0, 0.0) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000) + 1e-9)


def test_weights_hold_for_least_request_when_nothing_is_active():
    assert hosts_of("LEAST_REQUEST", [1, 2, 4]).shares(700) == pytest.approx({0: 1 / 7, 1: 2 / 7, 2: 4 / 7})


def test_weighted_least_request_looks_at_the_active_requests():
    # Active for ever: weights 1, 2, 4 over 1 + active, squared with a bias of 2.
    for bias, expected in ((1.0, [1.0, 2 / 3, 2.0]), (2.0, [1.0, 2 / 9, 1.0]), (0.0, [1.0, 2.0, 4.0])):
        hosts = hosts_of("LEAST_REQUEST", [1, 2, 4], bias=bias)
        hosts.slot(1).active, hosts.slot(2).active = 2, 1
        shares = hosts.shares(3300)
        assert [shares[pod] for pod in range(3)] == pytest.approx([x / sum(expected) for x in expected], abs=0.005)


@pytest.mark.parametrize(
    ("u", "loads", "level"),
    # The draw is 1 … 100: 0.37 is 38, one more than the first load.
    [(0.0, (37, 35, 28), 0), (0.3699, (37, 35, 28), 0), (0.37, (37, 35, 28), 1), (0.7199, (37, 35, 28), 1),
     (0.72, (37, 35, 28), 2), (0.9999, (37, 35, 28), 2), (0.0, (0, 100, 0), 1), (0.5, (0, 0, 100), 2)],
)  # fmt: skip
def test_the_priority_is_the_one_that_the_cumulated_loads_reach_the_draw_with(u, loads, level):
    hosts = Hosts()
    hosts.levels[:3].load = loads
    assert level_of(hosts.w, 0, 3, u, 0, 140) == level


@pytest.mark.parametrize(
    ("healthy", "tried", "expected"),
    [
        # P0 all healthy, all load on it; without it P1: health 100.
        ([(4, 4), (4, 4)], 0b00, [100, 0]),
        ([(4, 4), (4, 4)], 0b01, [0, 100]),
        ([(4, 4), (4, 4)], 0b11, [100, 0]),  # none left: as if none had been tried
        ([(4, 4), (0, 4)], 0b01, [100, 0]),  # the others have no healthy host: likewise
        # Health 35, 70, 100 without P1: 35 stays, the rest goes to P2.
        ([(1, 4), (1, 2), (2, 2)], 0b010, [35, 0, 65]),
        # Health 35 and 35 of P1, P2: half each.
        ([(4, 4), (1, 4), (1, 4)], 0b001, [0, 50, 50]),
        # Health 35 and 28: 35·100/63 = 55, 28·100/63 = 44, the remainder to the first.
        ([(4, 4), (1, 4), (2, 10)], 0b001, [0, 56, 44]),
    ],
)
def test_a_retry_keeps_away_from_priorities_that_were_tried(healthy, tried, expected):
    # retryRemoteLocalities: Envoy's previous_priorities.
    hosts = Hosts()
    hosts.push(
        *({"priority": p, "unhealthy": int(n >= well)} for p, (well, total) in enumerate(healthy) for n in range(total))
    )
    levels = [level_of(hosts.w, 0, len(healthy), (n + 0.5) / 100, tried, 140) for n in range(100)]
    counts = [levels.count(p) for p in range(len(healthy))]
    assert sorted(counts) == sorted(expected)
    assert counts == pytest.approx(expected, abs=1)


# --- the contract -----------------------------------------------------------------------------------------------


@pytest.mark.sample(8)
@pytest.mark.parametrize("balancer", EVERY)
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_every_balancer_picks_members_only_and_is_fair_among_equals(balancer, count):
    shares = hosts_of(balancer, [1] * count, table_size=10007).shares(4000)
    margin = 4 * np.sqrt((1 - 1 / count) / count / 4000)
    # A ring's hosts own arcs of random length: with k entries each, shares differ by a factor of about 1 ± 1/√k.
    if balancer == "RING_HASH":
        margin += 4 / count / np.sqrt(1024 / count)
    assert set(shares) == set(range(count))
    assert all(abs(share - 1 / count) <= margin for share in shares.values())


@pytest.mark.parametrize("balancer", EVERY)
def test_every_balancer_that_honours_weights_matches_them_and_the_others_ignore_them(balancer):
    shares = hosts_of(balancer, [1, 2, 5], table_size=10007).shares(4000)
    expected = [1 / 8, 2 / 8, 5 / 8] if balancer in WEIGHTED else [1 / 3] * 3
    assert [shares[pod] for pod in range(3)] == pytest.approx(expected, abs=0.07 if balancer == "RING_HASH" else 0.03)


@pytest.mark.sample(4)
@pytest.mark.parametrize("balancer", EVERY)
@pytest.mark.parametrize("keyed", [None, 7])
@pytest.mark.parametrize("locality_weighted", [0, 1])
def test_no_balancer_ever_picks_a_host_that_is_not_available(balancer, keyed, locality_weighted):
    rng = np.random.default_rng(5)
    hosts = Hosts(balancer=balancer, threads=2, locality_weighted=locality_weighted, merge_window=0.0)
    now = 0.0
    for _ in range(60):
        now += 0.5
        if rng.random() < 0.5:
            hosts.push(
                *({"pod": int(pod), "priority": int(rng.integers(3)), "weight": int(rng.integers(1, 4)),
                   "locality": int(rng.integers(3)), "locality_weight": 3}
                  for pod in rng.choice(20, rng.integers(0, 12), replace=False)), now=now,
            )  # fmt: skip
        elif hosts.up.members:
            present = [int(slot.host) for slot in hosts.w.slots if slot.present]
            hosts.set_health(int(rng.choice(present)), int(rng.random() < 0.7), now)
        if balancer in {"RING_HASH", "MAGLEV"}:
            hosts.make_room()
        available = {int(slot.host) for slot in hosts.w.slots if slot.present and not slot.unhealthy}
        picked = {hosts.choose(*map(float, rng.random(3)), key=keyed, worker=n % 2) for n in range(12)}
        assert picked <= available if available else picked == {None}


@pytest.mark.parametrize("balancer", EVERY)
def test_every_balancer_takes_all_hosts_in_panic(balancer):
    hosts = Hosts(balancer=balancer, panic_threshold=50)
    hosts.push({}, {"unhealthy": 1}, {"unhealthy": 1})
    assert set(hosts.shares(300)) == {0, 1, 2}


@pytest.mark.parametrize("balancer", EVERY)
def test_every_balancer_without_a_host_says_so(balancer):
    assert Hosts(balancer=balancer).choose() is None
    hosts = Hosts(balancer=balancer)
    hosts.push({"unhealthy": 1})
    assert hosts.choose() is None
    hosts.push(now=1.0)
    assert hosts.choose() is None


@pytest.mark.parametrize("balancer", EVERY)
def test_every_balancer_follows_a_move_to_other_slots(balancer):
    hosts = hosts_of(balancer, [1, 2, 1], capacity=64)
    up = hosts.up
    up.capacity = 4
    hosts.w.slots[8:12] = hosts.w.slots[0:4]
    hosts.w.slots[0:4].present = 0
    up.first_slot, up.capacity = 8, 8
    hosts.push({}, {"weight": 2}, {}, {}, now=1.0)
    assert set(hosts.picks(60)) == {0, 1, 2, 3}


# --- what a policy is lowered to --------------------------------------------------------------------------------


def lowered(**fields):
    row = state.records("policies", 1)[0]
    lower(row, Policy(**fields))
    return row


def test_istios_default_is_the_less_busy_of_two():
    row = lowered()
    assert (row.balancer, row.choices, row.bias) == (BALANCERS["LEAST_REQUEST"], 2, 1.0)
    assert (row.overprovisioning, row.merge_window, row.panic_threshold, row.fails_on_panic) == (140, 1.0, 0, 0)
    assert (row.locality_weighted, row.zone_aware, row.warmup) == (0, 0, 0.0)


def test_round_robin_does_not_look_at_active_requests():
    assert lowered(load_balancer="ROUND_ROBIN").bias == 0.0


def test_what_is_hashed_is_lowered():
    row = lowered(load_balancer="MAGLEV", hash=HashPolicy("header", "x-user", table_size=251))
    assert (row.balancer, row.table_size, row.hash_kind) == (BALANCERS["MAGLEV"], 251, state.NAMED_KEY)
    row = lowered(load_balancer="RING_HASH", hash=HashPolicy("source_ip", minimum_ring_size=64))
    assert (row.ring_minimum, row.ring_maximum, row.hash_kind) == (64, 8_388_608, state.SOURCE_IP)
    assert lowered(load_balancer="RING_HASH", hash=HashPolicy("none")).hash_kind == state.NO_HASH


def test_slow_start_is_lowered_for_the_balancers_that_have_it():
    warmup = Warmup(30.0, 20.0, 2.0)
    for balancer, window in (("ROUND_ROBIN", 30.0), ("LEAST_REQUEST", 30.0), ("RANDOM", 0.0)):
        row = lowered(load_balancer=balancer, warmup=warmup)
        assert row.warmup == window
    row = lowered(warmup=warmup)
    assert (row.warmup_minimum, row.warmup_aggression) == (0.2, 2.0)


def test_localities_are_weighted_only_where_istio_says_so():
    # Spec §2.1: distribute, or failover on and failover or failoverPriority set.
    detection = OutlierDetection()
    assert lowered(outlier_detection=detection).locality_weighted == 0
    assert lowered(locality=Locality(failover=(("eu", "us"),))).locality_weighted == 0
    assert lowered(locality=Locality(failover=(("eu", "us"),)), outlier_detection=detection).locality_weighted == 1
    assert lowered(locality=Locality(distribute=(("eu/*", (("us/*", 100),)),))).locality_weighted == 1


def test_zones_count_only_where_proxies_know_their_own_service():
    assert lowered(zone_aware=ZoneAware()).zone_aware == 0
    row = lowered(zone_aware=ZoneAware(self_discovery=True, min_cluster_size=3))
    assert (row.zone_aware, row.min_cluster_size) == (1, 3)


# --- in the long run --------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(Bench, echo):
    """Return a function that runs a client with ``n`` hosts of the given weights."""

    def built(balancer, weights, script=(), rate=None, until=0.0, workers=1000, scripts=None):
        policy = Policy(load_balancer=balancer)
        bench = Bench(
            {
                "web": echo(script=[{"call": "app/GET"}], workers=1000),
                "app": echo(script=list(script), workers=workers),
            },
            policies={"app": policy}, retry=Retry(attempts=0), zones={"app": ["eu/a"] * len(weights)},
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


@pytest.mark.slow
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
