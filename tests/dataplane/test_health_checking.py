from __future__ import annotations

import pytest

from meshsim.dataplane import state
from meshsim.dataplane.health_checking import lower
from meshsim.dataplane.outlier_detection import report
from tests.dataplane.hosts import Hosts


def checked(count, *, half=0.01, **fields):
    """Return hosts that are checked every half second, with a timeout of 0.3 s, over links of ``half`` seconds."""
    policy = {
        "checks": 1, "check_interval": 0.5, "check_timeout": 0.3, "unhealthy_after": 2, "healthy_after": 2,
        "merge_window": 0.0, "interval": 10.0,
    }  # fmt: skip
    hosts = Hosts(**{"balancer": "ROUND_ROBIN", **policy, **fields})
    hosts.w.links[0, 0].half = half
    hosts.push(*({} for _ in range(count)))
    return hosts


def changes(hosts, until, pod=0, step=0.01):
    """Run, and return when the host's health changed, seconds."""
    found, before = [], int(hosts.slot(pod).failing)
    for number in range(int(until / step)):
        hosts.fire(number * step)
        if hosts.slot(pod).failing != before:
            before = int(hosts.slot(pod).failing)
            found.append(pytest.approx(number * step, abs=2 * step))
    return found


def test_a_well_host_is_checked_at_once_and_every_interval_after_the_answer():
    hosts = checked(1)
    fired = [round(time, 3) for time, _ in hosts.fire(1.2)]
    assert fired == [0.0, 0.01, 0.02, 0.52, 0.53, 0.54, 1.04, 1.05, 1.06]
    assert (hosts.slot(0).failing, hosts.slot(0).streak) == (0, 3)


def test_a_bad_answer_makes_a_host_unhealthy_at_once_and_it_needs_its_threshold_to_come_back():
    # A response other than 200 does not wait for the unhealthy threshold (health_checker_base_impl.cc setUnhealthy).
    hosts = checked(2)
    hosts.fire(0.9)
    hosts.w.pods[0].check_fails = 1
    assert changes(hosts, 2.0) == [1.06]
    assert set(hosts.picks(6)) == {1}
    hosts.w.pods[0].check_fails = 0
    # Checks come 0.52 s apart: the second good answer after 2 s is at 2.62.
    assert changes(hosts, 4.0) == [2.62]


@pytest.mark.parametrize(("threshold", "expected"), [(1, 1.34), (2, 2.14), (3, 2.94)])
def test_no_answer_counts_to_the_threshold_at_the_timeout(threshold, expected):
    hosts = checked(2, unhealthy_after=threshold)
    hosts.fire(0.9)
    hosts.w.pods[0].state = state.SILENT
    # Sent at 1.04, at the host 1.05 and never answered; timeouts are 0.8 s apart.
    assert changes(hosts, 5.0) == [pytest.approx(expected, abs=0.03)]


def test_a_refused_connection_counts_to_the_threshold():
    hosts = checked(2, unhealthy_after=2)
    hosts.fire(0.9)
    hosts.w.pods[0].state = state.GONE
    assert changes(hosts, 5.0) == [1.58]


def test_a_cut_link_is_no_answer():
    hosts = checked(1, unhealthy_after=1)
    hosts.fire(0.9)
    hosts.w.links[0, 0].cut = 1
    assert changes(hosts, 5.0) == [1.34]


def test_a_link_that_is_slower_than_the_timeout_is_no_answer():
    assert changes(checked(1, half=0.2), 2.0) == [0.3]


def test_the_first_result_decides_alone():
    hosts = checked(1, unhealthy_after=3)
    hosts.w.pods[0].state = state.GONE
    assert changes(hosts, 1.0) == [0.02]


def test_a_host_that_joins_later_is_used_when_its_first_check_has_passed():
    hosts = checked(1)
    hosts.fire(5.0)
    hosts.push({}, {}, now=5.0)
    assert set(hosts.picks(4)) == {0}
    hosts.fire(5.1)
    assert set(hosts.picks(4)) == {0, 1}


def test_checks_end_with_the_host():
    hosts = checked(2)
    hosts.fire(1.0)
    hosts.push({}, now=1.0)
    hosts.fire(3.0)
    assert hosts.w.clock[0].scheduled == 1
    hosts.w.proxies[0].alive = 0
    hosts.fire(5.0)
    assert hosts.w.clock[0].scheduled == 0


def test_a_host_that_comes_back_to_the_list_is_checked_by_one_chain_of_checks():
    hosts = checked(2)
    hosts.push({}, now=0.005)
    hosts.push({}, {}, now=0.006)
    hosts.fire(3.0)
    assert hosts.w.clock[0].scheduled == 2


def test_a_good_check_ends_an_ejection():
    # Envoy's successful_active_health_check_uneject_host, on by default.
    hosts = checked(2, detects=1, errors=1, max_ejected=100, base_ejection=30.0, max_ejection=300.0)
    hosts.fire(0.9)
    report(hosts.w, 0, hosts.number(0), 0.9, 503, 0)
    assert hosts.slot(0).ejected == 1
    hosts.fire(1.2)
    assert (hosts.slot(0).ejected, hosts.up.ejected) == (0, 0)


def test_checks_fail_over_to_the_next_priority_and_back():
    # prio_healthcheck, without a merge window: all three P0 hosts fail from 4 to 9 s.
    hosts = checked(0)
    hosts.push(*({"priority": int(pod > 2)} for pod in range(6)))
    for number in range(1400):
        now = number / 100
        for pod in range(3):
            hosts.w.pods[pod].check_fails = int(4.0 <= now < 9.0)
        hosts.fire(now)
        if now in {3.9, 4.6, 8.9, 9.4, 10.3}:
            assert hosts.loads == ([0, 100] if 4.6 <= now <= 9.4 else [100, 0]), now


def test_no_checks_cost_no_events():
    hosts = Hosts(3)
    assert hosts.w.clock[0].scheduled == 0
    row = state.records("policies", 1)[0]
    lower(row)
    assert row.checks == 0
    lower(row, interval=0.5, timeout=0.3, unhealthy=3, healthy=1)
    assert (row.checks, row.check_interval, row.unhealthy_after, row.healthy_after) == (1, 0.5, 3, 1)
