"""The comparison as tables: for the terminal, for a pipe, as Markdown and as JSON-able data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.report.metrics import is_key, rank, shown
from meshsim.report.numbers import NOTHING, duration, quantity
from meshsim.report.shorten import short
from meshsim.results.tables import BINS_PER_OCTAVE

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from meshsim.analysis.phases import Phase

#: Columns of the text version; wide enough for three deployments, narrow enough for a mail or a ticket.
WIDTH = 110
_LABEL, _CELL = 32, 24
_MARK = " *"

#: What is printed where no replication recovered.
NEVER = "never"

#: Metrics read from histograms, and how close that is: half a bin, as a share of the value.
FROM_HISTOGRAMS = ("latency_p", "convergence_p")
RESOLUTION = 0.5 / BINS_PER_OCTAVE


@dataclass(frozen=True, slots=True)
class Cell:
    """One number as printed, and whether it beats every other deployment beyond chance."""

    text: str
    best: bool = False


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

    def how_to_read(self, mark: str) -> str:
        """Return one line that explains the marks that are there; ``mark`` is how the best is marked."""
        cells = [cell for section in self.sections for row in section.rows for cell in row.cells]
        said = {
            f"{mark} better than every other deployment: the paired 95 % intervals exclude 0": any(
                cell.best for cell in cells
            ),
            f"{NOTHING} does not apply": any(cell.text == NOTHING for cell in cells),
            f"{NEVER}: not by the end of the run": any(cell.text == NEVER for cell in cells),
        }
        return "; ".join(words for words, applies in said.items() if applies)


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
    sections = []
    for phase, groups in _by_phase(comparison).items():
        rows = (
            _row(name, flow, group, deployments, full=full)
            for (name, flow), group in groups.items()
            if full or is_key(name, flow)
        )
        sections.append(Section(_phase(phase, spans), tuple(row for row in rows if row is not None)))
    return Sheet(deployments, tuple(sections), _caption(comparison))


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
    """Return a phase's name with its times, from and to which it goes."""
    title = "whole run" if name == "all" else name
    if name == "all" and spans:
        return f"{title}: {duration(spans[0].start)} to {duration(spans[-1].end)}"
    return next((f"{title}: {duration(p.start)} to {duration(p.end)}" for p in spans if p.name == name), title)


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
    half = [float(group["half_width"].get(deployment, math.nan)) for deployment in deployments]
    if name.startswith(FROM_HISTOGRAMS):  # an interval over replications knows nothing of a bin's width
        half = [max(width, RESOLUTION * value) for value, width in zip(mean, half, strict=True)]
    winner = best(group, name)
    cells = []
    for deployment, value, width in zip(deployments, mean, half, strict=True):
        text = quantity(known.unit, value, width) + _observed(group, deployment)
        cells.append(Cell(NEVER if math.isnan(value) and never.get(deployment) else text, deployment == winner))
    return Row(name, flow, known.label + ("" if flow in ("all", "") else f", {flow}"), tuple(cells))


def _observed(group: pd.DataFrame, deployment: str) -> str:
    """Return in how many replications it was observed at all, where not in every one."""
    if "missing" not in group or deployment not in group.index:
        return ""
    n, missing = int(group["n"][deployment]), int(group["missing"][deployment])
    return f" ({n}/{n + missing})" if n and missing else ""


def best(group: pd.DataFrame, name: str) -> str | None:
    """Return the deployment that beats every other beyond chance, or None.

    Parameters
    ----------
    group
        Rows of one phase, metric and flow, indexed by deployment, with ``mean`` and the paired ``difference`` to the
        first deployment and its ``difference_half_width``.
    name
        The metric.

    Notes
    -----
    The standard deviation of a difference is at most the sum of both standard deviations. So where two deployments were
    each compared with the first, the half width of their own paired difference is at most the sum of the two: the mark
    is never given where the paired interval includes 0.

    Examples
    --------
    >>> import pandas as pd
    >>> group = pd.DataFrame({"mean": [0.9, 0.99], "difference": [float("nan"), 0.09],
    ...                       "difference_half_width": [float("nan"), 0.01]}, index=["first", "second"])
    >>> best(group, "success_rate")
    'second'
    """
    better = shown(name).better
    known = group[group["mean"].notna()]
    if better is None or len(known) < 2 or len(known) < len(group):
        return None  # one that has no value may be better, or have nothing to show for it
    sign = 1.0 if better == "higher" else -1.0
    winner = str((sign * known["mean"]).idxmax())
    difference = known["difference"].fillna(0.0)
    half = known["difference_half_width"].where(known["difference"].notna(), 0.0)
    for other in known.index:
        if other == winner:
            continue
        ahead = sign * (float(difference[winner]) - float(difference[other]))
        # Without an interval (one replication) the sum is nan and the comparison false.
        if not ahead > float(half[winner]) + float(half[other]):
            return None
    return winner


def _caption(comparison: pd.DataFrame) -> str:
    counts = [int(n) for n in comparison["n"].dropna()] if "n" in comparison else []
    n = max(counts, default=1)
    if n < 2:
        return "1 replication, so no intervals: run with --replications 5 or more to tell differences from chance"
    some = (comparison["missing"] > 0) & (comparison["n"] > 0) if "missing" in comparison else comparison["n"] < 0
    few = "; (3/5): seen in 3 of 5 of them" if some.any() else ""
    return f"mean ± half width of the 95 % interval over n = {n} replications{few}"


# --- printed --------------------------------------------------------------------------------------------------


def rich_table(comparison: pd.DataFrame, spans: Sequence[Phase] = (), *, full: bool = False) -> Table:
    """Return a table for a terminal: deployments as columns, metrics as rows, a section for each phase.

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
    table = Table(box=box.SIMPLE_HEAD, caption=footer, caption_justify="left", pad_edge=False)
    table.add_column("", overflow="fold", max_width=_LABEL)
    for name in sheet.deployments:
        table.add_column(Text(short(name, _CELL)), justify="right", overflow="fold")
    for section in sheet.sections:
        table.add_section()
        table.add_row(Text(short(section.phase, 80), style="bold"))
        for row in section.rows:
            cells = [
                Text(c.text + (_MARK if c.best else "  "), style="bold green" if c.best else "") for c in row.cells
            ]
            table.add_row(Text(f"  {row.label}"), *cells)
    return table


def plain(comparison: pd.DataFrame, spans: Sequence[Phase] = (), *, full: bool = False, width: int = WIDTH) -> str:
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
    across = max((width - _LABEL) // (_CELL + 2), 1)
    lines = []
    for first in range(0, max(len(sheet.deployments), 1), across):
        lines += [*_block(sheet, range(first, min(first + across, len(sheet.deployments)))), ""]
    footer = [line for text in (sheet.caption, sheet.how_to_read("*")) for line in wrap(text, width)]
    return "\n".join(line.rstrip() for line in [*lines, *footer]) + "\n"


def _block(sheet: Sheet, columns: range) -> Iterator[str]:
    def line(label: str, cells: Sequence[str]) -> str:
        return f"{label:<{_LABEL}}" + "".join(f"  {short(cell, _CELL):>{_CELL}}" for cell in cells)

    yield line("", [f"{short(sheet.deployments[i], _CELL - 2)}  " for i in columns])
    yield "-" * (_LABEL + len(columns) * (_CELL + 2))
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
            cells = (f"**{cell.text}**" if cell.best else cell.text for cell in row.cells)
            lines.append(f"| {_escaped(row.label)} | " + " | ".join(cells) + " |")
        lines.append("")
    how = sheet.how_to_read("**bold**:")
    return "\n".join([*lines, "; ".join(filter(None, (sheet.caption, how)))]) + "\n"


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
    }


def _metric_json(name: str, flow: str, group: pd.DataFrame) -> dict[str, Any]:
    known, winner = shown(name), best(group, name)
    return {
        "metric": name,
        "flow": flow,
        "unit": known.unit,
        "better": known.better,
        "values": {
            str(deployment): {
                **{column: _number(row[column]) for column in _NUMBERS},
                "n": int(row["n"]),
                "never": int(row.get("never", 0)),
                "best": deployment == winner,
            }
            for deployment, row in group.iterrows()
        },
    }


_NUMBERS = ("mean", "half_width", "difference", "difference_half_width")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
