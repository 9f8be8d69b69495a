"""Workload certificates against spec §5.2, with a control plane and a data plane that only say yes or no."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from meshsim.dataplane import state
from meshsim.engine.environment import Environment
from meshsim.engine.identity import MOST_ROOTS, Identity, Tries
from meshsim.engine.recorder import PlaneRecord
from meshsim.engine.streams import Streams
from meshsim.errors import SimulationError
from meshsim.scenario import schema

HOUR = 3600.0
PROXIES = 400


@dataclass(eq=False)
class Proxy:
    number: int
    name: str
    client: Any
    kind: int = state.SIDECAR
    zone: int = 0


@dataclass(eq=False)
class Group:
    plane: Any
    root: str = "old"
    trusts: tuple[str, ...] = ("old",)
    up: bool = True
    asked: int = 0

    def signs(self, _proxy: Proxy) -> bool:
        self.asked += 1
        return self.up


@dataclass
class Plane:
    """Remembers the certificates, and who is up."""

    proxies: Any
    given: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def is_alive(self, proxy: int) -> bool:
        return bool(self.proxies["alive"][proxy])

    def set_certificate(self, proxy: int, **certificate: Any) -> None:
        self.given[proxy].append(certificate)


class World:
    """Proxies of two clusters, ``c0`` and ``c1``, each with a control plane."""

    def __init__(self, proxies: int = PROXIES, seed: int = 1, **settings: Any) -> None:
        self.env = Environment()
        self.groups = [Group(SimpleNamespace(name=f"c{number}", serves=(f"c{number}",))) for number in range(2)]
        rows = np.zeros(proxies + 100, dtype=state.PROXY)
        rows["alive"] = rows["workers"] = 1
        self.plane = Plane(rows)
        self.certified: list[tuple[str, float, float]] = []
        self.recorder = SimpleNamespace(
            control_planes=defaultdict(PlaneRecord), certified=lambda *expired: self.certified.append(expired)
        )
        self.document = SimpleNamespace(identity=schema.Identity.model_validate(settings))
        self.streams = Streams(seed, 0)
        self.proxies: dict[int, Proxy] = {}
        for _ in range(proxies):
            self.add()
        self.identity = Identity(self)  # type: ignore[arg-type]

    def add(self, **fields: Any) -> Proxy:
        number = len(self.proxies)
        where = SimpleNamespace(cluster=f"c{number % 2}")
        proxy = self.proxies[number] = Proxy(number, f"pod-{number}", where, **fields)
        return proxy

    def group_of(self, cluster: str) -> Group:
        return next(group for group in self.groups if cluster in group.plane.serves)

    def at(self, time: float, action: Any) -> None:
        def wait():
            yield self.env.at(time)
            action()

        self.env.process(wait())

    def sign(self, *, up: bool) -> None:
        for group in self.groups:
            group.up = up

    def last(self, proxy: int) -> dict[str, Any]:
        return self.plane.given[proxy][-1]

    def expired(self) -> int:
        return sum(self.last(number)["expires"] <= self.env.now for number in self.proxies)


@pytest.fixture
def world():
    return World


# --- how long a certificate lasts -------------------------------------------------------------------------------------


def test_at_the_start_what_is_left_is_uniform_between_half_and_all_of_the_life(world):
    run = world()
    run.identity.begin()
    left = [run.last(number)["expires"] for number in run.proxies]
    assert kstest(left, "uniform", args=(12 * HOUR, 12 * HOUR)).pvalue > 0.01


def test_a_certificate_is_renewed_when_half_of_its_life_is_left(world):
    run = world(200)
    run.identity.begin()
    run.env.run(until=60 * HOUR)
    for number in run.proxies:
        expires = [given["expires"] for given in run.plane.given[number]]
        used = np.diff(expires)  # from one renewal to the next: half a day, up or down by 1 % of a day (±14 min)
        assert np.all(np.abs(used - 12 * HOUR) <= 0.01 * 24 * HOUR)
    assert run.expired() == 0


@pytest.mark.parametrize(("renewal", "left"), [(0.25, 6), (0.8, 19.2)])
def test_the_part_of_its_life_that_is_left_at_renewal_is_a_setting(world, renewal, left):
    run = world(50, renewal=renewal, renewal_jitter=0)
    run.identity.begin()
    run.env.run(until=30 * HOUR)
    for number in run.proxies:
        used = np.diff([given["expires"] for given in run.plane.given[number]])
        assert used == pytest.approx((24 - left) * HOUR)


def test_quiet_time_costs_one_event_for_each_renewal(world):
    run = world(100)
    run.identity.begin()
    events = 0
    while run.env.peek() < 120 * HOUR:
        run.env.step()
        events += 1
    renewals = sum(len(given) - 1 for given in run.plane.given.values())
    assert events == renewals + 100  # each process has to begin
    assert sum(record.certificates for record in run.recorder.control_planes.values()) == renewals


def test_the_draws_of_a_proxy_do_not_depend_on_the_others(world):
    runs = world(4), world(40)
    for run in runs:
        run.identity.begin()
        run.env.run(until=50 * HOUR)
    assert runs[0].plane.given[3] == runs[1].plane.given[3]


# --- when nobody signs ------------------------------------------------------------------------------------------------


@pytest.mark.sample(1)
@pytest.mark.parametrize("hours", [15, 13, 6, 11.5, 23, 18, 21, 24.5, 30])
def test_the_part_with_expired_certificates_grows_from_twelve_to_twenty_four_hours(world, hours):
    # Spec §5.2: what is left at the beginning is uniform in 12 h to 24 h, so 0, then (T - 12) / 12, then 1.
    run = world()
    run.identity.begin()
    begin = 40 * HOUR
    run.at(begin, lambda: run.sign(up=False))
    run.env.run(until=begin + hours * HOUR)
    expected = min(max((hours - 12) / 12, 0), 1)
    found = run.expired()
    interval = binomtest(found, PROXIES).proportion_ci(0.999)
    assert interval.low <= expected <= interval.high, f"{found} of {PROXIES}, expected {expected:.3f}"
    if hours < 11.8 or hours > 24.2:  # beyond the renewal's jitter of ±14 min nothing is left to chance
        assert found == PROXIES * expected


@pytest.mark.slow
def test_expired_certificates_are_renewed_within_a_pause_of_envoys_when_somebody_signs_again(world):
    run = world()
    run.identity.begin()
    run.at(10.0, lambda: run.sign(up=False))
    run.at(18 * HOUR, lambda: run.sign(up=True))
    run.env.run(until=18 * HOUR)
    assert run.expired() > 0
    run.env.run(until=18 * HOUR + 10.0)
    some = run.expired()
    run.env.run(until=18 * HOUR + 32.0)  # 30 s, and one to notice
    assert some > 0
    assert run.expired() == 0


@pytest.mark.slow
def test_the_recorder_hears_how_long_certificates_had_run_out(world):
    run = world(100)
    run.identity.begin()
    run.at(10.0, lambda: run.sign(up=False))
    run.at(30 * HOUR, lambda: run.sign(up=True))
    run.env.run(until=31 * HOUR)
    assert len(run.certified) == 100
    gaps = [now - expired for _, expired, now in run.certified]
    assert min(gaps) > 6 * HOUR - 60.0
    assert max(gaps) < 18 * HOUR + 60.0


def test_tries_come_in_rounds_of_six_and_their_pauses_grow_to_half_a_minute():
    tries = Tries(np.random.default_rng(1), 100.0)
    times = [100.0]
    assert tries.after(99.0) == 100.0
    while len(times) < 6 * 400:
        times.append(tries.after(times[-1]))
    pauses = np.append(np.diff(times), np.nan).reshape(-1, 6)
    assert np.nanmean(pauses[:, :5], axis=0) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6], rel=0.01)
    for number, longest in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30]):
        assert 0 <= pauses[number, 5] <= longest
    assert kstest(pauses[7:-1, 5], "uniform", args=(0, 30)).pvalue > 0.01
    assert tries.take() == len(times) - 1


def test_requests_in_vain_are_counted_without_happening_one_by_one(world):
    run = world(1)
    run.sign(up=False)
    run.env.process(run.identity.issue(run.add()))
    run.env.run(until=2 * HOUR)
    run.identity.settle()
    refused = run.recorder.control_planes["c1"].refused_certificates
    assert refused == pytest.approx(6 * 2 * HOUR / (3.1 + 15.0), rel=0.1)  # six in 3.1 s and a mean pause of 15 s


def test_nobody_looks_once_everybody_has_a_certificate(world):
    run = world(4)
    run.identity.begin()
    run.at(1.0, lambda: run.sign(up=False))
    run.at(14 * HOUR, lambda: run.sign(up=True))
    run.env.run(until=14 * HOUR + 60.0)
    asked = [group.asked for group in run.groups]
    run.env.run(until=14 * HOUR + 600.0)
    assert [group.asked for group in run.groups] == asked


# --- pods that come and go --------------------------------------------------------------------------------------------


def test_a_new_proxy_has_its_certificate_at_once(world):
    run = world(0)
    run.env.run(until=5.0)
    proxy = run.add()
    run.env.run(until=run.env.process(run.identity.issue(proxy)))
    assert run.env.now == 5.0
    assert run.last(proxy.number)["expires"] == 5.0 + 24 * HOUR
    run.env.run(until=58 * HOUR)
    assert len(run.plane.given[proxy.number]) == 5


def test_a_new_proxy_waits_until_somebody_signs(world):
    run = world(0)
    run.sign(up=False)
    proxy = run.add()
    ready = run.env.process(run.identity.issue(proxy))
    run.at(300.0, lambda: run.sign(up=True))
    run.env.run(until=ready)
    assert 300.0 <= run.env.now <= 331.0
    assert len(run.plane.given[proxy.number]) == 1


def test_a_proxy_that_is_gone_renews_nothing(world):
    run = world(2)
    run.identity.begin()
    run.at(HOUR, lambda: run.identity.forget(run.proxies[0]))
    run.env.run(until=50 * HOUR)
    assert [len(run.plane.given[number]) for number in (0, 1)] == [1, 5]


def test_a_proxy_that_goes_while_it_asks_ends_its_asking(world):
    run = world(0)
    run.sign(up=False)
    proxy = run.add()
    asking = run.env.process(run.identity.issue(proxy))
    run.at(100.0, lambda: run.identity.forget(proxy))
    run.env.run(until=asking)
    assert run.env.now == 100.0
    run.sign(up=True)
    run.env.run(until=HOUR)
    assert not run.plane.given[proxy.number]


def test_a_pod_without_a_sidecar_has_no_certificate(world):
    run = world(2)
    run.plane.proxies["workers"][0] = 0
    run.identity.begin()
    assert list(run.plane.given) == [1]


def test_a_proxy_that_was_down_is_renewed_when_it_is_up_again(world):
    run = world(2)
    run.identity.begin()
    run.plane.proxies["alive"][0] = 0
    run.env.run(until=30 * HOUR)
    assert len(run.plane.given[0]) == 1
    run.plane.proxies["alive"][0] = 1
    run.env.run(until=30 * HOUR + 60.0)
    assert len(run.plane.given[0]) == 2


@pytest.mark.slow
def test_those_who_cannot_be_heard_do_not_stand_in_the_way_of_those_who_can(world):
    run = world(20)
    run.identity.begin()
    run.at(10.0, lambda: run.sign(up=False))
    run.at(30 * HOUR, lambda: setattr(run.groups[1], "up", True))
    run.env.run(until=30 * HOUR + 60.0)
    assert {number % 2 for number in run.proxies if run.last(number)["expires"] <= run.env.now} == {0}


# --- roots ------------------------------------------------------------------------------------------------------------


def takes(run: World, own: int, other: int) -> bool:
    return bool(run.last(own)["trusts"] >> run.last(other)["root"] & 1)


def test_proxies_of_control_planes_without_a_common_root_do_not_trust_one_another(world):
    run = world(4)
    run.groups[1].root, run.groups[1].trusts = "own", ("own",)
    run.identity.begin()
    assert [takes(run, 0, other) for other in range(4)] == [True, False, True, False]


def test_after_a_change_of_root_old_and_new_certificates_do_not_fit_until_all_are_renewed(world):
    run = world(40)
    run.identity.begin()

    def change():
        for group in run.groups:
            group.trusts = ("new",)
            run.identity.change_root(group, "new")

    def pairs() -> float:
        fit = [takes(run, a, b) and takes(run, b, a) for a in range(40) for b in range(40)]
        return sum(fit) / len(fit)

    run.at(20 * HOUR, change)
    run.env.run(until=20 * HOUR + 1.0)
    assert pairs() == 1.0
    run.env.run(until=26 * HOUR)  # about half of them have the new one: 1/4 + 1/4 of the pairs fit
    assert 0.4 < pairs() < 0.65
    run.env.run(until=33 * HOUR)
    assert pairs() == 1.0


@pytest.mark.parametrize(("told", "fits"), [(13.0, True), (6.0, False)])
def test_who_was_told_of_both_roots_before_takes_either(world, told, fits):
    run = world(40)
    run.identity.begin()
    change = 20 * HOUR

    def announce():
        for group in run.groups:
            group.trusts = ("old", "new")

    def turn():
        for group in run.groups:
            run.identity.change_root(group, "new")

    run.at(change - told * HOUR, announce)
    run.at(change, turn)
    run.env.run(until=change + 2 * HOUR)
    assert {run.identity.number(root) for root in ("old", "new")} == {
        run.last(number)["root"] for number in run.proxies
    }
    assert all(takes(run, a, b) for a in range(40) for b in range(40)) == fits


def test_those_told_before_the_run_began_trust_the_new_root(world):
    run = world(40)
    run.identity.begin()
    run.env.run(until=10.0)
    run.groups[0].trusts = ("old", "new")
    run.identity.change_root(run.groups[0], "new", told_since=-6 * HOUR)
    new = run.identity.number("new")
    told = [bool(run.last(number)["trusts"] >> new & 1) for number in run.proxies]
    assert sum(told) == pytest.approx(10, abs=7)  # half of those of the one control plane
    assert not any(told[1::2])


def test_there_is_room_for_so_many_roots(world):
    run = world(0)
    numbers = [run.identity.number(f"root {number}") for number in range(MOST_ROOTS)]
    assert numbers == list(range(MOST_ROOTS))
    assert run.identity.number("root 7") == 7
    with pytest.raises(SimulationError, match="more than 62 root certificates"):
        run.identity.number("one more")


def test_a_certificate_that_would_be_renewed_at_once_is_used_for_a_second(world):
    run = world(1, renewal=1.0)
    run.identity.begin()
    run.env.run(until=100.0)
    assert len(run.plane.given[0]) <= 101
    assert math.isfinite(run.last(0)["expires"])
