"""Tables of metrics by deployment in which each value has its interval, and a mark for what is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from meshsim.analysis.entries import FROM
from meshsim.analysis.metrics import METRICS, Metric, metric
from meshsim.analysis.summary import WHOLE
from meshsim.analysis.verdicts import enough_that_agree
from meshsim.report.cells import hidden, how_to_read
from meshsim.report.metrics import shown
from meshsim.report.page.parts import NAME, Cell, Row, Table
from meshsim.report.page.study import Line, Study
from meshsim.report.shorten import listed, short

#: What phases are called beside a metric.
_PHASES = {WHOLE: "whole run"}


def mark(line: Line, deployment: str) -> tuple[str, str]:
    """Return the mark of a deployment's value, and against whom it holds.

    Only what the paired differences say beyond chance is better or worse; see docs/statistics.md.

    Examples
    --------
    >>> rows = {"a": {"n": 5, "mean": 0.9, "beats": ("b",)}, "b": {"n": 5, "mean": 0.8}}
    >>> mark(Line("success_rate", "all", "all", rows), "a")
    ('best', 'better than b beyond chance')
    """
    row = line.rows.get(deployment, {})
    compared = len(line.rows) > 1 and line.seen(deployment) > 1
    if not compared or line.better is None or row.get("requests_needed", 0):
        return "", ""
    if line.same:
        return "same", "the same in every replication"
    beats, beaten = line.beats(deployment), line.beaten_by(deployment)
    said = [f"{word} than {_who(names)}" for word, names in (("better", beats), ("worse", beaten)) if names]
    if not said:
        return _undecided(line, deployment)
    others = len(line.rows) - 1
    kinds = {"best": len(beats) == others, "worst": len(beaten) == others, "better": not beaten, "worse": not beats}
    return next((kind for kind, holds in kinds.items() if holds), ""), f"{' and '.join(said)} beyond chance"


def _undecided(line: Line, deployment: str) -> tuple[str, str]:
    """Return the mark of a value that is neither better nor worse than another."""
    n, apart = line.seen(deployment), line.steady(deployment)
    if line.discounted(deployment):
        return "failing", "low because its requests failed, which is no merit"
    if apart:
        return "steady", f"differs from {_who(apart)} the same way in each of {n} replications"
    if any(deployment in line.discounted(other) for other in line.rows):
        return "", ""
    return "open", "no difference beyond chance"


def gap_to_nearest(line: Line, deployment: str) -> str:
    """Return by how much a value is better or worse than the nearest that is printed alike; nothing if none is."""
    others = (*line.beats(deployment), *line.beaten_by(deployment))
    gaps = [(abs(line.mean(other) - line.mean(deployment)), other) for other in others]
    found = [hidden(line.metric, line.rows[deployment], line.rows[other]) for _, other in sorted(gaps)]
    return next(filter(None, found), "")


def _who(names: Sequence[str]) -> str:
    return listed([short(name, NAME) for name in names]) if len(names) < 3 else f"{len(names)} others"


def table(study: Study, name: str, caption: str, lines: Sequence[tuple[str, Line]], *, whole: bool = False) -> Table:
    """Return a table of lines, deployments side by side.

    Parameters
    ----------
    study
        The run.
    name, caption
        Of the table.
    lines
        Group and line of each row.
    whole
        Whether the caption says of when all of it is.
    """
    rows = [_row(study, group, line, whole=whole) for group, line in lines]
    header = ("", *(short(deployment, NAME) for deployment in study.deployments))
    return Table(name, caption, header, tuple(rows), _notes(study, rows, [line for _, line in lines]))


def _row(study: Study, group: str, line: Line, *, whole: bool) -> Row:
    cells = []
    for deployment in study.deployments:
        kind, words = mark(line, deployment)
        by = gap_to_nearest(line, deployment) if kind in ("best", "better", "worse", "worst") else ""
        value = line.printed(deployment)
        cells.append(Cell(value.text, kind, words, by, value.signs))
    known = _known(line)
    told = whole or (known is not None and known.once) or line.phase == study.decisive.name
    where = "" if told else f" ({_PHASES.get(line.phase, line.phase)})"
    label = shown(line.metric).label if line.flow.startswith(FROM) else line.label
    return Row(f"{label}{where}", tuple(cells), _about(known), group, shown(line.metric).label)


def _known(line: Line) -> Metric | None:
    return metric(line.metric) if line.metric.partition(":")[0] in METRICS else None


def _about(known: Metric | None) -> str:
    """Return what a metric is, and which way is better."""
    if known is None:
        return ""
    way = {"higher": "; more is better", "lower": "; less is better"}.get(str(known.better), "")
    return f"{known.meaning}{way}"


def _enough(lines: Sequence[Line]) -> int:
    """Return how many replications that agree would rule chance out in every line where too few of them do."""
    found = [line for line in lines if any(line.steady(name) for name in line.rows)]
    return max(enough_that_agree([line.seen(name) for name in line.rows]) for line in found)


def _notes(study: Study, rows: Sequence[Row], lines: Sequence[Line]) -> tuple[str, ...]:
    n = study.replications
    cells = [cell for row in rows for cell in row.cells]
    said = [
        f"Mean ± half width of the 95 % interval over n = {n} replications"
        + ("; two make it very wide, run with --replications 5 or more." if n == 2 else ".")
        if n > 1
        else "One replication, so no intervals and no marks."
    ]
    marks = {cell.mark for cell in cells}
    if marks & {"best", "better", "worse", "worst"}:
        said.append(
            "▲ best and ▼ worst beat, or lose to, every other deployment: the 95 % intervals of all paired differences"
            " of the row together exclude 0; △ and ▽ some of them only."
        )
    if "open" in marks:
        said.append("≈ no difference seen: not distinguishable with these replications, which does not mean equal.")
    if "steady" in marks:
        said.append(
            "≠ differs from another the same way in every replication, of which there are too few to rule chance out;"
            f" {_enough(lines)} that agree would."
        )
    if "failing" in marks:
        said.append("✕ lower than another only as its requests failed, which is no merit.")
    if any(cell.by for cell in cells):
        said.append("(by …): how far apart values are that are printed alike.")
    reading = how_to_read(sign for cell in cells for sign in cell.signs)
    return (*said, *(f"{words[0].upper()}{words[1:]}." for words in reading))
