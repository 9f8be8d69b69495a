"""Counters of calls: a table that grows while a run goes on."""

from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane import arrays


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
