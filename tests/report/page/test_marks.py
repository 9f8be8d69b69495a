from __future__ import annotations

import pytest

from meshsim.report.page.marks import mark, table
from meshsim.report.page.study import Line


def line(beats, metric="success_rate", n=5, alike=None, needed=0):
    rows = {
        name: {"mean": 0.9, "n": n, "beats": beaten, "alike": (alike or {}).get(name, ()), "requests_needed": needed}
        for name, beaten in beats.items()
    }
    return Line(metric, "during", "all", rows)


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


def test_what_always_differs_alike_is_said_to(study):
    assert mark(line({"a": (), "b": ()}), "a", steady=True)[0] == "steady"


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
