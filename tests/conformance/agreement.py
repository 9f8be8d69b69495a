"""When two arms agree: the record of one, the run of the other, and the room between them that noise explains.

For every outcome: ``|difference| <= max(3 sd / sqrt(3), 3 se_binom, 5 %, 0.01 or 2 ms)``, where ``sd`` is the spread
of the record over its seeds and ``se_binom`` the error of a proportion of so many requests. Where the record itself
is a race its range is compared, where it is chaotic or hangs on the phase of a timer its distribution.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.conformance.cases import Point

#: Outcomes that are shares of requests: absent means zero, and their binomial error is part of a record.
PROPORTION = re.compile(
    r"^(w_[^.]+\.)?(ok|frac_status|frac_flag|share|share_label|status|delayed_frac|retried_frac)(\.|$)"
)
#: Counts by kind, of which absent means zero too.
COUNTED = re.compile(r"^(attempts\.hist|outlier\.types|outlier\.types_not_enforced)\.")
#: Times that the phase of a proxy's timers decides: it is random, and the record knows but a few of them.
BY_PHASE = re.compile(r"^(outlier\.(first_t|dur_by_k\.|apply_lag_s)|failover\.t_)")
#: Latencies that one hiccup of the machine decides.
LARGEST = re.compile(r"^(w_[^.]+\.)?lat_\w*ms\.max$")
#: Latencies below this are the machine's, not the upstream's.
TRUSTED_MS = 20.0

AGREES, DIFFERS, SKIPPED = "agrees", "differs", "not compared"
#: Outside the room that a record of three runs leaves, and within what runs of both arms differ by anyway.
NOISE = "within noise"
#: How many times less room than is due three runs may leave by chance; beyond that an arm that varies is wrong.
LUCK = 4.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one outcome of one point compares; ``allowed`` is the room for ``difference``."""

    outcome: str
    state: str
    recorded: Any
    found: Any
    difference: float = 0.0
    allowed: float = 0.0
    reason: str = ""


def summarise(runs: Sequence[Mapping[str, Any]], outcomes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Summarise flattened runs: mean, sd over seeds, extremes, and the binomial error of proportions."""
    keys = sorted({key for run in runs for key in run if _asked(key, outcomes)})
    return {key: _summary(key, runs) for key in keys}


def _asked(key: str, outcomes: Sequence[str]) -> bool:
    return any(key == outcome or key.startswith(f"{outcome}.") for outcome in outcomes)


def _summary(key: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [run.get(key) for run in runs]
    if PROPORTION.match(key) or COUNTED.match(key):
        values = [0.0 if value is None else value for value in values]
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if not numbers or any(value is not None and value not in numbers for value in values):
        return {"values": values}
    mean = sum(numbers) / len(numbers)
    spread = sum((value - mean) ** 2 for value in numbers)
    found = {"mean": mean, "sd": math.sqrt(spread / (len(numbers) - 1)) if len(numbers) > 1 else 0.0}
    found |= {"min": min(numbers), "max": max(numbers), "k": len(numbers)}
    if len(numbers) < len(values):
        found["runs"] = len(values)
    count = sum(_observations(key, run) for run in runs) if PROPORTION.match(key) else 0
    if count:
        found["se_binom"] = max(math.sqrt(max(mean * (1 - mean), 0.0) / count), 0.5 / count)
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in found.items()}


def _observations(key: str, run: Mapping[str, Any]) -> int:
    window = re.match(r"^w_[^.]+", key)
    return int(run.get(f"{window[0]}.n", 0) if window else run["n"])


def compare(point: Point, recorded: Mapping[str, Any], found: Mapping[str, Any]) -> list[Verdict]:
    """Compare every outcome of a point: what was recorded against what an arm found."""
    zero = {"mean": 0.0, "sd": 0.0, "min": 0.0, "max": 0.0, "k": 3, "se_binom": 0.0}
    verdicts = []
    for key in sorted(key for key in set(recorded) | set(found) if _asked(key, point.outcomes)):
        absent = zero if PROPORTION.match(key) or COUNTED.match(key) else None
        one, two = recorded.get(key, absent), found.get(key, absent)
        verdicts.append(_compare(point, key, one, two))
    return verdicts


def _compare(point: Point, key: str, one: Mapping[str, Any] | None, two: Mapping[str, Any] | None) -> Verdict:
    if one is None:
        return Verdict(key, SKIPPED, None, two, reason="not recorded")
    if _nothing(one):
        return _compare_to_nothing(key, two)
    if _nothing(two):
        some = "mean" in one and one["k"] < 3
        return Verdict(key, SKIPPED if some else DIFFERS, one, None, reason="seen in some runs" if some else "absent")
    if two is None or "mean" not in one or "mean" not in two:
        return _compare_values(key, one, two or {"values": []})
    untrusted = "_ms" in key and one["mean"] < TRUSTED_MS and not key.startswith("backoff_ms")
    if untrusted or LARGEST.match(key):
        reason = "the machine's latency, not the upstream's" if untrusted else "one hiccup of the machine decides it"
        return Verdict(key, SKIPPED, one["mean"], two["mean"], reason=reason)
    return _compare_numbers(point, key, one, two)


def _compare_numbers(point: Point, key: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Verdict:
    difference, allowed, reason = two["mean"] - one["mean"], allowance(key, one), ""
    state = AGREES if abs(difference) <= allowed + 1e-9 else DIFFERS
    if state == DIFFERS and _is_race(point, key):
        inside = one["min"] - allowed <= two["max"] and two["min"] <= one["max"] + allowed
        state, reason = AGREES if inside else DIFFERS, "a race: ranges compared"
    elif state == DIFFERS and abs(difference) <= min(_noise(one, two), LUCK * allowed):
        chaotic = overloaded(point) or BY_PHASE.match(key)
        allowed, state = min(_noise(one, two), LUCK * allowed), AGREES if chaotic else NOISE
        reason = "distributions compared" if chaotic else "the record's few runs lie close together by chance"
    return Verdict(key, state, one["mean"], two["mean"], difference, allowed, reason)


def _noise(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    """Return three standard errors of a difference of means, with the spread of all runs of both arms."""
    freedom = max(one["k"] + two["k"] - 2, 1)
    pooled = ((one["k"] - 1) * one["sd"] ** 2 + (two["k"] - 1) * two["sd"] ** 2) / freedom
    return 3 * math.sqrt(pooled * (1 / one["k"] + 1 / two["k"]))


def allowance(key: str, recorded: Mapping[str, Any]) -> float:
    """Return the room for a difference from a recorded outcome.

    >>> allowance("ok", {"mean": 0.5, "sd": 0.0, "se_binom": 0.02})
    0.06
    >>> allowance("lat_ms.p50", {"mean": 30.0, "sd": 0.0})
    2.0
    """
    floor = 2.0 if "_ms" in key else 0.01
    noise = max(3 * recorded["sd"] / math.sqrt(3), 3 * recorded.get("se_binom", 0.0))
    return float(max(noise, 0.05 * abs(recorded["mean"]), floor))


def _compare_values(key: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Verdict:
    """Compare outcomes that are not numbers: some run of each arm must have ended alike."""
    listed = [each["values"] if "values" in each else [each["mean"]] for each in (one, two)]
    alike = any(value in listed[0] for value in listed[1])
    return Verdict(key, AGREES if alike else DIFFERS, listed[0], listed[1])


def _nothing(summary: Mapping[str, Any] | None) -> bool:
    """Tell whether no run had the outcome."""
    return summary is None or all(value is None for value in summary.get("values", [summary]))


def _compare_to_nothing(key: str, two: Mapping[str, Any] | None) -> Verdict:
    """Compare where the record says that there was nothing to measure; a proxy's counters appear when first used."""
    if _nothing(two) or (two is not None and two.get("mean") == 0):
        return Verdict(key, AGREES, None, None)
    counter = key.startswith("envoy.")
    rare = two is not None and 3 * two.get("k", 0) <= two.get("runs", 0)  # three recorded runs may well have none
    reason = "not recorded" if counter else "rare" if rare else "unexpected"
    return Verdict(key, SKIPPED if counter or rare else DIFFERS, None, two, reason=reason)


def _is_race(point: Point, key: str) -> bool:
    """Tell whether an outcome contains a cold burst: handshakes race with the rest of the burst."""
    return point.load["arrivals"] == "burst" and not key.startswith(("accepted.warm", "peak_inflight"))


def overloaded(point: Point) -> bool:
    """Tell whether random work exceeds what the servers or connections of the point can do."""
    load = point.load
    if load.get("work") != "exp" or "rate" not in load:
        return False
    thresholds = ((point.policy.get("cluster") or {}).get("circuit_breakers") or {}).get("thresholds") or [{}]
    connections = thresholds[0].get("max_connections", 0) if not point.policy.get("http2") else 0
    erlangs = load["rate"] * sum(each.service for each in point.endpoints) / len(point.endpoints)
    servers = sum(each.servers for each in point.endpoints)
    pinned = max(each.servers for each in point.endpoints) if point.gateway.get("mode") == "tcp" else servers
    limits = [limit for limit in (connections, servers, pinned) if limit]
    return bool(limits) and erlangs >= min(limits)
