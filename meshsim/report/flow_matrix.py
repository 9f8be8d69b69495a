"""The picture of what goes from cluster to cluster: calls and bytes of each deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from meshsim.report import style
from meshsim.report.numbers import digits
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: What is shown: column of the frame → title, and how a cell is written.
WHAT: Mapping[str, str] = {"calls": "calls per second", "bytes": "bytes per second", "cost": "USD a month"}
#: Clusters beyond which numbers no longer fit into the cells.
_WRITTEN = 6


def flow_matrix(frame: pd.DataFrame, clusters: Sequence[str], ax: Axes | None = None) -> Panels:
    """Draw a column of panels a deployment: calls, bytes and, where it is known, cost, from rows to columns.

    Parameters
    ----------
    frame
        As `meshsim.analysis.over_time.flow_matrix` returns it; a column ``cost`` may be added.
    clusters
        Names of all clusters, in order.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"deployment": ["hybrid"], "source": ["a"], "destination": ["b"], "calls": [2.0],
    ...                       "bytes": [1e6]})
    >>> [axes.get_title(loc="left") for axes in flow_matrix(frame, ["a", "b"])]
    ['hybrid: calls per second', 'hybrid: bytes per second']
    """
    names = list(dict.fromkeys(frame["deployment"])) or [""]
    columns = [column for column in WHAT if column in frame]
    side = max(0.42 * len(clusters), 0.9) if len(clusters) <= _WRITTEN else 0.2 * len(clusters)
    across = max(min(len(names), int(style.LANDSCAPE / (side + 1.0))), 1)
    bands = -(-len(names) // across)
    with style.style():
        figure = canvas(
            ax, max(style.LANDSCAPE * across / max(across, 3), 4.0), (side + 0.75) * bands * len(columns) + 0.3
        )
        grid = figure.subplots(bands * len(columns), across, squeeze=False)
        for at, name in enumerate(names):
            for row, column in enumerate(columns):
                matrix(frame, name, column, clusters, grid[at // across * len(columns) + row, at % across])
        for axes in grid.flatten():
            if not axes.has_data():
                axes.set_axis_off()
        figure.suptitle("From cluster (rows) to cluster (columns)")
    return Panels(axes for axes in grid.flat if axes.has_data())


def matrix(frame: pd.DataFrame, deployment: str, column: str, clusters: Sequence[str], ax: Axes) -> Axes:
    """Draw one matrix: the darker, the more; the numbers stand in the cells while they fit.

    Parameters
    ----------
    frame, clusters
        As for `flow_matrix`.
    deployment, column
        Which one, and what of it.
    ax
        Where to draw.
    """
    places = {name: at for at, name in enumerate(clusters)}
    values = np.zeros((len(clusters), len(clusters)))
    own = frame[frame["deployment"] == deployment]
    for source, destination, value in own[["source", "destination", column]].itertuples(index=False, name=None):
        if source in places and destination in places:
            values[places[source], places[destination]] += value
    most = float(frame[column].max()) if len(frame) else 0.0
    ax.imshow(values, cmap="Blues", vmin=0.0, vmax=most or 1.0, aspect="auto")
    ax.grid(visible=False)
    ticks, small = range(len(clusters)), len(clusters) > _WRITTEN
    ax.set_xticks(ticks, [short(name, 14) for name in clusters], rotation=90 if small else 0)
    ax.set_yticks(ticks, [short(name, 14) for name in clusters])
    for at in np.argwhere(values > 0) if not small else ():
        value = values[tuple(at)]
        ax.text(
            at[1], at[0], amount(column, value), ha="center", va="center", fontsize=style.SMALL,
            color="white" if value > 0.55 * most else "black",
        )  # fmt: skip
    darkest = f" (darkest: {amount(column, most)})" if small and most else ""
    ax.set_title(f"{short(deployment, 24)}: {WHAT[column]}{darkest}", fontsize=style.SMALL if small else style.BODY)
    style.literal(ax)
    return ax


def amount(column: str, value: float) -> str:
    """Return a value of a cell as text.

    Examples
    --------
    >>> amount("calls", 1234.5), amount("calls", 0.04), amount("bytes", 1.23e6)
    ('1,234', '0.04', '1.2 MB')
    """
    if column == "cost":
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    if column == "bytes":
        scale, unit = next(((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if value >= s), (1.0, "B"))
        return f"{digits(value / scale, 2)} {unit}" if value / scale < 10 else f"{value / scale:.0f} {unit}"
    return f"{value:,.0f}" if value >= 10 else digits(value, 2)
