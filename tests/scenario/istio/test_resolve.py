"""Every modelled field of DestinationRule, VirtualService and MeshConfig, from YAML to the policy."""

from __future__ import annotations

from dataclasses import fields

import pytest

from meshsim.scenario.istio import CircuitBreaker, Locality, OutlierDetection, Policy
from meshsim.scenario.istio.balancing import SAME_NODE, SAME_ZONE
from meshsim.scenario.istio.policy import ConnectionPool, HashPolicy, RetryBudget, Warmup, ZoneAware
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
    ("§2.5", "loadBalancer: {simple: PASSTHROUGH}", "load_balancer", "PASSTHROUGH"),
    ("§2.5", "loadBalancer: {consistentHash: {httpHeaderName: x}}", "load_balancer", "RING_HASH"),
    ("§2.5", "loadBalancer: {consistentHash: {httpHeaderName: x}}", "hash", HashPolicy("header", "x")),
    (
        "§2.5",
        "loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}}}",
        "hash",
        HashPolicy("cookie", "c", ttl=0.0),
    ),
    ("§2.5", "loadBalancer: {consistentHash: {useSourceIp: true}}", "hash", HashPolicy("source_ip")),
    ("§2.5", "loadBalancer: {consistentHash: {httpQueryParameterName: q}}", "hash", HashPolicy("query", "q")),
    ("§2.5: no key", "loadBalancer: {consistentHash: {useSourceIp: false}}", "hash", HashPolicy("none")),
    (
        "§2.5",
        "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 64}}}",
        "hash.minimum_ring_size",
        64,
    ),
    (
        "§2.5: old field",
        "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 64}}",
        "hash.minimum_ring_size",
        64,
    ),
    (
        "§2.5: 0 is unset",
        "loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 0}}}",
        "hash.minimum_ring_size",
        1024,
    ),
    ("§2.5", "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}", "load_balancer", "MAGLEV"),
    ("§2.5", "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}", "hash.table_size", 65537),
    (
        "§2.5",
        "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}}",
        "hash.table_size",
        251,
    ),
    ("§2.5", "loadBalancer: {warmup: {duration: 1m}}", "warmup", Warmup(60.0, 10.0, 1.0)),
    (
        "§2.5",
        "loadBalancer: {warmup: {duration: 1m, minimumPercent: 5, aggression: 2.5}}",
        "warmup",
        Warmup(60.0, 5.0, 2.5),
    ),
    ("§8: old field", "loadBalancer: {warmupDurationSecs: 30s}", "warmup", Warmup(30.0)),
    ("§2.5", "loadBalancer: {simple: RANDOM, warmup: {duration: 1m}}", "warmup", None),
    # spec §2.8
    ("§2.8", "loadBalancer: {zoneAwareLbSetting: {enabled: true}}", "zone_aware", ZoneAware()),
    (
        "§2.8",
        "loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 2}}",
        "zone_aware.min_cluster_size",
        2,
    ),
    ("§2.8: off by default", "loadBalancer: {zoneAwareLbSetting: {minClusterSize: 2}}", "zone_aware", None),
    ("§2.8", "loadBalancer: {zoneAwareLbSetting: {enabled: false}}", "zone_aware", None),
    # spec §3.6
    ("§3.6", "tls: {mode: DISABLE}", "tls", False),
    ("§3.6: DISABLE is the mode of a block without one", "tls: {sni: a}", "tls_mode", "DISABLE"),
    ("§3.6", "tls: {mode: SIMPLE}", "tls_mode", "SIMPLE"),
    ("§3.6", "tls: {mode: ISTIO_MUTUAL}", "tls", True),
    # spec §3.1
    (
        "§3.1",
        "connectionPool: {http: {maxRequestsPerConnection: 10}}",
        "connection_pool.max_requests_per_connection",
        10,
    ),
    ("§3.1", "connectionPool: {http: {maxConcurrentStreams: 10}}", "connection_pool.max_concurrent_streams", 10),
    (
        "§3.1: 0 is unset",
        "connectionPool: {http: {maxConcurrentStreams: 0}}",
        "connection_pool.max_concurrent_streams",
        1024,
    ),
    ("§3.1", "connectionPool: {http: {idleTimeout: 1m}}", "connection_pool.idle_timeout", 60.0),
    ("§3.1", "connectionPool: {tcp: {idleTimeout: 1m}}", "connection_pool.tcp_idle_timeout", 60.0),
    ("§3.1: of HTTP, too", "connectionPool: {tcp: {idleTimeout: 1m}}", "connection_pool.idle_timeout", 60.0),
    (
        "§3.1: HTTP has its own",
        "connectionPool: {tcp: {idleTimeout: 1m}, http: {idleTimeout: 2m}}",
        "connection_pool.idle_timeout",
        120.0,
    ),
    ("§3.1", "connectionPool: {tcp: {maxConnectionDuration: 1h}}", "connection_pool.max_connection_duration", 3600.0),
    ("§3.1", "connectionPool: {http: {h2UpgradePolicy: UPGRADE}}", "connection_pool.h2_upgrade", True),
    ("§3.1", "connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}", "connection_pool.h2_upgrade", False),
    ("§3.1", "connectionPool: {http: {useClientProtocol: true}}", "connection_pool.use_client_protocol", True),
    ("§3.1", "retryBudget: {}", "retry_budget", RetryBudget(20.0, 3, 0.0)),
    ("§3.1", "retryBudget: {percent: 12.5, minRetryConcurrency: 7}", "retry_budget", RetryBudget(12.5, 7)),
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


@pytest.mark.parametrize(("version", "streams"), [("1.27", 2**31 - 1), ("1.28", 1024)])
def test_an_http2_connection_carries_1024_requests_since_envoy_1_36(read, rule, version, streams):
    # istio#57968; Envoy's release notes of 1.36.0
    policy = read(rule("connectionPool: {http: {maxConcurrentStreams: 0}}")).policy(version=version)
    assert policy.connection_pool.max_concurrent_streams == streams


def test_outlier_detection_switches_locality_failover_on_and_panic_off_in_every_version(read, rule):
    policy = read(rule("outlierDetection: {}")).policy(version="1.22")
    assert policy.locality_failover
    assert policy.panic_threshold == 0


# --- MeshConfig -----------------------------------------------------------------------------------------------


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
    assert found.policy() == Policy(panic_threshold=50, unready_endpoints=False)
    assert found.warnings == (
        "scenario.yaml:1: MeshConfig: defaultTrafficPolicy: has no effect: Istio 1.30 does not have it",
    )


@pytest.mark.parametrize(
    ("mesh", "rule_says", "upgraded"),
    [
        ("UPGRADE", None, True),
        ("UPGRADE", "DEFAULT", True),
        ("UPGRADE", "DO_NOT_UPGRADE", False),
        ("DO_NOT_UPGRADE", "UPGRADE", True),
    ],
)
def test_the_mesh_upgrades_to_http_2_where_the_destination_rule_leaves_it_to_it(mesh, rule_says, upgraded, read, rule):
    # spec §3.1
    body = f"connectionPool: {{http: {{h2UpgradePolicy: {rule_says}}}}}" if rule_says else "{}"
    assert read(rule(body), mesh=f"h2UpgradePolicy: {mesh}").policy().connection_pool.h2_upgrade is upgraded


def test_without_automatic_mutual_tls_only_a_destination_rule_asks_for_it(read, rule):
    found = read(rule("tls: {mode: ISTIO_MUTUAL}"), mesh="enableAutoMtls: false")
    assert (found.policy("cart").tls, found.policy("web").tls) == (True, False)
    assert found.policy("web").sources["tls"] == "MeshConfig (scenario.yaml:1)"


MESH_LOCALITY = """
zoneAwareLbSetting: {enabled: true}
localityLbSetting: {failover: [{from: eu, to: us}]}
"""
OWN_LOCALITY = "loadBalancer: {localityLbSetting: {failoverPriority: [a]}}\noutlierDetection: {}"
OWN_ZONES = "loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 9}, localityLbSetting: {}}"


@pytest.mark.parametrize(
    ("policy", "distribution", "zones", "priority", "failover"),
    [
        (OWN_ZONES, "PreferClose", ZoneAware(min_cluster_size=9), (), ()),
        (OWN_LOCALITY, "PreferClose", None, ("a",), ()),
        ("{}", "PreferClose", None, SAME_ZONE, ()),
        ("{}", "PreferSameNode", None, SAME_NODE, ()),
        ("{}", "", ZoneAware(), (), (("eu", "us"),)),
    ],
    ids=["zones of the rule", "locality of the rule", "Service", "Service, node", "mesh"],
)
def test_spec_2_9d_precedence_of_locality_settings(policy, distribution, zones, priority, failover, read, rule):
    preferences = {("cart", "shop"): distribution} if distribution else {}
    found = read(rule(policy), mesh=MESH_LOCALITY, traffic_distributions=preferences).policy()
    assert found.zone_aware == zones
    assert (found.locality.failover_priority, found.locality.failover) == (priority, failover)


@pytest.mark.parametrize(("version", "sent"), [("1.30", False), ("1.31", True)])
def test_spec_0_20_pods_that_are_not_ready_are_sent_from_1_31_or_for_traffic_distribution(version, sent, read):
    found = read(traffic_distributions={("cart", "shop"): "PreferClose"}, version=version)
    assert (found.policy("web").unready_endpoints, found.policy("cart").unready_endpoints) == (sent, True)
    assert (found.policy("web").panic_threshold, found.policy("cart").panic_threshold) == (0 if sent else 50, 0)


def test_proxies_route_by_zone_only_if_they_know_their_own_service(read, rule):
    # spec §2.8
    text = rule("loadBalancer: {zoneAwareLbSetting: {enabled: true}}")
    metadata = "defaultConfig: {proxyMetadata: {ISTIO_META_ENABLE_SELF_DISCOVERY: 'true'}}"
    assert not read(text).policy().zone_aware.self_discovery
    assert read(text, mesh=metadata).policy().zone_aware.self_discovery
    assert read(text, mesh=metadata).warnings == ()
    assert read(text).warnings == (
        (
            "mesh.yaml:7: DestinationRule/cart: spec.trafficPolicy.loadBalancer.zoneAwareLbSetting: prefers regions "
            "only, in Istio too: zones need ISTIO_META_ENABLE_SELF_DISCOVERY: 'true' in defaultConfig.proxyMetadata"
        ),
    )


@pytest.mark.parametrize(
    ("host", "local"),
    [("cart.shop.svc.cluster.local", ["cart"]), ("'*.shop.svc.cluster.local'", ["cart", "web"]), ("'*'", None)],
)
def test_services_that_the_mesh_keeps_within_a_cluster(host, local, read):
    # spec §4.2
    found = read(mesh=f"serviceSettings: [{{settings: {{clusterLocal: true}}, hosts: [{host}]}}]")
    homes = [("cart", "shop"), ("web", "shop"), ("ledger", "bank")]
    kept = [name for name, home in homes if found.policy(name, home).cluster_local]
    assert kept == (local or ["cart", "web", "ledger"])
    assert found.warnings == ()


# --- sources --------------------------------------------------------------------------------------------------


def leaves(policy):
    for part in fields(policy):
        inner = getattr(policy, part.name)
        if isinstance(inner, (ConnectionPool, Locality, CircuitBreaker, OutlierDetection, RetryBudget, ZoneAware)):
            yield from (f"{part.name}.{leaf.name}" for leaf in fields(inner))
        elif part.name not in {"sources", "outlier_detection_by_mesh"}:
            yield part.name


EVERYTHING = """
loadBalancer:
  consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 64}}
  zoneAwareLbSetting: {enabled: true, failover: [{from: eu, to: us}], failoverPriority: [a], minClusterSize: 3}
  localityLbSetting: {enabled: true, failover: [{from: eu, to: us}], failoverPriority: [a]}
tls: {mode: SIMPLE}
retryBudget: {percent: 10, minRetryConcurrency: 1, budgetInterval: 1s}
connectionPool:
  tcp: {maxConnections: 1, connectTimeout: 1s, idleTimeout: 1m, maxConnectionDuration: 1h}
  http:
    http1MaxPendingRequests: 1
    http2MaxRequests: 1
    maxRetries: 1
    maxRequestsPerConnection: 1
    maxConcurrentStreams: 1
    idleTimeout: 1m
    h2UpgradePolicy: UPGRADE
    useClientProtocol: true
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
    found = read(rule(policy)).policy()
    assert set(leaves(found)) - set(found.sources) == set()


def test_sources_name_the_resource_with_file_and_line(read, rule, route):
    sources = read(rule(EVERYTHING), mesh="localityLbSetting: {}\nconnectTimeout: 4s").policy().sources
    assert sources["load_balancer"] == "DestinationRule shop/cart (mesh.yaml:8)"
    assert sources["tls"] == "DestinationRule shop/cart (mesh.yaml:11)"
    assert sources["connection_pool.h2_upgrade"] == "DestinationRule shop/cart (mesh.yaml:22)"
    assert sources["panic_threshold"] == "DestinationRule shop/cart (mesh.yaml:32)"
    defaults = {name for name, source in sources.items() if source == DEFAULT}
    assert defaults == {
        "cluster_local",
        "locality.distribute",
        "locality.forced",
        "outlier_detection.max_ejection_time",
        "unready_endpoints",
        "warmup",
        "zone_aware.self_discovery",
    }


def test_sources_name_the_mesh_config(read):
    assert read(mesh="connectTimeout: 4s").policy().sources["connect_timeout"] == "MeshConfig (scenario.yaml:1)"


def test_a_zero_that_istio_takes_for_nothing_is_not_named_as_a_source(read, rule):
    sources = read(rule("connectionPool: {tcp: {maxConnections: 0}}")).policy().sources
    assert sources["circuit_breaker.max_connections"] == DEFAULT
