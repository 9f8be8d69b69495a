"""The picture of latency: its distribution by flow, and its tail to one request in ten thousand."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from meshsim.report import style
from meshsim.report.numbers import duration
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short
from meshsim.results.tables import FLOWS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from meshsim.analysis.phases import Phase

_FLOOR = 3e-5
_NAMES = {
    "all": "all requests",
    "local": "all calls local",
    "cross-zone": "crossed a zone",
    "cross-region": "crossed a region",
}


def distributions(frame: pd.DataFrame, span: Phase | None = None, ax: Axes | None = None) -> Panels:
    """Draw the latency of user requests by flow: distribution above, its tail below; deployments overlaid.

    Parameters
    ----------
    frame
        Per ``deployment`` and ``flow``: ``seconds``, and ``share`` of the requests that took at most as long.
    span
        The phase it was observed in, for the title.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"deployment": ["hybrid"] * 2, "flow": ["all"] * 2, "seconds": [0.01, 0.02],
    ...                       "share": [0.5, 1.0]})
    >>> distributions(frame)[1].get_ylabel()
    'requests slower than this'
    """
    flows = [flow for flow in ("all", *FLOWS) if (frame["flow"] == flow).any()] or ["all"]
    low, high = _limits(frame)
    with style.style():
        figure = canvas(ax, max(style.LANDSCAPE / 4 * len(flows), 4.5), 5.2)
        grid = figure.subplots(2, len(flows), sharey="row", squeeze=False)
        for column, flow in enumerate(flows):
            cumulative(frame, flow, grid[0, column])
            tail(frame, flow, grid[1, column])
            for axes in grid[:, column]:
                style.duration_axis(axes, "x", low, high)
                axes.label_outer(remove_inner_ticks=False)
        for axes in grid[0]:
            axes.set_xlabel("")
        when = f": {span.name}, {duration(span.start)} to {duration(span.end)}" if span is not None else ""
        title = f"Latency of user requests by the farthest hop any of their calls took{when}"
        figure.suptitle("\n".join(wrap(title, 120 if len(flows) > 2 else 60)))
        names = style.looks(frame["deployment"])
        if names:
            handles = grid[0, 0].get_lines()[: len(names)]
            figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), 5))
    return Panels(grid.flat)


def cumulative(frame: pd.DataFrame, flow: str, axes: Axes) -> Axes:
    """Draw the share of requests that took at most so long, percent, per deployment."""
    for name, look in style.looks(frame["deployment"]).items():
        seconds, share = _curve(frame, name, flow)
        axes.plot(
            seconds, 100 * share, drawstyle="steps-post", color=look.colour, ls=look.line, marker=look.marker,
            ms=4, markevery=style.spaced(share, 0.05, 0.17), label=short(name, 30),
        )  # fmt: skip
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    axes.set_title(_NAMES.get(flow, flow).capitalize())
    axes.set_ylabel("requests at most this slow")
    axes.set_xlabel("latency")
    return axes


def tail(frame: pd.DataFrame, flow: str, axes: Axes) -> Axes:
    """Draw the share of requests slower than so long, on two logarithmic axes, with rules at p99 and p99.9."""
    for name, look in style.looks(frame["deployment"]).items():
        seconds, share = _curve(frame, name, flow)
        left = 1 - share > 1e-12  # a logarithmic axis has no place for the rest
        axes.plot(
            seconds[left], 1 - share[left], drawstyle="steps-post", color=look.colour, ls=look.line, marker=look.marker,
            ms=4, markevery=style.spaced(1 - share[left], 0.05, 0.17), label=short(name, 30),
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(_FLOOR, 1.3)
    axes.set_yticks([1, 0.1, 0.01, 0.001, 0.0001], ["100 %", "10 %", "1 % (p99)", "0.1 % (p99.9)", "0.01 %"])
    axes.yaxis.set_minor_formatter(NullFormatter())
    for rule in (0.01, 0.001):
        axes.axhline(rule, color=style.GREY, lw=0.8, ls=(0, (2, 2)), zorder=1)
    axes.set_ylabel("requests slower than this")
    axes.set_xlabel("latency")
    return axes


def _curve(frame: pd.DataFrame, deployment: str, flow: str) -> tuple[np.ndarray, np.ndarray]:
    part = frame[(frame["deployment"] == deployment) & (frame["flow"] == flow)].sort_values("seconds")
    return part["seconds"].to_numpy(dtype=float), part["share"].to_numpy(dtype=float)


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Return the latencies between which there is something to see, the same for all panels."""
    seen = frame[(frame["share"] > 0.001) & (frame["seconds"] > 0)]["seconds"]
    if seen.empty:
        return 1e-3, 1.0
    return float(seen.min()) / 1.3, max(float(frame["seconds"].max()) * 1.3, float(seen.min()) * 4)
