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


def returns_a_part(active, u1):
    return u1 * len(active)


def returns_truth(active):
    return active[1] < active[0]


def finds_most_often(active):
    for place in range(len(active)):
        if active[place] == 0:
            return place
    return None


def misspelt(active):
    return np.argmim(active)


def adds_text(active):
    return len(active) + "one"


@pytest.fixture(autouse=True, scope="module")
def own():
    with registered(
        FIRST=first_host,
        TOO_MANY=one_too_many,
        BELOW=below,
        DIVIDES=divides,
        BEYOND=reads_beyond,
        TEXT=returns_text,
        PART=returns_a_part,
        TRUTH=returns_truth,
        MOSTLY=finds_most_often,
        MISSPELT=misspelt,
        ADDS_TEXT=adds_text,
        ALIAS=one_too_many,
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


@pytest.mark.parametrize("start", [0, 3])
def test_memory_of_a_locality_stays_as_it_is_when_hosts_change_even_at_0(start):
    listed = [{"locality": number % 2, "locality_weight": 1} for number in range(4)]
    hosts = Hosts(balancer="OUR_ROUND_ROBIN", locality_weighted=1)
    hosts.push(*listed)
    first = int(hosts.up.first_turn)
    assert min(hosts.w.balancers[first : first + 2].next) > 0
    hosts.w.balancers[first : first + 2].next = start
    hosts.set_health(3, 1, 5.0)
    assert list(hosts.w.balancers[first : first + 2].next) == [start, start]


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


def test_the_first_wrong_answer_is_told_with_its_time():
    hosts = Hosts(3, balancer="TOO_MANY")
    for now in (1.5, 2.5):
        hosts.w.clock[0].now = now
        hosts.choose()
        hosts.push({}, {})
    hosts.w.clock[0].now = 9.0
    with pytest.raises(ScenarioError, match=r"returned 3 .* one of 3 hosts, 0 to 2, at 1\.5 s"):
        own_balancer.check(hosts.w.clock[0])


def test_one_function_under_two_names_is_told_by_the_one_that_is_used():
    for name in ("TOO_MANY", "ALIAS"):
        hosts = Hosts(3, balancer=name)
        hosts.choose()
        with pytest.raises(ScenarioError, match=f"^load balancer {name}: returned 3"):
            own_balancer.check(hosts.w.clock[0])


def test_nothing_is_noted_while_all_is_well():
    hosts = Hosts(3, balancer="FIRST")
    assert set(hosts.picks(50)) == {0}
    own_balancer.check(hosts.w.clock[0])


@pytest.mark.parametrize("balancer", ["TEXT", "PART"])
def test_what_is_no_whole_number_is_refused_and_not_cut(balancer):
    with pytest.raises(ScenarioError, match=f"^load balancer {balancer}: returns .*, which is not a whole number"):
        Hosts(3, balancer=balancer).choose(0.5, 0.6)


def test_truth_counts_as_0_or_1():
    hosts = Hosts(2, balancer="TRUTH")
    assert hosts.choose() == 0
    hosts.slot(0).active = 1
    assert hosts.choose() == 1


def test_a_function_that_may_find_none_is_taken_as_long_as_it_finds_one():
    hosts = Hosts(2, balancer="MOSTLY")
    hosts.slot(0).active = 1
    assert hosts.choose() == 1


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize(
    ("balancer", "why"), [("MISSPELT", "argmim"), ("ADDS_TEXT", r"No implementation of .*: add\(int64, ")]
)
def test_what_cannot_be_compiled_is_told_with_the_reason(balancer, why):
    with pytest.raises(ScenarioError, match=rf"^load balancer {balancer}: cannot be compiled: .*{why}"):
        own_balancer.address_of(own_balancers.find(balancer))


@pytest.mark.parametrize(
    "message",
    [
        "Failed in nopython mode pipeline (step: x)\nFunctions cannot be values\n",
        'Functions cannot be values\nFile "a.py", line 3',
        "Failed in nopython mode pipeline (step: x)\n- of which 1\nFunctions cannot be values",
    ],
)
def test_the_reason_is_the_line_that_says_what_is_wrong_whatever_it_begins_with(message):
    assert own_balancer._reason(ValueError(message)) == "Functions cannot be values"


def test_machine_code_is_made_once():
    found = own_balancers.find("FIRST")
    assert own_balancer.address_of(found) == own_balancer.address_of(found) != 0


def test_a_policy_that_names_one_is_lowered_to_its_address():
    row = state.records("policies", 1)[0]
    lower(row, Policy(load_balancer="FIRST"))
    assert (row.balancer, row.own_balancer) == (OWN, own_balancer.address_of(own_balancers.find("FIRST")))
    lower(row, Policy(load_balancer="RANDOM"))
    assert (row.balancer, row.own_balancer) == (BALANCERS["RANDOM"], 0)
