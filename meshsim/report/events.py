"""The timeline of a scenario as named spans: in words, packed into lanes, drawn above and behind other axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from meshsim.report.shorten import short
from meshsim.report.style import BODY, FAULT_SHADE, GREY, SMALL, VERMILLION, WARM_UP_SHADE
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pydantic import BaseModel

#: Room between two labels of a lane, points.
_GAP = 6.0


@dataclass(frozen=True, slots=True)
class Span:
    """Something that happens for a while; ``end`` is None for what only has a start (a rollout, a change for good)."""

    name: str
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A span in its lane, with its label to the right of its start, inside it or, near the edge, to the left."""

    span: Span
    lane: int
    label: str
    x: float
    align: str


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


def pack(found: Sequence[Span], end: float, width: float, size: float = SMALL) -> list[Placed]:
    """Return each span with a lane in which neither its bar nor its label meets another's.

    Parameters
    ----------
    found
        Spans by start.
    end
        End of the time axis, seconds.
    width
        Width of the axes, points.
    size
        Font size of the labels, points.

    Examples
    --------
    >>> both = [Span("first", 0.0, 60.0), Span("second", 30.0, 90.0), Span("third", 95.0, None)]
    >>> [placed.lane for placed in pack(both, 100.0, 400.0)]
    [0, 1, 0]
    """
    free: list[float] = []
    placed = []
    for span in found:
        label = short(span.name, 44)
        length = (text_width(label, size) + 2 * _GAP) * end / width
        last = min(span.end if span.end is not None else span.start, end)
        fits = span.start + length <= end
        left, right = (span.start, max(last, span.start + length)) if fits else (min(span.start, end - length), end)
        lane = next((i for i, taken in enumerate(free) if taken <= left), len(free))
        free[lane : lane + 1] = [right]
        at = span.start + _GAP * end / width if fits else end
        placed.append(Placed(span, lane, label, at, "left" if fits else "right"))
    return placed


def text_width(text: str, size: float) -> float:
    """Return the width of a line of text in points.

    Examples
    --------
    >>> text_width("wide", 8.0) > text_width("i", 8.0)
    True
    """
    font = FontProperties(family=["DejaVu Sans"], size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def draw_lanes(axes: Axes, placed: Sequence[Placed], warm_up: float) -> None:
    """Draw the spans as named bars, the warm-up before them; what has no end is a mark."""
    lanes = max((item.lane for item in placed), default=0) + 1
    axes.set_ylim(lanes - 0.4, -0.6)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    if warm_up > 0:
        axes.axvspan(0.0, warm_up, color=WARM_UP_SHADE, lw=0, gid="warm-up")
    end = axes.get_xlim()[1]
    for item in placed:
        span = item.span
        if span.end is None:
            axes.plot([span.start], [item.lane], marker=">", ms=5, color=VERMILLION, ls="", clip_on=False)
        else:
            length = min(span.end, end) - span.start
            axes.barh(item.lane, length, left=span.start, height=0.82, color=FAULT_SHADE, ec=VERMILLION, lw=0.6)
        axes.text(item.x, item.lane, item.label, fontsize=SMALL, ha=item.align, va="center_baseline", gid="event")


def rule(axes: Axes, found: Iterable[Span], warm_up: float) -> None:
    """Rule where something starts and ends, over axes that are filled and so cannot be shaded."""
    if warm_up > 0:
        axes.axvline(warm_up, color=GREY, lw=0.8, zorder=3, gid="warm-up")
    for span in found:
        for at in (span.start, span.end):
            if at is not None:
                axes.axvline(at, color="black", lw=0.7, ls=(0, (1, 2)), zorder=3, gid=f"event {span.name}")


def shade(axes: Axes, found: Iterable[Span], warm_up: float) -> None:
    """Shade when something lasts, rule where something starts, and grey the warm-up, behind what is plotted."""
    if warm_up > 0:
        axes.axvspan(0.0, warm_up, color=WARM_UP_SHADE, lw=0, zorder=0.1, gid="warm-up")
    for span in found:
        if span.end is None:
            axes.axvline(span.start, color=VERMILLION, lw=0.7, ls=(0, (1, 2)), zorder=0.3, gid=f"event {span.name}")
        else:
            axes.axvspan(
                span.start, span.end, color=FAULT_SHADE, alpha=0.55, lw=0, zorder=0.2, gid=f"event {span.name}"
            )


#: Height of a lane, inches.
LANE = 1.75 * BODY / 72
