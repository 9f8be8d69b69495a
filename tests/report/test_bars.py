from __future__ import annotations

import pandas as pd
import pytest

from meshsim.report import style
from meshsim.report.bars import PANELS, bars, panel
from meshsim.report.numbers import NOTHING

COLUMNS = ["deployment", "phase", "metric", "flow", "mean", "half_width"]


def _frame(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def test_a_bar_that_is_low_because_requests_failed_is_marked():
    rows = [(name, "during", "latency_p99", "all", 0.1, 0.01, name == "b") for name in "ab"]
    columns = ["deployment", "phase", "metric", "flow", "mean", "half_width", "failing"]
    axes = panel(pd.DataFrame(rows, columns=columns), "latency_p99", "all", style.picture(5.0, 3.0).subplots())
    assert [text.get_gid() for text in axes.texts] == ["failing"]
    assert axes.get_xlabel() == "† fewer than 90 % of the requests succeeded"


def test_five_panels_with_titles_and_units(plots):
    figure = plots.bars().figure
    assert [axes.get_title(loc="left") for axes in figure.axes[:5]] == [title for _, _, title, _ in PANELS]
    assert [axes.get_ylabel() for axes in figure.axes[:5]] == [
        "success rate (%)",
        "p99 latency",
        "share of calls (%)",
        "proxy-seconds",
        "pods",
    ]


def test_bars_are_the_comparison_and_not_computed_here(plots):
    frame = plots.comparison
    axes = panel(frame, "latency_p99", "all", style.picture(4, 2).subplots())
    wanted = frame[(frame["metric"] == "latency_p99") & (frame["flow"] == "all") & (frame["deployment"] == "hybrid")]
    drawn = next(c for c in axes.containers if c.get_label() == "hybrid")
    assert [bar.get_height() for bar in drawn] == pytest.approx(wanted["mean"].tolist())


def test_the_whole_run_does_not_stand_beside_its_own_phases(plots):
    labels = [label.get_text() for label in plots.bars()[0].get_xticklabels()]
    assert labels == ["before", "during", "after"]


def test_a_run_without_phases_is_called_the_whole_run():
    axes = bars(_frame(("a", "all", "success_rate", "all", 0.9, 0.1)))[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["whole run"]


def test_a_success_bar_hangs_from_100_percent_by_what_failed():
    axes = panel(_frame(("a", "during", "success_rate", "all", 0.98, 0.001)), "success_rate", "all", _axes())
    bar = axes.patches[0]
    assert (bar.get_y() + bar.get_height(), bar.get_y()) == pytest.approx((98.0, 100.0))


def test_wide_intervals_leave_the_bars_readable_and_percentages_possible():
    frame = _frame(("a", "during", "success_rate", "all", 0.75, 1.69), ("a", "during", "pods_blocked", "all", 10, 90))
    axes = panel(frame, "success_rate", "all", _axes())
    assert axes.get_ylim()[0] >= 40
    segment = axes.collections[-1].get_segments()[0]
    assert segment[:, 1].tolist() == pytest.approx([0.0, 100.0])
    assert panel(frame, "pods_blocked", "all", _axes()).get_ylim()[1] == pytest.approx(20.0)


def test_other_bars_stand_on_zero():
    axes = panel(_frame(("a", "during", "latency_p99", "all", 0.2, 0.01)), "latency_p99", "all", _axes())
    assert axes.get_ylim()[0] == 0


def test_what_does_not_apply_is_a_dash_and_no_bar_of_height_zero():
    frame = _frame(("a", "during", "latency_p99", "all", 0.2, 0.1), ("b", "during", "success_rate", "all", 1.0, 0.0))
    assert [text.get_text() for text in panel(frame, "latency_p99", "all", _axes()).texts] == [NOTHING]


def test_without_intervals_the_title_promises_none():
    figure = bars(_frame(("a", "during", "success_rate", "all", 0.98, float("nan")))).figure
    assert figure.get_suptitle() == "Deployments compared by phase"


@pytest.mark.slow
def test_dollar_signs_in_names_are_no_mathematics():
    figure = bars(_frame(("$x$", "$\\frac{1", "success_rate", "all", 0.98, 0.001))).figure
    assert style.render(figure, "png").startswith(b"\x89PNG")


def _axes():
    return style.picture(4, 2).subplots()
