"""PeerAuthentication, Sidecar and ProxyConfig: which of them is for a workload, and what it then says."""

from __future__ import annotations

import pytest

from meshsim.scenario.istio import CircuitBreaker

CART = {"app": "cart"}


def resource(kind, name, namespace="shop", spec="{}", group="networking"):
    head = f"apiVersion: {group}.istio.io/v1beta1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec: {spec}\n---\n"


def peer(name, spec, namespace="shop"):
    return resource("PeerAuthentication", name, namespace, spec, "security")


# --- PeerAuthentication -----------------------------------------------------------------------------------------

MESH = peer("mesh", "{mtls: {mode: STRICT}}", "istio-system")
NAMESPACE = peer("shop", "{mtls: {mode: DISABLE}}")
OWN = peer("cart", "{selector: {matchLabels: {app: cart}}, mtls: {mode: PERMISSIVE}}")
UNSET = peer("cart", "{selector: {matchLabels: {app: cart}}, mtls: {mode: UNSET}}")


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("", "PERMISSIVE"),
        (MESH, "STRICT"),
        (MESH + NAMESPACE, "DISABLE"),
        (NAMESPACE + MESH + OWN, "PERMISSIVE"),
        (MESH + UNSET, "STRICT"),
        (peer("other", "{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}"), "PERMISSIVE"),
        (peer("bank", "{mtls: {mode: STRICT}}", "bank"), "PERMISSIVE"),
        (peer("first", "{mtls: {mode: STRICT}}") + peer("second", "{mtls: {mode: DISABLE}}"), "STRICT"),
        (peer("empty", "{mtls: {}}"), "PERMISSIVE"),
    ],
)
def test_spec_8_the_narrowest_peer_authentication_that_sets_a_mode_counts(text, mode, read):
    found = read(text)
    assert found.resources.mutual_tls("shop", CART) == mode
    assert found.warnings == ()


def test_a_mode_for_a_port_counts_for_that_port_of_selected_workloads(read):
    spec = "{selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}"
    found = read(peer("cart", spec))
    assert [found.resources.mutual_tls("shop", CART, port) for port in (0, 80, 8080)] == ["STRICT", "STRICT", "DISABLE"]
    assert found.warnings == (
        (
            "mesh.yaml:4: PeerAuthentication/cart: spec.portLevelMtls: "
            "is for single ports, and services here have one: has no effect in meshsim yet"
        ),
    )


def test_the_root_namespace_may_be_another(read):
    found = read(peer("mesh", "{mtls: {mode: STRICT}}", "mesh-root"), mesh="rootNamespace: mesh-root")
    assert found.resources.mutual_tls("shop", CART) == "STRICT"


# --- Sidecar ----------------------------------------------------------------------------------------------------


def sidecar(name, egress, namespace="shop", more=""):
    return resource("Sidecar", name, namespace, f"{{egress: [{{hosts: {egress}}}]{more}}}")


@pytest.mark.parametrize(
    ("egress", "known"),
    [
        ("['./*']", ["cart", "web"]),
        ("['*/*']", ["cart", "web", "ledger"]),
        ("['bank/*']", ["ledger"]),
        ("['~/*']", []),
        ("['./cart.shop.svc.cluster.local', 'bank/*.bank.svc.cluster.local']", ["cart", "ledger"]),
        ("['*/*.shop.svc.cluster.local']", ["cart", "web"]),
        ("['bank/cart.shop.svc.cluster.local']", []),
    ],
)
def test_spec_8_a_sidecar_lets_its_clients_know_the_hosts_it_names(egress, known, read):
    found = read(sidecar("scope", egress))
    homes = [("cart", "shop"), ("web", "shop"), ("ledger", "bank")]
    assert [name for name, home in homes if found.resources.visible(name, home, "shop", CART)] == known
    assert all(found.resources.visible(name, home, "bank") for name, home in homes)
    assert found.warnings == ()


def test_the_sidecar_of_a_workload_comes_before_its_namespaces_and_the_meshs(read):
    own = sidecar("own", "['./*']", more=", workloadSelector: {labels: {app: cart}}")
    found = read(sidecar("mesh", "['~/*']", "istio-system") + sidecar("shop", "['bank/*']") + own).resources
    assert [found.visible("web", "shop", client, labels) for client, labels in (("shop", CART), ("shop", {}))] == [
        True,
        False,
    ]
    assert not found.visible("web", "shop", "elsewhere")


def test_a_sidecar_without_egress_hides_nothing(read):
    assert read(resource("Sidecar", "empty")).resources.visible("ledger", "bank", "shop")


def test_unknown_hosts_are_the_sidecars_matter_then_the_meshs(read):
    text = resource("Sidecar", "open", spec="{outboundTrafficPolicy: {mode: ALLOW_ANY}}")
    found = read(text, mesh="outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    assert (found.resources.outbound_policy("shop"), found.resources.outbound_policy("bank")) == (
        "ALLOW_ANY",
        "REGISTRY_ONLY",
    )
    assert found.warnings == ()


def test_limits_of_a_server_are_its_sidecars_or_those_of_the_destination_rule(read, rule):
    # spec §1: of a DestinationRule only the connection pool counts for the server's own proxy
    limits = "{tcp: {maxConnections: 3, idleTimeout: 1m}, http: {http2MaxRequests: 4}}"
    own = f"{{workloadSelector: {{labels: {{app: cart}}}}, inboundConnectionPool: {limits}}}"
    text = rule("connectionPool: {http: {http1MaxPendingRequests: 9}}") + "---\n" + resource("Sidecar", "in", spec=own)
    found = read(text)
    assert found.resources.inbound_breaker("cart", "shop", "1.31", CART) == CircuitBreaker(3, max_requests=4)
    assert found.resources.inbound_breaker("cart", "shop", "1.31") == CircuitBreaker(max_pending_requests=9)
    assert found.resources.inbound_breaker("web", "shop", "1.31").unlimited
    assert found.warnings == (
        "mesh.yaml:12: Sidecar/in: spec.inboundConnectionPool.tcp.idleTimeout: has no effect in meshsim yet",
    )


# --- ProxyConfig ------------------------------------------------------------------------------------------------


def test_worker_threads_are_a_proxy_configs_or_the_meshs(read):
    own = resource("ProxyConfig", "own", spec="{selector: {matchLabels: {app: cart}}, concurrency: 0}")
    found = read(own + resource("ProxyConfig", "shop", spec="{concurrency: 4}"), mesh="defaultConfig: {concurrency: 3}")
    threads = [found.resources.concurrency("shop", CART), found.resources.concurrency("shop", {})]
    assert (threads, found.resources.concurrency("bank")) == ([0, 4], 3)
    assert found.warnings == ()
    assert read().resources.concurrency("shop") is None
