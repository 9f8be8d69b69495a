"""Which DestinationRule serves which service, subset and client, and what is said about those that serve none."""

from __future__ import annotations

import textwrap

import pytest

from meshsim.scenario.istio.policy import CircuitBreaker, OutlierDetection, Policy, RetryBudget

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
            "mesh.yaml:14: DestinationRule/second: spec.trafficPolicy: has no effect: "
            "DestinationRule shop/first sets it for cart.shop.svc.cluster.local before, in Istio too"
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
            "serves no clients in namespace bank, shop in Istio; meshsim applies it to all"
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
            "is for several ports: it has no effect without the services' port"
        ),
    )


def test_the_settings_of_the_services_port_replace_the_destinations_and_those_of_others_are_named(read, rule):
    # spec §1
    text = rule("""
        loadBalancer: {simple: RANDOM}
        portLevelSettings:
        - {port: {number: 80}, outlierDetection: {}}
        - {port: {number: 81}, loadBalancer: {simple: ROUND_ROBIN}}
        """)
    found = read(text, ports={("cart", "shop"): 80})
    assert found.policy() == Policy(outlier_detection=OutlierDetection())
    assert found.warnings == (
        (
            "mesh.yaml:10: DestinationRule/cart: spec.trafficPolicy.portLevelSettings[1]: "
            "has no effect: it is for port 81, and the services have port 80"
        ),
    )


FAILOVER = "loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}"
EJECTS = "defaultTrafficPolicy: {outlierDetection: {}}"


@pytest.mark.parametrize(
    ("mesh", "version", "without"),
    [("", "1.31", True), (EJECTS, "1.31", False), ("defaultTrafficPolicy: {connectionPool: {}}", "1.31", True),
     (EJECTS, "1.30", True)],
)  # fmt: skip
def test_failover_has_an_effect_where_the_mesh_ejects(mesh, version, without, read, rule):
    found = read(rule(FAILOVER), mesh=mesh, version=version)
    assert any("has no effect without outlierDetection" in warning for warning in found.warnings) == without
    if version == "1.31":
        assert found.policy().locality_weighted != without


def test_outlier_detection_of_an_operator_counts_for_rules_before_it(read, rule):
    operator = f"""
        ---
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        spec: {{meshConfig: {{{EJECTS}}}}}
        """
    found = read(rule(FAILOVER) + textwrap.dedent(operator))
    assert (found.warnings, found.policy().locality_weighted) == ((), True)


LINTS = [
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
        "loadBalancer.localityLbSetting.failoverPriority: has no effect without outlierDetection, in Istio too",
    ),
    (
        "loadBalancer: {consistentHash: {useSourceIp: true}, warmupDurationSecs: 30s}",
        "loadBalancer.warmupDurationSecs: has no effect: only LEAST_REQUEST and ROUND_ROBIN warm up, in Istio too",
    ),
    (
        "loadBalancer: {simple: RANDOM, warmup: {duration: 30s}}",
        "loadBalancer.warmup: has no effect: only LEAST_REQUEST and ROUND_ROBIN warm up, in Istio too",
    ),
    (
        "loadBalancer: {warmup: {duration: 30s}, warmupDurationSecs: 20s}",
        "loadBalancer.warmupDurationSecs: has no effect: warmup takes its place, in Istio too",
    ),
    ("tunnel: {targetHost: a, targetPort: 1}", "tunnel: has no effect in meshsim yet"),
    (
        "connectionPool: {tcp: {tcpKeepalive: {probes: 3}}}",
        "connectionPool.tcp.tcpKeepalive: has no effect in meshsim yet",
    ),
]


@pytest.mark.parametrize(("policy", "warning"), LINTS, ids=[policy[:50] for policy, _ in LINTS])
def test_settings_without_effect_are_named(policy, warning, read, rule):
    warnings = read(rule(policy)).warnings
    assert warnings[0] == f"mesh.yaml:7: DestinationRule/cart: spec.trafficPolicy.{warning}"
    assert len(warnings) == 1


def test_old_consecutive_errors_leave_the_default_of_5xx_errors_in_force(read, rule):
    detection = read(rule("outlierDetection: {consecutiveErrors: 1}")).policy().outlier_detection
    assert (detection.consecutive_5xx, detection.consecutive_gateway_errors) == (5, 0)


@pytest.mark.parametrize(
    "body",
    [
        "exportTo: ['*']",
        "subsets: []",
        "subsets: null",
        "trafficPolicy: null",
    ],
)
def test_what_changes_nothing_needs_no_warning(body, read, plain):
    found = read(plain["DestinationRule"](body))
    assert found.policy() == Policy()
    assert found.warnings == ()


# --- subsets ----------------------------------------------------------------------------------------------------


SUBSETS = """
trafficPolicy:
  loadBalancer: {simple: RANDOM}
  outlierDetection: {interval: 1s}
  portLevelSettings:
  - {port: {number: 80}, loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {tcp: {maxConnections: 5}}}
  retryBudget: {percent: 50}
subsets:
- {name: plain, labels: {version: v1}}
- name: own
  labels: {version: v2}
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}
- name: port
  trafficPolicy:
    portLevelSettings: [{port: {number: 80}, outlierDetection: {interval: 2s}}]
"""


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ("plain", Policy(load_balancer="ROUND_ROBIN", circuit_breaker=CircuitBreaker(5), retry_budget=RetryBudget(50))),
        ("own", Policy(load_balancer="ROUND_ROBIN", circuit_breaker=CircuitBreaker(1), retry_budget=RetryBudget(50))),
        ("port", Policy(outlier_detection=OutlierDetection(interval=2.0), retry_budget=RetryBudget(50))),
    ],
)
def test_a_subset_overrides_block_by_block_and_its_port_settings_replace(subset, expected, read, plain):
    # spec §1
    found = read(plain["DestinationRule"](SUBSETS), ports={("cart", "shop"): 80})
    assert found.messages == []
    assert found.resources.policy("cart", "shop", "1.31", subset) == expected


def test_subsets_pick_pods_by_their_labels(read, plain):
    resources = read(plain["DestinationRule"](SUBSETS)).resources
    assert resources.subset_labels("cart", "shop", "own") == {"version": "v2"}
    assert resources.subset_labels("cart", "shop", "port") == {}
    for service, subset in [("cart", "v3"), ("web", "own")]:
        with pytest.raises(KeyError, match=subset):
            resources.subset_labels(service, "shop", subset)


def test_rules_for_one_host_are_merged_and_what_they_repeat_is_named(read, plain):
    # destination_rule.go: the first policy, the first subset of a name
    one = plain["DestinationRule"]("subsets: [{name: v1, labels: {version: v1}}]", name="one")
    two = plain["DestinationRule"](
        """
        trafficPolicy: {loadBalancer: {simple: RANDOM}}
        subsets:
        - {name: v1, labels: {version: other}}
        - {name: v2, labels: {version: v2}}
        """,
        name="two",
    )
    found = read(one + "---\n" + two)
    assert found.policy().load_balancer == "RANDOM"
    assert found.resources.subset_labels("cart", "shop", "v1") == {"version": "v1"}
    assert found.resources.subset_labels("cart", "shop", "v2") == {"version": "v2"}
    assert found.warnings == (
        (
            "mesh.yaml:15: DestinationRule/two: spec.subsets[0]: has no effect: "
            "DestinationRule shop/one has a subset of this name, in Istio too"
        ),
    )


# --- who uses them ------------------------------------------------------------------------------------------------

FULL = "cart.shop.svc.cluster.local"


def test_a_clients_own_namespace_comes_first_then_the_services_then_the_root(read, rule):
    # push_context.go
    text = "---\n".join(
        [
            rule(RANDOM, name="service"),
            rule(ROUND_ROBIN, name="client", namespace="bank", host="'*'"),
            rule("outlierDetection: {}", name="root", namespace="istio-system", host="'*'"),
        ]
    )
    resources = read(text).resources

    def seen_by(client, service="cart", namespace="shop"):
        return resources.policy(service, namespace, "1.31", client_namespace=client)

    assert read(text).warnings == (
        (
            "mesh.yaml:5: DestinationRule/service: spec.host: "
            "serves no clients in namespace bank in Istio; meshsim applies it to all"
        ),
        (
            "mesh.yaml:13: DestinationRule/client: spec.host: "
            "serves no clients in namespace shop in Istio; meshsim applies it to all"
        ),
        (
            "mesh.yaml:21: DestinationRule/root: spec.host: "
            "serves only clients in namespace shop in Istio: has no effect in meshsim yet"
        ),
    )
    assert seen_by("bank").load_balancer == "ROUND_ROBIN"
    assert seen_by("shop").load_balancer == seen_by("elsewhere").load_balancer == "RANDOM"
    assert seen_by("shop", "web") == Policy(outlier_detection=OutlierDetection())


@pytest.mark.parametrize(
    ("export_to", "clients"),
    [("['*']", ["shop", "bank"]), ("['.']", ["shop"]), ("[bank]", ["bank"]), ("[]", ["shop", "bank"])],
)
def test_export_to_hides_a_rule_from_other_namespaces(export_to, clients, read, plain):
    text = plain["DestinationRule"](f"exportTo: {export_to}\ntrafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}")
    resources = read(text).resources
    served = [
        client
        for client in ("shop", "bank")
        if resources.policy("cart", "shop", "1.31", client_namespace=client).load_balancer == "RANDOM"
    ]
    assert served == clients


def test_a_workload_selector_picks_clients_by_their_labels(read, plain):
    text = plain["DestinationRule"](
        "workloadSelector: {matchLabels: {app: web}}\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}"
    )
    found = read(text)
    assert found.policy() == Policy()
    labels = {"app": "web", "version": "v1"}
    chosen = found.resources.policy("cart", "shop", "1.31", client_namespace="shop", client_labels=labels)
    assert chosen.load_balancer == "RANDOM"
    assert found.warnings == (
        (
            "mesh.yaml:6: DestinationRule/cart: spec.workloadSelector: "
            "the DestinationRule serves only clients with these labels, and has no effect in meshsim yet"
        ),
    )


# --- what versions of Istio do not have -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "policy", "field"),
    [
        ("1.26", "retryBudget: {percent: 50}", "retryBudget"),
        ("1.30", "loadBalancer: {zoneAwareLbSetting: {enabled: true}}", "loadBalancer.zoneAwareLbSetting"),
    ],
)
def test_fields_that_the_version_does_not_have_are_named(version, policy, field, read, rule):
    # spec §0.1
    found = read(rule(policy), version=version)
    assert found.policy().zone_aware is None
    assert found.policy().retry_budget in {None, RetryBudget()}
    where = f"mesh.yaml:7: DestinationRule/cart: spec.trafficPolicy.{field}"
    assert found.warnings == (f"{where}: has no effect: Istio {version} does not have it",)
