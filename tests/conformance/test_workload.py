"""Workloads: the same requests for every arm, and those that the recorded runs were made with."""

import json

import numpy as np
import pytest

from tests.conformance.cases import OWN, SHARED, cases
from tests.conformance.workload import headers, workload


def test_every_recorded_workload_is_replayed_to_the_last_bit():
    if not SHARED.exists():
        pytest.skip("the measurements beside the project are not here")
    replayed = 0
    for case in cases(SHARED / "cases"):
        page = json.loads((SHARED / "results" / f"{case.name}.json").read_text())
        for point, told in zip(case.points, page["points"], strict=True):
            for recorded in told["runs"]:
                drawn = workload(point.load, recorded["seed"])
                assert drawn.fingerprint() == recorded["workload"]["sha"], point.name
                replayed += 1
    assert replayed > 500


def test_arrivals_are_drawn_before_work():
    load = {"arrivals": "open", "rate": 10.0, "n": 50}
    one, two = workload(load, 3), workload(load | {"work": "exp"}, 3)
    assert np.array_equal(one.times, two.times)
    assert two.work.mean() != 1.0


def test_phases_repeat_the_keys_after_a_pause():
    load = {"arrivals": "paced", "rate": 10, "n": 8, "phase_n": 4, "phase_gap": 1.0, "headers": {"x-key": {"keys": 4}}}
    drawn = workload(load, 1)
    assert drawn.times[4] - drawn.times[3] == pytest.approx(1.1)
    assert headers(load, 1) == headers(load, 5)


def test_bursts_come_at_once():
    drawn = workload({"arrivals": "burst", "size": 3, "bursts": 2, "every_s": 0.5}, 1)
    assert drawn.times.tolist() == [0, 0, 0, 0.5, 0.5, 0.5]


def test_every_own_case_stays_below_three_hundred_requests_per_second():
    for case in cases(OWN):
        for point in case.points:
            times = workload(point.load, 1).times
            assert len(times) / max(times[-1], 1.0) < 300, point.name
