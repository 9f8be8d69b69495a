"""One replica of istiod: its start, its loss, what it accepts and what it costs."""

from __future__ import annotations

import pytest

QUIET = {"web": {"rate": "0.1/s"}}


@pytest.fixture
def quiet(run):
    """Return a function that builds a run of the small mesh with hardly any load, and streams that last."""

    def built(deployment="multi-primary", **changes):
        istiod = {"stream_age": "100h", **changes.pop("istiod", {})}
        return run(deployment, **{"load": QUIET, "istiod": istiod, **changes})

    return built


def first(simulation, group="c1"):
    return simulation.mesh.groups[group].istiods[0]


def known(istiod):
    return sum(len(shard.endpoints) for shard in istiod.informers.shards("app"))


# --- the rate limit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cpu", "rate"), [(1, 20), (2, 25), (17, 100), (64, 100)])
def test_streams_are_accepted_at_a_rate_and_wait_for_a_second_at_most(quiet, cpu, rate):
    """Spec §5.1: min(15 + 5 · processors, 100) a second, burst 1, ResourceExhausted after a second."""
    istiod = first(quiet(istiod={"cpu": cpu}))
    waits = [istiod.accept(50.0) for _ in range(rate + 5)]
    assert waits[: rate + 1] == pytest.approx([number / rate for number in range(rate + 1)])
    assert waits[rate + 1 :] == [None] * 4  # who is refused takes no turn
    assert istiod.accept(50.5) == pytest.approx(1.0 - 0.5 + 1 / rate)
    assert istiod.accept(70.0) == 0.0


def test_turns_that_nobody_took_are_not_saved_up(quiet):
    istiod = first(quiet())
    assert [istiod.accept(100.0) for _ in range(3)] == pytest.approx([0.0, 0.04, 0.08])


# --- loss and start -----------------------------------------------------------------------------------------


def test_a_lost_istiod_forgets_everything_and_reads_it_again(quiet, event):
    simulation = quiet(timeline=[event("control_plane_down", "10s", "20s", target={"cluster": "c1"})])
    istiod = first(simulation)
    seen = [simulation.at(time, lambda: (istiod.ready, known(istiod))) for time in (9.0, 11.0, 34.9, 35.2)]
    simulation.run()
    assert [value for (value,) in seen] == [(True, 8), (False, 0), (False, 0), (True, 8)]


def test_several_causes_end_one_by_one(quiet, event):
    timeline = [
        event("control_plane_down", "10s", "20s", target={"cluster": "c1"}),
        event("control_plane_down", "20s", "30s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline)
    istiod = first(simulation)
    seen = [simulation.at(time, lambda: istiod.ready) for time in (15.0, 40.0, 54.9, 55.2)]
    simulation.run()
    assert [value for (value,) in seen] == [False, False, False, True]


def test_a_loss_during_the_start_begins_it_anew(quiet, event):
    timeline = [
        event("control_plane_down", "10s", "10s", target={"cluster": "c1"}),
        event("control_plane_down", "23s", "4s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline)
    istiod = first(simulation)
    seen = [simulation.at(time, lambda: istiod.ready) for time in (26.0, 31.9, 32.2)]
    simulation.run()
    assert [value for (value,) in seen] == [False, False, True]


def test_nobody_is_served_before_all_is_known(quiet, event):
    """Spec §5.1: istiod refuses xDS until its caches are synced."""
    timeline = [
        event("api_server_down", "5s", "100s", target={"cluster": "c2"}),
        event("control_plane_down", "10s", "10s", target={"cluster": "c1"}),
    ]
    simulation = quiet(timeline=timeline)
    istiod = first(simulation)
    seen = [simulation.at(time, lambda: len(istiod.streams)) for time in (54.9, 90.0)]
    simulation.run()
    assert seen[0] == [0]
    assert seen[1] == [2 + 4 + 1]


def test_ready_seconds_are_those_in_which_it_served(quiet, event):
    simulation = quiet(timeline=[event("control_plane_down", "10s", "20s", target={"cluster": "c1"})])
    rows = simulation.run()["control_planes"]
    total = dict.fromkeys(("c1", "c2"), 0.0)
    for name, seconds in zip(rows["control_plane"], rows["ready_seconds"], strict=True):
        total[name] += seconds
    assert total == pytest.approx({"c1": 120.0 - 25.0 - 0.080, "c2": 120.0})


# --- what it costs ------------------------------------------------------------------------------------------


def test_memory_grows_with_proxies_and_with_services_of_each_cluster_that_is_watched(quiet):
    simulation = quiet(istiod={"memory": 1000, "memory_per_proxy": 100, "memory_per_service": 10})
    assert first(simulation).memory() == 1000 + 100 * 7 + 10 * 2 * 2
    simulation.run()
    assert first(simulation, "c2").memory() == 1000 + 100 * 7 + 10 * 2 * 2


def test_cpu_is_what_pushes_work(quiet, event):
    timeline = [event("scale", "20s", target={"service": "app", "cluster": "c2"}, replicas=3)]
    simulation = quiet(timeline=timeline, istiod={"push_cpu": "2ms", "push_cpu_per_service": "500us"})
    rows = simulation.run()["control_planes"]
    of_c1 = [row for row, name in enumerate(rows["control_plane"]) if name == "c1"]
    # one service of seven proxies changes once
    assert sum(rows["pushes"][row] for row in of_c1) == 7
    assert sum(rows["cpu_seconds"][row] for row in of_c1) == pytest.approx(7 * 0.0025)
