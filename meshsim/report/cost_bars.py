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

#: How names of metrics end that are written without a unit.
_UNIT = ", USD a month"
#: Fill and hatch of the parts, so that greyscale keeps them apart.
_LOOKS = {
    "cost_control_planes": (style.SKY, ""),
    "cost_sidecars": (style.ORANGE, "////"),
    "cost_gateways": (style.GREEN, "...."),
    "cost_cross_zone": (style.PURPLE, "\\\\\\\\"),
    "cost_cross_region": (style.YELLOW, "xx"),
}
#: Metric of the total, and its parts.
TOTAL, PARTS = "cost", tuple(_LOOKS)


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
    rows = comparison[(comparison["phase"] == phase) & (comparison["flow"] == "all")]
    left = np.zeros(len(names))
    with style.style():
        axes = single(ax, style.PORTRAIT, 1.5 + 0.34 * len(names))
        for name, (colour, hatch) in _LOOKS.items():
            own = rows[rows["metric"] == name].set_index("deployment")["mean"]
            if own.empty:
                continue
            width = np.nan_to_num(own.reindex(names).to_numpy(dtype=float))
            axes.barh(
                range(len(names)), width, 0.62, left=left, fc=colour, hatch=hatch, ec="#333333", lw=0.4,
                label=shown(name).label.removeprefix("cost of ").removesuffix(_UNIT),
            )  # fmt: skip
            left = left + width
        _whiskers(rows, names, axes)
        axes.set_yticks(range(len(names)), [short(name, 26) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(left=0.0)
        axes.grid(visible=False, axis="y")
        axes.set_title("Cost by part")
        axes.set_xlabel("USD a month")
        style.literal(axes)
        label(axes, columns=3)
    return axes


def _whiskers(rows: pd.DataFrame, names: list[str], ax: Axes) -> None:
    own = rows[rows["metric"] == TOTAL].set_index("deployment").reindex(names)
    mean, low, high = (own[column].to_numpy(dtype=float) for column in ("mean", "low", "high"))
    known = np.isfinite(mean) & np.isfinite(low) & np.isfinite(high) & (high > low)
    error = np.array([(mean - low)[known], (high - mean)[known]])
    ax.errorbar(mean[known], np.arange(len(names))[known], xerr=error, fmt="none", ecolor="black", lw=1.0, capsize=2.5)
