"""Loading: files, bundled names and dicts; a resolved scenario is the same scenario; the hash is of what is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from meshsim.errors import ScenarioError
from meshsim.scenario import bundled, describe, json_schema, load
from meshsim.scenario.scenario import EXAMPLE, document_of
from tests.service_entries import service_entry

#: Of the many in folders every tenth is among the fast tests.
BUNDLED = [
    pytest.param(name, marks=pytest.mark.slow if "/" in name and at % 10 else ()) for at, name in enumerate(bundled())
]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_scenario_is_valid_and_survives_being_resolved(name, folder):
    scenario = load(name)
    resolved = json.loads(json.dumps(scenario.resolved(), allow_nan=False))
    again = load(resolved)
    assert again == scenario
    assert again.hash == scenario.hash
    assert again.resolved() == scenario.resolved()
    (folder / "resolved.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
    assert load("resolved.yaml") == scenario


def test_a_document_read_again_has_what_service_entries_put_behind_its_services():
    entry = service_entry("web", "eu/a")
    web = {"host": "web.example.com", "endpoints": {"GET /": {}}}
    scenario = load({**EXAMPLE, "services": {"web": web}, "istio": [entry]})
    again = document_of(json.loads(json.dumps(scenario.resolved())))
    assert again == scenario.document
    assert [one.region for one in again.services["web"].entry.endpoints] == ["eu"]


def test_a_document_is_read_again_although_nobody_registered_its_load_balancer_here():
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "web"},
        "spec": {"host": "web", "trafficPolicy": {"loadBalancer": {"simple": "NOBODY_REGISTERED"}}},
    }
    with pytest.raises(ScenarioError):
        load({**EXAMPLE, "istio": [rule]})
    assert document_of({**EXAMPLE, "istio": [rule]}).istio == [rule]


def test_bundled_scenarios_are_found_from_any_folder(folder):
    name = next(iter(bundled()))
    assert load(name).document.name
    assert dict(describe())[name]


def test_a_file_of_a_bundled_name_wins(folder, base):
    name = next(iter(bundled()))
    (folder / name).write_text(base)
    assert load(name).document.name == "shop"


def test_an_unknown_bundled_name_is_told_with_the_nearest(folder):
    name = next(iter(bundled()))
    with pytest.raises(
        ScenarioError, match=f"no such file, and no bundled scenario of that name; did you mean '{name}'"
    ):
        load(name + "x")


def test_a_path_object_is_taken(folder, base):
    (folder / "scenario.yaml").write_text(base)
    assert load(Path("scenario.yaml")).file == "scenario.yaml"


@pytest.mark.parametrize("source", [None, 5, b"x", ["a"]])
def test_what_is_no_source_is_a_type_error(source):
    with pytest.raises(TypeError, match="a scenario is a file name, a bundled name or a dict, not a "):
        load(source)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ([("name: shop", "# a comment\nname:   shop")], True),
        ([("name: shop\n", ""), ("duration: 5m", "duration: 300s\nname: shop")], True),
        ([("compute: 1ms", "compute: {constant: 1000us}")], True),
        ([("duration: 5m", "duration: 5m\nseed: 1")], True),
        ([("duration: 5m", "duration: 5m\nseed: 2")], False),
        ([("p50: 5ms", "p50: 5.000001ms")], False),
        ([("multi-primary, hybrid", "hybrid, multi-primary")], False),
        ([("  us-1: {region: us, network: n2}\n", ""), ("  eu-1", "  us-1: {region: us, network: n2}\n  eu-1")], False),
    ],
)
def test_the_hash_is_of_what_the_file_says_and_not_of_how(changes, same, load_changed):
    assert (load_changed(*changes).hash == load_changed().hash) is same


def test_the_hash_has_istio_resources_in_it_wherever_they_are_written(load_changed, folder):
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "a"},
        "spec": {"host": "web"},
    }
    (folder / "rule.yaml").write_text(yaml.safe_dump(rule))
    by_file = load_changed(("duration: 5m", "duration: 5m\nistio: [{path: rule.yaml}]"))
    inline = load_changed(("duration: 5m", f"duration: 5m\nistio: [{json.dumps(dict(reversed(rule.items())))}]"))
    assert by_file.hash == inline.hash != load_changed().hash
    assert load(by_file.resolved()) == by_file


def test_problems_of_istio_resources_are_told_with_their_lines_and_those_of_the_scenario(load_changed, folder):
    rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  hst: web\n"
    (folder / "rule.yaml").write_text(rule)
    with pytest.raises(ScenarioError) as caught:
        load_changed(("duration: 5m", "duration: 5m\nistio: [{path: rule.yaml}]"), ("call: cart/", "call: crt/"))
    places = [(problem.file, problem.line) for problem in caught.value.problems]
    assert ("rule.yaml", 5) in places
    assert ("scenario.yaml", 18) in places


def test_two_scenarios_that_say_the_same_are_equal_whatever_their_files(folder, base):
    (folder / "a.yaml").write_text(base)
    (folder / "b.yaml").write_text("# b\n" + base)
    assert load("a.yaml") == load("b.yaml")
    assert load("a.yaml") != load("a.yaml", ["seed=5"])


def test_a_dict_is_told_its_problems_without_a_file():
    with pytest.raises(ScenarioError) as caught:
        load({**EXAMPLE, "duration": 5})
    assert str(caught.value) == "duration: 5 has no unit; write 5s or 5ms"


def test_loading_a_dict_leaves_it_as_it_was():
    source = {**EXAMPLE, "istio": []}
    before = json.dumps(source)
    load(source, ["seed=9"])
    assert json.dumps(source) == before


def test_the_schema_describes_every_field_and_is_json():
    schema = json_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["required"]) == {"name", "regions", "clusters", "services", "load"}
    assert json.loads(json.dumps(schema)) == schema


def test_reading_scenarios_imports_nothing_heavy():
    heavy = "numba", "numpy", "pandas", "matplotlib", "networkx", "scipy", "simpy", "pyarrow"
    code = f"import sys, meshsim.scenario; print(*(m for m in {heavy!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
