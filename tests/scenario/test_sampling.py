from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.sampling import MOST_WINDOWS, loaded, windows
from meshsim.scenario.scenario import EXAMPLE

DOWN = {"event": "cluster_down", "name": "lost", "start": "1h", "duration": "1h", "target": {"cluster": "eu-1"}}
ROLLOUT = {"event": "rollout", "name": "of the shop", "start": "3h", "target": {"service": "web"}}
AROUND = {"before": "1m", "after": "5m"}


def scenario(sample, timeline=(), **changes):
    return load({**EXAMPLE, "duration": "6h", "timeline": list(timeline), "sample": sample, **changes})


def in_minutes(spans):
    return [(start / 60, end / 60) for start, end in spans]


def of(sample, timeline=(), **changes):
    return in_minutes(windows(scenario(sample, timeline, **changes).document))


def problem(sample, timeline=(), **changes):
    with pytest.raises(ScenarioError) as caught:
        scenario(sample, timeline, **changes)
    return str(caught.value)


def test_without_sample_everything_counts():
    document = load(EXAMPLE).document
    assert windows(document) is None
    assert loaded(document) is None


def test_events_have_windows_where_they_begin_and_where_they_end():
    assert of({}, [DOWN, ROLLOUT]) == [(59, 65), (119, 125), (179, 185)]


def test_a_short_event_has_one_window():
    assert of({"around_events": AROUND}, [{**DOWN, "duration": "4m"}]) == [(59, 69)]


def test_every_repetition_has_its_window():
    again = {**DOWN, "duration": "1m", "repeat": {"every": "1h", "times": 3}}
    assert of({"around_events": AROUND}, [again]) == [(59, 66), (119, 126), (179, 186)]


@pytest.mark.parametrize(("events", "found"), [(["lost"], [(59, 65), (119, 125)]), (["roll*"], [(179, 185)])])
def test_events_are_chosen_by_name_or_kind(events, found):
    assert of({"around_events": {**AROUND, "events": events}}, [DOWN, ROLLOUT]) == found


def test_windows_are_given_once_or_at_intervals_and_meet_those_of_events():
    given = [{"at": "1m", "duration": "1m", "every": "2h"}, {"at": "64m", "duration": "2m"}]
    assert of({"windows": given, "around_events": AROUND}, [{**DOWN, "duration": "30s"}]) == [
        (1, 2), (59, 66), (121, 122), (241, 242),
    ]  # fmt: skip


def test_no_window_begins_in_the_warm_up_or_ends_after_the_run():
    given = [{"at": "0s", "duration": "2m"}, {"at": "359m", "duration": "1h"}]
    assert of({"windows": given}, warm_up="1m") == [(1, 2), (359, 360)]


def test_load_is_on_in_the_lead_in_too():
    given = [{"at": "10s", "duration": "50s"}, {"at": "5m", "duration": "1m"}, {"at": "7m", "duration": "1m"}]
    document = scenario({"windows": given, "lead_in": "90s"}, warm_up="0s").document
    assert loaded(document) == ((0, 60), (210, 480))


def test_set_makes_a_sample_of_a_scenario_that_has_none():
    changed = load({**EXAMPLE, "duration": "6h", "timeline": [DOWN]}, ["sample.around_events.after=2m"])
    assert in_minutes(windows(changed.document)) == [(59, 62), (119, 122)]
    assert load(changed.resolved()).document == changed.document


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({}, "sample: has no window"),
        ({"windows": [{"at": "7h", "duration": "1m"}]}, "sample.windows[0].at: 7h is not before the end of the run"),
        ({"windows": [{"at": "0s", "duration": "9s"}]}, "ends before the warm-up does"),
        ({"windows": [{"at": "1m", "duration": "1s", "every": "2s"}]}, f"gives more than {MOST_WINDOWS:,} windows"),
        ({"windows": [{"at": "1m", "duration": "1m"}], "lead": "1m"}, "did you mean 'lead_in'?"),
    ],
)
def test_samples_that_make_no_sense_are_refused(sample, said):
    assert said in problem(sample)


def test_an_unknown_event_is_named_with_the_nearest_one():
    said = problem({"around_events": {"events": ["lots"]}}, [DOWN])
    assert "sample.around_events.events[0]: unknown event 'lots'; did you mean 'lost'?" in said


def test_a_sample_of_nearly_everything_is_warned_of():
    (said,) = scenario({"windows": [{"at": "0s", "duration": "6h"}]}).warnings
    assert "saves nothing, as the load is on for 100% of the run" in said


def test_what_depends_on_load_between_windows_is_warned_of():
    services = {"web": {**EXAMPLE["services"]["web"], "autoscale": {"max_replicas": 4, "min_replicas": 1}}}
    closed = {"web": {"arrivals": "closed", "users": 3, "think_time": "1s"}}
    rule = {
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web"},
        "spec": {"host": "web", "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 3}}},
    }  # fmt: skip
    said = scenario({}, [DOWN], services=services, load=closed, istio=[rule]).warnings
    assert [text.split(": ")[0] for text in said] == ["services.web.autoscale", "load.web.arrivals", "istio"]
