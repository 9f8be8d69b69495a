from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.comparison import compare, differences

COLUMNS = ["deployment", "replication", "phase", "metric", "flow", "value"]


def summary_of(**metrics: dict[str, list[float]]) -> pd.DataFrame:
    """Return a summary of ``metric={deployment: values by replication}``; ``p99`` for latency_p99."""
    rows = [
        (deployment, replication, "all", metric, "all", value)
        for metric, deployments in metrics.items()
        for deployment, values in deployments.items()
        for replication, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def row_of(table: pd.DataFrame, deployment: str, metric: str) -> pd.Series:
    found = table[(table["deployment"] == deployment) & (table["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def served(*failed: int, of: int = 40_000) -> dict[str, dict[str, list[float]]]:
    return {
        "requests": {"a": [of] * len(failed)},
        "success_rate": {"a": [1 - n / of for n in failed]},
        "errors": {"a": [float(n) for n in failed]},
    }


def test_no_error_at_all_still_has_an_upper_bound():
    table = compare(summary_of(**served(0, 0, 0)))
    assert row_of(table, "a", "success_rate")["low"] == pytest.approx(1 - 2.996 / 120_000, abs=1e-8)
    assert row_of(table, "a", "success_rate")["high"] == 1
    assert row_of(table, "a", "errors")["high"] == pytest.approx(2.996 / 3, rel=1e-3)


def test_no_error_of_one_replication_has_a_bound_too_but_some_errors_have_no_interval():
    assert row_of(compare(summary_of(**served(0))), "a", "success_rate")["low"] == pytest.approx(1 - 2.996 / 40_000)
    assert math.isnan(row_of(compare(summary_of(**served(3))), "a", "success_rate")["low"])


def test_errors_in_bursts_have_the_wider_student_interval():
    found = row_of(compare(summary_of(**served(0, 0, 900, 0))), "a", "success_rate")
    assert found["low"] == pytest.approx(found["mean"] - found["half_width"])
    assert found["high"] == 1


def test_few_errors_that_happen_to_agree_have_the_wider_exact_interval():
    found = row_of(compare(summary_of(**served(1, 1, 1))), "a", "success_rate")
    assert found["low"] == pytest.approx(1 - 7.3e-5, abs=1e-6)
    assert found["half_width"] == pytest.approx(found["mean"] - found["low"])
    assert found["same"]


def test_shares_stay_between_nothing_and_all():
    table = compare(summary_of(stale_share={"a": [0.0, 0.0, 0.3]}, call_share={"a": [1.0, 1.0, 0.8]}))
    assert row_of(table, "a", "stale_share")["low"] == 0
    assert row_of(table, "a", "call_share")["high"] == 1


def test_three_errors_against_none_are_no_difference_though_every_replication_has_one():
    both = {
        "requests": {"a": [40_000] * 3, "b": [40_000] * 3},
        "errors": {"a": [0.0] * 3, "b": [1.0] * 3},
        "success_rate": {"a": [1.0] * 3, "b": [1 - 1 / 40_000] * 3},
    }
    table = compare(summary_of(**both))
    assert set(table[table["deployment"] == "b"]["verdict"]) == {"no difference seen"}
    both["errors"]["b"] = [4.0] * 3
    assert row_of(compare(summary_of(**both)), "b", "errors")["verdict"] == "worse"


def test_a_percentile_of_too_few_requests_has_no_verdict_and_says_what_it_needs():
    values = {"a": [1.0, 1.1, 1.2], "b": [9.0, 9.1, 9.2]}
    few = {"requests": {"a": [800] * 3, "b": [20_000] * 3}, "latency_p99.9": values}
    table = compare(summary_of(**few))
    assert row_of(table, "a", "latency_p99.9")["requests_needed"] == 10_000
    assert row_of(table, "b", "latency_p99.9")["requests_needed"] == 0
    assert row_of(table, "b", "latency_p99.9")["verdict"] == "no difference seen"
    enough = {"requests": {"a": [20_000] * 3, "b": [20_000] * 3}, "latency_p99.9": values}
    assert row_of(compare(summary_of(**enough)), "b", "latency_p99.9")["verdict"] == "worse"


def test_everybody_is_compared_with_everybody():
    noise = np.array([0.0, 0.3, 0.1, 0.2])
    table = compare(summary_of(latency_p99={"a": 3 + noise, "b": 1 + noise**2, "c": 1 + noise**2, "d": 2 + noise}))
    beats = {row["deployment"]: row["beats"] for _, row in table.iterrows()}
    assert beats == {"a": (), "b": ("a", "d"), "c": ("a", "d"), "d": ("a",)}
    assert row_of(table, "b", "latency_p99")["alike"] == ("c",)


def test_the_correction_makes_a_weak_difference_no_difference():
    first, second = [1.0, 2.0, 3.0, 4.0], [1.4, 2.9, 3.5, 5.0]
    two = compare(summary_of(latency_p99={"a": first, "b": second}))
    assert row_of(two, "b", "latency_p99")["verdict"] == "worse"
    others = {name: [0.0, 9.0, 3.0, 5.0] for name in "cdefgh"}
    many = compare(summary_of(latency_p99={"a": first, "b": second, **others}))
    assert row_of(many, "b", "latency_p99")["verdict"] == "no difference seen"


def test_all_differences_are_in_one_table():
    table = differences(summary_of(latency_p99={"a": [1.0, 2.0], "b": [2.0, 3.0], "c": [2.0, 3.0]}))
    assert list(zip(table["deployment"], table["than"], table["difference"], strict=True)) == [
        ("b", "a", 1.0),
        ("c", "a", 1.0),
        ("c", "b", 0.0),
    ]
    assert table["verdict"].tolist() == ["worse", "worse", "no difference seen"]
    assert differences(summary_of(latency_p99={"a": [1.0, 2.0]})).empty


def test_how_many_replications_it_takes_is_known_for_each_row():
    table = compare(summary_of(latency_p99={"a": [0.9, 1.0, 1.1]}, latency_p50={"a": [1.0, 1.0, 1.001]}))
    assert row_of(table, "a", "latency_p99")["replications_needed"] == 18
    assert row_of(table, "a", "latency_p50")["replications_needed"] == 0
    assert math.isnan(row_of(compare(summary_of(latency_p99={"a": [1.0]})), "a", "latency_p99")["replications_needed"])


# --- recoveries that never came ---------------------------------------------------------------------------------

INF = math.inf


def recovered(**values: list[float]) -> pd.DataFrame:
    return compare(summary_of(time_to_recover=values))


@pytest.mark.parametrize(
    ("values", "beats"),
    [
        # Whoever is quicker in most, and never back in the others, is no better.
        ({"a": [10.0, 12.0, 11.0, 9.0, INF, INF], "b": [60.0] * 6}, {"a": (), "b": ()}),
        ({"a": [10.0] * 36 + [INF] * 4, "b": [60.0] * 40}, {"a": (), "b": ()}),
        ({"a": [60.0] * 6, "b": [INF] * 6}, {"a": ("b",), "b": ()}),
        ({"a": [60.0] * 5, "b": [INF] * 5}, {"a": (), "b": ()}),
        # Both fail to recover in the same replications, and a is quicker in the others.
        ({"a": [9.0] * 6 + [INF] * 2, "b": [60.0] * 6 + [INF] * 2}, {"a": ("b",), "b": ()}),
        ({"a": [INF] * 20 + [9.0] * 20, "b": [INF] * 40}, {"a": ("b",), "b": ()}),
        ({"a": [0.0] * 7, "b": [60.0] * 7, "c": [INF] * 7}, {"a": ("b", "c"), "b": ("c",), "c": ()}),
        ({"a": [0.0] * 6, "b": [60.0] * 6, "c": [INF] * 6}, {"a": (), "b": (), "c": ()}),
    ],
)
def test_a_recovery_that_never_came_is_longer_than_any_that_did(values, beats):
    table = recovered(**values)
    assert dict(zip(table["deployment"], table["beats"], strict=True)) == beats


def test_deployments_that_never_recover_are_alike_and_too_few_that_do_not_are_steady():
    assert recovered(a=[INF] * 5, b=[INF] * 5)["alike"].tolist() == [("b",), ("a",)]
    assert recovered(a=[0.0] * 5, b=[INF] * 5)["steady"].tolist() == [("b",), ("a",)]
    assert recovered(a=[0.0] * 5, b=[INF] * 4 + [9.0])["steady"].tolist() == [(), ()]


def test_nothing_is_forecast_of_a_recovery_that_may_never_come():
    assert recovered(a=[9.0, 10.0, 11.0, INF])["replications_needed"].isna().all()
