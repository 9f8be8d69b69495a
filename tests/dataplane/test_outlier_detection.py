from __future__ import annotations

import math

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.dataplane.calendar import OUTLIER_TICK, RELEASE
from meshsim.dataplane.outlier_detection import (
    connected,
    lower,
    on_tick,
    report,
    report_connected,
    threshold_of,
    tick_at_or_after,
)
from meshsim.dataplane.scope import upstream_of
from meshsim.dataplane.state import DC, NO_FLAG, UC, UF, UT
from meshsim.scenario.istio.policy import OutlierDetection
from tests.dataplane.hosts import Hosts


def detecting(count, *, phase=0.0, **fields):
    """Return hosts under an outlier detection; ``fields`` are those of the policy's record."""
    policy = {
        "detects": 1, "errors": 5, "max_ejected": 10, "interval": 10.0, "base_ejection": 30.0, "max_ejection": 300.0,
        "success_hosts": 5, "success_volume": 100, "success_deviations": 1.9, "failure_hosts": 5,
        "failure_volume": 50, "failure_threshold": 85,
    }  # fmt: skip
    hosts = Hosts(**{"balancer": "ROUND_ROBIN", **policy, **fields})
    hosts.up.phase = phase
    hosts.push(*({} for _ in range(count)))
    return hosts


def attempts(hosts, results, pod=0, now=10.0):
    for code, flag in results:
        report(hosts.w, 0, hosts.number(pod), now, code, flag)


def answers(*codes):
    return [(code, NO_FLAG) for code in codes]


# --- errors in a row ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "percent", "ejected"),
    # Spec §3.2 and the measured od_max_pct: eject while 100·(ejected + 1)/N stays within the percentage.
    [(5, 10, 0), (9, 10, 0), (10, 10, 1), (5, 20, 1), (5, 19, 0), (3, 50, 1), (2, 50, 1), (1, 100, 1), (5, 50, 2),
     (10, 9, 0), (10, 50, 5), (3, 100, 3), (20, 10, 2), (3, 34, 1), (3, 67, 2), (4, 25, 1)],
)  # fmt: skip
def test_as_many_hosts_are_ejected_as_the_percentage_allows(hosts, percent, ejected):
    made = detecting(hosts, max_ejected=percent)
    for pod in range(hosts):
        attempts(made, answers(*[500] * 5), pod)
    assert sum(slot.ejected for slot in made.w.slots) == ejected == made.up.ejected


def test_hosts_of_all_priorities_count_even_unready_ones():
    made = detecting(0)
    made.push(*({"priority": n % 2, "unhealthy": int(n > 4)} for n in range(10)))
    attempts(made, answers(*[500] * 5))
    assert made.up.ejected == 1


def test_one_host_can_always_be_ejected_where_the_policy_says_so():
    made = detecting(3, always_ejects_one=1)
    for pod in range(3):
        attempts(made, answers(*[500] * 5), pod)
    assert [made.slot(pod).ejected for pod in range(3)] == [1, 0, 0]


@pytest.mark.parametrize(
    ("results", "ejected"),
    [
        (answers(*[500] * 5), 1),
        (answers(*[500] * 4), 0),
        (answers(500, 500, 500, 500, 200, 500), 0),  # an answer below 500 starts anew
        (answers(500, 500, 404, 500, 500, 500), 0),
        ([(503, UF)] * 5, 1),
        ([(504, UT)] * 5, 1),
        ([(503, UC)] * 5, 1),
        ([(503, UF), (500, NO_FLAG), (504, UT), (503, UC), (503, NO_FLAG)], 1),  # without a split all count alike
        ([(0, DC)] * 9, 0),  # the caller gave up: not the host's fault
    ],
)
def test_five_errors_in_a_row_of_any_kind_eject(results, ejected):
    made = detecting(1, max_ejected=100)
    attempts(made, results)
    assert made.slot(0).ejected == ejected


@pytest.mark.parametrize(
    ("results", "ejected"),
    [
        (answers(502, 503, 504), 1),
        (answers(503, 503, 500, 503, 503), 0),  # a 500 starts the gateway errors anew
        (answers(503, 503, 501, 503, 503), 0),
        (answers(503, 503, 200, 503), 0),
        ([(503, UF)] * 3, 1),
        ([(504, UT)] * 3, 1),
        (answers(500, 500, 500), 0),
    ],
)
def test_gateway_errors_are_502_503_and_504(results, ejected):
    made = detecting(1, max_ejected=100, errors=0, gateway_errors=3)
    attempts(made, results)
    assert made.slot(0).ejected == ejected


def test_split_local_errors_leave_the_answers_counters_alone():
    fields = {"max_ejected": 100, "errors": 2, "split_local": 1, "local_errors": 3}
    made = detecting(1, **fields)
    attempts(made, [(503, UF), (500, NO_FLAG), (503, UF)])
    assert (made.slot(0).ejected, made.slot(0).errors, made.slot(0).local_errors) == (0, 1, 2)
    attempts(made, [(503, UF)])
    assert made.slot(0).ejected == 1


@pytest.mark.parametrize("flag", [UT, UC])
def test_split_timeouts_and_resets_do_not_add_up_when_every_attempt_gets_a_connection(flag):
    # Measured (od_error_kinds, timeout_split_local3): 0 ejections; each connection that opens resets the counter.
    made = detecting(1, max_ejected=100, split_local=1, local_errors=3)
    for _ in range(30):
        connected(made.policy, made.slot(0))
        attempts(made, [(504, flag)])
    assert made.slot(0).ejected == 0


def test_split_refusals_do_not_add_up_where_connections_open_in_between():
    # What an east-west gateway sees of pods, and a TCP client: connections that open or do not.
    made = detecting(1, max_ejected=100, split_local=1, local_errors=3)
    for _ in range(5):
        attempts(made, [(503, UF)] * 2)
        report_connected(made.w, 0, 0, 0.0)
    assert made.slot(0).ejected == 0
    attempts(made, [(503, UF)] * 3)
    assert made.slot(0).ejected == 1


def test_a_limit_of_zero_switches_a_counter_off():
    made = detecting(1, max_ejected=100, errors=0)
    attempts(made, answers(*[500] * 50))
    assert made.slot(0).ejected == 0


def test_a_host_that_may_not_be_ejected_starts_to_count_anew():
    made = detecting(5)
    attempts(made, answers(*[500] * 5))
    assert (made.slot(0).errors, made.slot(0).ejected) == (0, 0)


# --- ejection and return --------------------------------------------------------------------------------------------


def ejections(hosts, until, step=0.1):
    """Let host 0 fail for as long as it is in service; return (ejected at, returned at) of each ejection."""
    found, since = [], None
    for number in range(int(until / step)):
        now = number * step
        fired = hosts.fire(now)
        if since is not None and not hosts.slot(0).ejected:
            found.append((since, next(time for time, kind in fired if kind == RELEASE)))
            since = None
        if since is None:
            attempts(hosts, answers(500), now=now)
            if hosts.slot(0).ejected:
                since = now
    return found


def test_ejections_grow_by_the_base_time_and_end_at_the_first_tick_after():
    hosts = detecting(4, phase=0.37, max_ejected=25, interval=1.0, base_ejection=2.0, errors=1)
    found = ejections(hosts, 60.0)
    assert len(found) >= 6
    for number, (start, end) in enumerate(found, start=1):
        # Ejection k lasts k · 2 s and up to one interval more. Measured (od_schedule): 2.5, 4.4, 6.4, 8.4, 10.4 s.
        assert 2.0 * number <= end - start <= 2.0 * number + 1.0
        assert (end - 0.37) % 1.0 == pytest.approx(0.0, abs=1e-6) or (end - 0.37) % 1.0 == pytest.approx(1.0)


def test_ejections_are_no_longer_than_the_longest():
    hosts = detecting(4, max_ejected=25, interval=0.5, base_ejection=1.0, max_ejection=2.0, errors=1)
    found = ejections(hosts, 25.0)
    assert max(end - start for start, end in found) <= 2.0 + 0.5 + 1e-6
    assert hosts.slot(0).multiplier == 3  # grows while multiplier · base is below max + base


@pytest.mark.parametrize(("back", "multipliers"), [(0.5, {6}), (1.5, {5, 6}), (4.5, {2, 3}), (9.5, {1})])
def test_the_multiplier_falls_by_one_a_tick_once_the_host_has_been_back_for_an_interval(back, multipliers):
    # Back at tick 10; whether tick 11 counts is a race in Envoy. Back for 4.5 s: three or four ticks, so 5 falls to 2
    # or 1, and the new ejection makes it 3 or 2.
    seen = set()
    for seed in range(1, 20):
        hosts = detecting(1, seed=seed, max_ejected=100, interval=1.0, base_ejection=2.0)
        host = hosts.slot(0)
        host.multiplier, host.returned_at = 5, 10.0
        attempts(hosts, answers(*[500] * 5), now=10.0 + back)
        seen.add(int(host.multiplier))
    assert seen == multipliers


def test_a_host_comes_back_with_its_counters_at_zero_and_its_whole_share():
    hosts = detecting(2, max_ejected=100, interval=1.0, base_ejection=2.0, gateway_errors=9)
    attempts(hosts, [*answers(*[500] * 5), *answers(503, 503, 503)])
    assert hosts.slot(0).errors == 3
    assert set(hosts.picks(10)) == {1}
    hosts.fire(14.0)
    host = hosts.slot(0)
    assert (host.ejected, host.errors, host.gateway_errors, host.local_errors, hosts.up.ejected) == (0, 0, 0, 0, 0)
    assert hosts.picks(10).count(0) == 5


def test_the_end_of_an_ejection_is_the_first_tick_at_or_after_it():
    hosts = detecting(1, phase=3.3, max_ejected=100)
    attempts(hosts, answers(*[500] * 5), now=100.0)
    due = 3.3 + math.ceil((130.0 - 3.3) / 10.0) * 10.0
    hosts.fire(due - 1e-6)
    assert hosts.slot(0).ejected == 1
    hosts.fire(due + 1e-6)
    assert hosts.slot(0).ejected == 0


def test_jitter_puts_off_the_return_by_a_uniform_draw_that_is_the_same_in_every_run():
    ends = []
    for seed in range(1, 100):
        times = []
        for _ in range(2):
            hosts = detecting(1, seed=seed, max_ejected=100, interval=0.001, base_ejection=2.0, jitter=1.0)
            attempts(hosts, answers(*[500] * 5), now=10.0)
            times.append(float(hosts.w.heap[hosts.w.clock[0].head].time))
        assert times[0] == times[1]
        ends.append(times[0] - 12.0)
    assert 0.0 <= min(ends) < 0.1
    assert 0.9 < max(ends) <= 1.002
    assert np.mean(ends) == pytest.approx(0.5, abs=0.12)


def test_a_removed_host_no_longer_counts_as_ejected_and_its_return_is_forgotten():
    hosts = detecting(2, max_ejected=50)
    attempts(hosts, answers(*[500] * 5))
    hosts.push({"pod": 1}, now=11.0)
    assert hosts.up.ejected == 0
    hosts.push({"pod": 1}, {"pod": 0}, now=12.0)
    attempts(hosts, answers(*[500] * 5), pod=0, now=13.0)
    hosts.fire(40.0)  # the end of the first ejection, 40 s, is not the end of the second, 43 s
    hosts.fire(41.0)
    assert hosts.slot(0).ejected == 1


def test_an_ejection_closes_the_hosts_idle_connections():
    hosts = detecting(1, max_ejected=100)
    epoch = int(hosts.slot(0).epoch)
    attempts(hosts, answers(*[500] * 5))
    assert hosts.slot(0).epoch == epoch + 1


def test_consecutive_errors_need_no_ticks():
    hosts = detecting(3)
    hosts.push({}, {}, {}, now=1.0)
    assert hosts.w.clock[0].scheduled == 0


# --- success rate and failure percentage ----------------------------------------------------------------------------


def interval_of(hosts, counts):
    """Let each host answer so many requests, so many of them well, and let a tick come."""
    for pod, (good, bad) in enumerate(counts):
        host = hosts.slot(pod)
        host.successes, host.volume = good, good + bad
    on_tick(hosts.w, 0, 10.0)
    return [pod for pod in range(len(counts)) if hosts.slot(pod).ejected]


def test_the_threshold_is_the_mean_minus_a_number_of_standard_deviations():
    # The example in Envoy's source: 50, 100, 100, 100, 100: mean 90, deviation 20, 90 - 1.9 · 20 = 52.
    hosts = detecting(5)
    for pod, good in enumerate((50, 100, 100, 100, 100)):
        hosts.slot(pod).successes, hosts.slot(pod).volume = good, 100
    assert threshold_of(hosts.w, hosts.up, hosts.policy) == pytest.approx(52.0)
    hosts.slot(0).volume = 99
    assert threshold_of(hosts.w, hosts.up, hosts.policy) < 0.0  # four hosts with enough requests


@pytest.mark.parametrize(
    ("bad", "total", "ejected"),
    # k bad of n are √((n - k)/k) deviations away, whatever their error rate: measured od_success_rate.
    [(1, 4, False), (1, 5, True), (2, 12, True), (3, 12, False), (2, 9, False), (2, 10, True)],
)
@pytest.mark.parametrize("rate", [0, 50])
def test_success_rate_finds_few_bad_hosts_among_many(bad, total, ejected, rate):
    hosts = detecting(total, max_ejected=100, success_rate=100, success_hosts=3, success_volume=5)
    found = interval_of(hosts, [(rate, 100 - rate)] * bad + [(100, 0)] * (total - bad))
    assert found == (list(range(bad)) if ejected else [])


def test_success_rate_needs_volume_and_hosts():
    fields = {"max_ejected": 100, "success_rate": 100}
    counts = [(50, 49), *[(99, 0)] * 4]
    assert interval_of(detecting(5, **fields), counts) == []  # 100 requests an interval
    assert interval_of(detecting(5, **fields, success_volume=99), counts) == [0]
    assert interval_of(detecting(5, **fields, success_volume=99, success_hosts=6, failure_hosts=9), counts) == []


@pytest.mark.parametrize(
    ("counts", "fields", "ejected"),
    # Measured od_failure_pct: threshold 60, volume 15, five hosts, about 20 requests a host and interval.
    [
        ([(4, 16), *[(20, 0)] * 5], {}, [0]),
        ([(14, 6), *[(20, 0)] * 5], {}, []),
        ([(4, 16), *[(20, 0)] * 5], {"failure_volume": 50}, []),
        ([(4, 16), (4, 16), *[(20, 0)] * 4], {}, [0, 1]),
        ([(8, 12), *[(20, 0)] * 5], {}, [0]),  # exactly 60 %
        ([(4, 16), *[(20, 0)] * 3], {}, []),
        ([(4, 16), *[(20, 0)] * 5], {"max_ejected": 10}, []),
    ],
)
def test_failure_percentage_ejects_whoever_fails_more_than_that(counts, fields, ejected):
    policy = {"max_ejected": 100, "failure_percent": 100, "failure_threshold": 60, "failure_volume": 15} | fields
    assert interval_of(detecting(len(counts), **policy), counts) == ejected


def test_ticks_come_at_the_phase_and_every_interval_and_count_anew():
    hosts = detecting(3, phase=1.3, interval=2.0, success_rate=100)
    attempts(hosts, answers(200, 503))
    assert (hosts.slot(0).volume, hosts.slot(0).successes) == (2, 1)
    assert [(round(time, 6), kind) for time, kind in hosts.fire(8.0)] == [
        (time, OUTLIER_TICK) for time in (1.3, 3.3, 5.3, 7.3)
    ]
    assert hosts.slot(0).volume == 0
    hosts.push({}, {}, now=8.0)
    assert hosts.w.clock[0].scheduled == 1  # still one chain of ticks


def test_ticks_end_with_the_proxy():
    hosts = detecting(3, interval=2.0, failure_percent=100)
    hosts.w.proxies[0].alive = 0
    hosts.fire(10.0)
    assert hosts.w.clock[0].scheduled == 0


def test_local_errors_that_are_split_off_do_not_count_in_the_success_rate():
    hosts = detecting(1, split_local=1)
    attempts(hosts, [(503, UF), (200, NO_FLAG)])
    assert hosts.slot(0).volume == 1


@pytest.mark.slow
def test_enforcement_in_part_ejects_in_part():
    found = 0
    for seed in range(1, 100):
        hosts = detecting(5, seed=seed, max_ejected=100, success_rate=30)
        found += len(interval_of(hosts, [(0, 100), *[(100, 0)] * 4]))
    assert found / 99 == pytest.approx(0.3, abs=0.14)


def test_ticks_are_those_of_the_phase():
    hosts = detecting(1, phase=1.25, interval=0.5)
    times = [tick_at_or_after(hosts.up, hosts.policy, now) for now in (0.0, 1.25, 1.26, 9.99)]
    assert times == pytest.approx([0.25, 1.25, 1.75, 10.25])


# --- what a policy is lowered to ------------------------------------------------------------------------------------


def test_istio_switches_the_statistical_detectors_off():
    row = state.records("policies", 1)[0]
    lower(row, OutlierDetection(consecutive_5xx=3, base_ejection_time=400.0))
    assert (row.detects, row.errors, row.gateway_errors, row.max_ejected) == (1, 3, 0, 10)
    assert (row.success_rate, row.failure_percent, row.jitter, row.always_ejects_one) == (0, 0, 0.0, 0)
    assert row.max_ejection == 400.0  # never shorter than the base
    lower(row, None)
    assert row.detects == 0


@pytest.fixture
def client(Bench, echo):
    """Return a function that builds a web pod calling ``n`` app pods under an outlier detection."""
    from meshsim.scenario.istio.policy import Policy, Retry

    def built(count, **fields):
        policy = Policy(outlier_detection=OutlierDetection(**fields))
        bench = Bench(
            {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}], workers=100), "app": echo()},
            policies={"app": policy}, retry=Retry(attempts=0), zones={"app": ["eu/a"] * count},
        )  # fmt: skip
        bench.client = bench.proxy_of(bench.pods["web"][0])
        bench.number = int(upstream_of(bench.world, bench.client, bench.service("app")))
        bench.slots = [bench.begin(bench.upstream(bench.client, "app")) + i for i in range(count)]
        return bench

    return built


def test_a_new_pod_does_not_inherit_the_ejections_of_a_dead_pods_sidecar(client):
    bench = client(2, max_ejection_percent=50, base_ejection_time=1000.0)
    for slot, codes in ((0, [500] * 5), (1, [500] * 2)):
        for code in codes:
            report(bench.world, bench.number, bench.slots[slot], 10.0, code, NO_FLAG)
    bench.plane.kill(bench.pods["web"][0], 11.0, silent=False, for_good=True)
    pod = bench.plane.add_pod(0, 0, "web-1", cluster=0, zone=0, sidecar=bench.document.sidecar)
    bench.plane.serve(pod)
    bench.push(bench.proxy_of(pod), "app", now=11.0)
    slots = [bench.slot(bench.proxy_of(pod), "app", app) for app in bench.pods["app"]]
    assert [(int(slot.ejected), int(slot.errors), int(slot.multiplier)) for slot in slots] == [(0, 0, 0)] * 2
    assert bench.upstream(bench.proxy_of(pod), "app").ejected == 0
