"""The picture of a run over time: what users saw, how stale the mesh was and where traffic went, with named events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from meshsim.report import style
from meshsim.report.events import LANE, Placed, draw_lanes, pack, rule, shade
from meshsim.report.numbers import quantity
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short
from meshsim.report.timing import spans
from meshsim.results.tables import FLOWS
from meshsim.scenario.sampling import windows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from meshsim.scenario.schema import Document

#: Inches of a panel of lines, of one that is there only where it shows something, and of a deployment's traffic split.
_PANEL, _LOW, _SPLIT = 1.4, 0.9, 0.72
#: Shares of the proxies that get a panel where they reach 1 % in any deployment: title and name of the axis.
_TROUBLES = {
    "disconnected_share": ("Proxies without a control plane", "without (%)"),
    "expired_share": ("Proxies whose certificate had expired", "expired (%)"),
}
_WORTH_A_PANEL = 0.01
#: Share of the picture's width that the axes get: labels are packed before the layout is known.
_USED = 0.86
#: The part of the calls that has no distance.
_NO_POD = "reached no pod"
#: Lanes of events that are named; what happens beside so many others is only shaded.
_LANES = 12


def timeline(frame: pd.DataFrame, document: Document, ax: Axes | None = None) -> Panels:
    """Draw all deployments over one time axis: success, tail latency, stale proxies, and each one's traffic by flow.

    Proxies without a control plane or with an expired certificate, and pods that are not ready, have a panel where
    there are any to speak of.

    Parameters
    ----------
    frame
        Per deployment, bucket (``start``, ``end``, seconds), ``metric`` and ``flow``: ``mean`` and ``half_width`` over
        the replications. Metrics: ``success_rate``, ``latency_p99`` (seconds), ``stale_share``, ``disconnected_share``,
        ``expired_share``, ``ready_pods``, ``desired_pods`` and ``call_unreached_share`` of flow ``all``, ``call_share``
        of each flow. ``n``, where it is there, tells how many replications; bands need three.
    document
        The scenario, for its timeline, warm-up and duration.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.scenario.schema import Document
    >>> document = Document.model_validate({
    ...     "name": "one", "regions": {"eu": {}}, "clusters": {"eu-1": {"region": "eu"}},
    ...     "load": {"web": {"rate": "1/s"}}, "services": {"web": {"endpoints": {"GET /": {}}}}})
    >>> columns = ["deployment", "start", "end", "metric", "flow", "mean", "half_width"]
    >>> frame = pd.DataFrame([("hybrid", 0.0, 5.0, "success_rate", "all", 0.999, 0.001)], columns=columns)
    >>> [axes.get_title(loc="left") for axes in timeline(frame, document)][1]
    'User requests that succeeded'
    """
    looks = style.looks(frame["deployment"])
    happened = spans(document)
    placed = pack(happened, document.duration, style.PORTRAIT * 72 * _USED)
    lanes = min(max((item.lane for item in placed), default=0) + 1, _LANES) * LANE + 0.1
    troubles = [name for name in _TROUBLES if _rows(frame, name)["mean"].max() >= _WORTH_A_PANEL]
    lacking = int(_lacks_pods(frame))
    heights = [lanes, _PANEL, _PANEL, _PANEL, *[_LOW] * (len(troubles) + lacking), *[_SPLIT] * len(looks)]
    with style.style():
        figure = canvas(ax, style.PORTRAIT, sum(heights) + 0.24 * len(heights) + 0.9)
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        style.time_axis(panels[-1], document.duration)
        _lanes(panels[0], placed, document)
        draws: list[Callable[[pd.DataFrame, Axes], Axes]] = [success, tail, stale]
        draws += [partial(share, name=name) for name in troubles]
        draws += [ready] * lacking
        for axes, draw in zip(panels[1:], draws, strict=False):
            draw(frame, axes)
            shade(axes, happened, document.warm_up)
        for axes, name in zip(panels[1 + len(draws) :], looks, strict=True):
            split(frame, name, axes)
            rule(axes, happened, document.warm_up)
        for axes in (panels[1], panels[2], *panels[1 + len(draws) :]):
            _hatch_gaps(axes, document)
        for axes in panels[1:]:
            axes.label_outer()
        figure.align_ylabels(panels)
        figure.legend(handles=_names(looks, frame), loc="outside upper center", ncols=min(len(looks) + 1, 4))
        figure.legend(
            handles=_fills(document, _rows(frame, "call_unreached_share")), loc="outside lower center", ncols=3
        )
    return Panels(panels)


def success(frame: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the share of user requests that succeeded, percent, with the interval over replications."""
    drawn = _lines(frame, "success_rate", axes, scale=100.0)
    style.success_axis(axes, float(np.nanmin(drawn)) if np.isfinite(drawn).any() else 100.0)
    axes.set_title("User requests that succeeded")
    axes.set_ylabel("success rate (%)")
    return axes


def tail(frame: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the 99th percentile of what users waited, on a logarithmic axis, with the interval over replications."""
    drawn = _lines(frame, "latency_p99", axes)
    positive = drawn[np.isfinite(drawn) & (drawn > 0)]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1e-3, 1.0)
    style.duration_axis(axes, "y", low / 1.4, max(high * 1.4, low * 3))
    axes.set_title("Latency that 99 % of user requests stayed below")
    axes.set_ylabel("p99 latency")
    return axes


def stale(frame: pd.DataFrame, axes: Axes) -> Axes:
    """Draw the share of proxies whose endpoints are behind the truth, percent, with the interval over replications."""
    _share(frame, "stale_share", axes)
    axes.set_title("Proxies whose endpoints were behind the truth")
    axes.set_ylabel("stale proxies (%)")
    return axes


def share(frame: pd.DataFrame, axes: Axes, name: str) -> Axes:
    """Draw the share of proxies in one kind of trouble, percent, with the interval over replications.

    Parameters
    ----------
    frame
        As for `timeline`.
    axes
        Where to draw.
    name
        The metric, ``disconnected_share`` or ``expired_share``.
    """
    _share(frame, name, axes)
    title, label = _TROUBLES[name]
    axes.set_title(title)
    axes.set_ylabel(label)
    return axes


def ready(frame: pd.DataFrame, axes: Axes) -> Axes:
    """Draw how many pods are ready, with the interval over replications, and how many are asked for (dotted)."""
    drawn = _lines(frame, "ready_pods", axes)
    rows = _rows(frame, "desired_pods").sort_values("start")
    for name in style.looks(frame["deployment"]):
        own = rows[rows["deployment"] == name]
        axes.plot(
            ((own["start"] + own["end"]) / 2).to_numpy(dtype=float), own["mean"].to_numpy(dtype=float),
            color=style.GREY, lw=0.9, ls=(0, (1, 1.5)), zorder=2, gid=f"desired {name}",
        )  # fmt: skip
    most = float(np.nanmax([np.nanmax(drawn, initial=0.0), rows["mean"].max()]))
    least = float(np.nanmin(drawn)) if np.isfinite(drawn).any() else 0.0
    axes.set_ylim(least - 0.15 * (most - least) if most > least else 0.0, most + 0.1 * max(most - least, 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=style.ROUND, integer=True))
    axes.set_title("Pods ready (dotted: asked for)")
    axes.set_ylabel("pods")
    return axes


def _lacks_pods(frame: pd.DataFrame) -> bool:
    """Return whether at any time 1 % of the pods asked for were not ready."""
    keys = ["deployment", "start"]
    asked, there = (_rows(frame, name).set_index(keys)["mean"] for name in ("desired_pods", "ready_pods"))
    return bool((there.reindex(asked.index) < (1 - _WORTH_A_PANEL) * asked).any())


def _share(frame: pd.DataFrame, name: str, axes: Axes) -> None:
    drawn = _lines(frame, name, axes, scale=100.0)
    high = float(np.nanmax(drawn)) if np.isfinite(drawn).any() else 0.0
    axes.set_ylim(0.0, max(min(1.08 * high, 102.0), 1.0))  # a line at 100 % is not cut in half
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=style.ROUND))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))


def split(frame: pd.DataFrame, deployment: str, axes: Axes) -> Axes:
    """Draw the calls of one deployment by flow and those that reached no pod, stacked to 100 %."""
    own = frame[frame["deployment"] == deployment]
    times = np.unique(_rows(own, "call_share")[["start", "end"]].to_numpy(dtype=float))
    bottom = np.zeros(max(len(times) - 1, 0))
    for name, part in _parts(own, times[:-1]) if len(times) > 1 else ():
        if not part.any():
            continue
        axes.stairs(
            bottom + part, times, baseline=bottom, fill=True, fc=style.FLOW_COLOURS.get(name, style.UNREACHED),
            ec="#555555", lw=0, hatch=style.FLOW_HATCHES.get(name, ""), label=name, zorder=1,
        )  # fmt: skip
        bottom = bottom + part
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    axes.set_title(f"Calls by distance, {short(deployment, 40)}")
    axes.set_ylabel("calls (%)")
    return axes


def _parts(own: pd.DataFrame, starts: np.ndarray[Any, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Return the parts of all calls of one deployment by bucket, percent: by flow, then what reached no pod."""

    def mean(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        return rows.set_index("start")["mean"].reindex(starts).fillna(0.0).to_numpy(dtype=float)

    lost, shares = mean(_rows(own, "call_unreached_share")), _rows(own, "call_share")
    for flow in FLOWS:
        yield flow, 100.0 * mean(shares[shares["flow"] == flow]) * (1.0 - lost)
    yield _NO_POD, 100.0 * lost


def _rows(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    return frame[frame["metric"] == metric]


def _lines(frame: pd.DataFrame, metric: str, axes: Axes, scale: float = 1.0) -> np.ndarray[Any, Any]:
    """Draw the mean of each deployment with its band, and return all that was drawn."""
    rows, drawn = _rows(frame, metric), []
    rows = rows[rows["flow"] == "all"]
    for name, look in style.looks(frame["deployment"]).items():
        part = rows[rows["deployment"] == name].sort_values("start")
        middle = (part["start"] + part["end"]).to_numpy(dtype=float) / 2
        mean = scale * part["mean"].to_numpy(dtype=float)
        half = scale * _shown_half_width(part).to_numpy(dtype=float)
        axes.plot(
            middle, mean, color=look.colour, ls=look.line, marker=look.marker, ms=4, label=name,
            markevery=style.spaced(mean, 0.03, 0.12), zorder=3,
        )  # fmt: skip
        top = 100.0 if scale == 100.0 else np.inf  # no share is above 100 %, whatever the t distribution says
        low, high = np.maximum(mean - half, 0.0), np.minimum(mean + half, top)
        axes.fill_between(middle, low, high, color=look.colour, alpha=0.18, lw=0, zorder=2)
        drawn.append(mean)
    return np.concatenate(drawn) if drawn else np.zeros(0)


def _shown_half_width(part: pd.DataFrame) -> pd.Series[float]:
    """Return the half widths worth drawing: those of two replications (t = 12.7) would cover everything else."""
    half = part["half_width"].fillna(0.0)
    return half.where(part["n"] > 2, 0.0) if "n" in part else half


def _lanes(axes: Axes, placed: list[Placed], document: Document) -> None:
    named = [item for item in placed if item.lane < _LANES]
    draw_lanes(axes, named, document.warm_up)
    more = f" ({len(placed) - len(named)} more not named)" if len(placed) > len(named) else ""
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_title(f"{short(document.name, 60)}: what happens when{more}", fontsize=style.TITLE)


def _hatch_gaps(axes: Axes, document: Document) -> None:
    """Hatch the times at which no request is counted, in a panel of what depends on load."""
    counted = windows(document)
    if counted is None:
        return
    edges = [document.warm_up, *(edge for window in counted for edge in window), document.duration]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if start < end:
            axes.axvspan(start, end, **style.NO_LOAD, zorder=0.05, gid="no load")


def _names(looks: dict[str, style.Look], frame: pd.DataFrame) -> list[Any]:
    items: list[Any] = [
        Line2D([], [], color=look.colour, ls=look.line, marker=look.marker, ms=4, label=short(name, 26))
        for name, look in looks.items()
    ]
    if (_shown_half_width(frame) > 0).any():
        items.append(Patch(fc=style.GREY, alpha=0.3, label="95 % interval of the mean"))
    return items


def _fills(document: Document, unreached: pd.DataFrame) -> list[Any]:
    items = [
        Patch(fc=style.FLOW_COLOURS[flow], ec="#555555", lw=0.3, hatch=style.FLOW_HATCHES[flow], label=f"{flow} calls")
        for flow in FLOWS
    ]
    if (unreached["mean"] > 0).any():
        items.append(Patch(fc=style.UNREACHED, ec="#555555", lw=0.3, label="calls that reached no pod"))
    if document.timeline:
        items.append(Patch(fc=style.FAULT_SHADE, ec=style.VERMILLION, lw=0.6, label="while something happens"))
    if document.sample is not None:
        items.append(Patch(**style.NO_LOAD, label="not sampled"))
    if document.warm_up > 0:
        items.append(Patch(**style.WARM_UP, label=f"warm-up ({quantity('seconds', document.warm_up)})"))
    return items
