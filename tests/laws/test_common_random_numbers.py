"""Deployments and variants see the same arrivals, demands and pod deaths, so that their differences show through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meshsim import experiment, load
from meshsim.analysis.statistics import interval, paired

REPLICATIONS = 8


@pytest.fixture
def outage() -> dict:
    """Return a mesh whose first cluster's control plane is lost while pods are evicted everywhere."""
    detect = {"consecutive5xxErrors": 5}
    work = {"compute": {"p50": "8ms", "p99": "800ms"}}  # a heavy tail, and workers to spare: chance is in the demands
    return {
        "name": "outage",
        "regions": {"eu": {"cloud_region": "aws:eu-west-1"}, "us": {"cloud_region": "aws:us-east-1"}},
        "clusters": {"eu-1": {"region": "eu", "network": "eu"}, "us-1": {"region": "us", "network": "us"}},
        "services": {
            "web": {"replicas": 12, "workers": 1000, "endpoints": {"x": {"script": [work, {"call": "db/x"}]}}},
            "db": {"replicas": 12, "workers": 1000, "endpoints": {"x": {"script": [work]}}},
        },
        "load": {"web": {"rate": "200/s"}},
        "istio": [
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "DestinationRule",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"host": name, "trafficPolicy": {"outlierDetection": detect}},
            }
            for name in ("web", "db")
        ],
        "deployments": ["multi-primary", "primary-remote"],
        "timeline": [
            {"event": "control_plane_down", "start": "20s", "duration": "60s", "target": {"cluster": "eu-1"}},
            {"event": "pod_churn", "start": "20s", "duration": "60s", "rate": "4/min", "target": {"cluster": "*"}},
        ],
        "duration": "100s",
        "warm_up": "10s",
    }


def unpaired(a: np.ndarray, b: np.ndarray) -> float:
    """Return the half width of the difference of two means, as if they had nothing in common."""
    return math.hypot(interval(a).half_width, interval(b).half_width)


def mean_latencies(scenario: dict, deployment: str) -> np.ndarray:
    found = load(scenario)
    rows = experiment.run(found, [deployment], replications=REPLICATIONS).tables["requests"]
    sums = rows[rows["start"] >= found.document.warm_up].groupby("replication")[["latency_sum", "count"]].sum()
    return (sums["latency_sum"] / sums["count"]).to_numpy()


@pytest.mark.slow
def test_deployments_differ_by_what_they_are_and_not_by_chance(outage):
    multi, remote = (mean_latencies(outage, name) for name in ("multi-primary", "primary-remote"))
    difference = paired(multi, remote)
    assert not np.array_equal(multi, remote)
    assert difference.half_width < unpaired(multi, remote) / 3, (multi, remote)


@pytest.mark.slow
def test_a_longer_link_is_told_from_chance(outage):
    outage["timeline"] = []
    outage["services"]["db"]["replicas"] = {"eu-1": 0, "us-1": 12}
    longer = {**outage, "latency": [{"between": ["eu", "us"], "rtt": {"p50": "71ms", "p99": "75ms"}}]}
    shorter = {**outage, "latency": [{"between": ["eu", "us"], "rtt": {"p50": "70ms", "p99": "74ms"}}]}
    before, after = (mean_latencies(scenario, "multi-primary") for scenario in (shorter, longer))
    difference = paired(before, after)
    assert difference.half_width < unpaired(before, after) / 10, (before, after)
    assert 0.0003 < difference.mean < 0.0007  # half of the requests cross, each 1 ms longer
    assert difference.low > 0


def test_pods_die_and_users_come_alike_under_every_deployment(outage):
    outage["timeline"] = [{**event, "start": "20s", "duration": "60s"} for event in outage["timeline"][1:]]
    tables = experiment.run(load(outage), replications=2).tables
    events = tables["events"]
    deaths = {
        name: rows[["replication", "time", "subject"]].to_numpy().tolist()
        for name, rows in events[events["kind"] == "pod deleted"].groupby("deployment", observed=True)
    }
    totals = tables["totals"]
    arrived = totals[totals["quantity"] == "requests arrived"].groupby("deployment", observed=True)["value"].apply(list)
    assert len(deaths["multi-primary"]) > 0
    assert deaths["multi-primary"] == deaths["primary-remote"]
    assert arrived["multi-primary"] == arrived["primary-remote"]
