from __future__ import annotations

from meshsim.report.timing import spans
from tests.report import synthetic


def test_events_keep_the_users_names_and_are_in_order_of_their_start():
    assert [(s.name, s.start, s.end) for s in spans(synthetic.document())] == [
        ("pod churn: all", 80.0, 220.0),
        ("istiod of eu-1 is lost", 90.0, 190.0),
        ("cart v2", 110.0, None),
        ("frontend v2", 130.0, None),
    ]


def test_an_unnamed_event_between_two_places_names_both():
    event = {
        "event": "partition",
        "start": "1s",
        "duration": "1s",
        "target": {"from": {"region": "eu"}, "to": {"cluster": "us-1"}},
    }
    assert spans(synthetic.document(timeline=[event]))[0].name == "partition: eu to us-1"


def test_an_event_that_is_repeated_is_one_span_with_its_times():
    event = {
        "event": "api_server_down",
        "start": "1m",
        "duration": "10s",
        "target": {"cluster": "eu-1"},
        "repeat": {"every": "1m", "times": 3},
    }
    (span,) = spans(synthetic.document(timeline=[event]))
    assert (span.name, span.start, span.end) == ("api server down: eu-1, 3 times", 60.0, 190.0)
    assert span.times == ((60.0, 70.0), (120.0, 130.0), (180.0, 190.0))


def test_what_happens_once_has_one_time():
    assert [len(span.times) for span in spans(synthetic.document())] == [1, 1, 1, 1]


def test_a_secret_is_named_with_what_becomes_of_it():
    event = {"event": "remote_secret", "start": "1m", "change": "expired", "target": {"cluster": "eu-1"}}
    assert [(s.name, s.end) for s in spans(synthetic.document(timeline=[event]))] == [
        ("remote secret expired: eu-1", None)
    ]
