from __future__ import annotations

import pytest

from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from meshsim.results.frames import concatenate
from tests.report import synthetic


def test_the_phase_of_the_fault_decides_and_the_one_before_is_ordinary(study):
    assert (study.decisive.name, study.ordinary.name) == ("during", "before")
    assert study.when == "the phase “during” (1m30s to 3m10s)"


def test_without_events_the_whole_run_decides():
    plain = Study(Plots(synthetic.document(timeline=[]), synthetic.tables(2)), {})
    assert (plain.decisive.name, plain.when) == ("all", "the whole run (30 s to 5m)")


def test_a_line_has_the_numbers_of_the_comparison(study):
    line = study.line("latency_p99", "cross-region")
    frame = study.plots.comparison
    row = frame[
        (frame["metric"] == "latency_p99") & (frame["flow"] == "cross-region") & (frame["phase"] == "during")
        & (frame["deployment"] == "hybrid")
    ]  # fmt: skip
    assert line.mean("hybrid") == row["mean"].iloc[0]
    assert line.label == "latency p99, cross-region"
    assert "±" in line.text("hybrid")


def test_what_exists_once_is_found_without_a_phase(study):
    line = study.line("control_planes")
    assert {name: line.mean(name) for name in study.deployments} == {
        "multi-primary": 3.0, "primary-remote": 1.0, "hybrid": 2.0,
    }  # fmt: skip


def test_what_was_not_measured_is_no_line(study):
    assert study.line("no_such_metric") is None
    assert study.line("success_rate", "no such flow") is None


def test_users_are_told_apart_by_the_region_they_enter(study):
    assert list(study.entries) == ["eu"]
    assert set(study.entries["eu"]) == {
        "requests", "success_rate", "latency_mean", "latency_p50", "latency_p90", "latency_p99", "latency_p99.9",
    }  # fmt: skip
    everybody = study.line("success_rate").mean("hybrid")
    assert study.entries["eu"]["success_rate"].mean("hybrid") == pytest.approx(everybody)
    assert study.entries["eu"]["latency_p99"].mean("hybrid") == study.line("latency_p99").mean("hybrid")


def test_differences_are_paired_and_have_a_sign_by_the_order_asked_for(study):
    found = study.differences("success_rate", "during")
    there, back = found["primary-remote", "multi-primary"], found["multi-primary", "primary-remote"]
    assert (there.mean, there.half_width) == (-back.mean, back.half_width)
    assert there.mean < 0
    assert there.beyond_chance


def test_deployments_that_differ_by_the_same_each_time_are_steady(study):
    available = study.line("control_plane_availability")
    assert available.steady("hybrid") == ("multi-primary", "primary-remote")
    assert not study.line("success_rate").steady("hybrid")


def test_an_empty_run_has_no_lines_and_no_entries():
    empty = Study(Plots(synthetic.document(), concatenate([])), {})
    assert empty.line("success_rate") is None
    assert not empty.entries
    assert empty.replications == 0
    assert empty.differences("cost", "before") == {}
