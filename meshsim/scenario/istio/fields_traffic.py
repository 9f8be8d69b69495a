"""Field tables of DestinationRule and VirtualService.

Names, types and enumerations: Istio's CRDs of 1.31 (istio/api, kubernetes/customresourcedefinitions.gen.yaml), which
still hold the old names of renamed fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from meshsim.errors import did_you_mean
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
    enum,
    list_of,
    map_of,
    table,
)

#: Everything that Istio's validation takes in retryOn besides HTTP status codes (route.v3 RetryPolicy.retry_on).
RETRY_CONDITIONS = (
    "5xx",
    "cancelled",
    "connect-failure",
    "deadline-exceeded",
    "envoy-ratelimited",
    "gateway-error",
    "http3-post-connect-failure",
    "internal",
    "refused-stream",
    "reset",
    "reset-before-request",
    "resource-exhausted",
    "retriable-4xx",
    "retriable-headers",
    "retriable-status-codes",
    "unavailable",
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
            "failoverPriority": STRINGS.kept("locality.failover_priority"),
            "distribute": _DISTRIBUTE.kept("locality.distribute"),
        }
    )
    .to("locality")
    .checked(_one_way)
)

ZONE_AWARE = table({"enabled": BOOL, "failover": _FAILOVER, "failoverPriority": STRINGS, "minClusterSize": COUNT})

TCP_KEEPALIVE = table({"probes": COUNT, "time": DURATION, "interval": DURATION})

CONNECTION_POOL = table(
    {
        "tcp": table(
            {
                "maxConnections": COUNT.to("circuit_breaker.max_connections"),
                "connectTimeout": DURATION.to("connect_timeout"),
                "tcpKeepalive": TCP_KEEPALIVE,
                "maxConnectionDuration": DURATION,
                "idleTimeout": DURATION_OR_ZERO,
            }
        ),
        "http": table(
            {
                "http1MaxPendingRequests": COUNT.to("circuit_breaker.max_pending_requests"),
                "http2MaxRequests": COUNT.to("circuit_breaker.max_requests"),
                "maxRequestsPerConnection": COUNT,
                "maxRetries": COUNT.to("circuit_breaker.max_retries"),
                "idleTimeout": DURATION_OR_ZERO,
                "h2UpgradePolicy": enum("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE").unless("DEFAULT"),
                "useClientProtocol": BOOL.unless(False),
                "maxConcurrentStreams": COUNT,
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
).unless({"mode": "ISTIO_MUTUAL"})  # what automatic mutual TLS does anyway

_CONSISTENT_HASH = table(
    {
        "httpHeaderName": STRING,
        "httpCookie": table(
            {
                "name!": STRING,
                "path": STRING,
                "ttl": DURATION_OR_ZERO,
                "attributes": list_of(table({"name!": STRING, "value": STRING})),
            }
        ),
        "useSourceIp": BOOL,
        "httpQueryParameterName": STRING,
        "ringHash": table({"minimumRingSize": COUNT}),
        "maglev": table({"tableSize": COUNT}),
        "minimumRingSize": COUNT,
    }
)

LOAD_BALANCER = table(
    {
        "simple": enum("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST").to(
            "load_balancer"
        ),
        "consistentHash": _CONSISTENT_HASH,
        "localityLbSetting": LOCALITY,
        "zoneAwareLbSetting": ZONE_AWARE,
        "warmupDurationSecs": DURATION,
        "warmup": table({"duration!": DURATION, "minimumPercent": PERCENTAGE, "aggression": NUMBER}),
    }
)

_PORT_POLICY: dict[str, FieldType] = {
    "loadBalancer": LOAD_BALANCER,
    "connectionPool": CONNECTION_POOL,
    "outlierDetection": OUTLIER_DETECTION,
    "tls": CLIENT_TLS,
}

TRAFFIC_POLICY = table(
    {
        **_PORT_POLICY,
        "portLevelSettings": list_of(table({"port": PORT_NUMBER.inert(), **_PORT_POLICY})),
        "tunnel": table({"protocol": STRING, "targetHost!": STRING, "targetPort!": COUNT}),
        "proxyProtocol": table({"version": enum("V1", "V2")}),
        "retryBudget": table({"percent": PERCENTAGE, "minRetryConcurrency": COUNT, "budgetInterval": DURATION_OR_ZERO}),
    }
)

DESTINATION_RULE = table(
    {
        "host!": STRING.inert(),
        "trafficPolicy": TRAFFIC_POLICY,
        "subsets": list_of(table({"name!": STRING, "labels": LABELS, "trafficPolicy": TRAFFIC_POLICY})).unused(),
        "exportTo": EXPORT_TO,
        "workloadSelector": SELECTOR,
    }
)

# --- VirtualService -------------------------------------------------------------------------------------------


def _retry_on(value: object) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return (conditions, status codes); integers are codes, and codes imply ``retriable-status-codes`` (spec §3.3)."""
    conditions: list[str] = []
    codes: list[int] = []
    for part in (part.strip() for part in STRING.convert(value).split(",")):
        if part.isdecimal() and int(part) in _HTTP_CODES:
            codes.append(int(part))
        elif part in RETRY_CONDITIONS:
            conditions.append(part)
        elif part:
            hint = did_you_mean(part, RETRY_CONDITIONS, limit=20)
            raise ValueError(f"'{part}' is neither a retry condition nor an HTTP code{hint}")
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    return tuple(conditions), tuple(codes)


_HTTP_CODES = frozenset(int(code) for code in HTTPStatus)
RETRY_ON = Scalar("retry conditions and HTTP codes, separated by commas", _retry_on)

_RETRIES = table(
    {
        "attempts": COUNT.to("retry.attempts"),
        "perTryTimeout": DURATION.to("retry.per_try_timeout"),
        "retryOn": RETRY_ON.to("retry.on"),
        "retryRemoteLocalities": BOOL.unless(False),
        "retryIgnorePreviousHosts": BOOL.to("retry.avoid_previous_hosts"),
        "backoff": DURATION.to("retry.base_interval"),
    }
).to("retry")


def _off_but_set(retries: Mapping[str, Any]) -> str:
    """Refuse what istiod refuses: settings of a retry policy that has no attempts."""
    others = [name for name in ("perTryTimeout", "retryOn", "retryRemoteLocalities") if retries.get(name)]
    if retries.get("attempts") or not others:
        return ""
    return f"{others[0]} without attempts; attempts 0 or left away switches retries off, and Istio refuses the rest"


RETRIES = _RETRIES.checked(_off_but_set)
#: MeshConfig.defaultHttpRetryPolicy (spec §3.3).
MESH_RETRIES = table(
    {**_RETRIES.fields, "perTryTimeout": DURATION.unused("is not read here by Istio; set it in a VirtualService")}
).to("retry")

STRING_MATCH = table({"exact": STRING, "prefix": STRING, "regex": STRING})

HTTP_MATCH = table(
    {
        "name": STRING,
        "uri": STRING_MATCH,
        "scheme": STRING_MATCH,
        "method": STRING_MATCH,
        "authority": STRING_MATCH,
        "headers": map_of(STRING_MATCH),
        "port": COUNT,
        "sourceLabels": LABELS,
        "gateways": STRINGS,
        "queryParams": map_of(STRING_MATCH),
        "ignoreUriCase": BOOL,
        "withoutHeaders": map_of(STRING_MATCH),
        "sourceNamespace": STRING,
        "statPrefix": STRING,
    }
)

_L4_MATCH: dict[str, FieldType] = {
    "destinationSubnets": STRINGS,
    "port": COUNT,
    "sourceLabels": LABELS,
    "gateways": STRINGS,
    "sourceNamespace": STRING,
}

DESTINATION = table({"host!": STRING.inert(), "subset": STRING, "port": PORT_NUMBER.inert()})
_HEADER_OPERATIONS = table({"set": LABELS, "add": LABELS, "remove": STRINGS})
_HEADERS = table({"request": _HEADER_OPERATIONS, "response": _HEADER_OPERATIONS})
_PERCENT_VALUE = table({"value": PERCENTAGE})
_L4_ROUTE = list_of(table({"destination!": DESTINATION, "weight": COUNT}))

_FAULT = table(
    {
        "delay": table(
            {"fixedDelay": DURATION, "exponentialDelay": DURATION, "percent": PERCENT, "percentage": _PERCENT_VALUE}
        ),
        "abort": table({"httpStatus": COUNT, "grpcStatus": STRING, "http2Error": STRING, "percentage": _PERCENT_VALUE}),
    }
)

_CORS = table(
    {
        "allowOrigin": STRINGS,
        "allowOrigins": list_of(STRING_MATCH),
        "allowMethods": STRINGS,
        "allowHeaders": STRINGS,
        "exposeHeaders": STRINGS,
        "maxAge": DURATION_OR_ZERO,
        "allowCredentials": BOOL,
        "unmatchedPreflights": enum("UNSPECIFIED", "FORWARD", "IGNORE"),
    }
)

_REDIRECT = table(
    {
        "uri": STRING,
        "authority": STRING,
        "port": COUNT,
        "derivePort": enum("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"),
        "scheme": STRING,
        "redirectCode": COUNT,
        "prefixRewrite": STRING,
    }
)

_REWRITE = table({"uri": STRING, "authority": STRING, "uriRegexRewrite": table({"match": STRING, "rewrite": STRING})})

HTTP_ROUTE = table(
    {
        "name": STRING.inert(),
        "match": list_of(HTTP_MATCH).inert(),
        "route": list_of(table({"destination!": DESTINATION, "weight": COUNT.inert(), "headers": _HEADERS})),
        "redirect": _REDIRECT,
        "directResponse": table({"status!": COUNT, "body": table({"string": STRING, "bytes": STRING})}),
        "delegate": table({"name": STRING, "namespace": STRING}),
        "rewrite": _REWRITE,
        "timeout": DURATION_OR_ZERO.to("timeout"),
        "retries": RETRIES,
        "fault": _FAULT,
        "mirror": DESTINATION.unused(),
        "mirror_percent": PERCENT,
        "mirrorPercent": PERCENT,
        "mirrorPercentage": _PERCENT_VALUE,
        "mirrors": list_of(table({"destination!": DESTINATION, "percentage": _PERCENT_VALUE})).unused(),
        "corsPolicy": _CORS,
        "headers": _HEADERS,
    }
)

VIRTUAL_SERVICE = table(
    {
        "hosts": STRINGS.inert(),
        "gateways": STRINGS.inert(),
        "http": list_of(HTTP_ROUTE),
        "tls": list_of(
            table({"match!": list_of(table({"sniHosts!": STRINGS, **_L4_MATCH})), "route": _L4_ROUTE})
        ).unused(),
        "tcp": list_of(
            table({"match": list_of(table({**_L4_MATCH, "sourceSubnet": STRING})), "route": _L4_ROUTE})
        ).unused(),
        "exportTo": EXPORT_TO,
    }
)


def matches_everything(matches: Sequence[Mapping[str, Any]] | None) -> bool:
    """Tell whether an HTTP rule with these ``match`` entries takes every request.

    Examples
    --------
    >>> matches_everything([{"uri": {"prefix": "/"}}]), matches_everything([{"uri": {"prefix": "/api"}}])
    (True, False)
    """
    return not matches or any(_takes_all(match) for match in matches)


def _takes_all(match: Mapping[str, Any]) -> bool:
    labels = {"name", "statPrefix", "ignoreUriCase"}
    conditions = {name: value for name, value in match.items() if name not in labels and value}
    return not conditions or conditions in ({"uri": {"prefix": "/"}}, {"uri": {"regex": ".*"}}, {"uri": {"regex": "*"}})
