"""What lints know of a scenario."""

from __future__ import annotations

from typing import Any

from meshsim.lint.facts import Facts
from meshsim.scenario import load
from tests.lint.conftest import MESH, NETWORKS, merged, routes, rule


def facts(*istio: dict[str, Any], **changes: Any) -> Facts:
    return Facts(load(merged(MESH, changes) | {"istio": list(istio)}))


def test_requests_are_followed_along_their_routes() -> None:
    services = {
        "basket": {"endpoints": {"GET /cart": {"script": [{"call": "db/get"}]}}},
        "db": {"endpoints": {"get": {}}},
    }
    users = {"basket": {"rate": "1/s"}}
    to = {"route": [{"destination": {"host": "basket"}}]}
    found = facts(routes(to), services=services, load=users)
    assert [(flow.caller, flow.request.service, flow.operations) for flow in found.flows if flow.caller] == [
        ("basket", "db", ("db/get",)),
        ("web", "cart", ("basket/GET /cart",)),
    ]
    assert found.callers(("basket", "")) == (("", ""), ("web", "web"))


def test_a_cycle_of_calls_is_followed_once() -> None:
    script = [{"call": "cart/GET /cart", "probability": 0.5}]
    found = facts(services={"cart": {"endpoints": {"GET /cart": {"script": script}}}})
    assert len(found.flows) == 3


def test_clients_are_places_and_proxies_are_counted() -> None:
    found = facts()
    assert found.proxies(("cart", "")) == 4
    assert found.proxies(("web", "")) == 2, "an ingress gateway in each cluster"
    assert len(found.clients(("cart", ""))) == 4


def test_clients_are_told_apart_by_the_labels_that_the_destination_ranks_by() -> None:
    versions = {"web": {"workloads": {"web-v1": {}, "web-v2": {}}}}
    ranked = {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["version"]}}, "outlierDetection": {}}
    plain, told_apart = (facts(*istio, services=versions) for istio in ((), (rule(ranked),)))
    assert {client.labels for client in plain.clients(("cart", ""))} == {()}
    found = {dict(client.labels)["version"] for client in told_apart.clients(("cart", ""))}
    assert found == {"v1", "v2"}
    by_app = rule(ranked | {"loadBalancer": {"localityLbSetting": {"failoverPriority": ["app"]}}}, host="web")
    users = facts(by_app).clients(("web", ""))
    assert {client.labels for client in users} == {(("app", "istio-ingressgateway"),)}


def test_pods_of_other_networks_are_seen_as_a_gateway() -> None:
    found = facts(**NETWORKS)
    client = found.clients(("cart", ""))[0]
    assert [view.is_gateway for view in found.views(("cart", ""), client)] == [False, False, True]
