"""A decision as text and as data: criteria with their metrics, scores, totals, and what would change the winner."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.report.cells import Sign, cell, how_to_read, printed
from meshsim.report.decision_words import changes, each, notes, number, pareto, score, scored, winner
from meshsim.report.metrics import WRITTEN
from meshsim.report.numbers import quantity
from meshsim.report.shorten import short
from meshsim.report.tables import WIDTH
from meshsim.report.verdicts import below_digits

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.decision import Decision

_NAME, _WEIGHT = 24, 7
#: Characters of a verdict over many deployments.
_LONGEST = 300
_BEST = " *"


def plain(decision: Decision, width: int = WIDTH) -> str:
    """Return a decision as text without colours; more deployments than fit beside each other make more blocks.

    Parameters
    ----------
    decision
        As `meshsim.analysis.decision.decide` returns it.
    width
        Characters of a line.
    """
    rows = [*_rows(decision)]
    label = max(len(row[0]) for row in rows) + 1
    names = [short(name, _NAME) for name in decision.deployments]
    column = max([len(text) for row in rows for text in row[2]] + [len(name) + 2 for name in names]) + 1
    across = max((width - label - _WEIGHT) // column, 1)
    lines: list[str] = []
    for first in range(0, len(names), across):
        lines += [*_block(rows, names, range(first, min(first + across, len(names))), (label, column, width)), ""]
    lines += [line for text in _captions(decision) for line in wrap(text, width)]
    lines += _said(decision, width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _rows(decision: Decision) -> Iterator[tuple[str, str, list[str]]]:
    """Yield label, weight and cells of each line; two for a criterion, and one more for what is known of it."""
    for about, own, values, shown in _measured(decision):
        name = short(about.criterion, 40) + (f" ({about.unit})" if about.unit not in WRITTEN else "")
        if not own:
            yield name, number(about.weight), []
            yield f"  {about.metric}", "0 %", []
            yield "", f"{about.words}", []
            continue
        yield name, number(about.weight), [value + "  " for value in values]
        marks = [_BEST if _beats_all(row, decision) else "  " for row in own]
        way = "\N{UPWARDS ARROW}" if about.better == "higher" else "\N{DOWNWARDS ARROW}"
        measured = f"  {about.metric} {way}"
        yield measured, f"{100 * about.share:.0f} %", [a + b for a, b in zip(shown, marks, strict=True)]
        if words := _about(about, below_digits(about.name, dict(zip(decision.deployments, own, strict=True)))):
            yield "", words, []
    yield "", "", []
    totals = decision.totals
    alone = len(decision.deployments) > 1 and len(decision.leaders) == 1
    marks = [_BEST if alone and name == decision.winner else "  " for name in totals["deployment"]]
    points = map(score, totals["total"], totals["half_width"])
    yield "total", "", [a + b for a, b in zip(points, marks, strict=True)]


def _measured(decision: Decision) -> Iterator[tuple[Any, list[dict[Any, Any]], list[str], list[str]]]:
    """Yield each criterion, and its rows, values and scores by deployment; nothing of one that was not measured."""
    by_criterion = {name: rows.set_index("deployment") for name, rows in decision.scores.groupby("criterion")}
    for about in each(decision.criteria):
        rows = by_criterion.get(about.criterion)
        own = [] if rows is None else rows.loc[list(decision.deployments)].to_dict("records")
        values = [cell(about.name, row) for row in own]
        yield about, own, values, [score(row["score"], row["score_half_width"]) for row in own]


def _beats_all(row: dict[Any, Any], decision: Decision) -> bool:
    return len(decision.deployments) > 1 and len(row["beats"]) == len(decision.deployments) - 1


def _about(about: Any, apart: str) -> str:
    """Return what is known of a criterion, and its scale where that is the scenario's."""
    said = [] if about.kind in ("best", "alone") and not apart else [f"{short(about.words, _LONGEST)}{apart}"]
    if about.anchored:
        said.insert(0, f"1 at {quantity(about.unit, about.best)}, 0 at {quantity(about.unit, about.worst)}")
    return "; ".join(said)


def _block(
    rows: Sequence[tuple[str, str, list[str]]], names: Sequence[str], columns: range, widths: tuple[int, int, int]
) -> Iterator[str]:
    label, column, width = widths
    yield f"{'criterion':<{label}}{'weight':>{_WEIGHT}}" + "".join(f"{names[at] + '  ':>{column}}" for at in columns)
    yield "-" * (label + _WEIGHT + len(columns) * column)
    for name, weight, cells in rows:
        if name or not weight:
            yield f"{name:<{label}}{weight:>{_WEIGHT}}" + "".join(f"{cells[at]:>{column}}" for at in columns if cells)
        elif columns.start == 0:  # what is known of a criterion is said once
            yield from wrap(weight, width, initial_indent="    ", subsequent_indent="    ")


def _captions(decision: Decision) -> Iterator[str]:
    best = "* better than every other beyond chance" if decision.replications > 1 else ""
    interval = f"mean ± half width of the {100 * decision.confidence:g} % interval over n = {decision.replications}"
    scale = (
        "score 1 is the best mean and 0 the worst, in a straight line between, unless a scale is given; intervals end"
        " where the scale does"
    )
    ways = "\N{UPWARDS ARROW} more is better, \N{DOWNWARDS ARROW} less is better"
    yield "; ".join(filter(None, (interval if decision.replications > 1 else "1 replication", ways, scale, best)))
    if reading := how_to_read(signs(decision)):
        yield "; ".join(reading)


def signs(decision: Decision) -> frozenset[Sign]:
    """Return what has to be explained of the values and scores of a decision."""
    names = {about.criterion: about.name for about in each(decision.criteria)}
    found: set[Sign] = set()
    for row in decision.scores.to_dict("records"):
        found |= printed(names[row["criterion"]], row).signs | scored(row["score"], row["score_half_width"]).signs
    for total, half_width in zip(decision.totals["total"], decision.totals["half_width"], strict=True):
        found |= scored(total, half_width).signs
    return frozenset(found)


def _said(decision: Decision, width: int) -> Iterator[str]:
    """Yield the winner, the Pareto front, the weights at which the winner changes, and notes."""
    several = len(decision.deployments) > 1
    parts = {"winner": winner(decision), "Pareto front": pareto(decision)} if several else {}
    for title, sentences in parts.items():
        yield ""
        yield title
        for sentence in sentences:
            yield from wrap(sentence, width, initial_indent="  ", subsequent_indent="    ")
    if several:
        yield ""
        yield "weights at which the winner changes, one at a time"
        yield from _weights(decision, width)
        for sentence in changes(decision):
            yield from wrap(sentence, width, initial_indent="  ", subsequent_indent="    ")
    said = notes(decision)
    yield from [""] if said else []
    for note in said:
        yield from wrap(f"note: {note}", width, subsequent_indent="      ")


def _weights(decision: Decision, width: int) -> Iterator[str]:
    """Yield a line for each criterion: between which weights the winner stays, and who wins outside."""
    shown = [("criterion", "weight", f"{short(decision.winner, _NAME)} wins", "beyond chance", "else")]
    for row in each(decision.weights):
        outside = [
            f"{short(name, _NAME)} {side} {number(end)}"
            for name, side, end in ((row.low_winner, "below", row.low), (row.high_winner, "above", row.high))
            if name
        ]
        shown.append((
            short(row.criterion, 40), number(row.weight), between(row.low, row.high),
            between(row.sure_low, row.sure_high), ", ".join(outside),
        ))  # fmt: skip
    widths = [max(len(line[at]) for line in shown) for at in range(4)]
    for line in shown:
        name, _, *ends = (f"{text:<{wide}}" for text, wide in zip(line, widths, strict=False))
        first = f"  {name}  {line[1]:>{widths[1]}}  {'  '.join(ends)}  "
        yield from wrap(line[4], width, initial_indent=first, subsequent_indent=" " * len(first)) or [first]


def between(low: float, high: float) -> str:
    """Return a range of weights in words.

    Examples
    --------
    >>> between(0.5, 2.0), between(0.0, 3.0), between(1.5, math.inf), between(0.0, math.inf), between(math.nan, 1.0)
    ('0.5 to 2', 'up to 3', 'from 1.5', 'always', 'nowhere')
    """
    if math.isnan(low):
        return "nowhere"
    if low <= 0:
        return "always" if math.isinf(high) else f"up to {number(high)}"
    return f"from {number(low)}" if math.isinf(high) else f"{number(low)} to {number(high)}"


# --- for tables -------------------------------------------------------------------------------------------------


def table(decision: Decision) -> list[list[str]]:
    """Return criterion, metric in full, weight, and value and score of each deployment; the last line has the totals.

    Parameters
    ----------
    decision
        As `meshsim.analysis.decision.decide` returns it.
    """
    lines = []
    for about, _, values, shown in _measured(decision):
        way = "more" if about.better == "higher" else "less"
        cells = [f"{value}; score {points}" for value, points in zip(values, shown, strict=True)]
        cells = cells or ["not measured"] * len(decision.deployments)
        metric = f"{about.metric} ({way} is better)"
        name = f"{about.criterion}{'' if about.unit in WRITTEN else f' ({about.unit})'}"
        lines.append([name, metric, f"{number(about.weight)} ({100 * about.share:.0f} %)", *cells])
    totals = map(score, decision.totals["total"], decision.totals["half_width"])
    return [*lines, ["total", "", "", *totals]]


# --- for machines -----------------------------------------------------------------------------------------------

#: Frames of a decision.
FRAMES = ("criteria", "scores", "totals", "differences", "dominated", "weights", "winners", "overtakes")


def to_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as data that JSON can hold: its frames as rows; no number is null, without an end "inf"."""
    from meshsim.report.decision_words import sentences
    from meshsim.report.sweep import records

    frames: dict[str, pd.DataFrame] = {name: getattr(decision, name) for name in FRAMES}
    return {
        "deployments": list(decision.deployments),
        "replications": decision.replications,
        "confidence": decision.confidence,
        "shipped": decision.shipped,
        "winner": decision.winner,
        "leaders": list(decision.leaders),
        "front": list(decision.front) if decision.replications > 1 else None,
        **{name: records(frame) for name, frame in frames.items()},
        "sentences": sentences(decision),
        "pods": dict(decision.pods),
        "notes": notes(decision),
    }
