"""Rows kept bucket by bucket: the same numbers and words come out, in less memory."""

from __future__ import annotations

import numpy as np
import pytest

from meshsim.engine.chunks import Chunks
from meshsim.results.frames import frame
from meshsim.results.tables import TABLES
from meshsim.results.words import Words

CLUSTERS = ["eu-1", "us-1", ""]


def empty(clusters: list[str] = CLUSTERS) -> Chunks:
    return Chunks("convergence", {"cluster": clusters})


def bins(*numbers: int) -> dict:
    return {
        "cluster": np.arange(len(numbers)) - 1,
        "bin": np.array(numbers),
        "count": np.full(len(numbers), 7),
    }


def rows(chunks: Chunks) -> list[tuple]:
    columns = chunks.columns()
    count = len(columns["bin"])
    run = {"deployment": Words.same("hybrid", count), "replication": np.zeros(count, dtype=np.int64)}
    return list(frame("convergence", {**run, **columns}).iloc[:, 2:].itertuples(index=False, name=None))


def test_rows_come_out_as_they_went_in_whatever_the_bucket():
    chunks = empty()
    chunks.add((0.0, 5.0), bins(3, 70_000))
    chunks.add((5.0, 7.5), bins())
    chunks.add((7.5, 10.0), bins(-1, 1 << 40, 2))
    assert rows(chunks) == [
        (0.0, 5.0, "", 3, 7),
        (0.0, 5.0, "eu-1", 70_000, 7),
        (7.5, 10.0, "", -1, 7),
        (7.5, 10.0, "eu-1", 1 << 40, 7),
        (7.5, 10.0, "us-1", 2, 7),
    ]


def test_columns_can_be_asked_for_again_after_more_rows():
    chunks = empty()
    chunks.add((0.0, 5.0), bins(1))
    assert rows(chunks) == rows(chunks) == [(0.0, 5.0, "", 1, 7)]
    chunks.add((5.0, 10.0), bins(2))
    assert rows(chunks) == [(0.0, 5.0, "", 1, 7), (5.0, 10.0, "", 2, 7)]


def test_a_table_without_buckets_has_no_rows():
    assert rows(empty()) == []


@pytest.mark.parametrize("table", ["requests", "calls", "latency", "pods"])
def test_columns_have_the_types_of_their_table(table):
    columns = Chunks(table, {column.name: [] for column in TABLES[table]}).columns()
    run = {"deployment": [], "replication": []}
    assert list(frame(table, {**run, **columns}).columns)[2:] == list(columns)


@pytest.mark.parametrize("gathered", [1, 3, 1000])
def test_rows_come_out_as_they_went_in_however_many_are_gathered(gathered, monkeypatch):
    monkeypatch.setattr("meshsim.engine.chunks.GATHERED", gathered)
    chunks = empty([f"c{number}" for number in range(300)])
    for start in range(4):
        chunks.add((start, start + 1.0), bins(start, 300 * start))
    assert rows(chunks) == [
        row
        for start in range(4)
        for row in [(start, start + 1.0, "c299", start, 7), (start, start + 1.0, "c0", 300 * start, 7)]
    ]
