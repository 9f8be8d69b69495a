"""Events happen when the file says, as often as it says, and only within the run."""

from __future__ import annotations

import pytest

from meshsim.scenario.happenings import happenings, times
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document


def timeline(*events: dict, duration: str = "100s") -> Document:
    return Document.model_validate({**EXAMPLE, "duration": duration, "warm_up": "0s", "timeline": list(events)})


def down(start: str, duration: str = "5s", **fields: object) -> dict:
    target = {"cluster": "eu-1"}
    return {"event": "api_server_down", "start": start, "duration": duration, "target": target, **fields}


def test_they_are_in_the_order_of_the_file_and_counted():
    found = happenings(timeline(down("30s", name="late"), down("10s", name="early")))
    assert [(one.number, one.index, one.name, one.start, one.end) for one in found] == [
        (0, 0, "late", 30.0, 35.0),
        (1, 1, "early", 10.0, 15.0),
    ]


def test_repetitions_stand_together_and_are_numbered():
    found = happenings(timeline(down("10s", repeat={"every": "20s", "times": 3}), down("1s", name="other")))
    assert [(one.number, one.index, one.repetition, one.name, one.start) for one in found] == [
        (0, 0, 1, "api server down", 10.0),
        (1, 0, 2, "api server down (2)", 30.0),
        (2, 0, 3, "api server down (3)", 50.0),
        (3, 1, 1, "other", 1.0),
    ]


def test_without_a_number_they_go_on_to_the_end_of_the_run():
    found = happenings(timeline(down("10s", repeat={"every": "30s"})))
    assert [one.start for one in found] == [10.0, 40.0, 70.0]
    assert found[-1].end == 75.0


def test_what_begins_with_the_end_of_the_run_does_not_happen():
    document = timeline(down("100s"), down("40s", repeat={"every": "60s"}))
    assert [one.start for one in happenings(document)] == [40.0]


def test_the_last_may_outlast_the_run():
    (only,) = happenings(timeline(down("90s", "60s")))
    assert only.end == 150.0


def test_what_is_for_good_has_no_end():
    (only,) = happenings(timeline({"event": "rollout", "start": "1s", "target": {}}))
    assert only.end is None


@pytest.mark.parametrize(("every", "count"), [("0.1s", 1000), ("0.3s", 334), ("7s", 15), ("100s", 1), ("1d", 1)])
def test_the_count_is_that_of_the_list_whatever_the_rounding(every, count):
    document = timeline(down("0s", "1ms", repeat={"every": every}))
    found = happenings(document)
    assert times(document.timeline[0], document.duration) == len(found) == count
    assert all(one.start < 100 for one in found)
