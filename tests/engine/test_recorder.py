"""The recorder alone: levels, control planes and certificates, over a data plane in which nothing happens."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from meshsim.engine.levels import Level
from meshsim.engine.recorder import PlaneRecord, Recorder
from meshsim.results.frames import concatenate

NEVER = np.inf


@pytest.fixture
def proxies():
    """Three proxies, of which two are in the first cluster."""
    kinds = [("kind", "i4"), ("cluster", "i4"), ("workers", "i4"), ("alive", "i4"), ("busy", "f8"), ("expires", "f8")]
    found = np.zeros(3, kinds).view(np.recarray)
    found.cluster, found.alive, found.workers, found.expires = [0, 0, 1], 1, 2, NEVER
    return found


@pytest.fixture
def recorder(proxies):
    shapes = {"requests": 4, "request_latency": 4, "ingress_latency": 4, "call_latency": 4}
    counters = np.dtype([(name, "i8") for name in ("count", "attempts", "request_bytes", "response_bytes")])
    pods = np.zeros(0, [(name, "i4") for name in ("cluster", "service", "busy", "busy_area", "busy_since")])
    empty = np.zeros(0, [("kind", "i4")]).view(np.recarray)
    plane = SimpleNamespace(
        proxies=proxies,
        pods=pods.view(np.recarray),
        outcomes=1,
        outcome=lambda _: (200, ""),
        world=SimpleNamespace(services=np.zeros(1, [("workers", "i4")])),
        plan=SimpleNamespace(services=["web"], edges=[(0, 0)], operation_names=[]),
        take_trace=lambda: empty,
        take_counts=lambda *names: {
            name: np.zeros((1,) * shapes[name], "i8" if "latency" in name else [*counters.descr, ("latency", "f8")])
            for name in names
        },
    )
    none = np.zeros(0, dtype=np.int64)
    plane.take_calls = lambda: (np.zeros(0, [*counters.descr, ("latency", "f8")]), (none,) * 5)
    return Recorder(plane, ["eu-1", "us-1"], ["web"])


def rows(recorder: Recorder, table: str) -> list[dict]:
    return concatenate([recorder.columns("hybrid", 0)])[table].to_dict("records")


def config(recorder: Recorder, column: str) -> list[float]:
    """Return a column of the table config by bucket and cluster."""
    return [row[column] for row in rows(recorder, "config")]


def test_a_level_tells_its_area_and_how_long_it_was_above_zero():
    level = Level()
    level.add(2, 1.0)
    level.add(-2, 4.0)
    level.add(1, 9.0)
    assert (level.take(10.0), level.take_positive(10.0)) == (7.0, 4.0)
    assert (level.take(12.0), level.take_positive(12.0)) == (2.0, 2.0)


def test_proxies_without_a_control_plane_and_with_another_configuration_are_summed_by_cluster(recorder):
    recorder.disconnected["eu-1"].add(2, 1.0)
    recorder.drifted["us-1"].add(1, 4.0)
    recorder.close_bucket(5.0, {"eu-1": 2, "us-1": 1}, {"us-1": 3}, last=False)
    recorder.disconnected["eu-1"].add(-2, 6.0)
    recorder.close_bucket(10.0, {"eu-1": 2, "us-1": 1}, {}, last=True)
    assert config(recorder, "disconnected_seconds") == [8.0, 0.0, 2.0, 0.0]
    assert config(recorder, "drift_seconds") == [0.0, 1.0, 0.0, 5.0]
    assert config(recorder, "pushes") == [0, 3, 0, 0]


def test_a_control_plane_has_a_row_in_every_bucket_and_counts_from_zero_in_each(recorder):
    plane = recorder.control_planes["eu-1"]
    plane.memory = lambda: 2e8
    plane.ready.add(2, 0.0)
    plane.connected.add(3, 0.0)
    plane.cpu += 0.5
    plane.pushes += 3
    plane.full_pushes += 1
    plane.connections += 4
    plane.refused_connections += 5
    plane.certificates += 6
    plane.refused_certificates += 7
    plane.rejected_configurations += 8
    plane.ready.add(-2, 3.0)
    recorder.close_bucket(5.0, {}, {}, last=False)
    recorder.close_bucket(10.0, {}, {}, last=True)
    run = {"deployment": "hybrid", "replication": 0, "control_plane": "eu-1", "connected": 3, "memory_bytes": 2e8}
    first = {
        "ready_seconds": 6.0, "up_seconds": 3.0, "cpu_seconds": 0.5, "pushes": 3, "full_pushes": 1, "connections": 4,
        "refused_connections": 5, "certificates": 6, "refused_certificates": 7, "rejected_configurations": 8,
    }  # fmt: skip
    assert rows(recorder, "control_planes") == [
        {**run, "start": 0.0, "end": 5.0, **first},
        {**run, "start": 5.0, "end": 10.0, **dict.fromkeys(first, 0)},
    ]


def test_a_record_without_memory_needs_none():
    assert PlaneRecord().take(5.0) == (0.0,) * 12


def test_an_expired_certificate_counts_from_its_end_on(recorder, proxies):
    proxies.expires = [2.0, NEVER, 7.0]
    for end in (5.0, 10.0):
        recorder.close_bucket(end, {}, {}, last=end == 10.0)
    assert config(recorder, "expired_seconds") == [3.0, 0.0, 5.0, 3.0]


def test_a_certificate_that_was_renewed_late_counts_until_then(recorder, proxies):
    proxies.expires = [2.0, 20.0, NEVER]
    recorder.close_bucket(5.0, {}, {}, last=False)
    recorder.certified("eu-1", 2.0, 6.0)
    recorder.certified("eu-1", 20.0, 6.5)  # in good time
    proxies.expires = [100.0, 100.0, NEVER]
    recorder.close_bucket(10.0, {}, {}, last=True)
    assert config(recorder, "expired_seconds") == [3.0, 0.0, 1.0, 0.0]


def test_a_proxy_that_is_gone_has_no_certificate(recorder, proxies):
    proxies.expires, proxies.alive = 1.0, [0, 1, 0]
    recorder.close_bucket(5.0, {}, {}, last=True)
    assert config(recorder, "expired_seconds") == [4.0, 0.0]


def test_proxies_are_counted_whatever_their_worker_threads(recorder, proxies):
    proxies.workers = [4, 0, 1]  # the sidecar of the second is not enabled
    recorder.close_bucket(5.0, {}, {}, last=True)
    found = [(row["cluster"], row["worker_seconds"], row["proxy_seconds"]) for row in rows(recorder, "proxies")]
    assert found == [("eu-1", 20.0, 5.0), ("us-1", 5.0, 5.0)]
