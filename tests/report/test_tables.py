from __future__ import annotations

import io
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from meshsim.analysis.phases import Phase
from meshsim.analysis.summary import compare, phases
from meshsim.report.numbers import NOTHING
from meshsim.report.tables import WIDTH, best, lay_out, markdown, plain, rich_table, to_json

MARKUP = "[bold red]a[/] <b>|`$x$\x1b[31m"


def _comparison(values, metric="latency_p99"):
    """Return the comparison of replications by deployment."""
    rows = [
        (name, i, "during", metric, "all", value) for name, found in values.items() for i, value in enumerate(found)
    ]
    columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    return compare(pd.DataFrame(rows, columns=columns))


def _winner(values, metric="latency_p99"):
    cells = lay_out(_comparison(values, metric), full=True).sections[0].rows[0].cells
    return [name for name, cell in zip(values, cells, strict=True) if cell.best]


def test_the_best_is_marked_when_every_paired_interval_excludes_zero():
    assert _winner({"a": [2.0, 2.1, 2.2], "b": [1.0, 1.1, 1.2], "c": [3.0, 3.1, 3.2]}) == ["b"]
    assert _winner({"a": [1.0, 1.1, 1.2], "b": [2.0, 2.1, 2.2]}) == ["a"]


def test_higher_is_better_for_success():
    assert _winner({"a": [0.9, 0.91, 0.92], "b": [0.99, 1.0, 1.0]}, "success_rate") == ["b"]


def test_nothing_is_marked_within_chance_without_intervals_or_without_a_better_way():
    assert _winner({"a": [1.0, 1.1, 1.2], "b": [1.15, 1.0, 1.12]}) == []
    assert _winner({"a": [1.0], "b": [2.0]}) == []
    assert _winner({"a": [1.0, 1.0], "b": [2.0, 2.0]}, "calls") == []
    assert _winner({"a": [1.0, 1.1]}) == []


def test_a_tie_of_the_two_best_is_not_marked_though_both_beat_the_first():
    assert _winner({"a": [5.0, 5.1, 5.2], "b": [1.0, 1.1, 1.2], "c": [1.05, 1.1, 1.15]}) == []


def test_the_mark_is_never_given_where_the_paired_interval_includes_zero():
    random = np.random.default_rng(1)
    marked = 0
    for _ in range(30):
        values = {name: (random.normal(size=4) + 1.5 * random.normal()).tolist() for name in "abc"}
        for winner in _winner(values):
            marked += 1
            for other in set("abc") - {winner}:
                paired = _comparison({"w": values[winner], "o": values[other]}).set_index("deployment").loc["o"]
                assert abs(paired["difference"]) > paired["difference_half_width"]
    assert marked > 1


def test_plain_text_fits_and_has_no_colours_with_three_deployments(plots):
    text = plain(plots.comparison, phases(plots.document))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert re.search(r"^during: 1m30s to 3m10s$", text, re.MULTILINE)
    assert "over n = 4 replications" in text


def test_more_deployments_than_fit_make_another_block():
    values = {f"deployment-with-a-long-name-{i}": [1.0, 1.1] for i in range(7)}
    text = plain(_comparison(values))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.split("verdict")[0].count("latency p99") == 3


def test_a_row_that_applies_to_nobody_is_left_out_and_one_that_applies_to_some_has_a_dash():
    assert lay_out(_comparison({"a": [math.nan] * 2, "b": [math.nan] * 2})).sections[0].rows == ()
    cells = lay_out(_comparison({"a": [1.0, 1.1], "b": [math.nan] * 2})).sections[0].rows[0].cells
    assert cells[1].text == NOTHING


def test_what_was_not_seen_in_every_replication_says_in_how_many():
    sheet = lay_out(_comparison({"a": [10.0, 12.0, math.nan]}, "time_to_recover"))
    assert sheet.sections[0].rows[0].cells[0].text.endswith("(2/3)")
    assert "in 3 of 5" in sheet.caption


def test_what_never_recovered_is_told_from_what_does_not_apply():
    sheet = lay_out(_comparison({"a": [math.inf] * 2, "b": [1.0, math.inf], "c": [math.nan] * 2}, "time_to_recover"))
    [row] = sheet.sections[0].rows
    assert [cell.text for cell in row.cells] == ["never", "1 s (never in 1/2)", NOTHING]
    assert "never: not by the end of the run" in sheet.how_to_read("*")
    assert lay_out(_comparison({"a": [math.inf] * 2}, "time_to_recover")).sections[0].rows != ()


def test_one_replication_says_that_there_are_no_intervals():
    assert "no intervals" in plain(_comparison({"a": [1.0], "b": [2.0]}))


def test_flags_without_errors_have_no_row():
    assert lay_out(_comparison({"a": [0.0, 0.0]}, "errors:UH")).sections[0].rows == ()
    assert lay_out(_comparison({"a": [0.0, 0.0]}, "errors:UH"), full=True).sections[0].rows == ()


def test_a_row_that_says_nothing_is_in_the_full_table_only():
    for name, ordinary in (("stale_share", 0.0), ("pods_blocked", 0.0), ("control_plane_availability", 1.0)):
        ordinarily = _comparison({"a": [ordinary] * 2, "b": [ordinary] * 2}, name)
        assert lay_out(ordinarily).sections[0].rows == ()
        assert lay_out(ordinarily, full=True).sections[0].rows != ()
        assert lay_out(_comparison({"a": [ordinary] * 2, "b": [0.5] * 2}, name)).sections[0].rows != ()


@pytest.mark.parametrize("name", ["success_rate", "time_to_recover", "config_recovery"])
def test_a_zero_that_is_an_answer_is_shown(name):
    assert lay_out(_comparison({"a": [0.0, 0.0]}, name)).sections[0].rows != ()


@pytest.mark.slow
def test_the_full_table_has_more_rows(plots):
    assert len(lay_out(plots.comparison, full=True).sections[0].rows) > len(lay_out(plots.comparison).sections[0].rows)


def _rich(frame, width=WIDTH, *, terminal=True):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=terminal, color_system="standard").print(rich_table(frame))
    return stream.getvalue()


def test_names_that_look_like_markup_are_printed_as_they_are():
    frame = _comparison({MARKUP: [1.0, 1.1], "b": [2.0, 2.1]})
    assert "[bold red]a[/] <b>|`$x$" in _rich(frame)
    assert "\x1b[31m" not in _rich(frame)
    assert "\x1b" not in plain(frame)


@pytest.mark.slow
def test_the_terminal_marks_the_best_in_words_too(plots):
    text = _rich(plots.comparison)
    assert "99.18 ± 0.08 % *" in text
    assert "* better than every other deployment" in text


@pytest.mark.sample(1)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_any_terminal_width_prints(plots, width):
    assert (
        max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", _rich(plots.comparison, width)).splitlines()) <= width
    )


def test_markdown_escapes_what_would_break_it():
    text = markdown(_comparison({MARKUP: [1.0, 1.1, 1.2], "b": [2.0, 2.1, 2.2]}))
    header = next(line for line in text.splitlines() if line.startswith("| | "))
    assert r"\[bold red\]a\[/\] &lt;b&gt;\|\`$x$" in header
    assert "**1.10 ± 0.25 s**" in text


def test_markdown_has_a_table_for_each_phase(plots):
    text = markdown(plots.comparison)
    assert [line for line in text.splitlines() if line.startswith("### ")] == [
        "### before",
        "### during",
        "### after",
        "### whole run",
        "### verdict",
    ]
    assert {line.count(" | ") for line in text.splitlines() if line.startswith("| success")} == {3}


@pytest.mark.slow
def test_json_has_every_metric_in_plain_units_and_null_for_none(plots):
    data = json.loads(json.dumps(to_json(plots.comparison), allow_nan=False))
    assert data["deployments"] == ["multi-primary", "primary-remote", "hybrid"]
    assert data["replications"] == 4
    during = next(phase for phase in data["phases"] if phase["name"] == "during")
    success = next(metric for metric in during["metrics"] if metric["metric"] == "success_rate")
    assert (success["unit"], success["better"]) == ("fraction", "higher")
    assert success["values"]["multi-primary"]["best"] is True
    assert success["values"]["multi-primary"]["difference"] is None
    assert success["values"]["hybrid"]["difference"] < 0
    assert any(metric["metric"] == "pushes" for metric in during["metrics"])


def test_a_metric_that_only_one_deployment_has_names_no_winner():
    found = _comparison({"a": [1.0, 1.1, 1.2], "b": [math.nan] * 3}).set_index("deployment")
    assert best(found) is None


def test_a_winner_without_a_known_difference_to_the_first_is_not_marked():
    assert _winner({"a": [math.nan] * 3, "b": [1.0, 1.1, 1.2], "c": [3.0, 3.1, 3.2]}) == []


def test_a_sampled_phase_says_how_much_of_it_counts_and_another_that_nothing_does():
    spans = [Phase("before", 0.0, 3600.0, ((60.0, 120.0),)), Phase("during", 3600.0, 7200.0, ())]
    rows = [("a", 0, phase, "stale_share", "all", 0.1) for phase in ("before", "during", "all")]
    columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    titles = [section.phase for section in lay_out(compare(pd.DataFrame(rows, columns=columns)), spans).sections]
    assert titles == [
        "before: 0 s to 1h, 1m of it sampled",
        "during: 1h to 2h, not sampled: no load in it",
        "whole run: 0 s to 2h, 1m of it sampled",
    ]


def test_cost_stands_in_the_first_phase_only_and_in_every_phase_of_the_full_table():
    parts = [_comparison({"a": [10.0, 11.0]}, "cost").assign(phase=phase) for phase in ("before", "during", "all")]
    comparison = pd.concat(parts, ignore_index=True)
    shown = {section.phase: len(section.rows) for section in lay_out(comparison).sections}
    assert shown == {"before": 1, "during": 0, "whole run": 0}
    assert [len(section.rows) for section in lay_out(comparison, full=True).sections] == [1, 1, 1]
