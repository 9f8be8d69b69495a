"""Rules that never apply, and requests that end nowhere."""

from __future__ import annotations

from typing import Any

from tests.lint.conftest import Told, routes, rule
from tests.service_entries import service_entry


def to(host: str = "cart", subset: str = "") -> dict[str, Any]:
    return {"route": [{"destination": {"host": host, **({"subset": subset} if subset else {})}}]}


V1 = {"name": "v1", "labels": {"app": "cart"}}


def test_a_route_to_an_undefined_subset_is_told_with_the_nearest_name(told: Told) -> None:
    found = told(routes(to(subset="v11")), rule(subsets=[V1]))["MS401"]
    assert found == [
        (
            "http[0] sends requests to subset 'v11', which no DestinationRule of cart has: they get 503 NC; did you "
            "mean "
            "'v1'? (one of v1)"
        )
    ]
    assert "it has no subsets" in told(routes(to(subset="v1")))["MS401"][0]
    assert "MS401" not in told(routes(to(subset="v1")), rule(subsets=[V1]))


def test_a_subset_whose_labels_match_nothing_is_empty(told: Told) -> None:
    found = told(routes(to(subset="v2")), rule(subsets=[{"name": "v2", "labels": {"version": "v2"}}]))["MS402"]
    assert found == ["subset cart/v2 is empty: no workload has version=v2"]
    workloads = {"services": {"cart": {"workloads": {"cart-v2": {}}}}}
    assert "MS402" not in told(rule(subsets=[{"name": "v2", "labels": {"version": "v2"}}]), **workloads)


def test_a_rule_below_one_that_takes_all_its_requests_is_shadowed(told: Told) -> None:
    wide, narrow = ({"match": [{"uri": {"prefix": prefix}}]} for prefix in ("/", "/cart"))
    assert told(routes(wide, narrow))["MS403"] == ["http[1] takes no request: a rule above it takes every request"]
    assert "MS403" not in told(routes(narrow, wide))


def test_a_host_that_nobody_has_is_told(told: Told) -> None:
    assert "503 NC" in told(routes(to("cort")))["MS404"][0]


def test_requests_that_no_rule_takes_are_named(told: Told) -> None:
    found = told(routes({"match": [{"uri": {"prefix": "/other"}}]}))
    assert found["MS405"] == ["no rule takes GET /cart from web: 404 NR"]
    assert "MS405" not in told(routes({"match": [{"uri": {"prefix": "/cart"}}]}))


def test_the_policy_of_a_subset_needs_a_route_to_it(told: Told) -> None:
    subset = V1 | {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 100}}}}
    assert "no VirtualService sends requests there" in told(rule(subsets=[subset]))["MS406"][0]
    assert "MS406" not in told(rule(subsets=[subset]), routes(to(subset="v1")))
    assert "MS406" not in told(rule(subsets=[V1]))


def test_a_rule_that_no_request_of_the_scenario_takes_is_told(told: Told) -> None:
    jason = {"match": [{"headers": {"end-user": {"exact": "jason"}}}]}
    assert told(routes(jason, {}))["MS407"] == [
        "http[0] takes no request: none of the scenario's has what is asked for"
    ]


def test_headers_travel_down_to_the_rule_that_asks_for_them(told: Told) -> None:
    jason = {"match": [{"headers": {"end-user": {"exact": "jason"}}}]}
    assert "MS407" not in told(routes(jason), load={"web": {"headers": {"end-user": "jason"}}})


def test_http_rules_of_a_tcp_service_do_nothing(told: Told) -> None:
    assert "MS408" in told(routes({"timeout": "1s"}), services={"cart": {"protocol": "tcp"}})


def test_tcp_rules_of_an_http_service_do_nothing(told: Told) -> None:
    to = {"route": [{"destination": {"host": "cart"}}]}
    tcp, http = routes(), routes({})
    del tcp["spec"]["http"]
    tcp["spec"]["tcp"] = [to]
    assert told(tcp)["MS410"] == ["tcp[0] does nothing for cart: its protocol is http"]
    assert "MS410" not in told(tcp, services={"cart": {"protocol": "tcp"}})
    assert "MS410" not in told({**http, "spec": {**http["spec"], "tcp": [to]}})
    tcp["spec"]["gateways"] = ["front"]
    assert "MS410" not in told(tcp)


def test_a_sidecar_may_hide_a_service_that_is_called(told: Told) -> None:
    def sidecar(host: str) -> dict[str, Any]:
        named = {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "default"}}
        return named | {"spec": {"egress": [{"hosts": [host]}]}}

    assert told(sidecar("istio-system/*"))["MS409"] == ["the Sidecar of default hides cart, which web calls"]
    assert "MS409" not in told(sidecar("./*"))


def test_export_to_may_hide_a_service_that_is_called(told: Told) -> None:
    def found(export_to: list[str], *more: dict[str, Any]) -> dict[str, list[str]]:
        entry = service_entry("pay", "eu/a", namespace="bank", exportTo=export_to)
        web = {"endpoints": {"GET /": {"script": [{"call": "pay/GET"}, {"call": "cart/GET /cart"}]}}}
        pay = {"host": "pay.example.com", "namespace": "bank", "endpoints": {"GET": {}}}
        return told(entry, *more, services={"web": web, "pay": pay})

    hidden = found(["."])
    assert hidden["MS411"] == ["exportTo hides pay from default, where web calls it"]
    assert "MS409" not in hidden
    assert "MS411" not in found([".", "default"])
    assert "MS411" not in found([])
    own = {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "own"}}
    both = found(["~"], own | {"spec": {"egress": [{"hosts": ["./*"]}]}})
    assert both["MS409"] == ["the Sidecar of default hides pay, which web calls"]
    assert "MS411" in both
