"""From settings of resources to one policy with Istio's defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from meshsim.scenario.istio.policy import CircuitBreaker, LoadBalancer, Locality, OutlierDetection, Policy, Retry
from meshsim.scenario.istio.versions import Profile

DEFAULT = "Istio default"

#: Settings in which Istio cannot tell 0 from nothing (spec §3.1, §3.2).
ZERO_IS_UNSET = frozenset(
    {f"circuit_breaker.{limit.name}" for limit in fields(CircuitBreaker)}
    | {"outlier_detection.max_ejection_percent", "outlier_detection.consecutive_local_origin_failures"}
)

_T = TypeVar("_T", CircuitBreaker, Locality, OutlierDetection)


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a resource sets, and where; two settings are equal wherever they stand.

    Parameters
    ----------
    name
        A field of `Policy` or of one of its blocks, or the block itself where it is present.
    value
        Seconds, counts, percent, names.
    source
        Resource, file and line.
    """

    name: str
    value: Any
    source: str = field(compare=False)


Layer = Mapping[str, Setting]


def layer(settings: Iterable[Setting]) -> Layer:
    """Return settings by name; the first of a name counts.

    Examples
    --------
    >>> layer([Setting("timeout", 3.0, "a"), Setting("timeout", 4.0, "b")])["timeout"].value
    3.0
    """
    found: dict[str, Setting] = {}
    for setting in settings:
        found.setdefault(setting.name, setting)
    return found


def resolve(rule: Layer, route: Layer, mesh: Layer, baseline: Layer, profile: Profile) -> Policy:
    """Return the policy for a service.

    Parameters
    ----------
    rule, route
        What its DestinationRule and its VirtualService set.
    mesh
        What MeshConfig sets.
    baseline
        What ``MeshConfig.defaultTrafficPolicy`` sets; its blocks count where the DestinationRule has none (spec §1).
    profile
        The Istio version.
    """
    sources: dict[str, str] = {}
    if not profile.default_traffic_policy:
        baseline = {}
    pool = rule if "connection_pool" in rule else baseline
    outliers = rule if "outlier_detection" in rule else baseline
    locality = rule if "locality" in rule else mesh
    detection = _outlier_detection(outliers, sources)
    return Policy(
        load_balancer=_load_balancer(rule, sources),
        locality=_block(Locality(), "locality", _tupled(locality), sources),
        outlier_detection=detection,
        outlier_detection_by_mesh=detection is not None and outliers is baseline,
        panic_threshold=_panic(outliers, profile, sources),
        circuit_breaker=_block(CircuitBreaker(), "circuit_breaker", pool, sources),
        connect_timeout=_connect_timeout(pool, mesh, sources),
        timeout=_timeout(route, sources),
        retry=_retry(route if "retry" in route else mesh, profile, sources),
        sources=sources,
    )


def _value(name: str, found: Layer, default: Any, sources: dict[str, str]) -> Any:
    setting = found.get(name)
    if setting is None or (name in ZERO_IS_UNSET and setting.value == 0):
        sources[name] = DEFAULT
        return default
    sources[name] = setting.source
    return setting.value


def _block(defaults: _T, prefix: str, found: Layer, sources: dict[str, str]) -> _T:
    names = [part.name for part in fields(defaults)]
    values = {name: _value(f"{prefix}.{name}", found, getattr(defaults, name), sources) for name in names}
    return replace(defaults, **values)


def _load_balancer(rule: Layer, sources: dict[str, str]) -> LoadBalancer:
    asked = _value("load_balancer", rule, "LEAST_REQUEST", sources)
    if asked in {"ROUND_ROBIN", "RANDOM"}:
        found: LoadBalancer = asked
        return found
    if asked not in {"LEAST_REQUEST", "LEAST_CONN"}:  # LEAST_CONN is the old name
        sources["load_balancer"] = DEFAULT
    return "LEAST_REQUEST"


def _tupled(found: Layer) -> Layer:
    """Return locality settings as the tuples of `Locality`."""
    shapes: dict[str, Callable[[Any], tuple[Any, ...]]] = {
        "locality.failover": lambda pairs: tuple((pair["from"], pair["to"]) for pair in pairs),
        "locality.failover_priority": tuple,
        "locality.distribute": lambda rules: tuple((rule["from"], tuple(rule["to"].items())) for rule in rules),
    }
    return {
        name: replace(setting, value=shapes[name](setting.value)) if name in shapes else setting
        for name, setting in found.items()
    }


def _outlier_detection(found: Layer, sources: dict[str, str]) -> OutlierDetection | None:
    if "outlier_detection" not in found:
        sources["outlier_detection"] = DEFAULT
        return None
    sources["outlier_detection"] = found["outlier_detection"].source
    detection = _block(OutlierDetection(), "outlier_detection", found, sources)
    return replace(detection, max_ejection_time=max(detection.max_ejection_time, detection.base_ejection_time))


def _panic(found: Layer, profile: Profile, sources: dict[str, str]) -> int:
    """Outlier detection always sets the threshold, to 0 unless asked otherwise (spec §0.10)."""
    if "outlier_detection" not in found:
        sources["panic_threshold"] = DEFAULT
        return profile.panic_without_outlier_detection
    threshold: int = _value("panic_threshold", found, 0, sources)
    return threshold


def _connect_timeout(pool: Layer, mesh: Layer, sources: dict[str, str]) -> float:
    timeout: float = _value("connect_timeout", pool if "connect_timeout" in pool else mesh, 10.0, sources)
    return timeout


def _timeout(route: Layer, sources: dict[str, str]) -> float | None:
    timeout: float | None = _value("timeout", route, None, sources)
    return timeout or None  # 0s switches it off


def _retry(found: Layer, profile: Profile, sources: dict[str, str]) -> Retry:
    """Return the retry policy; a block without attempts switches retries off (spec §3.3; retry.go)."""
    codes = (503,) if profile.retry_503 else ()
    default = Retry(status_codes=codes)
    sources.update({f"retry.{part.name}": DEFAULT for part in fields(Retry)})
    if "retry" not in found:
        return default
    block = found["retry"]
    attempts = found.get("retry.attempts", Setting("retry.attempts", 0, block.source))
    on = found.get("retry.on")
    conditions, codes = on.value if on and any(on.value) else (default.conditions, codes)
    base = _value("retry.base_interval", found, default.base_interval, sources)
    sources["retry.attempts"] = attempts.source
    sources["retry.conditions"] = sources["retry.status_codes"] = on.source if on else DEFAULT
    sources["retry.max_interval"] = sources["retry.base_interval"]
    return replace(
        default,
        attempts=attempts.value,
        conditions=conditions,
        status_codes=codes,
        per_try_timeout=_value("retry.per_try_timeout", found, None, sources),
        base_interval=base,
        max_interval=10 * base,  # Envoy: the longest back-off is ten times the base
        avoid_previous_hosts=_value("retry.avoid_previous_hosts", found, True, sources),
    )
