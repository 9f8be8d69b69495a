from __future__ import annotations

import pytest

from meshsim.analysis.comparison import compare, differences
from meshsim.analysis.enough import lacks, tolerance
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


def test_one_replication_lacks_everything_and_nobody_knows_how_much():
    [found] = lacks(*(of(summary_of(latency_p99={"a": [1.0]})) for of in (compare, differences)))
    assert found.needed is None


def test_percentiles_of_too_few_requests_are_left_out():
    assert lacking(requests={"a": [100] * 3}, latency_p99={"a": [1.0, 2.0, 3.0]}) == []


def test_other_metrics_are_not_waited_for():
    assert lacking(stale_share={"a": [0.1, 0.5, 0.9]}) == []
