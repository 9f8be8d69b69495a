"""The comparison as tables: for the terminal, for a pipe, as Markdown and as JSON-able data."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.analysis.phases import whole
from meshsim.analysis.verdicts import verdicts
from meshsim.report.cells import ABSENT, Sign, how_to_read, printed
from meshsim.report.metrics import FIRST_PHASE, is_key, rank, shown
from meshsim.report.numbers import duration
from meshsim.report.shorten import short
from meshsim.report.verdicts import block, spoken

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from meshsim.analysis.phases import Phase

#: Columns of the text version; wide enough for three deployments, narrow enough for a mail or a ticket. With every
#: metric, labels are longer.
WIDTH, WIDTH_FULL = 100, 120
_NAME = 24
_MARK = " *"

#: How the verdicts are introduced.
VERDICT = "verdict"


@dataclass(frozen=True, slots=True)
class Cell:
    """One number as printed, whether it beats every other deployment beyond chance, and what has to be explained."""

    text: str
    best: bool = False
    signs: frozenset[Sign] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A metric of one phase, a cell for each deployment."""

    metric: str
    flow: str
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One phase of the timeline."""

    phase: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A comparison laid out in rows, whatever it is then printed as."""

    deployments: tuple[str, ...]
    sections: tuple[Section, ...]
    caption: str
    verdicts: tuple[tuple[str, str], ...] = ()

    def how_to_read(self, mark: str) -> str:
        """Return one line that explains the marks that are there; ``mark`` is how the best is marked."""
        rows = [row for section in self.sections for row in section.rows]
        cells = [one for row in rows for one in row.cells]
        best_of_all = (
            f"{mark} better than every other deployment: the 95 % intervals of all paired differences in the row,"
            " taken together, exclude 0"
        )
        said = [best_of_all] if any(one.best for one in cells) else []
        reading = how_to_read(sign for one in cells for sign in one.signs)
        return "; ".join([*said, *reading, *regions({row.metric for row in rows})])


def regions(metrics: Collection[str]) -> list[str]:
    """Return what crosses regions in which row, where there are rows of both kinds.

    Examples
    --------
    >>> len(regions(["cross_region_requests", "call_share"])), regions(["call_share"])
    (1, [])
    """
    said = "a request is cross-region if any call behind it is; shares of calls count every call that reached a pod"
    return [said] if {"cross_region_requests", "call_share"} <= set(metrics) else []


def lay_out(comparison: pd.DataFrame, spans: Sequence[Phase] = (), *, full: bool = False) -> Sheet:
    """Return a comparison as rows of printed numbers.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.summary.compare` returns it.
    spans
        The phases, where their times are to stand beside their names.
    full
        Show every metric and flow, not only those a person reads first and that are not zero for every deployment.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict(deployment="hybrid", phase="during", metric="success_rate", flow="all", mean=0.9993, half_width=2e-4,
    ...            n=5, difference=float("nan"), difference_half_width=float("nan"))
    >>> lay_out(pd.DataFrame([row])).sections[0].rows[0].cells
    (Cell(text='99.930 ± 0.020 %', best=False),)
    """
    deployments = tuple(str(name) for name in dict.fromkeys(comparison["deployment"]))
    sections: list[Section] = []
    for phase, groups in _by_phase(comparison).items():
        rows = (
            _row(name, flow, group, deployments, full=full)
            for (name, flow), group in groups.items()
            if full or (is_key(name, flow) and (not sections or name not in FIRST_PHASE))
        )
        sections.append(Section(_phase(phase, spans), tuple(row for row in rows if row is not None)))
    return Sheet(deployments, tuple(sections), _caption(comparison), spoken(comparison))


def _by_phase(comparison: pd.DataFrame) -> dict[str, dict[tuple[str, str], pd.DataFrame]]:
    """Return the rows by phase and, in the order they are printed, by metric and flow, indexed by deployment."""
    phases: dict[str, dict[tuple[str, str], pd.DataFrame]] = {}
    for phase, rows in comparison.groupby("phase", sort=False):
        groups = {
            (str(name), str(flow)): group.set_index("deployment")
            for (name, flow), group in rows.groupby(["metric", "flow"], sort=False)
        }
        phases[str(phase)] = {key: groups[key] for key in sorted(groups, key=lambda key: rank(*key))}
    return phases


def _phase(name: str, spans: Sequence[Phase]) -> str:
    """Return a phase's name with its times, from and to which it goes, and how much of it is sampled."""
    title = "whole run" if name == "all" else name
    found = whole(spans, name) if name == "all" and spans else next((one for one in spans if one.name == name), None)
    if found is None:
        return title
    said = f"{title}: {duration(found.start)} to {duration(found.end)}"
    if found.windows is None:
        return said
    return f"{said}, " + (f"{duration(found.counted)} of it sampled" if found.counted else "not sampled: no load in it")


def _row(name: str, flow: str, group: pd.DataFrame, deployments: Sequence[str], *, full: bool) -> Row | None:
    """Return a row, or None where it says nothing for any deployment."""
    known = shown(name)
    mean = [float(group["mean"].get(deployment, math.nan)) for deployment in deployments]
    finite = [value for value in mean if math.isfinite(value)]
    never = {str(deployment): int(count) for deployment, count in group["never"].items()} if "never" in group else {}
    if not finite and not any(never.values()):
        return None
    if finite and all(value == known.ordinary for value in finite) and (known.optional or not full):
        return None
    winner = best(group)
    rows = {str(deployment): row for deployment, row in group.iterrows()}
    found = (printed(name, rows[to].to_dict()) if to in rows else ABSENT for to in deployments)
    cells = tuple(Cell(one.text, to == winner, one.signs) for to, one in zip(deployments, found, strict=True))
    return Row(name, flow, known.label + ("" if flow in ("all", "") else f", {flow}"), cells)


def best(group: pd.DataFrame) -> str | None:
    """Return the deployment that beats every other beyond chance, or None.

    Parameters
    ----------
    group
        Rows of one phase, metric and flow, indexed by deployment, with those that each of them ``beats``.

    Examples
    --------
    >>> import pandas as pd
    >>> best(pd.DataFrame({"beats": [(), ("first",)]}, index=["first", "second"]))
    'second'
    """
    if "beats" not in group or len(group) < 2:
        return None
    return next((str(name) for name, beaten in group["beats"].items() if len(beaten) == len(group) - 1), None)


def _caption(comparison: pd.DataFrame) -> str:
    counts = [int(n) for n in comparison["n"].dropna()] if "n" in comparison else []
    n = max(counts, default=1)
    if n < 2:
        return "1 replication, so no intervals: run with --replications 5 or more to tell differences from chance"
    some = (comparison["missing"] > 0) & (comparison["n"] > 0) if "missing" in comparison else comparison["n"] < 0
    some &= comparison.get("never", 0) == 0
    few = "; (3/5): seen in 3 of 5 of them" if some.any() else ""
    two = "; two replications make it very wide: run with --replications 5 or more" if n == 2 else ""
    return f"mean ± half width of the 95 % interval over n = {n} replications{two}{few}"


# --- printed --------------------------------------------------------------------------------------------------


def rich_table(comparison: pd.DataFrame, spans: Sequence[Phase] = (), *, full: bool = False) -> Table:
    """Return a table for a terminal: deployments as columns, metrics as rows, a section for each phase, then verdicts.

    Examples
    --------
    >>> import pandas as pd
    >>> columns = ["deployment", "phase", "metric", "flow", "mean", "half_width", "n", "difference",
    ...            "difference_half_width"]
    >>> rich_table(pd.DataFrame(columns=columns)).row_count
    0
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    sheet = lay_out(comparison, spans, full=full)
    # Names go in as Text: what looks like markup in a name is printed as it is.
    footer = Text("\n".join(filter(None, (sheet.caption, sheet.how_to_read("*")))), style="dim")
    table = Table(box=box.SIMPLE_HEAD, caption=footer, caption_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for name in sheet.deployments:
        table.add_column(Text(short(name, _NAME)), justify="right", overflow="fold")
    for section in sheet.sections:
        table.add_section()
        table.add_row(Text(short(section.phase, 80), style="bold"))
        for row in section.rows:
            cells = [
                Text(c.text + (_MARK if c.best else "  "), style="bold green" if c.best else "") for c in row.cells
            ]
            table.add_row(Text(f"  {row.label}"), *cells)
    return table


def plain(
    comparison: pd.DataFrame, spans: Sequence[Phase] = (), *, full: bool = False, width: int | None = None
) -> str:
    """Return the tables as text without colours, at most ``width`` columns; more deployments make more blocks.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict(deployment="hybrid", phase="during", metric="success_rate", flow="all", mean=1.0, half_width=0.0,
    ...            n=5, difference=float("nan"), difference_half_width=float("nan"))
    >>> print(plain(pd.DataFrame([row])).splitlines()[2])
    during
    """
    sheet = lay_out(comparison, spans, full=full)
    width = width or (WIDTH_FULL if full else WIDTH)
    rows = [row for section in sheet.sections for row in section.rows]
    label = max((len(row.label) + 2 for row in rows), default=0)
    shortened = [short(name, _NAME) for name in sheet.deployments]
    # Numbers are never cut: what does not fit beside the others makes another block.
    column = max([len(c.text) for row in rows for c in row.cells] + [len(name) for name in shortened], default=0) + 3
    column += label + len(shortened) * (column + 1) <= width  # a little more room where there is some
    across = max((width - label) // column, 1)
    lines = []
    for first in range(0, max(len(shortened), 1), across):
        lines += [*_block(sheet, range(first, min(first + across, len(shortened))), label, column), ""]
    footer = [line for text in (sheet.caption, sheet.how_to_read("*")) for line in wrap(text, width)]
    if sheet.verdicts:
        footer += ["", VERDICT, *block(sheet.verdicts, min(label, 32), width)]
    return "\n".join(line.rstrip() for line in [*lines, *footer]) + "\n"


def _block(sheet: Sheet, columns: range, label: int, cell: int) -> Iterator[str]:
    def line(name: str, cells: Sequence[str]) -> str:
        return f"{name:<{label}}" + "".join(f"{text:>{cell}}" for text in cells)

    yield line("", [f"{short(sheet.deployments[i], _NAME)}  " for i in columns])
    yield "-" * (label + len(columns) * cell)
    for i, section in enumerate(sheet.sections):
        if i:
            yield ""
        yield section.phase
        for row in section.rows:
            yield line(f"  {row.label}", [row.cells[j].text + (_MARK if row.cells[j].best else "  ") for j in columns])


def markdown(comparison: pd.DataFrame, spans: Sequence[Phase] = (), *, full: bool = False) -> str:
    r"""Return the tables as Markdown, one a phase; what is best is bold.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict(deployment="a|b", phase="during", metric="success_rate", flow="all", mean=1.0, half_width=0.0,
    ...            n=5, difference=float("nan"), difference_half_width=float("nan"))
    >>> print(markdown(pd.DataFrame([row])).splitlines()[2])
    | | a\|b |
    """
    sheet = lay_out(comparison, spans, full=full)
    lines = []
    for section in sheet.sections:
        lines += [f"### {_escaped(section.phase)}", ""]
        lines.append("| | " + " | ".join(_escaped(name) for name in sheet.deployments) + " |")
        lines.append("|---|" + "---:|" * len(sheet.deployments))
        for row in section.rows:
            cells = (f"**{one.text}**" if one.best else one.text for one in row.cells)
            lines.append(f"| {_escaped(row.label)} | " + " | ".join(cells) + " |")
        lines.append("")
    lines.append("; ".join(filter(None, (sheet.caption, sheet.how_to_read("**bold**:")))))
    if sheet.verdicts:
        lines += ["", f"### {VERDICT}", "", *(f"- {name}, {_escaped(words)}" for name, words in sheet.verdicts)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Return a name in which Markdown and HTML find nothing to interpret."""
    import html

    line = html.escape(short(text, 200), quote=False)
    return "".join("\\" + c if c in "\\`*_{}[]()#|~!" else c for c in line)


# --- for machines ---------------------------------------------------------------------------------------------


def to_json(comparison: pd.DataFrame) -> dict[str, Any]:
    """Return a comparison as data that JSON can hold; numbers are in seconds, bytes and fractions, null for none.

    Returns
    -------
    dict
        ``deployments`` (differences are taken to the first), ``replications`` and ``phases``; each phase has a ``name``
        and ``metrics``; each metric its name, ``flow``, ``unit``, ``better`` and ``values`` by deployment.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict(deployment="hybrid", phase="during", metric="success_rate", flow="all", mean=1.0, half_width=0.0,
    ...            n=5, difference=float("nan"), difference_half_width=float("nan"))
    >>> to_json(pd.DataFrame([row]))["phases"][0]["metrics"][0]["values"]["hybrid"]["difference"] is None
    True
    """
    phases = [
        {"name": phase, "metrics": [_metric_json(name, flow, group) for (name, flow), group in groups.items()]}
        for phase, groups in _by_phase(comparison).items()
    ]
    counts = comparison["n"].dropna()
    return {
        "deployments": [str(name) for name in dict.fromkeys(comparison["deployment"])],
        "replications": int(counts.max()) if len(counts) else 0,
        "phases": phases,
        "verdicts": [asdict(verdict) for verdict in (verdicts(comparison) if "beats" in comparison else [])],
    }


def _metric_json(name: str, flow: str, group: pd.DataFrame) -> dict[str, Any]:
    known, winner = shown(name), best(group)
    return {
        "metric": name,
        "flow": flow,
        "unit": known.unit,
        "better": known.better,
        "values": {
            str(deployment): {
                **{column: _number(row.get(column, math.nan)) for column in _NUMBERS},
                "n": int(row["n"]),
                "same": bool(row.get("same", False)),
                "never": int(row.get("never", 0)),
                "best": deployment == winner,
                "beats": list(row.get("beats", ())),
                "requests_needed": int(row.get("requests_needed", 0)),
                "failing": bool(row.get("failing", False)),
            }
            for deployment, row in group.iterrows()
        },
    }


_NUMBERS = (
    "mean", "half_width", "low", "high", "difference", "difference_half_width", "replications_needed",
)  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
