"""The trace: every line that a sampled request leaves behind."""

from __future__ import annotations

from collections import Counter

import pytest

from meshsim.dataplane import flags, state, trace
from meshsim.scenario.istio.policy import OutlierDetection, Policy, Retry


@pytest.fixture
def chain(Bench, echo):
    def built(hosts=1, policy=None, retry=None):
        return Bench(
            {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}], workers=99), "app": echo(workers=99)},
            zones={"app": ["eu/a"] * hosts}, policies={"app": policy or Policy()}, retry=retry or Retry(attempts=0),
        )  # fmt: skip

    return built


def test_a_request_leaves_a_line_for_every_step_in_order(chain):
    bench = chain()
    bench.plane.trace(1)
    bench.send(1.0)
    bench.run(5.0)
    lines = bench.plane.take_trace()
    named = [
        "began", "attempt", "connected", "sent", "at server", "at pod",
        "began", "attempt", "connected", "sent", "at server", "at pod", "answered", "attempt ended", "ended",
        "answered", "attempt ended", "ended",
    ]  # fmt: skip
    kinds = {
        trace.CALL_BEGAN: "began", trace.ATTEMPT_BEGAN: "attempt", trace.SENT: "sent", trace.AT_SERVER: "at server",
        trace.AT_POD: "at pod", trace.ANSWERED: "answered", trace.ATTEMPT_ENDED: "attempt ended",
        trace.CALL_ENDED: "ended", trace.CONNECTED: "connected",
    }  # fmt: skip
    assert [kinds[int(line.kind)] for line in lines] == named
    # User to web: a handshake of 2 ms, 1 ms there; web to app the same; then back.
    times = [
        0.0, 0.0, 0.002, 0.002, 0.003, 0.003,
        0.003, 0.003, 0.005, 0.005, 0.006, 0.006, 0.006, 0.007, 0.007, 0.007, 0.008, 0.008,
    ]  # fmt: skip
    assert [float(line.time) for line in lines] == pytest.approx([1.0 + time for time in times])
    assert len({int(line.request) for line in lines}) == 1
    user, below = lines[0], lines[6]
    assert (int(user.proxy), int(below.proxy)) == (bench.ingress, bench.proxy_of(bench.pods["web"][0]))
    assert int(lines[3].host) == bench.pods["web"][0]
    assert int(lines[9].host) == bench.pods["app"][0]
    assert [float(line.began) for line in (lines[14], lines[17])] == pytest.approx([1.003, 1.0])
    assert len(bench.plane.take_trace()) == 0


def test_every_attempt_has_its_number_host_and_outcome(chain, fail):
    policy = Policy(load_balancer="ROUND_ROBIN")
    bench = chain(hosts=2, policy=policy, retry=Retry(attempts=2, conditions=("5xx",)))
    fail(bench, *bench.pods["app"])
    bench.plane.trace(1)
    bench.send(0.0)
    bench.run(5.0)
    ended = [line for line in bench.traced(trace.ATTEMPT_ENDED) if line.host in bench.pods["app"]]
    assert [(int(line.attempt), int(line.code), int(line.flag)) for line in ended] == [
        (1, 503, 0), (2, 503, 0), (3, 503, 0),
    ]  # fmt: skip
    assert ended[0].host != ended[1].host


def test_the_last_line_of_a_call_has_the_flags_that_are_counted(chain, fail):
    bench = chain(retry=Retry(attempts=1, conditions=("connect-failure",)))
    bench.plane.kill(bench.pods["app"][0], 0.0, silent=False, for_good=False)
    bench.plane.trace(1)
    bench.send(0.0)
    bench.run(5.0)
    below, user = bench.traced(trace.CALL_ENDED)
    assert (int(below.code), flags.names(int(below.flag))) == (503, "URX,UF")
    assert (int(user.code), flags.names(int(user.flag))) == (200, "")


@pytest.mark.parametrize("one_in", [1, 3, 7])
def test_one_in_so_many_requests_of_each_source_is_traced_with_all_its_calls(chain, one_in):
    bench = chain()
    bench.plane.trace(1.0 / one_in)
    bench.paced(10)
    bench.paced(10)
    bench.run(4.2)
    requests = Counter(int(line.request) for line in bench.traced(trace.CALL_BEGAN))
    began = int(bench.world.clock[0].arrived)
    assert len(requests) == pytest.approx(began / one_in, abs=2)
    assert set(requests.values()) <= {1, 2}
    assert sum(count == 2 for count in requests.values()) >= len(requests) - 1


def test_nothing_is_traced_unless_asked_for(chain):
    bench = chain()
    bench.paced(10)
    bench.run(2.0)
    assert len(bench.plane.take_trace()) == 0
    bench.plane.trace(1)
    bench.run(3.0)
    assert len(bench.plane.take_trace()) > 0
    bench.plane.trace(0)
    bench.run(4.0)
    assert len(bench.plane.take_trace()) == 0


def test_ejections_and_returns_are_traced_with_the_host(chain, fail):
    detection = OutlierDetection(consecutive_5xx=2, max_ejection_percent=100, base_ejection_time=5.0, interval=1.0)
    bench = chain(policy=Policy(outlier_detection=detection))
    fail(bench, *bench.pods["app"])
    bench.plane.trace(1000)
    bench.send(0.0)
    bench.send(1.0)
    bench.run(20.0)
    ejected, back = bench.traced(trace.EJECTED, trace.RETURNED)
    assert (int(ejected.kind), int(back.kind)) == (trace.EJECTED, trace.RETURNED)
    assert int(ejected.host) == int(back.host) == bench.pods["app"][0]
    assert float(ejected.time) == pytest.approx(1.0, abs=0.01)
    assert 5.0 <= back.time - ejected.time < 6.0 + 1e-9


def test_a_line_says_nothing_of_the_one_that_was_in_its_place_before(chain, fail):
    detection = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100)
    bench = chain(policy=Policy(outlier_detection=detection))
    bench.plane.trace(1)
    bench.paced(10)
    bench.run(5.0)
    bench.plane.take_trace()
    fail(bench, *bench.pods["app"])
    bench.run(6.0)
    (ejected,) = bench.traced(trace.EJECTED)
    found = {name: int(ejected[name]) for name in ("request", "path", "call", "route", "attempt", "connection", "code")}
    none = state.NONE
    assert found == {
        "request": 0, "path": 0, "call": none, "route": none, "attempt": 0, "connection": none, "code": 0,
    }  # fmt: skip


def test_there_is_room_for_as_many_lines_as_a_run_makes(chain):
    bench = chain()
    bench.plane.trace(1)
    bench.paced(500)
    bench.run(4.0)
    lines = bench.plane.take_trace()
    assert sum(lines.kind == trace.CALL_ENDED) == bench.world.clock[0].calls_ended
    assert (lines.time[1:] >= lines.time[:-1]).all()
    assert state.RECORDS["trace"] == lines.dtype


def test_what_finds_no_room_leaves_the_lines_before_it_alone(Bench, echo):
    bench = Bench({"web": echo(script=[{"compute": "10s"}])})
    bench.plane.trace(1)
    bench.send(1.0)
    bench.run(2.0)  # the call is being served: there is something to tell
    world = bench.world
    serve = next(number for number in range(int(world.clock[0].used)) if world.frames[number].kind == state.SERVE)
    world.clock[0].traced = len(world.trace)
    before = world.trace.tobytes()
    trace.note_began(world, 0, 7, 1.0)
    trace.note_attempt(world, 0, 9.0, 1.0)
    trace.note_serve(world, trace.AT_SERVER, serve, 1.0)
    assert world.trace.tobytes() == before
    assert int(world.clock[0].traced) == len(world.trace)
