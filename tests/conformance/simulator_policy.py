"""From raw Envoy configuration to the simulator's policy and route, with Envoy's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshsim.dataplane import health_checking
from meshsim.scenario.istio.balancing import HashPolicy, Warmup
from meshsim.scenario.istio.connections import MAX_STREAMS, ConnectionPool, RetryBudget
from meshsim.scenario.istio.policy import CircuitBreaker, OutlierDetection, Policy, Retry
from meshsim.scenario.istio.routes import Destination, Fault, Route
from tests.conformance.cases import Point, seconds

Config = Mapping[str, Any]

#: What percentages are numerators of.
DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
#: Envoy's limit on connections, pending requests and requests of an upstream, and on its retries at once.
LIMIT, RETRIES = 1024, 3
#: Seconds a route may take by default.
ROUTE_TIMEOUT = 15.0
PREVIOUS_HOSTS = "previous_hosts"
#: Envoy's default interval of outlier detection, ejection time and longest ejection, seconds.
INTERVAL, EJECTION, LONGEST = 10.0, 30.0, 300.0


def client_policy(point: Point) -> Policy:
    """Return what the client proxy applies to the upstream."""
    raw = point.policy
    cluster = raw.get("cluster") or {}
    common = cluster.get("common_lb_config") or {}
    thresholds = ((cluster.get("circuit_breakers") or {}).get("thresholds") or [{}])[0]
    return Policy(
        load_balancer=raw.get("lb_policy", "ROUND_ROBIN"),
        hash=_hash(raw, cluster),
        warmup=_warmup(raw, cluster),
        outlier_detection=_detection(cluster.get("outlier_detection")),
        panic_threshold=int((common.get("healthy_panic_threshold") or {}).get("value", 50)),
        circuit_breaker=_breaker(thresholds),
        retry_budget=_budget(thresholds.get("retry_budget")),
        connection_pool=_pool(raw.get("http2"), http1=not raw.get("http2")),
        tls=False,
        connect_timeout=seconds(raw.get("connect_timeout", "1s")),
    )


def gateway_policy(point: Point) -> Policy:
    """Return what the gateway applies to the hosts behind it."""
    gateway = point.gateway
    http2 = gateway.get("http2") if gateway.get("mode") == "http" else None
    return Policy(
        load_balancer=gateway.get("lb_policy", "ROUND_ROBIN"),
        panic_threshold=50,
        circuit_breaker=_breaker({}),
        connection_pool=_pool(http2, http1=not http2),
        tls=False,
        connect_timeout=seconds(gateway.get("connect_timeout", "1s")),
    )


def client_route(point: Point, service: str) -> Route:
    """Return what the client proxy does with a request."""
    raw = point.policy.get("route") or {}
    timeout = seconds(raw.get("timeout", ROUTE_TIMEOUT))
    return Route(
        ((Destination(service), 100),),
        timeout=timeout or None,
        retry=_retry(raw.get("retry_policy")),
        fault=_fault(point.policy.get("fault") or {}),
    )


def plain_route(service: str) -> Route:
    """Return the route of a gateway that terminates HTTP: no timeout, no retries."""
    return Route(((Destination(service), 100),), timeout=None, retry=Retry(attempts=0))


def refine(row: Any, point: Point) -> None:
    """Write into the lowered policy of the client what Envoy can be told and Istio cannot."""
    raw = point.policy
    cluster = raw.get("cluster") or {}
    common = cluster.get("common_lb_config") or {}
    zones = common.get("zone_aware_lb_config") or {}
    least = cluster.get("least_request_lb_config") or {}
    row.overprovisioning = int(raw.get("overprovisioning_factor", 140))
    row.merge_window = seconds(common.get("update_merge_window", "1s"))
    row.locality_weighted = int("locality_weighted_lb_config" in common)
    row.fails_on_panic = int(bool(zones.get("fail_traffic_on_panic")))
    row.choices = int(least.get("choice_count", 2))
    if row.bias > 0.0:
        row.bias = float((least.get("active_request_bias") or {}).get("default_value", 1.0))
    row.connect_attempts = int((point.gateway.get("tcp") or {}).get("max_connect_attempts", 1))
    row.http1 = int(not raw.get("http2"))
    _refine_detection(row, cluster.get("outlier_detection"))
    for check in (cluster.get("health_checks") or [])[:1]:
        health_checking.lower(
            row,
            interval=seconds(check["interval"]),
            timeout=seconds(check["timeout"]),
            unhealthy=int(check["unhealthy_threshold"]),
            healthy=int(check["healthy_threshold"]),
        )


def _refine_detection(row: Any, raw: Config | None) -> None:
    """Write the detectors that Istio switches off; those that are not enforced detect nothing here."""
    if raw is None:
        return
    row.always_ejects_one = int(bool(raw.get("always_eject_one_host")))
    row.jitter = seconds(raw.get("max_ejection_time_jitter", 0))
    row.success_rate = int(raw.get("enforcing_success_rate", 100))
    row.success_hosts = int(raw.get("success_rate_minimum_hosts", 5))
    row.success_volume = int(raw.get("success_rate_request_volume", 100))
    row.success_deviations = raw.get("success_rate_stdev_factor", 1900) / 1000.0
    row.failure_percent = int(raw.get("enforcing_failure_percentage", 0))
    row.failure_threshold = int(raw.get("failure_percentage_threshold", 85))
    row.failure_hosts = int(raw.get("failure_percentage_minimum_hosts", 5))
    row.failure_volume = int(raw.get("failure_percentage_request_volume", 50))


def _detection(raw: Config | None) -> OutlierDetection | None:
    if raw is None:
        return None
    base = seconds(raw.get("base_ejection_time", EJECTION))
    return OutlierDetection(
        consecutive_5xx=_enforced(raw, "consecutive_5xx", 5, 100),
        consecutive_gateway_errors=_enforced(raw, "consecutive_gateway_failure", 5, 0),
        consecutive_local_origin_failures=_enforced(raw, "consecutive_local_origin_failure", 5, 100),
        interval=seconds(raw.get("interval", INTERVAL)),
        base_ejection_time=base,
        max_ejection_percent=int(raw.get("max_ejection_percent", 10)),
        max_ejection_time=seconds(raw.get("max_ejection_time", max(LONGEST, base))),
        split_external_local_origin_errors=bool(raw.get("split_external_local_origin_errors")),
    )


def _enforced(raw: Config, name: str, count: int, percent: int) -> int:
    """Return how many errors in a row a detector needs; 0 where it is off or only looks on."""
    return int(raw.get(name, count)) if raw.get(f"enforcing_{name}", percent) > 0 else 0


def _hash(raw: Config, cluster: Config) -> HashPolicy | None:
    if raw.get("lb_policy") not in {"RING_HASH", "MAGLEV"}:
        return None
    (told,) = (raw.get("route") or {}).get("hash_policy") or [{}]
    if "header" in told:
        kind, name = "header", told["header"]["header_name"]
    elif "cookie" in told:
        kind, name = "cookie", told["cookie"]["name"]
    elif "query_parameter" in told:
        kind, name = "query", told["query_parameter"]["name"]
    else:
        kind, name = ("source_ip" if "connection_properties" in told else "none"), ""
    return HashPolicy(
        kind,  # type: ignore[arg-type]
        name,
        minimum_ring_size=int((cluster.get("ring_hash_lb_config") or {}).get("minimum_ring_size", 1024)),
        table_size=int((cluster.get("maglev_lb_config") or {}).get("table_size", 65537)),
    )


def _warmup(raw: Config, cluster: Config) -> Warmup | None:
    block = {"ROUND_ROBIN": "round_robin_lb_config", "LEAST_REQUEST": "least_request_lb_config"}
    told = cluster.get(block.get(raw.get("lb_policy", "ROUND_ROBIN"), "")) or {}
    slow = told.get("slow_start_config")
    if slow is None:
        return None
    return Warmup(
        seconds(slow["slow_start_window"]),
        minimum_percent=float((slow.get("min_weight_percent") or {}).get("value", 10.0)),
        aggression=float((slow.get("aggression") or {}).get("default_value", 1.0)),
    )


def _breaker(raw: Config) -> CircuitBreaker:
    return CircuitBreaker(
        max_connections=int(raw.get("max_connections", LIMIT)),
        max_pending_requests=int(raw.get("max_pending_requests", LIMIT)),
        max_requests=int(raw.get("max_requests", LIMIT)),
        max_retries=int(raw.get("max_retries", RETRIES)),
    )


def _budget(raw: Config | None) -> RetryBudget | None:
    if raw is None:
        return None
    percent = float((raw.get("budget_percent") or {}).get("value", 20.0))
    return RetryBudget(percent, int(raw.get("min_retry_concurrency", 3)))


def _pool(http2: Any, *, http1: bool) -> ConnectionPool:
    options = http2 if isinstance(http2, Mapping) else {}
    return ConnectionPool(
        max_concurrent_streams=int(options.get("max_concurrent_streams", MAX_STREAMS)), h2_upgrade=not http1
    )


def _retry(raw: Config | None) -> Retry:
    if raw is None:
        return Retry(attempts=0)
    pause = raw.get("retry_back_off") or {}
    base = seconds(pause.get("base_interval", 0.025))
    predicates = [each["name"] for each in raw.get("retry_host_predicate") or []]
    limit = raw.get("per_try_timeout")
    return Retry(
        attempts=int(raw.get("num_retries", 1)),
        conditions=tuple(part.strip() for part in raw.get("retry_on", "").split(",")),
        status_codes=tuple(raw.get("retriable_status_codes") or ()),
        per_try_timeout=None if limit is None else seconds(limit),
        base_interval=base,
        max_interval=seconds(pause.get("max_interval", 10 * base)),
        avoid_previous_hosts=any(name.endswith(PREVIOUS_HOSTS) for name in predicates),
        host_attempts=int(raw.get("host_selection_retry_max_attempts", 1)),
    )


def _fault(raw: Config) -> Fault:
    delay, abort = raw.get("delay") or {}, raw.get("abort") or {}
    return Fault(
        delay=seconds(delay.get("fixed_delay", 0)),
        delay_percent=_percent(delay.get("percentage")),
        abort_code=int(abort.get("http_status", 0)),
        abort_percent=_percent(abort.get("percentage")),
    )


def _percent(raw: Config | None) -> float:
    told = raw or {}
    return 100.0 * told.get("numerator", 0) / DENOMINATORS[told.get("denominator", "HUNDRED")]
