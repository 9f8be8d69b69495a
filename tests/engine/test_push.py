"""The push pipeline against spec §5.1, with proxies that only note what they are sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from meshsim.dataplane.state import SIDECAR
from meshsim.engine.environment import Environment
from meshsim.engine.mesh import Proxy
from meshsim.engine.push import Pushes, throttle
from meshsim.engine.recorder import PlaneRecord
from meshsim.engine.streams import Streams
from meshsim.engine.truth import GATEWAYS
from meshsim.engine.xds import Place
from meshsim.scenario import schema

SERVICES = ("app", "db", "web")


#: Generation that takes its time, and no CPU.
NO_CPU = {"push_cpu": "0s", "push_cpu_per_service": "0s"}


@dataclass(eq=False)
class Stream:
    """A proxy that calls some services, and has the same or others in its scope."""

    env: Environment
    proxy: Any
    connection: int = 1
    waiting: dict[str, float] = field(default_factory=dict)
    place: Place = field(default_factory=Place)
    sent: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    def send(self) -> None:
        self.sent.append((self.env.now, tuple(sorted(self.waiting))))
        self.waiting = {}


class World:
    """One istiod with as many proxies as wanted; they call every service unless told otherwise."""

    def __init__(self, proxies: int = 1, **settings: Any) -> None:
        quick = {"push_time": "10ms", "push_time_per_service": "0s", "push_context_time": "50ms", **NO_CPU}
        self.env = Environment()
        document = SimpleNamespace(
            istiod=schema.Istiod.model_validate({**quick, **settings}), services=dict.fromkeys(SERVICES)
        )
        mesh: Any = SimpleNamespace(env=self.env, document=document, streams=Streams(1, 0))
        self.group = SimpleNamespace(slowness=1.0, plane=SimpleNamespace(name="c1"))
        self.istiod: Any = SimpleNamespace(group=self.group, record=PlaneRecord(), ready=True, streams={}, number=0)
        self.pushes = Pushes(mesh, self.istiod)
        self.pushes.begin()
        for _ in range(proxies):
            self.add()

    def add(self, calls: tuple[str, ...] = SERVICES, scope: frozenset[str] | None = None) -> Stream:
        asked: Any = None
        number = len(self.istiod.streams)
        proxy = Proxy(number, "", SIDECAR, asked, 0, "own", "own", dict.fromkeys(calls, (0,)), scope=scope)
        stream = self.istiod.streams[len(self.istiod.streams)] = Stream(self.env, proxy)
        return stream

    def change(self, *times: float, service: str = "app") -> World:
        def happen():
            for time in times:
                yield self.env.at(time)
                self.pushes.changed(service, time)

        self.env.process(happen())
        return self

    def sent(self, until: float = 100.0) -> list[tuple[float, tuple[str, ...]]]:
        """Return what the first proxy is sent."""
        self.env.run(until)
        return [(pytest.approx(time, abs=1e-9), what) for time, what in self.istiod.streams[0].sent]


# --- debounce -----------------------------------------------------------------------------------------------


def test_a_change_is_pushed_when_it_has_been_quiet_and_the_update_is_made():
    assert World().change(1.0).sent() == [(1.0 + 0.1 + 0.01, ("app",))]


def test_changes_soon_after_each_other_go_together():
    assert World().change(1.0, 1.08).change(1.16, service="db").sent() == [(1.16 + 0.1 + 0.01, ("app", "db"))]


def test_a_change_after_the_quiet_goes_by_itself():
    assert World().change(1.0, 1.12).sent() == [(1.11, ("app",)), (1.23, ("app",))]


def test_changes_that_never_pause_are_pushed_every_ten_seconds():
    """Spec §5.1: a change every 50 ms makes one push in about 10 s."""
    world = World().change(*(20.0 + 0.05 * number for number in range(701)))  # to 55 s
    world.env.run(100.0)
    times = [time for time, _ in world.istiod.streams[0].sent]
    assert len(times) == 4
    assert times[0] == pytest.approx(30.01, abs=0.001)
    assert [later - earlier for earlier, later in pairwise(times[:3])] == pytest.approx([10.0, 10.0], abs=0.06)
    assert times[3] == pytest.approx(55.11, abs=0.001)  # quiet at last


@pytest.mark.parametrize(("after", "most", "pushes"), [("0s", "10s", 3), ("5s", "2s", 1), ("200ms", "10s", 1)])
def test_debounce_has_its_parameters(after, most, pushes):
    world = World(debounce_after=after, debounce_max=most).change(1.0, 1.15, 1.3)
    assert len(world.sent()) == pushes


def test_without_debounce_the_longest_wait_decides():
    assert World(debounce_after="5s", debounce_max="2s").change(1.0).sent() == [(3.01, ("app",))]


# --- push context -------------------------------------------------------------------------------------------


def test_a_change_of_anything_but_endpoints_builds_the_context_and_sends_everything():
    world = World().change(1.0, service=GATEWAYS)
    assert world.sent() == [(1.0 + 0.1 + 0.05 + 0.01, SERVICES)]
    assert world.istiod.record.full_pushes == 1


def test_endpoints_alone_need_no_new_context():
    world = World().change(1.0)
    world.env.run(10.0)
    assert (world.istiod.record.full_pushes, world.istiod.record.pushes) == (0, 1)


def test_one_context_is_built_at_a_time_and_what_changes_meanwhile_goes_into_the_next():
    world = World(push_context_time="5s").change(1.0, 2.0, 3.0, 4.0, service=GATEWAYS)
    # The first context is built from 1.1 s to 6.1 s; the other three changes share the second, to 11.1 s.
    assert world.sent() == [(6.11, SERVICES), (11.11, SERVICES)]
    assert world.istiod.record.full_pushes == 2


def test_endpoints_that_change_while_the_context_is_built_wait_for_it():
    world = World(push_context_time="5s").change(1.0, service=GATEWAYS).change(2.0, service="db")
    assert world.sent()[0] == (6.11, SERVICES)
    assert world.istiod.record.pushes == 2


def test_a_push_whose_istiod_is_lost_while_it_builds_goes_to_nobody():
    world = World(push_context_time="5s").change(1.0, service=GATEWAYS)
    world.env.run(3.0)
    world.istiod.ready = False
    assert world.sent() == []


# --- queue --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cpu", "at_once"), [(1, 20), (2, 25), (4, 35), (17, 100), (64, 100)])
def test_as_many_proxies_are_pushed_to_at_once_as_the_processors_allow(cpu, at_once):
    """Spec §5.1: N proxies take N / throttle times the time for one."""
    world = World(proxies=2 * at_once + 1, cpu=cpu, push_time="1s").change(1.0)
    world.env.run(100.0)
    times = [stream.sent[0][0] for stream in world.istiod.streams.values()]
    assert [times.count(pytest.approx(1.1 + turn)) for turn in (1, 2, 3)] == [at_once, at_once, 1]
    assert throttle(cpu) == at_once


def test_what_changes_while_a_proxy_waits_comes_in_the_same_push():
    world = World(proxies=30, cpu=1, push_time="2s").change(1.0).change(2.0, service="db")
    world.env.run(100.0)
    # 20 are made from 1.1 s to 3.1 s; ten wait and get both changes at 5.1 s; the first 20 get the second by 7.1 s.
    late = [stream for stream in world.istiod.streams.values() if stream.sent[0][0] > 4.0]
    assert [stream.sent for stream in late] == [[(pytest.approx(5.1), ("app", "db"))]] * 10
    assert sum(len(stream.sent) for stream in world.istiod.streams.values()) == 30 + 20
    assert world.istiod.record.pushes == 50


def test_what_changes_before_the_end_of_the_generation_is_in_it():
    world = World(push_time="2s").change(1.0).change(2.0, service="db")
    sent = world.sent()
    assert sent[0] == (3.1, ("app", "db"))


def test_a_proxy_that_is_gone_or_connected_anew_is_not_sent_what_was_queued():
    world = World(push_time="2s").change(1.0)
    world.env.run(2.0)
    world.istiod.streams[0].connection += 1
    assert world.sent() == []


def test_what_waits_is_lost_with_the_process():
    world = World(proxies=40, cpu=1, push_time="10s").change(1.0)
    world.env.run(2.0)
    world.pushes.clear()
    for stream in world.istiod.streams.values():
        stream.connection, stream.place = 2, Place()
    world.change(3.0)
    world.env.run(100.0)
    assert min(stream.sent[0][0] for stream in world.istiod.streams.values()) == pytest.approx(13.1)


# --- what an update costs -----------------------------------------------------------------------------------


def test_an_update_costs_its_base_and_each_service_that_is_sent():
    world = World(push_time="1s", push_time_per_service="100ms").change(1.0, service="app").change(1.05, service="db")
    assert world.sent() == [(1.15 + 1.0 + 2 * 0.1, ("app", "db"))]


def test_a_full_push_costs_the_whole_scope():
    world = World(proxies=0, push_time="1s", push_time_per_service="100ms", push_context_time="0s")
    wide, narrow = world.add(("app",)), world.add(("app",), frozenset({"app"}))
    world.change(1.0, service=GATEWAYS)
    world.env.run(100.0)
    assert wide.sent == [(pytest.approx(1.1 + 1.0 + 0.3), ("app",))]
    assert narrow.sent == [(pytest.approx(1.1 + 1.0 + 0.1), ("app",))]


def test_more_work_than_processors_waits():
    work = {"push_time": "10ms", "push_cpu": "100ms", "push_cpu_per_service": "50ms"}
    world = World(proxies=40, cpu=2, **work).change(1.0)
    world.env.run(100.0)
    ends = sorted(time for stream in world.istiod.streams.values() for time, _ in stream.sent)
    # 150 ms for each of 40 proxies on two processors, however many may be pushed to at once.
    assert ends[-1] == pytest.approx(1.1 + 40 * 0.150 / 2)
    assert world.istiod.record.cpu == pytest.approx(40 * 0.150)


def test_no_proxy_is_always_served_first():
    world = World(proxies=60, cpu=1, push_time="1s").change(*range(10, 90, 10))
    world.env.run(100.0)
    firsts = [tuple(round(time % 10, 6) for time, _ in stream.sent) for stream in world.istiod.streams.values()]
    assert len(set(firsts)) > 30


def test_a_proxy_without_the_service_in_its_scope_is_not_pushed_to():
    world = World(proxies=0)
    outside, inside = world.add(("db",), frozenset({"db"})), world.add(("db",))
    world.change(1.0)
    world.env.run(100.0)
    assert outside.sent == inside.sent == []  # neither calls it
    assert world.istiod.record.pushes == 1  # yet for the one that might an update is made


def test_proxies_that_do_not_call_a_service_take_their_turns():
    """Without Sidecar resources every proxy is sent every change, and the one that needs it waits for the others."""
    world = World(proxies=0, cpu=1, push_time="1s")
    for _ in range(20):
        world.add(("db",))
    callers = [world.add(("app",)) for _ in range(20)]
    world.change(1.0)
    world.env.run(100.0)
    assert max(time for caller in callers for time, _ in caller.sent) == pytest.approx(1.1 + 2.0)
    assert world.istiod.record.pushes == 40


def test_a_slow_istiod_takes_longer_for_everything_that_it_computes():
    work = {"push_time": "1s", "push_context_time": "2s", "push_cpu": "1s"}
    world = World(**work).change(1.0, service=GATEWAYS)
    world.group.slowness = 3.0
    assert world.sent() == [(1.1 + 3 * (2.0 + 1.0), SERVICES)]
    assert world.istiod.record.cpu == pytest.approx(9.0)
    assert world.pushes.answer(world.istiod.streams[0].proxy) == pytest.approx(3.0)
