"""Checks of Istio's locality settings: regions and zones that the scenario does not have mean nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Path


def failover_is_between_known_regions(document: Document) -> Iterator[Finding]:
    """Yield failovers, of DestinationRules and of the mesh, from or to a region that does not exist."""
    for start, value in _settings(document):
        for path, region in _failover_regions(start, value):
            if region not in document.regions:
                found = unknown(path, "region", region, document.regions)
                yield replace(found, message=f"has no effect: {found.message}", warning=True)


def distribute_is_over_known_localities(document: Document) -> Iterator[Finding]:
    """Yield localities of a ``distribute`` that match no zone of the scenario: their share goes to nobody."""
    places = {(region, zone) for region, described in document.regions.items() for zone in described.zones}
    for start, value in _settings(document):
        for path, locality in _localities(start, value):
            region, zone = (*locality.split("/"), "", "")[:2]
            if not any(region in {"*", place[0]} and zone in {"*", "", place[1]} for place in places):
                message = f"has no effect: the locality {locality!r} matches no zone of the scenario"
                yield Finding(path, message, warning=True)


def _settings(document: Document) -> Iterator[tuple[Path, Any]]:
    """Yield the places where locality settings may stand."""
    yield ("mesh_config",), document.mesh_config
    for index, resource in enumerate(document.istio):
        if resource.get("kind") in ("DestinationRule", "IstioOperator"):
            yield ("istio", index, "spec"), resource.get("spec")


def _localities(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield every locality of a ``distribute`` below a value, which may have any shape."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _localities((*path, index), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "distribute" and isinstance(item, list):
                for index, entry in enumerate(item):
                    yield from _entry((*path, key, index), entry)
            else:
                yield from _localities((*path, key), item)


def _entry(path: Path, entry: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(entry, dict):
        if isinstance(entry.get("from"), str):
            yield (*path, "from"), entry["from"]
        if isinstance(entry.get("to"), dict):
            yield from (((*path, "to", key), key) for key in entry["to"] if isinstance(key, str))


def _failover_regions(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield every region of a failover below a value, which may have any shape: it is checked elsewhere."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _failover_regions((*path, index), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in {"localityLbSetting", "zoneAwareLbSetting"}:
                yield from _pairs((*path, key, "failover"), item)
            else:
                yield from _failover_regions((*path, key), item)


def _pairs(path: Path, setting: Any) -> Iterator[tuple[Path, str]]:
    pairs = setting.get("failover") if isinstance(setting, dict) else None
    for index, pair in enumerate(pairs if isinstance(pairs, list) else ()):
        for end in ("from", "to"):
            if isinstance(pair, dict) and isinstance(pair.get(end), str):
                yield (*path, index, end), pair[end]
