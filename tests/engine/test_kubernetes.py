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
    return sum(endpoint.ready for endpoint in simulation.mesh.truth.shard("app", "c1"))


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
