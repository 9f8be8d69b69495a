"""Counters of calls: a table that grows while a run goes on."""

from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane import arrays, prefetch
from meshsim.dataplane.calendar import NEAR
from meshsim.dataplane.state import CLOCK, FIELDS


def calls(simulation):
    table = simulation.run()["calls"]
    return {name: list(column) for name, column in table.items()}


@pytest.mark.sample(1)
@pytest.mark.parametrize("rows", [1, 8])
def test_counts_are_the_same_however_often_their_table_grows(run, event, monkeypatch, rows):
    timeline = [event("partition", "20s", "20s", target={"from": {"region": "eu"}, "to": {"region": "us"}})]
    whole = calls(run(timeline=timeline, load={"web": {"rate": "50/s"}}))
    assert len(set(zip(whole["source_cluster"], whole["destination_cluster"], whole["code"], strict=True))) > 4
    monkeypatch.setattr(arrays, "CALLS", rows)
    assert calls(run(timeline=timeline, load={"web": {"rate": "50/s"}})) == whole


def test_a_row_is_kept_for_each_edge_pair_of_clusters_flow_and_outcome(run):
    simulation = run(load={"web": {"rate": "50/s"}})
    simulation.env.run(until=0.9)  # within the first time bucket
    rows, found = simulation.mesh.plane.counted_calls()
    assert len(np.unique(rows["key"])) == len(rows) > 0
    assert rows["count"].sum() == simulation.mesh.plane.world.clock[0].calls_ended
    assert all(len(column) == len(rows) for column in found)


def contents(world):
    """Return all that a world has, but for the calls that were foreseen."""
    clock = {name: world.clock[0][name].item() for name in CLOCK.names if name not in ("foreseen", "foresaw")}
    return clock, {name: getattr(world, name).tobytes() for name in FIELDS if name not in ("clock", "foreseen")}


@pytest.fixture
def looking(run):
    """Return a function that looks ahead by itself, between events of a run whose ring has begun."""

    def looked(rate):
        simulation = run(load={"web": {"rate": rate}})
        simulation.env.run(until=0.2)
        plane = simulation.mesh.plane
        plane._look_ahead()
        for _ in range(20):
            before = contents(plane.world)
            prefetch.look_ahead(plane.world)
            prefetch.foresee(plane.world)
            assert contents(plane.world) == before
            plane.advance(1.0, budget=1)
        return plane.world.clock[0]

    return looked


def test_looking_ahead_of_a_calendar_with_few_events_is_harmless(looking):
    clock = looking("20/s")
    assert clock.ring == 1
    assert 0 < clock.near < NEAR
    assert clock.foreseen == 0


def test_fetching_what_the_next_events_need_changes_nothing(looking):
    clock = looking("1000/s")
    assert clock.near >= NEAR
    assert clock.foreseen > 0
