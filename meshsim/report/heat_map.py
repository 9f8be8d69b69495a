"""The picture of latency over time: how many requests of each moment took how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from meshsim.report import style
from meshsim.report.events import rule
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short
from meshsim.report.timing import spans
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import SubFigure


#: The smallest share of a moment's requests that is told from none.
_LEAST = 1e-4
#: Columns of one panel: neighbouring moments are drawn together beyond that.
_COLUMNS = 240


def heat_map(frame: pd.DataFrame, document: Document, ax: Axes | None = None) -> Panels:
    """Draw a panel a deployment over one time axis; events are ruled.

    Parameters
    ----------
    frame
        As `meshsim.analysis.over_time.latency_over_time` returns it.
    document
        The scenario, for its events and duration.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = Document.model_validate(EXAMPLE)
    >>> frame = pd.DataFrame({"deployment": ["hybrid"], "start": [0.0], "end": [5.0], "low": [0.01], "high": [0.011],
    ...                       "count": [3], "share": [1.0]})
    >>> heat_map(frame, document)[0].get_title(loc="left")
    'hybrid'
    """
    names = list(dict.fromkeys(frame["deployment"]))
    happened = spans(document)
    low, high = _limits(frame)
    with style.style():
        figure = canvas(ax, style.PORTRAIT, 1.1 + 1.7 * max(len(names), 1))
        panels = figure.subplots(max(len(names), 1), 1, sharex=True, squeeze=False)[:, 0]
        mesh = None
        for axes, name in zip(panels, names, strict=False):
            mesh = spread(frame, name, axes)
            style.duration_axis(axes, "y", low, high)
            rule(axes, happened, document.warm_up)
            axes.set_title(short(name, 60))
        style.time_axis(panels[-1], document.duration)
        figure.suptitle("Latency of user requests over time (dotted: events begin or end)")
        figure.supylabel("latency", fontsize=style.BODY)
        if mesh is not None:
            _bar(figure, mesh, list(panels))
    return Panels(panels)


def spread(frame: pd.DataFrame, deployment: str, ax: Axes) -> QuadMesh:
    """Draw one deployment: share of each moment's requests (colour) by latency; return what a colour bar needs.

    Parameters
    ----------
    frame
        As for `heat_map`.
    deployment
        Which one.
    ax
        Where to draw.
    """
    own = frame[frame["deployment"] == deployment]
    times = np.unique(own[["start", "end"]].to_numpy(dtype=float))
    times = times[:: -(-max(len(times) - 1, 1) // _COLUMNS)] if len(times) > _COLUMNS else times
    levels = _levels(own)
    middle = ((own["start"] + own["end"]) / 2).to_numpy(dtype=float)
    heights = np.sqrt(own["low"].to_numpy(dtype=float) * own["high"].to_numpy(dtype=float))
    counts, _, _ = np.histogram2d(heights, middle, bins=[levels, times], weights=own["count"].to_numpy(dtype=float))
    total = counts.sum(axis=0, keepdims=True)
    share = 100.0 * np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    ax.grid(visible=False)
    shown = np.ma.masked_less_equal(share, 0.0)
    norm = LogNorm(100 * _LEAST, 100.0)
    return ax.pcolormesh(times, levels, shown, norm=norm, cmap="Blues", rasterized=True)


def _levels(own: pd.DataFrame) -> np.ndarray:
    """Return the edges of the rows, from the lowest to the highest; what was never seen between two is one row."""
    return np.unique(own[["low", "high"]].to_numpy(dtype=float))


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Return the latencies between which nearly all requests lie."""
    seen = frame[frame["share"] >= 10 * _LEAST]
    if seen.empty or seen["low"].min() <= 0:
        return 1e-3, 1.0
    return float(seen["low"].min()), max(float(seen["high"].max()), 2 * float(seen["low"].min()))


def _bar(figure: style.Picture | SubFigure, mesh: QuadMesh, panels: list[Axes]) -> None:
    bar = figure.colorbar(mesh, ax=panels, shrink=0.8, pad=0.01)
    bar.set_ticks([0.01, 0.1, 1.0, 10.0, 100.0], labels=["0.01 %", "0.1 %", "1 %", "10 %", "100 %"])
    bar.set_label("share of the requests of this time", size=style.SMALL)
