"""The calls in the scripts of services, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.schema import CallStep, Document, Step, Variant
from meshsim.scenario.tree import Path


def calls(document: Document) -> Iterator[tuple[Path, str, str, CallStep]]:
    """Yield every call as (path of its step, service, endpoint, call), workloads' own scripts included."""
    for name, service in document.services.items():
        for endpoint, description in service.endpoints.items():
            for path, call in steps_of(description, ("services", name, "endpoints", endpoint)):
                yield path, name, endpoint, call
        for workload, own in service.workloads.items():
            for endpoint, variant in own.endpoints.items():
                for path, call in steps_of(variant, ("services", name, "workloads", workload, "endpoints", endpoint)):
                    yield path, name, endpoint, call


def steps_of(endpoint: Variant, path: Path) -> Iterator[tuple[Path, CallStep]]:
    """Yield the calls of one script, each with the path of its step."""
    yield from _calls_in(endpoint.script, (*path, "script"))


def _calls_in(steps: list[Step], path: Path) -> Iterator[tuple[Path, CallStep]]:
    for index, step in enumerate(steps):
        if isinstance(step, list):
            yield from _calls_in(step, (*path, index))
        elif isinstance(step, CallStep):
            yield (*path, index), step
