"""How every picture looks: colours fixed per deployment, readable in print, in greyscale and by the colour-blind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from meshsim.report.numbers import duration
from meshsim.results.tables import FLOWS

#: Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), ordered so that neighbours differ in greyscale too.
BLUE, ORANGE, GREEN, PURPLE, BLACK, SKY, VERMILLION, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
)
GREY = "#6E6E6E"
#: Faults are shaded and the warm-up is greyed in the same way in every picture.
FAULT_SHADE = "#F6DCCB"
WARM_UP: dict[str, Any] = {"fc": "#EAEAEA", "ec": "#C4C4C4", "hatch": "\\\\\\", "lw": 0}
NO_LOAD: dict[str, Any] = {"fc": "#F7F7F7", "ec": "#DDDDDD", "hatch": "///", "lw": 0}

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BLACK, SKY, VERMILLION)
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 3)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*")
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++")
#: Fills of the flows, light to dark with distance so that greyscale keeps their order.
FLOW_COLOURS = dict(zip(FLOWS, ("#CDE8F8", "#F0C75E", "#C2500A"), strict=True))
FLOW_HATCHES = dict(zip(FLOWS, ("", "....", "////"), strict=True))
#: Fill of the calls that have no flow, as they reached no pod: darker than any distance.
UNREACHED = "#262626"

#: Points; the smallest is 8 so that a picture printed at its own size can be read.
SMALL, BODY, TITLE = 8.0, 9.0, 10.0
PNG_DPI = 150
#: Leading digits of the steps between ticks.
ROUND = (1, 2, 2.5, 5, 10)
#: Inches: the text width of a page, and of a page on its side.
PORTRAIT, LANDSCAPE = 7.5, 10.5

_SETTINGS: dict[str, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": BODY,
    "axes.titlesize": BODY,
    "axes.titlelocation": "left",
    "axes.labelsize": BODY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "grid.color": "#D8D8D8",
    "grid.linewidth": 0.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.titlesize": TITLE,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.5,
    "lines.linewidth": 1.5,
    "svg.hashsalt": "meshsim",
    "svg.fonttype": "path",
    # A "$" in a name is a dollar sign, never mathematics.
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one deployment is drawn, the same in every picture."""

    colour: str
    line: Any
    marker: str
    hatch: str


@contextmanager
def style() -> Iterator[None]:
    """Apply the house style inside the block only; the user's own matplotlib settings are left as they were.

    Examples
    --------
    >>> before = mpl.rcParams["font.size"]
    >>> with style():
    ...     inside = mpl.rcParams["font.size"]
    >>> inside, mpl.rcParams["font.size"] == before
    (9.0, True)
    """
    with mpl.rc_context(cast("Any", _SETTINGS)):
        yield


@contextmanager
def any_script() -> Iterator[None]:
    """Draw names in scripts that the font lacks as boxes, without a warning for each letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def looks(deployments: Iterable[str]) -> dict[str, Look]:
    """Return the look of each deployment, by its order of appearance; colour, line, marker and hatch all differ.

    Examples
    --------
    >>> looks(["multi-primary", "hybrid"])["hybrid"].colour
    '#E69F00'
    """
    names = list(dict.fromkeys(deployments))
    return {
        name: Look(
            _COLOURS[i % len(_COLOURS)],
            _LINES[i % len(_LINES)],
            _MARKERS[i % len(_MARKERS)],
            _HATCHES[i % len(_HATCHES)],
        )
        for i, name in enumerate(names)
    }


class Picture(Figure):
    """A figure outside pyplot's registry, so nothing leaks; notebooks show it, and any Axes of it, as PNG."""

    def add_subplot(self, *args: Any, **options: Any) -> Axes:
        """Add Axes that show their picture in a notebook."""
        axes: Axes = super().add_subplot(*args, **{"axes_class": Panel, **options})
        return axes

    def _repr_png_(self) -> bytes:
        return render(self, "png")


class Panel(Axes):
    """Axes of a `Picture`; notebooks show the whole of it."""

    def _repr_png_(self) -> bytes | None:
        figure = self.figure
        return render(figure, "png") if isinstance(figure, Picture) else None


def picture(width: float, height: float) -> Picture:
    """Return an empty picture of this size in inches, laid out so that labels never overlap axes.

    Examples
    --------
    >>> float(picture(PORTRAIT, 4.0).get_figwidth())
    7.5
    """
    return Picture(figsize=(width, height), layout="constrained")


def spaced(values: np.ndarray[Any, Any], first: float, every: float) -> tuple[float, float] | list[int]:
    """Return where a line has markers, as shares of the axes; nowhere if no point of it can be drawn.

    Examples
    --------
    >>> spaced(np.array([1.0, np.nan]), 0.05, 0.1), spaced(np.array([np.nan]), 0.05, 0.1)
    ((0.05, 0.1), [])
    """
    return (first, every) if np.isfinite(values).any() else []


def _settle(figure: Figure) -> None:
    """Lay the figure out once and round the places of its axes.

    The constraint solver's last bits depend on addresses in memory, and SVG derives the names of clip paths from them.
    """
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(side, 5) for side in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def render(figure: Figure, form: str) -> bytes:
    """Return the picture as ``png`` or ``svg`` bytes, the same bytes for the same picture.

    Examples
    --------
    >>> render(picture(1.0, 1.0), "svg")[:5]
    b'<?xml'
    """
    _settle(figure)
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if form == "svg" else {}
    with style(), any_script():
        figure.savefig(buffer, format=form, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()


def literal(axes: Axes) -> None:
    """Let no tick label of these axes be read as mathematics (matplotlib makes them after the style has ended)."""
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)


def time_axis(axes: Axes, end: float) -> None:
    """Label the horizontal axis with simulated time, from 0 to ``end`` seconds, in the unit that fits."""
    scale, unit = next(((s, u) for s, u in ((3600.0, "h"), (60.0, "min")) if end >= 3 * s), (1.0, "s"))
    axes.set_xlim(0.0, end)
    axes.set_xticks(_time_ticks(end, scale))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / scale:.4g}"))
    axes.set_xlabel(f"simulated time ({unit})")


def _time_ticks(end: float, scale: float) -> list[float]:
    """Return at most eleven round times up to ``end``; halves of a minute are rounder than decimals."""
    steps = (0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 240) if scale > 1 else (1, 2, 5, 10, 15, 20, 30, 60)
    step = scale * next((s for s in steps if end / (s * scale) <= 10), end / scale / 10)
    return [i * step for i in range(int(end / step + 1e-9) + 1)]


def success_axis(axes: Axes, low: float) -> None:
    """Show percentages from a little below ``low`` to 100 with a tick there; never zoom in on less than 0.1 points."""
    missing = max(100.0 - low, 0.1)
    axes.set_ylim(max(100.0 - 1.12 * missing, 0.0), 100.0 + 0.03 * missing)
    axes.set_yticks(
        [100.0 - tick for tick in MaxNLocator(4, steps=ROUND).tick_values(0.0, missing) if tick <= 1.12 * missing]
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.6g} %"))


def duration_axis(axes: Axes, which: str, low: float, high: float) -> None:
    """Make an axis of durations logarithmic and label its ticks as people write durations.

    Parameters
    ----------
    which
        ``"x"`` or ``"y"``.
    low, high
        Smallest and largest duration shown, seconds.
    """
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    axis = getattr(axes, f"{which}axis")
    # Few ticks in a wide range, 1-2-5 in a narrow one, so that there are always at least three.
    steps: tuple[tuple[float, Sequence[float]], ...] = ((300, (1,)), (30, (1, 3)), (8, (1, 2, 5)))
    subs = next((found for ratio, found in steps if high / low >= ratio), (1, 1.5, 2, 3, 4, 5, 7))
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda x, _: duration(x)))
    axis.set_minor_formatter(NullFormatter())
