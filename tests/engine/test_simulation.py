"""Time buckets of a run: where they end."""

from __future__ import annotations

import pytest

from meshsim.engine.simulation import bucket_edges, phase_edges
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE


def scenario(*timeline):
    return load({**EXAMPLE, "timeline": list(timeline), "duration": "1h", "warm_up": "30s"})


def test_buckets_are_cut_where_events_begin_and_end():
    down = {"event": "api_server_down", "start": "101s", "duration": "77s", "target": {}}
    assert phase_edges(scenario(down)) == {30.0, 101.0, 178.0}


@pytest.mark.slow
def test_an_event_that_is_repeated_cuts_for_the_first_and_the_last_time():
    slow = {
        "event": "service_slow", "start": "101s", "duration": "50ms", "factor": 2, "target": {"service": "web"},
        "repeat": {"every": "1s"},
    }  # fmt: skip
    assert phase_edges(scenario(slow)) == {30.0, 101.0, 3599.05}
    assert len(bucket_edges(scenario(slow))) < 160
