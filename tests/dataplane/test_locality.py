from __future__ import annotations

import pytest

from meshsim.dataplane import state
from meshsim.dataplane.locality import choose_priority, distribute_load, health_changed
from meshsim.scenario.istio.policy import OutlierDetection, Policy, Retry

#: (healthy, total) of each priority, panic threshold, loads, panic (spec §2.6).
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
    distribute_load(rows, len(hosts), threshold)
    assert rows.load.tolist() == loads
    assert not rows.panic.any()


def test_without_a_panic_threshold_all_hosts_lost_leaves_the_first_priority_empty():
    rows = levels([(0, 4), (0, 4)])
    distribute_load(rows, 2, 0)
    assert (rows.load.tolist(), rows.panic.tolist()) == ([100, 0], [0, 0])


def test_when_all_priorities_panic_load_follows_the_number_of_hosts():
    rows = levels([(0, 4), (0, 12)])
    distribute_load(rows, 2, 50)
    assert (rows.load.tolist(), rows.panic.tolist()) == ([25, 75], [1, 1])


def test_a_priority_panics_only_where_total_health_is_below_100():
    # 1 of 4 is below 50 %, but 35 + 140 ≥ 100: no panic. With 1 of 4 and 2 of 8 (35 + 35): both panic.
    rows = levels([(1, 4), (4, 4)])
    distribute_load(rows, 2, 50)
    assert rows.panic.tolist() == [0, 0]
    rows = levels([(1, 4), (2, 8)])
    distribute_load(rows, 2, 50)
    assert rows.panic.tolist() == [1, 1]


def test_one_priority_in_panic_keeps_its_normalised_load():
    # 20 % → health 28, 50 % → 70: 28·100/98 = 28, 70·100/98 = 71, the remainder of 1 to the first (prio_panic: 0.299).
    rows = levels([(2, 10), (5, 10)])
    distribute_load(rows, 2, 50)
    assert (rows.load.tolist(), rows.panic.tolist()) == ([29, 71], [1, 0])


def test_priorities_are_chosen_in_proportion_to_their_loads():
    rows = state.records("priorities", (1, 3))
    rows[0].load = [37, 35, 28]
    chosen = [choose_priority(rows, 0, 3, (number + 0.5) / 100) for number in range(100)]
    assert [chosen.count(p) for p in range(3)] == [37, 35, 28]


@pytest.fixture
def pair(Bench, echo):
    """Return a bench whose web pod calls four app pods in P0 and two in P1."""
    policy = Policy(
        outlier_detection=OutlierDetection(max_ejection_percent=100),
        retry=Retry(attempts=0),
        load_balancer="ROUND_ROBIN",
    )
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}], workers=100), "app": echo()},
        policies={"app": policy}, zones={"app": ["eu/a"] * 6},
    )  # fmt: skip
    bench.client = bench.proxy_of(bench.pods["web"][0])
    bench.push(bench.client, "app", priorities=[0, 0, 0, 0, 1, 1], now=0.0)
    return bench


def loads(bench):
    upstream = int(bench.world.upstream_of[bench.client, bench.service("app")])
    return bench.world.priorities[upstream].load.tolist()[:2]


def eject(bench, pod, now):
    slot = bench.slot(bench.client, "app", bench.pods["app"][pod])
    slot.ejected = 1
    health_changed(bench.world, int(bench.world.upstream_of[bench.client, bench.service("app")]), now)


def test_the_first_change_of_health_after_a_quiet_second_applies_at_once(pair):
    pair.run(5.0)
    eject(pair, 0, 5.0)
    eject_one = loads(pair)
    assert eject_one == [100, 0]  # 3 of 4: floor(140·3/4) = 105
    upstream = pair.upstream(pair.client, "app")
    assert upstream.refreshed == 5.0
    assert upstream.refresh_due == 0


def test_further_changes_are_merged_one_second_after_the_first_that_had_to_wait(pair):
    # Envoy starts the timer when a change has to wait (cluster_manager_impl.cc, scheduleUpdate): 5.0 applies at
    # once, 5.4 waits until 6.4. Measured (od_merge_window): applied 1.0 s after the second ejection, not the first.
    pair.run(5.0)
    eject(pair, 0, 5.0)
    eject(pair, 1, 5.4)
    eject(pair, 2, 5.6)
    pair.run(6.39)
    assert loads(pair) == [100, 0]
    pair.run(6.41)
    assert loads(pair) == [35, 65]


def test_a_change_of_members_applies_what_was_waiting(pair):
    pair.run(5.0)
    eject(pair, 0, 5.0)
    eject(pair, 1, 5.4)
    hosts = pair.pods["app"][:5]
    pair.push(pair.client, "app", hosts=hosts, priorities=[0, 0, 0, 0, 1], now=5.5)
    assert loads(pair) == [70, 30]  # 2 of 4, 1 of 1


@pytest.mark.parametrize(("percent", "least", "most"), [(100, 180, 320), (50, 480, 720), (10, 1199, 1200)])
def test_failover_needs_ejections_up_to_100_percent(Bench, echo, fail, percent, least, most):
    # Spec §2.10: three failing P0 hosts, one good P1 host, 100 requests/s for 12 s. Envoy: 251, half, all.
    detection = OutlierDetection(max_ejection_percent=percent, interval=2.0, base_ejection_time=4.0)
    policy = Policy(outlier_detection=detection, retry=Retry(attempts=0))
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}], workers=100), "app": echo()},
        policies={"app": policy}, zones={"app": ["eu/a"] * 3 + ["us/a"]},
    )  # fmt: skip
    bench.push(bench.proxy_of(bench.pods["web"][0]), "app", priorities=[0, 0, 0, 1])
    fail(bench, *bench.pods["app"][:3])
    bench.paced(100)
    bench.run(12.0)
    calls = bench.calls("app", "web")
    assert least <= calls[503, ""] <= most, calls


def test_equal_weights_within_a_priority_are_not_scheduled_by_deadlines(Bench, echo):
    # Envoy decides per priority (EdfLoadBalancerBase::refresh): two local pods and a gateway of weight 3 in P1.
    bench = Bench({"web": echo(script=[{"call": "app/GET"}]), "app": echo()}, zones={"app": ["eu/a"] * 2 + ["us/a"]})
    client = bench.proxy_of(bench.pods["web"][0])
    bench.push(client, "app", priorities=[0, 0, 1], weights=[1, 1, 3])
    bench.paced(1000)
    bench.run(10.0)
    # LEAST_REQUEST between two equal idle hosts is a fair coin (spread of 10 000: ±50); deadlines would alternate.
    one, other, remote = bench.served("app")
    assert remote == 0
    assert 1 < abs(one - other) < 400
