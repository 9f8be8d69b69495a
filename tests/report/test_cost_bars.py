from __future__ import annotations

import pandas as pd
import pytest

from meshsim.report.cost_bars import PARTS, cost_bars

COLUMNS = ["deployment", "phase", "metric", "flow", "mean", "low", "high"]


def comparison():
    rows = []
    for name, each in (("a", 2.0), ("b", 3.0)):
        rows += [(name, "before", part, "all", each, each, each) for part in PARTS]
        rows.append((name, "before", "cost", "all", 5 * each, 5 * each - 1, 5 * each + 1))
        rows.append((name, "before", "cost_used", "all", 99.0, 99.0, 99.0))
    return pd.DataFrame(rows, columns=COLUMNS)


def test_parts_stack_to_the_total_and_nothing_else_is_in_them():
    axes = cost_bars(comparison(), "before")
    bars = [container for container in axes.containers if hasattr(container, "patches")]
    assert len(bars) == len(PARTS)
    assert [bar.get_x() + bar.get_width() for bar in bars[-1]] == pytest.approx([10.0, 15.0])


def test_whiskers_are_the_interval_of_the_total():
    axes = cost_bars(comparison(), "before")
    assert axes.collections[0].get_segments()[1][:, 0] == pytest.approx([14.0, 16.0])


def test_the_legend_names_parts_and_the_axis_the_unit():
    figure = cost_bars(comparison(), "before").figure
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "control planes", "sidecars", "gateways", "bytes between zones", "bytes between regions",
    ]  # fmt: skip
    assert figure.axes[0].get_xlabel() == "USD a month"


def test_another_phase_has_no_bars():
    assert not cost_bars(comparison(), "after").patches
