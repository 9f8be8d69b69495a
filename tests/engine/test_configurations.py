"""Changes of configuration in a whole run: primaries that drift apart treat requests differently."""

from __future__ import annotations

from typing import Any

import pytest

from meshsim.engine.simulation import Simulation
from meshsim.mesh.deployment import control_planes
from meshsim.scenario import load

TEAPOT = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "app"},
    "spec": {"hosts": ["app"], "http": [{"directResponse": {"status": 418}}]},
}
MESH: dict[str, Any] = {
    "name": "drift",
    "regions": {"eu": {"zones": ["a"]}},
    "clusters": {"c1": {"region": "eu"}, "c2": {"region": "eu"}},
    "services": {
        "web": {"endpoints": {"GET": {"script": [{"call": "app/GET", "on_error": "ignore"}]}}},
        "app": {"endpoints": {"GET": {}}},
    },
    "load": {"web": {"rate": "40/s"}},
    "deployments": ["multi-primary", "primary-remote"],
    "duration": "20s",
    "warm_up": "0s",
}


def answered(deployment, **fields):
    """Return between which times calls of web's pods, by cluster, were answered by the proxy itself."""
    event = {"event": "config_change", "start": "5s", "apply": [TEAPOT], **fields}
    scenario = load({**MESH, "timeline": [event]}, planes=control_planes)
    calls = Simulation(scenario, deployment).run()["calls"]
    spans: dict[str, tuple[float, float]] = {}
    own = zip(calls["source_cluster"], calls["code"], calls["start"], calls["end"], strict=True)
    for cluster, code, start, end in own:
        if code == 418:
            first, last = spans.get(cluster, (start, end))
            spans[cluster] = (min(first, start), max(last, end))
    return spans


def test_each_primary_treats_requests_by_its_own_configuration_while_a_change_is_staggered():
    spans = answered("multi-primary", stagger="4s", duration="6s")
    assert spans["c1"] == pytest.approx((5, 11), abs=1.0)
    assert spans["c2"] == pytest.approx((9, 15), abs=1.0)


def test_a_primary_that_was_forgotten_goes_on_as_before():
    assert list(answered("multi-primary", target={"cluster": "c2"})) == ["c2"]


def test_one_primary_changes_all_its_clusters_at_once():
    spans = answered("primary-remote", stagger="4s", duration="6s")
    assert spans["c1"] == pytest.approx((5, 11), abs=1.0)
    assert spans["c2"] == pytest.approx((5, 11), abs=1.0)


@pytest.mark.parametrize("deployment", ["multi-primary", "primary-remote"])
def test_a_rejected_change_changes_nothing(deployment):
    assert answered(deployment, rejected=True) == {}
