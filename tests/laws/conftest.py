"""A scenario in which everything that can go wrong does, for the laws that hold whatever happens."""

from __future__ import annotations

import pytest

from meshsim.verify.parts import pool, route, rule


def storm_timeline() -> list[dict]:
    """Return every kind of event at least once, many of them overlapping."""
    us, eu1, eu2 = {"cluster": "us-1"}, {"cluster": "eu-1"}, {"cluster": "eu-2"}
    ocean = {"from": {"region": "eu"}, "to": {"region": "us"}}
    street = {"from": {"zone": "eu/a"}, "to": {"zone": "eu/b"}}
    lasting = [
        ("pod_churn", 2, 50, {"target": {"cluster": "*"}, "rate": "40/min"}),
        ("service_failing", 5, 10, {"target": {"service": "db"}, "fraction": 0.3}),
        ("service_slow", 8, 10, {"target": {"service": "app", "cluster": "eu-1"}, "factor": 8.0}),
        ("link_slow", 10, 10, {"target": ocean, "delay": "50ms", "factor": 2.0}),
        ("link_lossy", 12, 10, {"target": street, "loss": 0.2}),
        ("control_plane_down", 14, 12, {"target": eu1}),
        ("gateway_down", 18, 6, {"target": us}),
        ("gateway_down", 26, 6, {"target": eu1, "replicas": 1, "mode": "blackhole"}),
        ("zone_outage", 20, 8, {"target": {"zone": "eu/b"}, "mode": "refuse"}),
        ("partition", 30, 6, {"target": ocean}),
        ("traffic_surge", 33, 8, {"target": eu2, "factor": 3.0}),
        ("cluster_down", 36, 8, {"target": eu2, "mode": "blackhole"}),
        ("region_outage", 46, 6, {"target": {"region": "us"}, "mode": "blackhole"}),
        ("zone_outage", 48, 6, {"target": {"zone": "eu/a"}, "mode": "blackhole"}),
        ("scale", 15, 20, {"target": {"service": "app"}, "replicas": 6}),
    ]
    events = [{"event": kind, "start": f"{at}s", "duration": f"{long}s", **more} for kind, at, long, more in lasting]
    return [
        *events,
        {"event": "scale", "start": "40s", "target": {"service": "db", "cluster": "us-1"}, "replicas": 1},
        {"event": "rollout", "start": "6s", "target": {"service": "db"}},
        {"event": "rollout", "start": "38s", "target": {"service": "web"}},
    ]


def storm_services() -> dict:
    """Return a small application with parallel, repeated, unlikely, unawaited and recursive calls."""
    short, gamma = {"compute": {"exponential": "1ms"}}, {"compute": {"gamma": {"mean": "3ms", "cv": 0.7}}}
    run = [{"compute": {"exponential": "4ms"}}, {"call": "db/get", "timeout": "200ms"}]
    return {
        "web": {
            "replicas": 2,
            "workers": 4,
            "endpoints": {
                "page": {
                    "script": [
                        {"compute": {"p50": "2ms", "p99": "9ms"}},
                        [
                            {"call": "app/run", "timeout": "300ms", "retries": 1},
                            [short, {"call": "db/get", "count": 1.6, "on_error": "ignore"}],
                            {"call": "db/get", "probability": 0.3, "wait": False},
                        ],
                    ]
                },
                "status": {"script": []},
            },
        },
        "app": {
            "replicas": 3,
            "workers": 2,
            "queue": 10,
            "endpoints": {"run": {"script": run}},
        },
        "db": {
            "protocol": "grpc",
            "replicas": {"eu-1": 2, "us-1": 3},
            "workers": 4,
            "endpoints": {"get": {"script": [gamma, {"call": "app/run", "probability": 0.02}]}},
        },
    }


@pytest.fixture
def storm() -> dict:
    """Return a mesh of three clusters and two networks, a minute long, with every kind of event."""
    detect = {"consecutive5xxErrors": 3, "interval": "2s", "baseEjectionTime": "5s", "maxEjectionPercent": 60}
    app_pool = {
        "tcp": {"maxConnections": 2, "connectTimeout": "1s"},
        "http": {"http1MaxPendingRequests": 4},
    }
    db_pool = {"tcp": {"connectTimeout": "1s"}, "http": {"maxRetries": 2}}
    retries = {"attempts": 3, "perTryTimeout": "80ms", "retryOn": "5xx,connect-failure"}
    policies = [
        rule("app", outlierDetection=detect, loadBalancer={"simple": "ROUND_ROBIN"}, connectionPool=app_pool),
        rule("db", outlierDetection=detect, connectionPool=db_pool),
        pool("web", http2MaxRequests=30),
        route("app", timeout="250ms", retries=retries),
        route("db", retries={"attempts": 2, "retryOn": "unavailable,reset,connect-failure"}),
    ]
    return {
        "name": "storm",
        "regions": {
            "eu": {"cloud_region": "aws:eu-west-1", "zones": ["a", "b"]},
            "us": {"cloud_region": "aws:us-east-1"},
        },
        "clusters": {
            "eu-1": {"region": "eu", "network": "eu"},
            "eu-2": {"region": "eu", "zones": ["b"], "network": "eu"},
            "us-1": {"region": "us", "network": "us"},
        },
        "services": storm_services(),
        "load": {
            "web": {"rate": "60/s", "actions": {"visit": {"requests": ["status", "page", "page"]}}},
            "shop": {
                "service": "web", "arrivals": "closed", "users": 6, "think_time": {"exponential": "200ms"},
                "actions": {"look": {"requests": ["page"]}},
            },
        },
        "gateways": {"eu-1": {"replicas": 2, "addresses": 2}, "us-1": {"replicas": 2}},
        "istio": policies,
        "kubernetes": {"pod_start": "3s", "drain": "2s", "node_grace": "4s"},
        "istiod": {"restart_time": "2s"},
        "timeline": storm_timeline(),
        "duration": "60s",
        "warm_up": "5s",
        "seed": 7,
    }  # fmt: skip
