"""What there is to operate, counted by hand for meshes of three and of twelve clusters."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from meshsim.mesh.complexity import complexity
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

RULE = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web"}, "spec": {}}
INSTALL = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator"}


def mesh(regions: dict[str, int], *, networks: bool = True, **fields) -> Document:
    clusters = {
        f"{region}-{number}": {"region": region, "network": f"{region}-{number}" if networks else "one"}
        for region, count in regions.items()
        for number in range(1, count + 1)
    }
    said = {"regions": {region: {} for region in regions}, "clusters": clusters, "istio": [RULE, RULE, INSTALL]}
    return Document.model_validate({**EXAMPLE, **said, **fields})


THREE = {"eu": 2, "us": 1}
TWELVE = {"eu": 4, "us": 4, "ap": 4}
NAMES = (
    "control_planes", "remote_secrets", "config_places", "config_copies", "exposed_gateways", "exposed_ports",
    "blast_radius_clusters",
)  # fmt: skip


@pytest.mark.parametrize(
    ("regions", "deployment", "expected"),
    [
        # Three clusters: each of 3 watches 2 others; one rule set of 2 objects in 3 places; 3 gateways with 15443.
        (THREE, "multi-primary", (3, 6, 3, 6, 3, 3, 1)),
        # One watches 2; its gateway has 15012 and 15017 besides.
        (THREE, "primary-remote", (1, 2, 1, 2, 3, 5, 3)),
        # eu-1 and us-1 watch 2 each; eu-1 serves eu-2, us-1 only itself.
        (THREE, "hybrid", (2, 4, 2, 4, 3, 5, 2)),
        # Twelve: 12 x 11 secrets; 1 x 11; 3 x 11, each primary open to three remotes.
        (TWELVE, "multi-primary", (12, 132, 12, 24, 12, 12, 1)),
        (TWELVE, "primary-remote", (1, 11, 1, 2, 12, 14, 12)),
        (TWELVE, "hybrid", (3, 33, 3, 6, 12, 18, 4)),
    ],
)
def test_presets_over_networks(regions, deployment, expected):
    found = asdict(complexity(mesh(regions), deployment))
    assert tuple(found[name] for name in NAMES) == expected
    assert (found["config_objects"], found["roots"]) == (2, 1)


def test_one_network_exposes_gateways_for_control_only():
    flat = mesh(TWELVE, networks=False)
    counts = {name: complexity(flat, name) for name in ("multi-primary", "primary-remote", "hybrid")}
    assert {name: (one.exposed_gateways, one.exposed_ports) for name, one in counts.items()} == {
        "multi-primary": (0, 0),
        "primary-remote": (1, 2),
        "hybrid": (3, 6),
    }


def test_an_external_control_plane_has_a_secret_for_each_cluster_that_of_its_configuration_too():
    found = complexity(mesh(THREE, networks=False, deployments=["external"]), "external")
    assert (found.control_planes, found.remote_secrets, found.config_places) == (1, 3, 1)
    assert (found.exposed_gateways, found.exposed_ports, found.blast_radius_clusters) == (1, 2, 3)


def test_direct_access_opens_istiod_and_no_gateway():
    flat = mesh(THREE, networks=False, deployments={"primary-remote": {"access": "direct"}})
    found = complexity(flat, "primary-remote")
    assert (found.exposed_gateways, found.exposed_ports) == (0, 2)


def test_only_clusters_that_are_watched_need_a_secret():
    planes = {"one": {"serves": ["eu-1", "eu-2"], "watches": ["eu-2"]}, "two": {"serves": ["us-1"], "watches": []}}
    found = complexity(mesh(THREE, deployments={"mine": {"control_planes": planes}}), "mine")
    assert found.remote_secrets == 1


def test_replicas_and_roots_are_counted_over_control_planes():
    found = complexity(mesh(THREE, istiod={"replicas": 2}, identity={"roots": {"us-1": "own"}}), "hybrid")
    assert (found.istiod_replicas, found.roots) == (4, 2)
