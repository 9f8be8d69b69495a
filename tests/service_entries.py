"""ServiceEntries as tests need them: a host outside the clusters, with endpoints at given places."""

from __future__ import annotations

from typing import Any


def service_entry(name: str, *localities: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """Return the ServiceEntry of ``NAME.example.com``, with an endpoint in each locality (``region/zone``)."""
    endpoints = [{"address": f"10.9.0.{n}", "locality": locality} for n, locality in enumerate(localities, start=1)]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hosts": [f"{name}.example.com"], "resolution": "STATIC", "endpoints": endpoints, **spec},
    }
