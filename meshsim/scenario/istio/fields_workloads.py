"""Field tables of Gateway, ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar and ProxyConfig.

Names, types and enumerations: Istio's CRDs of 1.31 (istio/api, kubernetes/customresourcedefinitions.gen.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from meshsim.scenario.istio.fields import (
    BOOL,
    COUNT,
    INTEGER,
    LABELS,
    STRING,
    STRINGS,
    described,
    enum,
    list_of,
    map_of,
    table,
)
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

#: ``*``, this namespace, none, or a namespace's name.
_NAMESPACE = re.compile(r"[*.~]|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def _egress_host(written: str) -> str:
    """Return what Istio refuses in a host of ``egress`` (istio/istio, pkg/config/validation: ValidateSidecar)."""
    home, slash, host = written.partition("/")
    if not slash or not home or not host:
        return f"{described(written)} is not of the form NAMESPACE/HOST, as in ./* or */cart.shop.svc.cluster.local"
    if not _NAMESPACE.fullmatch(home):
        return f"{described(home)} is no namespace, nor one of '*', '.' and '~'"
    if host != "*" and "." not in host:
        name = f"{host}.{home}.svc.cluster.local" if home[0] not in "*.~" else f"{host}.NAMESPACE.svc.cluster.local"
        return f"{described(host)} is a short name, which Istio refuses here; write '{home}/{name}'"
    if host != "*" and "*" in host.removeprefix("*."):
        return f"in {described(host)} the '*' does not stand for whole names, as in '*.shop.svc.cluster.local'"
    return ""


def _some_host(hosts: Sequence[str]) -> str:
    return "" if hosts else "is empty: a listener needs a host; '~/*' stands for none"


_EGRESS_HOSTS = list_of(STRING.checked(_egress_host)).inert().checked(_some_host)

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
            table({"port": _SIDECAR_PORT, "bind": STRING, "captureMode": _CAPTURE, "hosts!": _EGRESS_HOSTS})
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
