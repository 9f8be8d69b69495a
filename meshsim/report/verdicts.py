"""What a comparison says, in lines for people: a verdict for each headline metric, and reasons for doubt."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from meshsim.analysis.metrics import METRICS
from meshsim.analysis.verdicts import Verdict, verdicts
from meshsim.analysis.warm_up import Doubt
from meshsim.report.metrics import shown
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd

#: What a phase is called where it has no times beside it.
_PHASES = {"all": "whole run"}

#: How well a metric should be known; not to be broken over two lines.
_GOOD = "±\N{NO-BREAK SPACE}5\N{NO-BREAK SPACE}%"

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
        together.setdefault((verdict.metric, verdict.words), []).append(verdict)
    found = []
    for (name, _), same in together.items():
        where = ", ".join(_PHASES.get(verdict.phase, verdict.phase) for verdict in same)
        # What was over in no time everywhere, or has one number a run, needs no phase.
        place = "" if METRICS[name].once else f"{where}: "
        found.append((shown(name).label, f"{place}{_with_more(same)}"))
    return tuple(found)


def _with_more(same: Sequence[Verdict]) -> str:
    words, more = short(same[0].words, _LONGEST), max((verdict.more or 0 for verdict in same), default=0)
    if same[0].kind == "alone":
        return f"{_GOOD} takes about {more:,} more replications" if more else f"known to {_GOOD}"
    return f"{words}; {_GOOD} takes about {more:,} more" if more else words


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
    together: dict[str, list[str]] = {}
    for doubt in doubts:
        together.setdefault(doubt.words, []).append(short(doubt.deployment))
    said = [f"note: {', '.join(names)}: {short(words, _LONGEST)}" for words, names in together.items()]
    return [line for text in said for line in wrap(text, width, subsequent_indent="      ")]
