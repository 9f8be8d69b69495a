"""The picture of what goes from cluster to cluster: calls and bytes of each deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from meshsim.analysis.over_time import OUTSIDE
from meshsim.report import style
from meshsim.report.events import text_width
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
#: Characters of a cluster's name.
_NAME = 14
#: Points of a row that titles and names leave free: tick marks, and what is between one matrix and the next.
_GAP = 16.0


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
    count = len(_destinations(frame, clusters))
    side = max(0.42 * count, 0.9) if count <= _WRITTEN else 0.2 * count
    least = max(side + 1.0, _room(frame, names, columns, clusters))
    across = max(min(len(names), int(style.LANDSCAPE / least)), 1)
    wide = max(style.LANDSCAPE / max(across, 3), least) * across
    bands = -(-len(names) // across)
    with style.style():
        figure = canvas(ax, max(wide, 4.0), (side + 0.75) * bands * len(columns) + 0.3)
        grid = figure.subplots(bands * len(columns), across, squeeze=False)
        for at, name in enumerate(names):
            for row, column in enumerate(columns):
                matrix(frame, name, column, clusters, grid[at // across * len(columns) + row, at % across])
        for axes in grid.flatten():
            if not axes.has_data():
                axes.set_axis_off()
        away = "; “in …”: to endpoints outside the clusters" if count > len(clusters) else ""
        figure.suptitle(f"From cluster (rows) to cluster (columns){away}")
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
    ends = _destinations(frame, clusters)
    places, reached = ({name: at for at, name in enumerate(several)} for several in (clusters, ends))
    values = np.zeros((len(clusters), len(ends)))
    own = frame[frame["deployment"] == deployment]
    for source, destination, value in own[["source", "destination", column]].itertuples(index=False, name=None):
        if source in places and destination in reached:
            values[places[source], reached[destination]] += value
    most = float(frame[column].max()) if len(frame) else 0.0
    ax.imshow(values, cmap="Blues", vmin=0.0, vmax=most or 1.0, aspect="auto")
    ax.grid(visible=False)
    small = len(ends) > _WRITTEN
    ax.set_xticks(range(len(ends)), [short(name, _NAME) for name in ends], rotation=90 if small else 0)
    ax.set_yticks(range(len(clusters)), [short(name, _NAME) for name in clusters])
    for at in np.argwhere(values > 0) if not small else ():
        value = values[tuple(at)]
        ax.text(
            at[1], at[0], amount(column, value), ha="center", va="center", fontsize=style.SMALL,
            color="white" if value > 0.55 * most else "black",
        )  # fmt: skip
    ax.set_title(_title(frame, deployment, column, small=small), fontsize=style.SMALL if small else style.BODY)
    style.literal(ax)
    return ax


def _destinations(frame: pd.DataFrame, clusters: Sequence[str]) -> list[str]:
    """Return the columns of a matrix: the clusters, and the regions of endpoints outside them."""
    outside = sorted(name for name in set(frame["destination"]) if name.startswith(OUTSIDE))
    return [*clusters, *outside]


def _title(frame: pd.DataFrame, deployment: str, column: str, *, small: bool) -> str:
    most = float(frame[column].max()) if len(frame) else 0.0
    darkest = f" (darkest: {amount(column, most)})" if small and most else ""
    return f"{short(deployment, 24)}: {WHAT[column]}{darkest}"


def _room(frame: pd.DataFrame, names: Sequence[str], columns: Sequence[str], clusters: Sequence[str]) -> float:
    """Return the inches from one matrix to the next in which the longest title fits, also in the last of a row."""
    small = len(_destinations(frame, clusters)) > _WRITTEN
    titles = [_title(frame, name, column, small=small) for name in names for column in columns]
    size = style.SMALL if small else style.BODY
    beside = max((text_width(short(name, _NAME), style.SMALL) for name in clusters), default=0.0)
    return (max(text_width(title, size) for title in titles) + beside + _GAP) / 72.0


def amount(column: str, value: float) -> str:
    """Return a value of a cell as text.

    Examples
    --------
    >>> amount("calls", 1234.5), amount("calls", 0.04), amount("bytes", 1.23e6), amount("cost", 0.0123)
    ('1,234', '0.04', '1.2 MB', '0.012')
    """
    if column == "bytes":
        scale, unit = next(((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if value >= s), (1.0, "B"))
        return f"{digits(value / scale, 2)} {unit}" if value / scale < 10 else f"{value / scale:.0f} {unit}"
    return f"{value:,.0f}" if value >= 10 else digits(value, 2)
