"""Critical paths: of what ran at once the last one counts, and shares add up."""

from __future__ import annotations

import pytest

from meshsim.analysis.critical_path import PARTS, SHOWN, critical_path, paths, shares
from meshsim.analysis.phases import Phase
from meshsim.results.frames import concatenate
from meshsim.results.histogram import bin_of
from meshsim.results.tables import TABLES

NOTHING = {column.name: 0.0 for column in TABLES["spans"] if column.dtype == "float64"}


def call(number: int, parent: int, began: float, ended: float, **parts: float) -> dict:
    """Return a call that spends what is not said in its pod."""
    rest = ended - began - sum(parts.values())
    named = {"number": number, "parent": parent, "kind": "call", "waited": 1, "began": began, "ended": ended}
    return {**NOTHING, **named, "inside": rest, **parts}


def work(number: int, parent: int, began: float, ended: float, queue: float = 0.0) -> dict:
    named = {"number": number, "parent": parent, "kind": "computation", "waited": 1, "began": began, "ended": ended}
    return {**NOTHING, **named, "queue": queue, "computing": ended - began - queue}


def told(spans: list[dict]) -> list[tuple]:
    return [(piece.number, piece.part, piece.began, piece.ended) for piece in critical_path(spans)]


def test_of_calls_at_once_the_one_that_ended_last_counts():
    spans = [call(0, -1, 0.0, 10.0), work(1, 0, 0.0, 2.0), call(2, 0, 2.0, 6.0), call(3, 0, 2.0, 10.0, link_there=3.0)]
    assert told(spans) == [(1, "service", 0.0, 2.0), (3, "link there", 2.0, 5.0), (3, "queue", 5.0, 10.0)]


def test_calls_in_order_count_each_with_its_own_time():
    spans = [
        call(0, -1, 0.0, 10.0, client_sidecar=1.0, link_back=1.0),
        call(1, 0, 1.0, 5.0, retries=4.0),
        call(2, 0, 5.0, 9.0, connection=1.0, gateway=1.0, lost=2.0),
    ]
    assert told(spans) == [
        (0, "client's sidecar", 0.0, 1.0), (1, "retries", 1.0, 5.0), (2, "connection", 5.0, 6.0),
        (2, "east-west gateway", 6.0, 7.0), (2, "no answer", 7.0, 9.0), (0, "link back", 9.0, 10.0),
    ]  # fmt: skip


def test_waiting_for_a_worker_is_queue_and_not_service():
    assert told([call(0, -1, 0.0, 5.0), work(1, 0, 0.0, 5.0, queue=3.0)]) == [
        (1, "queue", 0.0, 3.0), (1, "service", 3.0, 5.0),
    ]  # fmt: skip


def test_a_call_that_outlives_its_caller_counts_until_that_gave_up():
    spans = [call(0, -1, 0.0, 4.0), call(1, 0, 1.0, 9.0, link_there=8.0)]
    assert told(spans) == [(0, "queue", 0.0, 1.0), (1, "link there", 1.0, 4.0)]


def test_what_nobody_waits_for_does_not_count():
    assert told([call(0, -1, 0.0, 4.0), call(1, 0, 1.0, 4.0) | {"waited": 0}]) == [(0, "queue", 0.0, 4.0)]


@pytest.fixture
def tables():
    """Return 100 requests of 1 to 100 s, the request of n seconds waiting n - 1 on a link; the longest one fails."""
    found = dict(concatenate([]))
    import pandas as pd

    text = {"deployment": "hybrid", "replication": 0, "request_id": "x", "source": "ingress", "destination": "web"}
    rows = [
        {**call(0, -1, 0.0, n, link_there=n - 1.0), **text, "trace": n, "attempts": 1, "code": 503 if n == 100 else 200,
         "source_cluster": "eu-1", "destination_cluster": "eu-1", "response_flag": ""} for n in range(1, 101)
    ]  # fmt: skip
    found["spans"] = pd.DataFrame(rows)[[column.name for column in TABLES["spans"]]]
    row = {"deployment": "hybrid", "replication": 0, "start": 0.0, "end": 200.0, "kind": "request", "service": "web"}
    row |= {"flow": "local", "count": 1}
    found["latency"] = pd.DataFrame(
        [{**row, "outcome": "error" if n == 100 else "ok", "bin": int(bin_of(n))} for n in range(1, 101)]
    )
    found["totals"] = pd.DataFrame([{**text, "quantity": "q", "subject": "", "value": 1.0}])
    return found


def test_the_request_nearest_to_the_percentile_of_all_that_succeeded_is_shown(tables):
    found = paths(tables, Phase("all", 0.0, 300.0))
    shown = found.groupby("shown")[["quantile", "latency"]].first()
    assert list(dict.fromkeys(found["shown"])) == list(SHOWN)
    assert shown.loc["typical", "latency"] == pytest.approx(50.0, abs=1.0)
    assert shown.loc["p99", "latency"] == pytest.approx(99.0, abs=1.0)
    assert (abs(shown["quantile"] - shown["latency"]) < 1.0).all()


def test_shares_of_a_request_add_up_to_its_latency(tables):
    found = paths(tables, Phase("all", 0.0, 300.0))
    parts = shares(found)
    assert set(parts["part"]) <= set(PARTS)
    assert parts.groupby("shown")["share"].sum().tolist() == pytest.approx([1.0, 1.0])
    assert parts.groupby("shown")["seconds"].sum().sort_index().tolist() == pytest.approx(
        found.groupby("shown")["latency"].first().sort_index().tolist()
    )


def test_a_phase_without_traced_requests_has_no_paths(tables):
    assert paths(tables, Phase("none", 1000.0, 2000.0)).empty
    assert paths(tables, Phase("none", 0.0, 300.0, windows=())).empty
