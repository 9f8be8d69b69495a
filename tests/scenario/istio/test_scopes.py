"""PeerAuthentication, Sidecar and ProxyConfig: which of them is for a workload, and what it then says."""

from __future__ import annotations

import pytest

from meshsim.scenario import load
from meshsim.scenario.istio import CircuitBreaker
from meshsim.scenario.scenario import EXAMPLE

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
        (MESH + peer("first", "{}") + peer("second", "{mtls: {mode: DISABLE}}"), "STRICT"),
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


# --- those without effect ---------------------------------------------------------------------------------------

PODS = [
    ("shop", {"app": "cart", "version": "v1"}),
    ("shop", {"app": "cart", "version": "v2"}),
    ("shop", {"app": "web", "version": "v1"}),
    ("bank", {"app": "ledger"}),
]
KINDS = [("PeerAuthentication", "security"), ("Sidecar", "networking"), ("ProxyConfig", "networking")]


def selecting(kind, name, labels, namespace="shop"):
    field, inner = ("workloadSelector", "labels") if kind == "Sidecar" else ("selector", "matchLabels")
    group = dict(KINDS)[kind]
    return resource(kind, name, namespace, f"{{{field}: {{{inner}: {labels}}}}}", group)


@pytest.mark.parametrize(("kind", "group"), KINDS)
@pytest.mark.parametrize("namespace", ["istio-system", "shop"])
def test_the_second_of_one_place_is_named(kind, group, namespace, read):
    text = "".join(resource(kind, name, namespace, group=group) for name in ("first", "second"))
    assert read(text + resource(kind, "other", "bank", group=group), pods=PODS).warnings == (
        f"mesh.yaml:8: {kind}/second: metadata.name: has no effect: {kind} {namespace}/first counts before it",
    )


@pytest.mark.parametrize(("kind", "_"), KINDS)
def test_of_two_that_select_the_same_workloads_the_second_is_named(kind, _, read):
    cart, old, newer = "{app: cart}", "{version: v1}", "{app: cart, version: v2}"
    found = read(selecting(kind, "cart", cart) + selecting(kind, "old", old) + selecting(kind, "new", newer), pods=PODS)
    assert found.warnings == (
        f"mesh.yaml:13: {kind}/new: metadata.name: has no effect: {kind} shop/cart counts before it",
    )


@pytest.mark.parametrize(("kind", "group"), KINDS)
def test_one_that_is_for_no_workload_is_named(kind, group, read):
    elsewhere = resource(kind, "there", "elsewhere", group=group)
    found = read(selecting(kind, "own", "{app: ledger}") + elsewhere, pods=PODS)
    field = "workloadSelector" if kind == "Sidecar" else "selector"
    assert [warning.split(": ", 1)[1] for warning in found.warnings] == [
        f"{kind}/own: spec.{field}: selects no service's pods: it has no effect in meshsim yet",
        f"{kind}/there: metadata.namespace: no service is in namespace elsewhere: it has no effect in meshsim yet",
    ]


def test_machines_are_workloads_too(read):
    entry = resource("WorkloadEntry", "machine", "bank", "{address: 10.0.0.1, labels: {app: ledger, on: metal}}")
    own = selecting("PeerAuthentication", "metal", "{on: metal}", "bank")
    assert read(entry + own, pods=PODS).warnings == ()


def test_the_labels_of_a_scenarios_workloads_are_those_that_are_selected():
    own = {"selector": {"matchLabels": {"app": "web", "version": "v1", "tier": "front"}}, "mtls": {"mode": "STRICT"}}
    head = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "web"}}
    web = EXAMPLE["services"]["web"]
    for tier, unused in (("front", 0), ("back", 1)):
        services = {"web": web | {"workloads": {"web-v1": {"labels": {"tier": tier}}}}}
        found = load({**EXAMPLE, "services": services, "istio": [{**head, "spec": own}]})
        assert len(found.warnings) == unused


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


@pytest.mark.parametrize(
    ("egress", "wrong"),
    [
        (
            "[cart.shop.svc.cluster.local]",
            "[0]: 'cart.shop.svc.cluster.local' is not of the form NAMESPACE/HOST, as in ",
        ),
        ("['/cart.shop.svc.cluster.local']", "[0]: '/cart.shop.svc.cluster.local' is not of the form NAMESPACE/HOST, "),
        ("['./*', 'bank/']", "[1]: 'bank/' is not of the form NAMESPACE/HOST, "),
        ("['*']", "[0]: '*' is not of the form NAMESPACE/HOST, "),
        (
            "['*/cart']",
            "[0]: 'cart' is a short name, which Istio refuses here; write '*/cart.NAMESPACE.svc.cluster.local'",
        ),
        ("[bank/ledger]", "[0]: 'ledger' is a short name, which Istio refuses here; write 'bank/ledger.bank.svc."),
        ("['*bank/*']", "[0]: '*bank' is no namespace, nor one of '*', '.' and '~'"),
        (
            "['*/*cart.shop.svc.cluster.local']",
            "[0]: in '*cart.shop.svc.cluster.local' the '*' does not stand for whole",
        ),
        ("['*/cart.*.svc.cluster.local']", "[0]: in 'cart.*.svc.cluster.local' the '*' does not stand for whole"),
        ("[]", ": is empty: a listener needs a host; '~/*' stands for none"),
    ],
)
def test_hosts_that_istio_refuses_are_refused(egress, wrong, read):
    (message,) = read(sidecar("scope", egress)).messages
    assert message.startswith(f"mesh.yaml:4: Sidecar/scope: spec.egress[0].hosts{wrong}")


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
