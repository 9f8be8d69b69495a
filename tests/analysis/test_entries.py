from __future__ import annotations

import pandas as pd
import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.entries import by_entry
from meshsim.analysis.phases import Phase
from meshsim.results.frames import concatenate

SPANS = [Phase("before", 0.0, 5.0), Phase("during", 5.0, 10.0)]


def tables(replications=2):
    rows = [
        ("hybrid", replication, start, start + 5.0, "web", cluster, "local", code, "", count, 0.01 * count)
        for replication in range(replications)
        for start in (0.0, 5.0)
        for cluster, code, count in (("eu-1", 200, 90), ("eu-2", 503, 10 if start else 0), ("us-1", 200, 50))
    ]
    names = ["deployment", "replication", "start", "end", "entry", "cluster", "flow", "code", "response_flag", "count"]
    frame = pd.DataFrame(rows, columns=[*names, "latency_sum"])
    return concatenate([{"requests": {name: frame[name].to_numpy() for name in frame.columns}}])


def value(found, phase, metric, flow):
    rows = found[(found["phase"] == phase) & (found["metric"] == metric) & (found["flow"] == flow)]
    return rows["value"].iloc[0]


def test_clusters_of_one_place_are_counted_together():
    found = by_entry(tables(), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us"})
    assert value(found, "during", "success_rate", "from eu") == pytest.approx(0.9)
    assert value(found, "during", "success_rate", "from us") == 1.0
    assert value(found, "all", "requests", "from eu") == 190


def test_a_cluster_without_a_place_stands_for_itself():
    found = by_entry(tables(), SPANS, {"eu-1": "eu"})
    assert set(found["flow"]) == {"from eu", "from eu-2", "from us-1"}


def test_a_place_where_nobody_enters_has_no_success_rate():
    found = by_entry(tables(), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us", "ap-1": "ap"})
    assert pd.isna(value(found, "before", "success_rate", "from ap"))
    assert value(found, "before", "requests", "from ap") == 0


def test_a_comparison_of_it_has_exact_bounds_as_for_all_users():
    found = compare(by_entry(tables(3), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us"}))
    row = found[(found["phase"] == "before") & (found["metric"] == "success_rate") & (found["flow"] == "from us")]
    assert row["high"].iloc[0] == 1.0
    assert 0.95 < row["low"].iloc[0] < 1.0
