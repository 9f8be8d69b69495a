from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from meshsim.analysis.comparison import compare, differences
from meshsim.analysis.enough import forecast, lacks, tolerance
from meshsim.analysis.means import known
from tests.analysis.test_comparison import summary_of


def lacking(relative: float = 0.05, **metrics):
    summary = summary_of(**metrics)
    return [
        (lack.metric, lack.deployment, lack.than) for lack in lacks(compare(summary), differences(summary), relative)
    ]


def test_the_error_rate_counts_and_not_the_success_rate_down_to_one_percent():
    assert tolerance("success_rate", 0.8, 0.05) == pytest.approx(0.05 * 0.2)
    assert tolerance("success_rate", 0.999, 0.05) == pytest.approx(0.05 * 0.01)
    assert tolerance("latency_p99", 0.2, 0.05) == pytest.approx(0.01)


def test_what_is_known_well_lacks_nothing():
    assert lacking(latency_p99={"a": [1.0, 1.01, 0.99]}) == []


def test_a_wide_interval_lacks_and_a_wide_difference_of_narrow_ones_too():
    assert lacking(latency_p99={"a": [1.0, 2.0, 3.0]}) == [("latency_p99", "a", "")]
    found = lacking(0.05, latency_p99={"a": [1.0, 1.02, 1.04], "b": [1.04, 1.02, 1.0]})
    assert found == [("latency_p99", "b", "a")]


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_a_forecast_holds_at_the_confidence_of_its_intervals(confidence: float):
    values = [0.9, 1.0, 1.1]
    [needed] = compare(summary_of(latency_p99={"a": values}), confidence)["replications_needed"]

    def half_width(n: float) -> float:
        return float(stats.t.ppf(0.5 + confidence / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))

    assert half_width(needed) <= 0.05 < half_width(needed - 1)


def test_one_replication_lacks_everything_and_nobody_knows_how_much():
    [found] = lacks(*(of(summary_of(latency_p99={"a": [1.0]})) for of in (compare, differences)))
    assert found.needed is None


def test_percentiles_of_too_few_requests_are_left_out():
    assert lacking(requests={"a": [100] * 3}, latency_p99={"a": [1.0, 2.0, 3.0]}) == []


def test_other_metrics_are_not_waited_for():
    assert lacking(stale_share={"a": [0.1, 0.5, 0.9]}) == []


def lack_of(success: list[float], requests: int) -> int:
    summary = summary_of(requests={"a": [requests] * len(success)}, success_rate={"a": success})
    [lack] = lacks(compare(summary), differences(summary))
    assert compare(summary).set_index("metric").loc["success_rate", "replications_needed"] == lack.needed
    return lack.needed


@pytest.mark.parametrize("happened", [0.0, 1.0])
def test_the_forecast_for_what_never_or_always_happened_is_what_it_takes(happened: float):
    needed = lack_of([happened] * 3, 300)
    half_widths = [known("success_rate", [happened] * n, [300] * n).half_width for n in (needed - 1, needed)]
    assert half_widths[1] <= 0.0005 < half_widths[0]  # 20; falling as their root, the bound would take 30


@pytest.mark.parametrize("failed", [[1, 0, 0], [1, 1, 1], [2, 1, 3]])
def test_the_forecast_for_few_failures_is_what_it_takes_if_as_many_go_on_failing(failed: list[int]):
    needed = lack_of([1 - number / 1000 for number in failed], 1000)
    half_widths = [
        known("success_rate", [1 - number / 1000 for number in failed] * n, [1000] * (3 * n)).half_width
        for n in (needed * 8 // 30, -(-needed // 3))
    ]
    assert half_widths[1] <= 0.0005 < half_widths[0]


def test_the_forecast_for_failures_in_bursts_follows_their_spread():
    # Of four failures the exact interval is the wider one; later on, that of two bursts is.
    failed = np.array([2, *[0] * 18, 2, *[0] * 10])
    table = compare(summary_of(requests={"a": [100] * 30}, success_rate={"a": list(1 - failed / 100)}))
    row = table[table["metric"] == "success_rate"]
    spread = float(np.std(failed / 100, ddof=1))
    assert row["spread"].iloc[0] == pytest.approx(spread)
    assert row["half_width"].iloc[0] > 2.05 * spread / np.sqrt(30)
    assert forecast(row, np.array([0.0005]))[0] == pytest.approx((1.96 * spread / 0.0005) ** 2, rel=0.01)
