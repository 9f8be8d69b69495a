"""What one proxy sees and will do, at an instant of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from meshsim.cli import app
from meshsim.engine.simulation import Simulation
from meshsim.errors import ScenarioError
from meshsim.explain import Explanation, explain, retries, settings
from meshsim.report.explanation import text
from meshsim.scenario import Scenario, load
from tests.own_balancers import registered

HELLO = "helloworld-locality-failover"


def resource(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


SHOP: dict[str, Any] = {
    "name": "shop",
    "regions": {"eu": {"zones": ["a", "b"]}},
    "clusters": {"eu-1": {"region": "eu"}},
    "services": {
        "web": {"endpoints": {"GET /": {"script": [{"call": "cart/GET /cart"}]}}},
        "cart": {"workloads": {"cart-v1": {}, "cart-v2": {}}, "endpoints": {"GET /cart": {}}},
        "lone": {"endpoints": {"GET /lone": {}}},
    },
    "load": {"web": {"rate": "20/s"}, "lone": {"rate": "1/s"}},
    "istio": [
        resource(
            "DestinationRule",
            "cart",
            {
                "host": "cart",
                "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 7}}},
                "subsets": [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")],
            },
        ),
        resource(
            "VirtualService",
            "cart",
            {
                "hosts": ["cart"],
                "http": [
                    {
                        "match": [{"headers": {"end-user": {"exact": "jason"}}}],
                        "route": [{"destination": {"host": "cart", "subset": "v2"}}],
                    },
                    {"timeout": "3s", "route": [{"destination": {"host": "cart", "subset": "v1"}}]},
                ],
            },
        ),
    ],
    "duration": "10s",
    "warm_up": "0s",
}


@pytest.fixture(scope="module")
def shop() -> Scenario:
    return load(SHOP)


@pytest.fixture(scope="module")
def failing() -> Explanation:
    """One of eu-1's clients just after its pods have begun to fail."""
    changes = ["warm_up=0s", "duration=4s", "load.sleep.users=30", "timeline[0].start=1s", "timeline[0].duration=3s"]
    return explain(load(HELLO, [*changes, "timeline[1].start=3s", "timeline[1].duration=1s"]), "eu-1/sleep",
                   "helloworld", at=2.0)  # fmt: skip


# --- what it sees ---------------------------------------------------------------------------------------------


def test_endpoints_have_locality_priority_and_weight_and_gateways_are_marked() -> None:
    found = explain(load(HELLO), "eu-1/sleep", "helloworld")
    (upstream,) = found.upstreams
    assert [(row.region, row.zone, row.priority) for row in upstream.endpoints[:8:4]] == [
        ("eu", "a", 0),
        ("eu", "b", 1),
    ]
    gateway = upstream.endpoints[-1]
    assert (gateway.name, gateway.gateway, gateway.behind, gateway.priority) == ("gateway@us-1", True, 4, 2)
    assert gateway.weight == 4 * upstream.endpoints[0].weight
    assert [row.load for row in upstream.priorities] == [100, 0, 0]
    assert sum(row.share for row in upstream.endpoints) == pytest.approx(1.0)
    assert (found.cluster, found.region, found.zone, found.network) == ("eu-1", "eu", "a", "net-eu")


def test_ejected_hosts_are_shown_with_the_end_of_their_ejection(failing: Explanation) -> None:
    (upstream,) = failing.upstreams
    ejected = [row for row in upstream.endpoints if row.status == "ejected"]
    assert len(ejected) == upstream.ejected > 0
    assert all(row.returns is not None and row.returns >= 30.0 for row in ejected)
    assert {row.cluster for row in ejected} == {"eu-1"}


def test_what_the_balancer_has_not_heard_yet_is_marked(failing: Explanation) -> None:
    (upstream,) = failing.upstreams
    heard = sum(row.priority == 0 and row.status != "ejected" for row in upstream.endpoints)
    untold = [row for row in upstream.endpoints if not row.told]
    assert upstream.priorities[0].healthy == heard + len(untold)


def test_a_destination_that_no_request_goes_to_is_not_live(shop: Scenario) -> None:
    found = explain(shop, "eu-1/web", "cart", headers={"end-user": "jason"})
    assert [(one.destination.subset, one.live) for one in found.upstreams] == [("v2", False)]
    assert "no request of the scenario goes to it" in text(found)


def test_a_subset_has_its_own_endpoints(shop: Scenario) -> None:
    (upstream,) = explain(shop, "eu-1/web", "cart").upstreams
    assert [row.name for row in upstream.endpoints] == ["eu-1/cart-v1-0.0"]


def test_a_gateway_stands_for_the_pods_of_the_subset_that_take_mutual_tls_and_for_those_in_no_cluster() -> None:
    entry = {"address": "10.0.0.1", "labels": {"app": "api", "version": "v2"}, "network": "us", "locality": "us/a"}
    istio = [
        resource("DestinationRule", "api", {"host": "api", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]}),
        resource(
            "VirtualService",
            "api",
            {"hosts": ["api"], "http": [{"route": [{"destination": {"host": "api", "subset": "v2"}}]}]},
        ),
        resource("WorkloadEntry", "machine", entry | {"serviceAccount": "api"}),
        resource("PeerAuthentication", "plain", {"selector": {"matchLabels": {"track": "plain"}}, "mtls": PLAIN})
        | {"apiVersion": "security.istio.io/v1"},
    ]
    workloads = {
        "api-v1": {"replicas": {"us-1": 4}},
        "api-v2": {"replicas": {"us-1": 3}},
        "api-v2-plain": {"replicas": {"us-1": 2}, "labels": {"version": "v2", "track": "plain"}},
    }
    services = FAR["services"] | {"api": {"workloads": workloads, "endpoints": {"get": {}}}}
    (upstream,) = explain(load({**FAR, "services": services, "istio": istio}), "eu-1/web", "api").upstreams
    assert {row.name: row.behind for row in upstream.endpoints} == {"gateway@us-1": 4}


#: Calls of pods in eu-1 to pods in two zones and to three pods behind a gateway.
FAR: dict[str, Any] = {
    "name": "far",
    "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}},
    "clusters": {
        "eu-1": {"region": "eu", "network": "eu", "zones": ["a"]},
        "eu-2": {"region": "eu", "network": "eu", "zones": ["b"]},
        "us-1": {"region": "us", "network": "us"},
    },
    "latency": [{"between": ["eu", "us"], "rtt": "2ms"}],
    "services": {
        "web": {"replicas": {"eu-1": 1, "eu-2": 1}, "endpoints": {"GET /": {"script": [{"call": "api/get"}]}}},
        "api": {"replicas": {"eu-1": 1, "eu-2": 2, "us-1": 3}, "endpoints": {"get": {}}},
    },
    "load": {"web": {"rate": "200/s"}},
    "duration": "30s",
    "warm_up": "0s",
}
ZONES = {
    "loadBalancer": {"zoneAwareLbSetting": {"enabled": True, "minClusterSize": 1}},
    "outlierDetection": {"consecutive5xxErrors": 0},
}
PLAIN = {"mode": "DISABLE"}
WEIGHTS = [{"from": "eu/*", "to": {"eu/a": 20, "eu/b": 20, "us": 60}}]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"loadBalancer": {"simple": "RANDOM"}}, {"local": 1 / 4, "cross-zone": 2 / 4, "cross-region": 1 / 4}),
        ({"loadBalancer": {"simple": "PASSTHROUGH"}}, {"local": 1 / 4, "cross-zone": 2 / 4, "cross-region": 1 / 4}),
        ({"loadBalancer": {"simple": "ROUND_ROBIN"}}, {"local": 1 / 6, "cross-zone": 2 / 6, "cross-region": 3 / 6}),
        (
            {"loadBalancer": {"simple": "RANDOM", "localityLbSetting": {"distribute": WEIGHTS}}},
            {"local": 0.2, "cross-zone": 0.2, "cross-region": 0.6},
        ),
        (
            {
                "loadBalancer": {
                    "consistentHash": {"httpHeaderName": "user"},
                    "localityLbSetting": {"distribute": WEIGHTS},
                }
            },
            {"local": 0.2, "cross-zone": 0.2, "cross-region": 0.6},
        ),
        (ZONES, {"local": 2 / 3, "cross-zone": 1 / 3}),
    ],
    ids=["random", "passthrough", "round robin", "localities by weight", "entries of a ring", "zones"],
)
def test_shares_are_those_of_the_requests_that_come(policy: dict[str, Any], expected: dict[str, float]) -> None:
    """In eu-1 stand half of the webs and a third of the apis of the region, so its zone keeps two thirds."""
    knows = {"defaultConfig": {"proxyMetadata": {"ISTIO_META_ENABLE_SELF_DISCOVERY": "true"}}}
    rule = resource("DestinationRule", "api", {"host": "api", "trafficPolicy": policy})
    scenario = load({**FAR, "istio": [rule], "mesh_config": knows})
    (upstream,) = explain(scenario, "eu-1/web", "api").upstreams
    told = dict.fromkeys(("local", "cross-zone", "cross-region"), 0.0)
    for row in upstream.endpoints:
        told[{"eu-1": "local", "eu-2": "cross-zone", "us-1": "cross-region"}[row.cluster]] += row.share
    assert {flow: share for flow, share in told.items() if share} == pytest.approx(expected, abs=1e-4)
    calls, counted = Simulation(scenario, "multi-primary").run()["calls"], dict.fromkeys(told, 0)
    columns = ("source", "source_cluster", "flow", "count")
    for source, cluster, flow, count in zip(*(calls[name] for name in columns), strict=True):
        if (source, cluster) == ("web", "eu-1"):
            counted[flow] += int(count)
    whole = sum(counted.values())
    for flow, share in told.items():
        error = 4.0 * (share * (1.0 - share) / whole) ** 0.5
        assert counted[flow] / whole == pytest.approx(share, abs=error), (flow, counted)


# --- what it will do ------------------------------------------------------------------------------------------


def test_the_route_names_its_rule_and_the_source_of_each_value(shop: Scenario) -> None:
    (one,) = explain(shop, "eu-1/web", "cart").requests
    assert one.route.name.endswith("http[1]")
    assert one.route.timeout == 3.0
    assert one.route.sources["timeout"].startswith("VirtualService default/cart")
    assert {name: source for name, _, source in retries(one.route)}["attempts"] == "Istio default"


def test_headers_choose_another_rule(shop: Scenario) -> None:
    (one,) = explain(shop, "eu-1/web", "cart", headers={"End-User": "jason"}).requests
    assert one.route.name.endswith("http[0]")


def test_the_policy_tells_where_each_value_comes_from(shop: Scenario) -> None:
    (upstream,) = explain(shop, "eu-1/web", "cart").upstreams
    values = {name: (value, source) for name, value, source in settings(upstream.policy)}
    assert values["circuit_breaker.max_connections"] == (7, "DestinationRule default/cart")
    assert values["load_balancer"] == ("LEAST_REQUEST", "Istio default")
    assert ("connections", 0, 7) in upstream.used


def test_time_passes_up_to_the_instant(shop: Scenario) -> None:
    (before,), (after,) = (explain(shop, "eu-1/web", "cart", at=at).upstreams for at in (0.0, 5.0))
    assert sum(row.connections for row in before.endpoints) == 0
    assert sum(row.connections for row in after.endpoints) > 0
    assert explain(shop, "eu-1/web", "cart", at=10.0).time == 10.0


def test_the_ingress_gateway_can_be_asked(shop: Scenario) -> None:
    found = explain(shop, "ingress@eu-1", "web")
    assert (found.proxy, [one.request.path for one in found.requests]) == ("eu-1/ingress-0", ["/"])


@pytest.mark.parametrize("source", ["eu-1/web", "eu-1/web/0", "eu-1/web/web-0.0"])
def test_a_pod_is_named_by_number_or_name_and_is_the_first_by_default(shop: Scenario, source: str) -> None:
    assert explain(shop, source, "cart").proxy == "eu-1/web-0.0"


# --- what is wrong with the question --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "to", "options", "message"),
    [
        ("eu-2/web", "cart", {}, "--from: unknown cluster 'eu-2'; did you mean 'eu-1'"),
        ("eu-1/wep", "cart", {}, "--from: unknown service 'wep'; did you mean 'web'"),
        ("eu-1", "cart", {}, "--from: write eu-1/SERVICE, or ingress@eu-1"),
        ("egress@eu-1", "cart", {}, "--from: 'egress' is no gateway that sends requests; did you mean 'ingress'"),
        ("eu-1/web/web-0.1", "cart", {}, "--from: unknown pod 'web-0.1'; did you mean 'web-0.0'"),
        ("eu-1/web", "cort", {}, "--to: unknown service 'cort'; did you mean 'cart'"),
        ("eu-1/web", "lone", {}, "--to: web sends no requests to lone"),
        ("eu-1/web", "cart", {"at": 11.0}, "--at: 11 s is not within the run, which takes 10 s"),
        (
            "eu-1/web",
            "cart",
            {"deployment": "hybird"},
            "--deployment: unknown deployment 'hybird'; did you mean 'hybrid'",
        ),
    ],
)
def test_a_wrong_question_gets_the_nearest_right_one(
    shop: Scenario, source: str, to: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        explain(shop, source, to, **options)
    assert str(error.value).startswith(message)


def test_a_balancer_of_ones_own_keeps_its_name_and_istios_are_told_in_words() -> None:
    def balancers(simple: str) -> set[str]:
        rule = resource(
            "DestinationRule", "cart", {"host": "cart", "trafficPolicy": {"loadBalancer": {"simple": simple}}}
        )
        found = explain(load({**SHOP, "istio": [rule]}), "eu-1/web", "cart")
        return {priority.balancer for upstream in found.upstreams for priority in upstream.priorities}

    with registered():
        assert balancers("LEAST_OF_ALL") == {"LEAST_OF_ALL"}
    assert balancers("RANDOM") == {"random"}


# --- how it is shown ------------------------------------------------------------------------------------------


def test_the_text_has_all_parts_and_fits_its_columns(shop: Scenario) -> None:
    shown = text(explain(shop, "eu-1/web", "cart", at=2.0))
    for part in (
        "eu-1/web-0.0 (eu/b",
        "GET /cart",
        "http[1]",
        "timeout   3 s",
        "CART/V1",
        "P0",
        "of 7",
        "Istio defaults:",
    ):
        assert part in shown, part
    assert max(map(len, shown.splitlines())) < 160


def test_requests_that_are_treated_alike_are_shown_together() -> None:
    services = {"web": {"endpoints": {"GET /": {}, "GET /about": {}}}}
    users = {"web": {"rate": "1/s", "actions": {"look": {"requests": ["GET /", "GET /about"]}}}}
    found = explain(load({**SHOP, "services": services, "load": users, "istio": []}), "ingress@eu-1", "web")
    assert "\nGET /\nGET /about\n  rule " in text(found)


def test_json_has_names_and_sources(shop: Scenario) -> None:
    found = explain(shop, "eu-1/web", "cart").to_json()
    assert found["upstreams"][0]["policy"]["connect_timeout"] == {"value": 10.0, "source": "Istio default"}
    assert found["requests"][0]["destinations"] == [{"service": "cart", "subset": "v1", "weight": 100}]


def test_the_command_reports_mistakes_without_simulating(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("simulated")

    monkeypatch.setattr("meshsim.engine.simulation.Simulation.__init__", never)
    for words in (["--at", "soon"], ["--headers", "jason"], ["--to", "helowold"], ["--from", "eu-1/slep"]):
        given = {"--from": "eu-1/sleep", "--to": "helloworld"} | {words[0]: words[1]}
        done = CliRunner().invoke(app, ["explain", HELLO, *(word for pair in given.items() for word in pair)])
        assert isinstance(done.exception, ScenarioError), words
        assert str(done.exception).startswith(f"{words[0]}: "), words


def test_a_service_that_the_sidecar_hides_is_refused_as_in_the_run() -> None:
    hiding = resource("Sidecar", "default", {"egress": [{"hosts": ["istio-system/*"]}]})
    for mode, expected in (("REGISTRY_ONLY", ("BlackHoleCluster", 502)), ("ALLOW_ANY", ("PassthroughCluster", 0))):
        spec = hiding["spec"] | {"outboundTrafficPolicy": {"mode": mode}}
        scenario = load({**SHOP, "istio": [hiding | {"spec": spec}]})
        routes = {(one.route.name, one.route.direct_code) for one in explain(scenario, "eu-1/web", "cart").requests}
        assert routes == {expected}
