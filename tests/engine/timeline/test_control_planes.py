from __future__ import annotations

import pytest

from tests.engine.timeline.conftest import told

QUIET = {"web": {"rate": "0.2/s"}}


def ready(simulation, name="c1"):
    return [istiod.ready for istiod in simulation.mesh.groups[name].istiods]


def known(simulation, name="c1"):
    """Return how many app pods of each cluster a control plane knows."""
    shards = simulation.mesh.groups[name].istiods[0].informers.shards("app")
    pods = [endpoint.cluster for shard in shards for endpoint in shard.endpoints]
    return {cluster: pods.count(cluster) for cluster in ("c1", "c2")}


def test_some_replicas_of_istiod_are_lost(run, event):
    timeline = [event("control_plane_down", "10s", "30s", target={"control_plane": "c1"}, replicas=1)]
    simulation = run(timeline=timeline, load=QUIET, istiod={"replicas": 2})
    seen = simulation.at(20.0, lambda: (ready(simulation), ready(simulation, "c2")))
    connected = simulation.at(35.0, lambda: simulation.mesh.recorder.disconnected["c1"].value)
    tables = simulation.run()
    assert seen == [([False, True], [True, True])]
    assert connected == [0]
    assert told(tables, "control plane lost") == []
    assert ready(simulation) == [True, True]


def test_a_crash_loop_backs_off_and_ends(run, event):
    timeline = [event("control_plane_crash_loop", "10s", "60s", target={"control_plane": "c1"}, runs_for="8s")]
    simulation = run(timeline=timeline, load=QUIET, istiod={"restart_time": "1s"})
    # crashes at 10, 18 (started at once, and 8 s), 36 (after 10 s of pause and 8 s), 64 (after 20 s and 8 s); the last
    # start is at the end, at 70
    times = (10.5, 15.0, 20.0, 32.0, 45.0, 60.0, 69.0, 80.0)
    seen = [simulation.at(time, lambda: ready(simulation)[0]) for time in times]
    simulation.run()
    assert [value for (value,) in seen] == [False, True] * 4


@pytest.mark.parametrize(("runs_for", "starts"), [("10m", [10.0, 610.0, 1210.0]), ("590s", [10.0, 610.0, 1220.0])])
def test_an_istiod_that_ran_for_ten_minutes_before_it_crashed_is_started_at_once(run, event, runs_for, starts):
    """It crashes at 610 and 1210 s, or at 600 and 1200 s and then waits for 10 and 20 s."""
    loop = event("control_plane_crash_loop", "10s", "1390s", target={"control_plane": "c1"}, runs_for=runs_for)
    simulation = run(timeline=[loop], load={"web": {"rate": "0.01/s"}}, duration="1400s")
    tables = simulation.run()
    started = [time - 5.0 for time, name in told(tables, "control plane ready") if name == "c1"]
    assert started == pytest.approx(starts, abs=0.1)


def test_slowness_multiplies_and_is_gone_to_the_last_bit(run, event):
    timeline = [
        event("control_plane_slow", "10s", "30s", target={}, factor=3.3),
        event("control_plane_slow", "20s", "30s", target={}, factor=1.7),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    group = simulation.mesh.groups["c1"]
    seen = [simulation.at(time, lambda: group.slowness) for time in (15.0, 30.0, 45.0, 60.0)]
    simulation.run()
    assert [value for (value,) in seen] == pytest.approx([3.3, 5.61, 1.7, 1.0])
    assert group.slowness == 1.0


def test_an_upgrade_replaces_every_replica(run, event):
    simulation = run(timeline=[event("control_plane_rollout", "10s", target={})], load=QUIET, istiod={"replicas": 2})
    before = {id(istiod) for istiod in simulation.mesh.groups["c1"].istiods}
    tables = simulation.run()
    assert before.isdisjoint({id(istiod) for istiod in simulation.mesh.groups["c1"].istiods})
    assert ready(simulation) == [True, True]
    assert len(told(tables, "rollout done")) == 2


def test_without_a_certificate_authority_no_pod_becomes_ready(run, event):
    timeline = [
        event("certificate_authority_down", "5s", "60s", target={"control_plane": "c1"}),
        event("scale", "10s", target={"service": "app"}, replicas=6),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = simulation.at(60.0, lambda: (len(simulation.app_pods("c1")), len(simulation.app_pods("c2"))))
    simulation.run()
    assert seen == [(4, 6)]
    assert len(simulation.app_pods("c1")) == 6


def test_two_causes_let_a_root_expire_until_both_are_over(run, event):
    timeline = [
        event("root_expired", "10s", "30s", target={"control_plane": "c1"}),
        event("root_expired", "20s", "30s", target={"control_plane": "c2"}),
    ]
    simulation = run(timeline=timeline, load=QUIET)  # one common root
    seen = [simulation.at(t, lambda: int(simulation.mesh.plane.world.clock[0].expired_roots)) for t in (15, 30, 45, 60)]
    simulation.run()
    assert [value > 0 for (value,) in seen] == [True, True, True, False]


@pytest.mark.parametrize(("before", "trusted"), [("0s", ("new",)), ("20s", ("common root", "new"))])
def test_a_root_is_announced_before_it_signs(run, event, before, trusted):
    change = event("root_change", "50s", target={"control_plane": "c1"}, root="new", both_trusted_before=before)
    simulation = run(timeline=[change], load=QUIET)
    group = simulation.mesh.groups["c1"]
    seen = [simulation.at(time, lambda: (group.root, group.trusts)) for time in (20.0, 40.0, 60.0)]
    simulation.run()
    early = (("common root",), trusted)[before != "0s"]
    assert [value for (value,) in seen] == [("common root", ("common root",)), ("common root", early), ("new", trusted)]
    assert simulation.mesh.groups["c2"].root == "common root"


def test_proxies_that_were_told_before_the_run_trust_a_new_root_at_once(run, event):
    """All certificates are renewed within 12 h and a little: a day's notice has reached every proxy."""
    change = event("root_change", "1m", target={}, root="new", both_trusted_before="24h")
    simulation = run(timeline=[change], load=QUIET)
    simulation.run()
    plane, bit = simulation.mesh.plane, 1 << simulation.identity.number("new")
    assert all(int(plane.proxies[number].trusts) & bit for number in simulation.mesh.proxies)


def test_without_an_api_server_nothing_new_is_heard_of_its_cluster(run, event):
    timeline = [
        event("api_server_down", "10s", "50s", target={"cluster": "c2"}),
        event("scale", "20s", target={"service": "app", "cluster": "c2"}, replicas=2),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = simulation.at(55.0, lambda: known(simulation))
    simulation.run()
    assert seen == [{"c1": 4, "c2": 4}]
    assert known(simulation) == {"c1": 4, "c2": 2}


@pytest.mark.parametrize(
    ("change", "picked_up", "while_running", "after_restart"),
    [
        ("removed", True, 0, 0),
        ("expired", True, 4, 0),
        ("rotated", False, 4, 4),
        ("rotated", True, 6, 6),
    ],
)
def test_what_a_bad_secret_does_before_and_after_istiod_restarts(
    run, event, change, picked_up, while_running, after_restart
):
    """Of 4 pods, 6 after the secret has changed. A rotated secret that was not picked up is read at the restart."""
    timeline = [
        event("remote_secret", "10s", target={"cluster": "c2"}, change=change, picked_up=picked_up),
        event("scale", "15s", target={"service": "app", "cluster": "c2"}, replicas=6),
        event("control_plane_down", "50s", "5s", target={"control_plane": "c1"}),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    before = simulation.at(45.0, lambda: known(simulation)["c2"])
    simulation.run()
    assert before == [while_running]
    assert known(simulation)["c2"] == (6 if after_restart == 4 else after_restart)


def test_a_secret_is_good_again_when_nothing_is_wrong_with_it_any_more(run, event):
    timeline = [
        event("remote_secret", "10s", target={"cluster": "c2"}, change="removed", duration="50s"),
        event("remote_secret", "20s", target={"cluster": "c2"}, change="expired", duration="10s"),
    ]
    simulation = run(timeline=timeline, load=QUIET)
    seen = [simulation.at(time, lambda: known(simulation)["c2"]) for time in (15.0, 45.0, 70.0)]
    simulation.run()
    assert [value for (value,) in seen] == [0, 0, 4]


def test_only_the_control_plane_that_is_named_loses_its_secret(run, event):
    timeline = [event("remote_secret", "10s", target={"control_plane": "c1"}, change="removed")]
    simulation = run(timeline=timeline, load=QUIET)
    simulation.run()
    assert known(simulation, "c1") == {"c1": 4, "c2": 0}
    assert known(simulation, "c2") == {"c1": 4, "c2": 4}


def test_a_change_of_configuration_comes_to_one_control_plane_after_the_other(run, event):
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "app"}}
    rule["spec"] = {"host": "app", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}
    timeline = [event("config_change", "10s", "40s", apply=[rule], stagger="20s")]
    simulation = run(timeline=timeline, load=QUIET)
    mesh = simulation.mesh

    def applied():
        return [len(group.applied) for group in mesh.groups.values()], mesh.recorder.drifted["c2"].value > 0

    seen = [simulation.at(time, applied) for time in (5.0, 20.0, 40.0, 60.0, 90.0)]
    simulation.run()
    assert [value[0] for (value,) in seen] == [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    assert [value[1] for (value,) in seen] == [False, True, False, True, False]
