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
