from __future__ import annotations

import json
import re

import pandas as pd
import pytest

import meshsim
from meshsim.analysis.decision import decide
from meshsim.errors import ResultsError
from meshsim.report.page.sections.cost import cost
from meshsim.report.page.sections.distributions import PICTURES
from meshsim.report.page.sections.method import method
from meshsim.report.page.sections.sensitivity import found_beside, sensitivity
from meshsim.report.page.sections.system import system
from meshsim.report.page.sections.trade_offs import CRITERIA, trade_offs
from meshsim.report.page.sections.what_happened import _bands, what_happened
from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from meshsim.results.frames import concatenate
from meshsim.scenario.scenario import EXAMPLE, load
from tests.own_balancers import registered
from tests.report import synthetic
from tests.report.page.conftest import entering


@pytest.fixture(scope="module")
def weighed(study):
    """Return the section of trade-offs, which takes a second."""
    return trade_offs(study)


def test_trade_offs_have_a_row_for_each_criterion_that_was_measured(weighed):
    table = weighed.tables[0]
    groups = list(dict.fromkeys(row.group for row in table.rows))
    assert groups == [criterion for criterion in CRITERIA if criterion in groups]
    assert {"availability", "latency", "staleness", "recovery", "control planes", "cost"} <= set(groups)
    assert [row.label for row in table.rows if row.label.startswith("latency p99")][:2] == [
        "latency p99", "latency p99, local",
    ]  # fmt: skip


def test_users_of_each_region_have_a_table_where_they_enter_in_several():
    found = {table.name: table for table in trade_offs(entering(synthetic.tables(3), ["eu-1", "us-1"])).tables}
    assert [group for group, _ in found["regions"].groups] == ["users entering in eu", "users entering in us"]
    for _, rows in found["regions"].groups:
        assert [row.label for row in rows] == ["success rate", "latency p50", "latency p99", "latency p99.9"]
        assert all("±" in cell.text for cell in rows[1].cells)
    alone = trade_offs(entering(synthetic.tables(2), ["eu-1"])).tables
    assert "regions" not in {table.name for table in alone}


def test_the_method_names_load_balancers_of_ones_own(study):
    own = Study(study.plots, {**study.manifest, "load_balancers": {"LEAST_OF_ALL": "ab" * 32}})
    rows = {row.label: row.cells[0].text for row in method(own).tables[0].rows}
    assert rows["load balancers of our own"] == f"LEAST_OF_ALL, hash {'ab' * 8}"
    assert "load balancers of our own" not in {row.label for row in method(study).tables[0].rows}


def test_scores_have_a_row_for_each_criterion_with_its_metric_and_weight_and_say_what_would_change_the_winner(
    study, weighed
):
    section = weighed
    decision = decide(study.plots.summary, study.document)
    rows = section.tables[-1].rows
    assert section.tables[-1].header == ("criterion", "metric", "weight", *study.deployments)
    assert [row.label.partition(" (")[0] for row in rows] == [*decision.criteria["criterion"], "total"]
    assert "cost (USD/month)" in {row.label for row in rows}
    assert rows[0].cells[0].text == "success_rate in during (more is better)"
    assert {len(row.cells) for row in rows} == {2 + len(study.deployments)}
    assert "Weights are equal, as the scenario gives none." in section.tables[-1].notes
    assert [figure.name for figure in section.figures] == ["scores"]
    assert any("On the Pareto front" in line for line in section.tail)


@pytest.mark.slow
def test_weights_that_the_scenario_gives_are_called_its_own():
    document = synthetic.document(decision={"criteria": {"cost": {"weight": 3}, "latency": {}}})
    two = {name: synthetic.FROZEN[name] for name in ("hybrid", "multi-primary")}
    table = trade_offs(Study(Plots(document, synthetic.tables(2, two)), {})).tables[-1]
    assert "Weights are the scenario's." in table.notes
    assert [row.cells[1].text for row in table.rows] == ["3 (75 %)", "1 (25 %)", ""]


def test_one_deployment_has_no_scores():
    section = trade_offs(Study(Plots(synthetic.document(), synthetic.tables(2, {"hybrid": ("eu-1",)})), {}))
    assert [table.name for table in section.tables] == ["trade-offs"]
    assert not section.figures
    assert not section.tail


def governed(**cluster):
    """Return a run of one deployment in which calls leave eu-1 for us-1; its first cluster has tags."""
    clusters = synthetic.document().model_dump(mode="json", exclude_defaults=True)["clusters"]
    document = synthetic.document(clusters=clusters | {"eu-1": clusters["eu-1"] | cluster})
    return Study(Plots(document, synthetic.tables(2, {"hybrid": synthetic.FROZEN["hybrid"]})), {})


def test_data_that_leaves_its_region_is_a_finding_with_counts_and_times():
    section = trade_offs(governed(data_residency=["eu"]))
    table = next(table for table in section.tables if table.name == "findings")
    assert table.caption == "Security and data residency: findings"
    assert {row.group for row in table.rows} == {"data sent outside"}
    row = next(row for row in table.rows if row.cells[0].text == "hybrid" and "“during”" in row.cells[1].text)
    assert row.label == "ingress of eu-1 → frontend of us-1"
    assert row.cells[1].text == "“during”, 1m30s to 3m10s"
    assert int(row.cells[2].text.replace(",", "")) > 1000
    assert row.cells[3].text.endswith("MB")


def test_a_shared_control_plane_is_a_finding_of_its_deployment():
    clusters = {name: {"region": name[:2], "security_domain": name} for name in synthetic.CLUSTERS}
    one = {"primary-remote": synthetic.FROZEN["primary-remote"]}
    section = trade_offs(Study(Plots(synthetic.document(clusters=clusters), synthetic.tables(2, one)), {}))
    rows = next(table for table in section.tables if table.name == "findings").rows
    shared = [row for row in rows if row.group == "shared control plane"]
    assert {row.cells[0].text for row in shared} == {"primary-remote"}
    assert {row.cells[1].text for row in rows} == {"always"}


@pytest.mark.slow
def test_tags_without_a_finding_are_said_to_have_none(weighed):
    assert any("there is no finding" in line for line in trade_offs(governed(data_residency=["eu", "us"])).lead)
    assert not any("finding" in line for line in weighed.lead)


def test_many_findings_are_cut_on_the_page_and_whole_in_a_file(monkeypatch):
    monkeypatch.setattr("meshsim.report.page.findings.LONGEST", 2)
    section = trade_offs(governed(data_residency=["eu"]))
    table = next(table for table in section.tables if table.name == "findings")
    assert len(table.rows) == 2
    assert table.notes[-1] == f"{len(section.aside[0].rows) - 2} more are in findings-all.csv beside this page."


@pytest.mark.slow
def test_the_bundled_question_finds_data_that_leaves_only_in_the_failover():
    ran = meshsim.compare(meshsim.load("scenarios/questions/eu-data-leaves-in-failover.yaml"), replications=1)
    section = trade_offs(Study(ran.plot, ran.manifest))
    rows = next(table for table in section.tables if table.name == "findings").rows
    assert {row.group for row in rows} == {"readable Secrets", "data sent outside"}
    assert not any("“before”" in row.cells[1].text for row in rows)


def test_a_dead_control_plane_is_not_praised_for_using_nothing(weighed):
    row = next(row for row in weighed.tables[0].rows if row.label.startswith("CPU of all istiods"))
    assert row.label.endswith("(whole run)")


def test_the_system_lists_every_control_plane_with_whom_it_serves(study):
    table = system(study).tables[0]
    assert [row.group for row in table.rows] == ["multi-primary"] * 3 + ["primary-remote"] + ["hybrid"] * 2
    assert table.rows[3].cells[1].text == "eu-1, eu-2, us-1"
    assert "hybrid: eu-1 serves eu-1 and eu-2" in system(study).figures[0].alt


def test_a_control_plane_that_serves_only_its_own_cluster_is_reached_by_no_other(study):
    reached = {(row.group, row.label): row.cells[-1].text for row in system(study).tables[0].rows}
    assert reached == {
        ("multi-primary", "eu-1"): "none needs to",
        ("multi-primary", "eu-2"): "none needs to",
        ("multi-primary", "us-1"): "none needs to",
        ("primary-remote", "eu-1"): "through a gateway",
        ("hybrid", "eu-1"): "through a gateway",
        ("hybrid", "us-1"): "none needs to",
    }


@pytest.mark.slow
def test_what_was_done_is_listed_with_times(study):
    section = what_happened(study)
    assert ("istiod of eu-1 is lost", "1m30s", "3m10s") in [
        (row.label, row.cells[0].text, row.cells[1].text) for row in section.tables[0].rows
    ]
    assert [figure.name for figure in section.figures] == ["timeline", "response-flags"]


def test_bands_of_two_replications_are_not_spoken_of(study):
    assert _bands(study).startswith("Bands are 95 % intervals of the means over n = 4 replications")
    for count, said in ((1, "One replication makes no interval"), (2, "An interval of two replications would fill")):
        assert _bands(Study(Plots(synthetic.document(), synthetic.tables(count)), {})).startswith(said)


def test_nothing_is_drawn_of_what_was_not_measured():
    empty = Study(Plots(synthetic.document(timeline=[]), concatenate([])), {})
    assert [figure.name for draw in PICTURES if (figure := draw(empty))] == ["latency"]
    assert [figure.name for figure in what_happened(empty).figures] == ["timeline"]
    assert not what_happened(empty).tables
    assert not cost(empty).figures


def test_warnings_that_cannot_be_read_are_said_to_be_and_why(study):
    rule = {
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web"},
        "spec": {"host": "web", "trafficPolicy": {"loadBalancer": {"simple": "LEAST_OF_ALL"}}},
    }  # fmt: skip
    scenario = {**EXAMPLE, "istio": [rule]}
    with registered():
        saved = json.loads(json.dumps(load(scenario).resolved()))
        assert Study(study.plots, {**study.manifest, "scenario": saved}).warnings == ()
    said = method(Study(study.plots, {**study.manifest, "scenario": saved})).tail[-1]
    assert said.startswith("Warning of the scenario: they could not be read: ")
    assert "LEAST_OF_ALL" in said
    made_by_hand = {name: fact for name, fact in study.manifest.items() if name != "scenario"}
    assert "manifest.json has no scenario" in method(Study(study.plots, made_by_hand)).tail[-1]


def test_the_bill_is_a_file_and_adds_up_to_the_total(study):
    section = cost(study)
    bill = section.aside[0]
    total = study.line("cost", phase="before")
    for name in study.deployments:
        paid = sum(
            float(row.cells[2].text.removesuffix(" USD").replace(",", "")) for row in bill.rows if row.group == name
        )
        assert paid == pytest.approx(total.mean(name), abs=0.01 * len(bill.rows))
    assert not re.search(r"\de[+-]?\d", bill.csv().decode())


def test_the_cost_says_that_the_services_own_pods_are_not_in_it(study):
    said = "The cost leaves out CPU and memory of the services' own pods"
    assert cost(study).lead == (f"{said}; every deployment asks for about the same number of them.",)
    metrics = study.plots.comparison
    lost = (metrics["metric"] == "desired_pods") & (metrics["deployment"] == study.deployments[0])
    for left in (metrics[~lost], metrics[metrics["metric"] != "desired_pods"]):
        plots = Plots(study.document, study.plots.tables)
        plots.__dict__["comparison"] = left
        assert cost(Study(plots, study.manifest)).lead == (f"{said}.",)


def test_without_a_study_the_command_that_makes_one_is_said(study):
    section = sensitivity(study)
    assert section.tail == ("meshsim sensitivity primary-outage --vary load.scale=0.5..2 --metric latency_p99",)
    assert not section.figures


def tornado(folder, scenario_hash="ab" * 32):
    folder.mkdir(parents=True)
    facts = {"scenario_hash": scenario_hash, "sensitivity": {"method": "tornado"}}
    (folder / "manifest.json").write_text(json.dumps(facts))
    base = {"deployment": "hybrid", "metric": "latency_p99", "base": 0.1, "half_width": 0.01, "n": 5}
    rows = [
        {**base, "field": "load.scale", "end": end, "value": value, "difference": difference}
        for end, value, difference in (("low", "0.5", -0.02), ("high", "2", 0.05))
    ]
    pd.DataFrame(rows).to_parquet(folder / "sensitivity.parquet")
    return folder


def test_the_newest_study_beside_the_run_is_shown(study, tmp_path):
    tornado(tmp_path / "sensitivity-20260101T000000Z-aaaaaa")
    newest = tornado(tmp_path / "sensitivity-20260201T000000Z-aaaaaa")
    run = tmp_path / "20260301T000000Z-bbbbbb"
    run.mkdir()
    assert found_beside(run) == (newest,)
    section = sensitivity(Study(study.plots, study.manifest, sensitivity=(newest,)))
    assert [figure.name for figure in section.figures] == ["tornado-1-1"]
    assert not any("another state" in words for words in section.lead)


def test_a_study_of_another_state_of_the_scenario_is_marked(study, tmp_path):
    folder = tornado(tmp_path / "s", "cd" * 32)
    section = sensitivity(Study(study.plots, study.manifest, sensitivity=(folder,)))
    assert "another state of this scenario" in section.lead[0]


def test_a_folder_without_a_study_is_refused(study, tmp_path):
    with pytest.raises(ResultsError, match="holds no sensitivity study"):
        sensitivity(Study(study.plots, study.manifest, sensitivity=(tmp_path,)))


def test_method_has_seed_versions_command_and_meanings(study):
    section = method(study)
    facts = {row.label: row.cells[0].text for row in section.tables[0].rows}
    assert facts["seed"] == "1"
    assert "meshsim" in facts["versions"]
    assert section.lead == ("meshsim compare 'primary outage.yaml'",)
    meanings = {row.label: row.cells[0].text for row in section.tables[1].rows}
    assert meanings["success rate"].endswith("more is better")
    assert meanings["time to recover"] != meanings["time to recover, config"]
    assert "latency p99, local" not in meanings
    checklist = {row.label: row.cells[0].text for row in section.tables[2].rows}
    assert checklist["5.1 software"] == "“versions” of manifest.json"


@pytest.mark.slow
def test_a_run_without_a_command_gets_one(study):
    plain = Study(study.plots, {"deployments": list(study.deployments)})
    assert method(plain).lead[0].startswith("meshsim compare primary-outage.yaml --deployment multi-primary")
