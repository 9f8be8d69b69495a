from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.phases import Phase
from meshsim.analysis.warm_up import doubts, mser, warm_ups
from meshsim.results.frames import frame
from meshsim.results.tables import TABLES

BUCKET, COUNT = 5.0, 24


def tables(latency, busy: float = 0.5, replications: int = 4, noise: float = 0.02) -> dict[str, pd.DataFrame]:
    """Return tables of one deployment whose mean latency in each bucket is that of ``latency`` with some noise."""
    random = np.random.default_rng(5)
    rows = [
        (replication, at * BUCKET, latency[at] * (1 + noise * random.standard_normal()))
        for replication in range(replications)
        for at in range(len(latency))
    ]
    count = len(rows)
    run = {"deployment": ["a"] * count, "replication": [row[0] for row in rows]}
    run |= {"start": [row[1] for row in rows], "end": [row[1] + BUCKET for row in rows]}
    found = {name: frame(name, {column.name: [] for column in TABLES[name]}) for name in TABLES}
    ended = {"entry": "web", "cluster": "eu", "flow": "local", "code": 200, "response_flag": "", "count": 100}
    found["requests"] = frame("requests", {**run, **_all(ended, count), "latency_sum": [100 * row[2] for row in rows]})
    pod = {"cluster": "eu", "service": "web", "busy_seconds": busy * BUCKET, "worker_seconds": BUCKET}
    zeros = {column.name: 0 for column in TABLES["pods"] if column.dtype != "str"}
    found["pods"] = frame("pods", {**_all(zeros | pod, count), **run})
    return found


def _all(values: dict, count: int) -> dict:
    return {name: [value] * count for name, value in values.items()}


WHOLE = [Phase("all", 10.0, COUNT * BUCKET)]
STEADY = [1.0] * COUNT
SETTLING = [1 + 3 * math.exp(-at / 1.5) for at in range(COUNT)]


def test_mser_cuts_a_beginning_that_is_unlike_the_rest():
    assert mser([10.0, 6.0, 3.0, *[1.0, 1.2, 0.8, 1.1] * 5]) == 3


def test_mser_of_a_steady_row_cuts_little_and_of_a_growing_one_finds_nothing():
    assert mser(np.random.default_rng(2).normal(1.0, 0.1, 40)) < 10
    assert mser(np.arange(40.0)) is None


def test_a_warm_up_that_is_long_enough_leaves_no_doubt():
    assert doubts(tables(STEADY), WHOLE) == []
    assert doubts(tables(SETTLING), [Phase("all", 90.0, COUNT * BUCKET)]) == []


def test_a_warm_up_that_is_too_short_is_told_with_the_one_to_take():
    [doubt] = doubts(tables(SETTLING), WHOLE)
    [found] = warm_ups(tables(SETTLING), WHOLE)
    assert doubt.kind == "warm-up"
    assert found.found > 10
    assert f"--set warm_up={found.found:g}s" in doubt.words


def test_a_baseline_that_grows_is_not_steady():
    [doubt] = doubts(tables([1 + at / 10 for at in range(COUNT)]), [Phase("before", 10.0, COUNT * BUCKET)])
    assert doubt.kind == "trend"
    assert "the part before the first event" in doubt.words


def test_what_happens_after_the_first_event_is_a_transient_and_no_doubt():
    outage = STEADY[: COUNT // 2] + [9.0 + at for at in range(COUNT // 2)]
    spans = [Phase("before", 10.0, 60.0), Phase("during", 60.0, 100.0), Phase("after", 100.0, 120.0)]
    assert doubts(tables(outage), spans) == []


def test_workers_that_are_always_busy_are_told_once_and_their_trend_is_not_told_again():
    [doubt] = doubts(tables([1.0 + at for at in range(COUNT)], busy=1.0), WHOLE)
    assert doubt.kind == "saturated"
    assert "web in eu is saturated (100% busy)" in doubt.words


def test_few_buckets_show_nothing():
    [found] = warm_ups(tables(SETTLING[:6]), [Phase("all", 0.0, 30.0)])
    assert math.isnan(found.found)
    assert found.buckets == 6


def test_a_run_without_a_part_before_the_fault_has_no_baseline():
    assert warm_ups(tables(STEADY), [Phase("during", 0.0, 120.0)]) == []


@pytest.mark.parametrize("replications", [1, 2])
def test_one_replication_cannot_tell_a_trend_from_noise(replications: int):
    found = doubts(tables([1 + at / 10 for at in range(COUNT)], replications=replications, noise=0.2), WHOLE)
    assert len(found) == 0 if replications == 1 else len(found) <= 1
