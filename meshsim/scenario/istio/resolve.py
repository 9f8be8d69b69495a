"""From settings of resources to one policy with Istio's defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from meshsim.scenario.istio.balancing import TRAFFIC_DISTRIBUTION
from meshsim.scenario.istio.policy import (
    CircuitBreaker,
    ConnectionPool,
    HashPolicy,
    LoadBalancer,
    Locality,
    OutlierDetection,
    Policy,
    RetryBudget,
    TlsMode,
    Warmup,
    ZoneAware,
)
from meshsim.scenario.istio.versions import Profile

if TYPE_CHECKING:
    from meshsim.scenario.istio.workloads import ExternalService

DEFAULT = "Istio default"

#: Settings in which Istio cannot tell 0 from nothing (spec §3.1, §3.2).
ZERO_IS_UNSET = frozenset(
    {f"circuit_breaker.{limit.name}" for limit in fields(CircuitBreaker)}
    | {"outlier_detection.max_ejection_percent", "outlier_detection.consecutive_local_origin_failures"}
    | {"connection_pool.max_concurrent_streams"}
)

_T = TypeVar("_T", CircuitBreaker, ConnectionPool, Locality, OutlierDetection, RetryBudget, ZoneAware)


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


def resolve(
    rule: Layer,
    mesh: Layer,
    baseline: Layer,
    profile: Profile,
    *,
    traffic_distribution: str = "",
    cluster_local: bool = False,
    entry: ExternalService | None = None,
) -> Policy:
    """Return the policy for a service.

    Parameters
    ----------
    rule
        What its DestinationRule sets.
    mesh
        What MeshConfig sets.
    baseline
        What ``MeshConfig.defaultTrafficPolicy`` sets; its blocks count where the DestinationRule has none (spec §1).
    profile
        The Istio version.
    traffic_distribution
        ``trafficDistribution`` of the Service, or nothing.
    cluster_local
        Whether MeshConfig makes the service cluster-local.
    entry
        Its ServiceEntry, if it has one: nothing outside the mesh takes Istio's mutual TLS by itself, and without
        resolution the client's own choice of address counts (cluster_tls.go, cluster.go).
    """
    sources: dict[str, str] = {}
    if not profile.default_traffic_policy:
        baseline = {}
    pool = rule if "connection_pool" in rule else baseline
    outliers = rule if "outlier_detection" in rule else baseline
    detection = _outlier_detection(outliers, sources)
    unready = profile.unready_endpoints or bool(traffic_distribution)
    balancer = _load_balancer(rule, entry, sources)
    mode = _tls_mode(rule, mesh, entry, sources)
    sources["unready_endpoints"] = "Service trafficDistribution" if traffic_distribution else DEFAULT
    sources["cluster_local"] = mesh["service_settings"].source if "service_settings" in mesh else DEFAULT
    return Policy(
        load_balancer=balancer,
        hash=_hash(rule, sources),
        warmup=_warmup(rule, balancer, sources),
        locality=_locality(rule, mesh, traffic_distribution, sources),
        zone_aware=_zone_aware(rule, mesh, traffic_distribution, profile, sources),
        outlier_detection=detection,
        outlier_detection_by_mesh=detection is not None and outliers is baseline,
        panic_threshold=_panic(outliers, 0 if unready else profile.panic_without_outlier_detection, sources),
        circuit_breaker=_block(CircuitBreaker(), "circuit_breaker", pool, sources),
        connection_pool=_connection_pool(pool, mesh, profile, sources),
        retry_budget=_retry_budget(rule, profile, sources),
        tls=mode != "DISABLE",
        tls_mode=mode,
        connect_timeout=_connect_timeout(pool, mesh, sources),
        unready_endpoints=unready,
        cluster_local=cluster_local,
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


def _load_balancer(rule: Layer, entry: ExternalService | None, sources: dict[str, str]) -> LoadBalancer:
    if entry is not None and entry.resolution == "NONE":
        sources["load_balancer"] = entry.source
        return "PASSTHROUGH"
    if "hash" in rule:
        sources["load_balancer"] = rule["hash"].source
        return "MAGLEV" if "maglev" in rule["hash"].value else "RING_HASH"
    asked = _value("load_balancer", rule, "LEAST_REQUEST", sources)
    if asked == "UNSPECIFIED":
        sources["load_balancer"] = DEFAULT
    found: LoadBalancer = asked
    return "LEAST_REQUEST" if asked in {"UNSPECIFIED", "LEAST_CONN"} else found  # LEAST_CONN is the old name


def _hash(rule: Layer, sources: dict[str, str]) -> HashPolicy | None:
    """Return what is hashed; a ring size of 0 is no size (loadbalancer.go)."""
    setting = rule.get("hash")
    sources["hash"] = setting.source if setting else DEFAULT
    if setting is None:
        return None
    value = setting.value
    sizes = value.get("ringHash", {}).get("minimumRingSize") or value.get("minimumRingSize")
    table = value.get("maglev", {}).get("tableSize")
    default = HashPolicy("none", "", sizes or 1024, table or 65537)
    if name := value.get("httpHeaderName"):
        return replace(default, kind="header", name=name)
    if cookie := value.get("httpCookie"):
        return replace(default, kind="cookie", name=cookie["name"], ttl=cookie.get("ttl"))
    if value.get("useSourceIp"):
        return replace(default, kind="source_ip")
    if name := value.get("httpQueryParameterName"):
        return replace(default, kind="query", name=name)
    return default


def _warmup(rule: Layer, balancer: str, sources: dict[str, str]) -> Warmup | None:
    """Return slow start, which hashing and RANDOM do not have; the old field counts where the new one is missing."""
    setting = rule.get("warmup") or rule.get("warmup_duration")
    if setting is None or balancer not in {"LEAST_REQUEST", "ROUND_ROBIN"}:
        sources["warmup"] = DEFAULT
        return None
    sources["warmup"] = setting.source
    if setting.name == "warmup_duration":
        return Warmup(setting.value)
    value = setting.value
    return Warmup(value["duration"], value.get("minimumPercent", 10.0), value.get("aggression", 1.0))


def _locality(rule: Layer, mesh: Layer, distribution: str, sources: dict[str, str]) -> Locality:
    """Return the first of the DestinationRule's, the Service's and the mesh's setting, as a whole (spec §2.9 (d))."""
    if "locality" not in rule and distribution:
        sources.update({f"locality.{part.name}": "Service trafficDistribution" for part in fields(Locality)})
        return Locality(failover_priority=TRAFFIC_DISTRIBUTION[distribution], forced=True)
    found = rule if "locality" in rule else mesh
    return _block(Locality(), "locality", _tupled(found), sources)


def _zone_aware(
    rule: Layer, mesh: Layer, distribution: str, profile: Profile, sources: dict[str, str]
) -> ZoneAware | None:
    """Return zone-aware routing where it wins: before all others in a DestinationRule, after them in the mesh."""
    found = rule if "zone_aware" in rule or "locality" in rule or distribution else mesh
    enabled = found.get("zone_aware.enabled")
    if not profile.default_traffic_policy or "zone_aware" not in found or enabled is None or not enabled.value:
        sources["zone_aware"] = DEFAULT
        return None
    sources["zone_aware"] = found["zone_aware"].source
    knows = mesh.get("self_discovery")
    zones = _block(ZoneAware(), "zone_aware", _tupled(found), sources)
    sources["zone_aware.self_discovery"] = knows.source if knows else DEFAULT
    return replace(zones, self_discovery=knows is not None and knows.value == "true")


def _connection_pool(pool: Layer, mesh: Layer, profile: Profile, sources: dict[str, str]) -> ConnectionPool:
    """Return life and load of connections; HTTP/2 by default is the mesh's word where the rule leaves it to it.

    The idle time of TCP connections is that of HTTP, too, where no other is given (cluster_traffic_policy.go).
    """
    idle, tcp_idle = "connection_pool.idle_timeout", "connection_pool.tcp_idle_timeout"
    if idle not in pool and tcp_idle in pool:
        pool = {**pool, idle: pool[tcp_idle]}
    name = "connection_pool.h2_upgrade"
    asked, wide = pool.get(name), mesh.get("h2_upgrade")
    if asked is None or asked.value == "DEFAULT":
        asked = wide
    defaults = ConnectionPool(max_concurrent_streams=profile.http2_streams)
    found = _block(defaults, "connection_pool", pool, sources)
    sources[name] = asked.source if asked else DEFAULT
    return replace(found, h2_upgrade=asked is not None and asked.value == "UPGRADE")


def _retry_budget(rule: Layer, profile: Profile, sources: dict[str, str]) -> RetryBudget | None:
    if "retry_budget" not in rule or not profile.retry_budget:
        sources["retry_budget"] = DEFAULT
        return None
    sources["retry_budget"] = rule["retry_budget"].source
    budget = _block(RetryBudget(), "retry_budget", rule, sources)
    return budget if profile.default_traffic_policy else replace(budget, interval=0.0)


def _tls_mode(rule: Layer, mesh: Layer, entry: ExternalService | None, sources: dict[str, str]) -> TlsMode:
    """Return the mode; without a rule automatic mutual TLS decides, and a block without a mode means plain text."""
    auto = mesh.get("auto_mtls")
    source = auto.source if auto else DEFAULT
    mode: TlsMode = "AUTO" if auto is None or auto.value else "DISABLE"
    if entry is not None and entry.external:
        source, mode = entry.source, "DISABLE"
    if "tls" in rule:
        asked = rule.get("tls.mode")
        source = (asked or rule["tls"]).source
        mode = asked.value if asked else "DISABLE"
    sources["tls"] = sources["tls_mode"] = source
    return mode


def _tupled(found: Layer) -> Layer:
    """Return locality settings as the tuples of `Locality` and `ZoneAware`."""

    def pairs(value: Any) -> tuple[Any, ...]:
        return tuple((pair["from"], pair["to"]) for pair in value)

    shapes: dict[str, Callable[[Any], tuple[Any, ...]]] = {
        "locality.failover": pairs,
        "zone_aware.failover": pairs,
        "locality.failover_priority": tuple,
        "zone_aware.failover_priority": tuple,
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


def _panic(found: Layer, otherwise: int, sources: dict[str, str]) -> int:
    """Outlier detection always sets the threshold, to 0 unless asked otherwise (spec §0.10).

    Without it istiod sets 0 wherever it sends pods that are not ready; elsewhere Envoy's own default stays.
    """
    if "outlier_detection" not in found:
        sources["panic_threshold"] = DEFAULT
        return otherwise
    threshold: int = _value("panic_threshold", found, 0, sources)
    return threshold


def _connect_timeout(pool: Layer, mesh: Layer, sources: dict[str, str]) -> float:
    timeout: float = _value("connect_timeout", pool if "connect_timeout" in pool else mesh, 10.0, sources)
    return timeout
