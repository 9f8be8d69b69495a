"""What validates also runs: scenarios at the edge of what a file may say."""

from __future__ import annotations

from typing import Any

import pytest

import meshsim

BASE: dict[str, Any] = {
    "name": "edge",
    "regions": {"r": {"zones": ["a", "b"]}},
    "clusters": {"c1": {"region": "r"}, "c2": {"region": "r"}},
    "services": {
        "web": {"replicas": 2, "endpoints": {"GET /": {"script": [{"compute": "1ms"}, {"call": "db/get"}]}}},
        "db": {"replicas": 2, "endpoints": {"get": {"script": [{"compute": "1ms"}]}}},
    },
    "load": {"web": {"rate": "50/s"}},
    "duration": "5s",
    "warm_up": "0s",
}


def simulated(
    changes: dict[str, Any], deployment: str = "multi-primary"
) -> tuple[meshsim.Simulation, dict[str, float]]:
    simulation = meshsim.Simulation(meshsim.load({**BASE, **changes}), deployment)
    totals = simulation.run()["totals"]
    found = dict(zip(totals["quantity"], totals["value"], strict=True))
    assert found["requests arrived"] == found["requests ended"] + found["requests in flight"]
    return simulation, found


def test_users_whose_requests_take_no_time_do_not_stop_the_clock():
    free = {"cpu": "0s", "latency": "0s"}
    changes = {
        "latency": [{"between": ["r", "r"], "rtt": "0s"}],
        "sidecar": {"enabled": False},
        "ingress": {"c1": free, "c2": free},
        "services": {"web": {"endpoints": {"GET /": {}}}},
        "load": {"web": {"arrivals": "closed", "users": 2, "think_time": "0s"}},
        "duration": "10ms",
    }
    _, totals = simulated(changes)
    assert totals["requests ended"] == pytest.approx(2 * 0.010 / 1e-6, rel=0.01)


def test_a_push_that_a_slow_link_delays_is_not_overtaken():
    slow = {
        "event": "link_slow",
        "start": "10s",
        "duration": "20s",
        "delay": "20s",
        "target": {"from": {"zone": "r/a"}, "to": {"zone": "r/b"}},
    }
    target = {"service": "db", "cluster": "c1"}
    changes = {
        "clusters": {"c1": {"region": "r", "zones": ["a"]}, "c2": {"region": "r", "zones": ["b"]}},
        "timeline": [
            slow,
            {"event": "scale", "start": "11s", "replicas": 4, "target": target},
            {"event": "scale", "start": "31s", "replicas": 2, "target": target},
        ],
        "kubernetes": {"pod_start": "1s"},
        "duration": "100s",
    }
    simulation, _ = simulated(changes, "primary-remote")
    assert [proxy.number for proxy in simulation.mesh.proxies.values() if proxy.behind] == []


def test_a_pod_that_waits_for_its_control_plane_does_not_wake_up_in_a_lost_zone():
    changes = {
        "clusters": {"c1": {"region": "r"}},
        "timeline": [
            {"event": "rollout", "start": "1s", "target": {"service": "web"}},
            {"event": "control_plane_down", "start": "1500ms", "duration": "3s", "target": {"cluster": "c1"}},
            {"event": "zone_outage", "start": "3s", "duration": "10s", "target": {"zone": "r/b"}},
        ],
        "kubernetes": {"pod_start": "1s", "drain": "0s"},
        "istiod": {"restart_time": "0s"},
        "duration": "9s",
    }
    simulation, _ = simulated(changes)
    alive = [pod for pod in simulation.clusters["c1"].pods.values() if pod.zone == "b" and pod.reachable]
    assert alive == []


def test_limits_as_large_as_istio_s_type_are_taken():
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"host": "web", "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 4294967295}}},
    }
    simulated({"istio": [rule]})


def test_gateways_with_counts_that_share_no_factor_are_weighed():
    names = [f"c{number}" for number in range(7)]
    changes = {
        "clusters": {name: {"region": "r", "network": name} for name in names},
        "gateways": {
            name: {"addresses": count} for name, count in zip(names, (64, 63, 61, 59, 55, 53, 47), strict=True)
        },
        "load": {"web": {"rate": "20/s", "enters": {"c0": 1}}},
        "duration": "2s",
    }
    _, totals = simulated(changes)
    assert totals["requests ended"] > 10


def test_there_is_room_for_all_requests_that_wait_for_one_connection():
    changes = {
        "latency": [{"between": ["r/a", "r/b"], "rtt": "100ms"}],
        "clusters": {"c1": {"region": "r", "zones": ["a"]}, "c2": {"region": "r", "zones": ["b"]}},
        "services": {
            "web": {
                "protocol": "grpc",
                "replicas": {"c1": 0, "c2": 1},
                "workers": 10_000,
                "endpoints": {"get": {"script": [{"compute": "1us"}]}},
            }
        },
        "ingress": {name: {"cpu": "0s", "concurrency": 1, "autoscale": None} for name in ("c1", "c2")},
        "sidecar": {"cpu": "0s"},
        "load": {"web": {"rate": "8000/s", "enters": {"c1": 1}, "actions": {"use": {"requests": ["get"]}}}},
        "duration": "400ms",
    }
    simulation, totals = simulated(changes)
    world = simulation.mesh.plane.world
    assert totals["requests arrived"] > 2500
    assert totals["requests ended"] > 500
    assert int(world.clock[0].used) <= len(world.frames)
    assert int(world.clock[0].scheduled) <= len(world.heap)
