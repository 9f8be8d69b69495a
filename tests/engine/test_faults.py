from __future__ import annotations

import numpy as np
import pytest

BOTH = {"from": {"region": "eu"}, "to": {"region": "us"}}
EVENTS = [
    ("control_plane_down", {"target": {"cluster": "c1"}}),
    ("cluster_down", {"target": {"cluster": "c2"}}),
    ("cluster_down", {"target": {"cluster": "c2"}, "mode": "refuse"}),
    ("zone_outage", {"target": {"zone": "eu/a"}}),
    ("region_outage", {"target": {"region": "us"}}),
    ("gateway_down", {"target": {"cluster": "c1"}}),
    ("link_slow", {"target": BOTH, "delay": "30ms", "factor": 1.7}),
    ("link_lossy", {"target": BOTH, "loss": "30%"}),
    ("partition", {"target": BOTH}),
    ("service_slow", {"target": {"service": "app"}, "factor": 3.3}),
    ("service_failing", {"target": {"service": "app"}, "fraction": 0.3, "code": 500}),
    ("traffic_surge", {"target": {"cluster": "c1"}, "factor": 2.7}),
    ("scale", {"target": {"service": "app"}, "replicas": 4}),
]


def state(simulation):
    """Return what faults may have changed."""
    plane = simulation.mesh.plane
    pods = [
        (pod.name, pod.ready, pod.reachable, *plane.pods[["state", "slow", "fail_fraction"]][pod.number].tolist())
        for cluster in simulation.clusters.values() for pod in cluster.pods.values()
    ]  # fmt: skip
    replicas = [
        (name, proxy.causes) for name, gateway in simulation.mesh.gateways.items() for proxy in gateway.replicas
    ]
    return {
        "links": plane.world.links.tolist(),
        "pods": sorted(pods),
        "gateways": replicas,
        "addresses": plane.world.gateways["down"].tolist(),
        "rates": [float(plane.world.sources[stream.number].rate) for stream in simulation.load.streams],
        "alive": plane.proxies["alive"].tolist(),
        "endpoints": {key: sorted(map(tuple, simulation.mesh.truth.of(key))) for key in ("web", "app")},
        "stale": simulation.stale(),
        "up": [istiod.up for istiod in simulation.istiods],
    }


@pytest.mark.parametrize("deployment", ["multi-primary", "primary-remote"])
@pytest.mark.parametrize(("kind", "fields"), EVENTS)
def test_an_event_leaves_no_trace_when_it_is_over(run, event, kind, fields, deployment):
    networks = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
    never = run(deployment, clusters=networks)
    never.run()
    once = run(deployment, clusters=networks, timeline=[event(kind, "10s", "60s", **fields)])
    once.run()
    assert state(once) == state(never)


@pytest.mark.parametrize(("kind", "fields"), [e for e in EVENTS if e[0] != "scale"])
def test_overlapping_events_of_one_kind_end_one_by_one(run, event, kind, fields):
    never = run()
    never.run()
    both = run(timeline=[event(kind, "10s", "40s", **fields), event(kind, "30s", "40s", **fields)])
    middle = both.at(60.0, lambda: state(both))
    both.run()
    assert state(both) == state(never)
    if kind != "gateway_down":  # one network and two control planes: there is none
        assert middle[0] != state(never)


@pytest.mark.parametrize(("version", "left"), [("1.30", [True, True]), ("1.31", [False, False, True, True])])
def test_pods_of_a_lost_zone_are_no_healthy_endpoints_after_the_grace_period(run, event, version, left):
    """Up to Istio 1.30 they leave the endpoints; from 1.31 they stay as unhealthy ones."""
    outage = event("zone_outage", "10s", "100s", target={"zone": "eu/a"})
    simulation = run(timeline=[outage], duration="200s", istio_version=version)

    def ready():
        return sorted(endpoint.ready for endpoint in simulation.mesh.truth.shard("app", "c1"))

    before, after = simulation.at(49.9, ready), simulation.at(50.1, ready)
    simulation.run()
    assert (before, after) == ([[True] * 4], [left])
    assert ready() == [True] * 4


def test_nobody_learns_of_a_lost_cluster(run, event):
    simulation = run(timeline=[event("cluster_down", "10s", "100s", target={"cluster": "c2"})])
    seen = simulation.at(100.0, lambda: len(simulation.istiods[0].endpoints("app")))
    simulation.run()
    assert seen == [8]


@pytest.mark.parametrize(("mode", "longest"), [("refuse", 1.0), ("blackhole", 30.0)])
def test_a_lost_cluster_refuses_or_swallows_connections(run, event, mode, longest):
    timeline = [event("cluster_down", "10s", "60s", target={"cluster": "c2"}, mode=mode)]
    simulation = run(timeline=timeline, load={"web": {"rate": "20/s", "enters": {"c1": 1}}}, duration="60s")
    tables = simulation.run()["requests"]
    mean = sum(tables["latency_sum"]) / sum(tables["count"])
    assert (mean > 0.5) == (mode == "blackhole")
    assert mean < longest


def test_links_of_two_faults_add_up(run, event):
    timeline = [
        event("link_slow", "10s", "50s", target=BOTH, delay="10ms"),
        event("link_slow", "20s", "20s", target=BOTH, delay="5ms", factor=2.0),
        event("link_lossy", "20s", "20s", target=BOTH, loss="50%"),
        event("link_lossy", "20s", "20s", target=BOTH, loss="50%"),
    ]
    simulation = run(timeline=timeline)
    link = simulation.mesh.network.records[0, 2]
    seen = simulation.at(30.0, lambda: (link.delay, link.factor, link.loss))
    simulation.run()
    np.testing.assert_allclose(seen[0], (0.015, 2.0, 0.75))
