from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane.weighted_queue import base_of, fill, weight_of
from tests.dataplane.hosts import Hosts


@pytest.fixture
def queue():
    """Return a function that builds hosts of some weights, queued as if no pick had been made."""

    def built(weights, **policy):
        hosts = Hosts(**{"balancer": "ROUND_ROBIN", **policy})
        hosts.push(*({"weight": weight} for weight in weights))
        fill(hosts.w, hosts.up, hosts.policy, 0, base_of(hosts.up, 0, 0), 0, len(weights), 0, 0.0)
        return hosts

    return built


def test_the_earliest_deadline_is_picked_and_queued_again_one_over_its_weight_later(queue):
    # Deadlines: weight 2: 0.5, 1.0, 1.5, …; weight 1: 1, 2, …; at 1.0 host 1 was queued first, and so on (spec §2.3).
    assert queue([2, 1]).picks(6) == [0, 1, 0, 0, 1, 0]


def test_equal_deadlines_go_by_who_was_queued_first(queue):
    assert queue([1, 1, 1, 2]).picks(5) == [3, 0, 1, 2, 3]


@pytest.mark.parametrize("weights", [[3, 1], [1, 2, 3], [10, 5, 5, 4], [5, 1, 1, 2], [250, 1, 250]])
def test_weighted_round_robin_is_exactly_periodic(weights):
    # Recipe 1 of the measured outcomes (lb_wrr): strictly periodic, with the sum of the weights as its period.
    period = sum(weights)
    for seed in range(1, 6):
        hosts = Hosts(balancer="ROUND_ROBIN", seed=seed)
        hosts.push(*({"weight": weight} for weight in weights))
        picked = hosts.picks(4 * period)
        assert picked == picked[:period] * 4
        assert np.bincount(picked[:period], minlength=len(weights)).tolist() == weights


def test_the_weight_is_read_when_the_host_is_queued_again(queue):
    hosts = queue([2, 1], balancer="LEAST_REQUEST", bias=1.0)
    hosts.slot(0).active = 3
    assert hosts.choose() == 0
    # Host 0: 0.5 + (3 + 1) / 2 = 2.5, so host 1 goes at 1.0 and 2.0 before it.
    assert [hosts.choose() for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize(("bias", "weight"), [(0.0, 6.0), (1.0, 2.0), (2.0, 6.0 / 9.0), (0.5, 6.0 / 3.0**0.5)])
def test_active_requests_lower_the_weight_by_a_power(queue, bias, weight):
    hosts = queue([6, 1], bias=bias)
    hosts.slot(0).active = 2
    assert weight_of(hosts.w, hosts.up, hosts.policy, hosts.number(0), 0.0) == pytest.approx(weight)


@pytest.mark.parametrize("picks", [1, 5, 7, 1000, 2**32 - 1])
def test_picks_made_beforehand_start_the_period_elsewhere(queue, picks):
    hosts = queue([1, 2, 4])
    fill(hosts.w, hosts.up, hosts.policy, 0, 0, 0, 3, picks, 0.0)
    picked = hosts.picks(21)
    assert np.bincount(picked).tolist() == [3, 6, 12]


def test_picks_made_beforehand_are_the_picks_that_would_have_been_made(queue):
    for picks in range(15):
        hosts, other = queue([1, 2, 4]), queue([1, 2, 4])
        other.picks(picks)
        fill(hosts.w, hosts.up, hosts.policy, 0, 0, 0, 3, picks, 0.0)
        assert np.bincount(hosts.picks(7), minlength=3).tolist() == np.bincount(other.picks(7), minlength=3).tolist()


def test_threads_and_proxies_begin_at_different_places():
    starts = set()
    for seed in range(8):
        hosts = Hosts(balancer="ROUND_ROBIN", threads=2, seed=seed + 1)
        hosts.push(*({"weight": weight} for weight in (1, 2, 4)))
        starts |= {tuple(hosts.picks(7, worker=worker)) for worker in range(2)}
    assert len(starts) > 3
