from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from meshsim.mesh.graph import EDGE_KINDS, NODE_KINDS, build, to_node_link, write_graphml
from meshsim.scenario import load

ROOT = Path(__file__).parents[2]
BOUTIQUE = ROOT / "scenarios" / "online-boutique.yaml"


@pytest.fixture(scope="module")
def document():
    return load(BOUTIQUE).document


@pytest.fixture(scope="module")
def graph(document):
    return build(document, "primary-remote")


def edges(graph, kind):
    return [(source, target, data) for source, target, data in graph.edges(data=True) if data["kind"] == kind]


def test_every_node_and_edge_is_of_a_documented_kind(graph):
    for node, data in graph.nodes(data=True):
        assert data["kind"] in NODE_KINDS
        assert node == f"{data['kind']}:{data['name']}"
    assert {data["kind"] for _, _, data in graph.edges(data=True)} == set(EDGE_KINDS)


def test_the_graph_holds_the_whole_mesh(graph):
    counts = {kind: sum(data["kind"] == kind for _, data in graph.nodes(data=True)) for kind in NODE_KINDS}
    assert counts == {
        "region": 2,
        "zone": 6,
        "cluster": 3,
        "network": 2,
        "gateway": 6,
        "service": 11,
        "workload": 33,
        "control-plane": 1,
    }


def test_workloads_run_in_clusters_in_zones_in_regions(graph):
    hosts = nx.DiGraph((source, target) for source, target, _ in edges(graph, "hosts"))
    assert nx.has_path(hosts, "region:us", "workload:us-1/frontend")
    assert not nx.has_path(hosts, "region:eu", "workload:us-1/frontend")


def test_links_join_all_zones_both_ways_with_seconds(graph):
    found = {(source, target): data for source, target, data in edges(graph, "link")}
    assert len(found) == 36
    there, back = found["zone:eu/a", "zone:us/c"], found["zone:us/c", "zone:eu/a"]
    assert there == back
    assert 0.06 < there["p50"] < there["p99"] < 0.1


def test_each_call_step_is_an_edge_with_its_endpoints_count_and_probability(graph):
    found = [
        data
        for source, target, data in edges(graph, "calls")
        if (source, target) == ("service:frontend", "service:currencyservice")
    ]
    assert [(data["endpoint"], data["callee_endpoint"], data["count"], data["probability"]) for data in found] == [
        ("GET /", "GetSupportedCurrencies", 1.0, 1.0),
        ("GET /", "Convert", 9.0, 1.0),
        ("GET /product/{id}", "GetSupportedCurrencies", 1.0, 1.0),
        ("GET /product/{id}", "Convert", 1.0, 1.0),
        ("GET /cart", "GetSupportedCurrencies", 1.0, 1.0),
        ("GET /cart", "Convert", 1.0, 1.0),
        ("GET /cart", "Convert", 1.62, 1.0),
        ("GET /cart (after add)", "GetSupportedCurrencies", 1.0, 1.0),
        ("GET /cart (after add)", "Convert", 1.0, 1.0),
        ("GET /cart (after add)", "Convert", 2.46, 1.0),
        ("POST /cart/checkout", "GetSupportedCurrencies", 1.0, 1.0),
    ]


def test_a_primary_controls_its_remotes_through_its_gateway_and_watches_their_api_servers_directly(graph):
    assert {target: data["path"] for _, target, data in edges(graph, "controls")} == {
        "cluster:eu-1": "local",
        "cluster:eu-2": "gateway:eu-1/east-west",
        "cluster:us-1": "gateway:eu-1/east-west",
    }
    assert {target: data["path"] for _, target, data in edges(graph, "watches")} == {
        "cluster:eu-1": "local",
        "cluster:eu-2": "direct",
        "cluster:us-1": "direct",
    }


def test_a_control_plane_outside_all_clusters_runs_in_zones_behind_its_own_gateway():
    graph = build(load(BOUTIQUE, ["deployments={external: {place: us}}"]).document, "external")
    hosts = [source for source, target, _ in edges(graph, "hosts") if target == "control-plane:external"]
    assert hosts == ["zone:us/a", "zone:us/b", "zone:us/c"]
    assert {data["path"] for _, _, data in edges(graph, "controls")} == {"gateway:external/entrance"}
    assert graph.nodes["gateway:external/entrance"]["role"] == "entrance"
    assert {data["path"] for _, _, data in edges(graph, "watches")} == {"direct"}
    assert [target for _, target, _ in edges(graph, "reads")] == ["cluster:eu-1"]


@pytest.mark.parametrize("deployment", ["external", "primary-remote"])
def test_direct_access_takes_no_gateway(deployment):
    graph = build(load(BOUTIQUE, [f"deployments={{{deployment}: {{access: direct}}}}"]).document, deployment)
    paths = {target: data["path"] for _, target, data in edges(graph, "controls")}
    assert paths["cluster:us-1"] == "direct"
    assert not any(data.get("role") == "entrance" for _, data in graph.nodes(data=True))


def test_every_gateway_named_as_a_path_is_a_node(graph):
    paths = [data["path"] for _, _, data in edges(graph, "controls") if data["path"] != "local"]
    assert all(path in graph for path in paths)


def test_load_enters_by_ingress_gateways_in_shares_that_add_up(graph):
    shares = {source: data["share"] for source, _, data in edges(graph, "enters")}
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == ["gateway:eu-1/ingress", "gateway:eu-2/ingress", "gateway:us-1/ingress"]


def test_without_a_deployment_there_are_no_control_planes(document):
    graph = build(document)
    assert not edges(graph, "controls")
    assert graph.graph == {"name": "online-boutique", "deployment": ""}


def test_an_unknown_deployment_is_a_key_error(document):
    with pytest.raises(KeyError, match="multi"):
        build(document, "multi")


def test_node_link_data_survives_json(graph):
    again = nx.node_link_graph(json.loads(json.dumps(to_node_link(graph))), edges="edges")
    assert nx.utils.graphs_equal(again, graph)


def test_graphml_holds_the_same_nodes_edges_and_attributes(graph, tmp_path):
    write_graphml(graph, tmp_path / "mesh.graphml")
    again = nx.read_graphml(tmp_path / "mesh.graphml", force_multigraph=True)
    assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
    assert [edge[:2] for edge in again.edges] == [edge[:2] for edge in graph.edges]


PRINT_HASH = """
import hashlib, json, sys
from meshsim.mesh.graph import build, to_node_link
from meshsim.scenario import load
data = json.dumps(to_node_link(build(load(sys.argv[1]).document, "hybrid")))
print(hashlib.sha256(data.encode()).hexdigest())
"""


@pytest.mark.slow
def test_the_order_does_not_depend_on_the_hash_seed(document):
    here = hashlib.sha256(json.dumps(to_node_link(build(document, "hybrid"))).encode()).hexdigest()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PRINT_HASH, str(BOUTIQUE)]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        assert found.stdout.strip() == here, f"PYTHONHASHSEED={seed}"
