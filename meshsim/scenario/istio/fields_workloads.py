"""Field tables of Gateway, ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar and ProxyConfig.

Names, types and enumerations: Istio's CRDs of 1.31 (istio/api, kubernetes/customresourcedefinitions.gen.yaml).
"""

from __future__ import annotations

from meshsim.scenario.istio.fields import BOOL, COUNT, INTEGER, LABELS, STRING, STRINGS, enum, list_of, map_of, table
from meshsim.scenario.istio.fields_routes import DESTINATION
from meshsim.scenario.istio.fields_traffic import CONNECTION_POOL, EXPORT_TO

_TLS_VERSION = enum("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")

#: Certificates and names decide who may talk, not how long it takes.
_SERVER_TLS = table(
    {
        "httpsRedirect": BOOL,
        "mode": enum("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL").inert(),
        "serverCertificate": STRING.inert(),
        "privateKey": STRING.inert(),
        "caCertificates": STRING.inert(),
        "caCertCredentialName": STRING.inert(),
        "caCrl": STRING.inert(),
        "subjectAltNames": STRINGS.inert(),
        "credentialName": STRING.inert(),
        "credentialNames": STRINGS.inert(),
        "tlsCertificates": list_of(
            table({"serverCertificate": STRING, "privateKey": STRING, "caCertificates": STRING})
        ).inert(),
        "verifyCertificateSpki": STRINGS.inert(),
        "verifyCertificateHash": STRINGS.inert(),
        "minProtocolVersion": _TLS_VERSION,
        "maxProtocolVersion": _TLS_VERSION,
        "cipherSuites": STRINGS,
        "insecureSkipVerify": BOOL,
    }
)

GATEWAY = table(
    {
        "selector": LABELS.inert(),
        "servers": list_of(
            table(
                {
                    "port!": table(
                        {
                            "number!": COUNT.inert(),
                            "protocol!": STRING.inert(),
                            "name!": STRING.inert(),
                            "targetPort": COUNT.inert(),
                        }
                    ),
                    "bind": STRING,
                    "hosts!": STRINGS.inert(),
                    "tls": _SERVER_TLS,
                    "defaultEndpoint": STRING,
                    "name": STRING.inert(),
                }
            )
        ),
    }
)

#: Addresses, ports and names tell where packets go, not how long they take.
_WORKLOAD = table(
    {
        "address": STRING.inert(),
        "ports": map_of(COUNT.inert()),
        "labels": LABELS.inert(),
        "network": STRING.inert(),
        "locality": STRING.inert(),
        "weight": COUNT.inert(),
        "serviceAccount": STRING.inert(),
    }
)

WORKLOAD_ENTRY = _WORKLOAD

_ENTRY_PORT = table(
    {
        "number!": COUNT.inert(),
        "protocol": STRING.inert(),
        "name!": STRING.inert(),
        "targetPort": COUNT.inert(),
    }
)

SERVICE_ENTRY = table(
    {
        "hosts!": STRINGS.inert(),
        "addresses": STRINGS.inert(),
        "ports": list_of(_ENTRY_PORT),
        "location": enum("MESH_EXTERNAL", "MESH_INTERNAL").inert(),
        "resolution": enum("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS").inert(),
        "endpoints": list_of(_WORKLOAD),
        "workloadSelector": table({"labels": LABELS.inert()}),
        "exportTo": EXPORT_TO.inert(),
        "subjectAltNames": STRINGS.inert(),
    }
)

READINESS_PROBE = table(
    {
        "initialDelaySeconds": INTEGER,
        "timeoutSeconds": INTEGER,
        "periodSeconds": INTEGER,
        "successThreshold": INTEGER,
        "failureThreshold": INTEGER,
        "httpGet": table(
            {
                "path": STRING,
                "port!": COUNT,
                "host": STRING,
                "scheme": STRING,
                "httpHeaders": list_of(table({"name": STRING, "value": STRING})),
            }
        ),
        "tcpSocket": table({"host": STRING, "port!": COUNT}),
        "exec": table({"command!": STRINGS}),
        "grpc": table({"port": COUNT, "service": STRING}),
    }
)

WORKLOAD_GROUP = table(
    {
        "metadata": table({"labels": LABELS, "annotations": LABELS}),
        "template!": _WORKLOAD.unused(),
        "probe": READINESS_PROBE,
    }
)

_SIDECAR_PORT = table({"number": COUNT, "protocol": STRING, "name": STRING, "targetPort": COUNT})
_CAPTURE = enum("DEFAULT", "IPTABLES", "NONE")

SIDECAR = table(
    {
        "workloadSelector": table({"labels": LABELS.inert()}),
        "ingress": list_of(
            table(
                {
                    "port!": _SIDECAR_PORT,
                    "bind": STRING,
                    "captureMode": _CAPTURE,
                    "defaultEndpoint": STRING,
                    "tls": _SERVER_TLS,
                    "connectionPool": CONNECTION_POOL.unused(),
                }
            )
        ),
        "egress": list_of(
            table({"port": _SIDECAR_PORT, "bind": STRING, "captureMode": _CAPTURE, "hosts!": STRINGS.inert()})
        ),
        "inboundConnectionPool": CONNECTION_POOL,
        "outboundTrafficPolicy": table(
            {"mode": enum("REGISTRY_ONLY", "ALLOW_ANY").inert(), "egressProxy": DESTINATION.unused()}
        ),
    }
)

PROXY_CONFIG = table(
    {
        "selector": table({"matchLabels": LABELS.inert()}),
        "concurrency": COUNT.to("concurrency"),
        "environmentVariables": LABELS,
        "image": table({"imageType": STRING}),
    }
)
