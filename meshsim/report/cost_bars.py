"""The picture of cost: each deployment's, stacked by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshsim.analysis.summary import WHOLE
from meshsim.report import style
from meshsim.report.metrics import shown
from meshsim.report.panels import label, single
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Metric of the total, and its parts.
TOTAL = "cost"
PARTS = ("cost_control_planes", "cost_sidecars", "cost_gateways", "cost_cross_zone", "cost_cross_region")
#: How names of metrics end that are written without a unit.
_UNIT = ", USD a month"
_PARTS = (
    (style.SKY, ""), (style.ORANGE, "////"), (style.GREEN, "...."), (style.PURPLE, "\\\\\\\\"), (style.YELLOW, "xx"),
    (style.VERMILLION, "--"), (style.BLUE, "++"), (style.GREY, "||"),
)  # fmt: skip


def cost_bars(comparison: pd.DataFrame, phase: str = WHOLE, ax: Axes | None = None) -> Axes:
    """Draw a bar a deployment, stacked by part, with the interval of the total.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.comparison.compare` returns it.
    phase
        Whose use a month is made of.
    ax
        Where to draw; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("hybrid", "all", name, "all", value, value, value) for name, value in (("cost", 3.0), (PARTS[0], 3.0))]
    >>> columns = ["deployment", "phase", "metric", "flow", "mean", "low", "high"]
    >>> len(cost_bars(pd.DataFrame(rows, columns=columns)).patches)
    1
    """
    names = list(dict.fromkeys(comparison["deployment"]))
    with style.style():
        axes = parts(comparison, single(ax, style.PORTRAIT, 1.5 + 0.34 * len(names)), phase)
        label(axes, columns=3)
    return axes


def parts(comparison: pd.DataFrame, ax: Axes, phase: str = WHOLE) -> Axes:
    """Draw the bars of `cost_bars` into given axes."""
    names = list(dict.fromkeys(comparison["deployment"]))
    rows = comparison[(comparison["phase"] == phase) & (comparison["flow"] == "all")]
    found = [name for name in PARTS if (rows["metric"] == name).any()]
    left = np.zeros(len(names))
    for at, name in enumerate(found):
        colour, hatch = _PARTS[at % len(_PARTS)]
        own = rows[rows["metric"] == name].set_index("deployment")["mean"]
        width = np.nan_to_num(own.reindex(names).to_numpy(dtype=float))
        ax.barh(
            range(len(names)), width, 0.62, left=left, fc=colour, hatch=hatch, ec="#333333", lw=0.4,
            label=shown(name).label.removeprefix("cost of ").removesuffix(_UNIT),
        )  # fmt: skip
        left = left + width
    _whiskers(rows, names, ax)
    ax.set_yticks(range(len(names)), [short(name, 26) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(left=0.0)
    ax.grid(visible=False, axis="y")
    ax.set_title("Cost by part")
    ax.set_xlabel("USD a month")
    style.literal(ax)
    return ax


def _whiskers(rows: pd.DataFrame, names: list[str], ax: Axes) -> None:
    own = rows[rows["metric"] == TOTAL].set_index("deployment").reindex(names)
    mean, low, high = (own[column].to_numpy(dtype=float) for column in ("mean", "low", "high"))
    known = np.isfinite(mean) & np.isfinite(low) & np.isfinite(high) & (high > low)
    error = np.array([(mean - low)[known], (high - mean)[known]])
    ax.errorbar(mean[known], np.arange(len(names))[known], xerr=error, fmt="none", ecolor="black", lw=1.0, capsize=2.5)
