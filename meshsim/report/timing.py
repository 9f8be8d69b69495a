"""What happens in a scenario and when, in words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from meshsim.scenario.happenings import Happening, happenings
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Span:
    """Something that happens for a while, or several times.

    Parameters
    ----------
    name
        Under which it is shown.
    start, end
        From the first beginning to the last end, seconds; ``end`` is None for what only has a start (a rollout, a
        change for good).
    parts
        Start and end of each time, where it happens more than once.
    """

    name: str
    start: float
    end: float | None
    parts: tuple[tuple[float, float | None], ...] = ()

    @property
    def times(self) -> tuple[tuple[float, float | None], ...]:
        """Start and end of each time that it happens, seconds."""
        return self.parts or ((self.start, self.end),)


def spans(document: Document) -> list[Span]:
    """Return what happens in a scenario, by start, under the user's name for it or in words made from its target.

    An event that is repeated is one span.

    Examples
    --------
    >>> target = {"service": "cart"}
    >>> document = Document.model_validate(
    ...     dict(
    ...         name="x",
    ...         regions={"eu": {}},
    ...         clusters={"c": {"region": "eu"}},
    ...         services={"cart": {"endpoints": {"get": {}}}},
    ...         load={"cart": {"rate": "1/s"}},
    ...         timeline=[{"event": "service_slow", "start": "9s", "duration": "1s", "target": target, "factor": 2}],
    ...     )
    ... )
    >>> spans(document)
    [Span(name='service slow: cart', start=9.0, end=10.0, parts=())]
    """
    by_event = groupby(happenings(document), key=lambda happening: happening.index)
    return sorted((_span(list(found)) for _, found in by_event), key=lambda span: span.start)


def _span(found: list[Happening]) -> Span:
    """Return all repetitions of one event, in order."""
    first = found[0]
    name = first.event.name or _words(first.event)
    if len(found) == 1:
        return Span(name, first.start, first.end)
    parts = tuple((happening.start, happening.end) for happening in found)
    return Span(f"{name}, {len(found)} times", first.start, found[-1].end, parts)


def _words(event: BaseModel) -> str:
    """Return such as ``control plane down: eu-1`` or ``link slow: region eu to region us``."""
    target = getattr(event, "target", None)
    given = target.model_dump(by_alias=True, exclude_none=True) if target is not None else {}
    if "from" in given:
        where = " to ".join(" ".join(str(value) for value in given[side].values()) for side in ("from", "to"))
    else:
        where = ", ".join("all" if value == "*" else str(value) for value in given.values())
    what = " ".join(filter(None, (str(getattr(event, "event", "event")), getattr(event, "change", ""))))
    what = what.replace("_", " ")
    return f"{what}: {where}" if where else what
