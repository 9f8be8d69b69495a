"""A control plane as a whole: who it freezes when it is lost, its replicas, its ways, its webhooks and changes."""

from __future__ import annotations

import pytest

from meshsim.engine.environment import LONGEST_PAUSE

APP = {"service": "app", "cluster": "c1"}
QUIET = {"web": {"rate": "0.1/s"}}
OCEAN = {"from": {"region": "eu"}, "to": {"region": "us"}}
RULE = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "app"}}
NEW = {**RULE, "spec": {"host": "app", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}}


@pytest.fixture
def quiet(run):
    """Return a function that builds a run of the small mesh with hardly any load, and streams that last."""

    def built(deployment="multi-primary", **changes):
        istiod = {"stream_age": "100h", **changes.pop("istiod", {})}
        return run(deployment, **{"load": QUIET, "istiod": istiod, **changes})

    return built


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


def told(simulation, kind):
    return [(time, subject) for time, each, subject, _ in simulation.mesh.recorder.tables["events"] if each == kind]


def disconnected(simulation):
    return {name: level.value for name, level in simulation.mesh.recorder.disconnected.items()}


def proxies(simulation, cluster):
    return [proxy for proxy in simulation.mesh.proxies.values() if proxy.client.cluster == cluster]


def pod(simulation, cluster):
    return next(proxy for proxy in proxies(simulation, cluster) if proxy.service == "app")


def ready(simulation, group="c1"):
    return [istiod.ready for istiod in simulation.mesh.groups[group].istiods]


# --- from a change to the proxies ---------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "changes"), [("1.30", [30.0]), ("1.31", [20.0, 30.0])])
def test_one_change_is_pushed_after_watch_debounce_generation_and_the_link(quiet, event, version, changes):
    """A pod is asked for at 20 s, when it is an unready endpoint from Istio 1.31 on, and ready at 30 s."""
    istiod = {"push_time": "10ms", "push_time_per_service": "1ms"}
    simulation = quiet(timeline=[more(event, "20s")], istiod=istiod, istio_version=version)
    seen = pushes(simulation)
    simulation.run()
    one_way = simulation.mesh.network.one_way
    home = simulation.mesh.home_zone("c1")
    # API server to istiod, 10 ms, 100 ms of quiet, 11 ms to generate one service, istiod to proxy.
    after = one_way(home, home) + 0.010 + 0.100 + 0.011
    near = [proxy for proxy in simulation.mesh.interested["app"] if proxy.client.cluster == "c1"]
    # The new pod is ready when it has its configuration: four ways for the connection, the review, request and answer.
    zone = simulation.mesh.zones.index(("eu", "a"))
    joining = 6 * one_way(zone, home) + 2 * one_way(home, home) + 0.012
    times = [change + (joining if change == 30.0 else 0.0) for change in changes]
    expected = sorted(time + after + one_way(home, proxy.zone) for time in times for proxy in near)
    assert sorted(time for time in seen if time > 0) == pytest.approx(expected, abs=2e-3)


@pytest.mark.sample(2)
@pytest.mark.parametrize(("cpu", "at_once"), [(1, 20), (2, 25), (4, 35), (17, 100), (64, 100)])
def test_as_many_proxies_are_pushed_to_at_once_as_the_processors_allow(quiet, event, cpu, at_once):
    """The pods of app and the gateway take their turns, too, though they do not call it."""
    istiod = {"cpu": cpu, "push_time": "1s", "push_time_per_service": "0s"}
    simulation = quiet(
        services=many(120), timeline=[event("scale", "20s", target=APP, replicas=3)], istiod=istiod, duration="60s"
    )
    times = pushes(simulation)
    simulation.run()
    began = min(time for time in times if time > 20)
    turns = [sum(began + turn - 0.5 < time < began + turn + 0.5 for time in times) for turn in range(8)]
    assert sum(turns) == 120
    assert at_once - 5 <= turns[0] <= at_once
    assert all(turn <= at_once for turn in turns)


# --- loss ---------------------------------------------------------------------------------------------------


def test_a_lost_control_plane_freezes_its_own_proxies_only(quiet, event):
    timeline = [event("control_plane_down", "20s", "60s", target={"cluster": "c1"}), more(event, "25s", 6, "c2")]
    simulation = quiet(timeline=timeline)
    frozen, fine = pushes(simulation), pushes(simulation, "c2")
    seen = simulation.at(79.0, simulation.stale)
    simulation.run()
    assert not [time for time in frozen if 20 < time < 80]
    assert [time for time in fine if 35 < time < 36]
    assert seen[0]["c1"] == 2  # two web pods call app
    assert seen[0]["c2"] == 0
    assert simulation.stale() == {"c1": 0, "c2": 0}


@pytest.mark.parametrize(("version", "since"), [("1.30", 35.0), ("1.31", 25.0)])
def test_stale_seconds_are_the_time_from_the_change_to_the_update(quiet, event, version, since):
    """A pod is an endpoint when it is ready; from Istio 1.31 on when it starts, an unhealthy one."""
    timeline = [event("control_plane_down", "20s", "60s", target={"cluster": "c1"}), more(event, "25s", 6, "c2")]
    istiod = {"restart_time": "0s", "push_time": "0s", "push_time_per_service": "0s"}
    simulation = quiet(timeline=timeline, istiod=istiod, istio_version=version)
    updates = pushes(simulation)
    tables = simulation.run()
    rows = zip(tables["config"]["cluster"], tables["config"]["stale_seconds"], strict=True)
    total = sum(seconds for cluster, seconds in rows if cluster == "c1")
    # Two proxies of c1, behind from the time of c2's new pod until each applies it after the return.
    applied = [time for time in updates if time > 80.0][:2]
    assert total == pytest.approx(sum(time - since for time in applied), abs=0.01)


def test_no_pod_is_admitted_without_the_control_plane_and_pauses_double(quiet, event):
    """Spec §5.3: the injection webhook fails closed."""
    timeline = [event("control_plane_down", "10s", "90s", target={"cluster": "c1"}), more(event, "20s")]
    simulation = quiet(timeline=timeline, duration="130s")
    tables = simulation.run()["pods"]
    mine = [i for i, key in enumerate(zip(tables["cluster"], tables["service"], strict=True)) if key == ("c1", "app")]
    # Asked at 20, 21, 23, 27, 35, 51, 67, 83, 99 s; at 115 s the control plane (back at 105 s) answers.
    assert sum(tables["rejected"][i] for i in mine) == 9
    assert sum(tables["blocked_seconds"][i] for i in mine) == pytest.approx(95.0)
    assert [time for time, _ in told(simulation, "pod ready")] == [pytest.approx(125.0, abs=0.1)]


def test_after_a_restart_proxies_reconnect_at_the_rate_istiod_accepts(quiet, event):
    timeline = [event("control_plane_down", "10s", "2s", target={"cluster": "c1"}), more(event, "11s", 3)]
    istiod = {"push_time": "0s", "push_time_per_service": "0s", "restart_time": "0s"}
    simulation = quiet(services=many(100), timeline=timeline, istiod=istiod, duration="60s")
    simulation.run()
    assert disconnected(simulation) == {"c1": 0, "c2": 0}
    rows = simulation.mesh.recorder.tables["control_planes"]
    by_time = {row[1]: row[5] for row in rows if row[2] == "c1"}
    # 25 a second with two processors
    assert all(number <= 25 * (time - 12.0) + 1 for time, number in by_time.items() if 12.0 < time < 15.0)
    assert by_time[60.0] == 100 + 3 + 1  # web, app, ingress


def test_a_push_queued_before_a_restart_does_not_swallow_one_queued_after_it(quiet, event):
    timeline = [more(event, "10s"), event("control_plane_down", "21s", "1s", target={"cluster": "c1"})]
    simulation = quiet(
        services=many(60), timeline=timeline, duration="200s", istiod={"push_time": "10s", "restart_time": "0s"}
    )
    simulation.run()
    assert simulation.stale() == {"c1": 0, "c2": 0}


def test_a_pod_that_reuses_a_sidecars_number_gets_its_updates(quiet, event):
    timeline = [
        more(event, "5s"), more(event, "8s", 6),
        event("pod_churn", "6s", "20s", target={"service": "web", "cluster": "c1"}, rate="5/s"),
    ]  # fmt: skip
    simulation = quiet(
        services=many(100), timeline=timeline, duration="200s", istiod={"push_time": "5s", "cpu": 1},
        kubernetes={"pod_start": "1s", "drain": "100ms"},
    )  # fmt: skip
    simulation.run()
    assert simulation.stale() == {"c1": 0, "c2": 0}
    assert all(proxy.applied["app"] for proxy in simulation.mesh.interested["app"])


# --- replicas -----------------------------------------------------------------------------------------------


def served(simulation, group="c1"):
    return [set(istiod.streams) for istiod in simulation.mesh.groups[group].istiods]


def test_when_a_replica_is_lost_its_proxies_go_to_the_others_and_nobody_else_moves(quiet, event):
    lost = event("control_plane_down", "20s", "40s", target={"cluster": "c1"}, replicas=1)
    simulation = quiet(services=many(20), timeline=[lost], istiod={"replicas": 3})
    before = served(simulation)
    connections = {proxy.number: proxy.stream.connection for proxy in proxies(simulation, "c1")}
    during = simulation.at(50.0, lambda: (served(simulation), disconnected(simulation), simulation.stale()))
    simulation.run()
    (there, without, stale), after = during[0], served(simulation)
    assert min(len(group) for group in before) > 0
    assert there[0] == set()
    assert before[1] <= there[1]
    assert before[2] <= there[2]
    assert there[1] | there[2] == set.union(*before)
    assert (without, stale) == ({"c1": 0, "c2": 0}, {"c1": 0, "c2": 0})
    moved = {
        proxy.number for proxy in proxies(simulation, "c1") if connections[proxy.number] != proxy.stream.connection
    }
    assert moved == before[0]
    assert after == there  # they stay where they are when it comes back
    assert told(simulation, "control plane lost") == []


def test_a_replica_that_is_created_while_all_are_lost_starts_when_they_do(quiet, event):
    simulation = quiet(timeline=[event("control_plane_down", "10s", "60s", target={"cluster": "c1"})])
    simulation.at(20.0, lambda: simulation.mesh.groups["c1"].scale(2))
    seen = [simulation.at(time, lambda: ready(simulation)) for time in (69.0, 80.0)]
    simulation.run()
    assert [value for (value,) in seen] == [[False, False], [True, True]]


def test_replicas_know_each_for_itself(quiet, event):
    """One restarts while c2's API server is away: only its own proxies lose c2's endpoints."""
    timeline = [
        event("api_server_down", "10s", "300s", target={"cluster": "c2"}),
        event("control_plane_down", "20s", "5s", target={"cluster": "c1"}, replicas=1),
        event("control_plane_down", "70s", "400s", target={"control_plane": "c1"}, replicas=1),
    ]
    simulation = quiet(timeline=timeline, istiod={"replicas": 2}, duration="120s")

    def known():
        informers = [istiod.informers for istiod in simulation.mesh.groups["c1"].istiods]
        return [sum(len(shard.endpoints) for shard in each.shards("app")) for each in informers]

    seen = simulation.at(65.0, known)
    simulation.run()
    assert seen == [[4, 8]]


def test_an_upgrade_moves_everybody_to_new_replicas_without_a_gap(quiet, event):
    simulation = quiet(
        services=many(20), timeline=[event("control_plane_rollout", "20s", target={"cluster": "c1"})],
        istiod={"replicas": 4}, duration="100s",
    )  # fmt: skip
    old = list(simulation.mesh.groups["c1"].istiods)
    during = simulation.at(25.0, lambda: (len(ready(simulation)), sum(ready(simulation))))
    simulation.run()
    # As many new ones as old start (surge 100 %); one of four may go first (unavailable 25 %).
    assert during == [(7, 3)]
    assert ready(simulation) == [True] * 4
    assert not set(old) & set(simulation.mesh.groups["c1"].istiods)
    assert set.union(*served(simulation)) == {proxy.number for proxy in proxies(simulation, "c1")}
    assert told(simulation, "control plane lost") == []
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


def test_a_change_of_replicas_during_an_upgrade_leaves_as_many_as_are_wanted(quiet, event):
    simulation = quiet(timeline=[event("control_plane_rollout", "20s", target={"cluster": "c1"})])
    group = simulation.mesh.groups["c1"]
    for time, replicas in ((22.0, 3), (60.0, 2)):
        simulation.at(time, lambda replicas=replicas: group.scale(replicas))
    seen = simulation.at(55.0, lambda: ready(simulation))
    simulation.run()
    assert seen == [[True] * 3]
    assert ready(simulation) == [True] * 2
    assert len(told(simulation, "rollout done")) == 1


def test_an_upgrade_during_another_replaces_the_new_replicas(quiet, event):
    timeline = [event("control_plane_rollout", at, target={"cluster": "c1"}) for at in ("20s", "25s")]
    simulation = quiet(timeline=timeline, istiod={"replicas": 2})
    simulation.run()
    assert len(told(simulation, "rollout done")) == 2
    assert ready(simulation) == [True] * 2
    assert [istiod.number for istiod in simulation.mesh.groups["c1"].istiods] == [4, 5]
    assert told(simulation, "control plane lost") == []


def test_an_upgrade_waits_for_the_api_server_of_its_home(quiet, event):
    timeline = [
        event("api_server_down", "10s", "50s", target={"cluster": "c1"}),
        event("control_plane_rollout", "20s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline, istiod={"replicas": 4})
    old = list(simulation.mesh.groups["c1"].istiods)
    seen = simulation.at(59.0, lambda: (ready(simulation), simulation.mesh.groups["c1"].istiods == old))
    simulation.run()
    assert seen == [([True] * 4, True)]
    ((began, _),) = told(simulation, "rollout begins")
    assert 60.0 <= began < 60.0 + LONGEST_PAUSE
    assert ready(simulation) == [True] * 4
    assert not set(old) & set(simulation.mesh.groups["c1"].istiods)


def test_an_upgrade_deletes_no_replica_while_the_api_server_of_its_home_is_away(quiet, event):
    """New replicas have read it at 30 s, and are ready when the other cluster has answered, too."""
    timeline = [
        event("control_plane_rollout", "20s", target={"cluster": "c1"}),
        event("api_server_down", "30.05s", "20s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline, istiod={"replicas": 4})
    seen = [simulation.at(time, lambda: ready(simulation)) for time in (29.0, 49.0, 80.0)]
    simulation.run()
    assert [value for (value,) in seen] == [[True] * 3 + [False] * 4, [True] * 7, [True] * 4]


def test_an_upgrade_of_a_control_plane_outside_all_clusters_waits_for_nobody(quiet, event):
    timeline = [
        event("api_server_down", "10s", "50s", target={"cluster": "*"}),
        event("control_plane_rollout", "20s", target={"control_plane": "external"}),
    ]
    simulation = quiet("external", deployments=["external"], timeline=timeline)
    simulation.run()
    assert told(simulation, "rollout begins") == [(20.0, "external")]


def test_a_crash_loop_ends_streams_again_and_again(quiet, event):
    loop = event("control_plane_crash_loop", "10s", "80s", target={"cluster": "c1"}, runs_for="15s")
    simulation = quiet(timeline=[loop], duration="180s")
    seen = [simulation.at(time, lambda: (ready(simulation)[0], disconnected(simulation)["c1"] > 0))
            for time in (14.0, 24.0, 34.0, 49.0, 74.0, 84.0)]  # fmt: skip
    simulation.run()
    # It crashes at 10 s, runs from then (is ready at 15 s), crashes at 25 s, runs from 35 s (is ready at 40 s), crashes
    # at 50 s, runs from 70 s (is ready at 75 s), crashes at 85 s.
    assert [value[0] for (value,) in seen] == [False, True, False, True, False, True]
    assert seen[0][0][1]
    assert [time for time, _ in told(simulation, "control plane lost")] == pytest.approx([10.0, 25.0, 50.0, 85.0])
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


def test_a_slow_istiod_pushes_late(quiet, event):
    timeline = [event("control_plane_slow", "10s", "60s", target={"cluster": "c1"}, factor=100), more(event, "20s", 3)]
    simulation = quiet(timeline=timeline, istiod={"push_time": "50ms", "push_time_per_service": "0s"})
    late, fine = pushes(simulation), pushes(simulation, "c2")
    simulation.run()
    assert min(time for time in late if time > 10.0) == pytest.approx(25.1, abs=0.05)
    assert min(time for time in fine if time > 10.0) == pytest.approx(20.2, abs=0.05)


# --- ways ---------------------------------------------------------------------------------------------------


def test_the_gateway_of_the_primary_cuts_its_remotes_off(quiet, event):
    timeline = [event("gateway_down", "10s", "50s", target={"cluster": "c1"}), more(event, "15s")]
    simulation = quiet("primary-remote", timeline=timeline)
    group = simulation.mesh.groups["c1"]
    seen = simulation.at(55.0, lambda: (disconnected(simulation)["c2"], group.admits("c1"), group.admits("c2")))
    signs = simulation.at(55.0, lambda: [group.signs(pod(simulation, name)) for name in ("c1", "c2")])
    simulation.run()
    assert seen == [(len(proxies(simulation, "c2")), True, False)]
    assert signs == [[True, False]]
    assert simulation.stale() == {"c1": 0, "c2": 0}


def test_one_replica_of_the_gateway_is_enough(quiet, event):
    lost = event("gateway_down", "10s", "50s", target={"cluster": "c1"}, replicas=1)
    simulation = quiet("primary-remote", timeline=[lost], gateways={"c1": {"replicas": 2}})
    seen = simulation.at(55.0, lambda: disconnected(simulation))
    simulation.run()
    assert seen[0]["c2"] == 0


def test_direct_access_needs_no_gateway(quiet, event):
    timeline = [event("gateway_down", "10s", "50s", target={"cluster": "c1"}), more(event, "15s")]
    direct = {"direct": {"model": "primary-remote", "access": "direct"}}
    simulation = quiet("direct", deployments=direct, timeline=timeline, gateways={"c1": {}})
    seen = simulation.at(55.0, lambda: (disconnected(simulation)["c2"], simulation.stale()["c2"]))
    simulation.run()
    assert seen == [(0, 0)]


def test_direct_access_fails_with_the_link(quiet, event):
    direct = {"direct": {"model": "primary-remote", "access": "direct"}}
    simulation = quiet("direct", deployments=direct, timeline=[event("partition", "10s", "90s", target=OCEAN)])
    seen = simulation.at(95.0, lambda: disconnected(simulation))
    simulation.run()
    assert seen == [{"c1": 0, "c2": len(proxies(simulation, "c2"))}]


@pytest.mark.parametrize(("access", "cut"), [("gateway", True), ("direct", False)])
def test_everybody_reaches_an_external_control_plane_through_its_own_gateway(quiet, event, access, cut):
    lost = event("gateway_down", "10s", "50s", target={"control_plane": "external"})
    external = {"external": {"access": access}}
    simulation = quiet("external", deployments=external, timeline=[lost])
    group = simulation.mesh.groups["external"]
    seen = simulation.at(55.0, lambda: (disconnected(simulation), group.admits("c1"), group.admits("c2")))
    simulation.run()
    away = {name: len(proxies(simulation, name)) * cut for name in ("c1", "c2")}
    assert seen == [(away, not cut, not cut)]
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


def test_an_external_control_plane_outlives_its_config_cluster(quiet, event):
    """Spec §5.5: without the config cluster no configuration changes, all else goes on."""
    timeline = [
        event("cluster_down", "10s", "60s", target={"cluster": "c1"}),
        more(event, "20s", 5, "c2"),
        event("config_change", "30s", apply=[NEW]),
    ]
    simulation = quiet("external", deployments=["external"], timeline=timeline)
    seen = simulation.at(65.0, lambda: (simulation.stale()["c2"], len(simulation.app_pods("c2"))))
    simulation.run()
    assert seen == [(0, 5)]
    assert [time for time, _ in told(simulation, "configuration refused")] == [30.0]
    ((time, _),) = told(simulation, "configuration applied")
    assert 70.0 <= time <= 75.0


def test_remotes_catch_up_after_a_zone_outage_took_the_gateway_of_the_primary(quiet, event):
    timeline = [event("zone_outage", "10s", "40s", target={"zone": "eu/a"}), more(event, "20s", 6)]
    simulation = quiet("primary-remote", timeline=timeline, duration="200s")
    simulation.run()
    assert simulation.mesh.gateways["c1"].replicas[0].client.zone == "a"
    assert simulation.stale() == {"c1": 0, "c2": 0}
    assert disconnected(simulation) == {"c1": 0, "c2": 0}


# --- webhooks and configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "admitted"),
    [
        ("control_plane_down", {"target": {"cluster": "c1"}}, {"c1": False, "c2": False}),
        ("api_server_down", {"target": {"cluster": "c1"}}, {"c1": False, "c2": True}),
        ("api_server_down", {"target": {"cluster": "c2"}}, {"c1": True, "c2": False}),
        ("gateway_down", {"target": {"cluster": "c1"}}, {"c1": True, "c2": False}),
        ("partition", {"target": OCEAN}, {"c1": True, "c2": False}),
        ("certificate_authority_down", {"target": {}}, {"c1": True, "c2": True}),
    ],
)
def test_pods_are_admitted_where_the_api_server_reaches_the_webhook(quiet, event, kind, fields, admitted):
    """Primary-remote: both clusters' API servers ask the one istiod, c2's through the gateway (port 15017)."""
    simulation = quiet("primary-remote", timeline=[event(kind, "10s", "50s", **fields)])
    group = simulation.mesh.groups["c1"]
    seen = simulation.at(30.0, lambda: {name: group.admits(name) for name in ("c1", "c2")})
    simulation.run()
    assert seen == [admitted]


@pytest.mark.parametrize(
    ("kind", "target"), [("control_plane_down", {"cluster": "c1"}), ("api_server_down", {"cluster": "c1"})]
)
def test_configuration_that_cannot_be_validated_is_refused_and_tried_again(quiet, event, kind, target):
    timeline = [event(kind, "10s", "30s", target=target), event("config_change", "20s", apply=[NEW])]
    simulation = quiet(timeline=timeline)
    drifting = simulation.at(
        39.0, lambda: {name: each.value for name, each in simulation.mesh.recorder.drifted.items()}
    )
    simulation.run()
    assert told(simulation, "configuration refused") == [(20.0, "c1")]
    applied = {subject: time for time, subject in told(simulation, "configuration applied")}
    back = 45.0 if kind == "control_plane_down" else 40.0
    assert back <= applied["c1"] <= back + 5.1
    assert applied["c2"] == 20.0
    assert drifting == [{"c1": 7, "c2": 0}]
    assert {proxy.changes for proxy in simulation.mesh.proxies.values()} == {(1,)}


def test_changes_are_applied_in_the_order_in_which_they_were_asked_for(quiet, event):
    timeline = [
        event("control_plane_down", "10s", "30s", target={"cluster": "c1"}),
        event("config_change", "15s", "10s", apply=[NEW]),
        event("config_change", "20s", delete=["DestinationRule/app"]),
    ]
    simulation = quiet(timeline=timeline)
    simulation.run()
    kinds = [(kind, detail) for _, kind, subject, detail in simulation.mesh.recorder.tables["events"]
             if subject == "c1" and kind.startswith("configuration ")]  # fmt: skip
    assert [kind for kind, _ in kinds] == [
        "configuration refused", "configuration applied", "configuration applied", "configuration taken back",
    ]  # fmt: skip
    assert {proxy.changes for proxy in simulation.mesh.proxies.values()} == {(2,)}
    assert sum(level.value for level in simulation.mesh.recorder.drifted.values()) == 0


def test_proxies_reject_bad_configuration_and_keep_what_they_have(quiet, event):
    timeline = [event("config_change", "20s", "60s", apply=[NEW], rejected=True), more(event, "40s")]
    simulation = quiet(timeline=timeline, duration="150s")
    drifting = simulation.at(39.0, lambda: sum(level.value for level in simulation.mesh.recorder.drifted.values()))
    new = simulation.at(79.0, lambda: len(simulation.app_pods("c1")))
    rows = simulation.run()["control_planes"]
    assert sum(rows["rejected_configurations"]) >= 14
    assert drifting == [0]  # nobody should run it
    assert new == [4]  # a new proxy has nothing to keep
    assert len(simulation.app_pods("c1")) == 5
    assert {proxy.changes for proxy in simulation.mesh.proxies.values()} == {()}
