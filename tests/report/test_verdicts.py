from __future__ import annotations

import math

import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.warm_up import Doubt, WarmUp
from meshsim.report.tables import markdown, plain
from meshsim.report.verdicts import beginning, block, more_replications, notes, spoken
from tests.analysis.test_comparison import summary_of

NOISE = {"a": [1.0, 2.0, 3.0], "b": [2.0, 1.5, 3.2]}


def test_every_table_ends_with_a_verdict():
    table = compare(summary_of(latency_p99=NOISE))
    words = "whole run: not distinguishable with these 3 replications; ± 5 % of each value takes about"
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


def test_a_forecast_says_of_what_it_is_and_gives_up_where_it_is_absurd():
    [(_, few)] = spoken(compare(summary_of(latency_p99={"a": [0.95, 1.0, 1.05], "b": [0.951, 1.02, 1.03]})))
    assert few.replace("\N{NO-BREAK SPACE}", " ").endswith("; ± 5 % of each value takes about 4 more replications")
    [(_, many)] = spoken(compare(summary_of(time_to_recover={"a": [0.1, 9.0, 0.1], "b": [0.2, 8.0, 0.1]})))
    assert many.endswith("takes more than 1,000 more replications: not worth simulating, the interval is what it is")
    rates = spoken(compare(summary_of(success_rate={"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.9]})))
    assert "of the share that fails takes" in rates[0][1]
    assert more_replications(1) == "about 1 more replication"


def test_a_constant_that_differs_is_told_with_the_replications_it_takes():
    [(_, words)] = spoken(compare(summary_of(time_to_recover={"a": [1.0] * 5, "b": [0.0] * 5})))
    assert words == "differs the same way in each of 5 replications; 6 that agree would rule chance out"


def test_better_by_less_than_the_digits_shown_is_told_with_the_difference():
    noise = [0.10, 0.15, 0.20, 0.12, 0.18, 0.11, 0.19]
    near = [one + 1e-5 * (1 + 0.1 * at) for at, one in enumerate(noise)]
    table = compare(summary_of(latency_p50={"a": noise, "b": near}))
    assert "a better than b (13 µs between a and b: less than the digits shown)" in dict(spoken(table))["latency p50"]


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


def test_one_deployment_is_known_only_where_every_number_of_it_is():
    def of(*values: float) -> str:
        [(_, words)] = spoken(compare(summary_of(time_to_recover={"a": list(values)})))
        return words

    assert of(1.0) == "one replication shows no interval"
    assert of(1.0, 1.0, 1.0, 1.0, 1.0).endswith("known to ±\N{NO-BREAK SPACE}5\N{NO-BREAK SPACE}% of each value")
    assert of(0.9, 1.0, 1.1).endswith("takes about 15 more replications")
    assert of(1.0, 1.1, math.inf) == "never recovered in 1 of 3 replications"
    assert of(math.inf) == "never recovered in 1 of 1 replications"
