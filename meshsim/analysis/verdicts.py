"""What a comparison says in words: for each headline metric which deployment is better, if any is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.analysis.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

#: Metrics that have a verdict, in this order; all but the last two in every phase.
HEADLINES = (
    "success_rate",
    "latency_p50",
    "latency_p99",
    "stale_share",
    "cross_region_bytes",
    "time_to_recover",
    "config_recovery",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one metric in one phase.

    Parameters
    ----------
    metric, phase
        Of what.
    kind
        ``best``: one deployment beats all others; ``order``: some beat some; ``open``: not distinguishable with these
        replications; ``alike``: the same in every replication; ``unknown``: too few requests, or only one replication;
        ``alone``: there is one deployment.
    words
        The verdict.
    more
        About how many more replications it takes to know the metric to ± 5 %, each deployment's own and all
        differences; 0 if it is known so well, None where that cannot be said.
    """

    metric: str
    phase: str
    kind: str
    words: str
    more: int | None = 0


def verdicts(comparison: pd.DataFrame) -> list[Verdict]:
    """Return the verdict of each headline metric and phase that any deployment has a value of.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.comparison.compare` returns it.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.analysis.comparison import compare
    >>> rows = [(name, replication, "all", "latency_p99", "all", 0.1 * replication + extra)
    ...         for name, extra in (("hybrid", 0.0), ("primary-remote", 0.05)) for replication in range(3)]
    >>> columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    >>> [found.words for found in verdicts(compare(pd.DataFrame(rows, columns=columns)))]
    ['hybrid better than primary-remote']
    """
    wanted = comparison[comparison["metric"].isin(HEADLINES) & (comparison["flow"] == "all")]
    found = [
        _verdict(str(name), str(phase), group.set_index("deployment"))
        for (name, phase), group in wanted.groupby(["metric", "phase"], sort=False)
        if (group["n"] > 0).any() and not _dull(str(name), group)
    ]
    phases = list(dict.fromkeys(comparison["phase"]))
    return sorted(found, key=lambda verdict: (HEADLINES.index(verdict.metric), phases.index(verdict.phase)))


def _dull(name: str, group: pd.DataFrame) -> bool:
    """Return whether there was nothing to see anywhere; a recovery of no time at all is something."""
    return not METRICS[name].once and name != "success_rate" and bool((group["mean"] == 0).all())


def _verdict(name: str, phase: str, group: pd.DataFrame) -> Verdict:
    kind, words = said(group)
    more = group["replications_needed"] - group["n"]
    open_ = group["replications_needed"].isna().any() or kind == "unknown"
    return Verdict(name, phase, kind, words, None if open_ else max(int(more.max()), 0))


def said(group: pd.DataFrame) -> tuple[str, str]:
    """Return kind and words of a verdict.

    Parameters
    ----------
    group
        Rows of a comparison about one number, indexed by deployment.
    """
    names = [str(deployment) for deployment in group.index]
    needed, n = int(group["requests_needed"].max()), int(group["n"].max())
    beats = {str(deployment): tuple(found) for deployment, found in group["beats"].items()}
    best = [deployment for deployment in names if len(names) > 1 and len(beats[deployment]) == len(names) - 1]
    if needed:
        found = "unknown", f"too few requests: {needed:,} in each replication are needed"
    elif len(names) < 2:
        found = "alone", "one deployment, nothing to compare"
    elif best:
        found = "best", f"{best[0]} better than {'every other' if len(names) > 2 else beats[best[0]][0]}"
    elif any(beats.values()):
        found = "order", "; ".join(_order(beats))
    elif all(len(others) == len(names) - 1 for others in group["alike"]):
        found = "alike", "the same in every replication"
    elif n < 2:
        found = "unknown", "one replication cannot tell differences from chance"
    else:
        found = "open", f"not distinguishable with these {n} replications"
    return found


def _order(beats: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Return who beats whom, those that beat the same ones together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for deployment, beaten in beats.items():
        if beaten:
            together.setdefault(beaten, []).append(deployment)
    for beaten, winners in sorted(together.items(), key=lambda item: -len(item[0])):
        yield f"{_and(winners)} better than {_and(beaten)}"


def _and(names: list[str] | tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
