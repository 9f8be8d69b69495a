"""Field tables of VirtualService, and of the retry policy that MeshConfig has as well.

Names, types and enumerations: Istio's CRDs of 1.31 (istio/api, kubernetes/customresourcedefinitions.gen.yaml).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from meshsim.errors import did_you_mean
from meshsim.scenario.istio.fields import (
    BOOL,
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    LABELS,
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
from meshsim.scenario.istio.fields_traffic import PORT_NUMBER, one_of
from meshsim.scenario.istio.matching import pattern

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


def _separated(value: object) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Refuse what istiod's validation refuses: it splits at commas, and " reset" or nothing is no condition."""
    found = _retry_on(value)
    parts = str(value).split(",") if value else []
    meant = [part.strip() for part in parts if part.strip()]
    if parts != meant:
        what = "a blank" if len(parts) == len(meant) else "an empty part"
        hint = f"; did you mean '{','.join(meant)}'?" if meant else ""
        raise ValueError(f"{described(value)} has {what}, which Istio refuses{hint}")
    return found


_HTTP_CODES = frozenset(int(code) for code in HTTPStatus)
RETRY_ON = Scalar("retry conditions and HTTP codes, separated by commas", _separated)
#: Nobody validates the one in MeshConfig, and what reads it leaves blanks away (route/retry/retry.go, parseRetryOn).
_MESH_RETRY_ON = Scalar(RETRY_ON.name, _retry_on)

_RETRIES = table(
    {
        "attempts": COUNT.to("retry.attempts"),
        "perTryTimeout": DURATION.to("retry.per_try_timeout"),
        "retryOn": RETRY_ON.to("retry.on"),
        "retryRemoteLocalities": BOOL.to("retry.remote_localities"),
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
    {
        **_RETRIES.fields,
        "perTryTimeout": DURATION.unused("is not read here by Istio; set it in a VirtualService"),
        "retryOn": _MESH_RETRY_ON.to("retry.on"),
    }
).to("retry")


def _re2(value: object) -> str:
    """Refuse what istiod refuses; ``*`` alone is Istio's own way to ask for presence."""
    regex = STRING.convert(value)
    if regex != "*":
        pattern(regex)
    return str(regex)


def _status(value: object) -> int:
    code: int = COUNT.convert(value)
    if not 200 <= code <= 599:
        raise ValueError(f"{code} is not an HTTP status from 200 to 599")
    return code


def _redirect_code(value: object) -> int:
    code: int = COUNT.convert(value)
    if code not in {301, 302, 303, 307, 308}:
        raise ValueError(f"{code} is not a redirect that Envoy can give (301, 302, 303, 307 or 308)")
    return code


def _grpc_status(value: object) -> str:
    if value not in GRPC_CODES:
        raise ValueError(f"{described(value)} is not a gRPC status{did_you_mean(str(value).upper(), GRPC_CODES)}")
    return str(value)


#: gRPC statuses and the HTTP codes that stand for them.
GRPC_CODES = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}

REGEX = Scalar("a regular expression (RE2)", _re2)
HTTP_STATUS = Scalar("an HTTP status", _status)
STRING_MATCH = table({"exact": STRING, "prefix": STRING, "regex": REGEX}).checked(one_of("exact", "prefix", "regex"))

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
    "port": COUNT.inert(),
    "sourceLabels": LABELS.inert(),
    "gateways": STRINGS.inert(),
    "sourceNamespace": STRING.inert(),
}

#: Destinations, matches and rewrites are read by the VirtualService as a whole.
DESTINATION = table({"host!": STRING, "subset": STRING, "port": PORT_NUMBER}).inert()
_HEADER_OPERATIONS = table({"set": LABELS, "add": LABELS, "remove": STRINGS})
_HEADERS = table({"request": _HEADER_OPERATIONS, "response": _HEADER_OPERATIONS})
_PERCENT_VALUE = table({"value": PERCENTAGE})
_L4_ROUTE = list_of(table({"destination!": DESTINATION, "weight": COUNT.inert()}))

_FAULT = table(
    {
        "delay": table(
            {
                "fixedDelay": DURATION.inert(),
                "exponentialDelay": DURATION.unused("is not implemented by Istio: there is no delay"),
                "percent": PERCENT.inert(),
                "percentage": _PERCENT_VALUE.inert(),
            }
        ).checked(one_of("fixedDelay", "exponentialDelay")),
        "abort": table(
            {
                "httpStatus": HTTP_STATUS.inert(),
                "grpcStatus": Scalar("a gRPC status", _grpc_status).inert(),
                "http2Error": STRING.unused("is not implemented by Istio: nothing is aborted"),
                "percentage": _PERCENT_VALUE.inert(),
            }
        ).checked(one_of("httpStatus", "grpcStatus", "http2Error")),
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
        "redirectCode": Scalar("a redirect code", _redirect_code),
        "prefixRewrite": STRING,
    }
)


def _one_rewrite(rewrite: Mapping[str, Any]) -> str:
    """Refuse what istiod refuses (validateHTTPRewrite); an empty text is a field left away."""
    regex = rewrite.get("uriRegexRewrite")
    if rewrite.get("uri") and regex is not None:
        return "uri and uriRegexRewrite cannot both be set"
    if regex is not None and not (regex.get("match") and regex.get("rewrite")):
        return "uriRegexRewrite needs both match and rewrite"
    something = rewrite.get("uri") or rewrite.get("authority") or regex is not None
    return "" if something else "needs one of uri, uriRegexRewrite and authority"


_REWRITE = table(
    {"uri": STRING, "authority": STRING, "uriRegexRewrite": table({"match": REGEX, "rewrite": STRING})}
).checked(_one_rewrite)


def _one_answer(rule: Mapping[str, Any]) -> str:
    """Refuse what istiod refuses: a rule that does several things at once (validateHTTPRouteConflict)."""
    found = [name for name in ("route", "redirect", "directResponse", "delegate") if rule.get(name) is not None]
    if found[:1] in (["redirect"], ["directResponse"]):  # nothing is sent on that could be changed or held up
        found += [name for name in ("fault", "rewrite") if rule.get(name) is not None]
    if len(found) < 2 and "delegate" not in found:  # istiod does not look at the mirrors of a rule that delegates
        mirrors = [name for name in ("mirror", "mirrors") if rule.get(name)]
        found = mirrors if len(mirrors) == 2 else found
    return f"{found[0]} and {found[1]} cannot both be set" if len(found) > 1 else ""


HTTP_ROUTE = table(
    {
        "name": STRING.inert(),
        "match": list_of(HTTP_MATCH).inert(),
        "route": list_of(table({"destination!": DESTINATION, "weight": COUNT.inert(), "headers": _HEADERS})),
        "redirect": _REDIRECT.inert(),
        "directResponse": table({"status!": HTTP_STATUS, "body": table({"string": STRING, "bytes": STRING})}).inert(),
        "delegate": table({"name": STRING, "namespace": STRING}).inert(),
        "rewrite": _REWRITE.inert(),
        "timeout": DURATION_OR_ZERO.to("timeout"),
        "retries": RETRIES,
        "fault": _FAULT,
        "mirror": DESTINATION,
        "mirror_percent": PERCENT.inert(),
        "mirrorPercent": PERCENT.inert(),
        "mirrorPercentage": _PERCENT_VALUE.inert(),
        "mirrors": list_of(table({"destination!": DESTINATION, "percentage": _PERCENT_VALUE.inert()})),
        "corsPolicy": _CORS,
        "headers": _HEADERS,
    }
).checked(_one_answer)


def _some_rule(spec: Mapping[str, Any]) -> str:
    """Refuse what istiod refuses: a VirtualService that says nothing of any request."""
    return "" if any(spec.get(name) for name in ("http", "tls", "tcp")) else "needs rules: http, tls or tcp"


VIRTUAL_SERVICE = table(
    {
        "hosts": STRINGS.inert(),
        "gateways": STRINGS.inert(),
        "http": list_of(HTTP_ROUTE),
        "tls": list_of(
            table({"match!": list_of(table({"sniHosts!": STRINGS.inert(), **_L4_MATCH})), "route": _L4_ROUTE})
        ),
        "tcp": list_of(table({"match": list_of(table({**_L4_MATCH, "sourceSubnet": STRING})), "route": _L4_ROUTE})),
        "exportTo": STRINGS.inert(),
    }
).checked(_some_rule)
