"""One number of a table as it is printed: with its interval, the end of it that matters, or what stands in for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from meshsim.analysis.failing import ANSWERED
from meshsim.analysis.means import FROM_HISTOGRAMS, RESOLUTION
from meshsim.analysis.rare_events import BEYOND, FEW, requests_for
from meshsim.report.metrics import shown
from meshsim.report.numbers import NOTHING, Parts, bounded_parts, digits, percentage, quantity, quantity_parts

#: What is printed where no replication recovered, and for a percentile of fewer requests than it needs.
NEVER = "never"
TOO_FEW = "too few"

#: Stands behind what is low as requests failed.
FAILING = " \N{DAGGER}"


class Sign(NamedTuple):
    """What stands beside a number or in its place and has to be explained; ``n`` is of how many replications."""

    kind: str
    n: int = 0


#: The end of an interval in place of a half width, and each of what is printed above.
BOUND, FEWER, FAILED = Sign("bound"), Sign("too few"), Sign("failing")
NONE, NOT_YET, NOT_ALWAYS = Sign("nothing"), Sign("never"), Sign("not always")


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as it stands in a table.

    Parameters
    ----------
    text
        All of it.
    mean
        The mean and its unit alone, without what is known of it.
    signs
        What has to be explained of it.
    """

    text: str
    mean: str
    signs: frozenset[Sign] = frozenset()


#: What is printed where there is no number.
ABSENT = Printed(NOTHING, NOTHING, frozenset({NONE}))


def agreeing(n: int) -> str:
    """Return what stands behind a number that all replications agree on.

    Examples
    --------
    >>> agreeing(5)
    '(all 5)'
    """
    return f"(all {n})"


def agreed(n: int) -> Sign:
    """Return the sign that so many replications agree."""
    return Sign("agreed", n)


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
    return printed(name, row).text


def printed(name: str, row: Mapping[Any, Any]) -> Printed:
    """Return a mean as `cell` does, with its mean alone and what has to be explained of it.

    Examples
    --------
    >>> found = printed("latency_p99", {"mean": 0.15, "half_width": 0.02, "n": 5, "failing": True})
    >>> found.text, found.mean, [sign.kind for sign in found.signs]
    ('150 ± 20 ms †', '150 ms', ['failing'])
    """
    mean, n, missing = float(row["mean"]), int(row.get("n", 1)), int(row.get("missing", 0))
    never = int(row.get("never", 0))
    if never and not n:
        return Printed(NEVER, NEVER, frozenset({NOT_YET}))
    if never and math.isinf(mean):
        return Printed(f"{NEVER} in {never}/{n + missing}", NEVER, frozenset({NOT_ALWAYS}))
    if not math.isfinite(mean):
        return ABSENT
    if row.get("requests_needed", 0):
        return Printed(f"{TOO_FEW} ({n}/{n + missing})" if missing and n else TOO_FEW, TOO_FEW, frozenset({FEWER}))
    number, signs = _number(name, mean, row)
    said = [str(number)]
    if never:
        said.append(f"({NEVER} in {never}/{n + missing})")
        signs |= {NOT_ALWAYS}
    elif missing and n:
        said.append(f"({n}/{n + missing})")
    elif row.get("same", False) and math.isnan(float(row.get("low", math.nan))):
        said.append(agreeing(n))
        signs |= {agreed(n)}
    if row.get("failing", False):
        return Printed(" ".join(said) + FAILING, number.alone, signs | {FAILED})
    return Printed(" ".join(said), number.alone, signs)


def hidden(name: str, row: Mapping[Any, Any], other: Mapping[Any, Any]) -> str:
    """Return by how much two numbers differ where they are printed alike; nothing where that can be seen.

    Examples
    --------
    >>> one = {"mean": 0.1504, "half_width": 0.02, "n": 5}
    >>> hidden("latency_p99", one, one | {"mean": 0.1501}), hidden("latency_p99", one, one | {"mean": 0.2})
    ('300 µs', '')
    """
    if row.get("never", 0) or other.get("never", 0):  # compared in order, not by means
        return ""
    gap = abs(float(row["mean"]) - float(other["mean"]))
    if not gap > 0 or not math.isfinite(gap) or printed(name, row).mean != printed(name, other).mean:
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


def _number(name: str, mean: float, row: Mapping[Any, Any]) -> tuple[Parts, frozenset[Sign]]:
    """Return a mean with its interval: half widths, or the end that matters where they would mislead."""
    unit = shown(name).unit
    half, low, high, events = (float(row.get(column, math.nan)) for column in ("half_width", "low", "high", "events"))
    if name.startswith(FROM_HISTOGRAMS):  # an interval over replications knows nothing of a bin's width
        half = max(half, RESOLUTION * mean)
    if not (math.isfinite(low) and math.isfinite(high)):
        return quantity_parts(unit, mean, half), frozenset()
    out_of_reach = mean - half < 0 or (unit == "fraction" and mean + half > 1)
    if high > low and (events < FEW or out_of_reach):
        end = low if unit == "fraction" and mean >= 0.5 else high
        return bounded_parts(unit, mean, end), frozenset({BOUND})
    return quantity_parts(unit, mean, half), frozenset()


def how_to_read(signs: Iterable[Sign]) -> list[str]:
    """Return what the signs in cells mean, of those that are there.

    Examples
    --------
    >>> how_to_read(printed("pods_blocked", {"mean": 0.0, "n": 5, "same": True}).signs)
    ['(all 5): the same in each of 5 replications, which makes no interval']
    """
    found = set(signs)
    most = max((sign.n for sign in found if sign == agreed(sign.n)), default=0)
    said = {
        BOUND: "(<9) or (>9): the end of the 95 % interval that matters, where events are few or the other end is out"
        " of reach",
        agreed(most): f"{agreeing(most)}: the same in each of {most} replications, which makes no interval",
        FEWER: f"{TOO_FEW}: a percentile needs {BEYOND} requests beyond it in every replication,"
        f" {requests_for(0.99):,} in all for p99 and {requests_for(0.999):,} for p99.9",
        FAILED: f"{FAILING.strip()}: fewer than {percentage(ANSWERED)} of the requests succeeded, and those that failed"
        " count too: that it is low is no merit",
        NONE: f"{NOTHING} does not apply",
        NOT_YET: f"{NEVER}: not by the end of the run",
        NOT_ALWAYS: f"{NEVER} in 2/5: in 2 of 5 replications not by the end of the run; a mean beside it leaves them"
        " out",
    }
    return [words for sign, words in said.items() if sign in found]
