"""Services that MeshConfig keeps within a cluster."""

from __future__ import annotations

import pytest

from meshsim.scenario.istio.mesh import cluster_local
from meshsim.scenario.istio.resolve import Setting, layer


def said(*entries):
    settings = [{"settings": {"clusterLocal": local}, "hosts": list(hosts)} for local, *hosts in entries]
    return layer([Setting("service_settings", settings, "MeshConfig")])


@pytest.mark.parametrize(
    ("mesh", "local"),
    [
        ({}, False),
        (said((True, "*.shop.svc.cluster.local")), True),
        (said((True, "*.shop.svc.cluster.local"), (False, "cart.shop.svc.cluster.local")), False),
        (said((False, "*"), (True, "*.shop.svc.cluster.local")), True),
        (said((True,)), False),
    ],
)
def test_spec_4_2_the_most_precise_host_decides(mesh, local):
    assert cluster_local(mesh, "cart.shop.svc.cluster.local") is local


@pytest.mark.parametrize(
    ("mesh", "local"),
    [({}, True), (said((False, "*.kube-system.svc.cluster.local")), False), (said((False, "*")), True)],
)
def test_spec_4_2_system_services_are_local_unless_the_mesh_says_otherwise(mesh, local):
    assert cluster_local(mesh, "dns.kube-system.svc.cluster.local") is local
