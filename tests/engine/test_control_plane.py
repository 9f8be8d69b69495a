from __future__ import annotations

from itertools import pairwise

import pytest

APP = {"service": "app", "cluster": "c1"}


def more(event, at, replicas=5, cluster="c1"):
    return event("scale", at, target={"service": "app", "cluster": cluster}, replicas=replicas)


def many(web):
    return {
        "web": {"replicas": web, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
        "app": {"replicas": 4, "endpoints": {"GET": {}}},
    }


def pushes(simulation, cluster="c1"):
    """Return the times at which proxies of a cluster apply an update."""
    times = []
    apply = simulation.mesh.apply

    def noted(proxy, service, view):
        changed = apply(proxy, service, view)
        if changed and proxy.client.cluster == cluster:
            times.append(simulation.env.now)
        return changed

    simulation.mesh.apply = noted
    return times


@pytest.mark.parametrize(("version", "changes"), [("1.30", [30.0]), ("1.31", [20.0, 30.0])])
def test_one_change_is_pushed_after_watch_debounce_generation_and_the_link(run, event, version, changes):
    """A pod is asked for at 20 s, when it is an unready endpoint from Istio 1.31 on, and ready at 30 s."""
    simulation = run(timeline=[more(event, "20s")], istiod={"push_time": "10ms"}, istio_version=version)
    seen = pushes(simulation)
    simulation.run()
    one_way = simulation.mesh.network.one_way
    home = simulation.mesh.home_zone("c1")
    # API server to istiod, 10 ms, 100 ms of quiet, 10 ms to generate, istiod to proxy.
    after = one_way(home, home) + 0.010 + 0.100 + 0.010
    near = [proxy for proxy in simulation.mesh.interested["app"] if proxy.client.cluster == "c1"]
    expected = sorted(change + after + one_way(home, proxy.zone) for change in changes for proxy in near)
    assert sorted(time for time in seen if time > 0) == pytest.approx(expected, abs=1e-6)


def test_changes_that_never_pause_are_pushed_every_ten_seconds(run):
    simulation = run()
    batches = []
    simulation.istiods[0]._push = lambda dirty: batches.append((simulation.env.now, dirty))

    def change():
        for number in range(1, 700):
            yield simulation.env.at(20.0 + 0.05 * number)
            simulation.istiods[0]._hear("app", "c1", (), number, simulation.env.now)

    simulation.env.process(change())
    simulation.run()
    times = [time for time, _ in batches if time > 20.0]
    # From 20.05 s for 35 s: after 10 s, 10 s and 10 s, and the rest when it is quiet.
    assert len(times) == 4
    assert times[0] == pytest.approx(30.05, abs=0.06)
    assert all(9.99 <= b - a <= 10.11 for a, b in pairwise(times[:3])), times


@pytest.mark.parametrize(("cpu", "at_once"), [(1, 20), (2, 25), (4, 35), (17, 100), (64, 100)])
def test_as_many_proxies_are_pushed_to_at_once_as_the_processors_allow(run, event, cpu, at_once):
    simulation = run(
        services=many(120), timeline=[more(event, "20s")], istiod={"cpu": cpu, "push_time": "1s"}, duration="60s"
    )
    times = pushes(simulation)
    simulation.run()
    began = min(time for time in times if time > 0)
    assert sum(began <= time < began + 0.5 for time in times) == min(at_once, 120)


def test_a_lost_control_plane_freezes_its_own_proxies_only(run, event):
    timeline = [event("control_plane_down", "20s", "60s", target={"cluster": "c1"}), more(event, "25s", 6, "c2")]
    simulation = run(timeline=timeline)
    frozen, fine = pushes(simulation), pushes(simulation, "c2")
    seen = simulation.at(79.0, simulation.stale)
    simulation.run()
    assert not [time for time in frozen if 20 < time < 80]
    assert [time for time in fine if 35 < time < 36]
    assert seen[0]["c1"] == 2 + 0  # two web pods call app
    assert seen[0]["c2"] == 0
    assert simulation.stale() == {"c1": 0, "c2": 0}


@pytest.mark.parametrize(("version", "since"), [("1.30", 35.0), ("1.31", 25.0)])
def test_stale_seconds_are_the_time_from_the_change_to_the_update(run, event, version, since):
    """A pod is an endpoint when it is ready; from Istio 1.31 on when it starts, an unhealthy one."""
    timeline = [event("control_plane_down", "20s", "60s", target={"cluster": "c1"}), more(event, "25s", 6, "c2")]
    istiod = {"restart_time": "0s", "push_time": "0s"}
    simulation = run(timeline=timeline, istiod=istiod, istio_version=version)
    updates = pushes(simulation)
    tables = simulation.run()
    rows = zip(tables["config"]["cluster"], tables["config"]["stale_seconds"], strict=True)
    total = sum(seconds for cluster, seconds in rows if cluster == "c1")
    # Two proxies of c1, behind from the time of c2's new pod until each applies it after the return.
    applied = [time for time in updates if time > 80.0][:2]
    assert total == pytest.approx(sum(time - since for time in applied), abs=1e-6)


def test_no_pod_is_admitted_without_the_control_plane_and_pauses_double(run, event):
    timeline = [event("control_plane_down", "10s", "90s", target={"cluster": "c1"}), more(event, "20s")]
    simulation = run(timeline=timeline, duration="130s")
    tables = simulation.run()["pods"]
    mine = [i for i, key in enumerate(zip(tables["cluster"], tables["service"], strict=True)) if key == ("c1", "app")]
    # Asked at 20, 21, 23, 27, 35, 51, 67, 83, 99 s; at 115 s the control plane (back at 105 s) answers.
    assert sum(tables["rejected"][i] for i in mine) == 9
    assert sum(tables["blocked_seconds"][i] for i in mine) == pytest.approx(95.0)
    ready = [time for time, kind, *_ in simulation.mesh.recorder.tables["events"] if kind == "pod ready"]
    assert ready == [pytest.approx(125.0)]


def test_the_gateway_of_the_primary_cuts_its_remotes_off(run, event):
    timeline = [event("gateway_down", "10s", "50s", target={"cluster": "c1"}), more(event, "15s")]
    simulation = run("primary-remote", timeline=timeline)
    seen = simulation.at(55.0, simulation.stale)
    simulation.run()
    assert seen == [{"c1": 0, "c2": 2}]
    assert simulation.stale() == {"c1": 0, "c2": 0}


def test_remotes_catch_up_after_a_zone_outage_took_the_gateway_of_the_primary(run, event):
    timeline = [event("zone_outage", "10s", "40s", target={"zone": "eu/a"}), more(event, "20s", 6)]
    simulation = run("primary-remote", timeline=timeline)
    simulation.run()
    assert simulation.mesh.gateways["c1"].replicas[0].client.zone == "a"
    assert simulation.stale() == {"c1": 0, "c2": 0}


def test_after_a_restart_proxies_reconnect_at_the_rate_istiod_accepts(run, event):
    timeline = [event("control_plane_down", "10s", "10s", target={"cluster": "c1"}), more(event, "12s", 3)]
    simulation = run(services=many(100), timeline=timeline, istiod={"push_time": "0s"}, duration="60s")
    times = pushes(simulation)
    simulation.run()
    back = [time - 25.0 for time in times if time > 20.0]
    # 25 a second with two processors: 100 proxies take 4 s, and up to half a second of jitter each.
    assert len(back) == 100
    assert 3.9 < max(back) < 4.7 or max(back) < 0.3  # or all at once by the push of what changed meanwhile


def test_a_restarted_istiod_does_not_learn_from_a_lost_cluster(run, event):
    timeline = [
        event("cluster_down", "10s", "100s", target={"cluster": "c2"}),
        event("control_plane_down", "20s", "10s", target={"cluster": "c1"}),
    ]
    simulation = run(timeline=timeline)
    seen = simulation.at(80.0, lambda: [e.cluster for e in simulation.istiods[0].endpoints("app")])
    simulation.run()
    assert set(seen[0]) == {"c1"}


def test_a_push_queued_before_a_restart_does_not_swallow_one_queued_after_it(run, event):
    timeline = [more(event, "10s"), event("control_plane_down", "21s", "1s", target={"cluster": "c1"})]
    simulation = run(
        services=many(60), timeline=timeline, duration="200s", istiod={"push_time": "10s", "restart_time": "0s"}
    )
    simulation.run()
    assert simulation.stale() == {"c1": 0, "c2": 0}


def test_a_pod_that_reuses_a_sidecars_number_gets_its_updates(run, event):
    timeline = [
        more(event, "5s"), more(event, "8s", 6),
        event("pod_churn", "6s", "20s", target={"service": "web", "cluster": "c1"}, rate="5/s"),
    ]  # fmt: skip
    simulation = run(
        services=many(200), timeline=timeline, duration="200s", istiod={"push_time": "5s", "cpu": 1},
        kubernetes={"pod_start": "1s", "drain": "100ms"},
    )  # fmt: skip
    simulation.run()
    assert simulation.stale() == {"c1": 0, "c2": 0}
