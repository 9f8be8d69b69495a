"""Checks of Gateway resources: in Istio an east-west gateway passes on only what one of them opens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Path


def east_west_gateways_are_opened(document: Document) -> Iterator[Finding]:
    """Yield the first Gateway where there are some and none is for traffic between networks (spec §4.4)."""
    found = [(index, resource) for index, resource in enumerate(document.istio) if resource.get("kind") == "Gateway"]
    if not document.gateways or not found or any(_passthrough(resource) for _, resource in found):
        return
    path: Path = ("istio", found[0][0])
    networks = dict.fromkeys(document.clusters[name].network for name in document.gateways if name in document.clusters)
    message = (
        f"no Gateway has a server with tls.mode AUTO_PASSTHROUGH: in Istio the east-west gateways of "
        f"{', '.join(networks)} would pass nothing on; meshsim takes them to be open"
    )
    yield Finding(path, message, warning=True)


def _passthrough(resource: dict[str, Any]) -> bool:
    """Tell whether a resource, which may have any shape here, has such a server."""
    spec = resource.get("spec")
    servers = spec.get("servers") if isinstance(spec, dict) else None
    modes = [server.get("tls") for server in servers or [] if isinstance(server, dict)] if servers else []
    return any(isinstance(tls, dict) and tls.get("mode") == "AUTO_PASSTHROUGH" for tls in modes)
