"""The picture of the summary: each deployment in each phase, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from meshsim.analysis.failing import ANSWERED
from meshsim.report import style
from meshsim.report.cells import FAILING
from meshsim.report.metrics import shown
from meshsim.report.numbers import NOTHING, duration, percentage, quantity
from meshsim.report.panels import Panels, canvas, label, single
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Metric and flow of each panel, what the panel shows, and its axis.
PANELS = (
    (
        "success_rate",
        "all",
        "User requests that succeeded\n(a bar hangs from 100 %: its length failed)",
        "success rate (%)",
    ),
    ("latency_p99", "all", "Latency that 99 % of requests stayed below", "p99 latency"),
    ("call_share", "cross-region", "Calls that crossed regions\n(of those that reached a pod)", "share of calls (%)"),
    ("stale_proxy_seconds", "all", "Time that proxies were behind the truth", "proxy-seconds"),
    ("pods_blocked", "all", "Pods that could not start", "pods"),
)
_ACROSS = 3
#: Name of the phase that is the whole run.
WHOLE = "all"


def bars(comparison: pd.DataFrame, ax: Axes | None = None) -> Panels:
    """Draw a panel a metric: phases along the axis, a bar a deployment, its 95 % interval on top.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.summary.compare` returns it.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> row = ("hybrid", "during", "success_rate", "all", 0.99, 0.001)
    >>> frame = pd.DataFrame([row], columns=["deployment", "phase", "metric", "flow", "mean", "half_width"])
    >>> bars(frame)[0].get_ylabel()
    'success rate (%)'
    """
    names = list(dict.fromkeys(comparison["deployment"]))
    phases = list(dict.fromkeys(comparison["phase"]))
    if len(phases) > 1:
        # The whole run is the sum of its phases; beside them it would dwarf what is counted.
        comparison = comparison[comparison["phase"] != WHOLE]
        phases = [phase for phase in phases if phase != WHOLE]
    across = _ACROSS if len(phases) * len(names) <= 12 else 1
    down = -(-(len(PANELS) + (across > 1)) // across)
    with style.style():
        figure = canvas(ax, style.LANDSCAPE if across > 1 else style.PORTRAIT, 2.5 * down + 0.6)
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for axes, (name, flow, title, words) in zip(grid, PANELS, strict=False):
            panel(comparison, name, flow, axes).set(title=title, ylabel=words)
        for axes in grid[len(PANELS) :]:
            axes.set_axis_off()
        known = ", with 95 % intervals over the replications" if comparison["half_width"].notna().any() else ""
        figure.suptitle(f"Deployments compared by phase{known}")
        handles, labels = grid[0].get_legend_handles_labels()
        if across > 1:
            grid[-1].legend(handles, labels, loc="center", title="deployment", handlelength=2.6, handleheight=1.4)
        else:
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(names), 4))
    return Panels(grid[: len(PANELS)])


def metric(comparison: pd.DataFrame, name: str, flow: str = "all", ax: Axes | None = None) -> Axes:
    """Draw one metric by phase on a picture of its own, or in given Axes, with title and legend.

    Parameters
    ----------
    comparison
        As for `bars`.
    name, flow
        Metric and flow to draw.
    ax
        Where to draw; a picture of its own by default.

    Raises
    ------
    ValueError
        If the comparison has no value of it.

    Examples
    --------
    >>> import pandas as pd
    >>> row = ("hybrid", "during", "success_rate", "all", 0.99, 0.001)
    >>> frame = pd.DataFrame([row], columns=["deployment", "phase", "metric", "flow", "mean", "half_width"])
    >>> metric(frame, "success_rate").get_title(loc="left")
    'success rate'
    """
    rows = comparison[(comparison["metric"] == name) & (comparison["flow"] == flow)]
    if rows["mean"].isna().all():
        raise ValueError(f"the run has no value of {name}, {flow}")
    if len(set(comparison["phase"])) > 1:
        comparison = comparison[comparison["phase"] != WHOLE]
    with style.style():
        axes = panel(comparison, name, flow, single(ax, style.PORTRAIT, 3.4))
        axes.set_title(shown(name).label + ("" if flow == "all" else f", {flow}"))
        label(axes, columns=4)
    return axes


def panel(comparison: pd.DataFrame, name: str, flow: str, axes: Axes) -> Axes:
    """Draw one metric.

    Parameters
    ----------
    comparison
        As for `bars`.
    name, flow
        Metric and flow to draw.
    axes
        Where to draw.
    """
    phases = list(dict.fromkeys(comparison["phase"]))
    looks = style.looks(comparison["deployment"])
    scale = 100.0 if shown(name).unit == "fraction" else 1.0
    hangs = 100.0 if name == "success_rate" else 0.0
    rows = comparison[(comparison["metric"] == name) & (comparison["flow"] == flow)]
    width = min(0.8 / max(len(looks), 1), 0.3)
    for i, (deployment, look) in enumerate(looks.items()):
        part = rows[rows["deployment"] == deployment].set_index("phase").reindex(phases)
        mean = scale * part["mean"].to_numpy(dtype=float)
        half = scale * part["half_width"].to_numpy(dtype=float)
        at = np.arange(len(phases)) + width * (i + 0.5 - len(looks) / 2)
        axes.bar(
            at, mean - hangs, width * 0.92, bottom=hangs, color=look.colour, hatch=look.hatch, ec="white", lw=0.0,
            label=short(deployment, 30), zorder=2,
        )  # fmt: skip
        known = np.isfinite(mean) & np.isfinite(half)
        # No share is outside of 0 to 100 % and no count below 0, whatever the t distribution says.
        top = 100.0 if shown(name).unit == "fraction" else np.inf
        whisker = np.array([np.minimum(half, mean), np.minimum(half, top - mean)])[:, known]
        # A white line under the black one, so that the interval is seen inside dark bars.
        for colour, thick in (("white", 2.6), ("black", 1.0)):
            axes.errorbar(
                at[known], mean[known], whisker, fmt="none", ecolor=colour, lw=thick, capsize=2.5, capthick=thick,
                zorder=3,
            )  # fmt: skip
        _mark_failing(axes, part, at, mean)
        for x in at[~np.isfinite(mean)]:
            axes.text(x, hangs, NOTHING, ha="center", va="top" if hangs else "bottom", fontsize=style.SMALL)
    _dress(axes, name, phases, rows)
    return axes


def _mark_failing(axes: Axes, part: pd.DataFrame, at: np.ndarray[Any, Any], mean: np.ndarray[Any, Any]) -> None:
    """Mark bars that are low because requests failed, and say so below the axis."""
    if "failing" not in part:
        return
    failing = part["failing"].eq(True).to_numpy(dtype=bool) & np.isfinite(mean)
    for x, y in zip(at[failing], mean[failing], strict=True):
        axes.text(x, y, FAILING.strip(), ha="center", va="bottom", fontsize=style.SMALL, zorder=4, gid="failing")
        axes.set_xlabel(f"{FAILING.strip()} fewer than {percentage(ANSWERED)} of the requests succeeded")


def _dress(axes: Axes, name: str, phases: Sequence[str], rows: pd.DataFrame) -> None:
    """Label the axes in the metric's unit; a percentage never zooms in on noise, and never goes past its end."""
    known = shown(name)
    axes.set_xticks(range(len(phases)), ["whole run" if phase == WHOLE else short(phase, 16) for phase in phases])
    axes.set_xlim(-0.6, len(phases) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(_unit(name))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=style.ROUND))
    scale = 100.0 if known.unit == "fraction" else 1.0
    mean = scale * rows["mean"].dropna()
    half = scale * rows["half_width"].fillna(0.0)
    # Wide intervals leave the axes rather than flatten the bars: bars take at least half of the height.
    if name == "success_rate":
        low = float(mean.min()) if len(mean) else 100.0
        style.success_axis(axes, max(float((mean - half).min()), 2 * low - 100.0, 0.0) if len(mean) else low)
    else:
        largest = float(mean.max()) if len(mean) else 0.0
        axes.set_ylim(0.0, min(1.05 * float((mean + half).max()), 2 * largest) if largest > 0 else 1.0)
    if known.unit == "fraction" and name != "success_rate":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    elif known.unit == "seconds":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: duration(y)))
    elif known.unit == "bytes":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: quantity("bytes", y)))
    style.literal(axes)


def _unit(name: str) -> str:
    known = shown(name)
    if known.unit in ("seconds", "bytes"):
        return known.label
    return f"{known.label} (%)" if known.unit == "fraction" else known.label
