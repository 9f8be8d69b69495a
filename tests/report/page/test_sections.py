from __future__ import annotations

import json

import pandas as pd
import pytest

from meshsim.errors import ResultsError
from meshsim.report.page.sections.cost import cost
from meshsim.report.page.sections.distributions import PICTURES
from meshsim.report.page.sections.method import method
from meshsim.report.page.sections.sensitivity import found_beside, sensitivity
from meshsim.report.page.sections.system import system
from meshsim.report.page.sections.trade_offs import CRITERIA, trade_offs
from meshsim.report.page.sections.what_happened import what_happened
from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from meshsim.results.frames import concatenate
from tests.report import synthetic


def test_trade_offs_have_a_row_for_each_criterion_that_was_measured(study):
    table = trade_offs(study).tables[0]
    groups = list(dict.fromkeys(row.group for row in table.rows))
    assert groups == [criterion for criterion in CRITERIA if criterion in groups]
    assert {"availability", "latency", "staleness", "recovery", "control planes", "cost"} <= set(groups)
    assert [row.label for row in table.rows if row.label.startswith("latency p99")][:2] == [
        "latency p99", "latency p99, local",
    ]  # fmt: skip


def test_a_dead_control_plane_is_not_praised_for_using_nothing(study):
    row = next(row for row in trade_offs(study).tables[0].rows if row.label.startswith("istiod cpu"))
    assert row.label.endswith("(whole run)")


def test_the_system_lists_every_control_plane_with_whom_it_serves(study):
    table = system(study).tables[0]
    assert [row.group for row in table.rows] == ["multi-primary"] * 3 + ["primary-remote"] + ["hybrid"] * 2
    assert table.rows[3].cells[1].text == "eu-1, eu-2, us-1"
    assert "hybrid: eu-1 serves eu-1 and eu-2" in system(study).figures[0].alt


def test_what_was_done_is_listed_with_times(study):
    section = what_happened(study)
    assert ("istiod of eu-1 is lost", "1m30s", "3m10s") in [
        (row.label, row.cells[0].text, row.cells[1].text) for row in section.tables[0].rows
    ]
    assert [figure.name for figure in section.figures] == ["timeline", "response-flags"]


def test_nothing_is_drawn_of_what_was_not_measured():
    empty = Study(Plots(synthetic.document(timeline=[]), concatenate([])), {})
    assert [figure.name for draw in PICTURES if (figure := draw(empty))] == ["latency"]
    assert [figure.name for figure in what_happened(empty).figures] == ["timeline"]
    assert not what_happened(empty).tables
    assert not cost(empty).figures


def test_the_bill_is_a_file_and_adds_up_to_the_total(study):
    section = cost(study)
    bill = section.aside[0]
    total = study.line("cost", phase="before")
    for name in study.deployments:
        paid = sum(
            float(row.cells[2].text.removesuffix(" USD").replace(",", "")) for row in bill.rows if row.group == name
        )
        assert paid == pytest.approx(total.mean(name), abs=0.01 * len(bill.rows))


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


def test_a_run_without_a_command_gets_one(study):
    plain = Study(study.plots, {"deployments": list(study.deployments)})
    assert method(plain).lead[0].startswith("meshsim compare primary-outage.yaml --deployment multi-primary")
