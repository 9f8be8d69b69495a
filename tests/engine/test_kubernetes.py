from __future__ import annotations

import pytest

APP = {"service": "app", "cluster": "c1"}


def levels(simulation):
    """Return how many app pods of c1 were ready, at every change."""
    seen = []
    simulation.mesh.truth.listeners.append(
        lambda service, cluster: seen.append(ready(simulation)) if service == "app" else None
    )
    return seen


def ready(simulation):
    """Return how many app pods of c1 are ready."""
    return sum(endpoint.ready for endpoint in simulation.mesh.truth.shard("app", "c1").endpoints)


@pytest.mark.parametrize(
    ("surge", "unavailable", "least", "most"),
    [("25%", "25%", 3, 5), ("100%", "0%", 4, 8), ("0%", "50%", 2, 4), ("0%", "0%", 4, 5)],
)
def test_a_rollout_keeps_within_surge_and_unavailable(run, event, surge, unavailable, least, most):
    timeline = [event("rollout", "10s", target=APP)]
    simulation = run(timeline=timeline, kubernetes={"max_surge": surge, "max_unavailable": unavailable})
    seen = levels(simulation)
    simulation.run()
    assert least <= min(seen)
    assert max(seen) <= most
    assert sorted(simulation.app_pods("c1")) == [f"c1/app-{n}.1" for n in range(4)]


def test_a_rollout_stalls_without_the_control_plane_and_ends_after_it_is_back(run, event):
    timeline = [
        event("control_plane_down", "5s", "40s", target={"cluster": "c1"}), event("rollout", "10s", target=APP)
    ]  # fmt: skip
    simulation = run(timeline=timeline, duration="300s")
    seen = simulation.at(40.0, lambda: ready(simulation))
    simulation.run()
    assert seen == [3]
    assert sorted(simulation.app_pods("c1")) == [f"c1/app-{n}.1" for n in range(4)]


def test_scaling_for_a_while_is_undone(run, event):
    timeline = [event("scale", "10s", "40s", target=APP, replicas=7)]
    simulation = run(timeline=timeline)
    seen = simulation.at(40.0, lambda: len(simulation.app_pods("c1")))
    simulation.run()
    assert seen == [7]
    assert len(simulation.app_pods("c1")) == 4


def test_scaling_down_during_a_rollout_leaves_no_pods_behind(run, event):
    timeline = [event("rollout", "10s", target=APP), event("scale", "15s", target=APP, replicas=1)]
    simulation = run(timeline=timeline, kubernetes={"max_surge": "100%", "max_unavailable": "0%"})
    simulation.run()
    assert len(simulation.app_pods("c1")) == 1


def test_the_same_pods_are_evicted_in_every_deployment(run, event):
    timeline = [event("pod_churn", "10s", "60s", target={"service": "app"}, rate="12/min")]
    victims = []
    for deployment in ("multi-primary", "primary-remote"):
        simulation = run(deployment, timeline=timeline)
        simulation.run()
        events = simulation.mesh.recorder.tables["events"]
        victims.append([(time, name) for time, kind, name, _ in events if kind == "pod deleted"])
    assert victims[0] == victims[1]
    assert len(victims[0]) > 3


def test_churn_of_a_workload_without_pods_does_nothing(run, event):
    services = {"web": {"endpoints": {"GET": {}}}, "app": {"replicas": {"c1": 2, "c2": 0}, "endpoints": {"GET": {}}}}
    timeline = [event("pod_churn", "10s", "20s", target={"service": "app", "cluster": "c2"}, rate="1/s")]
    run(services=services, timeline=timeline).run()


def test_no_pod_starts_in_a_lost_cluster(run, event):
    timeline = [
        event("rollout", "10s", target={"service": "app", "cluster": "c2"}),
        event("cluster_down", "12s", "80s", target={"cluster": "c2"}),
    ]
    simulation = run("primary-remote", timeline=timeline)
    seen = simulation.at(80.0, lambda: simulation.app_pods("c2"))
    simulation.run()
    assert seen == [[]]
    assert len(simulation.app_pods("c2")) == 4


def test_no_pod_starts_in_a_lost_zone(run, event):
    timeline = [
        event("zone_outage", "10s", "80s", target={"zone": "eu/a"}), event("rollout", "20s", target=APP)
    ]  # fmt: skip
    simulation = run(timeline=timeline)
    seen = simulation.at(80.0, lambda: [
        pod.name for pod in simulation.clusters["c1"].pods.values()
        if pod.zone == "a" and simulation.mesh.plane.pods[pod.number].state == 1
    ])  # fmt: skip
    simulation.run()
    assert seen == [[]]


# --- what needs the API server ------------------------------------------------------------------------------------


def happened(simulation, kind):
    """Return when something happened, and to whom."""
    events = simulation.mesh.recorder.tables["events"]
    return [(time, subject) for time, what, subject, _ in events if what == kind]


def test_without_the_api_server_nothing_is_created_deleted_or_scaled(run, event):
    timeline = [
        event("api_server_down", "5s", "60s", target={"cluster": "c1"}),
        event("rollout", "10s", target=APP),
        event("scale", "12s", target={"service": "web", "cluster": "c1"}, replicas=4),
    ]
    simulation = run(timeline=timeline, duration="200s")
    seen = levels(simulation)
    during = simulation.at(60.0, lambda: (list(seen), len(simulation.clusters["c1"].pods)))
    simulation.run()
    assert during == [([], 6)]
    assert sorted(simulation.app_pods("c1")) == [f"c1/app-{n}.1" for n in range(4)]
    assert len(simulation.clusters["c1"].pods) == 8
    # It is looked again after pauses of at most 8 s.
    assert 65.0 < min(time for time, _ in happened(simulation, "rollout begins")) < 73.0


def test_a_node_that_comes_back_before_the_api_server_does_leaves_no_trace(run, event):
    timeline = [
        event("api_server_down", "5s", "100s", target={"cluster": "c1"}),
        event("zone_outage", "10s", "60s", target={"zone": "eu/a"}),
    ]
    simulation = run(timeline=timeline, duration="150s")
    seen = levels(simulation)
    simulation.run()
    assert seen == []
    assert len(simulation.app_pods("c1")) == 4


def test_a_lost_node_is_noticed_when_the_api_server_is_back(run, event):
    timeline = [
        event("api_server_down", "5s", "60s", target={"cluster": "c1"}),
        event("zone_outage", "10s", "100s", target={"zone": "eu/a"}),
    ]
    simulation = run(timeline=timeline, duration="150s")
    seen = [simulation.at(time, lambda: ready(simulation)) for time in (60.0, 80.0, 120.0)]
    simulation.run()
    assert seen == [[4], [2], [4]]


def test_a_pod_that_is_no_longer_wanted_is_not_tried_again(run, event):
    timeline = [
        event("control_plane_down", "5s", "60s", target={"cluster": "c1"}),
        event("scale", "10s", "20s", target=APP, replicas=5),
    ]
    simulation = run(timeline=timeline, duration="150s")
    blocked = simulation.mesh.recorder.blocked
    seen = [simulation.at(time, lambda: blocked.value[blocked.places["c1", "app"]]) for time in (20.0, 60.0)]
    simulation.run()
    assert seen == [[1], [0]]
    assert sorted(simulation.app_pods("c1")) == [f"c1/app-{n}.0" for n in range(4)]


# --- sidecars -----------------------------------------------------------------------------------------------------


def test_pods_without_a_sidecar_start_without_the_control_plane(run, event):
    timeline = [
        event("control_plane_down", "5s", "100s", target={"cluster": "c1"}), event("rollout", "10s", target=APP)
    ]  # fmt: skip
    simulation = run(timeline=timeline, sidecar={"enabled": False})
    seen = simulation.at(100.0, lambda: sorted(simulation.app_pods("c1")))
    simulation.run()
    assert seen == [[f"c1/app-{n}.1" for n in range(4)]]


def test_a_pod_is_not_ready_without_a_certificate(run, event):
    timeline = [
        event("certificate_authority_down", "5s", "60s", target={"cluster": "c1"}), event("rollout", "10s", target=APP)
    ]  # fmt: skip
    simulation = run(timeline=timeline, duration="200s")
    seen = simulation.at(60.0, lambda: happened(simulation, "pod ready"))
    simulation.run()
    assert seen == [[]]
    assert sorted(simulation.app_pods("c1")) == [f"c1/app-{n}.1" for n in range(4)]


def test_a_terminating_pod_asks_its_clients_to_leave(run, event):
    simulation = run(timeline=[event("rollout", "10s", target=APP)], kubernetes={"drain": "50s"})
    draining = simulation.at(35.0, lambda: [
        (pod.draining, bool(simulation.mesh.plane.pods[pod.number].draining))
        for pod in simulation.clusters["c1"].pods.values() if pod.service == "app"
    ])  # fmt: skip
    simulation.run()
    assert sorted(set(draining[0])) == [(False, False), (True, True)]


# --- gateways -----------------------------------------------------------------------------------------------------

TWO = {"clusters": {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}}
#: Autoscalers would undo what the test does.
LATER = {"hpa_sync_period": "1h"}


def test_a_gateway_replica_takes_its_time_to_start_and_to_go(run):
    simulation = run(**TWO, kubernetes={"drain": "20s"} | LATER)
    gateway = simulation.clusters["c1"].gateways["east-west"]
    alive = [proxy.number for proxy in gateway.pool]

    def up():
        return len(gateway.serving), sum(int(simulation.mesh.plane.proxies[n].alive) for n in alive)

    simulation.at(10.0, lambda: gateway.scale(3))
    simulation.at(40.0, lambda: gateway.scale(1))
    seen = [simulation.at(time, up) for time in (9.0, 19.0, 22.0, 41.0, 61.0)]
    simulation.run()
    # Two start; they stay up for the drain time after they have left the Service.
    assert seen == [[(1, 1)], [(1, 1)], [(3, 3)], [(1, 3)], [(1, 1)]]


def test_no_gateway_replica_starts_without_the_webhook(run, event):
    timeline = [event("control_plane_down", "5s", "60s", target={"cluster": "c1"})]
    simulation = run(**TWO, timeline=timeline, kubernetes=LATER)
    gateway = simulation.clusters["c1"].gateways["east-west"]
    simulation.at(10.0, lambda: gateway.scale(2))
    seen = [simulation.at(time, lambda: len(gateway.serving)) for time in (60.0, 115.0)]
    simulation.run()
    assert seen == [[1], [2]]


@pytest.mark.parametrize("kind", ["east-west", "ingress"])
def test_gateways_run_with_the_threads_of_the_mesh_unless_they_have_their_own(run, kind):
    own = {"c2": {"concurrency": 1}}
    simulation = run(**TWO, mesh_config={"defaultConfig": {"concurrency": 4}}, gateways=own, ingress=own)
    pools = [simulation.clusters[name].gateways[kind].pool for name in ("c1", "c2")]
    workers = [{int(simulation.mesh.plane.proxies[proxy.number].workers) for proxy in pool} for pool in pools]
    assert workers == [{4}, {1}]


@pytest.mark.parametrize("kind", ["east-west", "ingress"])
def test_a_gateway_rollout_replaces_every_replica_and_keeps_one_serving(run, kind):
    simulation = run(**TWO, gateways={"c1": {"replicas": 2}}, ingress={"c1": {"replicas": 2}}, duration="150s")
    gateway = simulation.clusters["c1"].gateways[kind]
    old, seen = list(gateway.serving), []
    gateway.on_change.append(lambda changed: seen.append(len(changed.serving)))
    simulation.at(10.0, lambda: simulation.env.process(gateway.roll_out()))
    simulation.run()
    assert set(seen) == {2, 3}
    assert len(gateway.serving) == 2
    assert not {proxy.name for proxy in gateway.serving} & {old[0].name}
    assert [subject for _, subject in happened(simulation, "rollout done")] == [f"c1/{kind} gateway"]


def test_new_connections_go_to_the_replicas_that_serve(run):
    simulation = run(**TWO, kubernetes=LATER)
    gateway = simulation.clusters["c1"].gateways["east-west"]
    simulation.at(10.0, lambda: gateway.scale(2))

    def behind():
        world = simulation.mesh.plane.world
        row = world.gateways[simulation.mesh.gateways["c1"].addresses[0]]
        return world.gateway_replicas[row.first : row.first + row.replicas].tolist()

    seen = [simulation.at(time, behind) for time in (5.0, 60.0)]
    simulation.run()
    assert [len(numbers) for (numbers,) in seen] == [1, 2]
    assert seen[1][0] == [proxy.number for proxy in gateway.serving]
