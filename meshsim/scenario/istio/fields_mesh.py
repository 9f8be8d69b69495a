"""Field tables of MeshConfig, its ProxyConfig, and IstioOperator.

Names and types: istio/api, mesh/v1alpha1/{config,proxy}.proto and operator/v1alpha1; parts that only set up telemetry
or certificates are taken as they are.
"""

from __future__ import annotations

from meshsim.scenario.istio.fields import (
    ANY,
    BOOL,
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    INTEGER,
    LABELS,
    NUMBER,
    STRING,
    STRINGS,
    enum,
    list_of,
    map_of,
    table,
)
from meshsim.scenario.istio.fields_routes import MESH_RETRIES
from meshsim.scenario.istio.fields_traffic import (
    CLIENT_TLS,
    CONNECTION_POOL,
    LOCALITY,
    OUTLIER_DETECTION,
    TCP_KEEPALIVE,
    ZONE_AWARE,
)
from meshsim.scenario.istio.fields_workloads import READINESS_PROBE

_REMOTE_SERVICE = table({"address": STRING, "tlsSettings": CLIENT_TLS, "tcpKeepalive": TCP_KEEPALIVE})

_TRACING = table(
    {
        "zipkin": table({"address": STRING}),
        "lightstep": table({"address": STRING, "accessToken": STRING}),
        "datadog": table({"address": STRING}),
        "stackdriver": ANY,
        "openCensusAgent": ANY,
        "customTags": map_of(ANY),
        "maxPathTagLength": COUNT,
        "sampling": NUMBER,
        "tlsSettings": CLIENT_TLS,
        "enableIstioTags": BOOL,
    }
)

#: ``meshConfig.defaultConfig`` and the annotation ``proxy.istio.io/config``.
MESH_PROXY_CONFIG = table(
    {
        "configPath": STRING,
        "binaryPath": STRING,
        "serviceCluster": STRING,
        "tracingServiceName": enum("APP_LABEL_AND_NAMESPACE", "CANONICAL_NAME_ONLY", "CANONICAL_NAME_AND_NAMESPACE"),
        "drainDuration": DURATION,
        "parentShutdownDuration": DURATION,
        "discoveryAddress": STRING,
        "discoveryRefreshDelay": DURATION,
        "zipkinAddress": STRING,
        "statsdUdpAddress": STRING,
        "envoyMetricsServiceAddress": STRING,
        "proxyAdminPort": COUNT,
        "availabilityZone": STRING,
        "controlPlaneAuthPolicy": enum("NONE", "MUTUAL_TLS", "INHERIT"),
        "customConfigFile": STRING,
        "statNameLength": COUNT,
        "concurrency": COUNT.to("concurrency"),
        "proxyBootstrapTemplatePath": STRING,
        "interceptionMode": enum("REDIRECT", "TPROXY", "NONE"),
        "tracing": _TRACING,
        "sds": ANY,
        "envoyAccessLogService": _REMOTE_SERVICE,
        "envoyMetricsService": _REMOTE_SERVICE,
        "proxyMetadata": table({"ISTIO_META_ENABLE_SELF_DISCOVERY": STRING.to("self_discovery")}, others=STRING),
        "runtimeValues": LABELS,
        "statusPort": COUNT,
        "extraStatTags": STRINGS,
        "gatewayTopology": ANY,
        "terminationDrainDuration": DURATION,
        "meshId": STRING,
        "readinessProbe": READINESS_PROBE,
        "proxyStatsMatcher": table(
            {"inclusionPrefixes": STRINGS, "inclusionSuffixes": STRINGS, "inclusionRegexps": STRINGS}
        ),
        "holdApplicationUntilProxyStarts": BOOL,
        "caCertificatesPem": STRINGS,
        "image": table({"imageType": STRING}),
        "privateKeyProvider": ANY,
        "proxyHeaders": ANY,
        "fileFlushInterval": DURATION,
        "fileFlushMinSizeKb": COUNT,
        "statsEvictionInterval": DURATION,
        "statsCompression": BOOL,
    }
)

_LABEL_SELECTOR = table(
    {
        "matchLabels": LABELS,
        "matchExpressions": list_of(table({"key!": STRING, "operator!": STRING, "values": STRINGS})),
    }
)

_TLS_DEFAULTS = table(
    {
        "minProtocolVersion": enum("TLS_AUTO", "TLSV1_2", "TLSV1_3"),
        "ecdhCurves": STRINGS,
        "cipherSuites": STRINGS,
    }
)

_SERVICE_SETTINGS = table({"settings": table({"clusterLocal": BOOL.inert()}), "hosts": STRINGS.inert()})

_SERVICE_SCOPE = table(
    {
        "namespaceSelector": _LABEL_SELECTOR,
        "servicesSelector": _LABEL_SELECTOR,
        "scope": enum("LOCAL", "GLOBAL"),
    }
)

MESH_CONFIG = table(
    {
        "connectTimeout": DURATION.to("connect_timeout"),
        "localityLbSetting": LOCALITY,
        "defaultHttpRetryPolicy": MESH_RETRIES,
        "defaultTrafficPolicy": table({"connectionPool": CONNECTION_POOL, "outlierDetection": OUTLIER_DETECTION}),
        "rootNamespace": STRING.to("root_namespace"),
        "zoneAwareLbSetting": ZONE_AWARE,
        "outboundTrafficPolicy": table({"mode": enum("REGISTRY_ONLY", "ALLOW_ANY").to("outbound")}),
        "inboundTrafficPolicy": table({"mode": enum("PASSTHROUGH", "LOCALHOST")}),
        "enableAutoMtls": BOOL.to("auto_mtls"),
        "h2UpgradePolicy": enum("DO_NOT_UPGRADE", "UPGRADE").to("h2_upgrade"),
        "tcpKeepalive": TCP_KEEPALIVE,
        "protocolDetectionTimeout": DURATION_OR_ZERO.unless("0s"),
        "serviceSettings": list_of(_SERVICE_SETTINGS).to("service_settings"),
        "serviceScopeConfigs": list_of(_SERVICE_SCOPE),
        "defaultConfig": MESH_PROXY_CONFIG,
        "discoverySelectors": list_of(_LABEL_SELECTOR),
        "defaultServiceExportTo": STRINGS.unless(["*"]),
        "defaultVirtualServiceExportTo": STRINGS.unless(["*"]),
        "defaultDestinationRuleExportTo": STRINGS.unless(["*"]),
        "proxyListenPort": COUNT,
        "proxyInboundListenPort": COUNT,
        "proxyHttpPort": INTEGER,
        "ingressClass": STRING,
        "ingressService": STRING,
        "ingressSelector": STRING,
        "ingressControllerMode": enum("UNSPECIFIED", "OFF", "DEFAULT", "STRICT"),
        "enableTracing": BOOL,
        "accessLogFile": STRING,
        "accessLogFormat": STRING,
        "accessLogEncoding": enum("TEXT", "JSON"),
        "enableEnvoyAccessLogService": BOOL,
        "disableEnvoyListenerLog": BOOL,
        "configSources": list_of(table({"address": STRING, "tlsSettings": CLIENT_TLS, "subscribedResources": STRINGS})),
        "trustDomain": STRING,
        "trustDomainAliases": STRINGS,
        "caCertificates": list_of(
            table({"pem": STRING, "spiffeBundleUrl": STRING, "certSigners": STRINGS, "trustDomains": STRINGS})
        ),
        "dnsRefreshRate": DURATION,
        "inboundClusterStatName": STRING,
        "outboundClusterStatName": STRING,
        "certificates": list_of(table({"secretName": STRING, "dnsNames": STRINGS})),
        "enablePrometheusMerge": BOOL,
        "verifyCertificateAtClient": BOOL,
        "ca": table({"address": STRING, "tlsSettings": CLIENT_TLS, "requestTimeout": DURATION, "istiodSide": BOOL}),
        "extensionProviders": list_of(ANY),
        "defaultProviders": table({"tracing": STRINGS, "metrics": STRINGS, "accessLogging": STRINGS}),
        "pathNormalization": table(
            {"normalization": enum("DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")}
        ),
        "meshMTLS": _TLS_DEFAULTS,
        "tlsDefaults": _TLS_DEFAULTS,
        "compliancePolicy": STRING,
    }
)

ISTIO_OPERATOR = table(
    {
        "profile": STRING,
        "installPackagePath": STRING.inert(),
        "hub": STRING.inert(),
        "tag": ANY.inert(),
        "namespace": STRING.inert(),
        "revision": STRING,
        "defaultRevision": BOOL,
        "compatibilityVersion": STRING,
        "meshConfig": MESH_CONFIG,
        "components": ANY,
        "addonComponents": ANY,
        "values": ANY,
        "unvalidatedValues": ANY,
    }
)
