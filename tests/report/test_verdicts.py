from __future__ import annotations

import math

import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.warm_up import Doubt, WarmUp
from meshsim.report.tables import markdown, plain
from meshsim.report.verdicts import beginning, block, notes, spoken
from tests.analysis.test_comparison import summary_of

NOISE = {"a": [1.0, 2.0, 3.0], "b": [2.0, 1.5, 3.2]}


def test_every_table_ends_with_a_verdict():
    table = compare(summary_of(latency_p99=NOISE))
    words = "whole run: not distinguishable with these 3 replications; ± 5 % takes about"
    assert words in " ".join(plain(table).split("verdict")[1].split())
    assert "- latency p99, whole run: not distinguishable" in markdown(table)


def test_a_verdict_fits_the_width_and_never_breaks_a_number_from_its_unit():
    said = spoken(compare(summary_of(latency_p99=NOISE)))
    for width in range(50, 120):
        lines = block(said, 20, width)
        assert max(map(len, lines)) <= width
        assert any("± 5 %" in line for line in lines)


def test_phases_that_say_the_same_say_it_once():
    table = compare(summary_of(latency_p99=NOISE))
    both = compare(table_with_phases(table))
    assert [words.split(":")[0] for _, words in spoken(both)] == ["before, during"]


def table_with_phases(_):
    import pandas as pd

    one = summary_of(latency_p99=NOISE)
    return pd.concat([one.assign(phase="before"), one.assign(phase="during")], ignore_index=True)


def test_notes_that_hold_for_several_deployments_are_printed_once():
    lines = notes([Doubt("trend", name, "not steady " * 10) for name in ("a", "b", "c")], 60)
    assert lines[0].startswith("note: a, b, c: not steady")
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize(
    ("found", "buckets", "said"),
    [
        ((5.0, 10.0), 40, "warm-up: 30 s are left out; MSER finds the beginning over at 10 s"),
        ((0.0, 0.0), 40, "warm-up: 30 s are left out; MSER finds it steady from the start"),
        (
            (math.nan, 5.0),
            40,
            "warm-up: 30 s are left out; MSER finds the beginning over at 5 s, in 1 of 2 deployments",
        ),
        ((math.nan, math.nan), 40, "warm-up: 30 s are left out; MSER finds no end of the beginning"),
        ((math.nan, math.nan), 3, "left out; 3 time buckets before the first event are too few for MSER to look at"),
    ],
)
def test_what_mser_finds_is_said_beside_the_warm_up(found, buckets, said):
    [line] = beginning([WarmUp(name, 30.0, at, buckets) for name, at in zip("ab", found, strict=True)], 200)
    assert line.endswith(said)


def test_without_runs_there_is_no_beginning():
    assert beginning([], 100) == []
