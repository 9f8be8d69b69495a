"""Which resource serves which service, and what is said about those that serve none."""

from __future__ import annotations

import pytest

from meshsim.scenario.istio import Policy

ROUND_ROBIN = "loadBalancer: {simple: ROUND_ROBIN}"
RANDOM = "loadBalancer: {simple: RANDOM}"


# --- DestinationRule ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "namespace", "served"),
    [
        ("cart", "shop", ["cart"]),
        ("cart.shop.svc.cluster.local", "anywhere", ["cart"]),
        ("'*.shop.svc.cluster.local'", "shop", ["cart", "web"]),
        ("'*'", "shop", ["cart", "web", "ledger"]),
        ("cart", "bank", []),
        ("cart.shop", "shop", []),
        ("www.example.com", "shop", []),
    ],
)
def test_hosts_of_a_destination_rule(host, namespace, served, read, rule):
    found = read(rule(ROUND_ROBIN, host=host, namespace=namespace))
    balancers = {
        name: found.policy(name, home).load_balancer
        for name, home in [("cart", "shop"), ("web", "shop"), ("ledger", "bank")]
    }
    assert [name for name, balancer in balancers.items() if balancer == "ROUND_ROBIN"] == served


def test_the_most_precise_host_wins_and_nothing_is_inherited(read, rule):
    text = "---\n".join(
        [
            rule(ROUND_ROBIN + "\noutlierDetection: {}", name="all", host="'*'"),
            rule(RANDOM, name="one", host="cart"),
            rule(ROUND_ROBIN, name="shop", host="'*.shop.svc.cluster.local'"),
        ]
    )
    found = read(text)
    assert found.policy("cart") == Policy(load_balancer="RANDOM")
    assert found.policy("web") == Policy(load_balancer="ROUND_ROBIN")
    assert found.policy("ledger", "bank").outlier_detection is not None


def test_of_two_rules_for_a_host_the_first_is_used_and_the_other_named(read, rule):
    found = read(rule(ROUND_ROBIN, name="first") + "---\n" + rule(RANDOM, name="second"))
    assert found.policy().load_balancer == "ROUND_ROBIN"
    assert found.warnings == (
        (
            "mesh.yaml:13: DestinationRule/second: spec.host: has no effect: "
            "DestinationRule shop/first serves cart.shop.svc.cluster.local before it"
        ),
    )


def test_of_two_rules_for_a_host_one_without_policy_gives_way(read, rule, plain):
    subsets = plain["DestinationRule"]("subsets: [{name: v1, labels: {version: v1}}]", name="subsets")
    assert read(subsets + "---\n" + rule(RANDOM, name="policy")).policy().load_balancer == "RANDOM"


def test_the_services_namespace_comes_before_the_root_namespace(read, rule):
    text = "---\n".join(
        [
            rule(RANDOM, name="root", namespace="istio-system", host="cart.shop.svc.cluster.local"),
            rule(ROUND_ROBIN, name="own", host="'*.shop.svc.cluster.local'"),
        ]
    )
    assert read(text).policy().load_balancer == "ROUND_ROBIN"
    assert "root: spec.host: has no effect" in read(text).warnings[0]


def test_a_rule_in_the_root_namespace_serves_everyone_without_a_word(read, rule):
    text = rule(RANDOM, namespace="mesh-root", host="'*'")
    assert read(text, mesh="rootNamespace: mesh-root").warnings == ()
    assert read(text).warnings == (
        (
            "mesh.yaml:5: DestinationRule/cart: spec.host: "
            "serves only clients in namespace mesh-root in Istio; meshsim applies it to all"
        ),
    )


def test_without_a_namespace_a_resource_is_in_default(read, rule):
    text = rule(RANDOM).replace(", namespace: shop", "")
    assert read(text, services=[("cart", "default")]).policy("cart", "default").load_balancer == "RANDOM"
    assert read(text).warnings == (
        (
            "mesh.yaml:5: DestinationRule/cart: spec.host: matches no service of the scenario: it has no effect; "
            "did you mean 'cart.shop.svc.cluster.local'?"
        ),
    )


def test_a_rule_for_no_service_is_named_once_whatever_it_holds(read, rule):
    found = read(rule("tls: {mode: SIMPLE}\ntunnel: {targetHost: a, targetPort: 1}", host="carts"))
    assert found.warnings == (
        (
            "mesh.yaml:5: DestinationRule/cart: spec.host: matches no service of the scenario: it has no effect; "
            "did you mean 'cart'? (one of cart, ledger, web)"
        ),
    )


def test_the_only_port_level_policy_replaces_the_destinations(read, rule):
    # spec §1
    found = read(
        rule("""
            outlierDetection: {}
            loadBalancer: {simple: RANDOM}
            portLevelSettings:
            - port: {number: 80}
              loadBalancer: {simple: ROUND_ROBIN}
            """)
    )
    assert found.policy() == Policy(load_balancer="ROUND_ROBIN")
    assert found.warnings == (
        (
            "mesh.yaml:7: DestinationRule/cart: spec.trafficPolicy.outlierDetection: "
            "has no effect: portLevelSettings replace it, in Istio too"
        ),
        (
            "mesh.yaml:8: DestinationRule/cart: spec.trafficPolicy.loadBalancer: "
            "has no effect: portLevelSettings replace it, in Istio too"
        ),
        (
            "mesh.yaml:10: DestinationRule/cart: spec.trafficPolicy.portLevelSettings[0].port: "
            "is taken for the services' only port: it replaces the other settings of trafficPolicy"
        ),
    )


def test_policies_for_several_ports_have_no_effect(read, rule):
    found = read(
        rule("""
            loadBalancer: {simple: RANDOM}
            portLevelSettings:
            - {port: {number: 80}, loadBalancer: {simple: ROUND_ROBIN}}
            - {port: {number: 81}, outlierDetection: {}}
            """)
    )
    assert found.policy() == Policy(load_balancer="RANDOM")
    assert found.warnings == (
        (
            "mesh.yaml:8: DestinationRule/cart: spec.trafficPolicy.portLevelSettings: "
            "is for several ports, and services here have one: has no effect in meshsim yet"
        ),
    )


LINTS = [
    (
        "loadBalancer: {simple: PASSTHROUGH}",
        "loadBalancer.simple: PASSTHROUGH has no effect in meshsim yet: the default LEAST_REQUEST is used",
    ),
    (
        "connectionPool: {http: {maxRetries: 0}}",
        "connectionPool.http.maxRetries: has no effect: 0 means 'not set' to Istio",
    ),
    (
        "loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}",
        "loadBalancer.localityLbSetting.failover: has no effect without outlierDetection, in Istio too",
    ),
    (
        "outlierDetection: {consecutiveErrors: 1}",
        (
            "outlierDetection.consecutiveErrors: is not read by Istio any more; write consecutive5xxErrors "
            "or consecutiveGatewayErrors"
        ),
    ),
    (
        "loadBalancer: {localityLbSetting: {failoverPriority: [a]}}",
        "loadBalancer.localityLbSetting.failoverPriority: has no effect in meshsim yet",
    ),
    (
        "loadBalancer: {consistentHash: {useSourceIp: true}, warmupDurationSecs: 30s}",
        "loadBalancer.consistentHash: has no effect in meshsim yet",
    ),
    ("retryBudget: {percent: 20}", "retryBudget: has no effect in meshsim yet"),
    ("tls: {mode: DISABLE}", "tls: has no effect in meshsim yet"),
    (
        "connectionPool: {http: {maxRequestsPerConnection: 10}}",
        "connectionPool.http.maxRequestsPerConnection: has no effect in meshsim yet",
    ),
]


@pytest.mark.parametrize(("policy", "warning"), LINTS, ids=[policy[:50] for policy, _ in LINTS])
def test_settings_without_effect_are_named(policy, warning, read, rule):
    warnings = read(rule(policy)).warnings
    assert warnings[0] == f"mesh.yaml:7: DestinationRule/cart: spec.trafficPolicy.{warning}"
    assert len(warnings) == (2 if "warmup" in policy else 1)


def test_old_consecutive_errors_leave_the_default_of_5xx_errors_in_force(read, rule):
    detection = read(rule("outlierDetection: {consecutiveErrors: 1}")).policy().outlier_detection
    assert (detection.consecutive_5xx, detection.consecutive_gateway_errors) == (5, 0)


@pytest.mark.parametrize(
    "body",
    [
        "exportTo: ['*']",
        "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}",
        "subsets: []",
        "subsets: null",
        "trafficPolicy: null",
    ],
)
def test_what_changes_nothing_needs_no_warning(body, read, plain):
    found = read(plain["DestinationRule"](body))
    assert found.policy() == Policy()
    assert found.warnings == ()


def test_subsets_are_named_once(read, plain):
    text = plain["DestinationRule"]("""
        subsets:
        - {name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
        - {name: v2, labels: {version: v2}}
        """)
    assert read(text).policy() == Policy()
    assert read(text).warnings == ("mesh.yaml:6: DestinationRule/cart: spec.subsets: has no effect in meshsim yet",)


# --- VirtualService -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "match",
    [
        "",
        "match: []",
        "match: null",
        "match: [{}]",
        "match: [{uri: {prefix: /}}]",
        "match: [{uri: {exact: /a}}, {name: all}]",
    ],
)
def test_rules_that_take_every_request_count(match, read, route):
    found = read(route(f"timeout: 3s\n{match}"))
    assert found.policy().timeout == 3.0
    assert found.warnings == ()


@pytest.mark.parametrize(
    "match",
    [
        "[{uri: {prefix: /api}}]",
        "[{uri: {prefix: /}, method: {exact: GET}}]",
        "[{port: 80}]",
        "[{headers: {a: {exact: b}}}]",
    ],
)
def test_rules_for_some_requests_do_not(match, read, route):
    found = read(route(f"timeout: 3s\nmatch: {match}"))
    assert found.policy() == Policy()
    assert found.warnings == (
        (
            "mesh.yaml:10: VirtualService/cart: spec.http[0].match: takes some requests only, and has no "
            "effect in meshsim yet"
        ),
    )


def test_the_first_rule_for_every_request_is_used_and_the_others_named(read, plain):
    # spec §3.5
    found = read(
        plain["VirtualService"]("""
            http:
            - {match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: cart}}]}
            - {timeout: 2s, route: [{destination: {host: cart}}]}
            - {timeout: 3s, route: [{destination: {host: cart}}], fault: {abort: {httpStatus: 500}}}
            """)
    )
    assert found.policy().timeout == 2.0
    assert found.warnings == (
        (
            "mesh.yaml:7: VirtualService/cart: spec.http[0].match: takes some requests only, and has no "
            "effect in meshsim yet"
        ),
        (
            "mesh.yaml:9: VirtualService/cart: spec.http[2]: has no effect: a rule above it takes every "
            "request, in Istio too"
        ),
    )


ROUTES = [
    ("[{destination: {host: web}}]", "sends requests to web.shop.svc.cluster.local, not to the host they are for"),
    ("[{destination: {host: cart.shop}}]", "sends requests to cart.shop, not to the host they are for"),
    ("[]", "sends requests to no service, not to the host they are for"),
]


@pytest.mark.parametrize(("destinations", "warning"), ROUTES)
def test_a_rule_that_sends_requests_elsewhere_is_named(destinations, warning, read, plain):
    found = read(plain["VirtualService"](f"http:\n- timeout: 3s\n  route: {destinations}"))
    assert found.policy() == Policy()
    assert found.warnings == (
        f"mesh.yaml:7: VirtualService/cart: spec.http[0]: {warning}: has no effect in meshsim yet",
    )


def test_a_redirect_sends_requests_to_no_service(read, plain):
    found = read(plain["VirtualService"]("http:\n- redirect: {uri: /new}"))
    assert [warning.partition("spec.")[2][:49] for warning in found.warnings] == [
        "http[0]: sends requests to no service, not to the"
    ]


def test_a_split_keeps_timeout_and_retries_and_is_named(read, plain):
    found = read(
        plain["VirtualService"]("""
            http:
            - timeout: 3s
              route:
              - {destination: {host: cart, subset: v1}, weight: 90}
              - {destination: {host: cart, subset: v2}, weight: 10}
            """)
    )
    assert found.policy().timeout == 3.0
    assert found.warnings == (
        (
            "mesh.yaml:8: VirtualService/cart: spec.http[0].route: "
            "the split over several destinations has no effect in meshsim yet"
        ),
    )


def test_port_and_full_weight_of_the_only_destination_need_no_warning(read, plain):
    body = "http:\n- name: all\n  route:\n  - {destination: {host: cart, port: {number: 80}}, weight: 100}"
    assert read(plain["VirtualService"](body)).warnings == ()


@pytest.mark.parametrize("gateways", ["[mesh]", "[]", "null"])
def test_without_gateways_a_virtual_service_is_for_the_mesh(gateways, read, route):
    found = read(route("timeout: 3s").replace("spec:", f"spec:\n  gateways: {gateways}"))
    assert (found.policy().timeout, found.warnings) == (3.0, ())


def test_a_virtual_service_for_gateways_only_is_named_once(read, route):
    found = read(route("timeout: 3s\nfault: {}").replace("spec:", "spec:\n  gateways: [front]"))
    assert found.policy() == Policy()
    assert found.warnings == (
        (
            "mesh.yaml:5: VirtualService/cart: spec.gateways: "
            "names gateways only, not mesh: the VirtualService has no effect in meshsim yet"
        ),
    )


def test_a_virtual_service_for_mesh_and_gateways_serves_the_mesh(read, route):
    found = read(route("timeout: 3s").replace("spec:", "spec:\n  gateways: [front, mesh]"))
    assert found.policy().timeout == 3.0
    assert found.warnings == (
        "mesh.yaml:5: VirtualService/cart: spec.gateways: other than mesh has no effect in meshsim yet",
    )


def test_a_virtual_service_is_seen_from_every_namespace(read, plain):
    body = "http:\n- timeout: 3s\n  route: [{destination: {host: cart.shop.svc.cluster.local}}]"
    found = read(plain["VirtualService"](body, hosts="[cart.shop.svc.cluster.local]", namespace="anywhere"))
    assert (found.policy().timeout, found.warnings) == (3.0, ())


def test_the_first_virtual_service_of_a_host_wins(read, route):
    found = read(route("timeout: 1s", name="first") + "---\n" + route("timeout: 2s", name="second"))
    assert found.policy().timeout == 1.0
    assert found.warnings == (
        (
            "mesh.yaml:15: VirtualService/second: spec.hosts: has no effect: "
            "VirtualService shop/first serves cart.shop.svc.cluster.local before it"
        ),
    )


def test_a_precise_virtual_service_wins_over_a_wildcard(read, route):
    found = read(route("timeout: 1s", name="all", hosts="['*']") + "---\n" + route("timeout: 2s", name="one"))
    assert found.policy().timeout == 2.0


def test_requests_that_istio_would_send_to_another_service_are_named(read, route):
    found = read(route("timeout: 1s", hosts="[cart, web]"))
    assert (found.policy("cart").timeout, found.policy("web").timeout) == (1.0, None)
    assert found.warnings == (
        (
            "mesh.yaml:5: VirtualService/cart: spec.hosts: sends requests for web.shop.svc.cluster.local "
            "to cart.shop.svc.cluster.local in Istio: has no effect in meshsim yet"
        ),
    )


def test_one_host_of_several_without_a_service_is_named(read, route):
    found = read(route("timeout: 1s", hosts="[cart, wob]"))
    assert found.policy().timeout == 1.0
    assert found.warnings == (
        (
            "mesh.yaml:5: VirtualService/cart: spec.hosts[1]: matches no service of the scenario: it has no effect; "
            "did you mean 'web'? (one of cart, ledger, web)"
        ),
    )


def test_retries_without_attempts_are_off_and_said_to_be(read, route):
    found = read(route("retries: {backoff: 1s}"))
    assert found.policy().retry.attempts == 0
    assert found.warnings == (
        (
            "mesh.yaml:9: VirtualService/cart: spec.http[0].retries: "
            "switches retries off, in Istio too: attempts is 0 or missing"
        ),
    )


@pytest.mark.parametrize(
    "field",
    [
        "fault: {abort: {httpStatus: 500}}",
        "mirror: {host: web}",
        "rewrite: {uri: /}",
        "headers: {request: {remove: [a]}}",
    ],
)
def test_fields_of_a_rule_that_are_not_modelled_are_named(field, read, route):
    found = read(route(field))
    name = field.partition(":")[0]
    assert found.warnings == (f"mesh.yaml:9: VirtualService/cart: spec.http[0].{name}: has no effect in meshsim yet",)
