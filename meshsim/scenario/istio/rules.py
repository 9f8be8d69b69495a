"""A resource without errors, and the settings that stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshsim.scenario.istio.fields import Found
from meshsim.scenario.istio.report import Origin
from meshsim.scenario.istio.resolve import Setting
from meshsim.scenario.tree import Path

RETRIES_OFF = "switches retries off, in Istio too: attempts is 0 or missing"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource without errors.

    Parameters
    ----------
    origin
        Where it stands, for messages; paths are relative to it.
    name, namespace
        As in its metadata; the namespace is ``default`` where none is given.
    spec
        Its spec as written.
    settings
        Modelled values.
    """

    origin: Origin
    name: str
    namespace: str
    spec: Mapping[str, Any]
    settings: tuple[Found, ...]

    def below(self, *prefixes: Path) -> tuple[Setting, ...]:
        """Return the settings that stand below any of these paths."""
        return tuple(
            Setting(found.name, found.value, self.origin.source(found.path))
            for found in self.settings
            if any(found.path[: len(prefix)] == prefix for prefix in prefixes)
        )
