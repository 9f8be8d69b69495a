"""Pictures of sweeps: curves over one field, heat maps over two, dots over many; tornados and breaking points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray

from meshsim.experiment.designs import number
from meshsim.report import style
from meshsim.report.cells import NEVER, TOO_FEW
from meshsim.report.metrics import shown
from meshsim.report.numbers import duration, edge, quantity
from meshsim.report.panels import Panels, canvas, label, single
from meshsim.report.shorten import short
from meshsim.report.sweep import at_base, names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from meshsim.analysis.wanted import Wanted
    from meshsim.experiment.breaking import Breaking
    from meshsim.experiment.find import Search

#: Points of a heat map whose numbers are written into its cells.
_WRITTEN = 60


def picture(
    summary: pd.DataFrame, varied: Sequence[str], metric: Wanted, design: str = "grid", ax: Axes | None = None
) -> Axes | Panels:
    """Draw one metric of a sweep as the picture that fits what varies; return its Axes, or all of them.

    Parameters
    ----------
    summary
        As `meshsim.experiment.sweep.summary` returns it.
    varied
        Paths of what varies.
    metric
        What to draw.
    design
        How points were chosen: of a grid over two fields there is a heat map.
    ax
        Axes to draw in, or whose place the panels take; a picture of its own by default.
    """
    rows = metric.of(summary)
    with style.style():
        if not len(rows):
            return _nothing(metric, ax)
        if len(varied) == 1:
            return _curves(rows, varied[0], metric, ax)
        if len(varied) == 2 and design == "grid":
            return _heat(rows, varied, metric, ax)
        return _dots(rows, varied, metric, ax)


def _nothing(metric: Wanted, ax: Axes | None) -> Axes:
    axes = single(ax, style.PORTRAIT, 1.0)
    axes.set_axis_off()
    axes.text(0.5, 0.5, f"no run has a value of {metric}", ha="center", va="center", transform=axes.transAxes)
    return axes


def _scale(metric: Wanted) -> float:
    return 100.0 if shown(metric.metric).unit == "fraction" else 1.0


def _places(values: Sequence[Any]) -> tuple[list[float], list[str] | None, str]:
    """Return where values stand on an axis, their names if they are no numbers, and their unit."""
    texts = [f"{value:g}" if isinstance(value, (int, float)) else str(value) for value in values]
    found = [number(text) for text in texts]
    units = {pair[1] for pair in found if pair is not None}
    if len(units) == 1 and None not in found:
        return [pair[0] for pair in found if pair is not None], None, units.pop()
    return [float(at) for at in range(len(texts))], texts, ""


def _curves(rows: pd.DataFrame, path: str, metric: Wanted, ax: Axes | None) -> Axes:
    axes = single(ax, style.PORTRAIT, 4.0)
    order = rows.drop_duplicates("point")
    places, texts, unit = _places(order[path].tolist())
    place = dict(zip(order["point"], places, strict=True))
    scale = _scale(metric)
    for name, look in style.looks(rows["deployment"]).items():
        own = rows[rows["deployment"] == name]
        x = np.array([place[point] for point in own["point"]])
        by = np.argsort(x, kind="stable")
        x, mean = x[by], scale * own["mean"].to_numpy(dtype=float)[by]
        low, high = (np.where(np.isnan(end), mean, end) for end in scale * _ends(own)[:, by])
        axes.plot(x, mean, color=look.colour, ls=look.line, marker=look.marker, ms=5, label=short(name, 30))
        axes.fill_between(x, low, high, color=look.colour, alpha=0.18, lw=0)
    _value_axis(axes, metric, rows)
    _field_axis(axes, path, places, texts, unit)
    if texts is None and min(places) > 0 and max(places) / min(places) >= 20:
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    axes.set_title(_title(metric) + _known(rows))
    label(axes, columns=min(rows["deployment"].nunique(), 4))
    style.literal(axes)
    return axes


def _ends(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return the lower and the upper ends of intervals, which are exact where events are rare; nan for none."""
    return np.array([rows["low"], rows["high"]], dtype=float)


def _whiskers(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return how far intervals reach below and above their means; 0 where there are none."""
    mean = rows["mean"].to_numpy(dtype=float)
    low, high = _ends(rows)
    return np.asarray(np.nan_to_num(np.array([mean - low, high - mean])))


def _known(rows: pd.DataFrame) -> str:
    return ", with 95 % intervals over the replications" if rows["half_width"].notna().any() else ""


def _title(metric: Wanted) -> str:
    flow = "" if metric.flow == "all" else f", {metric.flow}"
    return shown(metric.metric).label + flow + ("" if metric.phase == "all" else f", {metric.phase}")


def _field_axis(axes: Axes, path: str, places: Sequence[float], texts: Sequence[str] | None, unit: str) -> None:
    axes.set_xlabel(path + (f" ({unit})" if unit else ""))
    if texts is not None:
        axes.set_xticks(places, [short(text, 18) for text in texts])
    elif len(places) <= 12:
        axes.set_xticks(sorted(set(places)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _value_axis(axes: Axes, metric: Wanted, rows: pd.DataFrame) -> None:
    """Label an axis of values in the metric's unit."""
    unit = shown(metric.metric).unit
    values = _scale(metric) * rows["mean"].to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    axes.set_ylabel(_title(metric))
    if metric.metric == "success_rate" and len(finite):
        lowest = _scale(metric) * np.fmin.reduce([*rows["low"], *rows["mean"]])
        # A wide interval leaves the axes rather than flatten the curves.
        style.success_axis(axes, max(float(lowest), 2 * float(finite.min()) - 100.0, 0.0))
        return
    if unit == "seconds" and len(finite) and finite.min() > 0 and finite.max() / finite.min() >= 10:
        style.duration_axis(axes, "y", 0.8 * float(finite.min()), 1.25 * float(finite.max()))
        return
    if len(finite) and finite.min() >= 0:
        axes.set_ylim(0.0, 1.08 * float(finite.max()) or 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=style.ROUND))
    if unit == "fraction":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    elif unit == "seconds":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: duration(y)))
    elif unit == "bytes":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: quantity("bytes", y)))


def _heat(rows: pd.DataFrame, varied: Sequence[str], metric: Wanted, ax: Axes | None) -> Panels:
    """Draw a map for each deployment, all in the same colours."""
    deployments = list(dict.fromkeys(rows["deployment"]))
    columns, lines = (list(dict.fromkeys(rows[path])) for path in varied)
    width = max(style.PORTRAIT, min(2.6 * len(deployments) + 1.6, style.LANDSCAPE))
    figure = canvas(ax, width, 1.5 + min(0.36 * len(lines) + 0.8, 5.0))
    grid = figure.subplots(1, len(deployments), squeeze=False, sharey=True)[0]
    scale = _scale(metric)
    values = scale * rows["mean"].to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    better = shown(metric.metric).better
    colours = mpl.colormaps["cividis" if better == "higher" else "cividis_r"].with_extremes(bad="#FFFFFF")
    norm = _norm(low, high)
    short_names, image = names(varied), None
    for axes, name in zip(grid, deployments, strict=True):
        table, edges = (np.full((len(lines), len(columns)), of, dtype=object) for of in (np.nan, ""))
        for row in rows[rows["deployment"] == name].to_dict(orient="records"):
            place = lines.index(row[varied[1]]), columns.index(row[varied[0]])
            table[place], edges[place] = scale * row["mean"], _edge(metric, row)
        table = table.astype(float)
        image = axes.imshow(table, origin="lower", aspect="auto", cmap=colours, norm=norm)
        axes.grid(visible=False)
        axes.set_title(short(str(name), 26))
        axes.set_xticks(range(len(columns)), [_text(value) for value in columns])
        axes.set_yticks(range(len(lines)), [_text(value) for value in lines])
        axes.set_xlabel(short_names[0])
        if table.size * len(deployments) <= _WRITTEN * len(deployments) and len(columns) <= 8:
            _write(axes, table, edges, metric, norm, dark_is_high=better != "higher")
        style.literal(axes)
    grid[0].set_ylabel(short_names[1])
    if image is not None and high > low:
        bar = figure.colorbar(image, ax=list(grid), fraction=0.05, pad=0.02)
        if isinstance(norm, LogNorm):
            bar.locator = LogLocator(subs=(1.0, 2.0, 5.0))
        bar.minorticks_off()
        bar.formatter = FuncFormatter(lambda y, _: _number(metric, y))
        bar.update_ticks()
    figure.suptitle(f"{_title(metric)}: means over the replications")
    return Panels(grid)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else short(str(value), 12)


def _number(metric: Wanted, value: float) -> str:
    unit = shown(metric.metric).unit
    return f"{value:.4g} %" if unit == "fraction" else quantity(unit, value)


def _norm(low: float, high: float) -> Normalize:
    """Return how numbers become colours: by their logarithm where they differ a lot; the middle if they do not."""
    if low > 0 and high / low >= 10:
        return LogNorm(low, high)
    return Normalize(low, high) if high > low else Normalize(low - 0.5, low + 0.5)


def _edge(metric: Wanted, row: dict[str, Any]) -> str:
    """Return the bound of what never happened, or always did, as it stands below the number."""
    mean, low, high = (float(row[name]) for name in ("mean", "low", "high"))
    if row["events"] != 0 or not high > low:
        return ""
    unit = shown(metric.metric).unit
    return edge(unit, mean, low if unit == "fraction" else high)


def _write(
    axes: Axes, table: np.ndarray[Any, Any], edges: np.ndarray[Any, Any], metric: Wanted, norm: Normalize, *,
    dark_is_high: bool,
) -> None:  # fmt: skip
    """Write the number into each cell, black on light and white on dark."""
    for (line, column), value in np.ndenumerate(table):
        if not np.isfinite(value):
            continue
        dark = (norm(float(value)) > 0.5) == dark_is_high
        text = "\n".join(filter(None, (_number(metric, float(value)).replace(" %", ""), str(edges[line, column]))))
        axes.text(
            column, line, text, ha="center", va="center", color="white" if dark else "black", fontsize=style.SMALL - 1
        )  # fmt: skip


def _dots(rows: pd.DataFrame, varied: Sequence[str], metric: Wanted, ax: Axes | None) -> Panels:
    """Draw the metric over each field, a dot for each point."""
    across = min(len(varied), 3)
    down = -(-len(varied) // across)
    figure = canvas(ax, style.LANDSCAPE if across > 2 else style.PORTRAIT, 2.7 * down + 0.6)
    grid = figure.subplots(down, across, squeeze=False, sharey=True).flatten()
    for axes, path in zip(grid, varied, strict=False):
        order = rows.drop_duplicates("point")
        found, texts, unit = _places(order[path].tolist())
        if texts is not None:  # the same word stands in the same place
            kinds = list(dict.fromkeys(texts))
            found, texts = [float(kinds.index(text)) for text in texts], kinds
        place = dict(zip(order["point"], found, strict=True))
        for name, look in style.looks(rows["deployment"]).items():
            own = rows[rows["deployment"] == name]
            axes.errorbar(
                [place[point] for point in own["point"]], _scale(metric) * own["mean"].to_numpy(dtype=float),
                _scale(metric) * _whiskers(own), ls="", marker=look.marker, ms=4, color=look.colour, alpha=0.75,
                elinewidth=0.8, label=short(str(name), 30),
            )  # fmt: skip
        _value_axis(axes, metric, rows)
        axes.set_xlabel(names(varied)[list(varied).index(path)] + (f" ({unit})" if unit else ""))
        if texts is not None:
            axes.set_xticks(range(len(texts)), [short(text, 14) for text in texts])
        style.literal(axes)
    for axes in grid[1:]:
        axes.set_ylabel("")
    for axes in grid[len(varied) :]:
        axes.set_axis_off()
    figure.suptitle(f"{_title(metric)} at each point{_known(rows)}")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
    return Panels(grid[: len(varied)])


def sensitivity(frame: pd.DataFrame, method: str, deployment: str, metric: str, ax: Axes | None = None) -> Axes:
    """Draw what one metric of one deployment depends on: `tornado` or `indices`, by the method of the study."""
    return (tornado if method == "tornado" else indices)(frame, deployment, metric, ax)


def tornado(frame: pd.DataFrame, deployment: str, metric: str, ax: Axes | None = None) -> Axes:
    """Draw a tornado of one deployment and metric: what each field does at its ends, the largest effect on top."""
    rows = frame[(frame["deployment"] == deployment) & (frame["metric"] == metric)]
    fields = list(dict.fromkeys(rows["field"]))
    unit = shown(metric.split(" ", maxsplit=1)[0]).unit
    scale = 100.0 if unit == "fraction" else 1.0
    with style.style():
        axes = single(ax, style.PORTRAIT, 1.3 + 0.45 * len(fields))
        for end, colour, hatch in (("low", style.SKY, ""), ("high", style.ORANGE, "////")):
            own = rows[rows["end"] == end].set_index("field").reindex(fields)
            at = np.arange(len(fields))
            few = own.reindex(columns=["base_requests_needed", "requests_needed"]).fillna(0).any(axis=1).to_numpy()
            value = np.where(few, np.nan, scale * _finite(own["difference"]))
            half = scale * own["half_width"].to_numpy(dtype=float)
            shift = -0.19 if end == "low" else 0.19
            bars = np.nan_to_num(value)
            axes.barh(at + shift, bars, 0.36, color=colour, hatch=hatch, ec="white", lw=0, label=f"at its {end} end")
            known = np.isfinite(half) & np.isfinite(value)
            axes.errorbar(
                value[known], (at + shift)[known], xerr=half[known], fmt="none", ecolor="black", lw=1.0, capsize=2.5
            )
            texts = [f"{text}{said}" for text, said in zip(own["value"], _instead(own, few), strict=True)]
            for y, text, x in zip(at + shift, texts, bars, strict=True):
                axes.annotate(
                    f" {text} ", (x, y), ha="left" if x >= 0 else "right", va="bottom", fontsize=style.SMALL - 1
                )
        axes.set_yticks(range(len(fields)), names(fields))
        axes.invert_yaxis()
        axes.margins(x=0.16)
        axes.axvline(0.0, color=style.GREY, lw=1.0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=style.ROUND))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _signed(unit, x)))
        base = at_base(metric.split(" ", maxsplit=1)[0], rows.iloc[0].to_dict())
        said = "has too few requests" if base.startswith(TOO_FEW) else f"is {base}"
        axes.set_xlabel(f"difference to the base, where {shown(metric.split(' ', maxsplit=1)[0]).label} {said}")
        label(axes, f"What {metric} depends on, {short(deployment, 30)}")
        style.literal(axes)
    return axes


def _instead(ends: pd.DataFrame, few: NDArray[np.bool_]) -> list[str]:
    """Return what is written where there is no bar: of percentiles of too few requests, and of what never ended."""
    counts = ends.reindex(columns=["base_never", "never"]).fillna(0).to_numpy()
    return [
        f": {TOO_FEW}" if lack else f": {NEVER}" if never else f": {NEVER} at the base" if base else ""
        for lack, (base, never) in zip(few, counts, strict=True)
    ]


def _finite(values: pd.Series) -> NDArray[np.float64]:
    """Return numbers that have a place in a picture; nan for the others, such as of what never ended."""
    found = values.to_numpy(dtype=float)
    return np.where(np.isfinite(found), found, np.nan)


def _signed(unit: str, value: float) -> str:
    if unit == "fraction":
        return f"{value:+g} points" if value else "0"
    sign = "+" if value > 0 else "-" if value < 0 else ""
    return sign + quantity(unit, abs(value)) if value else "0"


def indices(frame: pd.DataFrame, deployment: str, metric: str, ax: Axes | None = None) -> Axes:
    """Draw the Sobol' indices of one deployment and metric as bars, the largest on top."""
    rows = frame[(frame["deployment"] == deployment) & (frame["metric"] == metric)].sort_values(
        "total", ascending=False, kind="stable"
    )
    with style.style():
        axes = single(ax, style.PORTRAIT, 1.3 + 0.45 * len(rows))
        at = np.arange(len(rows))
        for shift, column, words, colour, hatch in (
            (-0.19, "first_order", "alone", style.BLUE, ""),
            (0.19, "total", "with others", style.ORANGE, "////"),
        ):
            value, half = rows[column].to_numpy(dtype=float), rows[f"{column}_half_width"].to_numpy(dtype=float)
            axes.barh(at + shift, value, 0.36, color=colour, hatch=hatch, ec="white", lw=0, label=words)
            axes.errorbar(value, at + shift, xerr=half, fmt="none", ecolor="black", lw=1.0, capsize=2.5)
        axes.set_yticks(at, names(rows["field"].tolist()))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(min(0.0, axes.get_xlim()[0]), max(1.0, axes.get_xlim()[1]))
        axes.set_xlabel("share of the variance, with 95 % intervals")
        label(axes, f"What {metric} depends on, {short(deployment, 30)}")
        style.literal(axes)
    return axes


def breaking(found: Sequence[Breaking], search: Search, ax: Axes | None = None) -> Axes:
    """Draw every point that was looked at, with the bound, and where each deployment breaks as a band."""
    import pandas as pd

    metric = search.bound.wanted
    scale = _scale(metric)
    with style.style():
        axes = single(ax, style.PORTRAIT, 4.0)
        for one, look in zip(found, style.looks([one.deployment for one in found]).values(), strict=True):
            x = [point.number for point in one.looks]
            seen = pd.DataFrame([point._asdict() for point in one.looks])
            seen["mean"] = _finite(seen["mean"])
            axes.errorbar(
                x, scale * seen["mean"], scale * _whiskers(seen), color=look.colour, ls=look.line, marker=look.marker,
                ms=4, capsize=2, elinewidth=0.8, label=short(one.deployment, 30),
            )  # fmt: skip
            if one.fine is not None and one.broken is not None:
                ends = sorted((one.fine.number, one.broken.number))
                axes.axvspan(*ends, color=look.colour, alpha=0.25, lw=0)
        axes.axhline(scale * search.bound.value, color=style.VERMILLION, lw=1.0, ls="--", label=str(search.bound))
        levels = [(point.mean, point.low) for one in found for point in one.looks if math.isfinite(point.mean)]
        _value_axis(axes, metric, pd.DataFrame([*levels, (search.bound.value,) * 2], columns=["mean", "low"]))
        axes.set_xlabel(search.axis.path + (f" ({search.axis.unit})" if search.axis.unit else ""))
        if search.axis.log:
            axes.set_xscale("log")
        axes.set_title(f"Where it breaks: {search.bound}")
        label(axes, columns=min(len(found) + 1, 4))
        style.literal(axes)
    return axes
