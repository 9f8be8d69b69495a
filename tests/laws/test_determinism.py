"""The same scenario gives the same tables to the last bit, however it is run; other streams never move."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from meshsim import experiment, load
from meshsim.engine.simulation import Simulation
from meshsim.results.tables import TABLES

ROOT = Path(__file__).parents[2]
#: Prints a hash of every table of a scenario (JSON on stdin).
HASHES = """
import hashlib, json, sys
from meshsim import load
from meshsim.engine.simulation import Simulation
scenario, deployment = json.load(sys.stdin)
tables = Simulation(load(scenario), deployment).run()
for name, columns in tables.items():
    values = {column: [str(value) for value in values] for column, values in columns.items()}
    print(name, hashlib.sha256(json.dumps(values).encode()).hexdigest())
"""


def first_difference(left: dict, right: dict) -> str:
    """Return where two runs' columns differ first, or an empty string."""
    for name, described in TABLES.items():
        columns = [column.name for column in described]
        rows = [zip(*(side[name][column] for column in columns), strict=True) for side in (left, right)]
        for number, (a, b) in enumerate(zip(*rows, strict=False)):
            if a != b:
                return f"{name}, row {number}: {a} and {b}"
        if len(left[name][columns[0]]) != len(right[name][columns[0]]):
            return f"{name}: {len(left[name][columns[0]])} and {len(right[name][columns[0]])} rows"
    return ""


def hashes(scenario: dict, deployment: str, **environment: str) -> dict[str, str]:
    ran = subprocess.run(
        [sys.executable, "-c", HASHES], input=json.dumps([scenario, deployment]), capture_output=True, text=True,
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return dict(line.split() for line in ran.stdout.splitlines())


# --- the same run -----------------------------------------------------------------------------------------------


def test_a_run_repeats_itself(storm):
    first, second = (Simulation(load(storm), "hybrid").run() for _ in range(2))
    assert first_difference(first, second) == ""


@pytest.mark.slow
def test_another_seed_and_another_replication_are_other_runs(storm):
    keys = ((7, 0), (8, 0), (7, 1))
    runs = [Simulation(load({**storm, "seed": seed}), "hybrid", number).run() for seed, number in keys]
    assert first_difference(runs[0], runs[1])
    assert first_difference(runs[0], runs[2])
    assert first_difference(runs[1], runs[2])


@pytest.mark.slow
@pytest.mark.parametrize("deployment", ["multi-primary", "primary-remote"])
def test_step_mode_gives_the_numbers_of_a_free_run(storm, deployment):
    free = Simulation(load(storm), deployment).run()
    stepwise = Simulation(load(storm), deployment, stepwise=True).run()
    assert first_difference(free, stepwise) == ""


@pytest.mark.slow
def test_a_watcher_in_step_mode_sees_every_event_and_changes_nothing():
    scenario = load("three-tier", ["duration=3s", "warm_up=1s"])
    simulation = Simulation(scenario, "multi-primary", stepwise=True)
    seen = []

    def watch():
        while True:
            seen.append(int(simulation.mesh.plane.world.clock["arrived"][0]))
            yield simulation.env.timeout(0.01)

    simulation.env.process(watch())
    assert first_difference(simulation.run(), Simulation(scenario, "multi-primary").run()) == ""
    assert len(seen) >= 300
    assert seen == sorted(seen)


@pytest.mark.slow
def test_one_process_or_two_give_the_same_tables(storm):
    scenario = load({**storm, "duration": "20s", "timeline": storm["timeline"][:3]})
    alone = experiment.run(scenario, replications=2).tables
    together = experiment.run(scenario, replications=2, jobs=2).tables
    assert list(alone) == list(together)
    for name, frame in alone.items():
        pd.testing.assert_frame_equal(frame, together[name], check_exact=True, obj=name)


@pytest.mark.slow
def test_the_seed_of_python_s_hashes_does_not_matter(storm):
    one, other = (hashes(storm, "primary-remote", PYTHONHASHSEED=seed) for seed in ("1", "4242"))
    assert one == other
    assert set(one) == set(TABLES)


@pytest.mark.slow
def test_compiled_and_interpreted_code_give_the_same_tables(storm):
    brief = {**storm, "duration": "10s", "warm_up": "1s"}
    brief["timeline"] = [event for event in storm["timeline"] if float(event["start"][:-1]) < 10]
    brief["load"] = {**storm["load"], "scale": 0.5}
    assert hashes(brief, "hybrid") == hashes(brief, "hybrid", NUMBA_DISABLE_JIT="1")


@pytest.mark.slow
def test_hashes_are_of_what_the_tables_hold():
    brief = load("three-tier", ["duration=1s", "warm_up=0s"])
    totals = Simulation(brief, "multi-primary").run()["totals"]
    words = json.dumps({column: [str(value) for value in values] for column, values in totals.items()})
    assert hashes(brief.resolved(), "multi-primary")["totals"] == hashlib.sha256(words.encode()).hexdigest()


# --- streams that do not move -----------------------------------------------------------------------------------


def requests_of(tables: dict, entry: str) -> list[tuple]:
    """Return an entry's rows of the request table; the sums of latencies tell every arrival and demand apart."""
    rows = tables["requests"]
    columns = ("start", "entry", "cluster", "flow", "code", "count", "latency_sum")
    return [row for row in zip(*(rows[column] for column in columns), strict=True) if row[1] == entry]


def two_entries() -> dict:
    service = {"replicas": 2, "workers": 100, "endpoints": {"x": {"script": [{"compute": {"exponential": "5ms"}}]}}}
    caller = {**service, "endpoints": {"x": {"script": [{"call": "back/x"}, {"compute": {"exponential": "2ms"}}]}}}
    return {
        "name": "two",
        "regions": {"r": {"zones": ["a", "b"]}},
        "clusters": {"one": {"region": "r"}, "two": {"region": "r"}},
        "services": {"front": caller, "back": service},
        "load": {"front": {"rate": "80/s"}},
        "ingress": {name: {"cpu": "0s", "handshake": "0s"} for name in ("one", "two")},  # entries share its threads
        "deployments": ["multi-primary"],
        "duration": "20s",
        "warm_up": "1s",
    }


@pytest.mark.sample(1)
@pytest.mark.parametrize("first", [False, True], ids=["after", "before"])
def test_another_entry_and_service_move_no_arrival_and_no_demand(first):
    """Pods have workers to spare and gateways cost no time, so a request's latency is made of its own draws alone."""
    plain = two_entries()
    more = two_entries()
    added = {"services": ("other", plain["services"]["back"]), "load": ("other", {"rate": "50/s"})}
    for part, (name, described) in added.items():
        more[part] = {name: described, **plain[part]} if first else {**plain[part], name: described}
    before, after = (Simulation(load(document), "multi-primary").run() for document in (plain, more))
    assert requests_of(after, "other")
    assert requests_of(before, "front") == requests_of(after, "front")


def test_a_surge_elsewhere_moves_no_arrival():
    plain, surged = two_entries(), two_entries()
    surged["timeline"] = [
        {"event": "traffic_surge", "start": "5s", "duration": "5s", "factor": 3.0, "target": {"cluster": "two"}}
    ]
    counts = []
    for document in (plain, surged):
        tables = Simulation(load(document), "multi-primary").run()
        rows = zip(*(tables["requests"][column] for column in ("start", "cluster", "count")), strict=True)
        counts.append([row for row in rows if row[1] == "one" and row[0] < 19.0])
    total = [sum(count for _, _, count in side) for side in counts]
    assert total[0] == pytest.approx(total[1], abs=3)  # what is under way at a bucket's edge may fall on either side


def test_arrivals_are_a_poisson_process():
    """The number of arrivals in a second has its mean as its variance, and gaps are not correlated."""
    scenario = two_entries() | {"duration": "400s", "load": {"front": {"rate": "50/s"}}}
    simulation = Simulation(load(scenario), "multi-primary")
    counts: list[int] = []

    def count():
        while True:
            counts.append(int(simulation.mesh.plane.world.clock["arrived"][0]))
            yield simulation.env.timeout(1.0)

    simulation.env.process(count())
    simulation.run()
    per_second = np.diff(counts)
    assert per_second.mean() == pytest.approx(50.0, abs=4 * np.sqrt(50 / 400))
    assert per_second.var() / per_second.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 400))
    assert np.corrcoef(per_second[:-1], per_second[1:])[0, 1] == pytest.approx(0.0, abs=4 / np.sqrt(400))
