"""ServiceEntries and WorkloadEntries as endpoints: who reaches them, and how, and what becomes of them."""

from __future__ import annotations

import pytest

from meshsim.dataplane import state

VERSION = "networking.istio.io/v1"
ADDRESS = "10.9.0.{}"


def entry(kind="ServiceEntry", name="pay", namespace="default", **spec):
    if kind == "ServiceEntry":
        spec = {"hosts": ["pay.example.com"], "resolution": "STATIC", **spec}
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def endpoints(*localities, **more):
    return [
        {"address": ADDRESS.format(number), "locality": locality, **more}
        for number, locality in enumerate(localities, start=1)
    ]


FAILOVER = {
    "apiVersion": VERSION,
    "kind": "DestinationRule",
    "metadata": {"name": "pay"},
    "spec": {"host": "pay.example.com", "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 3}}},
}


@pytest.fixture
def paying(run):
    """Return a function that builds a run of the small mesh in which web calls pay, which is outside its clusters."""

    def built(*istio, web=None, pay=None, **changes):
        services = {
            "web": {"replicas": 2, "endpoints": {"GET": {"script": [{"call": "pay/GET"}]}}, **(web or {})},
            "pay": {"host": "pay.example.com", "endpoints": {"GET": {}}, **(pay or {})},
        }
        settings = {"services": services, "duration": "30s", "deployments": ["multi-primary"], **changes}
        return run(istio=list(istio), **settings)

    return built


def served(simulation):
    """Return the requests that each endpoint of pay has answered, by name."""
    mesh = simulation.mesh
    number = mesh.plane.plan.services.index("pay")
    names = enumerate(mesh.plane.pod_names)
    return {name: int(mesh.plane.pods[pod].served) for pod, name in names if mesh.plane.pods[pod].service == number}


# --- who gets how much ----------------------------------------------------------------------------------------


def test_endpoints_are_reached_by_their_weights(paying):
    heavy, light = endpoints("eu/a", "eu/a")
    simulation = paying(entry(endpoints=[{**heavy, "weight": 3}, light]), load={"web": {"rate": "40/s"}})
    simulation.run()
    counts = served(simulation)
    assert sum(counts.values()) > 1000
    # LEAST_REQUEST also looks at what is active.
    assert counts["10.9.0.1"] == pytest.approx(0.75 * sum(counts.values()), rel=0.05)


def test_the_nearest_locality_is_preferred_where_failover_is_on(paying):
    simulation = paying(entry(endpoints=endpoints("eu/a", "us/a")), FAILOVER)
    assert hosts_of(simulation, "c1") == ["10.9.0.1", "10.9.0.2"]
    assert hosts_of(simulation, "c2") == ["10.9.0.2", "10.9.0.1"]
    simulation.run()
    assert min(served(simulation).values()) > 100


def test_an_ejected_endpoint_leaves_its_requests_to_the_next_locality(paying, event):
    ejecting = {"outlierDetection": {"consecutive5xxErrors": 3, "maxEjectionPercent": 100}}
    simulation = paying(
        entry(endpoints=endpoints("eu/a", "us/a")),
        {**FAILOVER, "spec": {"host": "pay.example.com", "trafficPolicy": ejecting}},
        web={"replicas": {"c1": 2}},
        timeline=[event("service_failing", "10s", "15s", target={"workload": "10.9.0.1"}, fraction=1.0)],
    )
    before = simulation.at(9.9, lambda: served(simulation))
    simulation.run()
    assert before[0]["10.9.0.2"] == 0
    assert served(simulation)["10.9.0.2"] > 100


def test_subsets_are_endpoints_with_their_labels(paying):
    first, second = endpoints("eu/a", "eu/a")
    rule = {**FAILOVER, "spec": {"host": "pay.example.com", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]}}
    route = {
        "apiVersion": VERSION,
        "kind": "VirtualService",
        "metadata": {"name": "pay"},
        "spec": {
            "hosts": ["pay.example.com"],
            "http": [{"route": [{"destination": {"host": "pay.example.com", "subset": "v2"}}]}],
        },
    }
    listed = [{**first, "labels": {"version": "v1"}}, {**second, "labels": {"version": "v2"}}]
    simulation = paying(entry(endpoints=listed), rule, route)
    simulation.run()
    counts = served(simulation)
    assert counts["10.9.0.1"] == 0
    assert counts["10.9.0.2"] > 200


# --- plain text, mutual TLS and networks ----------------------------------------------------------------------


def test_what_is_outside_the_mesh_gets_plain_text_and_has_no_sidecar(paying):
    simulation = paying(entry(endpoints=endpoints("eu/a", serviceAccount="pay")))
    row = simulation.mesh.plane.world.policies[simulation.mesh.plane.plan.services.index("pay")]
    (pod,) = [pod for pod in simulation.clusters["c1"].pods.values() if pod.service == "pay"]
    assert row.tls == 0
    assert simulation.mesh.plane.proxies[simulation.mesh.plane.pods[pod.number].proxy].workers == 0
    assert pod.number not in simulation.clusters["c1"].proxies


@pytest.mark.parametrize("proxied", [False, True])
def test_a_connection_to_what_has_no_sidecar_carries_what_the_client_lets_it(paying, proxied):
    calls = {"replicas": 1, "endpoints": {"GET": {"script": [{"call": "pay/GET", "count": 1500, "wait": False}]}}}
    pay = {"protocol": "grpc", "endpoints": {"GET": {"script": [{"compute": "1s"}]}}, "workers": 2000}
    streams = {"connectionPool": {"http": {"maxConcurrentStreams": 5000}}}
    rule = {**FAILOVER, "spec": {"host": "pay.example.com", "trafficPolicy": streams}}
    identity = {"serviceAccount": "pay"} if proxied else {}
    outside = entry(location="MESH_INTERNAL", endpoints=endpoints("eu/a", **identity))
    once = {"sidecar": {"concurrency": 1}, "load": {"web": {"rate": "0.3/s"}}}
    simulation = paying(outside, rule, web=calls, pay=pay, **once)
    simulation.run()
    world = simulation.mesh.plane.world
    destination = simulation.mesh.plane.plan.services.index("pay")
    assert served(simulation)["10.9.0.1"] >= 1500
    most = max(row.connections for row in world.upstreams if row.policy == destination)
    assert most > 1 if proxied else most == 1


def test_a_rule_can_ask_for_tls_to_what_is_outside(paying):
    rule = {**FAILOVER, "spec": {"host": "pay.example.com", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}}
    simulation = paying(entry(endpoints=endpoints("eu/a")), rule)
    assert simulation.mesh.plane.world.policies[simulation.mesh.plane.plan.services.index("pay")].tls == 1


TWO_NETWORKS = {
    "clusters": {"c1": {"region": "eu", "network": "eu"}, "c2": {"region": "us", "network": "us"}},
    "load": {"web": {"rate": "20/s", "enters": {"c1": 1}}},
}


def hosts_of(simulation, cluster="c1"):
    """Return the hosts that the first web pod of a cluster sees for pay: names of pods, or the gateway's cluster."""
    mesh = simulation.mesh
    pod = next(pod for pod in simulation.clusters[cluster].pods.values() if pod.service == "web")
    proxy = simulation.clusters[cluster].proxies[pod.number]
    (view,) = proxy.applied["pay"]
    return [
        mesh.plane.pod_names[host] if host >= 0 else mesh.clusters[mesh.plane.world.gateways[-host - 2].cluster]
        for host in view.hosts.hosts.tolist()
    ]


def test_a_machine_of_the_mesh_behind_another_network_is_reached_through_its_gateway_with_mutual_tls(paying):
    machine = entry(
        "WorkloadEntry", "vm", address="10.9.0.1", labels={"app": "pay"}, network="us", locality="us/a",
        serviceAccount="pay",
    )  # fmt: skip
    selecting = entry(location="MESH_INTERNAL", workloadSelector={"labels": {"app": "pay"}})
    simulation = paying(selecting, machine, **TWO_NETWORKS)
    assert simulation.mesh.plane.world.policies[simulation.mesh.plane.plan.services.index("pay")].tls == 1
    assert hosts_of(simulation) == ["c2"]
    assert hosts_of(simulation, "c2") == ["10.9.0.1"]
    simulation.run()
    assert served(simulation)["10.9.0.1"] > 400


def test_a_machine_without_sidecar_behind_another_network_is_not_reached(paying):
    selecting = entry(location="MESH_INTERNAL", endpoints=endpoints("us/a", network="us"))
    assert hosts_of(paying(selecting, **TWO_NETWORKS)) == []


@pytest.mark.parametrize("network", ["", "elsewhere"])
def test_a_network_without_gateway_is_reached_directly(paying, network):
    simulation = paying(entry(endpoints=endpoints("us/a", network=network)), **TWO_NETWORKS)
    assert hosts_of(simulation) == ["10.9.0.1"]


# --- which endpoints there are --------------------------------------------------------------------------------


def test_selected_pods_and_machines_serve_side_by_side(paying):
    machine = entry("WorkloadEntry", "vm", address="10.9.0.1", labels={"app": "pay"}, locality="eu/a")
    other = entry("WorkloadEntry", "other", address="10.9.0.2", labels={"app": "cart"}, locality="eu/a")
    simulation = paying(
        entry(location="MESH_INTERNAL", workloadSelector={"labels": {"app": "pay"}}),
        machine,
        other,
        pay={"workloads": {"pay-v1": {"replicas": {"c1": 1}}}},
        load={"web": {"rate": "20/s", "enters": {"c1": 1}}},
    )
    simulation.run()
    counts = served(simulation)
    assert set(counts) == {"c1/pay-v1-0.0", "10.9.0.1"}
    assert min(counts.values()) > 200


def test_a_kubernetes_service_also_selects_machines_with_the_label_of_its_pods(run):
    machine = entry("WorkloadEntry", "vm", address="10.9.0.1", labels={"app": "app"}, locality="eu/a")
    simulation = run(istio=[machine], duration="20s", deployments=["multi-primary"])
    simulation.run()
    mesh = simulation.mesh
    number = mesh.plane.plan.services.index("app")
    found = [name for pod, name in enumerate(mesh.plane.pod_names) if mesh.plane.pods[pod].service == number]
    assert len(found) == 9
    assert mesh.plane.pods[mesh.plane.pod_names.index("10.9.0.1")].served > 5


@pytest.mark.parametrize("resolution", ["DNS", "NONE", "DNS_ROUND_ROBIN"])
def test_a_name_without_endpoints_is_one_endpoint_where_the_service_says(paying, resolution):
    simulation = paying(entry(resolution=resolution), pay={"place": "us"})
    simulation.run()
    assert list(served(simulation)) == ["pay.example.com"]
    pod = simulation.mesh.plane.pods[simulation.mesh.plane.pod_names.index("pay.example.com")]
    assert simulation.mesh.zones[pod.zone] == ("us", "a")
    balancer = simulation.scenario.resources.policy("pay", "default", "1.31").load_balancer
    assert balancer == ("PASSTHROUGH" if resolution == "NONE" else "LEAST_REQUEST")


def test_clients_that_do_not_see_the_entry_are_refused_where_only_known_hosts_are_open(paying):
    closed = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    hidden = entry(endpoints=endpoints("eu/a"), exportTo=["bank"])
    simulation = paying(hidden, mesh_config=closed)
    simulation.run()
    assert served(simulation) == {"10.9.0.1": 0}
    shown = paying(entry(endpoints=endpoints("eu/a"), exportTo=["."]), mesh_config=closed)
    shown.run()
    assert served(shown)["10.9.0.1"] > 200


# --- what reaches them ----------------------------------------------------------------------------------------


def state_of(simulation, name="10.9.0.1"):
    plane = simulation.mesh.plane
    return int(plane.pods[plane.pod_names.index(name)].state)


@pytest.mark.parametrize(
    ("kind", "target", "hit"),
    [
        ("region_outage", {"region": "us"}, True),
        ("zone_outage", {"zone": "us/a"}, True),
        ("zone_outage", {"zone": "eu/a"}, False),
        ("cluster_down", {"cluster": "c2"}, False),
        ("control_plane_down", {"cluster": "c2"}, False),
    ],
)
def test_places_take_endpoints_with_them_and_clusters_do_not(paying, event, kind, target, hit):
    simulation = paying(
        entry(endpoints=endpoints("us/a")), timeline=[event(kind, "5s", "10s", target=target)], duration="20s"
    )
    during = simulation.at(10.0, lambda: state_of(simulation))
    after = simulation.at(19.0, lambda: state_of(simulation))
    simulation.run()
    assert (during[0] != state.SERVING) == hit
    assert after == [state.SERVING]


def test_every_control_plane_knows_them_even_after_a_restart_without_other_clusters(paying, event):
    simulation = paying(
        entry(endpoints=endpoints("us/a")),
        timeline=[
            event("control_plane_down", "5s", "5s", target={"cluster": "c1"}),
            event("cluster_down", "6s", "20s", target={"cluster": "c2"}),
        ],
    )
    seen = simulation.at(25.0, lambda: hosts_of(simulation))
    simulation.run()
    assert seen == [["10.9.0.1"]]


def test_rollouts_and_scaling_leave_them_alone(paying, event):
    simulation = paying(
        entry(endpoints=endpoints("us/a")),
        timeline=[
            event("rollout", "5s", target={"service": "*"}),
            event("scale", "6s", target={"service": "pay"}, replicas=3),
        ],
    )
    simulation.run()
    assert list(served(simulation)) == ["10.9.0.1"]
    assert state_of(simulation) == state.SERVING
