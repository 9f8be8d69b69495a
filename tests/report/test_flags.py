from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.comparison import compare
from meshsim.report import style
from meshsim.report.flags import flags, flags_of, stacked

COLUMNS = ["deployment", "phase", "metric", "flow", "mean", "low", "high"]


def comparison():
    rows = []
    for name, failed in (("a", {"UF": 30.0, "-": 10.0}), ("b", {"UF": 5.0})):
        total = sum(failed.values())
        rows.append((name, "during", "success_rate", "all", 1 - total / 1000, 0.957, 0.998))
        rows.append((name, "during", "errors", "all", total, total / 2, total * 2))
        rows += [(name, "during", f"errors:{flag}", "all", count, count, count) for flag, count in failed.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_flags_come_by_how_often_they_are():
    assert flags_of(comparison()) == ["UF", "-"]


def test_bars_stack_the_share_of_each_flag_to_all_that_failed():
    axes = stacked(comparison(), "during", ["UF", "-"], style.picture(4, 2).subplots())
    first, second = axes.containers[:2]
    assert [bar.get_width() for bar in first] == pytest.approx([3.0, 0.5])
    assert [bar.get_width() for bar in second] == pytest.approx([1.0, 0.0])
    assert second[0].get_x() == pytest.approx(3.0)
    assert axes.get_legend_handles_labels()[1][:2] == ["UF", "no flag"]


def test_whiskers_are_the_interval_of_the_share_that_failed_not_of_how_many_failed():
    axes = stacked(comparison(), "during", ["UF", "-"], style.picture(4, 2).subplots())
    segments = axes.collections[0].get_segments()
    assert [list(segment[:, 0]) for segment in segments] == [pytest.approx([0.2, 4.3])] * 2


@pytest.mark.parametrize(("errors", "succeeded"), [("errors", "success_rate"), ("call_errors", "call_success_rate")])
def test_where_all_fails_bars_and_whiskers_end_at_100_percent_however_many_were_asked_for(errors, succeeded):
    asked = (800.0, 1000.0, 1200.0)
    of = {"errors": "requests", "call_errors": "calls"}[errors]
    values = {of: asked, errors: asked, f"{errors}:UF": asked, succeeded: (0.0, 0.0, 0.0)}
    rows = [
        ("a", replication, "during", name, "all", value)
        for name, each in values.items()
        for replication, value in enumerate(each)
    ]
    frame = compare(pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"]))
    axes = stacked(frame, "during", ["UF"], style.picture(4, 2).subplots(), errors)
    (whisker,) = (segment[:, 0] for segment in axes.collections[0].get_segments())
    assert axes.containers[0][0].get_width() == pytest.approx(100.0)
    assert whisker[1] == pytest.approx(100.0)
    assert 99.8 < whisker[0] < 100.0  # none of 3000 succeeded, which is a bound and not certainty


def test_rare_flags_are_one_part():
    frame = comparison()
    many = [f"F{i}" for i in range(9)]
    rows = [("a", "during", f"errors:{flag}", "all", 1.0, 1.0, 1.0) for flag in many]
    frame = pd.concat([frame, pd.DataFrame(rows, columns=COLUMNS)])
    labels = stacked(frame, "during", flags_of(frame), style.picture(4, 2).subplots()).get_legend_handles_labels()[1]
    assert len(labels) == 7
    assert labels[-1] == "other flags"


def test_a_panel_for_each_phase_of_requests_and_of_calls(plots):
    figure = flags(plots.comparison).figure
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        f"{what}, {phase}"
        for phase in ("before", "during", "after")
        for what in ("Failed user requests", "Failed calls between services")
    ]


def test_a_phase_without_requests_draws_nothing():
    frame = comparison().assign(mean=np.nan, low=np.nan, high=np.nan)
    axes = stacked(frame, "during", ["UF"], style.picture(4, 2).subplots())
    assert [bar.get_width() for bar in axes.containers[0]] == [0.0, 0.0]
