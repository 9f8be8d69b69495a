from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from meshsim.errors import ScenarioError
from meshsim.experiment.units import Unit, key
from meshsim.scenario import load, own_balancers
from meshsim.scenario.scenario import EXAMPLE
from tests.own_balancers import least_of_all, registered

lock = threading.Lock()


@pytest.fixture(autouse=True)
def own():
    with registered():
        yield


def scenario(simple, **more):
    rule = {
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web"},
        "spec": {"host": "web", "trafficPolicy": {"loadBalancer": {"simple": simple, **more}}},
    }  # fmt: skip
    return load({**EXAMPLE, "istio": [rule]})


def test_a_destination_rule_names_one_as_it_names_istios():
    policy = scenario("LEAST_OF_ALL").resources.policy("web", "default", "1.31")
    assert policy.load_balancer == "LEAST_OF_ALL"
    assert "DestinationRule" in policy.sources["load_balancer"]


def test_an_unknown_one_is_reported_with_the_nearest_name():
    with pytest.raises(ScenarioError, match=r"'LEAST_OF_AL' is not a value.*did you mean 'LEAST_OF_ALL'\? \(one of "):
        scenario("LEAST_OF_AL")


def test_one_that_is_registered_no_longer_is_unknown():
    own_balancers.forget("LEAST_OF_ALL")
    with pytest.raises(ScenarioError, match="'LEAST_OF_ALL' is not a value of this field"):
        scenario("LEAST_OF_ALL")


def test_it_does_not_warm_up_and_the_user_is_told():
    warmup = {"warmup": {"duration": "30s"}}
    assert scenario("LEAST_OF_ALL", **warmup).resources.policy("web", "default", "1.31").warmup is None
    said = "\n".join(scenario("LEAST_OF_ALL", **warmup).warnings)
    assert "only LEAST_REQUEST and ROUND_ROBIN warm up" in said


@pytest.mark.parametrize("name", ["", "my balancer", "1ST", "UNSPECIFIED", "LEAST_REQUEST", "MAGLEV"])
def test_names_of_istios_and_what_is_no_name_are_refused(name):
    with pytest.raises(ValueError, match="load balancer"):
        own_balancers.load_balancer(name)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda active, key: 0, r"asks for key; it can have active, weights, memory, u1, u2"),
        (lambda: 0, "asks for nothing"),
        (lambda active: np.random.randint(len(active)), "draws of its own would not repeat"),  # noqa: NPY002
        (3, "3 is not a function"),
    ],
)
def test_functions_that_cannot_choose_are_refused(function, why):
    with pytest.raises(ValueError, match=f"^load balancer OURS: .*{why}"):
        own_balancers.load_balancer("OURS")(function)


def test_what_a_function_uses_has_to_be_the_same_in_every_process():
    with pytest.raises(ValueError, match=r"^load balancer OURS: <lambda> uses lock, which cannot be told"):
        own_balancers.register("OURS", lambda active: 1 if lock else 0)
    assert own_balancers.find("OURS") is None


def test_the_decorator_leaves_the_function_as_it_is():
    assert own_balancers.load_balancer("LEAST_OF_ALL")(least_of_all) is least_of_all


# --- its hash, as part of others ----------------------------------------------------------------------------------


def test_another_function_of_the_same_name_makes_another_scenario_and_other_units():
    before = scenario("LEAST_OF_ALL")
    unit = Unit("hybrid", 0)
    kept = key(before, unit)
    assert scenario("LEAST_OF_ALL").hash == before.hash
    own_balancers.register("LEAST_OF_ALL", lambda active, u1: int(u1 * len(active)))
    assert scenario("LEAST_OF_ALL").hash != before.hash
    assert key(before, unit) != kept


def test_scenarios_without_one_do_not_depend_on_what_is_registered():
    before = scenario("RANDOM").hash
    own_balancers.forget("LEAST_OF_ALL")
    assert scenario("RANDOM").hash == before


def test_the_manifest_names_what_a_scenario_uses():
    from meshsim.results.manifest import describe

    facts = {"scenario_hash": "", "seed": 1, "deployments": [], "replications_asked": 1, "replications_finished": 1}
    found = describe(scenario("LEAST_OF_ALL").resolved(), **facts, wall_time=0.0)["load_balancers"]
    assert found == {"LEAST_OF_ALL": own_balancers.find("LEAST_OF_ALL").hash}
    variants = {"variants": [{"scenario": scenario("OUR_RANDOM").resolved()}]}
    found = describe(scenario("RANDOM").resolved(), **facts, wall_time=0.0, what_if=variants)["load_balancers"]
    assert list(found) == ["OUR_RANDOM"]


def test_a_run_says_which_one_is_gone():
    own_balancers.forget("LEAST_OF_ALL")
    with pytest.raises(ScenarioError, match=r"^load balancer LEAST_OF_ALL: is not registered in this process"):
        own_balancers.get("LEAST_OF_ALL")


def test_an_installed_package_offers_one_by_an_entry_point(monkeypatch):
    asked = []

    def entry_points(group, name):
        asked.append(group)
        return [SimpleNamespace(load=lambda: least_of_all)] if name == "OF_A_PACKAGE" else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    assert scenario("OF_A_PACKAGE").resources.policy("web", "default", "1.31").load_balancer == "OF_A_PACKAGE"
    assert set(asked) == {"meshsim.load_balancers"}
    own_balancers.forget("OF_A_PACKAGE")


@pytest.mark.parametrize("problem", [ImportError("No module named 'gone'"), RuntimeError("no licence")])
def test_an_entry_point_that_cannot_be_imported_is_a_problem_of_the_file(monkeypatch, problem):
    def broken():
        raise problem

    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [SimpleNamespace(load=broken)])
    monkeypatch.setattr(own_balancers, "_offered", own_balancers._offered.__wrapped__)
    why = f"{type(problem).__name__}: {problem}"
    with pytest.raises(ScenarioError, match=f"an installed package offers it, but importing that fails: {why}"):
        scenario("OF_A_BROKEN_PACKAGE")
