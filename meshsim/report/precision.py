"""What ended an experiment that went on until its numbers were known well enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshsim.report.metrics import shown
from meshsim.report.numbers import percentage, quantity
from meshsim.report.verdicts import MOST

#: Why it ended, in words.
_REASONS = {
    "max_replications": "the largest number allowed (--max-replications)",
    "budget": "the time is over (--budget)",
    "interrupted": "it was interrupted",
}

#: How many of the numbers that are missing are named.
NAMED = 5


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return what ended it and what is missing.

    Parameters
    ----------
    report
        ``precision`` of a manifest.

    Examples
    --------
    >>> lack = {"deployment": "hybrid", "than": "", "phase": "during", "metric": "latency_p99", "half_width": 0.04,
    ...         "wanted": 0.01, "n": 8, "needed": 70}
    >>> for line in lines({"relative": 0.05, "replications": 8, "stopped_by": "budget", "decisive": lack,
    ...                    "missing": [lack]}):
    ...     print(line)
    precision: ± 5 % not reached with 8 replications: the time is over (--budget)
      hybrid, during: latency p99 is known to ± 40 ms, not ± 10 ms; that takes about 70 replications
    """
    wanted, count = f"± {percentage(report['relative'])}", report["replications"]
    missing = report["missing"]
    if report["stopped_by"] == "precision":
        last = report["decisive"]
        why = f"; the last to be known so well was {_what(last)}" if last else ""
        return [f"precision: {wanted} reached with {count} replications{why}"]
    if not missing:
        reason = _REASONS[report["stopped_by"]]
        return [f"precision: {wanted} reached with {count} replications, but not for long enough to be sure: {reason}"]
    # One line for each metric and phase, of the deployment that lacks most.
    worst = list({(lack["metric"], lack["phase"]): lack for lack in reversed(missing)}.values())[::-1]
    found = [f"precision: {wanted} not reached with {count} replications: {_REASONS[report['stopped_by']]}"]
    found += [f"  {_lack(lack)}" for lack in worst[:NAMED]]
    if len(worst) > NAMED:
        found.append(f"  and {len(worst) - NAMED} more; precision.missing in manifest.json has all")
    return found


def _what(lack: Mapping[str, Any]) -> str:
    phase = "whole run" if lack["phase"] == "all" else lack["phase"]
    whose = f"{lack['deployment']} less {lack['than']}" if lack["than"] else lack["deployment"]
    return f"{whose}, {phase}: {shown(lack['metric']).label}"


def _lack(lack: Mapping[str, Any]) -> str:
    known = shown(lack["metric"])
    half, wanted = (quantity(known.unit, lack[name]) for name in ("half_width", "wanted"))
    needed = int(lack["needed"] or 0)
    takes = f"about {needed:,} replication{'s' * (needed != 1)}"
    if needed > MOST:
        takes = f"more than {MOST:,} replications, which is not worth simulating"
    return f"{_what(lack)} is known to ± {half}, not ± {wanted}{f'; that takes {takes}' if needed else ''}"
