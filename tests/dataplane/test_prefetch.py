from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.calendar import NEAR
from meshsim.dataplane.prefetch import REMEMBERED
from meshsim.scenario.istio.policy import Policy

COUNTS = ("clock", "requests", "request_latency", "ingress_latency", "call_latency", "free_at")

#: What the clock knows of where events stand and of what was foreseen.
ASIDE = (
    "foreseen", "foresaw", "ring", "head", "near", "later", "day", "pace", "turned", "turned_at", "turned_after",
    "chunks", "free_chunk",
)  # fmt: skip


@pytest.fixture
def busy(Bench, echo):
    """Return a function that runs web, which calls two services at once and then a third, with or without looking."""

    def run(*, looks, policy=None, steps=None):
        fork = [{"call": "app/GET"}, {"call": "db/GET", "probability": 0.5}]
        script = [{"compute": "1ms"}, fork, {"call": "app/GET", "count": 1.5, "probability": 0.9}]
        pods = ("eu/a", "eu/b", "us/a")
        bench = Bench(
            {"web": echo(script=steps or script, workers=50), "app": echo(workers=50), "db": echo(workers=50)},
            policies={"app": policy or Policy(), "db": policy or Policy()},
            zones={"web": pods, "app": pods, "db": pods},
        )
        if looks:
            bench.plane._look_ahead()
        bench.paced(400.0)
        bench.send(0.1, times=2 * NEAR)
        bench.run(3.0)
        return bench

    return run


def counts(bench):
    found = {name: bench.plane._arrays[name].view(np.ndarray).copy() for name in COUNTS}
    for field in ASIDE:
        found["clock"][field] = 0
    rows, numbers = bench.plane.counted_calls()
    return [found[name].tobytes() for name in COUNTS] + [rows.tobytes(), *(each.tobytes() for each in numbers)]


@pytest.mark.parametrize("balancer", ["LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"])
def test_looking_ahead_changes_no_number(busy, balancer):
    policy = Policy(load_balancer=balancer)
    assert counts(busy(looks=True, policy=policy)) == counts(busy(looks=False, policy=policy))


def test_calls_are_foreseen_with_the_hosts_that_are_compared_for_them(busy):
    world = busy(looks=True).world
    assert int(world.clock[0].foreseen) > REMEMBERED
    found = [row for row in world.foreseen if row.stage == 5]
    assert found
    for row in found:
        up = world.upstreams[row.upstream]
        assert int(up.proxy) == int(row.proxy)
        assert all(up.first_slot <= host < up.first_slot + up.capacity for host in (row.first, row.other))


def test_a_small_mesh_does_not_look_ahead(busy):
    world = busy(looks=False).world
    assert (int(world.clock[0].ring), int(world.clock[0].foreseen)) == (0, 0)


def test_a_script_that_ends_the_array_of_steps_is_not_read_past_its_end(busy):
    assert int(busy(looks=True, steps=[{"compute": "1ms"}]).world.clock[0].ended) > 0


@pytest.mark.parametrize(("name", "lines"), [("frames", 2), ("proxies", 2), ("slots", 2), ("connections", 2)])
def test_records_fill_whole_lines_of_the_cache_and_begin_with_one(name, lines):
    array = state.records(name, 5)
    assert array.dtype.itemsize == lines * state.LINE
    assert array.ctypes.data % state.LINE == 0


def test_a_frame_that_took_the_place_of_one_given_up_is_not_taken_for_it(busy):
    # Calls that are given up leave answers under way, whose frames' places others take, of another kind.
    steps = [{"call": "app/GET", "timeout": "0.5ms", "on_error": "ignore"}, {"compute": "1ms"}, {"call": "db/GET"}]
    assert counts(busy(looks=True, steps=steps)) == counts(busy(looks=False, steps=steps))
