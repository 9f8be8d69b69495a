from __future__ import annotations

import csv
import io

from meshsim.report.page.parts import MARKS, Cell, Row, Table
from tests.report.synthetic import HOSTILE

TABLE = Table(
    "t", "caption", ("", "a", HOSTILE),
    (Row("=1+1", (Cell("1", "best", "better than b beyond chance"), Cell(HOSTILE)), group="g"),), ("note",),
)  # fmt: skip


def test_csv_has_marks_in_columns_of_their_own_and_reads_back():
    head, row = csv.reader(io.StringIO(TABLE.csv().decode()))
    assert head == ["group", "", "a", "a: mark", HOSTILE, f"{HOSTILE}: mark"]
    assert row == ["g", "'=1+1", "1", "best", HOSTILE, ""]


def test_no_cell_of_a_csv_is_a_formula():
    risky = Table("t", "c", ("x", "y"), tuple(Row(f"{c}x", (Cell(f"{c}y"),)) for c in "=+-@"))
    for row in list(csv.reader(io.StringIO(risky.csv().decode())))[1:]:
        assert all(cell[:1] not in set("=+-@") for cell in row)


def test_markdown_has_one_line_a_row_and_nothing_to_interpret():
    lines = TABLE.markdown().decode().splitlines()
    assert lines[2].count(" | ") == lines[4].count(" | ") == 2
    assert "<script>" not in TABLE.markdown().decode()
    assert "\\{\\{ 7\\*7 \\}\\}" in lines[4]


def test_every_mark_is_a_shape_and_a_word():
    assert all(not mark[0].isascii() or mark[0] == "=" for mark in MARKS.values())
    assert all(mark[1] == " " and mark[2:].strip() for mark in MARKS.values())


def test_a_partial_mark_names_whom_it_holds_against():
    assert Cell("1", "worse", "worse than hybrid beyond chance").words == "1 ▽ worse than hybrid"
