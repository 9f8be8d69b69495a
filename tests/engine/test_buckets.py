"""Into how many time buckets a run is divided: fewer in a mesh whose tables have many rows in each."""

from __future__ import annotations

from meshsim.engine.buckets import BUCKETS, FEWEST, ROWS, most_buckets
from meshsim.engine.simulation import bucket_edges, bucket_width
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE


def chain(clusters: int, services: int):
    """Return services that call one another in a row, each in every cluster."""
    names = [f"s{number}" for number in range(services)]
    replicas = {f"c{number}": 1 for number in range(clusters)}
    bodies = {
        name: {"replicas": replicas, "endpoints": {"GET /": {"script": [{"call": f"{after}/GET /"}] if after else []}}}
        for name, after in zip(names, [*names[1:], ""], strict=True)
    }
    places = {name: {"region": "eu", "network": "one"} for name in replicas}
    load_ = {names[0]: {"rate": "1/s", "actions": {"use": {"requests": ["GET /"]}}}}
    rest = {key: value for key, value in EXAMPLE.items() if key not in {"clusters", "services", "load"}}
    return load({**rest, "clusters": places, "services": bodies, "load": load_, "duration": "10m"})


def test_a_small_mesh_gets_all_buckets():
    assert most_buckets(chain(3, 10).document) == BUCKETS


def test_a_mesh_with_many_rows_a_bucket_gets_fewer_that_hold_no_more_rows():
    document = chain(40, 30).document
    rows = 29 * 40 * 40 + 30 * 40
    assert most_buckets(document) == ROWS // rows < BUCKETS


def test_there_are_never_fewer_than_a_timeline_needs(monkeypatch):
    monkeypatch.setattr("meshsim.engine.buckets.ROWS", 100)
    scenario = chain(3, 10)
    assert most_buckets(scenario.document) == FEWEST
    width = bucket_width(600.0, FEWEST)
    assert (width, len(bucket_edges(scenario))) == (50.0, 12)
