"""Every modelled field of DestinationRule, VirtualService and MeshConfig, from YAML to the policy."""

from __future__ import annotations

from dataclasses import fields

import pytest

from meshsim.scenario.istio import CircuitBreaker, Locality, OutlierDetection, Policy, Retry
from meshsim.scenario.istio.resolve import DEFAULT

UNLIMITED = 2**32 - 1


def value(policy, name):
    for part in name.split("."):
        policy = getattr(policy, part)
    return policy


# --- DestinationRule ------------------------------------------------------------------------------------------

RULES = [
    # spec §2.2-2.5
    ("§2.2", "loadBalancer: {simple: ROUND_ROBIN}", "load_balancer", "ROUND_ROBIN"),
    ("§2.5", "loadBalancer: {simple: RANDOM}", "load_balancer", "RANDOM"),
    ("§2.4", "loadBalancer: {simple: LEAST_REQUEST}", "load_balancer", "LEAST_REQUEST"),
    ("§2.4", "loadBalancer: {simple: LEAST_CONN}", "load_balancer", "LEAST_REQUEST"),
    ("§2.4", "loadBalancer: {simple: UNSPECIFIED}", "load_balancer", "LEAST_REQUEST"),
    # spec §3.1
    ("§3.1", "connectionPool: {tcp: {maxConnections: 7}}", "circuit_breaker.max_connections", 7),
    ("§3.1", "connectionPool: {http: {http1MaxPendingRequests: 7}}", "circuit_breaker.max_pending_requests", 7),
    ("§3.1", "connectionPool: {http: {http2MaxRequests: 7}}", "circuit_breaker.max_requests", 7),
    ("§3.1", "connectionPool: {http: {maxRetries: 7}}", "circuit_breaker.max_retries", 7),
    ("§3.1", "connectionPool: {tcp: {connectTimeout: 30ms}}", "connect_timeout", 0.03),
    ("§3.1: 0 is unset", "connectionPool: {tcp: {maxConnections: 0}}", "circuit_breaker.max_connections", UNLIMITED),
    ("§3.1: 0 is unset", "connectionPool: {http: {maxRetries: 0}}", "circuit_breaker.max_retries", UNLIMITED),
    # spec §3.2
    ("§3.2: a block without fields is on", "outlierDetection: {}", "outlier_detection", OutlierDetection()),
    ("§3.2", "outlierDetection: {consecutive5xxErrors: 1}", "outlier_detection.consecutive_5xx", 1),
    ("§3.2: 0 is off", "outlierDetection: {consecutive5xxErrors: 0}", "outlier_detection.consecutive_5xx", 0),
    ("§3.2", "outlierDetection: {consecutiveGatewayErrors: 3}", "outlier_detection.consecutive_gateway_errors", 3),
    ("§3.2", "outlierDetection: {interval: 1s}", "outlier_detection.interval", 1.0),
    ("§3.2", "outlierDetection: {baseEjectionTime: 3m}", "outlier_detection.base_ejection_time", 180.0),
    ("§3.2: max(300, base)", "outlierDetection: {baseEjectionTime: 3m}", "outlier_detection.max_ejection_time", 300.0),
    ("§3.2: max(300, base)", "outlierDetection: {baseEjectionTime: 15m}", "outlier_detection.max_ejection_time", 900.0),
    ("§3.2", "outlierDetection: {maxEjectionPercent: 100}", "outlier_detection.max_ejection_percent", 100),
    ("§0.7: 0 is unset", "outlierDetection: {maxEjectionPercent: 0}", "outlier_detection.max_ejection_percent", 10),
    ("§0.10", "outlierDetection: {minHealthPercent: 40}", "panic_threshold", 40),
    ("§0.10", "outlierDetection: {}", "panic_threshold", 0),
    (
        "§3.2",
        "outlierDetection: {splitExternalLocalOriginErrors: true}",
        "outlier_detection.split_external_local_origin_errors",
        True,
    ),
    (
        "§3.2",
        "outlierDetection: {consecutiveLocalOriginFailures: 2}",
        "outlier_detection.consecutive_local_origin_failures",
        2,
    ),
    (
        "§3.2: 0 is unset",
        "outlierDetection: {consecutiveLocalOriginFailures: 0}",
        "outlier_detection.consecutive_local_origin_failures",
        5,
    ),
    # spec §2.9
    ("§2.9d", "loadBalancer: {localityLbSetting: {enabled: false}}", "locality.enabled", False),
    ("§2.9d", "loadBalancer: {localityLbSetting: {}}", "locality.enabled", True),
    (
        "§2.9a",
        "loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}, {from: us, to: eu}]}}",
        "locality.failover",
        (("eu", "us"), ("us", "eu")),
    ),
    (
        "§2.9b",
        "loadBalancer: {localityLbSetting: {failoverPriority: [topology.istio.io/network]}}",
        "locality.failover_priority",
        ("topology.istio.io/network",),
    ),
    (
        "§2.9c",
        "loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {eu/*: 80, us/*: 20}}]}}",
        "locality.distribute",
        (("eu/*", (("eu/*", 80), ("us/*", 20))),),
    ),
]


@pytest.mark.parametrize(
    ("paragraph", "policy", "name", "expected"), RULES, ids=[f"{p} {y}"[:70] for p, y, *_ in RULES]
)
def test_destination_rule_fields(paragraph, policy, name, expected, read, rule):
    found = value(read(rule(policy)).policy(), name)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected), paragraph


def test_fields_of_a_destination_rule_do_not_touch_each_other(read, rule):
    policy = read(rule("outlierDetection: {interval: 1s}")).policy()
    assert policy == Policy(outlier_detection=OutlierDetection(interval=1.0))


def test_the_other_services_keep_the_defaults(read, rule):
    assert read(rule("outlierDetection: {}")).policy("web") == Policy()


def test_outlier_detection_switches_locality_failover_on_and_panic_off_in_every_version(read, rule):
    policy = read(rule("outlierDetection: {}")).policy(version="1.22")
    assert policy.locality_failover
    assert policy.panic_threshold == 0


# --- VirtualService -------------------------------------------------------------------------------------------

DEFAULT_CONDITIONS = Retry().conditions

ROUTES = [
    ("§3.4", "timeout: 3s", "timeout", 3.0),
    ("§3.4: 0 is off", "timeout: 0s", "timeout", None),
    ("§3.3", "retries: {attempts: 5}", "retry.attempts", 5),
    ("§3.3", "retries: {attempts: 0}", "retry.attempts", 0),
    ("retry.go: no attempts is off", "retries: {}", "retry.attempts", 0),
    ("§3.3: no retryOn keeps the default", "retries: {attempts: 5}", "retry.conditions", DEFAULT_CONDITIONS),
    (
        "§3.3: no retryOn keeps the default",
        "retries: {attempts: 5, retryOn: ''}",
        "retry.conditions",
        DEFAULT_CONDITIONS,
    ),
    ("§3.3", "retries: {attempts: 1, retryOn: '5xx, reset'}", "retry.conditions", ("5xx", "reset")),
    (
        "§3.3: integers are codes",
        "retries: {attempts: 1, retryOn: 'reset,503,504'}",
        "retry.conditions",
        ("reset", "retriable-status-codes"),
    ),
    ("§3.3: integers are codes", "retries: {attempts: 1, retryOn: 'reset,503,504'}", "retry.status_codes", (503, 504)),
    ("§3.3", "retries: {attempts: 1, perTryTimeout: 2s}", "retry.per_try_timeout", 2.0),
    ("§3.3", "retries: {attempts: 1, backoff: 100ms}", "retry.base_interval", 0.1),
    ("§3.3: ten times the base", "retries: {attempts: 1, backoff: 100ms}", "retry.max_interval", 1.0),
    (
        "§2.1",
        "retries: {attempts: 1, retryIgnorePreviousHosts: false}",
        "retry.avoid_previous_hosts",
        False,
    ),
]


@pytest.mark.parametrize(
    ("paragraph", "body", "name", "expected"), ROUTES, ids=[f"{p} {y}"[:70] for p, y, *_ in ROUTES]
)
def test_virtual_service_fields(paragraph, body, name, expected, read, route):
    found = value(read(route(body)).policy(), name)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected), paragraph


def test_retry_on_without_codes_forgets_the_503_of_old_versions(read, route):
    # spec §0.1: the default has it up to 1.23, and a retryOn of one's own replaces it
    assert read(route("retries: {attempts: 1}")).policy(version="1.23").retry.status_codes == (503,)
    assert read(route("retries: {attempts: 1, retryOn: reset}")).policy(version="1.23").retry.status_codes == ()


# --- MeshConfig -----------------------------------------------------------------------------------------------


def test_mesh_retries_serve_routes_without_their_own(read, route):
    # spec §3.3
    both = read(route("retries: {attempts: 7}"), mesh="defaultHttpRetryPolicy: {attempts: 4, retryOn: 5xx}")
    assert both.policy("web").retry == Retry(attempts=4, conditions=("5xx",))
    assert both.policy("cart").retry == Retry(attempts=7)


def test_an_empty_mesh_retry_policy_switches_retries_off(read):
    found = read(mesh="defaultHttpRetryPolicy: {}")
    assert found.policy().retry.attempts == 0
    assert found.warnings == (
        (
            "scenario.yaml:1: MeshConfig: defaultHttpRetryPolicy: "
            "switches retries off, in Istio too: attempts is 0 or missing"
        ),
    )


def test_mesh_connect_timeout_gives_way_to_the_destination_rules(read, rule):
    found = read(rule("connectionPool: {tcp: {connectTimeout: 1s}}"), mesh="connectTimeout: 5s")
    assert (found.policy("cart").connect_timeout, found.policy("web").connect_timeout) == (1.0, 5.0)


def test_a_locality_setting_of_a_destination_rule_replaces_the_meshs_entirely(read, rule):
    # spec §2.9d
    mesh = "localityLbSetting: {enabled: false, failover: [{from: eu, to: us}]}"
    found = read(rule("loadBalancer: {localityLbSetting: {}}\noutlierDetection: {}"), mesh=mesh)
    assert found.policy("cart").locality == Locality()
    assert found.policy("web").locality == Locality(enabled=False, failover=(("eu", "us"),))


MESH_POLICY = """
defaultTrafficPolicy:
  outlierDetection: {consecutive5xxErrors: 3, minHealthPercent: 20}
  connectionPool: {tcp: {maxConnections: 9, connectTimeout: 2s}}
"""


def test_the_mesh_wide_traffic_policy_fills_blocks_that_the_destination_rule_leaves_away(read, rule):
    # spec §1
    found = read(rule("connectionPool: {http: {maxRetries: 1}}"), mesh=MESH_POLICY)
    cart, web = found.policy("cart"), found.policy("web")
    assert cart.circuit_breaker == CircuitBreaker(max_retries=1)
    assert web.circuit_breaker == CircuitBreaker(max_connections=9)
    assert (cart.connect_timeout, web.connect_timeout) == (10.0, 2.0)
    assert cart.outlier_detection == web.outlier_detection == OutlierDetection(consecutive_5xx=3)
    assert cart.panic_threshold == 20


def test_mesh_wide_outlier_detection_alone_gives_no_locality_failover(read, rule):
    # spec §1: endpoints are ranked by what the DestinationRule says
    policy = read(mesh=MESH_POLICY).policy()
    assert policy.outlier_detection_by_mesh
    assert not policy.locality_failover
    assert read(rule("outlierDetection: {}"), mesh=MESH_POLICY).policy().locality_failover


def test_the_mesh_wide_traffic_policy_is_new_in_1_31(read):
    # spec §0.1
    found = read(mesh=MESH_POLICY, version="1.30")
    assert found.policy() == Policy(panic_threshold=50)
    assert found.warnings == (
        "scenario.yaml:1: MeshConfig: defaultTrafficPolicy: has no effect: Istio 1.30 does not have it",
    )


# --- sources --------------------------------------------------------------------------------------------------


def leaves(policy):
    for part in fields(policy):
        inner = getattr(policy, part.name)
        if isinstance(inner, (Retry, Locality, CircuitBreaker, OutlierDetection)):
            yield from (f"{part.name}.{leaf.name}" for leaf in fields(inner))
        elif part.name not in {"sources", "outlier_detection_by_mesh"}:
            yield part.name


EVERYTHING = """
loadBalancer:
  simple: RANDOM
  localityLbSetting: {enabled: true, failover: [{from: eu, to: us}], failoverPriority: [a]}
connectionPool:
  tcp: {maxConnections: 1, connectTimeout: 1s}
  http: {http1MaxPendingRequests: 1, http2MaxRequests: 1, maxRetries: 1}
outlierDetection:
  consecutive5xxErrors: 1
  consecutiveGatewayErrors: 1
  consecutiveLocalOriginFailures: 1
  splitExternalLocalOriginErrors: true
  interval: 1s
  baseEjectionTime: 1s
  maxEjectionPercent: 1
  minHealthPercent: 1
"""


@pytest.mark.parametrize("policy", ["{}", EVERYTHING], ids=["nothing", "everything"])
def test_every_setting_has_a_source(policy, read, rule, route):
    found = read(rule(policy) + "---\n" + route("timeout: 1s")).policy()
    assert set(leaves(found)) - set(found.sources) == set()


def test_sources_name_the_resource_with_file_and_line(read, rule, route):
    text = rule(EVERYTHING) + "---\n" + route("timeout: 1s\nretries: {attempts: 1, retryOn: reset, backoff: 1s}")
    sources = read(text, mesh="localityLbSetting: {}\nconnectTimeout: 4s").policy().sources
    assert sources["load_balancer"] == "DestinationRule shop/cart (mesh.yaml:8)"
    assert sources["outlier_detection.interval"] == "DestinationRule shop/cart (mesh.yaml:18)"
    assert sources["panic_threshold"] == "DestinationRule shop/cart (mesh.yaml:21)"
    assert sources["timeout"] == "VirtualService shop/cart (mesh.yaml:31)"
    assert sources["retry.conditions"] == "VirtualService shop/cart (mesh.yaml:32)"
    assert sources["retry.host_attempts"] == DEFAULT
    defaults = {name for name, source in sources.items() if source == DEFAULT}
    assert defaults == {
        "locality.distribute",
        "outlier_detection.max_ejection_time",
        "retry.avoid_previous_hosts",
        "retry.host_attempts",
        "retry.per_try_timeout",
    }


def test_sources_name_the_mesh_config(read):
    assert read(mesh="connectTimeout: 4s").policy().sources["connect_timeout"] == "MeshConfig (scenario.yaml:1)"


def test_a_zero_that_istio_takes_for_nothing_is_not_named_as_a_source(read, rule):
    sources = read(rule("connectionPool: {tcp: {maxConnections: 0}}")).policy().sources
    assert sources["circuit_breaker.max_connections"] == DEFAULT
