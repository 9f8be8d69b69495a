"""One networkx graph of the whole mesh, with typed nodes and edges, and its exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshsim.mesh.calls import calls, calls_per_entry, service_graph_problems
from meshsim.mesh.deployment import ControlPlane, control_planes, east_west_gateways
from meshsim.mesh.links import round_trip
from meshsim.mesh.placement import place
from meshsim.scenario.schema import Document
from meshsim.scenario.selectors import zones_of
from meshsim.units import format_duration

if TYPE_CHECKING:
    import os

    from networkx import MultiDiGraph as Graph

__all__ = [
    "EDGE_KINDS",
    "NODE_KINDS",
    "build",
    "calls_per_entry",
    "service_graph_problems",
    "to_node_link",
    "write_graphml",
]

#: Kind of a node → how its name is made; a node's id is ``kind:name``.
NODE_KINDS = {
    "region": "region",
    "zone": "region/zone",
    "cluster": "cluster",
    "network": "network",
    "gateway": "cluster/east-west, cluster/ingress, or control plane/entrance for one outside all clusters",
    "service": "service",
    "workload": "cluster/workload, or service/address for an endpoint that is in no cluster",
    "control-plane": "control plane",
}

#: Kind of an edge → what it joins and means.
EDGE_KINDS = {
    "hosts": "region → zone → cluster → workload, gateway, control plane: what runs where, or zone → it",
    "member": "cluster, east-west gateway → network",
    "backs": "workload → service",
    "enters": "ingress gateway → service: share of a load entry's user actions",
    "calls": "service → service: one edge per call step, with endpoints, count, probability",
    "link": "zone → zone, both ways: round-trip time, p50 and p99 in seconds",
    "controls": "control plane → cluster whose proxies it serves; path local, direct or the gateway it takes",
    "watches": "control plane → cluster whose API server it watches; path local or direct",
    "reads": "control plane → cluster whose API server keeps its Istio configuration",
}


def build(document: Document, deployment: str | None = None) -> Graph:
    """Return the mesh as a graph: where things are, who calls whom, who controls whom.

    Parameters
    ----------
    document
        The scenario, checked.
    deployment
        A key of ``deployments`` whose control planes are drawn; without it there are none.

    Returns
    -------
    networkx.MultiDiGraph
        Every node and edge has a ``kind``, see `NODE_KINDS` and `EDGE_KINDS`; nodes also have a ``name``. Nodes and
        edges are in the order of the scenario file.

    Raises
    ------
    KeyError
        If there is no such deployment.
    ScenarioError
        If two regions have no round-trip time.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> list(build(Document.model_validate(EXAMPLE), "multi-primary"))[:4]
    ['region:eu', 'zone:eu/a', 'zone:eu/b', 'cluster:eu-1']
    """
    import networkx as nx

    graph: Graph = nx.MultiDiGraph(name=document.name, deployment=deployment or "")
    planes = () if deployment is None else control_planes(document, deployment)
    _add_places(graph, document)
    _add_services(graph, document)
    _add_gateways(graph, document, planes)
    _add_load(graph, document)
    for plane in planes:
        _add_control_plane(graph, plane)
    return graph


def to_node_link(graph: Graph) -> dict[str, Any]:
    """Return a graph as node-link data that JSON can hold.

    Parameters
    ----------
    graph
        From `build`.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = nx.MultiDiGraph()
    >>> graph.add_node("zone:eu/a", kind="zone")
    >>> to_node_link(graph)["nodes"]
    [{'kind': 'zone', 'id': 'zone:eu/a'}]
    """
    import networkx as nx

    data: dict[str, Any] = nx.node_link_data(graph, edges="edges")
    return data


def write_graphml(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as GraphML, which Gephi, yEd and Cytoscape read.

    Parameters
    ----------
    graph
        From `build`.
    path
        File to write.

    Examples
    --------
    >>> import io, networkx as nx
    >>> stream = io.BytesIO()
    >>> write_graphml(nx.MultiDiGraph(), stream)
    >>> b"graphml" in stream.getvalue()
    True
    """
    import networkx as nx

    # The lxml writer is used where lxml happens to be installed and orders keys differently; this one is always there.
    nx.write_graphml_xml(graph, path)


def _add_places(graph: Graph, document: Document) -> None:
    """Regions, zones and the links between them, clusters and networks."""
    for name, region in document.regions.items():
        graph.add_node(f"region:{name}", kind="region", name=name, cloud_region=region.cloud_region or "")
        for zone in region.zones:
            graph.add_node(f"zone:{name}/{zone}", kind="zone", name=f"{name}/{zone}", region=name)
            graph.add_edge(f"region:{name}", f"zone:{name}/{zone}", kind="hosts")
    for name, cluster in document.clusters.items():
        node = f"cluster:{name}"
        graph.add_node(node, kind="cluster", name=name, region=cluster.region, network=cluster.network)
        for zone in zones_of(document, name):
            graph.add_edge(f"zone:{cluster.region}/{zone}", node, kind="hosts")
        graph.add_node(f"network:{cluster.network}", kind="network", name=cluster.network)
        graph.add_edge(node, f"network:{cluster.network}", kind="member")
    for zone_a, zone_b, trip in round_trip(document).items():
        a, b = f"zone:{'/'.join(zone_a)}", f"zone:{'/'.join(zone_b)}"
        for source, target in ((a, b), (b, a)) if a != b else ((a, b),):
            graph.add_edge(source, target, kind="link", p50=trip.p50, p99=trip.p99, source_of_figure=trip.source)


def _add_services(graph: Graph, document: Document) -> None:
    """Services, the workloads behind them and the calls between them."""
    for name, service in document.services.items():
        graph.add_node(
            f"service:{name}", kind="service", name=name, namespace=service.namespace, protocol=service.protocol
        )
    for workload in place(document):
        name, home = f"{workload.cluster}/{workload.name}", f"cluster:{workload.cluster}"
        if workload.outside is not None:  # in no cluster: another service may have the address, too
            name = f"{workload.service}/{workload.name}"
            home = f"zone:{workload.outside.region}/{workload.outside.zone}"
        node = f"workload:{name}"
        zones = ",".join(workload.zones)
        graph.add_node(
            node, kind="workload", name=name, service=workload.service, replicas=workload.replicas, pod_zones=zones
        )
        graph.add_edge(home, node, kind="hosts")
        graph.add_edge(node, f"service:{workload.service}", kind="backs")
    for call in calls(document):
        graph.add_edge(
            f"service:{call.caller[0]}",
            f"service:{call.callee[0]}",
            kind="calls",
            endpoint=call.caller[1],
            callee_endpoint=call.callee[1],
            workload=call.workload,
            count=call.step.count,
            probability=call.step.probability,
            mean=call.mean,
            at_once=call.at_once,
            wait=call.step.wait,
            retries=call.step.retries,
            timeout="" if call.step.timeout is None else format_duration(call.step.timeout),
            on_error=call.step.on_error,
        )


def _add_gateways(graph: Graph, document: Document, planes: tuple[ControlPlane, ...]) -> None:
    for name, gateway in east_west_gateways(document, planes).items():
        node = f"gateway:{name}/east-west"
        graph.add_node(
            node,
            kind="gateway",
            name=f"{name}/east-west",
            role="east-west",
            replicas=gateway.replicas,
            addresses=gateway.addresses,
        )
        graph.add_edge(f"cluster:{name}", node, kind="hosts")
        graph.add_edge(node, f"network:{document.clusters[name].network}", kind="member")


def _add_load(graph: Graph, document: Document) -> None:
    """Ingress gateways that load enters by, and the share that enters there."""
    for entry, load in document.load.entries.items():
        shares = load.enters or dict.fromkeys(document.clusters, 1.0)
        total = sum(shares.values())
        for cluster, share in shares.items():
            node = f"gateway:{cluster}/ingress"
            if node not in graph:
                graph.add_node(node, kind="gateway", name=f"{cluster}/ingress", role="ingress")
                graph.add_edge(f"cluster:{cluster}", node, kind="hosts")
            graph.add_edge(node, f"service:{load.service or entry}", kind="enters", entry=entry, share=share / total)


def _add_control_plane(graph: Graph, plane: ControlPlane) -> None:
    """Draw a control plane, the clusters whose proxies it serves, and the API servers it watches and reads."""
    node = f"control-plane:{plane.name}"
    graph.add_node(
        node, kind="control-plane", name=plane.name, home=plane.home, region=plane.region, replicas=plane.replicas,
        root=plane.root,
    )  # fmt: skip
    hosts = [f"zone:{plane.region}/{zone}" for zone in plane.zones] if plane.is_external else [f"cluster:{plane.home}"]
    entrance = f"gateway:{plane.name}/entrance"
    if plane.entrance:
        name = f"{plane.name}/entrance"
        graph.add_node(entrance, kind="gateway", name=name, role="entrance", replicas=plane.gateway_replicas)
    for host in hosts:
        graph.add_edge(host, node, kind="hosts")
        if plane.entrance:
            graph.add_edge(host, entrance, kind="hosts")
    for cluster in plane.serves:
        gateway = plane.gateway_to(cluster)
        path = "local" if cluster == plane.home else entrance if plane.entrance else "direct"
        path = path if gateway is None else f"gateway:{gateway}/east-west"
        graph.add_edge(node, f"cluster:{cluster}", kind="controls", path=path)
    for cluster in plane.watches:
        # istiod reaches remote API servers at the address in the remote secret, not through the mesh's gateways.
        path = "local" if cluster == plane.home else "direct"
        graph.add_edge(node, f"cluster:{cluster}", kind="watches", path=path)
    graph.add_edge(node, f"cluster:{plane.config_cluster}", kind="reads")
