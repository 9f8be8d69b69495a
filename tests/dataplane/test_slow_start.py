from __future__ import annotations

import pytest

from meshsim.dataplane.slow_start import factor
from tests.dataplane.hosts import Hosts


def hosts_of(window=10.0, minimum=0.1, aggression=1.0, **fields):
    return Hosts(balancer="ROUND_ROBIN", warmup=window, warmup_minimum=minimum, warmup_aggression=aggression, **fields)


@pytest.mark.parametrize(
    ("age", "minimum", "aggression", "expected"),
    [
        (0.0, 0.1, 1.0, 0.1),
        (0.5, 0.1, 1.0, 0.1),  # 5 % is below the minimum of 10
        (2.0, 0.1, 1.0, 0.2),
        (5.0, 0.1, 1.0, 0.5),
        (9.999, 0.1, 1.0, 0.9999),
        (10.0, 0.1, 1.0, 1.0),
        (100.0, 0.1, 1.0, 1.0),
        (2.5, 0.1, 2.0, 0.5),  # √0.25
        (2.5, 0.1, 0.5, 0.1),  # 0.25² = 0.0625
        (0.0, 0.0, 1.0, 0.0001),  # at least 1 ms of 10 s
        (1.0, 0.3, 1.0, 0.3),
    ],
)
def test_the_weight_grows_with_age(age, minimum, aggression, expected):
    assert factor(hosts_of(10.0, minimum, aggression).policy, age) == pytest.approx(expected)


def share_of_new(hosts, since, until, rate=30):
    picked = []
    for number in range(int(since * rate), int(until * rate)):
        hosts.w.clock[0].now = number / rate
        picked.append(hosts.choose())
    return picked.count(3) / len(picked)


@pytest.mark.parametrize(
    ("window", "minimum", "expected", "margin"),
    # Measured (slow_start: rr_w10_a1, rr_w5_a1_min30, rr_none): shares of a fourth host in windows of 2 s.
    [
        (10.0, 0.1, (0.0333, 0.0889, 0.1444, 0.1833, 0.2333, 0.254), 0.03),
        (5.0, 0.3, (0.0889, 0.1667, 0.2333, 0.25, 0.25, 0.2476), 0.03),
        (0.0, 0.1, (0.25, 0.25, 0.25, 0.25, 0.25, 0.25), 0.01),
    ],
)
def test_a_new_host_takes_its_share_step_by_step(window, minimum, expected, margin):
    hosts = hosts_of(window, minimum)
    hosts.push({}, {}, {})
    hosts.w.clock[0].now = 12.0
    hosts.push({}, {}, {}, {}, now=12.0)
    for number, share in enumerate(expected):
        start = 12.0 + 2.0 * number
        assert share_of_new(hosts, start, start + 2.0) == pytest.approx(share, abs=margin)


def test_hosts_that_start_together_share_alike():
    hosts = hosts_of()
    hosts.push({}, {}, {})
    picked = [hosts.choose() for _ in range(30)]
    assert [picked.count(pod) for pod in range(3)] == [10, 10, 10]


def test_a_host_that_comes_back_from_an_ejection_has_its_whole_weight_at_once():
    hosts = hosts_of(2.0)
    hosts.push({}, {})
    hosts.w.clock[0].now = 20.0
    hosts.set_health(0, 1, 20.0)
    hosts.set_health(0, 0, 30.0)
    hosts.w.clock[0].now = 30.0
    assert [hosts.choose() for _ in range(10)].count(0) == 5


def test_a_host_that_joins_unhealthy_starts_when_it_is_well():
    hosts = hosts_of(10.0)
    hosts.push({}, {}, {}, {"unhealthy": 1})
    assert hosts.slot(3).joined < 0.0
    hosts.set_health(3, 0, 20.0)
    assert hosts.slot(3).joined == 20.0
