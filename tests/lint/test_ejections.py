"""Ejections that never happen, or do more than they seem to."""

from __future__ import annotations

from typing import Any

from tests.lint.conftest import NETWORKS, Told, rule


def ejecting(**fields: Any) -> dict[str, Any]:
    return rule({"outlierDetection": fields})


def test_a_percentage_of_few_hosts_ejects_nothing(told: Told) -> None:
    assert told(ejecting())["MS201"] == [
        (
            "maxEjectionPercent 10, the default, of the 4 hosts of cart that clients in eu-1 and us-1 see is none: "
            "nothing "
            "is ever ejected"
        )
    ]
    assert "MS201" in told(ejecting(maxEjectionPercent=24))
    assert "MS201" not in told(ejecting(maxEjectionPercent=25))


def test_a_gateway_counts_as_one_host(told: Told) -> None:
    assert "the 3 hosts" in told(ejecting(maxEjectionPercent=33), **NETWORKS)["MS201"][0]
    assert "MS201" not in told(ejecting(maxEjectionPercent=34), **NETWORKS)


def test_failover_stays_partial_below_a_hundred_percent(told: Told) -> None:
    many = {"services": {"cart": {"replicas": 4}}}
    found = told(ejecting(maxEjectionPercent=13), **many)["MS202"]
    assert found == [
        (
            "clients in eu-1 and us-1 can eject 1 of the 2 nearest hosts of cart: when all of them fail, 70 % of the "
            "requests "
            "stay there"
        )
    ]
    assert "MS202" not in told(ejecting(maxEjectionPercent=100), **many)


def test_min_health_percent_brings_ejected_hosts_back(told: Told) -> None:
    plain = {"mesh_config": {"localityLbSetting": {"enabled": False}}}
    found = told(ejecting(maxEjectionPercent=100, minHealthPercent=50), **plain)["MS203"]
    assert found[0].startswith("minHealthPercent 50: when 3 of the 4 hosts of cart")
    assert "MS203" not in told(ejecting(maxEjectionPercent=50, minHealthPercent=50), **plain)


#: Clients of one version see three of the six pods as the nearest, by their label.
BY_VERSION = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["version"]}}}
VERSIONS = {
    "services": {
        "web": {"workloads": {"web-v1": {}}},
        "cart": {"workloads": {name: {"replicas": {"eu-1": 3}} for name in ("cart-v1", "cart-v2")}},
    }
}


def test_failover_by_the_clients_label_stays_partial(told: Told) -> None:
    found = told(rule(BY_VERSION | {"outlierDetection": {"maxEjectionPercent": 34}}), **VERSIONS)["MS202"]
    assert len(found) == 1
    assert found[0].startswith("clients in eu-1 and us-1 can eject 2 of the 3 nearest hosts of cart")


def test_pods_with_another_label_than_the_client_keep_it_from_panic(told: Told) -> None:
    detection = {"outlierDetection": {"maxEjectionPercent": 100, "minHealthPercent": 50}}
    assert "MS203" not in told(rule(BY_VERSION | detection), **VERSIONS)
    by_given = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["app=cart"]}}}
    assert "MS203" in told(rule(by_given | detection), **VERSIONS)


def test_gateways_hide_pods_from_outlier_detection(told: Told) -> None:
    assert "gateways in place of 2 pods of cart" in told(ejecting(maxEjectionPercent=100), **NETWORKS)["MS204"][0]
    assert "MS204" not in told(ejecting(maxEjectionPercent=100))


def test_hosts_return_at_ticks_of_the_interval(told: Told) -> None:
    assert "MS205" in told(ejecting(interval="30s", baseEjectionTime="5s"))
    assert "MS205" not in told(ejecting(interval="5s", baseEjectionTime="5s"))


def test_gateway_errors_beyond_the_count_of_5xx_change_nothing(told: Told) -> None:
    assert "MS206" in told(ejecting(consecutiveGatewayErrors=5))
    assert "MS206" not in told(ejecting(consecutiveGatewayErrors=5, consecutive5xxErrors=0))
    assert "MS206" not in told(ejecting(consecutiveGatewayErrors=3))


def test_outlier_detection_without_detector_is_told_once(told: Told) -> None:
    found = told(ejecting(consecutive5xxErrors=0))
    assert "MS207" in found
    assert "MS201" not in found
    assert "MS207" not in told(ejecting(consecutive5xxErrors=0, splitExternalLocalOriginErrors=True))


def test_local_origin_failures_need_the_split(told: Told) -> None:
    assert "MS208" in told(ejecting(consecutiveLocalOriginFailures=2))
    assert "MS208" not in told(ejecting(consecutiveLocalOriginFailures=2, splitExternalLocalOriginErrors=True))


def test_the_only_host_may_be_ejected(told: Told) -> None:
    one = {"services": {"cart": {"replicas": {"eu-1": 1}}}}
    assert "503 UH" in told(ejecting(maxEjectionPercent=100), **one)["MS209"][0]
    assert "MS209" not in told(ejecting(maxEjectionPercent=100))
