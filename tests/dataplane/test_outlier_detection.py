from __future__ import annotations

import math

import pytest

from meshsim.dataplane.outlier_detection import report
from meshsim.dataplane.state import DC, NO_FLAG, UC, UF, UT
from meshsim.scenario.istio.policy import OutlierDetection, Policy, Retry


@pytest.fixture
def client(Bench, echo):
    """Return a function that builds a web pod calling ``n`` app pods under an outlier detection."""

    def built(count, **fields):
        policy = Policy(outlier_detection=OutlierDetection(**fields), retry=Retry(attempts=0))
        bench = Bench(
            {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}], workers=100), "app": echo()},
            policies={"app": policy}, zones={"app": ["eu/a"] * count},
        )  # fmt: skip
        bench.client = bench.proxy_of(bench.pods["web"][0])
        bench.number = int(bench.world.upstream_of[bench.client, bench.service("app")])
        bench.hosts = [bench.slot(bench.client, "app", pod) for pod in bench.pods["app"]]
        up = bench.upstream(bench.client, "app")
        bench.slots = [bench.begin(up) + i for i in range(count)]
        bench.phase = float(up.phase)
        return bench

    return built


def attempts(bench, results, host=0, now=10.0):
    for code, flag in results:
        report(bench.world, bench.number, bench.slots[host], now, code, flag)


def answers(*codes):
    return [(code, NO_FLAG) for code in codes]


@pytest.mark.parametrize(
    ("hosts", "percent", "ejected"),
    [(5, 10, 0), (9, 10, 0), (10, 10, 1), (5, 20, 1), (5, 19, 0), (3, 50, 1), (2, 50, 1), (1, 100, 1), (5, 50, 2),
     (10, 9, 0), (10, 50, 5), (3, 100, 3), (20, 10, 2), (3, 34, 1), (3, 67, 2)],
)  # fmt: skip
def test_as_many_hosts_are_ejected_as_the_percentage_allows(client, hosts, percent, ejected):
    bench = client(hosts, max_ejection_percent=percent)
    for host in range(hosts):
        attempts(bench, answers(*[500] * 5), host)
    assert sum(host.ejected for host in bench.hosts) == ejected == bench.upstream(bench.client, "app").ejected


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
        ([(0, DC)] * 9, 0),  # the caller gave up: not the host's fault
    ],
)
def test_five_errors_in_a_row_of_any_kind_eject(client, results, ejected):
    bench = client(1, max_ejection_percent=100)
    attempts(bench, results)
    assert bench.hosts[0].ejected == ejected


@pytest.mark.parametrize(
    ("results", "ejected"),
    [
        (answers(502, 503, 504), 1),
        (answers(503, 503, 500, 503, 503), 0),  # a 500 starts the gateway errors anew
        (answers(503, 503, 200, 503), 0),
        ([(503, UF)] * 3, 1),
        (answers(500, 500, 500), 0),
    ],
)
def test_gateway_errors_are_502_503_and_504(client, results, ejected):
    bench = client(1, max_ejection_percent=100, consecutive_5xx=0, consecutive_gateway_errors=3)
    attempts(bench, results)
    assert bench.hosts[0].ejected == ejected


def test_split_local_errors_leave_the_answers_counters_alone(client):
    fields = {"split_external_local_origin_errors": True, "consecutive_local_origin_failures": 3}
    bench = client(1, max_ejection_percent=100, consecutive_5xx=2, **fields)
    attempts(bench, [(503, UF), (500, NO_FLAG), (503, UF)])
    assert bench.hosts[0].ejected == 0
    bench = client(1, max_ejection_percent=100, consecutive_5xx=2, **fields)
    attempts(bench, [(503, UF)] * 3)
    assert bench.hosts[0].ejected == 1


def test_split_timeouts_never_eject(client):
    # Measured (od_error_kinds, timeout_split_local3): 0 ejections; each connection that opens resets the counter.
    bench = client(
        1, max_ejection_percent=100, split_external_local_origin_errors=True, consecutive_local_origin_failures=3
    )
    attempts(bench, [(504, UT)] * 30)
    assert bench.hosts[0].ejected == 0


def test_a_limit_of_zero_switches_a_counter_off(client):
    bench = client(1, max_ejection_percent=100, consecutive_5xx=0)
    attempts(bench, answers(*[500] * 50))
    assert bench.hosts[0].ejected == 0


def test_a_host_that_may_not_be_ejected_starts_to_count_anew(client):
    bench = client(5)
    attempts(bench, answers(*[500] * 5))
    assert (bench.hosts[0].errors, bench.hosts[0].ejected) == (0, 0)


def ejections(bench, until, rate=200, step=0.005):
    """Run and return (ejected at, returned at) of the first host, as the clock shows them in small steps."""
    bench.paced(rate)
    found, since, now = [], None, 0.0
    while now < until:
        now += step
        bench.run(now)
        if bench.hosts[0].ejected and since is None:
            since = now
        elif not bench.hosts[0].ejected and since is not None:
            found.append((since, now))
            since = None
    return found


def test_ejections_grow_by_the_base_time_and_end_at_the_first_tick_after(client, fail):
    bench = client(4, max_ejection_percent=25, interval=1.0, base_ejection_time=2.0)
    fail(bench, bench.pods["app"][0], code=500)
    found = ejections(bench, 45.0)
    assert len(found) >= 5
    for number, (start, end) in enumerate(found, start=1):
        # Ejection k lasts k · 2 s and up to one interval more; it ends on a tick.
        assert 2.0 * number - 0.01 <= end - start <= 2.0 * number + 1.01
        off = (end - bench.phase) % 1.0
        assert min(off, 1.0 - off) < 0.011


def test_ejections_are_no_longer_than_the_longest(client, fail):
    bench = client(4, max_ejection_percent=25, interval=0.5, base_ejection_time=1.0, max_ejection_time=2.0)
    fail(bench, bench.pods["app"][0], code=500)
    found = ejections(bench, 25.0)
    assert max(end - start for start, end in found) <= 2.0 + 0.5 + 0.01
    assert bench.hosts[0].multiplier <= 4


def test_the_multiplier_falls_by_one_a_tick_once_the_host_has_been_back_for_an_interval(client):
    bench = client(1, max_ejection_percent=100, interval=1.0, base_ejection_time=2.0)
    host = bench.hosts[0]
    host.multiplier = 5
    host.returned_at = bench.phase + 10.0
    # Back at tick 10; healthy for an interval from tick 11 on (or 12, by rounding: a race in Envoy): at 14.5 three or
    # four ticks have passed, so 5 falls to 2 or 1, and the new ejection makes it 3 or 2.
    attempts(bench, answers(*[500] * 5), now=bench.phase + 14.5)
    assert host.multiplier in {2, 3}


def test_a_host_comes_back_with_its_counters_at_zero(client):
    bench = client(1, max_ejection_percent=100, interval=1.0, base_ejection_time=2.0)
    attempts(bench, [*answers(*[500] * 5), *answers(503, 503, 503)])
    assert bench.hosts[0].errors == 3
    bench.run(14.0)
    host = bench.hosts[0]
    assert (host.ejected, host.errors, host.gateway_errors, host.local_errors) == (0, 0, 0, 0)
    assert bench.upstream(bench.client, "app").ejected == 0


def test_the_end_of_an_ejection_is_the_first_tick_at_or_after_it(client):
    bench = client(1, max_ejection_percent=100, interval=10.0, base_ejection_time=30.0)
    attempts(bench, answers(*[500] * 5), now=100.0)
    due = bench.phase + math.ceil((130.0 - bench.phase) / 10.0) * 10.0
    bench.run(due - 1e-6)
    assert bench.hosts[0].ejected == 1
    bench.run(due + 1e-6)
    assert bench.hosts[0].ejected == 0


def test_a_removed_host_no_longer_counts_as_ejected(client):
    bench = client(2, max_ejection_percent=50)
    attempts(bench, answers(*[500] * 5))
    bench.push(bench.client, "app", hosts=bench.pods["app"][1:], now=11.0)
    assert bench.upstream(bench.client, "app").ejected == 0


def test_a_new_pod_does_not_inherit_the_ejections_of_a_dead_pods_sidecar(client):
    bench = client(2, max_ejection_percent=50, base_ejection_time=1000.0)
    attempts(bench, answers(*[500] * 5))
    attempts(bench, answers(500, 500), host=1)
    bench.plane.kill(bench.pods["web"][0], 11.0, silent=False, for_good=True)
    pod = bench.plane.add_pod(0, 0, "web-1", cluster=0, zone=0, sidecar=bench.document.sidecar)
    bench.plane.serve(pod)
    bench.push(bench.proxy_of(pod), "app", now=11.0)
    slots = [bench.slot(bench.proxy_of(pod), "app", app) for app in bench.pods["app"]]
    assert [(int(slot.ejected), int(slot.errors), int(slot.multiplier)) for slot in slots] == [(0, 0, 0)] * 2
    assert bench.upstream(bench.proxy_of(pod), "app").ejected == 0
