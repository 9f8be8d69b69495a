"""Services of one name in several clusters."""

from __future__ import annotations

from tests.lint.conftest import Told

APART = {
    "old": {"labels": {"app": "basket"}, "replicas": {"eu-1": 1}},
    "new": {"labels": {"app": "cart"}, "replicas": {"us-1": 1}},
}
LOCAL = {"mesh_config": {"serviceSettings": [{"settings": {"clusterLocal": True}, "hosts": ["*"]}]}}


def test_different_applications_of_one_name_are_one_service(told: Told) -> None:
    found = told(services={"cart": {"workloads": APART}})["MS701"]
    assert found == ["cart is one service in all clusters, and its clients reach old in eu-1 and new in us-1 alike"]
    assert "MS701" not in told(services={"cart": {"workloads": APART}}, **LOCAL)


def test_versions_of_one_application_are_meant_to_be_one_service(told: Told) -> None:
    versions = {"cart-v1": {"replicas": {"eu-1": 1}}, "cart-v2": {"replicas": {"us-1": 1}}}
    assert "MS701" not in told(services={"cart": {"workloads": versions}})


def test_a_cluster_s_own_tools_are_merged_too(told: Told) -> None:
    tools = {
        "web": {"endpoints": {"GET /": {"script": [{"call": "prometheus/GET /query"}]}}},
        "prometheus": {"endpoints": {"GET /query": {}}},
    }
    assert "MS702" in told(services=tools | {"cart": {"endpoints": {"GET /cart": {}}}}, load={"cart": {"rate": "1/s"}})
