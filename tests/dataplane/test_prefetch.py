from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.queues import CALL, ROWS
from meshsim.scenario.istio.policy import Policy

COUNTS = ("requests", "request_latency", "ingress_latency", "call_latency", "free_at", "proxies", "pods")

#: What the clock knows of what was looked at ahead.
ASIDE = ("looks", "looked", "glance")


@pytest.fixture
def busy(Bench, echo):
    """Return a function that runs web, which calls two services at once and then a third, with or without looking."""

    def run(*, looks, policy=None, steps=None):
        fork = [{"call": "app/GET"}, {"call": "db/GET", "probability": 0.5}]
        script = [{"compute": "5ms"}, fork, {"call": "app/GET", "count": 1.5, "probability": 0.9}]
        pods = ("eu/a", "eu/b", "us/a")
        bench = Bench(
            {"web": echo(script=steps or script, workers=50), "app": echo(workers=50), "db": echo(workers=50)},
            policies={"app": policy or Policy(), "db": policy or Policy()},
            zones={"web": pods, "app": pods, "db": pods},
        )
        if looks:
            bench.plane._look_ahead()
        bench.paced(4000.0)
        bench.send(0.1, times=100)
        bench.run(3.0)
        return bench

    return run


def counts(bench):
    clock = bench.plane._arrays["clock"].view(np.ndarray).copy()
    for field in ASIDE:
        clock[field] = 0
    rows, numbers = bench.plane.counted_calls()
    arrays = [bench.plane._arrays[name].tobytes() for name in COUNTS]
    return [clock.tobytes(), *arrays, rows.tolist(), *(each.tolist() for each in numbers)]


@pytest.mark.parametrize("balancer", ["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"])
def test_looking_ahead_changes_no_number(busy, balancer):
    policy = Policy(load_balancer=balancer)
    assert counts(busy(looks=True, policy=policy)) == counts(busy(looks=False, policy=policy))


def test_calls_are_foreseen_with_the_hosts_that_are_compared_for_them(busy):
    world = busy(looks=True).world
    end = int(world.marks[CALL, 4])
    first = end - ROWS // 2
    assert first > 0
    for number in range(first, end):
        row = world.ahead[CALL, number % ROWS]
        up = world.upstreams[row.upstream]
        assert int(up.proxy) == int(row.proxy)
        assert all(up.first_slot <= host < up.first_slot + up.capacity for host in (row.first, row.other))


def test_every_queue_is_followed_to_its_end(busy):
    marks = busy(looks=True).world.marks
    stations = [int((row > 0).sum()) - 1 for row in marks]
    assert stations == [1, -1, 3, -1, 4, 5, 4]  # nothing goes through a gateway here, nor takes time in a sidecar


def test_a_small_mesh_does_not_look_ahead(busy):
    world = busy(looks=False).world
    assert int(world.clock[0].looks) == 0
    assert not world.marks.any()


def test_a_script_that_ends_the_array_of_steps_is_not_read_past_its_end(busy):
    assert int(busy(looks=True, steps=[{"compute": "5ms"}]).world.clock[0].ended) > 0


@pytest.mark.parametrize(("name", "lines"), [("frames", 2), ("proxies", 2), ("slots", 2), ("connections", 2)])
def test_records_fill_whole_lines_of_the_cache_and_begin_with_one(name, lines):
    array = state.records(name, 5)
    assert array.dtype.itemsize == lines * state.LINE
    assert array.ctypes.data % state.LINE == 0


def test_a_frame_that_took_the_place_of_one_given_up_is_not_taken_for_it(busy):
    # Calls that are given up leave answers under way, whose frames' places others take, of another kind.
    steps = [{"call": "app/GET", "timeout": "0.5ms", "on_error": "ignore"}, {"compute": "5ms"}, {"call": "db/GET"}]
    assert counts(busy(looks=True, steps=steps)) == counts(busy(looks=False, steps=steps))
