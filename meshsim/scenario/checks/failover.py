"""Checks of Istio's locality failover: regions that the scenario does not have fail over to nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Path


def failover_is_between_known_regions(document: Document) -> Iterator[Finding]:
    """Yield failovers, of DestinationRules and of the mesh, from or to a region that does not exist."""
    places: list[tuple[Path, Any]] = [(("mesh_config",), document.mesh_config)]
    for index, resource in enumerate(document.istio):
        if resource.get("kind") in ("DestinationRule", "IstioOperator"):
            places.append((("istio", index, "spec"), resource.get("spec")))
    for start, value in places:
        for path, region in _failover_regions(start, value):
            if region not in document.regions:
                found = unknown(path, "region", region, document.regions)
                yield replace(found, message=f"has no effect: {found.message}", warning=True)


def _failover_regions(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield every region of a failover below a value, which may have any shape: it is checked elsewhere."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _failover_regions((*path, index), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "localityLbSetting":
                yield from _pairs((*path, key, "failover"), item)
            else:
                yield from _failover_regions((*path, key), item)


def _pairs(path: Path, setting: Any) -> Iterator[tuple[Path, str]]:
    pairs = setting.get("failover") if isinstance(setting, dict) else None
    for index, pair in enumerate(pairs if isinstance(pairs, list) else ()):
        for end in ("from", "to"):
            if isinstance(pair, dict) and isinstance(pair.get(end), str):
                yield (*path, index, end), pair[end]
