from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from meshsim.analysis.rare_events import clopper_pearson, least_difference, replications_for_rates, requests_for


def test_no_event_of_many_has_an_upper_bound_of_three_over_their_number():
    low, high = clopper_pearson(0, 120_000)
    assert low == 0
    assert high == pytest.approx(3 / 120_000, rel=0.002)  # -ln 0.05 = 2.996


def test_bounds_are_scipys_where_there_are_two_of_them():
    for events, trials in ((1, 10), (5, 1000), (999, 1000), (50, 100)):
        exact = binomtest(events, trials).proportion_ci(0.95, "exact")
        assert clopper_pearson(events, trials) == pytest.approx((exact.low, exact.high))


def test_without_trials_nothing_is_known():
    assert all(math.isnan(bound) for bound in clopper_pearson(0, 0))


def test_more_events_than_trials_are_refused():
    with pytest.raises(ValueError, match="between none and the number"):
        clopper_pearson(3, 2)


@given(st.integers(0, 50), st.integers(1, 50))
def test_bounds_are_shares_around_the_share_seen(events: int, more: int):
    trials = events + more
    low, high = clopper_pearson(events, trials)
    assert 0 <= low <= events / trials <= high <= 1


def covered(share: float, trials: int) -> float:
    events = np.arange(min(trials, 400) + 1)  # of 20,000 trials no more than that are expected here
    low, high = clopper_pearson(events, trials)
    return float(binom.pmf(events, trials, share)[(low <= share) & (share <= high)].sum())


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3])
def test_bounds_cover_at_least_as_often_as_they_say(share: float):
    assert covered(share, 400) >= 0.95


@pytest.mark.parametrize("trials", [5, 10, 50, 400, 20_000])
def test_only_where_three_events_are_expected_bounds_cover_a_little_less(trials: int):
    # With no event at all the bound is one-sided; each side may then miss in 5 %, never more in all than 7.5 %.
    found = {expected: covered(expected / trials, trials) for expected in np.arange(0.1, min(trials / 2, 8), 0.05)}
    assert min(found.values()) >= (0.9375 if trials >= 100 else 0.925)
    less = [expected for expected, often in found.items() if often < 0.95]
    assert less
    assert 2 < min(less) <= max(less) < 3.5


@pytest.mark.parametrize("events", [0, 1, 2, 7, 60, 2_500, 4_990, 5_000])
def test_the_forecast_of_replications_is_the_smallest_whose_exact_interval_is_narrow_enough(events: int):
    trials, n = 5_000, 5

    def longer_side(replications: float) -> float:
        happened, asked = (of * replications / n for of in (events, trials))
        low, high = clopper_pearson(happened, asked)
        return float(max(high - events / trials, events / trials - low))

    for part in (0.9, 0.3, 0.05):
        needed = float(replications_for_rates(events, trials, n, part * longer_side(n)))
        assert longer_side(needed) <= part * longer_side(n) < longer_side(needed - 1)


def test_a_rate_that_is_known_well_enough_needs_the_replications_it_has():
    assert replications_for_rates(3, 10_000, 5, 0.5) == 5


def test_five_coins_on_one_side_may_be_chance_and_six_are_not():
    assert 2 * 0.5**5 > 0.05 > 2 * 0.5**6
    assert least_difference(0.95) == 6


def test_a_percentile_needs_ten_requests_beyond_it():
    assert requests_for(0.999) == 10_000
