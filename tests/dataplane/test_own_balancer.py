from __future__ import annotations

import numba
import numpy as np
import pytest

from meshsim.dataplane import own_balancer, state
from meshsim.dataplane.load_balancing import BALANCERS, OWN, lower
from meshsim.errors import ScenarioError
from meshsim.scenario import own_balancers
from meshsim.scenario.istio.policy import Policy
from tests.dataplane.hosts import Hosts
from tests.own_balancers import registered

COMPILED = not numba.config.DISABLE_JIT


def first_host(active):
    return 0 * len(active)


def one_too_many(active):
    return len(active)


def below(active):
    return -len(active)


def divides(active):
    return len(active) // active[0]


def reads_beyond(active):
    return active[len(active)]


def returns_text(active):
    return "host"


@pytest.fixture(autouse=True, scope="module")
def own():
    with registered(
        FIRST=first_host, TOO_MANY=one_too_many, BELOW=below, DIVIDES=divides, BEYOND=reads_beyond, TEXT=returns_text
    ):
        yield


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("OUR_LEAST_REQUEST", "LEAST_REQUEST"), ("OUR_ROUND_ROBIN", "ROUND_ROBIN"), ("OUR_RANDOM", "RANDOM")],
)
def test_the_same_rule_written_from_outside_picks_the_same_hosts(ours, theirs):
    rng = np.random.default_rng(3)
    pair = [Hosts(7, balancer=name, threads=2) for name in (ours, theirs)]
    for n in range(300):
        draws, pod, active = rng.random(3).tolist(), int(rng.integers(7)), int(rng.integers(4))
        for hosts in pair:
            hosts.slot(pod).active = active
        ours_picked, theirs_picked = (hosts.choose(*draws, worker=n % 2) for hosts in pair)
        assert ours_picked == theirs_picked


def test_active_requests_stand_in_the_order_of_the_places():
    hosts = Hosts(4, balancer="LEAST_OF_ALL")
    for pod, active in enumerate([3, 1, 0, 2]):
        hosts.slot(pod).active = active
    assert {hosts.choose(0.5, u) for u in (0.0, 0.3, 0.6, 0.9)} == {2}
    hosts.set_health(2, 1, 5.0)
    assert {hosts.choose(0.5, u) for u in (0.0, 0.3, 0.6, 0.9)} == {1}


def test_memory_is_each_worker_threads_own_and_outlives_a_change_of_hosts():
    hosts = Hosts(3, balancer="OUR_ROUND_ROBIN", threads=2)
    before = [int(row.next) for row in hosts.w.balancers[:2]]
    for _ in range(4):
        hosts.choose(worker=0)
    hosts.push({}, {}, now=1.0)
    hosts.choose(worker=0)
    assert [int(row.next) for row in hosts.w.balancers[:2]] == [before[0] + 5, before[1]]


@pytest.mark.parametrize(("balancer", "answer"), [("TOO_MANY", 3), ("BELOW", -3)])
def test_a_place_that_is_none_is_noted_and_ends_the_run(balancer, answer):
    hosts = Hosts(3, balancer=balancer)
    hosts.choose()
    with pytest.raises(
        ScenarioError, match=f"^load balancer {balancer}: returned {answer} when it had to choose one of 3"
    ):
        own_balancer.check(hosts.w.clock[0])


@pytest.mark.skipif(not COMPILED, reason="the exception itself is raised where nothing is compiled")
@pytest.mark.parametrize("balancer", ["DIVIDES", "BEYOND"])
def test_a_mistake_in_the_function_harms_nothing_and_ends_the_run(balancer):
    hosts = Hosts(3, balancer=balancer)
    hosts.choose()
    with pytest.raises(ScenarioError, match=f"load balancer {balancer}: raised an exception"):
        own_balancer.check(hosts.w.clock[0])


def test_nothing_is_noted_while_all_is_well():
    hosts = Hosts(3, balancer="FIRST")
    assert set(hosts.picks(50)) == {0}
    own_balancer.check(hosts.w.clock[0])


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_what_cannot_be_compiled_is_told_with_the_reason():
    with pytest.raises(ScenarioError, match=r"^load balancer TEXT: cannot be compiled: .*whole number"):
        own_balancer.address_of(own_balancers.find("TEXT"))


def test_machine_code_is_made_once():
    found = own_balancers.find("FIRST")
    assert own_balancer.address_of(found) == own_balancer.address_of(found) != 0


def test_a_policy_that_names_one_is_lowered_to_its_address():
    row = state.records("policies", 1)[0]
    lower(row, Policy(load_balancer="FIRST"))
    assert (row.balancer, row.own_balancer) == (OWN, own_balancer.address_of(own_balancers.find("FIRST")))
    lower(row, Policy(load_balancer="RANDOM"))
    assert (row.balancer, row.own_balancer) == (BALANCERS["RANDOM"], 0)
