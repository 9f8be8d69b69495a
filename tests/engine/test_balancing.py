"""Where requests go in the end: subsets, weights of versions, and every way Istio has to prefer what is near."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from meshsim.dataplane.scope import upstream_of

EJECTS = {"outlierDetection": {"consecutive5xxErrors": 5}}
NEAR_FIRST = ["topology.kubernetes.io/region", "topology.istio.io/subzone", "topology.kubernetes.io/zone"]


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def rule(**policy: Any) -> dict[str, Any]:
    return resource("DestinationRule", "app", host="app", trafficPolicy=policy)


def near(**setting: Any) -> dict[str, Any]:
    return {"loadBalancer": {"localityLbSetting": setting}}


@pytest.fixture
def steady(run):
    """Return a function that builds a run at 100 requests a second of clients in eu, zones a and b."""

    def built(*istio: dict[str, Any], **changes: Any):
        load = {"web": {"rate": "100/s", "enters": {"c1": 1}}}
        # the ingress picks a web of either zone, none of the other region
        first = resource(
            "DestinationRule", "web", host="web", trafficPolicy=EJECTS | near(failoverPriority=NEAR_FIRST[:1])
        )
        return run(**{"load": load, "duration": "30s", "istio": [first, *istio], **changes})

    return built


def flows(tables, cluster: str = "", since: float = 0.0, until: float = 1e9) -> dict[str, float]:
    """Return the fraction of web's calls that went so far, of one cluster or all."""
    columns = ("source", "source_cluster", "start", "end", "flow", "count")
    found: Counter[str] = Counter()
    for source, where, start, end, flow, count in zip(*(tables["calls"][name] for name in columns), strict=True):
        if source == "web" and where in (cluster or where) and start >= since and end <= until:
            found[flow] += int(count)
    return {flow: count / found.total() for flow, count in found.items()}


def served(simulation) -> Counter[str]:
    """Return how many requests pods answered, by workload."""
    found: Counter[str] = Counter()
    for cluster in simulation.clusters.values():
        for pod in cluster.pods.values():
            found[pod.workload] += int(simulation.mesh.plane.pods[pod.number].served)
    return found


def hosts(simulation, proxy, service="app") -> dict[str, tuple[bool, float]]:
    """Return the pods that a proxy knows: whether they are healthy, and its own service's share where it is."""
    world, names = simulation.mesh.plane.world, simulation.mesh.plane.pod_names
    up = world.upstreams[upstream_of(world, proxy.number, proxy.destinations[service][0])]
    slots = [world.slots[slot] for slot in range(up.first_slot, up.first_slot + up.capacity)]
    return {names[slot.host]: (not slot.unhealthy, float(up.own_share)) for slot in slots if slot.present}


# --- pods that are not ready ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "known"), [("1.30", None), ("1.31", False)])
def test_a_pod_that_starts_is_an_unhealthy_endpoint_from_istio_1_31(steady, event, version, known):
    more = event("scale", "10s", target={"service": "app", "cluster": "c1"}, replicas=5)
    simulation = steady(timeline=[more], istio_version=version)
    proxy = simulation.mesh.interested["app"][0]

    def look():
        return hosts(simulation, proxy).get("c1/app-4.0", (None,))[0]

    starting, started = simulation.at(15.0, look), simulation.at(25.0, look)
    number = simulation.at(15.0, lambda: len(simulation.mesh.plane.pods) - 1)
    answered = simulation.at(20.0, lambda: int(simulation.mesh.plane.pods[number[0]].served))
    tables = simulation.run()
    assert (starting, started, answered) == ([known], [True], [0])
    assert int(simulation.mesh.plane.pods[number[0]].served) > 20
    assert set(tables["requests"]["code"]) == {200}


@pytest.mark.parametrize(("version", "known"), [("1.30", set()), ("1.31", {False})])
def test_pods_on_lost_nodes_are_unhealthy_endpoints_from_istio_1_31(steady, event, version, known):
    outage = event("zone_outage", "5s", "60s", target={"zone": "eu/b"})
    simulation = steady(timeline=[outage], istio_version=version, kubernetes={"node_grace": "10s"}, duration="40s")
    proxy = next(proxy for proxy in simulation.mesh.interested["app"] if proxy.client.zone == "a")
    lost = {pod.name for pod in simulation.clusters["c1"].pods.values() if pod.service == "app" and pod.zone == "b"}
    seen = simulation.at(
        17.0, lambda: {health for name, (health, _) in hosts(simulation, proxy).items() if name in lost}
    )
    tables = simulation.run()
    assert seen == [known]
    rows = tables["requests"]
    late = [row for row in zip(rows["start"], rows["code"], strict=True) if row[0] >= 30.0]
    assert {code for _, code in late} == {200}


# --- subsets ----------------------------------------------------------------------------------------------------

VERSIONS = {
    "web": {"replicas": 2, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
    "app": {"endpoints": {"GET": {}}, "workloads": {"app-v1": {"replicas": 2}, "app-v2": {"replicas": 1}}},
}
SUBSETS = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]


def split(**weights: int) -> list[dict[str, Any]]:
    route = [{"destination": {"host": "app", "subset": name}, "weight": weight} for name, weight in weights.items()]
    return [
        resource("DestinationRule", "app", host="app", subsets=SUBSETS),
        resource("VirtualService", "app", hosts=["app"], http=[{"name": "split", "route": route}]),
    ]


def test_a_subset_reaches_only_pods_with_its_labels(steady):
    simulation = steady(*split(v2=100), services=VERSIONS)
    tables = simulation.run()
    found = served(simulation)
    assert found["app-v1"] == 0
    assert found["app-v2"] > 2000
    assert set(tables["requests"]["code"]) == {200}


def test_weights_of_versions_show_in_the_access_log(steady):
    simulation = steady(*split(v1=80, v2=20), services=VERSIONS, access_log=1.0)
    log = simulation.run()["access_log"]
    calls = Counter(
        (cluster.split("|")[2], host.split("/")[1].rsplit("-", 1)[0])
        for destination, cluster, host in zip(
            log["destination"], log["upstream_cluster"], log["upstream_host"], strict=True
        )
        if destination == "app"
    )
    assert set(calls) == {("v1", "app-v1"), ("v2", "app-v2")}  # a subset's calls end at its own pods
    assert calls["v2", "app-v2"] / calls.total() == pytest.approx(0.2, abs=4 * (0.16 / calls.total()) ** 0.5)
    assert set(log["route_name"]) > {"Istio default"}


# --- localities -------------------------------------------------------------------------------------------------


def test_distribute_divides_requests_among_localities(steady):
    shares = {"local": 70, "cross-zone": 20, "cross-region": 10}
    zones = {"eu/a": ("eu/a", "eu/b"), "eu/b": ("eu/b", "eu/a")}
    distribute = [
        {"from": f"{here}/*", "to": {f"{own}/*": 70, f"{other}/*": 20, "us/*": 10}}
        for here, (own, other) in zones.items()
    ]
    found = flows(steady(rule(**near(distribute=distribute))).run())
    assert {flow: 100 * share for flow, share in found.items()} == pytest.approx(shares, abs=2)


def test_failover_priority_keeps_to_the_zone_while_it_can(steady, event):
    """Twice the pods, half of them starting: 50 % of the zone is healthy, times 1.4 stays, the rest goes next door."""
    policy = rule(**EJECTS, **near(failoverPriority=NEAR_FIRST))
    more = event("scale", "2s", target={"service": "app", "cluster": "c1"}, replicas=8)
    simulation = steady(policy, timeline=[more], kubernetes={"pod_start": "1000s"})
    tables = simulation.run()
    assert flows(tables, until=2.0) == {"local": 1.0}
    assert flows(tables, since=3.0) == pytest.approx({"local": 0.7, "cross-zone": 0.3}, abs=0.03)


def test_failover_priority_by_a_label_of_the_pods(steady):
    """Pods of web's version 1 call app's version 1 only, wherever it is."""
    services = {
        "web": {"endpoints": VERSIONS["web"]["endpoints"], "workloads": {"web-v1": {"replicas": 2}}},
        "app": VERSIONS["app"],
    }
    simulation = steady(rule(**EJECTS, **near(failoverPriority=["version"])), services=services)
    tables = simulation.run()
    assert served(simulation)["app-v2"] == 0
    assert flows(tables)["cross-region"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("preference", "nearest"),
    [(None, 0.25), ("PreferClose", 1.0), ("PreferSameZone", 1.0)],  # of eight pods two are in the same zone
)
def test_traffic_distribution_prefers_what_is_near_without_ejection(steady, preference, nearest):
    services = {
        "web": VERSIONS["web"],
        "app": {"replicas": 4, "endpoints": {"GET": {}}, "traffic_distribution": preference},
    }
    random = rule(loadBalancer={"simple": "RANDOM"})  # LEAST_REQUEST alone favours those that answer soon
    assert flows(steady(random, services=services).run())["local"] == pytest.approx(nearest, abs=0.03)


# --- zone-aware routing -----------------------------------------------------------------------------------------

AWARE = rule(loadBalancer={"zoneAwareLbSetting": {"enabled": True}})
KNOWS = {"defaultConfig": {"proxyMetadata": {"ISTIO_META_ENABLE_SELF_DISCOVERY": "true"}}}
TWO_ZONES: dict[str, Any] = {
    "clusters": {"c1": {"region": "eu", "zones": ["a"]}, "c3": {"region": "eu", "zones": ["b"]}},
    "services": {
        "web": {"replicas": 2, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
        "app": {"replicas": {"c1": 6, "c3": 3}, "endpoints": {"GET": {}}},
    },
    "load": {"web": {"rate": "200/s"}},
    "duration": "60s",
}


def test_zone_aware_routing_sends_away_what_the_zone_cannot_take(steady):
    """A half of web and a third of app are in zone b, so its webs keep two thirds; those of zone a keep everything."""
    tables = steady(AWARE, mesh_config=KNOWS, **TWO_ZONES).run()
    assert flows(tables, cluster="c1") == {"local": 1.0}
    assert flows(tables, cluster="c3") == pytest.approx({"local": 2 / 3, "cross-zone": 1 / 3}, abs=0.03)


def test_proxies_that_do_not_know_their_own_service_ignore_zones(steady):
    tables = steady(AWARE, **TWO_ZONES).run()
    assert flows(tables, cluster="c1")["local"] == pytest.approx(2 / 3, abs=0.03)
    assert flows(tables, cluster="c3")["local"] == pytest.approx(1 / 3, abs=0.03)


def test_pods_of_the_own_service_that_come_and_go_change_what_the_zone_keeps(steady, event):
    """With one web of three in zone b, which has a third of app, nothing has to leave it any more."""
    fewer = event("scale", "20s", target={"service": "web", "cluster": "c3"}, replicas=1)
    simulation = steady(AWARE, mesh_config=KNOWS, timeline=[fewer], **TWO_ZONES)
    proxy = next(proxy for proxy in simulation.mesh.interested["app"] if proxy.client.cluster == "c3")

    def share():
        return {own for _, own in hosts(simulation, proxy).values()}

    before, after = simulation.at(19.0, share), simulation.at(22.0, share)
    stale = simulation.at(22.0, simulation.stale)
    tables = simulation.run()
    assert (before, after) == ([{0.5}], [{1 / 3}])
    assert stale == [{"c1": 0, "c3": 0}]
    assert flows(tables, cluster="c3", until=20.0)["local"] < 0.75
    assert flows(tables, cluster="c3", since=25.0) == {"local": 1.0}
