"""Changes of configuration: who takes what when, which configurations there can be, and what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from meshsim.errors import ScenarioError
from meshsim.mesh.deployment import control_planes
from meshsim.scenario import load
from meshsim.scenario.changes import configurations, planned, read, resource_paths
from meshsim.scenario.scenario import EXAMPLE

SERVICES = {
    "web": {"endpoints": {"GET": {"script": [{"call": "cart/GET"}]}}},
    "cart": {"endpoints": {"GET": {"script": []}}, "workloads": {"cart-v1": {}, "cart-v2": {}}},
}
THREE = {
    **EXAMPLE,
    "services": SERVICES,
    "load": {"web": {"rate": "1/s"}},
    "clusters": {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}, "us-1": {"region": "us"}},
    "regions": {"eu": {"zones": ["a"]}, "us": {"zones": ["a"]}},
    "deployments": ["multi-primary", "primary-remote"],
}


def virtual_service(name="cart", host="cart", subset=None, to="cart", **rule):
    destination = {"host": to, **({"subset": subset} if subset else {})}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": [host], "http": [{"route": [{"destination": destination}], **rule}]},
    }


def destination_rule(name="cart", subsets=("v1", "v2"), **spec):
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name},
        "spec": {"host": "cart", "subsets": [{"name": one, "labels": {"version": one}} for one in subsets], **spec},
    }


def change(*apply, start="10s", **fields):
    return {"event": "config_change", "start": start, "apply": list(apply), **fields}


def scenario(*timeline, istio=()):
    return {**THREE, "istio": list(istio), "timeline": list(timeline)}


def loaded(*timeline, istio=()):
    return load(scenario(*timeline, istio=istio), planes=control_planes)


def known(found, deployments=("multi-primary", "primary-remote")):
    plans = [planned(found.document, control_planes(found.document, name)) for name in deployments]
    return configurations(found.document, plans)


def steps(found, deployment="multi-primary"):
    plan = planned(found.document, control_planes(found.document, deployment))
    return [(one.time, one.control_plane, one.change, one.applied) for one in plan]


# --- who takes what when --------------------------------------------------------------------------------------


def test_every_control_plane_takes_a_change_at_once_by_default():
    found = loaded(change(virtual_service()))
    assert steps(found) == [(10.0, name, 0, True) for name in ("eu-1", "eu-2", "us-1")]
    assert steps(found, "primary-remote") == [(10.0, "eu-1", 0, True)]


def test_a_staggered_change_comes_to_one_control_plane_after_the_other_and_is_taken_back_so():
    found = loaded(change(virtual_service(), stagger="20s", duration="30s"))
    assert [one[:2] + one[3:] for one in steps(found)] == [
        (10.0, "eu-1", True), (30.0, "eu-2", True), (40.0, "eu-1", False), (50.0, "us-1", True),
        (60.0, "eu-2", False), (80.0, "us-1", False),
    ]  # fmt: skip


def test_a_target_leaves_control_planes_out_and_the_stagger_counts_those_selected():
    found = loaded(change(virtual_service(), target={"cluster": "*-1"}, stagger="5s"))
    assert [one[:2] for one in steps(found)] == [(10.0, "eu-1"), (15.0, "us-1")]


def test_what_would_happen_after_the_run_does_not():
    found = loaded(change(virtual_service(), start="4m50s", stagger="8s", duration="5s"))
    assert [one[:2] for one in steps(found)] == [(290.0, "eu-1"), (295.0, "eu-1"), (298.0, "eu-2")]


def test_of_two_changes_at_one_instant_the_end_of_the_first_goes_first():
    found = loaded(
        change(virtual_service(), duration="10s"), change(virtual_service(timeout="1s"), start="20s")
    )  # fmt: skip
    assert [one[2:] for one in steps(found, "primary-remote")] == [(0, True), (0, False), (1, True)]


# --- which configurations there can be ----------------------------------------------------------------------


def test_without_changes_there_is_one_configuration():
    found = known(loaded())
    assert (found.paths, found.number([])) == (((),), 0)


def test_a_configuration_is_what_the_first_changes_of_a_plan_make():
    found = known(
        loaded(
            change(virtual_service()),
            change(destination_rule(), start="20s", duration="10s"),
            change(destination_rule(subsets=["v1"]), start="25s", target={"cluster": "us-1"}),
        )
    )
    assert found.events == ((), (0,), (0, 1), (0, 1, 2))
    assert [found.number(applied) for applied in ([], [0], [0, 1], [0, 1, 2], [0, 2])] == [0, 1, 2, 3, 3]
    with pytest.raises(KeyError):
        found.number([1])


def test_changes_that_make_the_same_are_one_configuration():
    found = known(
        loaded(
            change(virtual_service(timeout="1s"), duration="10s", repeat={"every": "20s"}),
            change(virtual_service(timeout="1s"), start="290s"),
        )
    )
    assert len(found.paths) == 2
    assert found.number([0]) == found.number([5]) == 1


def test_what_is_applied_again_counts_from_then_on():
    one, other = virtual_service(timeout="1s"), virtual_service(timeout="2s")
    found = known(loaded(change(one), change(other, start="20s"), change(one, start="30s")))
    assert found.number([0]) == found.number([0, 1, 2]) == 1
    assert found.number([0, 1]) == 2


def test_overlapping_repetitions_are_each_taken_back_for_themselves():
    found = known(loaded(change(virtual_service(), duration="30s", repeat={"every": "20s", "times": 2})))
    assert [found.number(applied) for applied in ([0], [0, 1], [1], [])] == [1, 1, 1, 0]


@pytest.mark.slow
def test_thousands_of_repetitions_are_few_configurations():
    again = {"every": "50ms"}
    found = known(loaded(change(virtual_service(), duration="5ms", repeat=again)))
    assert (len(found.paths), found.number([4_000])) == (2, 1)


def test_rejected_changes_make_no_configuration():
    found = known(loaded(change(virtual_service(), rejected=True), change(destination_rule(), start="20s")))
    assert (found.rejected, found.events) == (frozenset({0}), ((), (1,)))


# --- what a configuration consists of -----------------------------------------------------------------------


def test_a_resource_replaces_its_like_in_its_place_and_others_come_last():
    istio = [destination_rule(), virtual_service(), virtual_service("web", "web", to="web")]
    found = loaded(change(virtual_service("new", "web", to="web"), virtual_service(timeout="1s")), istio=istio)
    at = ("timeline", 0, "apply")
    assert resource_paths(found.document, [0]) == (("istio", 0), (*at, 1), ("istio", 2), (*at, 0))


def test_what_is_deleted_goes_before_anything_is_applied():
    istio = [destination_rule(), virtual_service()]
    gone = ["DestinationRule/cart", "VirtualService/default/cart"]
    found = loaded(change(destination_rule(), delete=gone), istio=istio)
    assert resource_paths(found.document, [0]) == (("timeline", 0, "apply", 0),)


def test_the_namespace_tells_resources_apart():
    other = {**virtual_service(), "metadata": {"name": "cart", "namespace": "shop"}}
    found = loaded(change(other), istio=[virtual_service()])
    assert len(resource_paths(found.document, [0])) == 2


def test_the_last_of_several_of_one_name_is_replaced_and_the_others_go():
    found = loaded(change(virtual_service(timeout="3s")), istio=[virtual_service(), virtual_service(timeout="1s")])
    assert resource_paths(found.document, [0]) == (("timeline", 0, "apply", 0),)


def test_a_taken_back_deletion_brings_the_resource_back():
    found = known(loaded(change(delete=["VirtualService/cart"], duration="10s"), istio=[virtual_service()]))
    assert found.paths == ((("istio", 0),), ())


# --- files and the resolved document ------------------------------------------------------------------------


def test_resources_of_files_are_inline_in_the_resolved_document_and_keep_their_lines(folder):
    (folder / "new.yaml").write_text("---\n" + json.dumps(virtual_service(tmeout="1s")) + "\n")
    document = json.dumps(scenario(change({"path": "new.yaml"})))
    (folder / "scenario.yaml").write_text(document)
    with pytest.raises(ScenarioError) as caught:
        load("scenario.yaml")
    assert str(caught.value).startswith("new.yaml:2: VirtualService/cart: spec.http[0].tmeout: unknown field 'tmeout'")
    (folder / "new.yaml").write_text("---\n" + json.dumps(virtual_service(timeout="1s")) + "\n")
    found = load("scenario.yaml")
    resolved = json.loads(json.dumps(found.resolved()))
    assert resolved["timeline"][0]["apply"] == [virtual_service(timeout="1s")]
    assert load(resolved) == found
    assert load(resolved).hash == found.hash
    reread, _ = read(found.document, found.root, known(found).paths[1])
    assert "new.yaml:2" in reread.virtual_services[0].http[0].source


def test_the_order_of_fields_in_an_applied_resource_does_not_change_the_hash():
    again = dict(reversed(virtual_service().items()))
    assert loaded(change(again)).hash == loaded(change(virtual_service())).hash
    assert loaded(change(virtual_service(timeout="1s"))).hash != loaded(change(virtual_service())).hash


def test_a_file_that_is_not_there_is_told_with_the_event_that_names_it():
    with pytest.raises(ScenarioError, match=r"timeline\[1\]\.apply\[0\]: no\.yaml: no such file"):
        loaded(change(virtual_service()), change({"path": "no.yaml"}))


def test_objects_of_others_are_skipped_with_a_warning():
    found = loaded(change(virtual_service(), {"apiVersion": "v1", "kind": "Pod"}))
    assert found.warnings == ("timeline[0].apply: 1 object is not of Istio and has no effect in meshsim: Pod",)
    assert len(found.document.timeline[0].apply) == 1


# --- what is wrong with them --------------------------------------------------------------------------------


def test_errors_of_all_changes_are_told_at_once_and_once():
    bad = virtual_service(timout="1s")
    with pytest.raises(ScenarioError) as caught:
        loaded(
            change(bad, stagger="5s"),
            change(destination_rule(trafficPolicy={"loadBalancer": {"simple": "ROUND_ROBBIN"}}), rejected=True),
            change({**destination_rule(), "kind": "DestinatonRule"}, start="30s"),
        )
    messages = str(caught.value).split("\n")
    assert [message.split(": ")[0] for message in messages] == [
        "VirtualService/cart", "DestinationRule/cart", "DestinatonRule/cart",
    ]  # fmt: skip


def test_errors_of_changes_stand_beside_those_of_the_document():
    broken = {**scenario(change(virtual_service(timout="1s"))), "seed": -1}
    with pytest.raises(ScenarioError) as caught:
        load(broken)
    assert [problem.path for problem in caught.value.problems] == ["seed", "VirtualService/cart: spec.http[0].timout"]


def test_an_error_of_the_mesh_configuration_is_told_once():
    with pytest.raises(ScenarioError) as caught:
        load({**scenario(change(virtual_service())), "mesh_config": {"conectTimeout": "1s"}})
    assert len(caught.value.problems) == 1


def test_a_warning_is_told_once_however_many_configurations_have_it():
    nowhere = virtual_service("shop", "shop", to="cart")
    found = loaded(change(nowhere), change(destination_rule(), start="20s"), change(virtual_service(), start="30s"))
    (warning,) = found.warnings
    assert warning.startswith("VirtualService/shop: spec.hosts: matches no service of the scenario")


def test_a_warning_of_the_first_configuration_is_not_told_again():
    first = loaded(istio=[virtual_service("shop", "shop")])
    assert loaded(change(destination_rule()), istio=[virtual_service("shop", "shop")]).warnings == first.warnings


@pytest.mark.parametrize("kind", ["Sidecar", "PeerAuthentication"])
def test_kinds_that_changes_cannot_change_are_told(kind):
    group = "security" if kind == "PeerAuthentication" else "networking"
    other = {"apiVersion": f"{group}.istio.io/v1", "kind": kind, "metadata": {"name": "one"}, "spec": {}}
    found = loaded(change(other, virtual_service()), change(delete=[f"{kind}/one"], start="20s"))
    why = "has no effect in a config_change: only DestinationRules and VirtualServices have"
    assert found.warnings == (f"{kind}/one: {why}",) * 2
    assert [len(paths) for paths in known(found).paths] == [0, 1]


def test_a_subset_that_only_a_change_leaves_undefined_is_warned_of():
    fine = [destination_rule(), virtual_service(subset="v2")]
    found = loaded(change(destination_rule(subsets=["v1"]), name="tidy up"), istio=fine)
    where = "VirtualService default/cart http[0] sends requests to subset 'v2' of cart"
    assert found.warnings == (f"{where}, which has v1 only, once 'tidy up' is applied (503 NC)",)
    assert loaded(change(virtual_service(subset="v1")), istio=fine).warnings == ()


def test_a_ring_of_calls_that_only_a_change_makes_is_refused():
    with pytest.raises(ScenarioError) as caught:
        loaded(change(virtual_service(to="web"), stagger="5s"), change(destination_rule(), start="30s"))
    assert str(caught.value) == (
        "services.web.endpoints.GET.script[0].call: a request would never end: web/GET → web/GET, "
        "each with probability 1, once timeline[0] is applied"
    )


def test_only_configurations_that_a_control_plane_comes_to_have_must_hold():
    services = {
        **SERVICES,
        "old": {"endpoints": {"GET": {"script": [{"call": "pay/GET"}]}}},
        "pay": {"endpoints": {"GET": {"script": []}}},
    }
    there, back = virtual_service(to="old"), virtual_service("pay", "pay", to="web")  # web → old → web
    apart = [change(there, target={"cluster": "eu-1"}), change(back, target={"cluster": "eu-2"})]
    text = {**scenario(*apart), "services": services, "deployments": ["multi-primary"]}
    assert len(load(text, planes=control_planes).document.timeline) == 2
    with pytest.raises(ScenarioError, match=r"once timeline\[0\] and timeline\[1\] are applied"):
        load({**text, "timeline": [change(there), change(back, target={"cluster": "eu-2"})]}, planes=control_planes)


def test_a_scenario_without_control_planes_given_is_judged_as_with_one():
    found = load(scenario(change(virtual_service())))
    assert replace(found, root=loaded(change(virtual_service())).root) == loaded(change(virtual_service()))
