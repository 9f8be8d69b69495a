"""The picture of failed requests and calls: which response flags they had, by phase and deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from meshsim.analysis.summary import WHOLE
from meshsim.report import style
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Flags with a colour of their own; the others are one part.
_MOST = 6
#: Fill and hatch of the parts, so that greyscale keeps them apart.
_PARTS = (
    (style.VERMILLION, ""), (style.SKY, "////"), (style.YELLOW, "...."), (style.PURPLE, "\\\\"), (style.GREEN, "xx"),
    (style.ORANGE, "--"),
)  # fmt: skip
_OTHER = "other flags"
#: What fails: metric of the failures → the share that did not fail, and their name.
_OF = {
    "errors": ("success_rate", "failed user requests"),
    "call_errors": ("call_success_rate", "failed calls between services"),
}


def flags_of(comparison: pd.DataFrame, errors: str = "errors") -> list[str]:
    """Return the response flags of what failed, the most frequent first.

    Examples
    --------
    >>> import pandas as pd
    >>> flags_of(pd.DataFrame({"metric": ["errors", "errors:UF"], "phase": ["all", "all"], "mean": [2.0, 2.0]}))
    ['UF']
    """
    rows = comparison[comparison["metric"].str.startswith(f"{errors}:") & (comparison["mean"] > 0)]
    total = rows.groupby("metric", sort=True)["mean"].sum().sort_values(ascending=False, kind="stable")
    return [str(name).removeprefix(f"{errors}:") for name in total.index]


def flags(comparison: pd.DataFrame, ax: Axes | None = None) -> Panels:
    """Draw user requests and calls, a panel a phase: a bar a deployment, stacked by flag, and the whole bar's interval.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.comparison.compare` returns it.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("hybrid", "all", name, "all", 10.0, 9.0, 11.0) for name in ("errors", "errors:UF")]
    >>> rows.append(("hybrid", "all", "success_rate", "all", 0.9, 0.89, 0.91))
    >>> columns = ["deployment", "phase", "metric", "flow", "mean", "low", "high"]
    >>> flags(pd.DataFrame(rows, columns=columns))[0].get_xlabel()
    'failed user requests (% of those of the phase)'
    """
    phases = list(dict.fromkeys(comparison["phase"]))
    phases = [phase for phase in phases if phase != WHOLE] or phases
    names = list(dict.fromkeys(comparison["deployment"]))
    found = {errors: flags_of(comparison, errors) for errors in _OF}
    every = list(dict.fromkeys(flag for own in found.values() for flag in own))
    with style.style():
        figure = canvas(ax, style.LANDSCAPE, 1.6 + (0.26 * len(names) + 0.3) * len(phases))
        grid = figure.subplots(len(phases), len(_OF), sharex="col", squeeze=False)
        for row, phase in zip(grid, phases, strict=True):
            for axes, errors in zip(row, _OF, strict=True):
                stacked(comparison, phase, every, axes, errors)
        for axes, errors in zip(grid[-1], _OF, strict=True):
            axes.set_xlim(left=0.0)
            axes.set_xlabel(f"{_OF[errors][1]} (% of those of the phase)")
        for axes in grid[:, 1]:
            axes.tick_params(labelleft=False)
        figure.suptitle("What failed, by response flag")
        handles, labels = grid[-1, 0].get_legend_handles_labels()
        if handles:
            figure.legend(handles=handles, labels=labels, loc="outside lower center", ncols=min(len(labels), 7))
    return Panels(grid.flat)


def stacked(comparison: pd.DataFrame, phase: str, found: list[str], ax: Axes, errors: str = "errors") -> Axes:
    """Draw one phase: a bar a deployment of the failed share of its requests, stacked by flag.

    Parameters
    ----------
    comparison
        As for `flags`.
    phase
        Which phase.
    found
        The flags, the most frequent first, see `flags_of`.
    ax
        Where to draw.
    errors
        ``errors`` of user requests or ``call_errors``.
    """
    rows = comparison[(comparison["phase"] == phase) & (comparison["flow"] == "all")]
    names = list(dict.fromkeys(comparison["deployment"]))
    whole, count = 100.0 * (1.0 - _column(rows, _OF[errors][0], names)), _column(rows, errors, names)
    scale = whole / np.where(count > 0, count, np.nan)
    left = np.zeros(len(names))
    parts = [(flag, [f"{errors}:{flag}"]) for flag in found[:_MOST]]
    if found[_MOST:]:
        parts.append((_OTHER, [f"{errors}:{flag}" for flag in found[_MOST:]]))
    for (label, metrics), (colour, hatch) in zip(parts, (*_PARTS, (style.GREY, "")), strict=False):
        width = np.nan_to_num(scale * sum(np.nan_to_num(_column(rows, name, names)) for name in metrics))
        words = "no flag" if label == "-" else label
        ax.barh(range(len(names)), width, 0.62, left=left, fc=colour, hatch=hatch, ec="#333333", lw=0.4, label=words)
        left = left + width
    _whiskers(rows, names, ax, _OF[errors][0])
    ax.set_yticks(range(len(names)), [short(name, 26) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=style.ROUND))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g} %"))
    ax.set_title(f"{_OF[errors][1].capitalize()}, {phase if phase != WHOLE else 'whole run'}")
    style.literal(ax)
    return ax


def _whiskers(rows: pd.DataFrame, names: list[str], ax: Axes, succeeded: str) -> None:
    """Draw the interval of the share that failed, which is that of the share that did not, from the other end.

    The interval of the number of failures is wider: it has in it how many were asked for, which differs by replication.
    """
    mean, low, high = (100.0 * (1.0 - _column(rows, succeeded, names, column)) for column in ("mean", "high", "low"))
    known = np.isfinite(mean) & np.isfinite(low) & np.isfinite(high) & (high > low)
    error = np.array([np.maximum(mean - low, 0.0)[known], np.maximum(high - mean, 0.0)[known]])
    at = np.arange(len(names))[known]
    ax.errorbar(mean[known], at, xerr=error, fmt="none", ecolor="black", lw=1.0, capsize=2.5, zorder=4)


def _column(rows: pd.DataFrame, metric: str, names: list[str], column: str = "mean") -> np.ndarray:
    own = rows[rows["metric"] == metric].set_index("deployment")[column]
    return own.reindex(names).to_numpy(dtype=float)
