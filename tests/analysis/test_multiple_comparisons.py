from __future__ import annotations

import numpy as np
import pytest

from meshsim.analysis.multiple_comparisons import all_pairs
from meshsim.analysis.statistics import paired


def test_two_deployments_have_the_paired_interval_as_it_is():
    a, b = [1.0, 2.0, 4.0], [2.0, 2.5, 5.5]
    [pair] = all_pairs(np.array([[a], [b]]))
    expected = paired(a, b)
    assert (pair.mean[0], pair.half_width[0]) == pytest.approx((expected.mean, expected.half_width))


def test_three_deployments_share_five_percent_of_doubt():
    values = np.random.default_rng(1).normal(size=(3, 1, 8))
    for pair in all_pairs(values):
        expected = paired(values[pair.a, 0], values[pair.b, 0], 1 - 0.05 / 3)
        assert pair.half_width[0] == pytest.approx(expected.half_width)
        assert pair.confidence[0] == pytest.approx(1 - 0.05 / 3)


def test_pairs_that_cannot_be_compared_cost_nothing():
    values = np.random.default_rng(1).normal(size=(3, 1, 8))
    values[2] = np.nan
    assert [pair.confidence[0] for pair in all_pairs(values)] == pytest.approx([0.95] * 3)


def test_chance_alone_seldom_makes_any_difference_of_a_row():
    values = np.random.default_rng(7).normal(size=(4, 2000, 5))
    wrong = np.zeros(2000, dtype=bool)
    for pair in all_pairs(values):
        wrong |= pair.beyond_chance
    assert 0.02 < wrong.mean() < 0.055
