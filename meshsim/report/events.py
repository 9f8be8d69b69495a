"""The timeline of a scenario in pictures: named spans packed into lanes, drawn above and behind other axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from meshsim.report.shorten import short
from meshsim.report.style import BODY, FAULT_SHADE, GREY, SMALL, VERMILLION, WARM_UP, any_script
from meshsim.report.timing import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Room between two labels of a lane, points.
_GAP = 6.0
#: Repetitions whose starts and ends are ruled one by one.
_RULED = 6


@dataclass(frozen=True, slots=True)
class Placed:
    """A span in its lane, with its label inside it, to the right of it or, near the edge, to the left of it."""

    span: Span
    lane: int
    label: str
    x: float
    align: str


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
        length, gap = (points * end / width for points in (text_width(label, size), _GAP))
        last = min(span.end if span.end is not None else span.times[-1][0], end)
        if span.end is not None and last - span.start >= length + 2 * gap:
            x, align, left, right = span.start + gap, "left", span.start, last
        elif last + length + 2 * gap <= end:
            x, align, left, right = last + gap, "left", span.start, last + length + gap
        else:
            x, align, left, right = span.start - gap, "right", span.start - length - gap, last
        lane = next((i for i, taken in enumerate(free) if taken + gap <= left), len(free))
        free[lane : lane + 1] = [right]
        placed.append(Placed(span, lane, label, x, align))
    return placed


def text_width(text: str, size: float) -> float:
    """Return the width of a line of text in points.

    Examples
    --------
    >>> text_width("wide", 8.0) > text_width("i", 8.0)
    True
    """
    font = FontProperties(family=["DejaVu Sans"], size=size)
    with any_script():
        return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def draw_lanes(axes: Axes, placed: Sequence[Placed], warm_up: float) -> None:
    """Draw the spans as named bars, the warm-up before them; what has no end is a mark.

    What happens several times is a pale bar from the first to the last, with a strip under its name for each time.
    """
    lanes = max((item.lane for item in placed), default=0) + 1
    axes.set_ylim(lanes - 0.4, -0.6)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    if warm_up > 0:
        axes.axvspan(0.0, warm_up, **WARM_UP, gid="warm-up")
    end = axes.get_xlim()[1]
    for item in placed:
        _draw_bar(axes, item.span, item.lane, end)
        above = 0.07 if item.span.parts and item.span.end is not None else 0.0
        axes.text(
            item.x, item.lane - above, item.label, fontsize=SMALL, ha=item.align, va="center_baseline", gid="event"
        )


def _draw_bar(axes: Axes, span: Span, lane: int, edge: float) -> None:
    if span.parts and span.end is not None:
        length = min(span.end, edge) - span.start
        axes.barh(lane, length, left=span.start, height=0.82, color=FAULT_SHADE, alpha=0.4, lw=0)
    for start, end in span.times:
        if end is None:
            axes.plot([start], [lane], marker=">", ms=5, color=VERMILLION, ls="", clip_on=False)
        elif span.parts:
            length = min(end, edge) - start
            axes.barh(lane + 0.37, length, left=start, height=0.12, color=VERMILLION, ec=VERMILLION, lw=0.2)
        else:
            length = min(end, edge) - start
            axes.barh(lane, length, left=start, height=0.82, color=FAULT_SHADE, ec=VERMILLION, lw=0.6)


def rule(axes: Axes, found: Iterable[Span], warm_up: float) -> None:
    """Rule where something starts and ends, over axes that are filled and so cannot be shaded.

    What happens more than `_RULED` times is ruled where it first starts and last ends: more lines would hide the rest.
    """
    if warm_up > 0:
        axes.axvline(warm_up, color=GREY, lw=0.8, zorder=3, gid="warm-up")
    for span in found:
        for times in span.times if len(span.times) <= _RULED else ((span.start, span.end),):
            for at in times:
                if at is not None:
                    axes.axvline(at, color="black", lw=0.7, ls=(0, (1, 2)), zorder=3, gid=f"event {span.name}")


def shade(axes: Axes, found: Iterable[Span], warm_up: float) -> None:
    """Shade when something lasts, rule where something starts, and grey the warm-up, behind what is plotted."""
    if warm_up > 0:
        axes.axvspan(0.0, warm_up, **WARM_UP, zorder=0.1, gid="warm-up")
    for span in found:
        for start, end in span.times:
            name = f"event {span.name}"
            if end is None:
                axes.axvline(start, color=VERMILLION, lw=0.7, ls=(0, (1, 2)), zorder=0.3, gid=name)
            else:
                axes.axvspan(start, end, color=FAULT_SHADE, alpha=0.55, lw=0, zorder=0.2, gid=name)


#: Height of a lane, inches.
LANE = 1.75 * BODY / 72
