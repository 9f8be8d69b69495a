"""Load balancers of one's own in other processes."""

from __future__ import annotations

import json

import pytest

import meshsim
from meshsim.errors import ScenarioError
from meshsim.experiment.engines import _perform_words
from meshsim.experiment.shipping import packed, unpack
from meshsim.experiment.units import Unit
from meshsim.experiment.work import task
from meshsim.scenario import own_balancers
from tests.own_balancers import registered


@pytest.fixture(autouse=True)
def own():
    with registered():
        yield


class Unsendable:
    def __repr__(self) -> str:
        return "Unsendable()"

    def __reduce__(self) -> str:
        raise TypeError


UNSENDABLE = Unsendable()


def one_too_many(active):
    return len(active)


def own_scenario(simple: str) -> meshsim.Scenario:
    rule = {
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "catalog"},
        "spec": {"host": "catalog", "trafficPolicy": {"loadBalancer": {"simple": simple}}},
    }  # fmt: skip
    return meshsim.load({
        "name": "own", "regions": {"eu": {"zones": ["a"]}}, "clusters": {"eu-1": {"region": "eu"}},
        "services": {
            "frontend": {"workers": 100, "endpoints": {"GET /": {"script": [{"call": "catalog/list"}]}}},
            "catalog": {"replicas": 5, "endpoints": {"list": {"script": [{"compute": {"exponential": "200ms"}}]}}},
        },
        "istio": [rule], "load": {"frontend": {"rate": "20/s"}}, "deployments": ["multi-primary"],
        "duration": "12s", "warm_up": "2s",
    })  # fmt: skip


def test_only_what_a_scenario_names_is_sent() -> None:
    sent = packed(['{"simple": "LEAST_OF_ALL"}', "x=OUR_RANDOM"])
    assert {words.split(" ")[0] for words in sent} == {"LEAST_OF_ALL", "OUR_RANDOM"}
    assert packed(['{"simple": "RANDOM"}']) == ()


def test_what_was_sent_is_registered_where_it_arrives_with_the_same_hash() -> None:
    before = own_balancers.find("LEAST_OF_ALL")
    sent = packed(["LEAST_OF_ALL"])
    own_balancers.forget("LEAST_OF_ALL")
    unpack(sent)
    found = own_balancers.find("LEAST_OF_ALL")
    assert found is not None
    assert found.hash == before.hash
    assert found.choose([2, 0, 1], 0.0) == 1
    unpack(sent)
    assert own_balancers.find("LEAST_OF_ALL") is found  # so that nothing is compiled twice


def test_a_function_that_cannot_be_sent_is_told_where_it_is_missing_and_not_where_it_is() -> None:
    with registered(LOCKED=lambda active: len(active) - 1 if UNSENDABLE else 0):
        sent = packed(["LOCKED"])
        unpack(sent)
    with pytest.raises(ScenarioError, match=r"^load balancer LOCKED: uses what cannot be sent to other processes"):
        unpack(sent)


def test_a_module_that_a_worker_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = packed(["LEAST_OF_ALL"])
    own_balancers.forget("LEAST_OF_ALL")
    monkeypatch.setitem(__import__("sys").modules, "tests.own_balancers", None)
    with pytest.raises(ScenarioError, match=r"^load balancer LEAST_OF_ALL: a worker lacks .*own_balancers"):
        unpack(sent)


def test_the_same_rule_as_istios_gives_the_same_numbers_to_the_last_bit() -> None:
    ours, istios = (
        meshsim.run(own_scenario(name), "multi-primary", replications=1)
        for name in ("OUR_LEAST_REQUEST", "LEAST_REQUEST")
    )
    for name, table in istios.tables.items():
        assert ours.tables[name].equals(table), name
    assert set(ours.manifest["load_balancers"]) == {"OUR_LEAST_REQUEST"}
    assert istios.manifest["load_balancers"] == {}
    other = meshsim.run(own_scenario("LEAST_OF_ALL"), "multi-primary", replications=1)
    assert not other.tables["requests"].equals(istios.tables["requests"])


def test_a_task_that_goes_as_words_brings_its_balancer_along() -> None:
    words = json.dumps(task(own_scenario("LEAST_OF_ALL"), Unit("multi-primary", 0)))
    own_balancers.forget("LEAST_OF_ALL")
    assert _perform_words(words).calls > 0
    assert own_balancers.find("LEAST_OF_ALL") is not None


@pytest.mark.slow
def test_processes_of_this_machine_compute_with_a_function_that_is_in_no_module() -> None:
    def most_busy(active, u1):
        best = int(u1 * len(active))
        for other in range(len(active)):
            if active[other] > active[best]:
                best = other
        return best

    with registered(MOST_BUSY=most_busy):
        here, there = (
            meshsim.run(own_scenario("MOST_BUSY"), "multi-primary", replications=2, jobs=jobs) for jobs in (1, 2)
        )
    for name, table in here.tables.items():
        assert there.tables[name].equals(table), name


def test_a_mistake_in_a_balancer_ends_the_run_with_its_name() -> None:
    with (
        registered(WRONG=one_too_many),
        pytest.raises(ScenarioError, match=r"load balancer WRONG: returned 5 when it had to choose one of 5 hosts"),
    ):
        meshsim.run(own_scenario("WRONG"), "multi-primary", replications=1)


def test_a_mistake_ends_the_run_at_once_and_is_told_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshsim.dataplane.plane.EVENTS_A_CALL", 1)
    with registered(WRONG=one_too_many):
        simulation = meshsim.Simulation(own_scenario("WRONG"), "multi-primary")
        with pytest.raises(ScenarioError, match=r"load balancer WRONG: returned 5 .* at 0\.\d+ s$") as told:
            simulation.run()
    clock = simulation.mesh.plane.world.clock[0]
    assert str(told.value).endswith(f" at {float(clock.now):g} s")
    assert clock.now == clock.own_at
