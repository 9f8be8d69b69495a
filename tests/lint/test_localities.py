"""Failover and weights of localities that do nothing."""

from __future__ import annotations

from typing import Any

from tests.lint.conftest import NETWORKS, Told, rule

EJECTING = {"outlierDetection": {"maxEjectionPercent": 100}}


def local(**setting: Any) -> dict[str, Any]:
    return {"loadBalancer": {"localityLbSetting": setting}}


FAILOVER = local(failover=[{"from": "eu", "to": "us"}])


def test_failover_without_outlier_detection_is_inert(told: Told) -> None:
    assert told(rule(FAILOVER))["MS101"] == [
        "failover does nothing for cart: without outlierDetection there are no locality priorities"
    ]
    assert "MS101" in told(rule(local(failoverPriority=["topology.istio.io/cluster"])))
    assert "MS101" in told(rule(local(enabled=True)))
    assert "MS101" not in told(rule(FAILOVER | EJECTING))
    assert "MS101" not in told(rule(local(enabled=False)))


def test_failover_of_the_mesh_is_inert_if_no_service_has_outlier_detection(told: Told) -> None:
    mesh = {"localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]}}
    assert told(mesh_config=mesh)["MS101"][0].startswith("failover does nothing for any service")
    assert "MS101" not in told(rule(EJECTING), mesh_config=mesh)


def test_outlier_detection_of_the_mesh_switches_no_failover_on(told: Told) -> None:
    mesh = {"defaultTrafficPolicy": {"outlierDetection": {}}}
    assert "MS102" in told(rule(FAILOVER), mesh_config=mesh)
    assert "MS102" not in told(rule(FAILOVER | EJECTING), mesh_config=mesh)


def test_distribute_leaves_no_failover(told: Told) -> None:
    own = local(distribute=[{"from": "eu", "to": {"eu": 100}}, {"from": "us", "to": {"us": 100}}])
    assert "clients in eu and us do not fail over" in told(rule(own | EJECTING))["MS103"][0]
    assert "MS103" not in told(rule(own)), "without outlier detection nobody asks for failover"
    both = local(distribute=[{"from": "*", "to": {"eu": 80, "us": 20}}])
    assert "MS103" not in told(rule(both | EJECTING))


def test_distribute_takes_the_place_of_failover_priority(told: Told) -> None:
    both = local(distribute=[{"from": "*", "to": {"eu": 80, "us": 20}}], failoverPriority=["topology.istio.io/cluster"])
    assert told(rule(both))["MS103"] == ["failoverPriority does nothing for cart: distribute takes its place"]


def test_localities_that_match_nothing_are_told_with_the_nearest_name(told: Told) -> None:
    found = told(rule(local(failover=[{"from": "eu", "to": "uss"}]) | EJECTING))["MS104"]
    assert found == ["failover: 'uss' is no region of the scenario; did you mean 'us'? (one of eu, us)"]
    found = told(rule(local(distribute=[{"from": "eu/c", "to": {"eu/a/x": 100}}])))["MS104"]
    assert found[0] == "distribute: 'eu/c' is no zone of the scenario (one of a, b)"
    assert found[1] == "distribute: 'eu/a/x' matches nothing: nodes of a scenario have no subzones"
    assert "MS104" not in told(rule(local(distribute=[{"from": "eu/*", "to": {"*": 100}}])))


def test_failover_to_a_region_without_pods_is_told(told: Told) -> None:
    here = {"services": {"cart": {"replicas": {"eu-1": 2}}}}
    assert "has no pods in 'us'" in told(rule(FAILOVER | EJECTING), **here)["MS104"][0]
    assert "MS104" not in told(rule(FAILOVER | EJECTING))


def test_labels_of_failover_priority_that_nobody_has_rank_nothing(told: Told) -> None:
    assert "ranks nothing" in told(rule(local(failoverPriority=["tier"]) | EJECTING))["MS105"][0]
    assert "matches no pod" in told(rule(local(failoverPriority=["tier=gold"]) | EJECTING))["MS105"][0]
    assert "MS105" not in told(rule(local(failoverPriority=["app", "topology.istio.io/cluster"]) | EJECTING))


def test_labels_that_gateways_lack_are_told_where_there_are_gateways(told: Told) -> None:
    zones = rule(local(failoverPriority=["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]) | EJECTING)
    assert "carries only cluster and network labels" in told(zones, **NETWORKS)["MS106"][0]
    assert "MS106" not in told(zones)
    assert "MS106" not in told(rule(local(failoverPriority=["topology.istio.io/network"]) | EJECTING), **NETWORKS)


def test_zone_aware_routing_takes_the_place_of_locality_settings(told: Told) -> None:
    both = {"loadBalancer": {"zoneAwareLbSetting": {"enabled": True}, **FAILOVER["loadBalancer"]}}
    assert "MS107" in told(rule(both | EJECTING))
    assert "MS107" not in told(rule(both | EJECTING), istio_version="1.30")


def test_traffic_distribution_gives_way_to_locality_settings(told: Told) -> None:
    close = {"services": {"cart": {"traffic_distribution": "PreferClose"}}}
    assert "MS108" in told(rule(FAILOVER | EJECTING), **close)
    assert "MS108" in told(rule(local(failoverPriority=["topology.istio.io/network"]) | EJECTING), **close)
    assert "MS108" not in told(rule(EJECTING), **close)
