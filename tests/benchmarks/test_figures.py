"""The table and the plot, on made-up figures."""

import json
from types import SimpleNamespace

import pytest
from figures import BASELINE, LIMIT, SELF, Measurement, Missing, Report, digits, table
from plot import draw, figure
from workloads import MESH, WORKLOADS

SPEEDS = {SELF: 30.0, LIMIT: 60.0, BASELINE: 1.0, "ciw_network": 0.2, "asyncflow_scenario": 0.1}
NAMES = {SELF: "meshsim", LIMIT: "limit", BASELINE: "SimPy", "ciw_network": "Ciw", "asyncflow_scenario": "AsyncFlow"}
MACHINE = {"processor": "a processor", "cores": 2, "system": "Linux", "python": "3.13.0", "versions": {"simpy": "4.1"}}


def measured(workload, ratio, latency, expected):
    rounds = (0.9 * ratio, ratio, 1.2 * ratio)
    calls = 13 if workload == MESH else 1
    return [Measurement(1e4 * each, each, 100_000, latency, calls * 100_000, expected) for each in rounds]


@pytest.fixture(name="report")
def _report():
    peers, found = {}, {}
    for module, ratio in SPEEDS.items():
        notes = {"W1": "another model"} if module == "asyncflow_scenario" else {}
        hello = {"name": NAMES[module], "version": "1.0", "python": "3.13.0", "notes": notes}
        peers[module] = SimpleNamespace(hello=hello, prepared={"W1": 2.5 if module == LIMIT else 0.0})
        for workload in ("W1", "W2", MESH):
            if workload == MESH and module not in {SELF, BASELINE}:
                continue
            expected = None if workload == MESH else WORKLOADS[workload].latency
            latency = 0.0 if module == "ciw_network" and workload == "W2" else expected or 0.17
            found[module, workload] = measured(workload, ratio, latency, expected)
    del found["asyncflow_scenario", "W2"]
    return Report.of(peers, found, [Missing("happysim", "ModuleNotFoundError")], 3, 0.5, MACHINE)


def test_a_ratio_is_the_median_of_its_rounds_with_the_least_and_the_most(report):
    line = report.get(SELF, "W2")
    assert (line.ratio, line.least, line.most) == (30.0, 27.0, 36.0)
    assert report.workloads == ["W1", "W2", MESH]


def test_a_simulator_whose_mean_is_wrong_is_marked_so(report):
    assert report.get("ciw_network", "W2").right is False
    assert report.get("ciw_network", "W1").right is True
    assert "! Ciw, W2: wrong result" in table(report)


def test_another_model_and_what_is_missing_are_said(report):
    text = table(report)
    assert "* AsyncFlow, W1: another model" in text
    assert "not here: happysim (ModuleNotFoundError)" in text
    assert report.get("asyncflow_scenario", "W2") is None


def test_wanted_and_reached_are_told_for_what_was_measured(report):
    wanted = {what.split(":")[0] + what.split(":")[1][:5]: (least, there) for what, least, there in report.wanted()}
    assert wanted["W2 time"] == (30.0, 30.0)
    assert wanted["W2 part"] == (pytest.approx(1 / 3), 0.5)
    assert wanted["mesh call"[:9]] == (1e6, pytest.approx(13 * 30e4))


def test_table_has_a_row_for_each_simulator_and_says_when_and_where(report):
    text = table(report)
    for name in NAMES.values():
        assert sum(line.startswith(f"{name} 1.0") for line in text.splitlines()) == 2
    assert "30.0 [27.0 to 36.0]" in text
    assert text.splitlines()[-1].startswith(report.date)
    assert "a processor, 2 cores" in text
    assert "compiling and building for the first time, limit 2.5 s" in text


def test_report_is_json(report):
    found = json.loads(json.dumps(report.to_json()))
    assert {one["workload"] for one in found["figures"]} == {"W1", "W2", MESH}
    assert found["missing"] == [{"package": "happysim", "why": "ModuleNotFoundError"}]


def test_plot_has_a_panel_for_what_many_can_do_with_a_bar_for_each(report):
    drawn = figure(report)
    assert [axes.get_title(loc="left").split("\n")[0] or axes.get_title().split("\n")[0] for axes in drawn.axes] == [
        "W1",
        "W2",
    ]
    assert [len(axes.patches) for axes in drawn.axes] == [5, 4]
    assert all(axes.get_xscale() == "log" for axes in drawn.axes)
    texts = [text.get_text() for text in drawn.axes[1].texts]
    assert {"30.0", "0.20 (wrong)", "cannot"} <= set(texts)


def test_plot_is_written_as_png_and_svg(report, tmp_path):
    paths = draw(report, tmp_path / "bench")
    assert [path.suffix for path in paths] == [".png", ".svg"]
    assert all(path.stat().st_size > 5_000 for path in paths)


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.0351, "0.035"), (0.1, "0.10"), (0.998, "1.00"), (9.999, "10.0"), (140.2, "140")]
)
def test_ratios_keep_about_three_digits(ratio, text):
    assert digits(ratio) == text
