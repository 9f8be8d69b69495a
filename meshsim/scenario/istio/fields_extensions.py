"""Field tables of the security, telemetry and extension kinds and of EnvoyFilter.

Names, types and enumerations: Istio's CRDs of 1.31 (istio/api, kubernetes/customresourcedefinitions.gen.yaml).
Nothing of them is simulated yet, so a resource of these kinds gives one warning.
"""

from __future__ import annotations

from meshsim.scenario.istio.fields import (
    ANY,
    BOOL,
    COUNT,
    DURATION,
    INTEGER,
    LABELS,
    PERCENTAGE,
    STRING,
    STRINGS,
    FieldType,
    enum,
    list_of,
    map_of,
    table,
)
from meshsim.scenario.istio.fields_traffic import SELECTOR, WORKLOAD_SELECTOR

_TARGET_REF = table({"group": STRING, "kind!": STRING, "name!": STRING, "namespace": STRING})
_SCOPE: dict[str, FieldType] = {"selector": SELECTOR, "targetRef": _TARGET_REF, "targetRefs": list_of(_TARGET_REF)}

#: EnvoyFilter had them before Istio 1.3, and files of that age are still around.
_GONE = "is not part of Istio any more: it has no effect"

# --- EnvoyFilter ----------------------------------------------------------------------------------------------

_SUB_FILTER = table({"name": STRING, "subFilter": table({"name": STRING})})

_LISTENER_MATCH = table(
    {
        "portNumber": COUNT,
        "portName": STRING,
        "filterChain": table(
            {
                "name": STRING,
                "sni": STRING,
                "transportProtocol": STRING,
                "applicationProtocols": STRING,
                "filter": _SUB_FILTER,
                "destinationPort": COUNT,
            }
        ),
        "listenerFilter": STRING,
        "name": STRING,
    }
)

_ROUTE_MATCH = table(
    {
        "portNumber": COUNT,
        "portName": STRING,
        "gateway": STRING,
        "vhost": table(
            {
                "name": STRING,
                "domainName": STRING,
                "route": table({"name": STRING, "action": enum("ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE")}),
            }
        ),
        "name": STRING,
    }
)

_PATCH_MATCH = table(
    {
        "context": enum("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"),
        "proxy": table({"proxyVersion": STRING, "metadata": LABELS}),
        "listener": _LISTENER_MATCH,
        "routeConfiguration": _ROUTE_MATCH,
        "cluster": table({"portNumber": COUNT, "service": STRING, "subset": STRING, "name": STRING}),
        "waypoint": table({"filter": _SUB_FILTER, "portNumber": COUNT, "route": table({"name": STRING})}),
    }
)

_APPLY_TO = enum(
    "INVALID",
    "LISTENER",
    "FILTER_CHAIN",
    "NETWORK_FILTER",
    "HTTP_FILTER",
    "ROUTE_CONFIGURATION",
    "VIRTUAL_HOST",
    "HTTP_ROUTE",
    "CLUSTER",
    "EXTENSION_CONFIG",
    "BOOTSTRAP",
    "LISTENER_FILTER",
)

_OPERATION = enum(
    "INVALID",
    "MERGE",
    "ADD",
    "REMOVE",
    "INSERT_BEFORE",
    "INSERT_AFTER",
    "INSERT_FIRST",
    "REPLACE",
    "MERGE_AND_REPLACE_LIST",
)

ENVOY_FILTER = table(
    {
        "workloadSelector": WORKLOAD_SELECTOR,
        "targetRefs": list_of(_TARGET_REF),
        "configPatches": list_of(
            table(
                {
                    "applyTo": _APPLY_TO,
                    "match": _PATCH_MATCH,
                    "patch": table(
                        {
                            "operation": _OPERATION,
                            "value": map_of(ANY),
                            "filterClass": enum("UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"),
                        }
                    ),
                }
            )
        ),
        "priority": INTEGER,
        "workloadLabels": LABELS.unused(_GONE),
        "filters": list_of(ANY).unused(_GONE),
    }
)

# --- security.istio.io ----------------------------------------------------------------------------------------

_MTLS = table({"mode": enum("UNSET", "DISABLE", "PERMISSIVE", "STRICT").inert()})

_ONE_PORT = "is for single ports, and services here have one: has no effect in meshsim yet"

PEER_AUTHENTICATION = table(
    {
        "selector": table({"matchLabels": LABELS.inert()}),
        "mtls": _MTLS,
        "portLevelMtls": map_of(_MTLS).unused(_ONE_PORT),
    }
)

REQUEST_AUTHENTICATION = table(
    {
        **_SCOPE,
        "jwtRules": list_of(
            table(
                {
                    "issuer": STRING,
                    "audiences": STRINGS,
                    "jwksUri": STRING,
                    "jwks_uri": STRING,
                    "jwks": STRING,
                    "fromHeaders": list_of(table({"name!": STRING, "prefix": STRING})),
                    "fromParams": STRINGS,
                    "fromCookies": STRINGS,
                    "outputPayloadToHeader": STRING,
                    "forwardOriginalToken": BOOL,
                    "outputClaimToHeaders": list_of(table({"header!": STRING, "claim!": STRING})),
                    "spaceDelimitedClaims": STRINGS,
                    "timeout": DURATION,
                }
            )
        ),
    }
)

_PEERS = (
    "principals",
    "requestPrincipals",
    "namespaces",
    "ipBlocks",
    "remoteIpBlocks",
    "serviceAccounts",
    "trustDomains",
)
_OPERATIONS = ("hosts", "ports", "methods", "paths")


def _with_negations(names: tuple[str, ...]) -> dict[str, FieldType]:
    return {form: STRINGS for name in names for form in (name, f"not{name[0].upper()}{name[1:]}")}


AUTHORIZATION_POLICY = table(
    {
        **_SCOPE,
        "action": enum("ALLOW", "DENY", "AUDIT", "CUSTOM"),
        "provider": table({"name": STRING}),
        "rules": list_of(
            table(
                {
                    "from": list_of(table({"source": table(_with_negations(_PEERS))})),
                    "to": list_of(table({"operation": table(_with_negations(_OPERATIONS))})),
                    "when": list_of(table({"key!": STRING, "values": STRINGS, "notValues": STRINGS})),
                }
            )
        ),
    }
)

# --- telemetry.istio.io ---------------------------------------------------------------------------------------

_SIDE = enum("CLIENT_AND_SERVER", "CLIENT", "SERVER")
_PROVIDERS = list_of(table({"name!": STRING}))
_NAMED_VALUE = table({"name!": STRING, "defaultValue": STRING})
_LITERAL = table({"value!": STRING})

_METRIC = enum(
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
)

_TRACING = table(
    {
        "match": table({"mode": _SIDE}),
        "providers": _PROVIDERS,
        "randomSamplingPercentage": PERCENTAGE,
        "disableSpanReporting": BOOL,
        "disableContextPropagation": BOOL,
        "customTags": map_of(
            table({"literal": _LITERAL, "environment": _NAMED_VALUE, "header": _NAMED_VALUE, "formatter": _LITERAL})
        ),
        "enableIstioTags": BOOL,
        "useRequestIdForTraceSampling": BOOL,
    }
)

_METRICS = table(
    {
        "providers": _PROVIDERS,
        "reportingInterval": DURATION,
        "overrides": list_of(
            table(
                {
                    "match": table({"metric": _METRIC, "customMetric": STRING, "mode": _SIDE}),
                    "disabled": BOOL,
                    "tagOverrides": map_of(table({"operation": enum("UPSERT", "REMOVE"), "value": STRING})),
                }
            )
        ),
    }
)

TELEMETRY = table(
    {
        **_SCOPE,
        "tracing": list_of(_TRACING),
        "metrics": list_of(_METRICS),
        "accessLogging": list_of(
            table(
                {
                    "match": table({"mode": _SIDE}),
                    "providers": _PROVIDERS,
                    "disabled": BOOL,
                    "filter": table({"expression": STRING}),
                }
            )
        ),
    }
)

# --- extensions.istio.io --------------------------------------------------------------------------------------

_TRAFFIC_MATCH = list_of(
    table(
        {
            "mode": enum("UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"),
            "ports": list_of(table({"number!": COUNT})),
        }
    )
)

_WASM: dict[str, FieldType] = {
    "url!": STRING,
    "sha256": STRING,
    "imagePullPolicy": enum("UNSPECIFIED_POLICY", "IfNotPresent", "Always"),
    "imagePullSecret": STRING,
    "verificationKey": STRING,
    "pluginConfig": map_of(ANY),
    "pluginName": STRING,
    "failStrategy": enum("FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"),
    "vmConfig": table({"env": list_of(table({"name!": STRING, "valueFrom": enum("INLINE", "HOST"), "value": STRING}))}),
    "type": enum("UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"),
}

WASM_PLUGIN = table(
    {
        **_SCOPE,
        **_WASM,
        "phase": enum("UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"),
        "priority": INTEGER,
        "match": _TRAFFIC_MATCH,
    }
)

TRAFFIC_EXTENSION = table(
    {
        "selector": SELECTOR,
        "targetRefs": list_of(_TARGET_REF),
        "phase": enum("UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"),
        "priority": INTEGER,
        "match": _TRAFFIC_MATCH,
        "wasm": table(_WASM),
        "lua": table({"inlineCode!": STRING}),
    }
)
