from __future__ import annotations

from dataclasses import replace

import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.verdicts import verdicts
from meshsim.report.page.marks import gap_to_nearest, mark, table
from meshsim.report.page.parts import Cell
from meshsim.report.page.study import Line
from tests.analysis.test_comparison import summary_of


def line(beats, metric="success_rate", n=5, alike=None, needed=0):
    rows = {
        name: {"mean": 0.9, "n": n, "beats": beaten, "alike": (alike or {}).get(name, ()), "requests_needed": needed}
        for name, beaten in beats.items()
    }
    return Line(metric, "during", "all", rows)


def of(**metrics):
    """Return the line of the last of these metrics, compared; see `summary_of`."""
    table = compare(summary_of(**metrics))
    name = list(metrics)[-1]
    rows = table[table["metric"] == name].set_index("deployment", drop=False).to_dict("index")
    return Line(name, "all", "all", rows)


def marks_of(found, name):
    """Return the mark of a cell as it stands on the page."""
    kind, note = mark(found, name)
    return Cell(found.text(name), kind, note, gap_to_nearest(found, name)).shown


def test_best_and_worst_beat_and_lose_to_every_other():
    found = line({"a": ("b", "c"), "b": ("c",), "c": ()})
    assert [mark(found, name)[0] for name in "abc"] == ["best", "", "worst"]
    assert mark(found, "b")[1] == "better than c and worse than a beyond chance"


def test_what_beats_some_is_better_than_these_only():
    found = line({"a": ("c",), "b": (), "c": ()})
    assert [mark(found, name)[0] for name in "abc"] == ["better", "open", "worse"]


def test_no_difference_seen_is_not_the_same():
    assert mark(line({"a": (), "b": ()}), "a")[0] == "open"
    same = line({"a": (), "b": ()}, alike={"a": ("b",), "b": ("a",)})
    assert mark(same, "a") == ("same", "the same in every replication")


@pytest.mark.parametrize(
    "found",
    [
        line({"a": ("b",), "b": ()}, n=1),
        line({"a": ()}),
        line({"a": ("b",), "b": ()}, metric="pushes"),
        line({"a": ("b",), "b": ()}, needed=1000),
    ],
    ids=["one replication", "one deployment", "neither way is better", "too few requests"],
)
def test_nothing_is_marked_that_cannot_be_known(found):
    assert mark(found, "a") == ("", "")


def test_what_differs_by_the_same_in_every_replication_is_neither_open_nor_a_verdict():
    values = {"a": [1.0] * 5, "b": [1.0] * 5, "c": [0.0] * 5, "d": [2.0, 2.1, 0.1, 4.0, 2.2]}
    found = of(time_to_recover=values)
    assert [mark(found, name)[0] for name in "abcd"] == ["steady", "steady", "steady", "open"]
    assert mark(found, "c")[1] == "differs from a and b the same way in each of 5 replications"


@pytest.mark.parametrize(("names", "enough"), [("ab", 6), ("abc", 7)])
def test_the_page_says_how_many_replications_that_agree_would_rule_chance_out(names, enough, study):
    found = of(time_to_recover={name: [1.0 if name == "a" else 0.0] * 5 for name in names})
    rows = {to: found.rows[name] for to, name in zip(study.deployments, names, strict=False)}
    [note] = [note for note in table(study, "t", "", [("", replace(found, rows=rows))]).notes if note.startswith("≠")]
    assert f"; {enough} that agree would." in note


def test_table_and_page_agree_on_every_kind_of_verdict():
    values = {
        "best": {"a": [1.0, 1.1, 1.2], "b": [3.0, 3.2, 3.3]},
        "steady": {"a": [1.0] * 5, "b": [0.0] * 5},
        "alike": {"a": [1.0, 2.0], "b": [1.0, 2.0]},
        "open": {"a": [1.0, 2.0, 3.0], "b": [2.0, 1.5, 3.2]},
    }
    marks = {"best": ["best", "worst"], "steady": ["steady"] * 2, "alike": ["same"] * 2, "open": ["open"] * 2}
    for kind, numbers in values.items():
        summary = summary_of(time_to_recover=numbers)
        assert [one.kind for one in verdicts(compare(summary))] == [kind]
        assert [mark(of(time_to_recover=numbers), name)[0] for name in "ab"] == marks[kind]


def test_a_latency_that_is_low_because_requests_failed_gets_no_praise():
    found = of(success_rate={"a": [0.999] * 5, "b": [0.2] * 5}, latency_p50={
        "a": [0.1, 0.11, 0.1, 0.12, 0.1], "b": [0.01, 0.011, 0.01, 0.012, 0.01],
    })  # fmt: skip
    assert mark(found, "b") == ("failing", "low because its requests failed, which is no merit")
    assert mark(found, "a") == ("", "")
    assert found.text("b").endswith(" †")


def test_a_difference_below_the_digits_shown_is_said():
    noise = [0.1, 0.15, 0.2, 0.12, 0.18, 0.11, 0.19]
    found = of(latency_p50={"a": noise, "b": [one + 1e-5 * (1 + 0.1 * at) for at, one in enumerate(noise)]})
    assert found.text("a").split(" ")[0] == found.text("b").split(" ")[0]
    assert marks_of(found, "a") == "▲ best (by 13 µs)"


def test_a_table_has_a_cell_for_each_deployment_and_explains_the_marks_it_has(study):
    found = table(study, "x", "X", [("g", study.line("success_rate")), ("g", study.line("time_to_recover"))])
    assert found.header == ("", *study.deployments)
    assert all(len(row.cells) == len(study.deployments) for row in found.rows)
    notes = " ".join(found.notes)
    assert "n = 4 replications" in notes
    for sign, kinds in (("▲", ("best", "worst", "better", "worse")), ("≈", ("open",))):
        used = any(cell.mark in kinds for row in found.rows for cell in row.cells)
        assert (sign in notes) == used


def test_a_row_of_another_phase_says_so(study):
    found = table(study, "x", "X", [("", study.line("istiod_cpu", phase="all"))])
    assert found.rows[0].label.endswith("(whole run)")
    assert found.rows[0].about
