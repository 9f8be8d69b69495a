"""Every closed form against a number computed another way: a chain solved, an integral."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import integrate, linalg, optimize, stats

from meshsim.analysis import theory


def stationary(rates: np.ndarray) -> np.ndarray:
    """Return the steady state of a Markov chain from its transition rates, by linear algebra."""
    generator = rates - np.diag(rates.sum(axis=1))
    equations = np.vstack([generator.T, np.ones(len(rates))])
    return linalg.lstsq(equations, np.append(np.zeros(len(rates)), 1.0))[0]


def queue(arrive, serve, states: int) -> np.ndarray:
    rates = np.zeros((states, states))
    for inside in range(states - 1):
        rates[inside, inside + 1] = arrive(inside)
        rates[inside + 1, inside] = serve(inside + 1)
    return stationary(rates)


def mean(shares: np.ndarray) -> float:
    return float(np.arange(len(shares)) @ shares)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_mm1_agrees_with_its_chain(load):
    demand = 0.01
    rate = load / demand
    shares = queue(lambda _: rate, lambda _: 1 / demand, 500)
    assert theory.mm1_response(rate, demand) == pytest.approx(mean(shares) / rate)
    assert theory.mm1_wait(rate, demand) == pytest.approx(mean(shares) / rate - demand)


@pytest.mark.sample(1)
@pytest.mark.parametrize("q", [0.5, 0.99, 0.999])
def test_mm1_quantile_agrees_with_a_mixture_of_erlangs(q):
    rate, demand = 70.0, 0.01
    shares = queue(lambda _: rate, lambda _: 1 / demand, 300)

    def above(seconds):  # an arrival that finds k inside leaves after k + 1 services
        return sum(p * stats.gamma.sf(seconds, k + 1, scale=demand) for k, p in enumerate(shares))

    expected = optimize.brentq(lambda seconds: above(seconds) - (1 - q), 1e-6, 5.0)
    assert theory.mm1_response_quantile(rate, demand, q) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.8), (2, 1.5), (8, 7.2), (30, 24.0)])
def test_mmc_agrees_with_its_chain(servers, load):
    demand = 0.02
    rate = load / demand
    shares = queue(lambda _: rate, lambda inside: min(inside, servers) / demand, 600)
    assert theory.erlang_c(servers, load) == pytest.approx(shares[servers:].sum())
    assert theory.mmc_response(rate, demand, servers) == pytest.approx(mean(shares) / rate)
    assert theory.mmc_wait(rate, demand, servers) == pytest.approx(mean(shares) / rate - demand)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (5, 3.0), (10, 7.0), (10, 25.0), (200, 180.0)])
def test_erlang_loss_agrees_with_its_chain(servers, load):
    shares = queue(lambda _: load, lambda inside: inside, servers + 1)
    assert theory.erlang_b(servers, load) == pytest.approx(shares[-1])


@pytest.mark.parametrize(
    ("servers", "capacity", "load"), [(1, 1, 0.5), (1, 4, 1.0), (1, 10, 3.0), (3, 8, 2.5), (4, 4, 4.0)]
)
def test_limited_queues_agree_with_their_chain(servers, capacity, load):
    demand = 0.5
    rate = load / demand
    shares = queue(lambda _: rate, lambda inside: min(inside, servers) / demand, capacity + 1)
    assert theory.mmck_blocking(rate, demand, servers, capacity) == pytest.approx(shares[-1])
    admitted = rate * (1 - shares[-1])
    assert theory.mmck_response(rate, demand, servers, capacity) == pytest.approx(mean(shares) / admitted)


@pytest.mark.parametrize(("users", "servers"), [(1, 1), (5, 1), (40, 1), (40, 4), (3, 8)])
def test_closed_loops_agree_with_their_chain(users, servers):
    think, demand = 2.0, 0.1
    shares = queue(lambda inside: (users - inside) / think, lambda inside: min(inside, servers) / demand, users + 1)
    throughput = (users - mean(shares)) / think
    assert theory.closed_throughput(users, think, demand, servers) == pytest.approx(throughput)
    assert theory.closed_response(users, think, demand, servers) == pytest.approx(mean(shares) / throughput)


def embedded_wait(rate: float, demand: float, arrivals: np.ndarray) -> float:
    """Return the mean wait of an M/G/1 queue from the chain of numbers left behind at departures."""
    states = len(arrivals)
    steps = np.zeros((states, states))
    for left in range(states):
        first = max(left - 1, 0)
        steps[left, first:] = arrivals[: states - first]
    np.fill_diagonal(steps, 0.0)
    return mean(stationary(steps)) / rate - demand


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_md1_agrees_with_the_chain_at_departures(load):
    arrivals = stats.poisson.pmf(np.arange(150), load)
    assert theory.md1_wait(load, 1.0) == pytest.approx(embedded_wait(load, 1.0, arrivals), rel=1e-6)


def test_lognormal_mg1_agrees_with_the_chain_at_departures():
    sigma, load = 0.6, 0.7
    demand, second_moment = theory.lognormal_moments(1.0, sigma)
    rate = load / demand
    points, weights = np.polynomial.hermite_e.hermegauss(120)
    services = np.exp(sigma * points)
    arrivals = weights / weights.sum() @ stats.poisson.pmf(np.arange(250), rate * services[:, None])
    assert theory.mg1_wait(rate, demand, second_moment) == pytest.approx(
        embedded_wait(rate, demand, arrivals), rel=1e-4
    )


def test_lognormal_moments_agree_with_integrals():
    law = stats.lognorm(s=0.9, scale=0.02)
    for power, moment in enumerate(theory.lognormal_moments(0.02, 0.9), start=1):
        assert moment == pytest.approx(law.expect(lambda x, power=power: x**power, lb=0, ub=50), rel=1e-5)


def test_tandem_agrees_with_its_two_dimensional_chain():
    rate, first, second, size = 0.5, 1.0, 0.8, 28
    rates = np.zeros((size * size, size * size))
    for a, b in itertools.product(range(size), repeat=2):
        here = a * size + b
        if a + 1 < size:
            rates[here, here + size] = rate
        if a and b + 1 < size:
            rates[here, here - size + 1] = 1 / first
        if b:
            rates[here, here - 1] = 1 / second
    generator = rates - np.diag(rates.sum(axis=1))
    generator[:, -1] = 1.0
    shares = np.linalg.solve(generator.T, np.append(np.zeros(size * size - 1), 1.0)).reshape(size, size)
    inside = mean(shares.sum(axis=1)) + mean(shares.sum(axis=0))
    assert theory.tandem_response(rate, [first, second]) == pytest.approx(inside / rate, rel=1e-5)


@pytest.mark.parametrize(("choices", "load"), [(1, 0.5), (2, 0.5), (2, 0.9), (3, 0.9)])
def test_power_of_choices_agrees_with_the_flow_run_to_its_rest(choices, load):
    longest = 60

    def flow(_, tails):  # share of queues at least this long: filled by arrivals, emptied by services
        edge = np.concatenate([[1.0], tails, [0.0]])
        return load * (edge[:-2] ** choices - edge[1:-1] ** choices) - (edge[1:-1] - edge[2:])

    tails = integrate.solve_ivp(flow, (0, 1500), np.zeros(longest), method="LSODA", rtol=1e-8, atol=1e-12).y[:, -1]
    assert theory.choices_response(load, 2.0, choices) == pytest.approx(2.0 * tails.sum() / load, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.mm1_wait(100.0, 0.01), r"utilisation 1 is not in \[0, 1\)"),
        (lambda: theory.mmc_wait(500.0, 0.01, 4), r"utilisation 1.25 is not in \[0, 1\)"),
        (lambda: theory.mg1_wait(10.0, 0.01, 1e-5), "second moment 1e-05 is below the square of the mean 0.01"),
        (lambda: theory.choices_response(1.0, 1.0), "utilisation 1 "),
        (lambda: theory.choices_response(0.5, 1.0, 0), "0 choices"),
        (lambda: theory.mmck_blocking(1.0, 1.0, 3, 2), "capacity 2 is below the number of servers 3"),
        (lambda: theory.mm1_response_quantile(1.0, 0.5, 1.0), r"quantile 1.0 is not in \[0, 1\)"),
    ],
)
def test_queues_without_a_steady_state_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
