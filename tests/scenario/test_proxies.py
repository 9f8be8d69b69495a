"""Worker threads of gateways: their own, or those of Istio's resources."""

from __future__ import annotations

from typing import Any

import pytest

from meshsim.scenario import load
from meshsim.scenario.proxies import gateway_threads
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import EastWestGateway, Gateway

WIDE = {"mesh_config": {"defaultConfig": {"concurrency": 3}}}


def config(threads: int, namespace: str = "istio-system", **labels: str) -> dict[str, Any]:
    selector = {"selector": {"matchLabels": labels}} if labels else {}
    named = {"name": f"p{threads}", "namespace": namespace}
    spec = {**selector, "concurrency": threads}
    return {"apiVersion": "networking.istio.io/v1beta1", "kind": "ProxyConfig", "metadata": named, "spec": spec}


def threads(scenario: dict[str, Any], **own: Any) -> tuple[int, int]:
    """Return those of an ingress and of an east-west gateway."""
    resources = load({**EXAMPLE, **scenario}).resources
    return gateway_threads(Gateway(**own), resources), gateway_threads(EastWestGateway(**own), resources)


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ({}, (2, 2)),
        (WIDE, (3, 3)),
        ({"istio": [config(4)]}, (4, 4)),
        ({**WIDE, "istio": [config(4)]}, (4, 4)),
        ({**WIDE, "istio": [config(4, istio="ingressgateway")]}, (4, 3)),
        ({**WIDE, "istio": [config(4, istio="eastwestgateway")]}, (3, 4)),
        ({**WIDE, "istio": [config(4, namespace="default")]}, (3, 3)),
        ({"istio": [config(0)]}, (2, 2)),
    ],
)
def test_gateways_have_the_threads_that_a_proxy_config_or_the_mesh_asks_for(scenario, expected):
    assert threads(scenario) == expected


def test_a_proxy_config_for_a_gateway_is_not_said_to_do_nothing():
    own = config(4, istio="ingressgateway")
    assert load({**EXAMPLE, "istio": [own]}).warnings == load(EXAMPLE).warnings
    (told,) = set(load({**EXAMPLE, "istio": [own, config(3, istio="ingressgateway")]}).warnings)
    assert "ProxyConfig" in told
    assert "counts before it" in told


def test_a_resolved_scenario_has_the_same_threads():
    """Runs and reports are made from resolved scenarios."""
    gateways = {"east": {}, "west": {"concurrency": 2}}
    clusters = {name: {"region": "eu", "network": name} for name in gateways}
    said = {**EXAMPLE, **WIDE, "clusters": clusters, "gateways": gateways, "ingress": gateways}
    for scenario in (load(said), load(load(said).resolved())):
        for kind in (scenario.document.gateways, scenario.document.ingress):
            assert [gateway_threads(kind[name], scenario.resources) for name in gateways] == [3, 2]


def test_a_gateways_own_threads_come_first_also_where_they_are_the_default():
    assert threads(WIDE, concurrency=1) == (1, 1)
    assert threads(WIDE, concurrency=2) == (2, 2)
