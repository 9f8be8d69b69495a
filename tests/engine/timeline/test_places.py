from __future__ import annotations

import pytest

from meshsim.dataplane import state

NETWORKS = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
QUIET = {"web": {"rate": "0.2/s"}}


def endpoints(simulation, service="app", cluster="c1"):
    return sorted(endpoint.ready for endpoint in simulation.mesh.truth.shard(service, cluster).endpoints)


def ready_istiods(simulation, name):
    zones = simulation.mesh.zones
    return sorted(zones[istiod.zone][1] for istiod in simulation.mesh.groups[name].istiods if istiod.ready)


def states(simulation, cluster, zone):
    plane = simulation.mesh.plane
    return {int(plane.pods[pod.number].state) for pod in simulation.clusters[cluster].pods.values() if pod.zone == zone}


@pytest.mark.parametrize(("version", "left"), [("1.30", [True, True]), ("1.31", [False, False, True, True])])
def test_pods_of_a_lost_zone_are_no_healthy_endpoints_after_the_grace_period(run, event, version, left):
    """Up to Istio 1.30 they leave the endpoints; from 1.31 they stay as unhealthy ones."""
    outage = event("zone_outage", "10s", "100s", target={"zone": "eu/a"})
    simulation = run(timeline=[outage], duration="200s", istio_version=version)
    before, after = (simulation.at(time, lambda: endpoints(simulation)) for time in (49.9, 50.1))
    simulation.run()
    assert (before, after) == ([[True] * 4], [left])
    assert endpoints(simulation) == [True] * 4


def test_the_grace_period_begins_anew_when_a_zone_is_lost_again(run, event):
    timeline = [event("zone_outage", "10s", "20s", target={"zone": "eu/a"}, repeat={"every": "30s", "times": 2})]
    simulation = run(timeline=timeline, load=QUIET, kubernetes={"node_grace": "25s"})
    seen = [simulation.at(time, lambda: endpoints(simulation)) for time in (36.0, 50.0, 59.0)]
    simulation.run()
    assert [value for (value,) in seen] == [[True] * 4] * 3


def test_nobody_learns_of_a_lost_cluster(run, event):
    simulation = run(timeline=[event("cluster_down", "10s", "100s", target={"cluster": "c2"})])
    istiod = simulation.mesh.groups["c1"].istiods[0]

    def known():
        return sum(len(shard.endpoints) for shard in istiod.informers.shards("app"))

    seen = simulation.at(100.0, known)
    simulation.run()
    assert seen == [8]


def test_a_lost_cluster_takes_its_api_server_and_its_istiod(run, event):
    simulation = run(timeline=[event("cluster_down", "10s", "30s", target={"cluster": "c2"})], load=QUIET)
    mesh = simulation.mesh

    def up():
        return mesh.api_servers["c1"].up, mesh.api_servers["c2"].up, mesh.groups["c1"].up, mesh.groups["c2"].up

    seen = [simulation.at(time, up) for time in (20.0, 41.0, 60.0)]
    simulation.run()
    assert [value for (value,) in seen] == [
        (True, False, True, False),
        (True, True, True, False),
        (True, True, True, True),
    ]


def test_a_control_plane_that_is_lost_twice_is_back_after_both(run, event):
    timeline = [
        event("cluster_down", "10s", "30s", target={"cluster": "c1"}),
        event("control_plane_down", "20s", "40s", target={"control_plane": "c1"}),
    ]
    simulation = run(timeline=timeline, load=QUIET, istiod={"restart_time": "1s"})
    seen = [simulation.at(time, lambda: simulation.mesh.groups["c1"].up) for time in (15.0, 50.0, 70.0)]
    simulation.run()
    assert [value for (value,) in seen] == [False, False, True]


@pytest.mark.parametrize(("mode", "longest"), [("refuse", 1.0), ("blackhole", 30.0)])
def test_a_lost_cluster_refuses_or_swallows_connections(run, event, mode, longest):
    timeline = [event("cluster_down", "10s", "60s", target={"cluster": "c2"}, mode=mode)]
    simulation = run(timeline=timeline, load={"web": {"rate": "20/s", "enters": {"c1": 1}}}, duration="60s")
    tables = simulation.run()["requests"]
    mean = sum(tables["latency_sum"]) / sum(tables["count"])
    assert (mean > 0.5) == (mode == "blackhole")
    assert mean < longest


def test_a_zone_takes_the_istiods_in_it_and_spares_the_others(run, event):
    timeline = [event("zone_outage", "10s", "30s", target={"zone": "eu/a"})]
    simulation = run(timeline=timeline, load=QUIET, istiod={"replicas": 2})
    seen = [simulation.at(time, lambda: ready_istiods(simulation, "c1")) for time in (5.0, 20.0)]
    api = simulation.at(20.0, lambda: simulation.mesh.api_servers["c1"].up)
    simulation.run()
    assert [value for (value,) in seen] == [["a", "b"], ["b"]]
    assert api == [True]
    assert ready_istiods(simulation, "c1") == ["a", "b"]


def test_a_cluster_without_another_zone_is_lost_with_it(run, event):
    simulation = run(timeline=[event("zone_outage", "10s", "30s", target={"zone": "us/a"})], load=QUIET)
    seen = simulation.at(20.0, lambda: (simulation.mesh.api_servers["c2"].up, simulation.mesh.groups["c2"].up))
    simulation.run()
    assert seen == [(False, False)]


@pytest.mark.parametrize(
    ("kind", "target", "left"),
    [
        ("region_outage", {"region": "eu"}, []),
        ("region_outage", {"region": "us"}, ["a", "b"]),
        ("zone_outage", {"zone": "eu/b"}, ["a"]),
        ("cluster_down", {"cluster": "*"}, ["a", "b"]),
    ],
)
def test_an_external_control_plane_goes_with_the_place_that_it_is_in(run, event, kind, target, left):
    timeline = [event(kind, "10s", "30s", target=target)]
    simulation = run("external", timeline=timeline, load=QUIET, deployments=["external"], istiod={"replicas": 2})
    seen = simulation.at(20.0, lambda: ready_istiods(simulation, "external"))
    simulation.run()
    assert seen == [left]
    assert ready_istiods(simulation, "external") == ["a", "b"]


@pytest.mark.parametrize("mode", ["blackhole", "refuse"])
def test_a_replica_of_istiod_that_is_created_in_a_lost_zone_starts_when_the_zone_is_back(run, event, mode):
    """None ran there when the zone was lost."""
    outage = event("zone_outage", "10s", "60s", target={"zone": "eu/b"}, mode=mode)
    simulation = run(timeline=[outage], load=QUIET)
    group = simulation.mesh.groups["c1"]
    simulation.at(20.0, lambda: group.scale(2))
    seen = [simulation.at(time, lambda: ready_istiods(simulation, "c1")) for time in (69.0, 80.0)]
    simulation.run()
    assert [value for (value,) in seen] == [["a"], ["a", "b"]]


def test_a_zone_in_which_a_control_plane_never_runs_is_no_loss_of_it(run, event):
    """An external control plane in zone a: it is no target of an outage of b, and grows meanwhile."""
    outage = event("zone_outage", "10s", "60s", target={"zone": "eu/b"})
    simulation = run("external", deployments={"external": {"place": "eu/a"}}, load=QUIET, timeline=[outage])
    group = simulation.mesh.groups["external"]
    simulation.at(20.0, lambda: group.scale(2))
    seen = simulation.at(69.0, lambda: ready_istiods(simulation, "external"))
    simulation.run()
    assert seen == [["a", "a"]]


def test_pods_refuse_when_what_kept_them_silent_is_over(run, event):
    timeline = [
        event("zone_outage", "10s", "40s", target={"zone": "eu/a"}, mode="refuse"),
        event("zone_outage", "20s", "10s", target={"zone": "eu/a"}, mode="blackhole"),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = [simulation.at(time, lambda: states(simulation, "c1", "a")) for time in (5.0, 15.0, 25.0, 35.0, 60.0)]
    simulation.run()
    assert [value for (value,) in seen] == [
        {state.SERVING},
        {state.GONE},
        {state.SILENT},
        {state.GONE},
        {state.SERVING},
    ]


def test_a_pod_that_waits_for_its_control_plane_does_not_serve_because_its_zone_is_back(run, event):
    """It has started, is lost before it has its configuration, and is there again without one."""
    timeline = [
        event("scale", "1s", target={"service": "app", "cluster": "c1"}, replicas=6),
        event("control_plane_down", "5s", "80s", target={"control_plane": "c1"}),
        event("cluster_down", "20s", "10s", target={"cluster": "c1"}),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = [simulation.at(time, lambda: len(simulation.app_pods("c1"))) for time in (19.0, 40.0)]
    simulation.run()
    assert [value for (value,) in seen] == [4, 4]
    assert len(simulation.app_pods("c1")) == 6
