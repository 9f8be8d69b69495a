from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from meshsim.dataplane.distributions import sample
from meshsim.scenario.fields import mean_of
from meshsim.scenario.schema import ComputeStep

COUNT = 20_000


@pytest.fixture
def draw(Bench, echo):
    """Return a function that samples a distribution of a scenario file for a number of identities."""

    def drawn(described, count=COUNT, u=None):
        bench = Bench({"web": echo(script=[{"compute": described}])})
        row = int(bench.plan.arrays["steps"]["distribution"][0])
        uniforms = np.random.default_rng(3).random(count) if u is None else np.asarray(u)
        values = [
            sample(bench.world, row, value, np.uint64(number), np.uint64(17), 5)
            for number, value in enumerate(uniforms)
        ]
        return np.array(values)

    return drawn


SHAPES = {
    "exponential": {"exponential": "20ms"},
    "lognormal": {"p50": "10ms", "p99": "60ms"},
    "gamma below 1": {"gamma": {"mean": "10ms", "cv": 2.0}},
    "gamma above 1": {"gamma": {"mean": "10ms", "cv": 0.5}},
    "empirical": {"empirical": ["40ms", "10ms", "20ms"]},
}


def test_a_constant_is_constant(draw):
    assert set(draw("5ms", 10)) == {0.005}


@pytest.mark.parametrize("described", SHAPES.values(), ids=SHAPES)
def test_the_mean_is_that_of_the_scenario(draw, described):
    values = draw(described)
    expected = mean_of(ComputeStep.model_validate({"compute": described}).compute)
    interval = stats.t.ppf(0.9995, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - expected) < interval, (values.mean(), expected, interval)


def distance(values, cdf):
    return stats.kstest(values, cdf).pvalue


def test_exponential_has_its_shape(draw):
    assert distance(draw(SHAPES["exponential"]), stats.expon(scale=0.02).cdf) > 0.001


def test_lognormal_goes_through_its_percentiles(draw):
    sigma = math.log(6.0) / stats.norm.ppf(0.99)
    values = draw(SHAPES["lognormal"])
    assert distance(values, stats.lognorm(s=sigma, scale=0.010).cdf) > 0.001
    # A share of 20 000 has a standard deviation of √(0.99·0.01/20000) = 0.0007.
    assert abs((values < 0.060).mean() - 0.99) < 4 * 0.0007


@pytest.mark.parametrize(("name", "cv"), [("gamma below 1", 2.0), ("gamma above 1", 0.5)])
def test_gamma_has_its_coefficient_of_variation(draw, name, cv):
    values = draw(SHAPES[name])
    assert distance(values, stats.gamma(a=1 / cv**2, scale=0.010 * cv**2).cdf) > 0.001
    assert values.std() / values.mean() == pytest.approx(cv, rel=0.05)


def test_empirical_interpolates_between_sorted_neighbours(draw):
    # Three values, two gaps: u = 0, ¼, ½, ¾ and nearly 1 are 10, 15, 20, 30 and nearly 40 ms.
    values = draw(SHAPES["empirical"], u=[1e-12, 0.25, 0.5, 0.75, 1 - 1e-12])
    np.testing.assert_allclose(values, [0.010, 0.015, 0.020, 0.030, 0.040], rtol=1e-9)


def test_one_empirical_value_is_constant(draw):
    assert set(draw({"empirical": ["7ms"]}, 20)) == {0.007}


def test_a_lognormal_without_spread_is_its_median(draw):
    assert set(draw({"p50": "7ms", "p99": "7ms"}, 20)) == {0.007}


@pytest.mark.parametrize("name", ["exponential", "lognormal", "empirical"])
def test_inversion_is_monotone(draw, name):
    values = draw(SHAPES[name], u=np.linspace(0.001, 0.999, 500))
    steps = np.diff(values)
    assert (steps > 0).all() or (steps < 0).all()


def test_gamma_is_the_same_for_the_same_identity(draw):
    assert (draw(SHAPES["gamma above 1"], 50) == draw(SHAPES["gamma above 1"], 50)).all()


def test_a_retried_request_draws_a_gamma_demand_of_its_own(Bench, echo, fail):
    # The first try lasts so long that it is given up; the second may not need exactly as long as the first.
    from meshsim.scenario.istio.policy import Retry

    retry = Retry(attempts=1, conditions=("5xx",), per_try_timeout=0.010)
    service = echo(script=[{"compute": {"gamma": {"mean": "10ms", "cv": 0.5}}}], workers=1000)
    bench = Bench({"web": service}, retry=retry)
    bench.paced(100)
    bench.run(50.0)
    # Tries succeed if demand + 2 ms of link ≤ 10 ms: p ≈ 0.36 each, so about 0.36·0.64 of the calls at the second.
    second = bench.calls("web", what="attempts")[200, ""] - bench.calls("web")[200, ""]
    assert second > 0.1 * sum(bench.calls("web").values())


def test_an_empirical_distribution_is_kept_once_however_many_proxies_use_it(Bench, echo):
    bench = Bench({"web": echo()}, zones={"web": ["eu/a"] * 20}, sidecar={"latency": {"empirical": ["1ms", "2ms"]}})
    assert len(bench.plan.samples) == 2
