from __future__ import annotations

import pytest


def pods(simulation, cluster):
    plane = simulation.mesh.plane
    return [plane.pods[pod.number] for pod in simulation.clusters[cluster].pods.values() if pod.service == "app"]


def test_factors_multiply_and_go_one_by_one(run, event):
    timeline = [
        event("service_slow", "10s", "30s", target={"service": "app"}, factor=2),
        event("service_slow", "20s", "30s", target={"service": "app", "cluster": "c1"}, factor=3),
    ]
    simulation = run(timeline=timeline, load={"web": {"rate": "1/s"}})

    def slow():
        return [{float(pod.slow) for pod in pods(simulation, cluster)} for cluster in ("c1", "c2")]

    seen = [simulation.at(time, slow) for time in (15.0, 30.0, 45.0, 60.0)]
    simulation.run()
    assert [value for (value,) in seen] == [[{2.0}, {2.0}], [{6.0}, {2.0}], [{3.0}, {1.0}], [{1.0}, {1.0}]]


def test_the_code_of_the_latest_event_counts_and_none_is_left(run, event):
    timeline = [
        event("service_failing", "10s", "40s", target={"service": "app"}, fraction=0.5, code=500),
        event("service_failing", "20s", "10s", target={"service": "app"}, fraction=0.5, code=504),
    ]
    simulation = run(timeline=timeline, load={"web": {"rate": "1/s"}})

    def failing():
        pod = pods(simulation, "c1")[0]
        return float(pod.fail_fraction), int(pod.fail_code)

    seen = [simulation.at(time, failing) for time in (5.0, 15.0, 25.0, 35.0, 60.0)]
    simulation.run()
    assert [value for (value,) in seen] == [(0.0, 0), (0.5, 500), (0.75, 504), (0.5, 500), (0.0, 0)]


@pytest.mark.parametrize(("zone", "slow"), [("a", 4.0), ("b", 1.0)])
def test_pods_that_start_meanwhile_are_hit_in_the_target_zone_only(run, event, zone, slow):
    timeline = [
        event("service_slow", "5s", "100s", target={"service": "app", "zone": "eu/a"}, factor=4),
        event("rollout", "10s", target={"service": "app", "cluster": "c1"}),
    ]
    simulation = run(timeline=timeline, load={"web": {"rate": "1/s"}})
    zones = simulation.mesh.zones

    def seen():
        fresh = [pod for pod in simulation.clusters["c1"].pods.values() if pod.service == "app" and ".1" in pod.name]
        records = [simulation.mesh.plane.pods[pod.number] for pod in fresh]
        return {float(record.slow) for record in records if zones[record.zone][1] == zone}

    found = simulation.at(90.0, seen)
    simulation.run()
    assert found == [{slow}]
