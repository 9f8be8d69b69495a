"""What a comparison says in words: for each headline metric which deployment is better, if any is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.analysis.failing import ANSWERED
from meshsim.analysis.metrics import METRICS
from meshsim.analysis.rare_events import least_difference

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
        replications; ``steady``: some differ the same way in every replication, of which there are too few to be beyond
        chance; ``alike``: the same in every replication; ``unknown``: too few requests, or only one replication;
        ``failing``: nothing is better but by its failures; ``alone``: there is one deployment.
    words
        The verdict.
    more
        About how many more replications it takes to know the metric to ± 5 % of itself, each deployment's own value
        and all differences; 0 if it is known so well, None where that cannot be said.
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
        if _seen(group).any() and not _dull(str(name), group)
    ]
    phases = list(dict.fromkeys(comparison["phase"]))
    return sorted(found, key=lambda verdict: (HEADLINES.index(verdict.metric), phases.index(verdict.phase)))


def _seen(group: pd.DataFrame) -> pd.Series:
    """Return by deployment how many replications have a value, or a recovery that never came."""
    return group["n"] + group["never"]


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
    needed, beats = int(group["requests_needed"].max()), _others(group, "beats")
    best = [deployment for deployment in names if len(names) > 1 and len(beats[deployment]) == len(names) - 1]
    if needed:
        return "unknown", f"too few requests: {needed:,} in each replication are needed"
    if len(names) < 2:
        return "alone", _alone(group)
    if best:
        kind, words = "best", f"{best[0]} better than {'every other' if len(names) > 2 else beats[best[0]][0]}"
    elif any(beats.values()):
        kind, words = "order", "; ".join([*_order(beats), *_spared(_others(group, "discounted"))])
    else:
        kind, words = _undecided(group)
    return kind, "; ".join([words, *_never(group)])


def _alone(group: pd.DataFrame) -> str:
    """Return what there is to say of one deployment."""
    if said := _never(group):
        return said[0]
    return "one replication shows no interval" if group["n"].max() < 2 else "one deployment, nothing to compare"


def _never(group: pd.DataFrame) -> list[str]:
    """Return who had not recovered when a run ended, and in how many; nothing if all had."""
    if not (group["never"] > 0).any():
        return []
    rows = group[group["never"] > 0]
    in_all = rows["n"] + rows["missing"]
    counts = [f"{int(never)} of {int(of)}" for never, of in zip(rows["never"], in_all, strict=True)]
    if len(group) < 2:
        return [f"never recovered in {counts[0]} replications"]
    named = (f"{name} in {count}" for name, count in zip(rows.index, counts, strict=True))
    return [f"never recovered: {', '.join(named)}"]


def _undecided(group: pd.DataFrame) -> tuple[str, str]:
    """Return kind and words where no deployment beats another."""
    n, steady = int(_seen(group).max()), _others(group, "steady")
    spared = _spared(_others(group, "discounted"))
    if all(len(others) == len(group) - 1 for others in group["alike"]):
        return "alike", "the same in every replication"
    if n < 2:
        return "unknown", "one replication cannot tell differences from chance"
    if any(steady.values()):
        return "steady", "; ".join([_steady(group, steady), *spared])
    if spared:
        return "failing", "; ".join(spared)
    return "open", f"not distinguishable with these {n} replications"


def _others(group: pd.DataFrame, column: str) -> dict[str, tuple[str, ...]]:
    """Return a column of tuples by deployment; empty ones where a comparison does not have it."""
    found = group[column] if column in group else [()] * len(group)
    return {str(deployment): tuple(others) for deployment, others in zip(group.index, found, strict=True)}


def enough_that_agree(replications: Sequence[int]) -> int:
    """Return how many replications that differ the same way would rule chance out.

    Parameters
    ----------
    replications
        Of each deployment, with a value or a recovery that never came; those with more than one are compared, each
        with each.

    Examples
    --------
    >>> enough_that_agree([5, 5]), enough_that_agree([5, 5, 5])
    (6, 7)
    """
    there = sum(count > 1 for count in replications)
    return least_difference(1 - 0.05 / max(there * (there - 1) // 2, 1))


def _steady(group: pd.DataFrame, steady: Mapping[str, tuple[str, ...]]) -> str:
    """Return who differs in every replication, and how many replications that agree would rule chance out."""
    n, enough = int(_seen(group).max()), enough_that_agree([int(count) for count in _seen(group)])
    alike = _others(group, "alike")
    whole = all(len(steady[name]) + len(alike[name]) == len(steady) - 1 for name in steady)
    apart = [name for name, others in steady.items() if others]
    said = f"differs the same way in each of {n} replications; {enough} that agree would rule chance out"
    if whole:
        return said
    return f"{_and(apart)} {said.replace('differs', 'differ', 1)}; nothing else is distinguishable"


def _spared(discounted: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return whose number is lower only as its requests failed."""
    found = [deployment for deployment, others in discounted.items() if others]
    said = f"fewer than {100 * ANSWERED:g} % of the requests succeeded, and failures make this number small"
    return [f"{_and(found)} not judged better: {said}"] if found else []


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
