"""Gateway, ServiceEntry and WorkloadEntry as they are read."""

from __future__ import annotations

from meshsim.scenario.istio.workloads import ExternalEndpoint, ExternalService, GatewayResource, GatewayServer

CROSS_NETWORK = """
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: cross-network, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - port: {number: 15443, name: tls, protocol: TLS}
    tls: {mode: AUTO_PASSTHROUGH}
    hosts: ["*.local"]
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop/cart.example.com]
    bind: 0.0.0.0
"""


def test_gateways_are_read_with_ports_modes_and_hosts(read):
    found = read(CROSS_NETWORK)
    assert found.resources.gateways == (
        GatewayResource(
            "cross-network",
            "istio-system",
            (("istio", "eastwestgateway"),),
            (
                GatewayServer(15443, "TLS", "AUTO_PASSTHROUGH", ("*.local",)),
                GatewayServer(80, "HTTP", "", ("shop/cart.example.com",)),
            ),
        ),
    )
    assert found.resources.gateways[0].passthrough
    assert found.warnings == (
        "mesh.yaml:12: Gateway/cross-network: spec.servers[1].bind: has no effect in meshsim yet",
    )


ENTRIES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec:
  hosts: [db.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  endpoints: [{address: 10.0.0.1, locality: eu/a, network: vm-net, weight: 3, labels: {version: v1}}]
  workloadSelector: {labels: {app: db}}
  exportTo: [.]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop}
spec: {address: 10.0.0.2, ports: {tcp: 15432}, labels: {app: db, version: v2}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: elsewhere, namespace: bank}
spec: {address: 10.0.0.3, labels: {app: db}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: plain}
spec: {hosts: [www.example.com]}
"""


def test_service_entries_have_their_endpoints_and_the_workloads_they_select(read):
    db, plain = read(ENTRIES).resources.service_entries
    assert db == ExternalService(
        "db",
        "shop",
        ("db.example.com",),
        ((5432, "TCP"),),
        "MESH_INTERNAL",
        "STATIC",
        (
            ExternalEndpoint("10.0.0.1", (), "eu/a", "vm-net", 3, (("version", "v1"),)),
            ExternalEndpoint("10.0.0.2", (("tcp", 15432),), labels=(("app", "db"), ("version", "v2"))),
        ),
        (".",),
        (("app", "db"),),
    )
    assert plain == ExternalService("plain", "default", ("www.example.com",))


def test_what_no_simulation_reads_is_still_named(read):
    names = {warning.split(": ")[1] for warning in read(ENTRIES).warnings}
    assert names == {"ServiceEntry/db", "ServiceEntry/plain", "WorkloadEntry/elsewhere", "WorkloadEntry/vm"}
