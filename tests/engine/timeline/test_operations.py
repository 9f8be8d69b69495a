from __future__ import annotations

import numpy as np
import pytest

from tests.engine.timeline.conftest import told

QUIET = {"web": {"rate": "0.2/s"}}


def wanted(simulation):
    return [s.desired for c in simulation.clusters.values() for s in c.replica_sets if s.placed.name == "app"]


def test_the_latest_number_of_replicas_counts_and_what_was_before_comes_back(run, event):
    timeline = [
        event("scale", "10s", "30s", target={"service": "app"}, replicas=6),
        event("scale", "20s", "40s", target={"service": "app", "cluster": "c1"}, replicas=2),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = [simulation.at(time, lambda: wanted(simulation)) for time in (5.0, 15.0, 30.0, 50.0, 70.0)]
    simulation.run()
    assert [value for (value,) in seen] == [[4, 4], [6, 6], [2, 6], [2, 4], [4, 4]]


def test_a_number_of_replicas_for_good_outlives_one_for_a_while(run, event):
    timeline = [
        event("scale", "10s", "30s", target={"service": "app"}, replicas=6),
        event("scale", "20s", target={"service": "app"}, replicas=3),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    simulation.run()
    assert wanted(simulation) == [3, 3]


def test_numbers_of_replicas_wanted_while_the_api_server_is_down_are_taken_back_too(run, event):
    timeline = [
        event("api_server_down", "5s", "50s", target={"cluster": "c1"}),
        event("scale", "10s", "80s", target={"service": "app", "cluster": "c1"}, replicas=6),
        event("scale", "20s", "50s", target={"service": "app", "cluster": "c1"}, replicas=2),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = [simulation.at(time, lambda: wanted(simulation)[0]) for time in (50.0, 66.0, 80.0, 100.0)]
    simulation.run()
    assert [value for (value,) in seen] == [4, 2, 6, 4]


def test_surges_that_overlap_multiply(run, event):
    timeline = [
        event("traffic_surge", "10s", "30s", factor=3),
        event("traffic_surge", "20s", "30s", factor=2, target={"cluster": "c1"}),
    ]
    simulation = run(timeline=timeline, load=QUIET)

    def rates():
        sources = [number for stream in simulation.load.streams for number in stream.sources]
        return [float(simulation.mesh.plane.world.sources[number].rate) for number in sources]

    seen = [simulation.at(time, rates) for time in (5.0, 15.0, 30.0, 45.0, 60.0)]
    simulation.run()
    factors = [[1, 1], [3, 3], [6, 3], [2, 1], [1, 1]]
    np.testing.assert_allclose([value for (value,) in seen], [[0.1 * a, 0.1 * b] for a, b in factors])


@pytest.mark.sample(1)
@pytest.mark.parametrize("other", ["primary-remote", "external"])
def test_evictions_hit_the_same_places_at_the_same_times_in_every_deployment(run, event, other):
    churn = event("pod_churn", "10s", "60s", target={"service": "app"}, rate="0.3/s")
    found = [
        told(run(name, timeline=[churn], load=QUIET, deployments=["multi-primary", other]).run(), "pod deleted")
        for name in ("multi-primary", other)
    ]
    assert len(found[0]) > 5
    assert found[0] == found[1]


def test_evictions_end_with_their_event_and_differ_between_repetitions(run, event):
    repeat = {"every": "50s"}
    churn = event("pod_churn", "10s", "20s", target={"service": "app"}, rate="0.5/s", repeat=repeat)
    deleted = told(run(timeline=[churn], load=QUIET).run(), "pod deleted")
    first, second = ([time - start for time, _ in deleted if start < time < start + 40] for start in (10.0, 60.0))
    assert first
    assert second
    assert max(first + second) < 20.0
    assert first != second


def test_nothing_comes_of_evictions_while_the_api_server_is_down(run, event):
    timeline = [
        event("api_server_down", "5s", "70s", target={"cluster": "c1"}),
        event("pod_churn", "10s", "50s", target={"service": "app", "cluster": "c1"}, rate="1/s"),
    ]
    assert told(run(timeline=timeline, load=QUIET).run(), "pod deleted") == []


def test_evictions_reach_pods_that_were_added_later(run, event):
    timeline = [
        event("scale", "1s", target={"service": "app", "cluster": "c1"}, replicas=8),
        event("pod_churn", "30s", "60s", target={"service": "app", "cluster": "c1"}, rate="1/s"),
    ]
    deleted = {name for _, name in told(run(timeline=timeline, load=QUIET).run(), "pod deleted")}
    assert any(f"app-{number}." in name for name in deleted for number in (4, 5, 6, 7))


def test_a_rollout_replaces_every_pod(run, event):
    simulation = run(timeline=[event("rollout", "10s", target={"service": "app"})], load=QUIET)
    tables = simulation.run()
    assert len(told(tables, "rollout done")) == 2
    assert all(name.endswith(".1") for name in simulation.app_pods("c1") + simulation.app_pods("c2"))
