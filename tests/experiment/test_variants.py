"""Variants of a deployment: run side by side with the same draws, saved and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import meshsim
from meshsim import experiment
from meshsim.engine import prepared
from meshsim.errors import ScenarioError
from meshsim.experiment import Precision, Step, Unit, Units
from meshsim.experiment.engines import Local
from meshsim.experiment.units import key
from meshsim.experiment.variants import arms
from meshsim.mesh.deployment import control_planes
from tests.experiment.conftest import TINY

TWO: dict[str, Any] = {
    **TINY,
    "services": {
        "web": {"replicas": 2, "endpoints": {"GET /": {"script": [{"compute": "2ms"}, {"call": "db/read"}]}}},
        "db": {"replicas": 2, "endpoints": {"read": {"script": [{"compute": {"exponential": "20ms"}}]}}},
    },
    "deployments": ["hybrid", "multi-primary"],
    "what_if": {
        "variants": {
            "nothing new": {"set": {"services.db.replicas": 2}},
            "five pods": {"description": "more room", "set": {"services.db.replicas": 5}},
        }
    },
}


@pytest.fixture(scope="module")
def compared() -> meshsim.Comparison:
    return meshsim.what_if(meshsim.load(TWO))


def of(comparison: meshsim.Comparison, table: str, name: str) -> Any:
    found = comparison.tables[table]
    return found[found["deployment"] == name].drop(columns="deployment").reset_index(drop=True)


# --- what is run ----------------------------------------------------------------------------------------------------


def test_the_deployment_as_it_is_comes_first_under_its_own_name(compared: meshsim.Comparison) -> None:
    assert compared.manifest["deployments"] == ["hybrid", "nothing new", "five pods"]
    assert list(compared.table().columns) == ["hybrid", "nothing new", "five pods"]
    alone = meshsim.run(meshsim.load(TWO), "hybrid")
    assert all(of(compared, table, "hybrid").equals(of(alone, table, "hybrid")) for table in compared.tables)


def test_a_variant_that_changes_nothing_gives_the_same_to_the_last_bit(compared: meshsim.Comparison) -> None:
    for table in compared.tables:
        assert of(compared, table, "nothing new").equals(of(compared, table, "hybrid")), table
    metrics = compared.metrics.set_index(["deployment", "phase", "metric", "flow"])[["mean", "half_width", "n"]]
    assert metrics.loc["nothing new"].equals(metrics.loc["hybrid"])


def test_a_variant_of_one_service_leaves_arrivals_as_they_are(compared: meshsim.Comparison) -> None:
    arrived = {
        name: of(compared, "totals", name).query("quantity == 'requests arrived'") for name in ("hybrid", "five pods")
    }
    assert arrived["hybrid"]["value"].tolist() == arrived["five pods"]["value"].tolist()
    assert not of(compared, "latency", "hybrid").equals(of(compared, "latency", "five pods"))


def test_a_variant_gives_what_the_changed_file_gives(compared: meshsim.Comparison) -> None:
    changed = meshsim.run(meshsim.load(TWO, ["services.db.replicas=5"]), "hybrid")
    for table in compared.tables:
        assert of(compared, table, "five pods").equals(of(changed, table, "hybrid")), table


def test_what_depends_on_the_scenario_is_computed_with_the_variants_own(compared: meshsim.Comparison) -> None:
    cost = compared.table().loc[("all", "cost_reserved", "all")]
    assert cost["five pods"] > cost["hybrid"] == cost["nothing new"]


def test_units_of_variants_have_the_names_of_the_scenarios_that_they_come_to() -> None:
    found = arms(meshsim.load(TWO))["five pods"]
    changed = meshsim.load({**TWO, "what_if": None}, ["services.db.replicas=5"])
    assert key(found.scenario, Unit("hybrid", 1)) == key(changed, Unit("hybrid", 1))


@pytest.mark.slow
def test_other_processes_and_kept_units_give_the_same(compared: meshsim.Comparison, tmp_path: Path) -> None:
    scenario, steps = meshsim.load(TWO), list[Step]()
    store = Units(tmp_path)
    first = experiment.run(scenario, engine=Local(2), store=store, compared=arms(scenario))
    again = experiment.run(scenario, store=store, watch=steps.append, compared=arms(scenario))
    for table in compared.tables:
        assert first.tables[table].equals(compared.tables[table])
        assert again.tables[table].equals(compared.tables[table])
    assert {step.calls for step in steps} == {0}  # all were found
    assert {step.unit for step in steps} == {
        Unit(name, number) for name in ("hybrid", "nothing new", "five pods") for number in (0, 1)
    }


def test_each_variant_is_prepared_once_for_all_its_replications(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[meshsim.Scenario] = []

    def counted(scenario: meshsim.Scenario) -> prepared.Prepared:
        found.append(scenario)
        return original(scenario)

    original = prepared.prepare
    monkeypatch.setattr(prepared, "prepare", counted)
    scenario = meshsim.load(TWO)
    experiment.run(scenario, replications=2, compared=arms(scenario))
    assert [one.document.services["db"].replicas for one in found] == [2, 2, 5]


@pytest.mark.slow
def test_progress_names_variants() -> None:
    scenario, steps = meshsim.load(TWO), list[Step]()
    experiment.run(scenario, replications=1, watch=steps.append, compared=arms(scenario))
    assert {step.unit.deployment for step in steps} == {"hybrid", "nothing new", "five pods"}


@pytest.mark.slow
def test_precision_adds_replications_of_every_variant() -> None:
    scenario = meshsim.load(TWO)
    found = experiment.run(scenario, precision=Precision(0.5, max_replications=3), compared=arms(scenario))
    assert found.manifest["replications"]["finished"] == 3
    assert found.manifest["precision"]["stopped_by"] in ("precision", "max_replications")
    assert found.tables["totals"].groupby("deployment")["replication"].nunique().tolist() == [3, 3, 3]


def test_a_comparison_of_variants_needs_some_and_takes_no_deployments() -> None:
    with pytest.raises(ScenarioError, match=r"what_if: is missing, so there are no variants"):
        arms(meshsim.load(TINY))
    with pytest.raises(ScenarioError, match=r"change it with --set what_if\.deployment=NAME"):
        arms(meshsim.load(TWO), ["hybrid"])


def test_a_variant_that_would_be_told_in_other_buckets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from meshsim.engine import simulation

    monkeypatch.setattr(simulation, "bucket_edges", lambda scenario: [scenario.document.services["db"].replicas])
    with pytest.raises(ScenarioError, match=r"what_if.variants.five pods: makes a mesh .* fewer time buckets"):
        arms(meshsim.load(TWO))


# --- what is saved ---------------------------------------------------------------------------------------------------


def test_a_saved_comparison_of_variants_is_read_with_their_own_scenarios(
    compared: meshsim.Comparison, tmp_path: Path
) -> None:
    again = meshsim.read(compared.save(tmp_path, pictures=False))
    assert again.metrics.equals(compared.metrics)
    assert again.plot.document_of("five pods").services["db"].replicas == 5
    assert again.plot.document_of("hybrid").services["db"].replicas == 2
    (plane,) = control_planes(again.plot.document_of("five pods"), "five pods")
    assert plane.home == "eu-1"
    assert (tmp_path / "tiny").exists()


def test_the_manifest_says_what_each_variant_changes(compared: meshsim.Comparison) -> None:
    said = compared.manifest["what_if"]
    assert said["deployment"] == "hybrid"
    assert [(one["name"], one["changes"], one["description"]) for one in said["variants"]] == [
        ("nothing new", ["set services.db.replicas to 2"], ""),
        ("five pods", ["set services.db.replicas to 5"], "more room"),
    ]
    assert meshsim.load(said["variants"][1]["scenario"]).hash == said["variants"][1]["scenario_hash"]
    json.dumps(compared.manifest)


@pytest.mark.slow
def test_a_plain_comparison_says_nothing_of_variants() -> None:
    found = meshsim.run(meshsim.load(TINY), "hybrid", replications=1)
    assert found.manifest["what_if"] is None
    assert found.to_json()["what_if"] is None


def test_the_table_begins_with_what_each_variant_changes(
    compared: meshsim.Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    compared.print()
    assert capsys.readouterr().out.startswith(
        "Variants of hybrid, which is shown as it is:\n  nothing new: set services.db.replicas to 2\n"
        "  five pods: set services.db.replicas to 5 (more room)\n\n"
    )
    assert [one["name"] for one in compared.to_json()["what_if"]["variants"]] == ["nothing new", "five pods"]


@pytest.mark.slow
def test_the_report_tells_variants_apart(compared: meshsim.Comparison, tmp_path: Path) -> None:
    page = compared.report(tmp_path).read_text("utf-8")
    assert "“five pods” is hybrid with: set services.db.replicas to 5 (more room)." in page
    assert "meshsim compare tiny.yaml --what-if" in page
