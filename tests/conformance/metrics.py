"""Outcomes of a run, computed alike from what any arm recorded.

`measure` gives a nested mapping whose flattened keys are the outcome names of case files: ``ok``, ``frac_flag.UO``,
``lat_ms.p50``, ``w_failing.share_label.P1``, ``outlier.n_eject`` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tests.conformance.cases import Point
from tests.conformance.outlier import outlier
from tests.conformance.records import Attempt, Recording, Request

Nested = dict[str, Any]


def measure(point: Point, recording: Recording) -> Nested:
    """Compute every outcome that the point asks for."""
    wanted = point.analyze
    found = _requests(recording, int(wanted.get("warmup", 0))) | _attempts(point, recording)
    for name, window in (wanted.get("windows") or {}).items():
        found[f"w_{name}"] = _window(point, recording, window)
    for asked, answer in ANALYSES.items():
        if wanted.get(asked):
            found |= answer(point, recording)
    if "outlier_detection" in (point.policy.get("cluster") or {}):
        found["outlier"] = outlier(point, recording)
    return found


def flatten(nested: Mapping[str, Any], prefix: str = "") -> Nested:
    """Join the keys of nested mappings with dots.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    flat: Nested = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def spread(values: Sequence[float], *quantiles: int) -> Nested | None:
    """Count, mean, percentiles and extremes of times in seconds, as milliseconds; None when there are none.

    >>> spread([0.01, 0.03], 50)
    {'n': 2, 'mean': 20.0, 'p50': 20.0, 'min': 10.0, 'max': 30.0}
    """
    if not len(values):
        return None
    millis = np.asarray(values) * 1000
    at = dict(zip(quantiles, np.percentile(millis, quantiles), strict=True))
    return (
        {"n": len(millis), "mean": round(float(millis.mean()), 3)}
        | {f"p{quantile}": round(float(value), 3) for quantile, value in at.items()}
        | {"min": round(float(millis.min()), 3), "max": round(float(millis.max()), 3)}
    )


def _latency(requests: Iterable[Request]) -> Nested | None:
    return spread([request.latency for request in requests], 50, 90, 99)


def _share(flags: Iterable[bool]) -> float:
    listed = list(flags)
    return sum(listed) / len(listed) if listed else 0.0


def _requests(recording: Recording, warmup: int) -> Nested:
    """What clients saw; only latencies leave out the first ``warmup`` requests."""
    requests = recording.requests
    count = len(requests)
    status = Counter(str(request.status) for request in requests)
    flags = Counter(request.flag for request in requests)
    settled = [request for request in requests if request.number >= warmup]
    hist = Counter(request.attempts for request in requests)
    return {
        "n": count,
        "status": dict(sorted(status.items())),
        "frac_status": {key: value / count for key, value in sorted(status.items())},
        "ok": _share(request.ok for request in requests),
        "frac_flag": {key: value / count for key, value in sorted(flags.items())},
        "lat_ms": _latency(request for request in settled if request.ok),
        "lat_all_ms": _latency(settled),
        "lat_err_ms": _latency(request for request in settled if not request.ok),
        "attempts_acc": sum(request.attempts for request in requests) / count,
        "attempts": {
            "mean": len(recording.attempts) / count,
            "hist": {str(key): hist[key] for key in sorted(hist)},
        },
        "envoy": recording.counters,
    }


def _attempts(point: Point, recording: Recording) -> Nested:
    """Where attempts went."""
    total = len(recording.attempts)
    by_host = Counter(attempt.endpoint for attempt in recording.attempts)
    share = {each.name: by_host[each.index] / max(total, 1) for each in point.endpoints}
    ranked = sorted(share.values(), reverse=True)
    service = [attempt.service for attempt in recording.attempts if attempt.service >= 0]
    return {
        "upstream_attempts": total,
        "share": share,
        "share_label": _by_label(point, recording.attempts),
        "share_label_first": _by_label(point, [each for each in recording.attempts if each.number == 1]),
        "share_sorted": {f"s{rank}": value for rank, value in enumerate(ranked, 1)},
        "n_used": sum(value > 0 for value in ranked),
        "max_share": ranked[0],
        "conns_per_ep": {each.name: recording.connections.get(each.index, 0) for each in point.endpoints},
        "conns": sum(recording.connections.values()),
        "upstream_service_mean_ms": float(np.mean(service)) * 1000 if service else None,
    }


def _by_label(point: Point, attempts: Sequence[Attempt]) -> dict[str, float]:
    labels = {each.index: each.label for each in point.endpoints}
    counted = Counter(labels[attempt.endpoint] for attempt in attempts)
    return {label: counted[label] / max(len(attempts), 1) for label in sorted(set(labels.values()))}


def _within(recording: Recording, window: Sequence[float]) -> list[Request]:
    begin, end = window
    return [request for request in recording.requests if begin <= request.due < end]


def _window(point: Point, recording: Recording, window: Sequence[float]) -> Nested:
    """What became of the requests that were due in a window."""
    requests = _within(recording, window)
    numbers = {request.number for request in requests}
    attempts = [attempt for attempt in recording.attempts if attempt.request in numbers]
    status = Counter(str(request.status) for request in requests)
    count = max(len(requests), 1)
    return {
        "n": len(requests),
        "ok": _share(request.ok for request in requests),
        "status": {key: value / count for key, value in sorted(status.items())},
        "lat_ms": _latency(requests),
        "attempts": len(attempts) / count,
        "share_label": _by_label(point, attempts),
    }


def _peak(intervals: Iterable[tuple[float, float]]) -> int:
    """Most intervals that overlap; one that ends when another begins does not."""
    steps = sorted(step for begin, end in intervals for step in ((begin, 1), (end, -1)) if end > begin)
    level = most = 0
    for _, step in steps:
        level += step
        most = max(most, level)
    return most


def _sequence(point: Point, recording: Recording) -> Nested:
    """How regular the order of hosts is: repeats after one period of the schedule, and the longest run."""
    weighted = any(each.weight for each in point.endpoints)
    period = sum(max(each.weight, 1) for each in point.endpoints) if weighted else len(point.endpoints)
    order = [each.endpoint for each in sorted(recording.attempts, key=lambda attempt: attempt.start)]
    run = longest = 0
    for at, host in enumerate(order):
        run = run + 1 if at and order[at - 1] == host else 1
        longest = max(longest, run)
    repeats = _share(first == second for first, second in zip(order, order[period:], strict=False))
    return {"period": period, "periodic": repeats, "max_run": longest}


def _failover(point: Point, recording: Recording, asked: Mapping[str, Any]) -> Nested:
    """Errors and first and last moments of a failover, seconds after it (``at``) and after the way ``back``."""
    labels = {each.index: each.label for each in point.endpoints}
    away, home = ([each.start for each in recording.attempts if labels[each.endpoint] == asked[key]]
                  for key in ("to", "from"))  # fmt: skip
    at, back = asked["at"], asked["back"]
    errors = [request.sent for request in recording.requests if not request.ok and request.due >= at]
    return {
        "errors": len(errors),
        "t_first_to": _since(at, min((time for time in away if time >= at), default=None)),
        "t_last_error": _since(at, max(errors, default=None)),
        "t_first_back": _since(back, min((time for time in home if time >= back), default=None)),
        "t_last_to": _since(back, max((time for time in away if time >= back), default=None)),
    }


def _since(begin: float, time: float | None) -> float | None:
    return None if time is None else round(time - begin, 3)


def _by_request(recording: Recording) -> list[list[Attempt]]:
    tried: dict[int, list[Attempt]] = {}
    for attempt in recording.attempts:
        tried.setdefault(attempt.request, []).append(attempt)
    return [sorted(attempts, key=lambda attempt: attempt.start) for attempts in tried.values()]


def _same_host(recording: Recording) -> Nested:
    tried = _by_request(recording)
    pairs = [pair for attempts in tried for pair in pairwise(attempts)]
    return {
        "retry_same_host": _share(one.endpoint == two.endpoint for one, two in pairs) if pairs else None,
        "retried_frac": sum(len(attempts) > 1 for attempts in tried) / len(recording.requests),
    }


def _backoff(recording: Recording) -> Nested:
    """Gaps between the end of one attempt and the arrival of the next."""
    gaps: dict[str, list[float]] = {}
    for attempts in _by_request(recording):
        for number, (one, two) in enumerate(pairwise(attempts), 1):
            gaps.setdefault(f"retry{number}", []).append(two.start - one.end)
    return {name: spread(values, 10, 50, 90) for name, values in sorted(gaps.items())}


def _hash(point: Point, recording: Recording) -> Nested:
    """How keys spread over hosts in each phase of the load, and how many moved between the first two."""
    size = point.load.get("phase_n", len(recording.requests))
    phases: dict[int, dict[str, set[int]]] = {}
    keys = {request.number: request.key for request in recording.requests}
    for attempt in recording.attempts:
        phase = phases.setdefault(attempt.request // size, {})
        phase.setdefault(keys[attempt.request], set()).add(attempt.endpoint)
    found: Nested = {f"phase{number}": _key_share(point, phase) for number, phase in sorted(phases.items())}
    if len(phases) > 1:
        found["disruption"] = _disruption(phases[0], phases[1])
    return found


def _key_share(point: Point, phase: Mapping[str, set[int]]) -> Nested:
    counts = Counter(min(hosts) for hosts in phase.values())
    used = np.array(list(counts.values()))
    return {
        "keys": len(phase),
        "sticky": all(len(hosts) == 1 for hosts in phase.values()),
        "hosts": len(counts),
        "share": {each.name: counts[each.index] / len(phase) for each in point.endpoints},
        "max_over_mean": float(used.max() / used.mean()),
        "min_over_mean": float(used.min() / used.mean()),
        "cv": float(used.std() / used.mean()),
    }


def _disruption(before: Mapping[str, set[int]], after: Mapping[str, set[int]]) -> Nested:
    moves = [(min(before[key]), min(after[key])) for key in before if key in after]
    old, new = {one for one, _ in moves}, {two for _, two in moves}
    count = len(moves)
    return {
        "removed": [f"e{host}" for host in sorted(old - new)],
        "added": [f"e{host}" for host in sorted(new - old)],
        "keys_on_removed": sum(one not in new for one, _ in moves) / count,
        "keys_on_added": sum(two not in old for _, two in moves) / count,
        "moved_total": sum(one != two for one, two in moves) / count,
        "moved_needlessly": sum(one != two and one in new and two in old for one, two in moves) / count,
    }


def _latency_by_endpoint(recording: Recording) -> Nested:
    last: dict[int, int] = {attempt.request: attempt.endpoint for attempt in recording.attempts}
    grouped: dict[str, list[Request]] = {}
    for request in recording.requests:
        if request.ok and request.number in last:
            grouped.setdefault(f"e{last[request.number]}", []).append(request)
    return {name: _latency(requests) for name, requests in sorted(grouped.items())}


def _per_ejection(recording: Recording, host: str) -> float | None:
    ejections = sum(each.eject and each.enforced and each.host == host for each in recording.ejections)
    requests = sum(f"e{attempt.endpoint}" == host for attempt in recording.attempts)
    return requests / ejections if ejections else None


def _accepted(point: Point, recording: Recording) -> Nested:
    if point.load["arrivals"] != "burst":
        return {}
    windows = point.analyze["windows"].items()
    return {"accepted": {name: sum(request.ok for request in _within(recording, window)) for name, window in windows}}


def _delayed(point: Point, recording: Recording) -> Nested:
    over = point.analyze["delayed_over_ms"] / 1000
    return {"delayed_frac": _share(request.latency > over for request in recording.requests)}


#: What a point may ask for beyond the usual, by the name it asks with.
ANALYSES: dict[str, Callable[[Point, Recording], Nested]] = {
    "windows": _accepted,
    "inflight": lambda _, recording: {"peak_inflight": _peak((each.start, each.end) for each in recording.attempts)},
    "seq": _sequence,
    "failover": lambda point, recording: {"failover": _failover(point, recording, point.analyze["failover"])},
    "same_host": lambda _, recording: _same_host(recording),
    "delayed_over_ms": _delayed,
    "backoff": lambda _, recording: {"backoff_ms": _backoff(recording)},
    "keys": lambda point, recording: {"hash": _hash(point, recording)},
    "lat_by_ep": lambda _, recording: {"lat_by_ep_ms": _latency_by_endpoint(recording)},
    "outlier": lambda point, recording: {"outlier": outlier(point, recording)},
    "per_eject": lambda point, recording: {"reqs_per_eject": _per_ejection(recording, point.analyze["per_eject"])},
}
