from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from meshsim.dataplane.consistent_hashing import is_full, largest, scale_of, sweep
from meshsim.dataplane.locality import forget
from tests.dataplane.hosts import Hosts

KEYS = range(2000)


def owners(hosts, **fields):
    return [hosts.choose(key=key, **fields) for key in KEYS]


def entries(hosts, level=0):
    """Return how many entries of its table each host has, by pod."""
    row = hosts.levels[level]
    table = hosts.w.tables[row.table]
    places = hosts.w.hash_tables[table.first : table.first + table.entries]
    return dict(Counter(int(hosts.w.slots[hosts.w.available[row.first + place]].host) for place in places))


def built(balancer, *hosts, **policy):
    made = Hosts(balancer=balancer, **policy)
    made.push(*hosts)
    return made


@pytest.mark.parametrize(
    ("smallest", "minimum", "maximum", "scale"),
    [
        (1 / 3, 1024, 8_388_608, 1026),  # 342 entries each, not 341⅓
        (1 / 5, 1024, 8_388_608, 1025),  # 205 each; of four hosts 256 each: the ring is scaled anew (spec §2.5)
        (1 / 4, 1024, 8_388_608, 1024),
        (1 / 4, 2, 6, 4),
        (1 / 4, 1024, 6, 6),  # never above the maximum
        (0.001, 1024, 8_388_608, 2000),
    ],
)
def test_the_ring_is_scaled_so_that_the_lightest_host_has_whole_entries(smallest, minimum, maximum, scale):
    assert scale_of(smallest, minimum, maximum) == pytest.approx(scale)


def test_a_ring_has_entries_in_proportion_to_weight():
    assert entries(built("RING_HASH", {}, {}, {}, {}, {})) == dict.fromkeys(range(5), 205)
    assert entries(built("RING_HASH", {"weight": 1}, {"weight": 2}, {"weight": 5})) == {0: 128, 1: 256, 2: 640}


def test_a_ring_that_is_too_small_gives_hosts_entries_in_turn():
    # 4 hosts, 6 entries: targets 1.5, 3, 4.5, 6 give 2, 1, 2, 1 (ring_hash_lb.cc), in the order of the hosts' names.
    assert sorted(entries(built("RING_HASH", {}, {}, {}, {}, ring_maximum=6)).values()) == [1, 1, 2, 2]


def test_maglev_fills_its_table_in_proportion_to_weight():
    counts = entries(built("MAGLEV", {}, {}, {}, {}, {}, table_size=251))
    assert set(counts.values()) == {50, 51}
    counts = entries(built("MAGLEV", {"weight": 1}, {"weight": 2}, {"weight": 4}, table_size=1009))
    assert [counts[pod] / 1009 for pod in range(3)] == pytest.approx([1 / 7, 2 / 7, 4 / 7], abs=0.005)


@pytest.mark.parametrize("balancer", ["RING_HASH", "MAGLEV"])
def test_a_key_stays_on_its_host_whatever_the_draws(balancer):
    hosts = built(balancer, *({} for _ in range(4)))
    for key in range(50):
        assert len({hosts.choose(float(u), float(u), float(u), key=key) for u in np.linspace(0.01, 0.99, 7)}) == 1
    assert set(owners(hosts)) == set(range(4))


@pytest.mark.parametrize("balancer", ["RING_HASH", "MAGLEV"])
def test_requests_without_a_key_are_spread_at_random(balancer):
    shares = built(balancer, *({} for _ in range(4)), table_size=1009).shares(2000)
    assert all(share == pytest.approx(0.25, abs=0.08) for share in shares.values())


@pytest.mark.parametrize(
    ("balancer", "size", "low", "high"),
    # Spec §2.5, measured with 200 keys: moved needlessly when 1 of 5 hosts goes: ring 8.7 %, Maglev 0.2 %, 4 % with a
    # table of 251. A ring of 205 entries a host becomes one of 256: a quarter more points, of which 4/5 … are others'.
    [("RING_HASH", 0, 0.03, 0.16), ("MAGLEV", 251, 0.01, 0.09), ("MAGLEV", 10007, 0.0, 0.012)],
)
def test_few_keys_move_needlessly_when_a_host_goes(balancer, size, low, high):
    moved = []
    for seed in range(1, 4):
        hosts = Hosts(balancer=balancer, seed=seed, table_size=size or 251)
        hosts.push(*({} for _ in range(5)))
        before = owners(hosts)
        hosts.push(*({"pod": pod} for pod in range(4)), now=1.0)
        after = owners(hosts)
        assert 4 not in after
        moved.append(sum(a not in (4, b) for a, b in zip(before, after, strict=True)) / len(KEYS))
    assert low <= np.mean(moved) <= high


@pytest.mark.parametrize("balancer", ["RING_HASH", "MAGLEV"])
def test_a_pick_that_is_rejected_goes_elsewhere(balancer):
    hosts = built(balancer, *({} for _ in range(4)))
    first, second = owners(hosts), owners(hosts, again=1)
    others = sum(a != b for a, b in zip(first, second, strict=True)) / len(KEYS)
    assert others == pytest.approx(0.75, abs=0.06)
    assert owners(hosts, again=1) == second


def test_clients_with_the_same_view_agree_and_share_one_table():
    hosts = built("MAGLEV", {}, {}, {})
    before = owners(hosts)
    hosts.push({"pod": 2}, {"pod": 0}, {"pod": 1}, now=1.0)
    assert owners(hosts) == before
    assert hosts.w.clock[0].tables == 1
    assert hosts.w.tables[0].users == 1


def test_the_priority_is_chosen_by_the_key():
    hosts = built("RING_HASH", *({"priority": 0, "unhealthy": int(n < 1)} for n in range(2)), {"priority": 1})
    assert hosts.loads == [70, 30]
    assert owners(hosts) == owners(hosts)
    assert Counter(owners(hosts))[2] / len(KEYS) == pytest.approx(0.3, abs=0.04)


def test_health_of_all_priorities_counts_at_any_update():
    # The tables are made by the main thread, from all hosts as they are; threads merely hear late of it.
    hosts = built("RING_HASH", {"priority": 0}, {"priority": 0}, {"priority": 1}, {"priority": 1})
    hosts.push({"priority": 0}, {"priority": 0}, {"priority": 1}, {"priority": 1}, now=1.0)
    hosts.slot(0).unhealthy = 1  # not told yet
    hosts.set_health(2, 1, 5.0)
    assert hosts.levels[0].healthy == 1


def test_unhealthy_hosts_have_no_entries_and_in_panic_all_have():
    hosts = built("MAGLEV", {}, {}, {"unhealthy": 1})
    assert set(entries(hosts)) == {0, 1}
    hosts = built("MAGLEV", {}, {"unhealthy": 1}, {"unhealthy": 1}, panic_threshold=50)
    assert set(entries(hosts)) == {0, 1, 2}
    hosts = built("MAGLEV", {"unhealthy": 1})
    assert hosts.choose(key=1) is None


def test_localities_share_the_table_by_their_weights():
    hosts = built(
        "RING_HASH", {"locality": 0, "locality_weight": 3}, {"locality": 1, "locality_weight": 1},
        {"locality": 1, "locality_weight": 1}, {"locality": 2, "locality_weight": 0}, locality_weighted=1,
    )  # fmt: skip
    assert entries(hosts) == {0: 768, 1: 128, 2: 128}


def test_no_table_is_larger_than_what_is_reserved():
    rng = np.random.default_rng(3)
    for _ in range(20):
        weights = rng.integers(1, 50, rng.integers(1, 9))
        hosts = built("RING_HASH", *({"weight": int(weight)} for weight in weights))
        most = largest(hosts.policy, True, weights, np.zeros(len(weights)))
        assert hosts.w.tables[0].entries <= most
        for pod in range(len(weights) - 1):
            hosts.set_health(pod, 1, 10.0 * (pod + 1))
            assert hosts.w.tables[hosts.levels[0].table].entries <= most


def test_tables_nobody_uses_make_room_for_others():
    hosts = built("MAGLEV", *({} for _ in range(6)), table_size=101)
    for number in range(60):
        hosts.set_health(number % 6, 1, 10.0 * number + 2.0)
        if is_full(hosts.w):
            before = [hosts.choose(key=key) for key in range(50)]
            hosts.make_room()
            assert [hosts.choose(key=key) for key in range(50)] == before
        hosts.set_health((number + 5) % 6, 0, 10.0 * number + 7.0)
    assert hosts.w.clock[0].table_entries <= len(hosts.w.hash_tables)
    forget(hosts.w, 0)
    sweep(hosts.w)
    assert hosts.w.clock[0].tables == 0
