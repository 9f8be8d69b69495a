"""One number of a table as it is printed: with its interval, the end of it that matters, or what stands in for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from meshsim.analysis.means import FROM_HISTOGRAMS, RESOLUTION
from meshsim.analysis.rare_events import BEYOND, FEW, requests_for
from meshsim.report.metrics import shown
from meshsim.report.numbers import NOTHING, bounded, quantity

#: What is printed where no replication recovered, and for a percentile of fewer requests than it needs.
NEVER = "never"
TOO_FEW = "too few"

#: How the number of replications begins that all agree.
ALL = "(all "


def cell(name: str, row: Mapping[Any, Any]) -> str:
    """Return a mean as it stands in a table, whatever is known of it.

    There is no ± 0: a rate near all or nothing has the end of its exact interval that matters, and what is the same in
    every replication, so that there is no interval, the number of replications that agree.

    Parameters
    ----------
    name
        Of the metric.
    row
        ``mean`` and ``n``, and as far as they are known ``half_width, low, high, missing, never, same, events`` and
        ``requests_needed``, as `meshsim.analysis.comparison.compare` returns them.

    Examples
    --------
    >>> cell("success_rate", {"mean": 1.0, "half_width": 2.5e-5, "low": 0.999975, "high": 1.0, "n": 3, "events": 0})
    '100 (>99.9975) %'
    >>> cell("pods_blocked", {"mean": 0.0, "half_width": float("nan"), "n": 5, "same": True})
    '0 (all 5)'
    """
    mean, n, missing = float(row["mean"]), int(row.get("n", 1)), int(row.get("missing", 0))
    if not n and row.get("never", 0):
        return NEVER
    if not math.isfinite(mean):
        return NOTHING
    text = TOO_FEW if row.get("requests_needed", 0) else _number(name, mean, row)
    if missing and n:
        return f"{text} ({n}/{n + missing})"
    agreed = row.get("same", False) and math.isnan(float(row.get("low", math.nan)))
    return f"{text} {ALL}{n})" if agreed and text != TOO_FEW else text


def _number(name: str, mean: float, row: Mapping[Any, Any]) -> str:
    """Return a mean with its interval: half widths, or the end that matters where they would mislead."""
    unit = shown(name).unit
    half, low, high, events = (float(row.get(column, math.nan)) for column in ("half_width", "low", "high", "events"))
    if name.startswith(FROM_HISTOGRAMS):  # an interval over replications knows nothing of a bin's width
        half = max(half, RESOLUTION * mean)
    if not (math.isfinite(low) and math.isfinite(high)):
        return quantity(unit, mean, half)
    out_of_reach = mean - half < 0 or (unit == "fraction" and mean + half > 1)
    if high > low and (events < FEW or out_of_reach):
        return bounded(unit, mean, low if unit == "fraction" and mean >= 0.5 else high)
    return quantity(unit, mean, half)


def how_to_read(texts: Iterable[str]) -> list[str]:
    """Return what the marks in cells mean, of those that are there.

    Examples
    --------
    >>> how_to_read(["0 (all 5)"])
    ['(all 5): the same in each of 5 replications, which makes no interval']
    """
    found = list(texts)
    agreeing = {text[text.index(ALL) :] for text in found if ALL in text}
    counts = sorted({int(text.removeprefix(ALL).rstrip(")")) for text in agreeing})
    said = {
        "(<9) or (>9): the end of the 95 % interval that matters, where events are few or the other end is out of"
        " reach": any(" (<" in text or " (>" in text for text in found),
        f"{ALL}{counts[-1] if counts else 0}): the same in each of {counts[-1] if counts else 0} replications, which"
        " makes no interval": bool(counts),
        f"{TOO_FEW}: a percentile needs {BEYOND} requests beyond it in every replication, {requests_for(0.99):,} in"
        f" all for p99 and {requests_for(0.999):,} for p99.9": any(text.startswith(TOO_FEW) for text in found),
        f"{NOTHING} does not apply": NOTHING in found,
        f"{NEVER}: not by the end of the run": NEVER in found,
    }
    return [words for words, applies in said.items() if applies]
