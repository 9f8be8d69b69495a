"""Nominal 95 % intervals cover the true value in 93 to 97 % of 1000 experiments, with replications fixed or sequential.

The M/M/1 queue, whose mean response time is known: service rate 1, so 1 / (1 - load).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from meshsim.analysis.statistics import intervals, quantile_t
from meshsim.engine.prepared import prepare
from meshsim.experiment import Precision, Unit, run_unit
from meshsim.experiment.precision import LEAST, settled
from meshsim.results.frames import frame
from meshsim.scenario import load
from meshsim.verify.parts import exponential, mesh

EXPERIMENTS = 1000
#: What 1000 experiments of true coverage between 0.945 and 0.955 stay within; the issue's own bounds.
WITHIN = (0.93, 0.97)
LOAD = 0.5
EXACT = 1 / (1 - LOAD)


def lindley(runs: int, requests: int, random: np.random.Generator) -> np.ndarray:
    """Return the mean response time of each run, which begins in steady state, so that its expectation is exact."""
    # The stationary wait is 0 with probability 1 - load, else exponential with rate 1 - load.
    wait = np.where(random.random(runs) < LOAD, random.exponential(EXACT, runs), 0.0)
    total = np.zeros(runs)
    for _ in range(requests):
        demand = random.exponential(1.0, runs)
        total += wait + demand
        wait = np.maximum(wait + demand - random.exponential(1 / LOAD, runs), 0.0)
    return total / requests


def covered(means: np.ndarray, half_widths: np.ndarray, exact: float = EXACT) -> float:
    return float(np.mean(np.abs(means - exact) <= half_widths))


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 20])
def test_intervals_over_a_fixed_number_of_replications_cover_what_they_say(n: int) -> None:
    values = lindley(EXPERIMENTS * n, 2000, np.random.default_rng(n)).reshape(EXPERIMENTS, n)
    means, half_widths, _ = intervals(values)
    share = covered(means, half_widths)
    assert WITHIN[0] <= share <= WITHIN[1], f"{share:.1%} of {EXPERIMENTS} intervals over {n} replications cover"


def sequential(values: np.ndarray, precision: Precision) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, half width and replications of each row where the rule of ``--precision`` stops."""
    n = np.arange(1, values.shape[1] + 1)
    means = np.cumsum(values, axis=1) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (np.cumsum(values**2, axis=1) - n * means**2) / (n - 1)
        factors = np.array([math.nan] + [quantile_t(0.95, int(count)) for count in n[1:]])
        half_widths = factors * np.sqrt(np.maximum(variance, 0.0) / n)
    precise = half_widths <= precision.relative * means
    used = []
    for row in precise:
        at = settled(row.tolist(), precision.look_ahead)
        used.append(len(row) if at is None else at + precision.look_ahead)
    rows, last = np.arange(len(values)), np.array(used) - 1
    return means[rows, last], half_widths[rows, last], last + 1


@pytest.mark.slow
@pytest.mark.parametrize("relative", [0.05, 0.03, 0.1])
def test_intervals_of_the_sequential_rule_cover_what_they_say(relative: float) -> None:
    random = np.random.default_rng(round(1000 * relative))
    values = lindley(EXPERIMENTS * 100, 2000, random).reshape(EXPERIMENTS, 100)
    means, half_widths, used = sequential(values, Precision(relative))
    share = covered(means, half_widths)
    print(f"{relative:.0%}: {share:.1%} cover, {used.mean():.1f} replications on average, at most {used.max()}")
    assert used.max() < 100
    assert used.min() >= LEAST + Precision(relative).look_ahead
    assert WITHIN[0] <= share <= WITHIN[1], f"{share:.1%} of {EXPERIMENTS} sequential intervals cover"
    assert np.all(half_widths <= relative * means)


#: Queues in one run of the simulator, each with users of its own, and runs: together 1000 experiments of five.
QUEUES, RUNS, EACH = 100, 50, 5
DEMAND = 0.01  # seconds


def queues() -> dict:
    """Return a mesh in which links and proxies take no time and every service is an M/M/1 queue with its own load."""
    names = [f"queue-{number}" for number in range(QUEUES)]
    endpoints = {"x": {"script": [exponential(DEMAND)]}}
    return {
        **mesh({name: {"workers": 1, "endpoints": endpoints} for name in names}, {}, measured=15.0, warm_up=2.0),
        "load": {name: {"rate": f"{LOAD / DEMAND}/s"} for name in names},
    }


@pytest.mark.slow
def test_intervals_of_the_simulator_cover_the_exact_response_time() -> None:
    scenario = load(queues())
    prepared = prepare(scenario)
    means = []
    for replication in range(RUNS):
        columns = run_unit(prepared, Unit("multi-primary", replication))["requests"]
        table = frame("requests", columns)
        table = table[table["start"] >= scenario.document.warm_up]
        summed = table.groupby("entry", sort=True)[["latency_sum", "count"]].sum()
        assert len(summed) == QUEUES
        means.append((summed["latency_sum"] / summed["count"]).to_numpy())
    # Every queue has a fifth of the runs for each of its experiments.
    values = np.array(means).T.reshape(EXPERIMENTS, EACH)
    middle, half_widths, _ = intervals(values)
    share = covered(middle, half_widths, EXACT * DEMAND)
    assert values.mean() == pytest.approx(EXACT * DEMAND, rel=0.003)
    assert WITHIN[0] <= share <= WITHIN[1], f"{share:.1%} of {EXPERIMENTS} intervals of the simulator cover"
