from __future__ import annotations

import pytest

from meshsim.mesh.calls import MAX_DEPTH, calls, calls_per_entry, entry_mix, service_graph_problems, visits
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document


def document(services, load=None):
    return Document.model_validate({**EXAMPLE, "services": services, "load": load or {"web": {"rate": "1/s"}}})


def service(*script, **fields):
    return {"endpoints": {"do": {"script": list(script)}}, **fields}


def test_lists_within_scripts_alternate_between_at_once_and_in_order():
    script = [
        {"call": "a/do"},
        [{"call": "b/do"}, [{"call": "c/do"}, {"call": "d/do"}], {"compute": "1ms"}],
    ]
    leaves = {name: service() for name in "abcd"}
    found = calls(document({"web": service(*script), **leaves}))
    assert [(call.callee[0], call.at_once) for call in found] == [("a", False), ("b", True), ("c", False), ("d", False)]


def test_calls_of_a_workload_carry_its_name_and_place():
    own = {"endpoints": {"script": {"script": [[{"call": "db/do"}]]}}}
    web = {"endpoints": {"script": {}}, "workloads": {"v1": {}, "v2": own}}
    (call,) = calls(document({"web": web, "db": service()}))
    assert (call.workload, call.at_once) == ("v2", True)
    assert call.path == ("services", "web", "workloads", "v2", "endpoints", "script", "script", 0, 0)


def test_visits_multiply_counts_and_probabilities_along_the_calls():
    services = {
        "web": service({"call": "a/do", "count": 3.0, "probability": 0.5}, {"call": "b/do"}),
        "a": service({"call": "b/do", "count": 1.6}),
        "b": service(),
    }
    assert calls_per_entry(document(services))["web"] == pytest.approx({"web": 1, "a": 1.5, "b": 1 + 1.5 * 1.6})


def test_workloads_count_by_their_pods():
    own = {"endpoints": {"do": {"script": [{"call": "db/do"}]}}}
    web = service(workloads={"v1": {"replicas": 1}, "v2": {"replicas": 3, **own}})
    assert calls_per_entry(document({"web": web, "db": service()}))["web"]["db"] == 0.75


def test_call_cycles_converge():
    web = service({"call": "web/do", "probability": 0.5})
    assert calls_per_entry(document({"web": web}))["web"]["web"] == pytest.approx(2)


def test_calls_without_end_are_counted_down_to_the_depth_limit():
    web = service({"call": "web/do"})
    assert visits(document({"web": web}), {("web", "do"): 1.0}) == {("web", "do"): 1.0 + MAX_DEPTH}


def test_actions_weigh_each_of_their_requests():
    web = {"endpoints": {"a": {}, "b": {}, "c": {}}}
    actions = {"x": {"weight": 3.0, "requests": ["a", "b", "a"]}, "y": {"requests": ["b"]}}
    load = {"shop": {"service": "web", "rate": "1/s", "actions": actions}}
    assert entry_mix(document({"web": web}, load), "shop") == {("web", "a"): 0.6, ("web", "b"): 0.4}


def test_problems_of_the_service_graph_are_those_the_scenario_is_checked_for():
    services = {"web": service({"call": "carts/do"}), "cart": service(), "loop": service({"call": "loop/do"})}
    assert [message for _, message in service_graph_problems(document(services))] == [
        "unknown service 'carts'; did you mean 'cart'? (one of cart, loop, web)",
        "a request would never end: loop/do → loop/do, each with probability 1",
        "no load reaches the service 'cart'",
        "no load reaches the service 'loop'",
    ]
