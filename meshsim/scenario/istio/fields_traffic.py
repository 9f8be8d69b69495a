"""Field tables of DestinationRule.

Names, types and enumerations: Istio's CRDs of 1.31 (istio/api, kubernetes/customresourcedefinitions.gen.yaml), which
still hold the old names of renamed fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from meshsim.scenario import own_balancers
from meshsim.scenario.istio.fields import (
    BOOL,
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    LABELS,
    NUMBER,
    PERCENT,
    PERCENTAGE,
    STRING,
    STRINGS,
    FieldType,
    Scalar,
    described,
    enum,
    list_of,
    map_of,
    table,
)

EXPORT_TO = STRINGS.unless(["*"])
SELECTOR = table({"matchLabels": LABELS})
WORKLOAD_SELECTOR = table({"labels": LABELS})
PORT_NUMBER = table({"number": COUNT})

# --- DestinationRule ------------------------------------------------------------------------------------------


def _other_region(pair: Mapping[str, Any]) -> str:
    source, target = pair.get("from", ""), pair.get("to", "")
    if any(mark in source + target for mark in "/*"):
        return "failover takes regions only, without zone or '*'"
    return "from and to are the same region" if source == target else ""


def _sums_to_100(weights: Mapping[str, int]) -> str:
    if any(not 1 <= weight <= 100 for weight in weights.values()):
        return "every weight is from 1 to 100"
    total = sum(weights.values())
    return "" if total == 100 else f"the weights add up to {total}, not to 100"


def _one_way(setting: Mapping[str, Any]) -> str:
    both = setting.get("distribute") and setting.get("failover")
    return "distribute and failover cannot both be set" if both else ""


_FAILOVER = list_of(table({"from!": STRING, "to!": STRING}).checked(_other_region))
_DISTRIBUTE = list_of(table({"from!": STRING, "to!": map_of(COUNT).checked(_sums_to_100)}))

LOCALITY = (
    table(
        {
            "enabled": BOOL.to("locality.enabled"),
            "failover": _FAILOVER.to("locality.failover"),
            "failoverPriority": STRINGS.to("locality.failover_priority"),
            "distribute": _DISTRIBUTE.to("locality.distribute"),
        }
    )
    .to("locality")
    .checked(_one_way)
)

ZONE_AWARE = table(
    {
        "enabled": BOOL.to("zone_aware.enabled"),
        "failover": _FAILOVER.to("zone_aware.failover"),
        "failoverPriority": STRINGS.to("zone_aware.failover_priority"),
        "minClusterSize": COUNT.to("zone_aware.min_cluster_size"),
    }
).to("zone_aware")

TCP_KEEPALIVE = table({"probes": COUNT, "time": DURATION, "interval": DURATION})

CONNECTION_POOL = table(
    {
        "tcp": table(
            {
                "maxConnections": COUNT.to("circuit_breaker.max_connections"),
                "connectTimeout": DURATION.to("connect_timeout"),
                "tcpKeepalive": TCP_KEEPALIVE,
                "maxConnectionDuration": DURATION.to("connection_pool.max_connection_duration"),
                "idleTimeout": DURATION_OR_ZERO.to("connection_pool.tcp_idle_timeout"),
            }
        ),
        "http": table(
            {
                "http1MaxPendingRequests": COUNT.to("circuit_breaker.max_pending_requests"),
                "http2MaxRequests": COUNT.to("circuit_breaker.max_requests"),
                "maxRequestsPerConnection": COUNT.to("connection_pool.max_requests_per_connection"),
                "maxRetries": COUNT.to("circuit_breaker.max_retries"),
                "idleTimeout": DURATION_OR_ZERO.to("connection_pool.idle_timeout"),
                "h2UpgradePolicy": enum("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE").to("connection_pool.h2_upgrade"),
                "useClientProtocol": BOOL.kept("connection_pool.use_client_protocol").unless(False),
                "maxConcurrentStreams": COUNT.to("connection_pool.max_concurrent_streams"),
                "http2KeepAlive": table({"interval": DURATION, "timeout": DURATION}),
            }
        ),
    }
).to("connection_pool")

OUTLIER_DETECTION = table(
    {
        # istiod stopped reading it when it learnt to count 5xx and gateway errors apart.
        "consecutiveErrors": COUNT.unused(
            "is not read by Istio any more; write consecutive5xxErrors or consecutiveGatewayErrors"
        ),
        "consecutive5xxErrors": COUNT.to("outlier_detection.consecutive_5xx"),
        "consecutiveGatewayErrors": COUNT.to("outlier_detection.consecutive_gateway_errors"),
        "consecutiveLocalOriginFailures": COUNT.to("outlier_detection.consecutive_local_origin_failures"),
        "splitExternalLocalOriginErrors": BOOL.to("outlier_detection.split_external_local_origin_errors"),
        "interval": DURATION.to("outlier_detection.interval"),
        "baseEjectionTime": DURATION.to("outlier_detection.base_ejection_time"),
        "maxEjectionPercent": PERCENT.to("outlier_detection.max_ejection_percent"),
        "minHealthPercent": PERCENT.to("panic_threshold"),
        "outlierDetectionHttpErrorCodes": list_of(COUNT).unused("is not read by Istio 1.31"),
    }
).to("outlier_detection")

CLIENT_TLS = table(
    {
        "mode": enum("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
        "clientCertificate": STRING,
        "privateKey": STRING,
        "caCertificates": STRING,
        "caCrl": STRING,
        "credentialName": STRING,
        "subjectAltNames": STRINGS,
        "sni": STRING,
        "insecureSkipVerify": BOOL,
    }
)
#: Certificates and names decide who may talk, not how long it takes.
RULE_TLS = table(
    {
        **{name: kind.inert() for name, kind in CLIENT_TLS.fields.items()},
        "mode": CLIENT_TLS.fields["mode"].to("tls.mode"),
    }
).to("tls")


def one_of(*names: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a check that at most one of these fields is set, as the "oneof" of Istio's API demands.

    Examples
    --------
    >>> one_of("exact", "prefix")({"prefix": "/cart", "exact": "/"})
    'exact and prefix cannot both be set'
    """

    def check(setting: Mapping[str, Any]) -> str:
        found = [name for name in names if name in setting]
        return f"{found[0]} and {found[1]} cannot both be set" if len(found) > 1 else ""

    return check


def _hash_parts(setting: Mapping[str, Any]) -> str:
    keys = one_of("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
    return keys(setting) or one_of("minimumRingSize", "ringHash", "maglev")(setting)


#: Most entries of a ring that Envoy takes (ring_hash.proto).
_LARGEST_RING = 8_388_608


def _ring_size(value: object) -> int:
    size: int = COUNT.convert(value)
    if size > _LARGEST_RING:
        raise ValueError(f"{size} is above {_LARGEST_RING:,}, the largest ring that Envoy takes")
    return size


def _table_size(value: object) -> int:
    """Refuse what istiod refuses: the permutations of a table that is no prime do not reach all of its entries."""
    size: int = COUNT.convert(value)
    if not 1 < size < 5_000_011 or any(size % factor == 0 for factor in range(2, math.isqrt(size) + 1)):
        raise ValueError(f"{size} is not a prime below 5,000,011, which Istio demands")
    return size


def _aggression(value: object) -> float:
    number: float = NUMBER.convert(value)
    if number < 1.0:
        raise ValueError(f"{described(value)} is below 1, the least that Istio takes")
    return number


_RING_SIZE = Scalar("a whole number from 0", _ring_size)
_TABLE_SIZE = Scalar("a prime below 5,000,011", _table_size)
_AGGRESSION = Scalar("a number from 1", _aggression)


_CONSISTENT_HASH = (
    table(
        {
            "httpHeaderName": STRING.inert(),
            "httpCookie": table(
                {
                    "name!": STRING.inert(),
                    "path": STRING.inert(),
                    "ttl": DURATION_OR_ZERO.inert(),
                    "attributes": list_of(table({"name!": STRING, "value": STRING})).inert(),
                }
            ),
            "useSourceIp": BOOL.inert(),
            "httpQueryParameterName": STRING.inert(),
            "ringHash": table({"minimumRingSize": _RING_SIZE.inert()}),
            "maglev": table({"tableSize": _TABLE_SIZE.inert()}),
            "minimumRingSize": _RING_SIZE.inert(),
        }
    )
    .to("hash")
    .checked(_hash_parts)
)


def _balancer(value: object) -> object:
    """Return the name of one of Istio's simple balancers, or of one of the user's own."""
    if own_balancers.find(value) is not None:
        return value
    return enum(*own_balancers.SIMPLE, *own_balancers.registered()).convert(value)


_BALANCER = replace(enum(*own_balancers.SIMPLE), convert=_balancer)

LOAD_BALANCER = table(
    {
        "simple": _BALANCER.to("load_balancer"),
        "consistentHash": _CONSISTENT_HASH,
        "localityLbSetting": LOCALITY,
        "zoneAwareLbSetting": ZONE_AWARE,
        "warmupDurationSecs": DURATION.to("warmup_duration"),
        "warmup": table(
            {"duration!": DURATION.inert(), "minimumPercent": PERCENTAGE.inert(), "aggression": _AGGRESSION.inert()}
        ).to("warmup"),
    }
).checked(one_of("simple", "consistentHash"))

_PORT_POLICY: dict[str, FieldType] = {
    "loadBalancer": LOAD_BALANCER,
    "connectionPool": CONNECTION_POOL,
    "outlierDetection": OUTLIER_DETECTION,
    "tls": RULE_TLS,
}

TRAFFIC_POLICY = table(
    {
        **_PORT_POLICY,
        "portLevelSettings": list_of(table({"port": PORT_NUMBER.inert(), **_PORT_POLICY})),
        "tunnel": table({"protocol": STRING, "targetHost!": STRING, "targetPort!": COUNT}),
        "proxyProtocol": table({"version": enum("V1", "V2")}),
        "retryBudget": table(
            {
                "percent": PERCENTAGE.to("retry_budget.percent"),
                "minRetryConcurrency": COUNT.to("retry_budget.min_retry_concurrency"),
                "budgetInterval": DURATION_OR_ZERO.kept("retry_budget.interval").unless(0.0),
            }
        ).to("retry_budget"),
    }
)

DESTINATION_RULE = table(
    {
        "host!": STRING.inert(),
        "trafficPolicy": TRAFFIC_POLICY,
        "subsets": list_of(table({"name!": STRING.inert(), "labels": LABELS.inert(), "trafficPolicy": TRAFFIC_POLICY})),
        "exportTo": STRINGS.inert(),
        "workloadSelector": table({"matchLabels": LABELS.inert()}),
    }
)
