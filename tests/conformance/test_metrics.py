"""Outcomes are computed alike from what any arm recorded."""

import csv
import gzip
import json

import pytest

from tests.conformance.cases import SHARED, load_case, point
from tests.conformance.metrics import flatten, measure
from tests.conformance.records import Attempt, Ejection, Recording, Request

LOAD = {"arrivals": "paced", "rate": 10, "n": 4}
TWO = [{"label": "bad"}, {"label": "good"}]


def measured(recording, endpoints=TWO, analyze=None, load=LOAD):
    spec = {"endpoints": endpoints, "load": load, "analyze": analyze or {}}
    return flatten(measure(point("c", "p", spec, (), 1), recording))


def request(number, due=0.0, status=200, latency=0.01, flags=(), attempts=1, key=""):
    return Request(number, due, due, due + latency, status, flags, attempts, key)


def attempt(number, endpoint, start=0.0, end=None, nth=1, status=200):
    return Attempt(number, nth, endpoint, start, start + 0.01 if end is None else end, status)


def test_requests_attempts_flags_and_shares():
    recording = Recording(
        1,
        [request(0), request(1, status=503, flags=("UC", "URX"), attempts=2), request(2, status=-2, attempts=0)],
        [attempt(0, 1), attempt(1, 0, status=503), attempt(1, 0, nth=2, status=503)],
        connections={0: 2, 1: 1},
    )
    found = measured(recording)
    assert found["ok"] == pytest.approx(1 / 3)
    assert found["frac_flag.URX,UC"] == pytest.approx(1 / 3)
    assert found["frac_status.-2"] == pytest.approx(1 / 3)
    assert found["attempts.mean"] == 1.0
    assert (found["attempts.hist.0"], found["attempts.hist.1"], found["attempts.hist.2"]) == (1, 1, 1)
    assert found["share.e0"] == pytest.approx(2 / 3)
    assert found["share_label_first.bad"] == 0.5
    assert found["conns"] == 3


def test_latencies_leave_out_the_warm_up():
    recording = Recording(1, [request(0, latency=9.0), request(1, latency=0.02), request(2, latency=0.04)], [])
    assert measured(recording, analyze={"warmup": 1})["lat_ms.mean"] == pytest.approx(30.0)


def test_windows_take_the_requests_that_are_due_in_them():
    recording = Recording(
        1, [request(0, 0.5), request(1, 1.0, status=503), request(2, 2.0)], [attempt(0, 1), attempt(1, 0)]
    )
    found = measured(recording, analyze={"windows": {"mid": [1, 2]}})
    assert (found["w_mid.n"], found["w_mid.ok"], found["w_mid.share_label.bad"]) == (1, 0.0, 1.0)


def test_order_of_hosts_repeats_with_the_sum_of_weights():
    order = [0, 1, 1] * 3
    recording = Recording(1, [request(n) for n in range(9)], [attempt(n, e, n / 10) for n, e in enumerate(order)])
    found = measured(recording, [{"weight": 1}, {"weight": 2}], {"seq": 9})
    assert (found["period"], found["periodic"], found["max_run"]) == (3, 1.0, 2)


def test_peak_counts_attempts_at_the_same_time():
    recording = Recording(1, [request(0)], [attempt(0, 0, 0.0, 1.0), attempt(0, 0, 0.5, 2.0), attempt(0, 0, 1.0, 2.0)])
    assert measured(recording, analyze={"inflight": True})["peak_inflight"] == 2


def test_failover_counts_from_its_moment():
    recording = Recording(
        1,
        [request(0, 1.1, 503), request(1, 1.5, 503), request(2, 2.0), request(3, 4.0)],
        [attempt(0, 0, 1.1), attempt(1, 0, 1.5), attempt(2, 1, 2.0), attempt(3, 0, 4.25)],
    )
    found = measured(recording, analyze={"failover": {"from": "bad", "to": "good", "at": 1, "back": 4}})
    assert found["failover.errors"] == 2
    assert found["failover.t_first_to"] == 1.0
    assert found["failover.t_last_error"] == 0.5
    assert found["failover.t_first_back"] == 0.25
    assert found["failover.t_last_to"] is None


def test_ejections_tell_peak_durations_and_late_requests():
    recording = Recording(
        1,
        [request(n) for n in range(4)],
        [attempt(0, 0, 0.9, status=503), attempt(1, 0, 1.4, status=503), attempt(2, 0, 3.5)],
        [
            Ejection(1.0, "e0", eject=True, kind="CONSECUTIVE_5XX"),
            Ejection(1.1, "e1", eject=True, kind="CONSECUTIVE_5XX", enforced=False),
            Ejection(3.0, "e0", eject=False),
        ],
    )
    found = measured(recording, analyze={"outlier": True})
    assert (found["outlier.n_eject"], found["outlier.peak_ejected"], found["outlier.dur_by_k.k1"]) == (1, 1, 2.0)
    assert found["outlier.types_not_enforced.CONSECUTIVE_5XX"] == 1
    assert found["outlier.errs_to_first_eject"] == 1
    assert found["outlier.apply_lag_s.max"] == pytest.approx(0.4)
    assert found["outlier.return_lag_s.mean"] == pytest.approx(0.5)


def test_retries_on_the_same_host_and_gaps_between_attempts():
    recording = Recording(
        1, [request(0), request(1)], [attempt(0, 0, 0.0, 0.1), attempt(0, 0, 0.125, nth=2), attempt(1, 1)]
    )
    found = measured(recording, analyze={"same_host": True, "backoff": True})
    assert (found["retry_same_host"], found["retried_frac"]) == (1.0, 0.5)
    assert found["backoff_ms.retry1.mean"] == pytest.approx(25.0)


def test_keys_that_move_without_need_are_told_from_those_that_must():
    keys = ["a", "b", "c"]
    before, after = [0, 1, 2], [0, 0, 1]  # host 2 left; a stayed, b moved for nothing, c had to
    recording = Recording(
        1,
        [request(n, key=keys[n % 3]) for n in range(6)],
        [attempt(n, host) for n, host in enumerate(before + after)],
    )
    found = measured(recording, [{"count": 3}], {"keys": 3}, LOAD | {"phase_n": 3})
    assert found["hash.disruption.moved_total"] == pytest.approx(2 / 3)
    assert found["hash.disruption.moved_needlessly"] == pytest.approx(1 / 3)
    assert found["hash.disruption.keys_on_removed"] == pytest.approx(1 / 3)


def test_recorded_requests_give_the_recorded_outcomes():
    if not SHARED.exists():
        pytest.skip("the measurements beside the project are not here")
    pages = json.loads((SHARED / "results" / "queueing.json").read_text())["points"]
    for at, page in zip(load_case(SHARED / "cases" / "queueing.yaml").points, pages, strict=True):
        for told in page["runs"]:
            with gzip.open(SHARED / "results" / "raw" / f"queueing.{at.id}.s{told['seed']}.csv.gz", "rt") as lines:
                found = flatten(measure(at, _from_csv(told["seed"], csv.DictReader(lines))))
            for key in ("ok", "lat_ms.mean", "lat_ms.p50", "lat_ms.p90", "lat_ms.p99", "share.e0", "share_sorted.s1"):
                assert found[key] == pytest.approx(flatten(told)[key], abs=0.02), f"{at.name}: {key}"


def _from_csv(seed, rows):
    requests, attempts = [], []
    for row in rows:
        number, sent, done = int(row["i"]), float(row["t_sent"]), float(row["t_done"])
        requests.append(Request(number, float(row["t_sched"]), sent, done, int(row["status"])))
        attempts.append(Attempt(number, 1, int(row["endpoint"][1:]), sent, done, int(row["status"])))
    return Recording(seed, requests, attempts)
