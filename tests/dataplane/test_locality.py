from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.calendar import REFRESH
from meshsim.dataplane.load_balancing import BY_ZONE, PLAIN, WEIGHTED
from meshsim.dataplane.locality import distribute_load, forget
from meshsim.dataplane.outlier_detection import report
from tests.dataplane.hosts import Hosts

#: (healthy, total) of each priority, panic threshold, loads, panic (the table of spec §2.6).
ROWS = [
    ([(5, 10), (10, 10)], 0, [70, 30]),
    ([(3, 10), (10, 10)], 0, [42, 58]),
    ([(5, 10), (6, 10)], 0, [70, 30]),
    ([(2, 8), (2, 8)], 0, [50, 50]),
    ([(2, 8), (2, 8), (2, 10)], 0, [37, 35, 28]),
    ([(1, 4), (3, 4)], 0, [35, 65]),
    ([(0, 4), (4, 4)], 0, [0, 100]),
    ([(71, 100), (100, 100)], 0, [99, 1]),
    ([(72, 100), (100, 100)], 0, [100, 0]),
    ([(3, 3), (1, 1)], 0, [100, 0]),
    ([(2, 3), (1, 1)], 0, [93, 7]),
    ([(1, 3), (1, 1)], 0, [46, 54]),
    ([(1, 4), (4, 4), (1, 1)], 0, [35, 65, 0]),  # the worked example of spec §2.9
    ([(0, 0), (4, 4)], 0, [0, 100]),
]


def levels(hosts):
    rows = state.records("priorities", len(hosts))
    for row, (healthy, total) in zip(rows, hosts, strict=True):
        row.healthy, row.total = healthy, total
    return rows


@pytest.mark.parametrize(("hosts", "threshold", "loads"), ROWS)
def test_loads_are_those_of_envoys_integer_arithmetic(hosts, threshold, loads):
    rows = levels(hosts)
    distribute_load(rows, len(hosts), threshold, 140)
    assert rows.load.tolist() == loads
    assert not rows.panic.any()


def test_without_a_panic_threshold_all_hosts_lost_leaves_the_first_priority_empty():
    rows = levels([(0, 4), (0, 4)])
    distribute_load(rows, 2, 0, 140)
    assert (rows.load.tolist(), rows.panic.tolist()) == ([100, 0], [0, 0])


def test_when_all_priorities_panic_load_follows_the_number_of_hosts():
    rows = levels([(0, 4), (0, 12)])
    distribute_load(rows, 2, 50, 140)
    assert (rows.load.tolist(), rows.panic.tolist()) == ([25, 75], [1, 1])


def test_a_priority_panics_only_where_total_health_is_below_100():
    # 1 of 4 is below 50 %, but 35 + 140 ≥ 100: no panic. With 1 of 4 and 2 of 8 (35 + 35): both panic.
    rows = levels([(1, 4), (4, 4)])
    distribute_load(rows, 2, 50, 140)
    assert rows.panic.tolist() == [0, 0]
    rows = levels([(1, 4), (2, 8)])
    distribute_load(rows, 2, 50, 140)
    assert rows.panic.tolist() == [1, 1]


def test_one_priority_in_panic_keeps_its_normalised_load():
    # 20 % → health 28, 50 % → 70: 28·100/98 = 28, 70·100/98 = 71, the remainder of 1 to the first (prio_panic: 0.299).
    rows = levels([(2, 10), (5, 10)])
    distribute_load(rows, 2, 50, 140)
    assert (rows.load.tolist(), rows.panic.tolist()) == ([29, 71], [1, 0])


def test_another_overprovisioning_factor_moves_the_point_of_failover():
    rows = levels([(5, 10), (10, 10)])
    distribute_load(rows, 2, 0, 200)
    assert rows.load.tolist() == [100, 0]


def test_unhealthy_hosts_count_in_the_total():
    hosts = Hosts()
    hosts.push({}, {}, {"unhealthy": 1}, {"unhealthy": 1}, {"priority": 1})
    assert (hosts.levels[0].total, hosts.levels[0].healthy, hosts.loads) == (4, 2, [70, 30])


def test_panic_can_be_told_to_fail_instead():
    hosts = Hosts(panic_threshold=50, fails_on_panic=1)
    hosts.push({}, {"unhealthy": 1}, {"unhealthy": 1})
    assert hosts.choose() is None


# --- the merge window (spec §2.10) ----------------------------------------------------------------------------------


@pytest.fixture
def pair():
    """Return four hosts in P0 and two in P1, the first list of a proxy."""
    hosts = Hosts(balancer="ROUND_ROBIN")
    hosts.push(*({"priority": int(number >= 4)} for number in range(6)))
    return hosts


def test_the_first_list_opens_no_window(pair):
    # Envoy makes the balancers of a new cluster without a scheduled update.
    pair.set_health(0, 1, 0.2)
    assert pair.levels[0].healthy == 3


def test_the_first_change_of_health_after_a_quiet_second_applies_at_once(pair):
    pair.set_health(0, 1, 5.0)
    assert pair.loads == [100, 0]  # 3 of 4: floor(140·3/4) = 105
    assert (pair.levels[0].healthy, pair.levels[0].refreshed, pair.levels[0].waits) == (3, 5.0, 0)


def test_further_changes_are_merged_one_second_after_the_first_that_had_to_wait(pair):
    # Envoy starts the timer when a change has to wait (cluster_manager_impl.cc, scheduleUpdate): 5.0 applies at
    # once, 5.4 waits until 6.4. Measured (od_merge_window): applied 1.0 s after the second ejection, not the first.
    for pod, now in ((0, 5.0), (1, 5.4), (2, 5.6)):
        pair.set_health(pod, 1, now)
    assert pair.fire(6.39) == []
    assert pair.loads == [100, 0]
    assert pair.fire(6.41) == [(pytest.approx(6.4), REFRESH)]
    assert pair.loads == [35, 65]


def test_the_window_is_whole_milliseconds_and_more_than_it_has_to_pass(pair):
    pair.set_health(0, 1, 5.0)
    pair.set_health(1, 1, 6.0009)
    assert pair.levels[0].healthy == 3
    other = Hosts()
    other.push(*({} for _ in range(4)))
    other.set_health(0, 1, 5.0)
    other.set_health(1, 1, 6.0011)
    assert other.levels[0].healthy == 2


def test_a_merged_change_opens_a_window_of_its_own(pair):
    for pod, now in ((0, 5.0), (1, 5.4)):
        pair.set_health(pod, 1, now)
    pair.fire(6.5)
    pair.set_health(2, 1, 7.0)  # 0.6 s after 6.4
    assert pair.levels[0].healthy == 2
    pair.fire(8.1)
    assert pair.levels[0].healthy == 1


def test_every_priority_has_its_own_window(pair):
    pair.set_health(0, 1, 5.0)
    pair.set_health(4, 1, 5.1)
    pair.set_health(1, 1, 5.2)
    assert [level.healthy for level in pair.levels[:2]] == [3, 1]


def test_a_window_of_zero_applies_everything_at_once():
    hosts = Hosts(merge_window=0.0)
    hosts.push({}, {}, {})
    for pod in range(3):
        hosts.set_health(pod, 1, 5.0)
    assert hosts.levels[0].healthy == 0


def test_a_change_of_members_applies_what_was_waiting_in_its_priority_and_stops_its_timer(pair):
    for pod, now in ((0, 5.0), (1, 5.4), (4, 5.4), (5, 5.5)):
        pair.set_health(pod, 1, now)
    assert [level.healthy for level in pair.levels[:2]] == [3, 1]
    slots = [{"priority": int(pod >= 4), "unhealthy": int(pod in {0, 1, 4, 5})} for pod in range(7)]
    pair.push(*[host | {"pod": pod} for pod, host in enumerate(slots) if pod != 2], now=5.6)
    # P0 lost a host: 1 of 3 healthy now. P1 won one: both changes known, and the new one.
    assert [(level.healthy, level.total) for level in pair.levels[:2]] == [(1, 3), (1, 3)]
    before = [int(level.update) for level in pair.levels[:2]]
    pair.fire(10.0)
    assert [int(level.update) for level in pair.levels[:2]] == before


def test_a_list_that_changes_one_priority_leaves_the_others_changes_waiting(pair):
    pair.set_health(4, 1, 5.0)
    pair.set_health(5, 1, 5.5)
    pair.push(*({"pod": pod, "priority": int(pod >= 4), "unhealthy": int(pod >= 4)} for pod in range(1, 6)), now=5.6)
    assert [(level.healthy, level.total) for level in pair.levels[:2]] == [(3, 3), (1, 2)]
    pair.fire(6.6)
    assert pair.levels[1].healthy == 0


def test_health_that_comes_with_a_list_is_merged_too(pair):
    pair.set_health(0, 1, 5.0)
    pair.push(*({"priority": int(pod >= 4), "unhealthy": int(pod < 2)} for pod in range(6)), now=5.5)
    assert pair.levels[0].healthy == 3
    pair.fire(7.0)
    assert pair.levels[0].healthy == 2


def test_a_change_of_weights_is_merged_and_starts_the_queues():
    hosts = Hosts(balancer="ROUND_ROBIN")
    hosts.push({}, {})
    hosts.push({}, {"weight": 3}, now=5.0)
    assert hosts.levels[0].mode == WEIGHTED
    hosts.push({}, {"weight": 1}, now=5.5)
    assert hosts.levels[0].mode == WEIGHTED
    hosts.fire(6.6)
    assert hosts.levels[0].mode == PLAIN


def test_a_host_may_move_to_another_priority():
    hosts = Hosts()
    hosts.push({}, {}, {"priority": 1})
    hosts.push({}, {"priority": 1}, {"priority": 1}, now=1.0)
    assert [level.total for level in hosts.levels[:2]] == [1, 2]
    hosts.push({}, {}, {}, now=2.0)
    assert ([level.total for level in hosts.levels[:2]], hosts.loads) == ([3, 0], [100])


def test_another_client_of_the_same_records_starts_afresh(pair):
    for pod, now in ((0, 5.0), (1, 5.4)):
        pair.set_health(pod, 1, now)
    forget(pair.w, 0)
    for slot in pair.w.slots:
        slot.present = 0
    pair.push({}, {"pod": 9}, now=5.8)
    assert pair.fire(9.0) == [(pytest.approx(6.4), REFRESH)]
    assert ([int(level.total) for level in pair.levels[:2]], pair.levels[0].update > 0) == ([2, 0], True)
    pair.set_health(9, 1, 5.9)
    assert pair.levels[0].healthy == 1


# --- weights within a priority --------------------------------------------------------------------------------------


def test_queues_are_used_only_where_the_weights_of_the_available_hosts_differ():
    # Envoy decides per priority and for the healthy hosts apart (EdfLoadBalancerBase::refresh).
    hosts = Hosts()
    hosts.push({}, {}, {"priority": 1, "weight": 3}, {"priority": 1})
    assert [int(level.mode) for level in hosts.levels[:2]] == [PLAIN, WEIGHTED]
    hosts.set_health(3, 1, 5.0)
    assert hosts.levels[1].mode == PLAIN


# --- locality weights (spec §2.7) -----------------------------------------------------------------------------------


def weighted(*localities, **policy):
    """Build localities of (weight, healthy, total); return the hosts and a map of pods to localities."""
    hosts = Hosts(**{"balancer": "ROUND_ROBIN", "locality_weighted": 1, **policy})
    hosts.push(
        *({"locality": number, "locality_weight": weight, "unhealthy": int(place >= healthy)}
          for number, (weight, healthy, total) in enumerate(localities) for place in range(total))
    )  # fmt: skip
    return hosts, [number for number, (*_, total) in enumerate(localities) for _ in range(total)]


def shares_of(hosts, where, count=2700, **fields):
    found = Counter(where[pod] for pod in hosts.picks(count, **fields))
    return [found[number] / count for number in range(max(where) + 1)]


@pytest.mark.sample(11)
@pytest.mark.parametrize(
    ("localities", "expected"),
    [
        ([(1, 4, 4), (2, 4, 4)], [0.3333, 0.6667]),
        ([(1, 3, 4), (2, 4, 4)], [0.3333, 0.6667]),
        ([(1, 2, 4), (2, 4, 4)], [0.2593, 0.7407]),
        ([(1, 1, 4), (2, 4, 4)], [0.1489, 0.8511]),
        # Measured (prio_locality).
        ([(80, 5, 5), (20, 5, 5)], [0.8, 0.2]),
        ([(80, 3, 5), (20, 5, 5)], [0.7708, 0.2292]),
        ([(80, 1, 5), (20, 5, 5)], [0.5278, 0.4722]),
        ([(70, 2, 5), (20, 5, 5), (10, 5, 5)], [0.5667, 0.2875, 0.1458]),
        ([(0, 5, 5), (20, 5, 5)], [0.0, 1.0]),
        ([(80, 0, 5), (20, 5, 5)], [0.0, 1.0]),
        ([(0, 2, 2), (0, 2, 2)], [0.5, 0.5]),  # no weights at all: over all hosts
    ],
)
@pytest.mark.parametrize("balancer", ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"])
def test_localities_share_by_weight_and_health(localities, expected, balancer):
    # Random draws within the localities only, except where there are no weights at all.
    margin = 0.005 if sum(weight for weight, *_ in localities) else 0.04
    assert shares_of(*weighted(*localities, balancer=balancer)) == pytest.approx(expected, abs=margin)


def test_weights_of_hosts_count_within_their_locality():
    hosts = Hosts(balancer="ROUND_ROBIN", locality_weighted=1)
    hosts.push(
        {"locality_weight": 1, "weight": 1}, {"locality_weight": 1, "weight": 3}, {"locality": 1, "locality_weight": 1}
    )
    shares = hosts.shares(800)
    assert [shares[pod] for pod in range(3)] == pytest.approx([0.125, 0.375, 0.5], abs=0.003)


def test_in_panic_localities_do_not_count():
    hosts, where = weighted((80, 1, 4), (20, 1, 4), panic_threshold=50)
    assert shares_of(hosts, where) == pytest.approx([0.5, 0.5], abs=0.001)


def test_localities_of_several_priorities_are_chosen_by_their_own_weights():
    hosts = Hosts(balancer="ROUND_ROBIN", locality_weighted=1, threads=2)
    hosts.push(
        *({"priority": p, "locality": number, "locality_weight": weight, "unhealthy": int(p == 0 and place == 0)}
          for p, number, weight in ((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 1)) for place in range(2))
    )  # fmt: skip
    assert hosts.loads == [70, 30]
    shares = Counter()
    for pod, share in hosts.shares(6000, worker=1).items():
        shares[pod // 2] += share
    assert [shares[n] for n in range(4)] == pytest.approx([0.2333, 0.4667, 0.225, 0.075], abs=0.02)


def test_the_order_of_the_list_does_not_matter_to_localities():
    hosts = Hosts(balancer="ROUND_ROBIN", locality_weighted=1)
    hosts.push(*({"locality": number % 2, "locality_weight": 1 + 2 * (number % 2)} for number in range(4)))
    shares = hosts.shares(800)
    assert [shares[pod] for pod in range(4)] == pytest.approx([0.125, 0.375, 0.125, 0.375], abs=0.005)


# --- zone-aware routing (spec §2.8) ---------------------------------------------------------------------------------


def zones(hosts, clients, own=0, healthy=None, **policy):
    """Build zones with so many hosts each, called by a service with so many pods in each; ``own`` is the client's."""
    made = Hosts(**{"balancer": "RANDOM", "zone_aware": 1, "min_cluster_size": 6, **policy})
    made.up.own_share = clients[own] / sum(clients)
    made.push(
        *({"locality": zone, "local": int(zone == own), "own_share": clients[zone] / sum(clients),
           "unhealthy": int(healthy is not None and place >= healthy[zone])}
          for zone, count in enumerate(hosts) for place in range(count))
    )  # fmt: skip
    return made, [zone for zone, count in enumerate(hosts) for _ in range(count)]


@pytest.mark.parametrize(
    ("hosts", "clients", "own", "expected"),
    [
        ([3, 3], [1, 1], 0, [1.0, 0.0]),  # half and half: everything stays
        ([4, 2], [1, 1], 0, [1.0, 0.0]),  # more hosts than clients here
        ([2, 4], [1, 1], 0, [0.6667, 0.3333]),  # 3333 / 5000 stay
        # Envoy's own example: clients 40/40/20 %, hosts 25/50/25 %: 62.5 % stay, the rest 2 : 1.
        ([2, 4, 2], [2, 2, 1], 0, [0.625, 0.25, 0.125]),
        ([0, 6, 3], [1, 1, 1], 0, [0.0, 1.0, 0.0]),  # hosts 0/67/33 %: only zone 1 has some to spare
        ([0, 6, 4], [5, 3, 2], 0, [0.0, 0.6, 0.4]),  # hosts 0/60/40 %, clients 50/30/20 %: 30 and 20 points
        ([3, 1, 2], [1, 1, 1], 1, [0.5, 0.5, 0.0]),  # 1667 of 3333 stay, the rest where there is more: zone 0
    ],
)
def test_a_zone_keeps_what_its_hosts_can_carry(hosts, clients, own, expected):
    made, where = zones(hosts, clients, own)
    assert made.levels[0].mode == BY_ZONE
    assert shares_of(made, where, 6000) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("hosts", "clients", "fields"),
    [
        ([2, 3], [1, 1], {}),  # fewer than six healthy hosts
        ([6], [1, 1], {}),  # one locality of hosts
        ([3, 3], [1], {}),  # one locality of clients
        ([3, 3], [0, 1], {}),  # the client is not known in its own zone
        ([6, 6], [1, 1], {"healthy": [5, 0]}),
    ],
)
def test_zones_are_ignored_where_they_are_not_known_well_enough(hosts, clients, fields):
    clients += [0] * (len(hosts) - len(clients))
    made, _ = zones(hosts, clients, **fields)
    assert made.levels[0].mode != BY_ZONE


def test_in_panic_zones_do_not_count():
    made, where = zones([6, 6], [1, 1], healthy=[1, 5], panic_threshold=60)
    assert shares_of(made, where, 2000) == pytest.approx([0.5, 0.5], abs=0.05)


def test_only_the_first_priority_looks_at_zones():
    hosts = Hosts(balancer="RANDOM", zone_aware=1, min_cluster_size=1)
    hosts.up.own_share = 0.5
    hosts.push(
        {"unhealthy": 1},
        *({"priority": 1, "locality": n % 2, "local": int(n == 0), "own_share": 0.5} for n in range(4)),
    )
    assert hosts.levels[1].mode == PLAIN


# --- failover end to end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("percent", "least", "most"), [(100, 180, 320), (50, 480, 720), (10, 1199, 1200)])
def test_failover_needs_ejections_up_to_100_percent(percent, least, most):
    # Spec §2.10: three failing P0 hosts, one good P1 host, 100 requests/s for 12 s. Envoy: 251, half, all.
    assert least <= failover(percent, 1.0) <= most


def test_without_a_merge_window_the_errors_are_three_hosts_times_five_a_failover():
    # Spec §2.10: 30 of 1200, exactly five for each of three hosts, twice.
    assert failover(100, 0.0) == 30


def failover(percent, window):
    """Run the vector of spec §2.10 without latencies; return the number of errors."""
    hosts = Hosts(
        balancer="LEAST_REQUEST", detects=1, errors=5, max_ejected=percent, interval=2.0, base_ejection=4.0,
        max_ejection=300.0, merge_window=window,
    )  # fmt: skip
    hosts.up.phase = 0.7
    hosts.push({}, {}, {}, {"priority": 1})
    errors = 0
    for number, row in enumerate(np.random.default_rng(2).random((1200, 3))):
        now = number / 100
        hosts.fire(now)
        pod = hosts.choose(*map(float, row))
        errors += pod < 3
        report(hosts.w, 0, hosts.number(pod), now, 503 if pod < 3 else 200, 0)
    return errors
