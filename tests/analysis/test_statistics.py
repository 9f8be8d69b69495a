from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from meshsim.analysis.statistics import interval, paired, replications_for


def test_an_interval_is_the_one_of_students_t():
    values = [3.1, 2.7, 4.4, 3.9, 3.3]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    estimate = interval(values)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert (estimate.n, estimate.missing) == (5, 0)


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(20)
    covered = sum(interval(random.exponential(size=8) ** 0.5, 0.9).covers(math.gamma(1.5)) for _ in range(1000))
    assert 0.87 < covered / 1000 < 0.93  # 900 ± 3 standard deviations of 9.5


def test_one_replication_has_no_interval_and_says_so():
    estimate = interval([2.5])
    assert estimate.mean == 2.5
    assert math.isnan(estimate.half_width)
    assert str(estimate) == "2.5 ± ? (one replication shows no interval)"
    assert not estimate.covers(2.5)


def test_replications_without_a_value_are_counted_and_shown():
    estimate = interval([1.0, math.nan, 3.0])
    assert (estimate.mean, estimate.n, estimate.missing) == (2.0, 2, 1)
    assert f"{estimate:.1f}" == "2.0 ± 12.7 (2 of 3)"
    assert str(interval([math.nan])) == "no value"
    assert str(interval([])) == "no value"


def test_common_noise_drops_out_of_a_paired_difference():
    noise = np.random.default_rng(1).normal(0.0, 100.0, 20)
    difference = paired(noise, noise + 1.0 + np.linspace(-0.1, 0.1, 20))
    assert difference.covers(1.0)
    assert difference.half_width < 0.05


def test_pairs_with_a_missing_side_do_not_count():
    difference = paired([1.0, math.nan, 3.0], [2.0, 5.0, 4.0])
    assert (difference.mean, difference.half_width, difference.n, difference.missing) == (1.0, 0.0, 2, 1)


def test_the_forecast_of_replications_is_the_smallest_that_is_enough():
    estimate = interval([8.0, 10.0, 12.0, 11.0, 9.0])
    spread = np.std([8.0, 10.0, 12.0, 11.0, 9.0], ddof=1)
    needed = replications_for(estimate, 0.2)

    def half_width(n):
        return stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n)

    assert half_width(needed) <= 0.2 < half_width(needed - 1)
    assert replications_for(interval([1.0]), 0.05) is None
    assert replications_for(interval([5.0, 5.0]), 0.25) == 2


def test_values_that_cannot_be_paired_or_trusted_are_refused():
    with pytest.raises(ValueError, match="2 and 1 replications cannot be paired"):
        paired([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="confidence 95 is not between 0 and 1"):
        interval([1.0], 95)
