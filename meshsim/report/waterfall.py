"""The picture of where a request's time went: its calls over time, what made it wait coloured by what for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshsim.analysis.critical_path import PARTS
from meshsim.report import style
from meshsim.report.numbers import duration
from meshsim.report.panels import Panels, canvas
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

#: Calls that one panel has room for, and deployments that a picture has.
MOST, DEPLOYMENTS = 24, 2
#: Fill and hatch of the parts, so that greyscale keeps neighbours apart.
LOOKS = dict(
    zip(
        PARTS,
        (
            (style.SKY, ""), (style.YELLOW, "xxxx"), (style.ORANGE, "//"), (style.PURPLE, "...."), (style.BLUE, "////"),
            (style.VERMILLION, "\\\\\\\\"), (style.GREEN, ""), ("#F8DFA8", "...."), (style.BLACK, ""),
            ("#C4C4C4", "----"), (style.GREY, "xxxx"),
        ),
        strict=True,
    )
)  # fmt: skip
_FAINT = "#E4E4E4"
_NAMES = {"typical": "typical request (median", "p99": "p99 request (p99"}


def waterfalls(found: pd.DataFrame, ax: Axes | None = None) -> Panels:
    """Draw the typical and the p99 request of the first deployments side by side.

    Parameters
    ----------
    found
        As `meshsim.analysis.critical_path.paths` returns it.
    ax
        Axes whose place the panels take; a picture of its own by default.

    Raises
    ------
    ValueError
        If there is no request to draw.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"deployment": "hybrid", "shown": "p99", "quantile": 2.0, "latency": 2.1, "number": 0, "parent": -1,
    ...        "kind": "call", "source": "ingress", "destination": "web", "source_cluster": "eu-1",
    ...        "destination_cluster": "eu-1", "began": 0.0, "ended": 2.1}
    >>> panels = waterfalls(pd.DataFrame([{**row, "part": ""}, {**row, "part": "service"}]))
    >>> panels[0].get_title(loc="left")
    'hybrid: p99 request (p99 2 s), 2.1 s'
    """
    names = list(dict.fromkeys(found["deployment"]))[:DEPLOYMENTS]
    if not names:
        raise ValueError("no request was traced: replication 0 has none that succeeded in this phase")
    requests = list(dict.fromkeys(found["shown"]))
    heights = [max(len(_chosen(_of(found, name, shown))) for shown in requests) for name in names]
    with style.style():
        figure = canvas(ax, style.LANDSCAPE, 1.1 + sum(0.19 * height + 0.65 for height in heights))
        grid = figure.subplots(
            len(names), len(requests), squeeze=False, height_ratios=[0.19 * height + 0.3 for height in heights]
        )
        for row, name in zip(grid, names, strict=True):
            for axes, shown in zip(row, requests, strict=True):
                _draw(_of(found, name, shown), axes)
        figure.suptitle(
            "Where the time of a request went (grey: waiting for calls further down, or nobody waited for it)"
        )
        labelled: dict[str, Artist] = {}
        for axes in grid.flat:
            labelled |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        parts = [part for part in PARTS if part in labelled]
        figure.legend([labelled[part] for part in parts], parts, loc="outside lower center", ncols=min(len(parts), 6))
    return Panels(grid.flat)


def _of(found: pd.DataFrame, deployment: str, shown: str) -> pd.DataFrame:
    return found[(found["deployment"] == deployment) & (found["shown"] == shown)]


def _by_call(own: pd.DataFrame) -> pd.DataFrame:
    """Return the critical pieces with the call on whose row they are; computations are on that of their service."""
    critical = own[own["part"] != ""]
    call = critical["number"].where(critical["kind"] == "call", critical["parent"])
    return critical.assign(call=call, seconds=critical["ended"] - critical["began"])


def _chosen(own: pd.DataFrame) -> list[int]:
    """Return the calls to draw, in order: the request itself and those that took most of its time."""
    calls = own[(own["part"] == "") & (own["kind"] == "call")]["number"].tolist()
    seconds = _by_call(own).groupby("call")["seconds"].sum()
    weight = {number: (number == 0, float(seconds.get(number, 0.0))) for number in calls}
    return sorted(sorted(calls, key=lambda number: weight[number], reverse=True)[:MOST])


def _draw(own: pd.DataFrame, axes: Axes) -> Axes:
    first = own.iloc[0]
    calls = own[(own["part"] == "") & (own["kind"] == "call")].set_index("number")
    numbers = _chosen(own)
    place = {number: at for at, number in enumerate(numbers)}
    drawn = calls.loc[numbers]
    axes.barh(range(len(numbers)), 1e3 * (drawn["ended"] - drawn["began"]), left=1e3 * drawn["began"], height=0.72,
              color=_FAINT)  # fmt: skip
    pieces = _by_call(own)
    for part, (colour, hatch) in LOOKS.items():
        some = pieces[(pieces["part"] == part) & pieces["call"].isin(place)]
        if len(some):
            axes.barh(
                [place[number] for number in some["call"]], 1e3 * some["seconds"], left=1e3 * some["began"],
                height=0.72, color=colour, hatch=hatch, edgecolor="white" if colour == style.BLACK else "black",
                linewidth=0.3, label=part,
            )  # fmt: skip
    axes.set_yticks(range(len(numbers)), [_name(calls, number) for number in numbers])
    axes.set_ylim(len(numbers) - 0.4, -0.6)
    axes.set_xlim(0.0, 1e3 * float(first["latency"]) * 1.01)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("time since the request began (ms)" + _left_out(pieces, len(calls), place))
    nearest = f"{_NAMES[first['shown']]} {duration(first['quantile'])})"
    axes.set_title(f"{short(first['deployment'], 40)}: {nearest}, {duration(first['latency'])}", size=style.SMALL)
    return axes


def _left_out(pieces: pd.DataFrame, calls: int, place: dict[int, int]) -> str:
    if calls == len(place):
        return ""
    seconds = float(pieces[~pieces["call"].isin(place)]["seconds"].sum())
    return f"\n{calls - len(place)} of {calls} calls, {duration(seconds)} in all, are not shown"


def _name(calls: pd.DataFrame, number: int) -> str:
    """Return whom a call went to, indented by how deep it is, with the cluster where that is another one."""
    parents = dict(zip(calls.index.tolist(), calls["parent"].tolist(), strict=True))
    columns = ["destination", "source_cluster", "destination_cluster"]
    called, here, there = (str(value) for value in calls.loc[number, columns])
    depth, above = 0, parents[number]
    while above in parents:
        depth, above = depth + 1, parents[above]
    where = f" in {short(there, 14)}" if there and there != here else ""
    return "· " * min(depth, 6) + short(called, 24) + where
