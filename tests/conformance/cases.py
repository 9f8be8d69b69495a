"""What a conformance case is: endpoints, load, raw Envoy policy, gateway and the outcomes that are compared.

A case file holds a ``base`` and parameter ``points``; a point's ``set`` is laid over the base: mappings are merged,
everything else is replaced, and ``null`` takes a setting away. Times are seconds since the load began, ``*_ms``
are milliseconds, as Envoy's own configuration is written as Envoy writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
#: The project's own case files.
OWN = HERE / "cases"
#: What a real Envoy did with them.
OUTCOMES = HERE / "outcomes"
#: A second set of measurements, where it lies beside the project.
SHARED = HERE.parents[2] / "shared" / "data" / "envoy"

#: The compiled one reads in a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Windows = tuple[tuple[float, float], ...]

CASE_FIELDS = {
    "name", "index", "group", "title", "what", "base", "outcomes", "points", "first", "concurrency", "raw",
    "exclusive", "max_lag",
}  # fmt: skip
POINT_FIELDS = {"id", "set", "note", "theory"}
SPEC_FIELDS = {"endpoints", "load", "policy", "gateway", "analyze"}
LOAD_FIELDS = {
    "arrivals", "rate", "n", "duration", "work", "headers", "timeout", "phase_n", "phase_gap", "jitter_s", "pre_delay",
    "token_rate", "fresh_conn", "size", "bursts", "every_s",
}  # fmt: skip
POLICY_FIELDS = {
    "lb_policy", "http2", "connect_timeout", "overprovisioning_factor", "eds", "cluster", "route", "fault",
}  # fmt: skip
GATEWAY_FIELDS = {"mode", "lb_policy", "client_pods", "eds", "http2", "as_endpoint", "tcp", "connect_timeout"}


@dataclass(frozen=True, slots=True)
class Failure:
    """Answers with ``status`` instead of 200, with a probability, in time windows (none: always)."""

    status: int
    prob: float = 1.0
    windows: Windows = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Region, zone and weight of a locality."""

    region: str = ""
    zone: str = ""
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One upstream host and all that it does.

    ``servers`` 0 is a pure delay, otherwise so many requests are served at a time, first come first served. ``listen``
    is ``accept``, ``refuse`` (connection refused) or ``blackhole`` (handshakes that never end). ``reset`` and ``hang``
    are the probabilities that a request meets a closed connection, or no answer.
    """

    index: int
    label: str
    service: float = 0.0
    servers: int = 0
    fail: tuple[Failure, ...] = ()
    reset: float = 0.0
    hang: float = 0.0
    hang_windows: Windows = ()
    listen: str = "accept"
    refuse_windows: Windows = ()
    status_by_attempt: tuple[int, ...] = ()
    weight: int = 0
    priority: int = 0
    locality: Place | None = None
    health: str = "HEALTHY"
    health_at: tuple[tuple[float, str], ...] = ()
    absent: bool = False
    join_t: float | None = None
    leave_t: float | None = None
    hc_fail_windows: Windows = ()
    behind_gw: bool = False
    h2_max_streams: int = 0

    @property
    def name(self) -> str:
        """Name in records and outcomes."""
        return f"e{self.index}"


@dataclass(frozen=True, slots=True)
class Point:
    """One parameter point of a case; ``spec`` is the base with the point's settings laid over it."""

    case: str
    id: str
    spec: Mapping[str, Any]
    outcomes: tuple[str, ...]
    concurrency: int = 1
    note: str = ""
    endpoints: tuple[Endpoint, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """Case and point."""
        return f"{self.case}/{self.id}"

    @property
    def load(self) -> Mapping[str, Any]:
        """Arrivals, work and headers."""
        return self.spec["load"]

    @property
    def policy(self) -> Mapping[str, Any]:
        """Raw Envoy configuration of the client proxy."""
        return self.spec.get("policy") or {}

    @property
    def gateway(self) -> Mapping[str, Any]:
        """The east-west gateway; empty when there is none."""
        return self.spec.get("gateway") or {}

    @property
    def analyze(self) -> Mapping[str, Any]:
        """What to measure beyond the usual."""
        return self.spec.get("analyze") or {}


@dataclass(frozen=True, slots=True)
class Case:
    """A mechanism and its parameter points."""

    name: str
    title: str
    points: tuple[Point, ...]


def overlay(base: Any, change: Any) -> Any:
    """Lay a change over a base: mappings merge, anything else replaces.

    >>> overlay({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"c": 3}, "d": [2]})
    {'a': {'b': 1, 'c': 3}, 'd': [2]}
    """
    if not (isinstance(base, Mapping) and isinstance(change, Mapping)):
        return change
    merged = {key: overlay(value, change[key]) if key in change else value for key, value in base.items()}
    return merged | {key: value for key, value in change.items() if key not in base}


def without_nulls(value: Any) -> Any:
    """Drop the settings that were taken away with ``null``.

    >>> without_nulls({"a": None, "b": {"c": None, "d": 1}})
    {'b': {'d': 1}}
    """
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def seconds(duration: str | float) -> float:
    """Read a duration as Envoy writes it.

    >>> seconds("0.25s"), seconds(3)
    (0.25, 3.0)
    """
    if isinstance(duration, (int, float)):
        return float(duration)
    found = re.fullmatch(r"([0-9.]+)(ms|s|m|h)", duration)
    if found is None:
        raise ValueError(f"{duration!r} is not a duration; write one like 0.25s")
    return float(found[1]) * {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def load_case(path: Path) -> Case:
    """Read a case file."""
    raw = yaml.load(path.read_text(), LOADER)
    _known(raw, CASE_FIELDS, str(path))
    points = []
    for described in raw["points"]:
        _known(described, POINT_FIELDS, f"{path}: {described.get('id')}")
        spec = without_nulls(overlay(raw["base"], described.get("set") or {}))
        outcomes, workers = tuple(raw["outcomes"]), int(raw.get("concurrency", 1))
        points.append(point(raw["name"], described["id"], spec, outcomes, workers, described.get("note") or ""))
    return Case(raw["name"], raw["title"], tuple(points))


def point(
    case: str, name: str, spec: Mapping[str, Any], outcomes: tuple[str, ...], concurrency: int, note: str = ""
) -> Point:
    """Make a point of a specification, checked for fields that nothing would read."""
    where = f"{case}/{name}"
    _known(spec, SPEC_FIELDS, where)
    _known(spec["load"], LOAD_FIELDS, f"{where}: load")
    _known(spec.get("policy") or {}, POLICY_FIELDS, f"{where}: policy")
    _known(spec.get("gateway") or {}, GATEWAY_FIELDS, f"{where}: gateway")
    return Point(case, name, spec, outcomes, concurrency, note, tuple(_endpoints(spec["endpoints"], where)))


def cases(folder: Path = OWN) -> list[Case]:
    """Read every case of a folder, by name."""
    return [load_case(path) for path in sorted(folder.glob("*.yaml"))]


def _known(given: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{where}: unknown field {', '.join(unknown)} (one of {', '.join(sorted(known))})")


def _endpoints(described: list[Mapping[str, Any]], where: str) -> Iterator[Endpoint]:
    named = {each.name for each in fields(Endpoint)} - {"index", "service"} | {"count", "service_ms"}
    index = 0
    for group in described:
        _known(group, named, f"{where}: endpoints")
        settings = {key: value for key, value in group.items() if key not in {"count", "service_ms"}}
        settings |= {key: _windows(value) for key, value in settings.items() if key.endswith("_windows")}
        settings["service"] = group.get("service_ms", 0) / 1000
        settings.setdefault("label", f"P{group.get('priority', 0)}")
        settings["fail"] = tuple(
            Failure(each["status"], each.get("prob", 1.0), _windows(each.get("windows", ())))
            for each in group.get("fail", ())
        )
        for name in ("status_by_attempt", "health_at"):
            settings[name] = tuple(tuple(each) if isinstance(each, list) else each for each in group.get(name, ()))
        if group.get("locality"):
            settings["locality"] = Place(**group["locality"])
        for _ in range(group.get("count", 1)):
            yield Endpoint(index=index, **settings)
            index += 1


def _windows(value: Any) -> Windows:
    return tuple((float(begin), float(end)) for begin, end in value)


def within(windows: Windows, time: float) -> bool:
    """Tell whether a time lies in one of the windows.

    >>> within(((1.0, 2.0),), 1.0), within(((1.0, 2.0),), 2.0)
    (True, False)
    """
    return any(begin <= time < end for begin, end in windows)
