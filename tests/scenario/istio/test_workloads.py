"""Gateway, ServiceEntry and WorkloadEntry as they are read."""

from __future__ import annotations

import textwrap

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


def test_entries_that_no_request_reaches_are_named(read):
    names = {warning.split(": ")[1] for warning in read(ENTRIES).warnings}
    assert names == {"ServiceEntry/db", "ServiceEntry/plain", "WorkloadEntry/elsewhere", "WorkloadEntry/vm"}


def test_entries_that_a_service_stands_for_are_used_and_the_others_named(read):
    found = read(ENTRIES, services=(("db", "shop"),), outside={("db", "shop"): "db.example.com"})
    assert found.warnings == (
        (
            "mesh.yaml:21: WorkloadEntry/elsewhere: spec.labels: is an endpoint of no service of the scenario: "
            "it has no effect"
        ),
        (
            "mesh.yaml:26: ServiceEntry/plain: spec.hosts: is the host of no service of the scenario "
            "(services.NAME.host): requests there are not simulated"
        ),
    )


def test_localities_are_those_of_the_scenario(read):
    places = {"eu": ["a", "b"], "us": ["a"]}
    services, outside = (("db", "shop"),), {("db", "shop"): "db.example.com"}
    assert read(ENTRIES, services=services, outside=outside, places=places).messages == []
    wrong = ENTRIES.replace("eu/a", "ue/a")
    assert read(wrong, services=services, outside=outside, places=places).messages == [
        "mesh.yaml:9: ServiceEntry/db: spec.endpoints[0].locality: unknown region 'ue' (one of eu, us)"
    ]
    wrong = ENTRIES.replace("eu/a", "us/b")
    assert read(wrong, services=services, outside=outside, places=places).messages == [
        "mesh.yaml:9: ServiceEntry/db: spec.endpoints[0].locality: unknown zone 'b' of us (one of a)"
    ]
    labels = ENTRIES.replace("labels: {app: db, version: v2}", "labels: {app: db, istio-locality: ue.a}")
    assert (
        read(labels, services=services, outside=outside, places=places)
        .messages[0]
        .startswith("mesh.yaml:16: WorkloadEntry/vm: spec.labels.istio-locality: unknown region 'ue'")
    )


def test_a_zone_without_its_region_is_no_locality(read):
    db = {"services": (("db", "shop"),), "outside": {("db", "shop"): "db.example.com"}, "places": {"eu": ["a", "b"]}}
    assert read(ENTRIES.replace("eu/a", "/a"), **db).messages == [
        "mesh.yaml:9: ServiceEntry/db: spec.endpoints[0].locality: '/a' names a zone and no region"
    ]
    labels = ENTRIES.replace("labels: {app: db, version: v2}", "labels: {app: db, istio-locality: .a}")
    assert read(labels, **db).messages == [
        "mesh.yaml:16: WorkloadEntry/vm: spec.labels.istio-locality: '.a' names a zone and no region"
    ]


def test_rules_name_the_host_of_a_service_entry(read, rule, route):
    more = rule("connectionPool: {tcp: {connectTimeout: 3s}}", host="db.example.com", name="db")
    way = route("timeout: 2s", hosts="[db.example.com]", name="db").replace("host: cart", "host: db.example.com")
    services, outside = (("db", "shop"),), {("db", "shop"): "db.example.com"}
    found = read(f"{ENTRIES}---\n{more}---\n{way}", services=services, outside=outside)
    assert found.policy("db").connect_timeout == 3.0
    assert found.route("db", authority="db.example.com").timeout == 2.0
    assert found.route("db", authority="db.example.com").destinations[0][0].service == "db"


def test_what_is_outside_the_mesh_gets_no_mutual_tls_unless_a_rule_asks_for_it(read, rule):
    services, outside = (("www", "default"),), {("www", "default"): "www.example.com"}
    found = read(ENTRIES, services=services, outside=outside)
    policy = found.policy("www", "default")
    assert (policy.tls, policy.tls_mode, policy.load_balancer) == (False, "DISABLE", "PASSTHROUGH")
    assert policy.sources["tls"] == "ServiceEntry default/plain (mesh.yaml:26)"
    asked = rule("tls: {mode: SIMPLE}", host="www.example.com", name="www")
    assert read(f"{ENTRIES}---\n{asked}", services=services, outside=outside).policy("www", "default").tls
    db = read(ENTRIES, services=(("db", "shop"),), outside={("db", "shop"): "db.example.com"}).policy("db")
    assert (db.tls_mode, db.load_balancer) == ("AUTO", "LEAST_REQUEST")


def test_only_namespaces_that_an_entry_is_exported_to_see_it(read):
    found = read(ENTRIES, services=(("db", "shop"),), outside={("db", "shop"): "db.example.com"})
    assert [found.resources.visible("db", "shop", namespace) for namespace in ("shop", "bank")] == [True, False]


def test_a_sidecar_lists_the_host_of_an_entry(read):
    scope = """
    apiVersion: networking.istio.io/v1
    kind: Sidecar
    metadata: {name: own, namespace: shop}
    spec: {egress: [{hosts: ["./*.example.com"]}]}
    """
    services, outside = (("db", "shop"), ("cart", "shop")), {("db", "shop"): "db.example.com"}
    found = read(textwrap.dedent(scope) + "---" + ENTRIES, services=services, outside=outside)
    assert [found.resources.visible(name, "shop", "shop") for name in ("db", "cart")] == [True, False]
