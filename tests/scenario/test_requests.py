"""Requests as rules of the mesh see them."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.istio.clients import Request
from meshsim.scenario.requests import (
    ingress,
    labels_of,
    line_of,
    operation_at,
    request_of,
    sidecar,
    variant,
    variants,
)
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import CallStep, Keys


def document(services=None, load_=None):
    services = services or EXAMPLE["services"]
    first = next(iter(services))
    endpoints = list(services[first]["endpoints"])
    load_ = load_ or {first: {"rate": "1/s", "actions": {"a": {"requests": endpoints}}}}
    return load({**EXAMPLE, "services": services, "load": load_}).document


def endpoint(name, protocol="http", **fields):
    return document({"cart": {"protocol": protocol, "endpoints": {name: fields}}})


# --- method and path ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "protocol", "fields", "line"),
    [
        ("GET /cart", "http", {}, ("GET", "/cart")),
        ("POST /cart/{id}?full=1", "http", {}, ("POST", "/cart/{id}?full=1")),
        ("get", "http", {}, ("GET", "/get")),
        ("/get", "http2", {}, ("GET", "/get")),
        ("GetCart", "grpc", {}, ("POST", "/cart/GetCart")),
        ("GET /healthz", "grpc", {}, ("GET", "/healthz")),
        ("GetCart", "grpc", {"path": "/shop.CartService/GetCart"}, ("POST", "/shop.CartService/GetCart")),
        ("GET /cart", "http", {"method": "PUT"}, ("PUT", "/cart")),
    ],
)
def test_method_and_path_come_from_fields_then_from_the_name(name, protocol, fields, line):
    assert line_of(endpoint(name, protocol, **fields), "cart", name) == line


def test_a_request_has_everything_that_rules_ask_for():
    found = request_of(endpoint("GET /a?q=1&r=", "http2"), "cart/GET /a?q=1&r=", {"Host": "a.b", "X-User": "j"})
    assert found == Request(
        "cart", "default", 80, "GET", "/a", {"x-user": "j"}, {"q": "1", "r": ""}, authority="a.b", protocol="http2"
    )
    assert found.host == "a.b"


def test_the_port_is_the_services():
    found = document({"cart": {"port": 7070, "namespace": "shop", "endpoints": {"get": {}}}})
    assert request_of(found, "cart/get").port == 7070
    assert request_of(found, "cart/get").host == "cart.shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('services.web.endpoints."GET /".path=nowhere', "path"),
        ('services.web.endpoints."GET /".method=get', "method"),
        ('load.web.headers={"a b": c}', "headers"),
        ('load.web.headers={a: "x\\ny"}', "headers"),
        ("load.web.keys={user: {count: 0}}", "count"),
        ("load.web.keys={user: {count: 5, skew: -1}}", "skew"),
        ("services.web.port=0", "port"),
    ],
)
def test_what_no_request_can_have_is_refused(change, message):
    with pytest.raises(ScenarioError, match=message):
        load(EXAMPLE, [change])


# --- the operation behind a route -----------------------------------------------------------------------------

SHOP = {
    "cart": {"endpoints": {"GET /cart/{id}": {}, "list": {}}},
    "cart-v2": {"endpoints": {"read": {"path": "/v2/cart/{id}"}, "list": {"path": "/all"}, "GET /cart/{id}": {}}},
}


@pytest.mark.parametrize(
    ("service", "path", "asked", "found"),
    [
        ("cart", "/cart/{id}", "cart/GET /cart/{id}", "cart/GET /cart/{id}"),
        ("cart-v2", "/cart/{id}", "cart/GET /cart/{id}", "cart-v2/GET /cart/{id}"),
        ("cart-v2", "/v2/cart/{id}", "cart/GET /cart/{id}", "cart-v2/read"),  # rewritten
        ("cart-v2", "/v2/cart/7", "cart/GET /cart/{id}", "cart-v2/read"),
        ("cart-v2", "/v2/cart/7/items", "cart/other", None),
        ("cart-v2", "/list", "cart/list", "cart-v2/list"),
        ("cart", "//list", "cart/list", "cart/list"),
    ],
)
def test_elsewhere_the_operation_is_that_of_the_same_path_or_name(service, path, asked, found):
    assert operation_at(document(SHOP), service, Request("cart", path=path), asked) == found


def test_the_method_counts():
    assert operation_at(document(SHOP), "cart", Request("x", method="PUT", path="/list"), "x/put") is None


# --- clients --------------------------------------------------------------------------------------------------


def test_pods_have_the_labels_of_their_workload_and_its_service():
    found = document(
        {
            "cart": {
                "namespace": "shop",
                "endpoints": {"get": {}},
                "workloads": {"cart-v1": {}, "cart-v2": {"labels": {"version": "two", "a": "b"}}, "other": {}},
            }
        }
    )
    assert labels_of(found, "cart", "cart-v1") == {"app": "cart", "version": "v1"}
    assert labels_of(found, "cart", "cart-v2") == {"app": "cart", "version": "two", "a": "b"}
    assert labels_of(found, "cart", "other") == {"app": "cart"}
    client = sidecar(found, "cart", "cart-v1")
    assert (client.namespace, client.gateway, client.labels) == ("shop", "mesh", {"app": "cart", "version": "v1"})


def test_the_ingress_gateway_is_in_istios_namespace_and_serves_any_gateway():
    assert (ingress().namespace, ingress().gateway) == ("istio-system", "*")


# --- variants -------------------------------------------------------------------------------------------------


def test_headers_are_compared_without_case_and_order():
    assert variant({"B": "1", "a": "2"}, {}) == variant({"a": "2", "b": "1"}, {})


def test_keys_are_sent_as_headers_without_a_value_unless_it_is_fixed():
    keys = {"X-User": Keys(count=10), "session": Keys(count=5, skew=1.0)}
    found = variant({"x-user": "j"}, keys)
    assert [name for name, _ in found.keys] == ["session"]
    assert found.sent == {"session": "", "x-user": "j"}


def test_the_host_asked_for_is_not_handed_on():
    found = variant({"Host": "shop.example.com", "a": "1"}, {})
    assert found.sent == {"a": "1", "host": "shop.example.com"}
    assert found.below(CallStep(call="b/c")).sent == {"a": "1"}
    assert found.below(CallStep(call="b/c", headers={"host": "d"})).host == "d"


def test_variants_are_those_of_actions_and_of_calls_below_without_repetition():
    services = {
        "web": {
            "endpoints": {
                "GET /": {"script": [{"call": "cart/get", "headers": {"x": "1"}}, [{"call": "cart/get"}]]},
                "GET /plain": {},
            },
        },
        "cart": {
            "endpoints": {"get": {}},
            "workloads": {"cart-v1": {"endpoints": {"get": {"script": [{"call": "db/get", "headers": {"y": "2"}}]}}}},
        },
        "db": {"endpoints": {"get": {}}},
    }
    entry = {
        "rate": "1/s",
        "headers": {"All": "0"},
        "keys": {"user": {"count": 3}},
        "actions": {
            "a": {"requests": ["GET /"], "headers": {"host": "shop.example.com"}},
            "b": {"requests": ["GET /plain"], "headers": {"all": "1"}},
        },
    }
    found = variants(document(services, {"web": entry}))
    assert found[0] == variant({}, {})
    keys = {"user": Keys(count=3)}
    expected = [
        {"all": "0", "host": "shop.example.com"},
        {"all": "1"},
        {"all": "0"},
        {"all": "0", "x": "1"},
        {"all": "0", "y": "2"},
        {"all": "0", "x": "1", "y": "2"},
    ]
    assert len(found) == len(set(found)) == 1 + len(expected)
    assert all(variant(headers, keys) in found for headers in expected)


def test_calls_count_wherever_a_virtual_service_may_send_them():
    services = {
        "web": {"endpoints": {"GET /": {"script": [{"call": "cart/get"}]}}},
        "cart": {"endpoints": {"get": {}}},
        "new": {"endpoints": {"get": {"script": [{"call": "db/get", "headers": {"y": "2"}}]}}},
        "db": {"endpoints": {"get": {}}},
    }
    assert variant({"y": "2"}, {}) in variants(document(services))


def test_without_headers_there_is_one_variant():
    assert variants(load("online-boutique").document) == [variant({}, {})]
