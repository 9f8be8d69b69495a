"""One number of a table as it is printed: with its interval, the end of it that matters, or what stands in for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from meshsim.analysis.failing import ANSWERED
from meshsim.analysis.means import FROM_HISTOGRAMS, RESOLUTION
from meshsim.analysis.rare_events import BEYOND, FEW, requests_for
from meshsim.report.metrics import shown
from meshsim.report.numbers import NOTHING, bounded, digits, percentage, quantity

#: What is printed where no replication recovered, and for a percentile of fewer requests than it needs.
NEVER = "never"
TOO_FEW = "too few"

#: Stands behind what is low as requests failed.
FAILING = " \N{DAGGER}"

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
        ``mean`` and ``n``, and as far as they are known ``half_width, low, high, missing, never, same, events,
        failing`` and ``requests_needed``, as `meshsim.analysis.comparison.compare` returns them.

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
    if row.get("requests_needed", 0):
        return f"{TOO_FEW} ({n}/{n + missing})" if missing and n else TOO_FEW
    text, mark = _number(name, mean, row), FAILING if row.get("failing", False) else ""
    if missing and n:
        return f"{text} ({n}/{n + missing}){mark}"
    agreed = row.get("same", False) and math.isnan(float(row.get("low", math.nan)))
    return f"{text} {ALL}{n}){mark}" if agreed else f"{text}{mark}"


def hidden(name: str, row: Mapping[Any, Any], other: Mapping[Any, Any]) -> str:
    """Return by how much two numbers differ where they are printed alike; nothing where that can be seen.

    Examples
    --------
    >>> one = {"mean": 0.1504, "half_width": 0.02, "n": 5}
    >>> hidden("latency_p99", one, one | {"mean": 0.1501}), hidden("latency_p99", one, one | {"mean": 0.2})
    ('300 µs', '')
    """
    gap = abs(float(row["mean"]) - float(other["mean"]))
    if not gap > 0 or not math.isfinite(gap) or _mean(name, row) != _mean(name, other):
        return ""
    return points(gap) if shown(name).unit == "fraction" else quantity(shown(name).unit, gap)


def points(share: float) -> str:
    """Return a difference of shares in percentage points.

    Examples
    --------
    >>> points(0.0123), points(0.0000042)
    ('1.23 points', '0.00042 points')
    """
    return f"{digits(100 * share)} points"


def _mean(name: str, row: Mapping[Any, Any]) -> str:
    """Return a mean as it is printed, without what is known of it."""
    text = cell(name, row)
    number, _, rest = text.partition(" ")
    return f"{number} {rest.rpartition(' ')[2]}" if rest else number


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
        f"{FAILING.strip()}: fewer than {percentage(ANSWERED)} of the requests succeeded, and those that failed count"
        " too: that it is low is no merit": any(text.endswith(FAILING) for text in found),
        f"{NOTHING} does not apply": NOTHING in found,
        f"{NEVER}: not by the end of the run": NEVER in found,
    }
    return [words for words, applies in said.items() if applies]
