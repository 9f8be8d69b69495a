"""Bounds against truths that are known: how often they cover, and how often something is called sure that is not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.expectations import check
from meshsim.analysis.means import bounds, known
from meshsim.analysis.rare_events import clopper_pearson
from meshsim.analysis.wanted import Wanted
from meshsim.experiment.breaking import State
from meshsim.experiment.find import _judge, _Point
from meshsim.experiment.wanted import Bound
from meshsim.scenario.schema_expect import Expectation

EXPERIMENTS = 4_000
#: Three standard errors of a share of 95 % among so many.
LUCK = 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)


def counted(errors: np.ndarray, requests: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ends of the intervals of success rates, an experiment in each row."""
    trials = np.full(errors.shape, float(requests))
    _, low, high, _ = bounds(["success_rate"] * len(errors), 1 - errors / requests, errors.astype(float), trials, 0.95)
    return low, high


@pytest.mark.parametrize("replications", [2, 3, 5, 10])
@pytest.mark.parametrize("failing", [0.00002, 0.0005, 0.01, 0.3, 0.9995])
def test_intervals_of_success_rates_cover_the_truth_at_least_as_often_as_they_say(failing, replications):
    random = np.random.default_rng([replications, int(1e6 * failing)])
    errors = random.binomial(4_000, failing, size=(EXPERIMENTS, replications))
    low, high = counted(errors, 4_000)
    assert np.mean((low <= 1 - failing) & (1 - failing <= high)) >= 0.95 - LUCK
    assert np.all((low < high) & (low >= 0) & (high <= 1))


def test_failures_that_come_in_bursts_have_intervals_as_wide_as_the_bursts_make_them():
    # Each replication has a failure probability of its own, 1 ± 0.3 %, so its 20,000 requests are not independent.
    random = np.random.default_rng(5)
    errors = random.binomial(20_000, np.clip(random.normal(0.01, 0.003, size=(EXPERIMENTS, 5)), 0, 1))
    low, high = counted(errors, 20_000)
    assert np.mean((low <= 0.99) & (high >= 0.99)) == pytest.approx(0.95, abs=LUCK)
    least, most = clopper_pearson(errors.sum(axis=1), 100_000)
    assert np.mean((least <= 0.01) & (most >= 0.01)) < 0.5  # what counts requests alone is far too narrow


@pytest.mark.sample(1)
@pytest.mark.parametrize("failing", [0.0001, 0.001, 0.02])
def test_an_expectation_that_just_does_not_hold_is_hardly_ever_sure(failing):
    # Every experiment is a deployment of its own, whose true success rate is a little below the bound.
    success = 1 - np.random.default_rng(3).binomial(3_000, failing, size=(600, 3)) / 3_000
    rows = [
        (str(experiment), number, "all", metric, "all", value)
        for experiment, rates in enumerate(success)
        for number, rate in enumerate(rates)
        for metric, value in (("success_rate", rate), ("requests", 3_000.0))
    ]
    summary = pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"])
    results = check(summary, [Expectation(metric="success_rate", at_least=1 - failing + 1e-9)])
    assert np.mean([result.sure for result in results]) <= 0.05
    assert failing > 0.0001 or np.mean([result.mean == 1 for result in results]) > 0.3  # which alone made none sure


@pytest.mark.sample(1)
@pytest.mark.parametrize("failing", [0.0005, 0.005])
def test_a_search_hardly_ever_decides_a_point_that_lies_on_the_bound(failing):
    random = np.random.default_rng(int(1e6 * failing))
    limit = Bound(Wanted("success_rate"), "<", 1 - failing, "")
    wrong = 0
    for _ in range(400):
        point = _Point()
        for size in (3, 6, 12, 24):
            more = size - len(point.values)
            point.values += (1 - random.binomial(2_000, failing, size=more) / 2_000).tolist()
            point.among += [2_000.0] * more
            _judge(point, limit, 1 - 0.05 / 4)
            if point.state is not State.OPEN:
                wrong += 1
                break
    assert wrong / 400 <= 0.05


def test_a_search_is_sure_of_a_point_without_errors_once_there_are_requests_enough():
    limit, point = Bound(Wanted("success_rate"), "<", 0.999, "99.9%"), _Point([1.0] * 3, [400.0] * 3)
    _judge(point, limit, 0.9875)
    assert point.state is State.OPEN  # 0 of 1,200 may be 4 of 1,000
    point.values, point.among = [1.0] * 12, [400.0] * 12
    _judge(point, limit, 0.9875)
    assert point.state is State.FINE
    assert point.known.low == pytest.approx(1 - 4.38 / 4800, rel=1e-5)


def test_what_agrees_in_every_replication_has_no_interval_and_is_the_usual_value_from_five_on():
    four, five = (known("pods_blocked", [0.0] * n) for n in (4, 5))
    assert math.isnan(four.half_width)
    assert math.isnan(four.low)
    assert four.same
    assert math.isnan(four.ends()[0])
    assert five.ends() == (0.0, 0.0)
    assert math.isnan(five.ends(0.9875)[0])
    assert known("pods_blocked", [0.0] * 4 + [1.0]).half_width > 0


def test_a_percentile_that_agrees_is_known_to_half_a_bin_and_what_the_scenario_decides_exactly():
    found = known("latency_p99", [0.2] * 3)
    assert found.half_width == pytest.approx(0.2 / 128)
    assert known("control_planes", [3.0] * 2).ends() == (3.0, 3.0)


def test_errors_with_a_flag_that_a_replication_had_none_of_are_none_there():
    rows = [
        ("a", number, "all", metric, "all", value)
        for number in range(4)
        for metric, value in (("requests", 100.0), ("errors", 2.0 * (number == 1)), ("errors:UH", 2.0))
        if metric != "errors:UH" or number == 1
    ]
    table = compare(pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"]))
    found = table.set_index("metric").loc["errors:UH"]
    assert (found["mean"], found["n"], found["missing"]) == (0.5, 4, 0)


def recoveries(*values: list[float]) -> pd.DataFrame:
    rows = [
        (name, number, "all", "time_to_recover", "all", value)
        for name, own in zip("abc", values, strict=False)
        for number, value in enumerate(own)
    ]
    return compare(pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"]))


def test_a_difference_without_spread_is_chance_until_as_many_replications_agree_as_coins_would_not():
    assert recoveries([0.0] * 5, [60.0] * 5)["verdict"].tolist() == ["", "no difference seen"]
    assert recoveries([0.0] * 6, [60.0] * 6)["verdict"].tolist() == ["", "worse"]


def test_what_agrees_needs_five_replications():
    assert recoveries([0.0] * 3)["replications_needed"].tolist() == [5]
    assert recoveries([0.0] * 5)["replications_needed"].tolist() == [0]
