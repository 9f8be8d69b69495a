"""Fetching what events need, in whole runs: it changes nothing, and gets to every station."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meshsim
from meshsim.dataplane import prefetch
from meshsim.dataplane.state import CLOCK, FIELDS
from meshsim.engine.simulation import Simulation

SCENARIO = Path(__file__).parents[2] / "scenarios" / "online-boutique.yaml"
#: What is written down of events that are looked at ahead.
ASIDE = ("ahead", "marks")


@pytest.fixture
def plane():
    """Return a function that builds a mesh of two networks and lets it look ahead, with spans so short that all do."""

    def built(seconds, scale=1.0):
        changes = [f"load.scale={scale}", "warm_up=0s", "duration=10s"]
        simulation = Simulation(meshsim.load(SCENARIO, changes), "multi-primary")
        plane = simulation.mesh.plane
        clock = plane.world.clock[0]
        assert int(clock.later) == 0
        clock.pace, clock.measured_after, clock.looks = 1e5, 1 << 60, 1  # no other pace is measured
        simulation.env.run(until=seconds)
        plane.advance(seconds)
        return plane

    return built


def contents(world):
    """Return all that a world has, but for what was looked at ahead."""
    clock = {name: world.clock[0][name].item() for name in CLOCK.names if name not in ("looked", "glance")}
    return clock, {name: getattr(world, name).tobytes() for name in FIELDS if name not in ("clock", *ASIDE)}


def test_fetching_what_the_next_events_need_changes_nothing(plane):
    found = plane(0.5)
    for _ in range(100):
        before = contents(found.world)
        prefetch.look_ahead(found.world)
        assert contents(found.world) == before
        found.advance(1.0, budget=1)


def test_every_queue_is_followed_to_its_end(plane):
    reached = (plane(2.0).world.marks > 0).sum(axis=1) - 1
    assert reached.tolist() == [1, 3, 3, 3, 4, 5, 4]


def test_looking_ahead_of_a_calendar_with_few_events_is_harmless(plane):
    found = plane(2.0, scale=0.01)
    assert int(found.world.clock[0].handled) > 0
    assert np.all(np.diff(found.world.marks, axis=1) <= 0)


def test_looking_ahead_goes_on_when_spans_become_longer(plane):
    found = plane(1.0)
    clock = found.world.clock[0]
    clock.measured_at, clock.measured_after = clock.now, clock.handled
    found.advance(2.0)
    assert float(clock.pace) < 1e4
    joined = found.world.marks[:, 0].copy()
    found.advance(3.0)
    assert (found.world.marks[:, 0] - joined).sum() > 100
