"""Spans: where the time of traced requests went; no other result is touched, and there are never too many."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from meshsim.analysis.critical_path import critical_path
from meshsim.engine import spans
from meshsim.results.frames import concatenate
from meshsim.results.tables import TABLES

PARTS = [column.name for column in TABLES["spans"] if column.name in (*spans.PARTS, "queue", "computing")]
RETRIED = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "app", "namespace": "default"},
    "spec": {
        "hosts": ["app"],
        "http": [
            {
                "route": [{"destination": {"host": "app"}}],
                "retries": {"attempts": 2, "retryOn": "5xx", "perTryTimeout": "200ms"},
                "timeout": "500ms",
                "fault": {"delay": {"percentage": {"value": 20}, "fixedDelay": "7ms"}},
            }
        ],
    },
}
NETWORKS = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
#: Web calls at once, in order, and without waiting; all are short of workers.
BUSY = {
    "web": {
        "workers": 2,
        "endpoints": {
            "GET": {
                "script": [
                    {"compute": "1ms"},
                    [{"call": "app/GET"}, [{"compute": "2ms"}, {"call": "db/GET", "timeout": "300ms"}]],
                    {"call": "db/GET", "wait": False},
                    {"call": "app/GET", "count": 1.5, "on_error": "ignore", "timeout": "150ms"},
                ]
            }
        },
    },
    "app": {
        "workers": 1,
        "endpoints": {"GET": {"script": [{"compute": {"exponential": "12ms"}}, {"call": "db/GET"}]}},
    },
    "db": {
        "workers": 1,
        "hold_worker": True,
        "endpoints": {"GET": {"script": [{"compute": {"exponential": "3ms"}}]}},
    },
}


def spans_of(tables) -> list[dict]:
    return concatenate([tables])["spans"].to_dict("records")


def requests(rows: list[dict]) -> list[list[dict]]:
    found: dict[int, list[dict]] = {}
    for row in rows:
        found.setdefault(row["trace"], []).append(row)
    return list(found.values())


@pytest.fixture
def busy(run, event):
    """Return a run in which everything happens to requests: queues, retries, timeouts, delays, losses, gateways."""

    def built(**changes):
        failing = event("service_failing", "2s", "4s", target={"service": "app"}, fraction=0.3)
        cut = event("partition", "7s", "2s", target={"from": {"region": "eu"}, "to": {"region": "us"}})
        remote = {
            "web": BUSY["web"] | {"replicas": {"c1": 2}},
            "app": BUSY["app"] | {"replicas": {"c2": 2}},
            "db": BUSY["db"] | {"replicas": 1},
        }
        return run(
            clusters=NETWORKS, services=remote, load={"web": {"rate": "20/s", "enters": {"c1": 1}}}, istio=[RETRIED],
            timeline=[failing, cut], duration="12s", **changes,
        )  # fmt: skip

    return built


def test_parts_of_every_span_are_not_negative_and_add_up_to_its_time(busy):
    rows = spans_of(busy().run())
    assert {row["kind"] for row in rows} == {"call", "computation"}
    for row in rows:
        assert min(row[part] for part in PARTS) >= 0
        assert sum(row[part] for part in PARTS) == pytest.approx(row["ended"] - row["began"], abs=1e-9)
    for part in PARTS:
        assert any(row[part] > 0 for row in rows), part


def test_spans_hang_below_one_another_and_begin_after_their_parent(busy):
    for rows in requests(spans_of(busy().run())):
        assert [row["number"] for row in rows] == list(range(len(rows)))
        assert [row["parent"] for row in rows].count(-1) == 1
        assert rows[0]["source"] == "ingress"
        for row in rows[1:]:
            above = rows[row["parent"]]
            assert above["kind"] == "call"
            assert row["number"] > above["number"]
            assert row["source"] == above["destination"]
            assert row["began"] >= above["began"]


def test_every_instant_of_a_request_goes_to_one_part_of_its_critical_path(busy):
    seen: dict[str, float] = {}
    found = requests(spans_of(busy().run()))
    for rows in found:
        pieces = critical_path(rows)
        assert pieces[0].began == rows[0]["began"]
        assert pieces[-1].ended == rows[0]["ended"]
        for one, following in pairwise(pieces):
            assert one.ended == following.began
        assert all(piece.began < piece.ended for piece in pieces)
        latency = rows[0]["ended"] - rows[0]["began"]
        assert sum(piece.ended - piece.began for piece in pieces) == pytest.approx(latency, abs=1e-9)
        for piece in pieces:
            seen[piece.part] = seen.get(piece.part, 0.0) + piece.ended - piece.began
    assert len(found) > 150
    assert {"queue", "service", "retries", "link there", "link back", "injected delay"} <= set(seen)
    assert {"east-west gateway", "connection", "client's sidecar", "server's sidecar"} <= set(seen)


def test_what_nobody_waited_for_is_not_on_the_critical_path(busy):
    found = requests(spans_of(busy().run()))
    for rows in found:
        assert all(rows[piece.number]["waited"] == 1 for piece in critical_path(rows))
    left = [row for rows in found for row in rows if not row["waited"]]
    assert {row["destination"] for row in left} >= {"db"}  # fire and forget


def test_tracing_changes_no_other_result(busy):
    def rest(simulation):
        simulation.run()
        return {
            name: {column: [str(value) for value in values] for column, values in columns.items()}
            for name, columns in simulation.mesh.recorder.columns("hybrid", 0).items() if name != "spans"
        }  # fmt: skip

    traced, untraced = busy(), busy()
    untraced.mesh.plane.trace(0.0)
    assert rest(traced) == rest(untraced)
    assert len(spans_of(traced.mesh.recorder.columns("hybrid", 0))) > 0
    assert len(spans_of(untraced.mesh.recorder.columns("hybrid", 0))) == 0


def test_only_the_first_replication_has_spans():
    from meshsim.engine.simulation import Simulation
    from meshsim.scenario import load
    from tests.engine.conftest import BASE

    simulation = Simulation(load({**BASE, "duration": "5s"}), "multi-primary", 1)
    assert simulation.run()["spans"]["trace"] == []
    assert simulation.mesh.plane.world.clock[0].part == 0


@pytest.mark.parametrize("load", [{"rate": "500/s"}, {"arrivals": "closed", "users": 100, "think_time": "100ms"}])
def test_about_as_many_requests_are_traced_as_are_wanted(run, monkeypatch, load):
    monkeypatch.setattr(spans, "ABOUT", 60)
    count = len(requests(spans_of(run(load={"web": load}, duration="4s").run())))
    assert 40 <= count <= 120


def test_where_there_are_too_many_every_other_request_is_dropped(run, monkeypatch):
    monkeypatch.setattr(spans, "MOST", 100)
    found = requests(spans_of(run(load={"web": {"rate": "100/s"}}, duration="6s", access_log=1.0).run()))
    assert 25 <= len(found) <= 100
    assert all(len(rows) == 2 for rows in found)  # both calls of a request, or none
    assert np.ptp([rows[0]["began"] for rows in found]) > 4.0  # of all the time


def test_a_request_takes_as_long_as_its_span(run):
    tables = run(duration="10s", access_log=1.0).run()
    log = concatenate([tables])["access_log"]
    logged = {(row.request_id, row.source): row.duration for row in log.itertuples()}
    calls = [row for row in spans_of(tables) if row["kind"] == "call"]
    assert len(calls) > 100
    for row in calls:
        assert row["ended"] - row["began"] == pytest.approx(logged[row["request_id"], row["source"]], abs=1e-12)
