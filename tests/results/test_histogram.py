from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshsim.results.histogram import bin_of, edges, quantile, quantiles
from meshsim.results.tables import BINS

seconds = st.floats(1e-6, 1800.0)


@given(seconds)
def test_a_duration_lies_between_the_edges_of_its_bin(duration):
    at = int(bin_of(duration))
    low, high = edges([at, at + 1])
    assert low <= duration < high
    assert (high - low) / low <= 1 / 64 + 1e-12


def test_durations_off_the_scale_go_into_the_outermost_bins():
    assert bin_of([0.0, 1e-9, 1e9]).tolist() == [0, 0, BINS - 1]


@given(st.lists(seconds, min_size=1, max_size=200), st.floats(0.0, 1.0))
@settings(max_examples=50)
def test_a_quantile_is_within_a_bin_of_the_exact_one(durations, q):
    exact = float(np.quantile(durations, q, method="inverted_cdf"))
    assert quantile(bin_of(durations), np.ones(len(durations)), q) == pytest.approx(exact, rel=1 / 64)


def test_how_rows_are_cut_and_ordered_makes_no_difference():
    bins, counts = np.array([100, 200, 300]), np.array([4, 10, 6])
    whole = [quantile(bins, counts, q) for q in (0.1, 0.5, 0.9)]
    random = np.random.default_rng(5)
    rows = random.permutation(np.repeat(bins, counts))
    assert [quantile(rows, np.ones(20), q) for q in (0.1, 0.5, 0.9)] == whole


def test_many_histograms_at_once_agree_with_one_at_a_time():
    random = np.random.default_rng(6)
    groups, bins, counts = random.integers(0, 40, 2000), random.integers(0, BINS, 2000), random.integers(0, 5, 2000)
    together = quantiles(groups, bins, counts, [0.0, 0.5, 0.99, 1.0], 41)
    for group in range(40):
        mine = groups == group
        alone = [quantile(bins[mine], counts[mine], q) for q in (0.0, 0.5, 0.99, 1.0)]
        assert together[:, group].tolist() == alone  # to the last bit: equal runs must not seem to differ
    assert np.isnan(together[:, 40]).all()


def test_a_histogram_of_nothing_has_no_quantile():
    assert math.isnan(quantile([], [], 0.5))
    assert math.isnan(quantile([5], [0], 0.5))
