"""What a comparison says, in lines for people: a verdict for each headline metric, and reasons for doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.analysis.metrics import METRICS
from meshsim.analysis.verdicts import Verdict, verdicts
from meshsim.analysis.warm_up import LEAST_BUCKETS, Doubt, WarmUp
from meshsim.report.cells import hidden
from meshsim.report.metrics import shown
from meshsim.report.numbers import duration
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd

#: What a phase is called where it has no times beside it.
_PHASES = {"all": "whole run"}

#: How well a metric should be known; not to be broken over two lines.
GOOD = "±\N{NO-BREAK SPACE}5\N{NO-BREAK SPACE}%"

#: What that is a part of, where it is not each deployment's value: a success rate of 99.9 % is known to 5 % from the
#: start, and the share of failures is what matters.
_OF = {"success_rate": "the share that fails"}

#: Replications that nobody would add: beyond, the forecast is no number, but a reason to leave it.
MOST = 1_000

#: Pairs that a verdict names.
_NAMED = 3

#: Characters of a verdict over many deployments.
_LONGEST = 600


def spoken(comparison: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Return label and verdict of each headline metric, phases with the same verdict together.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.comparison.compare` returns it; one without ``beats`` has no verdicts.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.analysis.comparison import compare
    >>> rows = [(name, replication, "during", "latency_p99", "all", 0.1 + 0.001 * replication + extra)
    ...         for name, extra in (("hybrid", 0.0), ("primary-remote", 0.05)) for replication in range(3)]
    >>> columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    >>> spoken(compare(pd.DataFrame(rows, columns=columns)))
    (('latency p99', 'during: hybrid better than primary-remote'),)
    """
    if "beats" not in comparison:
        return ()
    together: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts(comparison):
        words = f"{verdict.words}{_hidden(comparison, verdict)}"
        together.setdefault((verdict.metric, words), []).append(replace(verdict, words=words))
    found = []
    for (name, _), same in together.items():
        where = ", ".join(_PHASES.get(verdict.phase, verdict.phase) for verdict in same)
        # What was over in no time everywhere, or has one number a run, needs no phase.
        place = "" if METRICS[name].once else f"{where}: "
        found.append((shown(name).label, f"{place}{_with_more(same)}"))
    return tuple(found)


def _hidden(comparison: pd.DataFrame, verdict: Verdict) -> str:
    """Return by how much one is better than another that is printed alike; nothing where the table shows it."""
    place = (comparison["metric"] == verdict.metric) & (comparison["phase"] == verdict.phase)
    rows = comparison[place & (comparison["flow"] == "all")].to_dict("records")
    return below_digits(verdict.metric, {str(row["deployment"]): row for row in rows})


def below_digits(name: str, rows: Mapping[str, Mapping[Any, Any]]) -> str:
    """Return by how much one is better than another that is printed alike; nothing where the table shows it.

    Parameters
    ----------
    name
        Of the metric.
    rows
        By deployment: as `meshsim.report.cells.cell` takes them, and those that each ``beats``.
    """
    # Of one that beats all others, the verdict says nothing of who beats whom among these.
    best = {here: row for here, row in rows.items() if len(row["beats"]) == len(rows) - 1}
    gaps = [
        f"{gap} between {short(here)} and {short(other)}"
        for here, row in (best or rows).items()
        for other in row["beats"]
        if (gap := hidden(name, row, rows[other]))
    ]
    return f" ({', '.join(gaps[:_NAMED])}: less than the digits shown)" if gaps else ""


def of(name: str) -> str:
    """Return what the ± 5 % are a part of, to which a metric should be known.

    Examples
    --------
    >>> of("success_rate"), of("latency_p99")
    ('the share that fails', 'each value')
    """
    return _OF.get(name, "each value")


def more_replications(count: int) -> str:
    """Return a forecast of how many more replications something takes; one that is absurd is none.

    Examples
    --------
    >>> more_replications(1), more_replications(1445)[:33]
    ('about 1 more replication', 'more than 1,000 more replications')
    """
    if count > MOST:
        return f"more than {MOST:,} more replications: not worth simulating, the interval is what it is"
    return f"about {count:,} more replication{'s' * (count != 1)}"


def _with_more(same: Sequence[Verdict]) -> str:
    words, more = short(same[0].words, _LONGEST), max((verdict.more or 0 for verdict in same), default=0)
    known = f"{GOOD} of {of(same[0].metric)}"
    if same[0].kind == "alone":
        # What is not forecast is not known; the words say why.
        if any(verdict.more is None for verdict in same):
            return words
        return f"{known} takes {more_replications(more)}" if more else f"known to {known}"
    # Where replications agree too few times, the words say already how many it takes.
    settled = not more or same[0].kind == "steady"
    return words if settled else f"{words}; {known} takes {more_replications(more)}"


def block(said: Sequence[tuple[str, str]], label: int, width: int) -> list[str]:
    """Return verdicts as lines of text, the metric's name once.

    Parameters
    ----------
    said
        As `spoken` returns them.
    label
        Width of the column of names.
    width
        Of the lines.

    Examples
    --------
    >>> block([("latency p99", "before: alike"), ("latency p99", "during: a better than b")], 16, 40)
    ['  latency p99   before: alike', '                during: a better than b']
    """
    lines, last = [], ""
    for name, words in said:
        first = f"  {name}" if name != last else ""
        for number, line in enumerate(wrap(words, max(width - label, 20), subsequent_indent="  ")):
            lines.append(f"{first if not number else '':<{label}}{line}".replace("\N{NO-BREAK SPACE}", " "))
        last = name
    return lines


def notes(doubts: Sequence[Doubt], width: int) -> list[str]:
    """Return reasons for doubt as lines that begin with ``note:``, the same ones of several deployments together.

    Examples
    --------
    >>> notes([Doubt("trend", name, "not steady") for name in ("multi-primary", "hybrid")], 60)
    ['note: multi-primary, hybrid: not steady']
    """
    return [line for text in reasons(doubts) for line in wrap(f"note: {text}", width, subsequent_indent="      ")]


def reasons(doubts: Sequence[Doubt], name: int = 30) -> list[str]:
    """Return reasons for doubt, the same ones of several deployments together.

    Parameters
    ----------
    doubts
        As `meshsim.analysis.warm_up.doubts` returns them.
    name
        Characters of a deployment's name.

    Examples
    --------
    >>> reasons([Doubt("trend", name, "not steady") for name in ("multi-primary", "hybrid")])
    ['multi-primary, hybrid: not steady']
    """
    found: dict[str, list[str]] = {}
    for doubt in doubts:
        found.setdefault(doubt.words, []).append(short(doubt.deployment, name))
    return [f"{', '.join(names)}: {short(words, _LONGEST)}" for words, names in found.items()]


def beginning(warm_ups: Sequence[WarmUp], width: int) -> list[str]:
    """Return what MSER finds of the beginning as a line; nothing without runs.

    Examples
    --------
    >>> beginning([WarmUp("hybrid", 30.0, 5.0, 40)], 100)
    ['warm-up: 30 s are left out; MSER finds the beginning over at 5 s']
    """
    if not warm_ups:
        return []
    found = [one.found for one in warm_ups if not math.isnan(one.found)]
    buckets = max(one.buckets for one in warm_ups)
    if buckets < LEAST_BUCKETS:
        said = f"{buckets} time buckets before the first event are too few for MSER to look at"
    elif not found:
        said = "MSER finds no end of the beginning"
    else:
        over = "from the start" if not max(found) else f"over at {duration(max(found))}"
        lacking = f", in {len(found)} of {len(warm_ups)} deployments" if len(found) < len(warm_ups) else ""
        said = f"MSER finds {'it steady ' if not max(found) else 'the beginning '}{over}{lacking}"
    return wrap(f"warm-up: {duration(warm_ups[0].given)} are left out; {said}", width, subsequent_indent="  ")


def warm_up_json(warm_ups: Sequence[WarmUp]) -> list[dict[str, Any]]:
    """Return the same as data that JSON can hold, in seconds; null where MSER finds no end.

    Examples
    --------
    >>> warm_up_json([WarmUp("hybrid", 30.0, math.nan, 40)])
    [{'deployment': 'hybrid', 'given': 30.0, 'found': None, 'buckets': 40}]
    """
    return [asdict(one) | {"found": None if math.isnan(one.found) else one.found} for one in warm_ups]
