"""What reading Istio resources found: errors and warnings, each with its file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from meshsim.errors import Problem
from meshsim.scenario.istio.fields import NO_EFFECT
from meshsim.scenario.tree import Path, format_path

Locate = Callable[[Path], tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a resource, or a MeshConfig, was written.

    Parameters
    ----------
    index
        Its place in the order of reading.
    label
        How messages name it: ``DestinationRule/cart``, or ``MeshConfig``.
    locate
        Returns file and line of a path within it.
    title
        How `Policy.sources` names it: ``DestinationRule shop/cart``.
    """

    index: int
    label: str
    locate: Locate
    title: str = ""

    def source(self, path: Path) -> str:
        """Return a field's origin as `Policy.sources` shows it."""
        place = place_of(*self.locate(path))
        return f"{self.title or self.label} ({place})" if place else self.title or self.label

    def at(self, path: Path) -> str:
        """Return the start of a message about a field."""
        return ": ".join(part for part in (place_of(*self.locate(path)), self.label, format_path(path)) if part)


def place_of(file: str, line: int) -> str:
    """Return a place in a file as messages show it.

    Examples
    --------
    >>> place_of("mesh.yaml", 3), place_of("", 0)
    ('mesh.yaml:3', '')
    """
    return f"{file}:{line}" if file and line else file


@dataclass(frozen=True, slots=True)
class Warned:
    """A part of a resource that changes nothing, or not what it says.

    Parameters
    ----------
    origin
        The resource.
    covers
        The part: nothing below it needs a warning of its own.
    at
        The field that the message names.
    message
        Why.
    """

    origin: Origin
    covers: Path
    at: Path
    message: str


class Report:
    """Collects errors and warnings while resources are read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warned: list[Warned] = []

    def problem(self, origin: Origin, path: Path, message: str) -> None:
        """Add an error."""
        file, line = origin.locate(path)
        shown = ": ".join(part for part in (origin.label, format_path(path)) if part)
        self.problems.append(Problem(message, shown, file, line))

    def warn(self, origin: Origin, covers: Path, message: str = NO_EFFECT, at: Path | None = None) -> None:
        """Add a warning."""
        self.warned.append(Warned(origin, covers, covers if at is None else at, message))

    def warnings(self) -> tuple[str, ...]:
        """Return every warning once, in the order of the resources: parts of parts are left out, repeats counted."""
        whole = {(warned.origin.index, warned.covers) for warned in self.warned}
        groups: dict[tuple[int, Path, str], list[Warned]] = {}
        for warned in self.warned:
            index, covers = warned.origin.index, warned.covers
            if not any((index, covers[:length]) in whole for length in range(len(covers))):
                key = (index, tuple("" if isinstance(part, int) else part for part in covers), warned.message)
                groups.setdefault(key, []).append(warned)
        return tuple(_shown(group) for group in sorted(groups.values(), key=_order))


def _order(group: list[Warned]) -> tuple[int, str, int]:
    return (group[0].origin.index, *group[0].origin.locate(group[0].at))


def _shown(group: Iterable[Warned]) -> str:
    first, *others = dict.fromkeys(group)
    more = f" (and {len(others)} more like it)" if others else ""
    return f"{first.origin.at(first.at)}: {first.message}{more}"
