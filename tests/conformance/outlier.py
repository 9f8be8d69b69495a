"""Outcomes of outlier detection: who was ejected when, for how long, and what still reached ejected hosts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.conformance.cases import Point
from tests.conformance.records import Attempt, Ejection, Recording


def outlier(point: Point, recording: Recording) -> dict[str, Any]:
    """Compute the ``outlier.*`` outcomes."""
    taken = [each for each in recording.ejections if each.eject and each.enforced]
    noticed = [each for each in recording.ejections if each.eject and not each.enforced]
    intervals = _intervals(recording.ejections)
    peak, peak_time = _peak(recording.ejections)
    lags, returns, meanwhile = _lags(intervals, recording.attempts)
    chosen = point.analyze.get("eject_host")
    durations = [end - begin for host, begin, end in intervals if end < math.inf and chosen in {None, host}]
    return {
        "n_eject": len(taken),
        "n_eject_not_enforced": len(noticed),
        "types": dict(sorted(Counter(each.kind for each in taken).items())),
        "types_not_enforced": dict(sorted(Counter(each.kind for each in noticed).items())),
        "peak_ejected": peak,
        "peak_ejected_frac": peak / len(point.endpoints),
        "peak_t": peak_time,
        "ejected_eps": sorted({each.host for each in taken}),
        "first_t": taken[0].time if taken else None,
        "apply_lag_s": {"mean": sum(lags) / len(lags) if lags else None, "max": max(lags, default=None)},
        "return_lag_s": {"mean": sum(returns) / len(returns) if returns else None, "max": max(returns, default=None)},
        "reqs_while_ejected": meanwhile,
        "durations": durations,
        "dur_by_k": {f"k{number}": value for number, value in enumerate(durations[:8], 1)},
        "n_eject_host": sum(chosen in {None, each.host} for each in taken),
    } | _until_first(taken, recording.attempts)


def _until_first(taken: Sequence[Ejection], attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Requests and errors that reached the first ejected host until it was ejected."""
    if not taken:
        return {}
    first = taken[0]
    # An event is stamped with a whole millisecond, cut off: the answer that ejected the host came within it.
    seen = [each for each in attempts if f"e{each.endpoint}" == first.host and each.start <= first.time + 1e-3]
    failed = [each for each in seen if each.end <= first.time + 1e-3 and not 200 <= each.status < 400]
    return {
        "first_ep": first.host,
        "reqs_to_first_eject": len(seen),
        "errs_to_first_eject": len(failed),
        "first_info": first.info or None,
    }


def _intervals(events: Sequence[Ejection]) -> list[tuple[str, float, float]]:
    """Host, begin and end of every ejection, in order of beginning; the end of one that lasts is infinite."""
    open_at: dict[str, int] = {}
    intervals: list[tuple[str, float, float]] = []
    for event in events:
        if event.eject and event.enforced:
            open_at[event.host] = len(intervals)
            intervals.append((event.host, event.time, math.inf))
        elif not event.eject and event.host in open_at:
            at = open_at.pop(event.host)
            intervals[at] = (event.host, intervals[at][1], event.time)
    return intervals


def _peak(events: Sequence[Ejection]) -> tuple[int, float | None]:
    out: set[str] = set()
    peak, when = 0, None
    for event in events:
        if event.eject and event.enforced:
            out.add(event.host)
        elif not event.eject:
            out.discard(event.host)
        if len(out) > peak:
            peak, when = len(out), event.time
    return peak, when


def _lags(
    intervals: Sequence[tuple[str, float, float]], attempts: Sequence[Attempt]
) -> tuple[list[float], list[float], int]:
    """Last request to a host after its ejection, first one after its return, and requests in between."""
    arrivals: dict[str, list[float]] = {}
    for attempt in attempts:
        arrivals.setdefault(f"e{attempt.endpoint}", []).append(attempt.start)
    lags, returns, meanwhile = [], [], 0
    for host, begin, end in intervals:
        times = arrivals.get(host, [])
        since = math.floor(begin * 1000) / 1000
        during = [time - since for time in times if since <= time < end]
        lags.append(max(during, default=0.0))
        meanwhile += len(during)
        after = [time - end for time in times if time >= end]
        if after:
            returns.append(min(after))
    return lags, returns, meanwhile
