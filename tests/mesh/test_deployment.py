from __future__ import annotations

import pytest

from meshsim.mesh.deployment import COMMON_ROOT, ControlPlane, control_planes, east_west_gateways
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

CLUSTERS = {
    "eu-1": {"region": "eu", "network": "net-eu"},
    "us-1": {"region": "us", "network": "net-us"},
    "eu-2": {"region": "eu", "network": "net-eu"},
}


def document(**changes):
    facts = {**EXAMPLE, "regions": {"eu": {}, "us": {}}, "clusters": CLUSTERS}
    return Document.model_validate({**facts, **changes})


def served(planes: tuple[ControlPlane, ...]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {plane.name: (plane.home, plane.serves) for plane in planes}


def test_multi_primary_has_one_control_plane_per_cluster():
    assert served(control_planes(document(), "multi-primary")) == {
        "eu-1": ("eu-1", ("eu-1",)),
        "us-1": ("us-1", ("us-1",)),
        "eu-2": ("eu-2", ("eu-2",)),
    }


def test_primary_remote_serves_all_clusters_from_the_first():
    assert served(control_planes(document(), "primary-remote")) == {"eu-1": ("eu-1", ("eu-1", "us-1", "eu-2"))}


def test_primary_remote_serves_all_clusters_from_the_named_primary():
    other = document(deployments={"primary-remote": {"primary": "us-1"}})
    assert served(control_planes(other, "primary-remote")) == {"us-1": ("us-1", ("us-1", "eu-1", "eu-2"))}


def test_hybrid_serves_each_region_from_its_first_cluster():
    assert served(control_planes(document(), "hybrid")) == {
        "eu-1": ("eu-1", ("eu-1", "eu-2")),
        "us-1": ("us-1", ("us-1",)),
    }


def test_a_preset_may_have_another_name():
    named = document(deployments={"today": {"model": "hybrid"}})
    assert served(control_planes(named, "today")) == served(control_planes(document(), "hybrid"))


def test_free_form_control_planes_live_in_the_first_cluster_they_serve():
    free = document(deployments={"mine": {"control_planes": {"eu": ["eu-2", "eu-1"], "us": ["us-1"]}}})
    assert served(control_planes(free, "mine")) == {"eu": ("eu-2", ("eu-2", "eu-1")), "us": ("us-1", ("us-1",))}


@pytest.mark.parametrize("name", ["multi-primary", "primary-remote", "hybrid"])
def test_every_cluster_has_one_control_plane_and_is_watched_by_all(name):
    planes = control_planes(document(), name)
    assert sorted(cluster for plane in planes for cluster in plane.serves) == sorted(CLUSTERS)
    assert all(plane.watches == tuple(CLUSTERS) and plane.home in plane.serves for plane in planes)


def test_remote_clusters_reach_istiod_through_the_primarys_gateway():
    (plane,) = control_planes(document(), "primary-remote")
    assert [plane.gateway_to(cluster) for cluster in plane.serves] == [None, "eu-1", "eu-1"]


def test_clusters_of_several_networks_all_have_east_west_gateways():
    scenario = document(gateways={"us-1": {"replicas": 3}})
    gateways = east_west_gateways(scenario, control_planes(scenario, "multi-primary"))
    assert {name: gateway.replicas for name, gateway in gateways.items()} == {"eu-1": 1, "us-1": 3, "eu-2": 1}


def test_in_one_network_only_primaries_of_remote_clusters_have_gateways():
    flat = {name: {"region": cluster["region"]} for name, cluster in CLUSTERS.items()}
    scenario = document(clusters=flat)
    names = {
        deployment: list(east_west_gateways(scenario, control_planes(scenario, deployment)))
        for deployment in ("multi-primary", "primary-remote", "hybrid")
    }
    assert names == {"multi-primary": [], "primary-remote": ["eu-1"], "hybrid": ["eu-1"]}


# --- places, secrets, roots -------------------------------------------------------------------------------------


def plane(**body) -> ControlPlane:
    (found,) = control_planes(document(deployments={"x": {"control_planes": {"p": body}}}), "x")
    return found


def test_an_external_control_plane_serves_all_clusters_from_none():
    (found,) = control_planes(document(deployments=["external"]), "external")
    assert (found.name, found.home, found.serves) == ("external", "", ("eu-1", "us-1", "eu-2"))
    assert (found.config_cluster, found.region, found.zones) == ("eu-1", "eu", ("a",))
    assert found.is_external
    assert found.entrance


def test_an_external_control_plane_may_stand_anywhere_and_read_any_cluster():
    other = document(deployments={"external": {"place": "us/a", "primary": "eu-2"}})
    (found,) = control_planes(other, "external")
    assert (found.config_cluster, found.region, found.zones) == ("eu-2", "us", ("a",))


def test_a_control_plane_outside_all_clusters_is_reached_by_its_own_gateway_or_directly():
    assert plane(serves=list(CLUSTERS), place="us").gateway_to("eu-1") is None
    direct = document(deployments={"external": {"access": "direct"}})
    (found,) = control_planes(direct, "external")
    assert not found.entrance


def test_with_direct_access_no_gateway_carries_control():
    direct = document(deployments={"primary-remote": {"access": "direct"}})
    (found,) = control_planes(direct, "primary-remote")
    assert [found.gateway_to(cluster) for cluster in found.serves] == [None, None, None]


def test_the_primary_of_a_region_may_be_chosen():
    chosen = document(deployments={"hybrid": {"primaries": {"eu": "eu-2"}}})
    assert served(control_planes(chosen, "hybrid")) == {"eu-2": ("eu-2", ("eu-2", "eu-1")), "us-1": ("us-1", ("us-1",))}


def test_a_control_plane_may_run_where_it_serves_nobody():
    found = plane(serves=["us-1"], home="eu-1")
    assert (found.home, found.region, found.config_cluster) == ("eu-1", "eu", "eu-1")
    assert found.gateway_to("us-1") == "eu-1"


def test_own_cluster_and_that_of_the_configuration_are_always_watched():
    assert plane(serves=list(CLUSTERS), watches=["us-1"]).watches == ("eu-1", "us-1")
    assert plane(serves=list(CLUSTERS), watches=[], config_cluster="eu-2").watches == ("eu-1", "eu-2")
    assert plane(serves=list(CLUSTERS), watches=[], place="us").watches == ("eu-1",)


def test_replicas_are_the_control_planes_own_or_those_of_all():
    scenario = document(istiod={"replicas": 3}, deployments={"x": {"control_planes": {
        "p": {"serves": ["eu-1"], "replicas": 2}, "q": ["us-1", "eu-2"],
    }}})  # fmt: skip
    assert [found.replicas for found in control_planes(scenario, "x")] == [2, 3]


def test_roots_are_by_control_plane_or_else_by_its_home():
    scenario = document(
        identity={"roots": {"eu-1": "a", "q": "b"}},
        deployments={"x": {"control_planes": {"p": ["eu-1"], "q": ["us-1"], "r": ["eu-2"]}}},
    )
    assert [found.root for found in control_planes(scenario, "x")] == ["a", "b", COMMON_ROOT]
