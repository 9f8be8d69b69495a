"""A mesh of two regions, and the lints of what is changed in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from meshsim.lint import lint
from meshsim.scenario import load

#: Users → web → cart, in two clusters of one network; cart has a pod in each zone of each cluster.
MESH: dict[str, Any] = {
    "name": "mesh",
    "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a", "b"]}},
    "clusters": {"eu-1": {"region": "eu"}, "us-1": {"region": "us"}},
    "latency": [{"between": ["eu", "us"], "rtt": "80ms"}],
    "services": {
        "web": {"replicas": 2, "endpoints": {"GET /": {"script": [{"call": "cart/GET /cart"}]}}},
        "cart": {"replicas": 2, "endpoints": {"GET /cart": {"script": [{"compute": "5ms"}]}}},
    },
    "load": {"web": {"rate": "10/s"}},
}
NETWORKS = {"clusters": {"eu-1": {"region": "eu", "network": "eu"}, "us-1": {"region": "us", "network": "us"}}}

Told = Callable[..., dict[str, list[str]]]


def rule(policy: Mapping[str, Any] | None = None, host: str = "cart", **spec: Any) -> dict[str, Any]:
    """Return a DestinationRule."""
    named = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": host}}
    return {**named, "spec": {"host": host, **({"trafficPolicy": policy} if policy is not None else {}), **spec}}


def routes(*http: Mapping[str, Any], host: str = "cart") -> dict[str, Any]:
    """Return a VirtualService, its rules sent to the host where they say nothing else."""
    named = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": host}}
    to = {"route": [{"destination": {"host": host}}]}
    return {**named, "spec": {"hosts": [host], "http": [{**to, **one} for one in http]}}


def merged(under: Any, over: Any) -> Any:
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return under | {key: merged(under[key], value) if key in under else value for key, value in over.items()}


@pytest.fixture
def told() -> Told:
    """Messages by code of the lints of the mesh with these resources and changes."""

    def find(*istio: Mapping[str, Any], **changes: Any) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in lint(load(merged(MESH, changes) | {"istio": list(istio)})):
            found.setdefault(one.code, []).append(one.message)
        return found

    return find
