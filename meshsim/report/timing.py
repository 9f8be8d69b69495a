"""What happens in a scenario and when, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Span:
    """Something that happens for a while; ``end`` is None for what only has a start (a rollout, a change for good)."""

    name: str
    start: float
    end: float | None


def spans(document: Document) -> list[Span]:
    """Return what happens in a scenario, by start, under the user's name for it or in words made from its target.

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
    [Span(name='service slow: cart', start=9.0, end=10.0)]
    """
    found = []
    for event in document.timeline:
        lasting = getattr(event, "duration", None)
        end = None if lasting is None else event.start + lasting
        found.append(Span(event.name or _words(event), event.start, end))
    return sorted(found, key=lambda span: span.start)


def _words(event: BaseModel) -> str:
    """Return such as ``control plane down: eu-1`` or ``link slow: region eu to region us``."""
    target = getattr(event, "target", None)
    given = target.model_dump(by_alias=True, exclude_none=True) if target is not None else {}
    if "from" in given:
        where = " to ".join(" ".join(str(value) for value in given[side].values()) for side in ("from", "to"))
    else:
        where = ", ".join("all" if value == "*" else str(value) for value in given.values())
    what = str(getattr(event, "event", "event")).replace("_", " ")
    return f"{what}: {where}" if where else what
