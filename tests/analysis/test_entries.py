from __future__ import annotations

import pandas as pd
import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.entries import by_entry
from meshsim.analysis.phases import Phase
from meshsim.results.frames import concatenate
from meshsim.results.histogram import bin_of

SPANS = [Phase("before", 0.0, 5.0), Phase("during", 5.0, 10.0)]


#: What users wait by the cluster they enter, seconds, before and during.
WAITS = {"eu-1": (0.010, 0.020), "eu-2": (0.010, 0.500), "us-1": (0.040, 0.040)}


def waits(replications):
    """Return histograms of 900, 100 and 500 requests by cluster of entry, and by load entry something else."""
    rows = [
        (
            "hybrid",
            replication,
            start,
            start + 5.0,
            kind,
            "",
            cluster if kind == "ingress" else "",
            "local",
            "ok",
            at,
            n,
        )
        for replication in range(replications)
        for start in (0.0, 5.0)
        for cluster, n in (("eu-1", 900), ("eu-2", 100), ("us-1", 500))
        for kind, at in (("ingress", int(bin_of(WAITS[cluster][start > 0]))), ("request", int(bin_of(9.0))))
    ]
    names = [
        "deployment",
        "replication",
        "start",
        "end",
        "kind",
        "service",
        "cluster",
        "flow",
        "outcome",
        "bin",
        "count",
    ]
    frame = pd.DataFrame(rows, columns=names)
    return {"latency": {name: frame[name].to_numpy() for name in frame.columns}}


def tables(replications=2):
    rows = [
        ("hybrid", replication, start, start + 5.0, "web", cluster, "local", code, "", count, 0.01 * count)
        for replication in range(replications)
        for start in (0.0, 5.0)
        for cluster, code, count in (("eu-1", 200, 90), ("eu-2", 503, 10 if start else 0), ("us-1", 200, 50))
    ]
    names = ["deployment", "replication", "start", "end", "entry", "cluster", "flow", "code", "response_flag", "count"]
    frame = pd.DataFrame(rows, columns=[*names, "latency_sum"])
    return concatenate([{"requests": {name: frame[name].to_numpy() for name in frame.columns}}, waits(replications)])


def value(found, phase, metric, flow):
    rows = found[(found["phase"] == phase) & (found["metric"] == metric) & (found["flow"] == flow)]
    return rows["value"].iloc[0]


def test_clusters_of_one_place_are_counted_together():
    found = by_entry(tables(), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us"})
    assert value(found, "during", "success_rate", "from eu") == pytest.approx(0.9)
    assert value(found, "during", "success_rate", "from us") == 1.0
    assert value(found, "all", "requests", "from eu") == 190


@pytest.mark.parametrize(
    ("phase", "quantile", "eu", "us"),
    # Of those who enter in eu one in ten enters by eu-2, which is slow during the fault.
    [("before", "p99", 0.010, 0.040), ("during", "p50", 0.020, 0.040), ("during", "p99", 0.500, 0.040)],
)
def test_percentiles_are_those_of_the_users_who_entered_there(phase, quantile, eu, us):
    found = by_entry(tables(), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us"})
    for place, seconds in (("eu", eu), ("us", us)):
        assert value(found, phase, f"latency_{quantile}", f"from {place}") == pytest.approx(seconds, rel=0.016)


def test_a_cluster_without_a_place_stands_for_itself():
    found = by_entry(tables(), SPANS, {"eu-1": "eu"})
    assert set(found["flow"]) == {"from eu", "from eu-2", "from us-1"}


def test_a_place_where_nobody_enters_has_no_success_rate():
    found = by_entry(tables(), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us", "ap-1": "ap"})
    assert pd.isna(value(found, "before", "success_rate", "from ap"))
    assert pd.isna(value(found, "before", "latency_p99", "from ap"))
    assert value(found, "before", "requests", "from ap") == 0


def test_a_comparison_of_it_has_exact_bounds_as_for_all_users():
    found = compare(by_entry(tables(3), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us"}))
    row = found[(found["phase"] == "before") & (found["metric"] == "success_rate") & (found["flow"] == "from us")]
    assert row["high"].iloc[0] == 1.0
    assert 0.95 < row["low"].iloc[0] < 1.0


def test_a_percentile_of_too_few_requests_who_entered_there_is_said_to_be_one():
    found = compare(by_entry(tables(3), SPANS, {"eu-1": "eu", "eu-2": "eu", "us-1": "us"}))
    needed = found[found["phase"] == "before"].set_index(["metric", "flow"])["requests_needed"]
    assert needed["latency_p99", "from us"] == 1000  # 50 entered
    assert needed["latency_p50", "from us"] == 0
