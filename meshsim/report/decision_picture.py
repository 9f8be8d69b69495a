"""The picture of a decision: weighted scores with the interval of their total, and who wins at which weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from meshsim.report import style
from meshsim.report.decision_words import each, number
from meshsim.report.panels import Panels, canvas, single
from meshsim.report.shorten import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from meshsim.analysis.decision import Decision

_FILLS = (style.SKY, style.ORANGE, style.GREEN, style.PURPLE, style.YELLOW, style.VERMILLION, style.BLUE, "#BBBBBB")
_HATCHES = ("", "////", "....", "\\\\\\\\", "xx", "--", "++", "||", "oo", "**", "OO")
_INK = "#333333"
#: By which factors weights are shown to change.
_SPAN = 10.0
#: Inches from an axis to what stands below its label.
_UNDER = 0.45


def picture(decision: Decision, ax: Axes | None = None) -> Panels:
    """Draw totals above and, below, who wins when one weight changes.

    Parameters
    ----------
    decision
        As `meshsim.analysis.decision.decide` returns it.
    ax
        Axes whose place the panels take; a picture of its own by default.
    """
    names, criteria = decision.deployments, list(decision.weights["criterion"])
    upper, lower = 0.9 + 0.36 * len(names), 0.9 + 0.2 * len(criteria)
    legends = 0.2 * (-(-len(criteria) // 4) + -(-len(names) // 4)) + 0.3
    with style.style():
        figure = canvas(ax, style.PORTRAIT, upper + lower + legends)
        above, below = figure.subplots(2, 1, height_ratios=[upper, lower])
        totals(decision, above)
        weights(decision, below)
        figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=4, title="criterion")
        looks = style.looks(names)
        won = [
            Patch(fc=looks[name].colour, hatch=looks[name].hatch, ec="white", label=short(name, 30))
            for name in names
            if _wins(decision, name)
        ]
        under = below.transAxes + ScaledTranslation(0.0, -_UNDER, figure.dpi_scale_trans)
        below.legend(
            handles=won, loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=under, ncols=4, title="winner"
        )
    return Panels([above, below])


def _wins(decision: Decision, name: str) -> bool:
    """Return whether a deployment wins at any weight that is drawn."""
    weights = decision.weights.set_index("criterion")["weight"]
    return any(
        row.low < _SPAN * weights[row.criterion] and row.high > weights[row.criterion] / _SPAN
        for row in each(decision.winners[decision.winners["deployment"] == name])
    )


def totals(decision: Decision, ax: Axes | None = None) -> Axes:
    """Draw a bar a deployment, stacked by what each criterion adds, with the interval of the total."""
    names = list(decision.deployments)
    ax = single(ax, style.PORTRAIT, 0.9 + 0.36 * len(names))
    wide = decision.scores.pivot_table(index="deployment", columns="criterion", values="points", sort=False)
    left = np.zeros(len(names))
    for at, name in enumerate(decision.weights["criterion"]):
        points = np.maximum(wide.loc[names, name].to_numpy(dtype=float), 0.0)
        ax.barh(
            range(len(names)), points, 0.62, left=left, fc=_FILLS[at % len(_FILLS)], hatch=_HATCHES[at % len(_HATCHES)],
            ec=_INK, lw=0.4, label=short(str(name), 24),
        )  # fmt: skip
        left = left + points
    of = decision.totals.set_index("deployment").loc[names]
    mean, half = of["total"].to_numpy(dtype=float), of["half_width"].to_numpy(dtype=float)
    known = np.isfinite(half)
    for colour, thick in (("white", 2.6), ("black", 1.0)):
        ax.errorbar(
            mean[known], np.arange(len(names))[known], xerr=half[known], fmt="none", ecolor=colour, lw=thick,
            capsize=2.5, capthick=thick,
        )  # fmt: skip
    ax.set_yticks(range(len(names)), [short(name, 32) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0.0, 1.0)
    ax.grid(visible=False, axis="y")
    interval = f", with {100 * decision.confidence:g} % intervals" if known.any() else " (one replication)"
    ax.set_title(f"Weighted scores{interval}")
    ax.set_xlabel("total score (1: best in everything)")
    style.literal(ax)
    return ax


def weights(decision: Decision, ax: Axes | None = None) -> Axes:
    """Draw, for each criterion, who wins when its weight becomes so many times what it is."""
    ax, looks = single(ax, style.PORTRAIT, 0.9 + 0.2 * len(decision.weights)), style.looks(decision.deployments)
    now = decision.weights.set_index("criterion")["weight"]
    names = list(now.index)
    for row in each(decision.winners):
        low, high = max(row.low / now[row.criterion], 1 / _SPAN), min(row.high / now[row.criterion], _SPAN)
        if low < high:
            look = looks[row.deployment]
            ax.barh(
                names.index(row.criterion),
                high - low,
                0.7,
                left=low,
                fc=look.colour,
                hatch=look.hatch,
                ec="white",
                lw=0.8,
            )
    ax.axvline(1.0, color="black", lw=1.2)
    ax.set_xscale("log")
    ax.set_xlim(1 / _SPAN, _SPAN)
    ax.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{number(x)}\N{MULTIPLICATION SIGN}"))
    ax.set_yticks(range(len(names)), [short(str(name), 26) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_title("Who wins when one weight changes")
    ax.set_xlabel("weight, beside what it is now")
    style.literal(ax)
    return ax
