"""Limits that hold elsewhere, or more, than they seem to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lint.conftest import NETWORKS, Told, rule
from tests.service_entries import service_entry


def pool(**blocks: Any) -> dict[str, Any]:
    return rule({"connectionPool": blocks})


GRPC = {"services": {"cart": {"protocol": "grpc"}}}


def test_limits_are_multiplied_by_the_client_proxies(told: Told) -> None:
    found = told(pool(http={"http2MaxRequests": 100}))["MS501"]
    assert found == ["http2MaxRequests 100 holds for each client proxy: the 4 clients of cart may have 400 together"]
    assert "MS501" not in told(pool(http={"http2MaxRequests": 100}), services={"web": {"replicas": {"eu-1": 1}}})


def test_connections_have_a_floor_of_one_per_thread_and_host(told: Told) -> None:
    assert "8 in all" in told(pool(tcp={"maxConnections": 4}))["MS502"][0]
    assert "MS502" not in told(pool(tcp={"maxConnections": 8}))


def test_connections_have_a_floor_by_the_threads_that_each_client_has(told: Told) -> None:
    four = {"apiVersion": "networking.istio.io/v1beta1", "kind": "ProxyConfig", "metadata": {"name": "four"}}
    four["spec"] = {"selector": {"matchLabels": {"app": "web"}}, "concurrency": 4}
    (found,) = told(pool(tcp={"maxConnections": 8}), four)["MS502"]
    assert found.endswith("each of 4 worker threads may open one connection to each of 4 hosts, 16 in all")
    assert "MS502" not in told(pool(tcp={"maxConnections": 4}), mesh_config={"defaultConfig": {"concurrency": 1}})
    of_web = rule({"connectionPool": {"tcp": {"maxConnections": 8}}}, host="web")
    assert "16 in all" in told(of_web, ingress={"us-1": {"concurrency": 4}})["MS502"][0]
    four = {"mesh_config": {"defaultConfig": {"concurrency": 4}}}
    assert "16 in all" in told(of_web, **four)["MS502"][0]
    two = {name: {"concurrency": 2} for name in ("eu-1", "us-1")}
    assert "MS502" not in told(of_web, **four, ingress=two)


def test_max_retries_is_about_retries_at_once(told: Told) -> None:
    assert "at once" in told(pool(http={"maxRetries": 3}))["MS503"][0]
    assert "MS503" not in told(pool(http={"maxRetries": 50}))
    budget = rule({"connectionPool": {"http": {"maxRetries": 50}}, "retryBudget": {"percent": 20}})
    assert "retryBudget takes its place" in told(budget)["MS503"][0]


def test_connections_do_not_limit_http2(told: Told) -> None:
    assert "MS504" in told(pool(tcp={"maxConnections": 100}), **GRPC)
    assert "MS504" not in told(pool(tcp={"maxConnections": 100}))
    assert "MS504" not in told(pool(tcp={"maxConnections": 100}, http={"http2MaxRequests": 50}), **GRPC)


def test_a_connection_to_what_has_no_sidecar_carries_what_the_client_lets_it(told: Told) -> None:
    out = {"services": {"cart": {"protocol": "grpc", "host": "cart.example.com"}}}
    limits = {"tcp": {"maxConnections": 100}, "http": {"maxConcurrentStreams": 5000}}
    asked = rule({"connectionPool": limits}, host="cart.example.com")
    entry = service_entry("cart", "eu/a", location="MESH_INTERNAL")
    assert "carries 5000 at a time" in told(entry, asked, **out)["MS504"][0]
    entry["spec"]["endpoints"][0]["serviceAccount"] = "cart"
    assert "carries 1024 at a time" in told(entry, asked, **out)["MS504"][0]


def test_connections_without_a_limit_of_waiting_requests_refuse_nothing(told: Told) -> None:
    assert "MS505" in told(pool(tcp={"maxConnections": 100}))
    assert "MS505" not in told(pool(tcp={"maxConnections": 100}, http={"http1MaxPendingRequests": 10}))


def test_http2_through_a_gateway_sticks_to_one_pod(told: Told) -> None:
    assert told(**NETWORKS, **GRPC)["MS506"][0].startswith("cart: a client in another network opens one HTTP/2")
    assert "MS506" not in told(**GRPC)
    assert "MS506" not in told(**NETWORKS)
    assert "MS506" not in told(pool(http={"maxRequestsPerConnection": 100}), **NETWORKS, **GRPC)


def test_connections_are_limited_at_the_gateway_too(told: Told) -> None:
    found = told(pool(tcp={"maxConnections": 3}), **NETWORKS)["MS507"]
    assert found[0] == (
        "maxConnections 3 holds for the replica of the gateway of us-1, too: 2 proxies of other networks, with 4 "
        "worker threads, open a connection each or more to cart, and those beyond 3 fail (UF)"
    )
    assert len(found) == 2
    assert "MS507" in told(pool(tcp={"maxConnections": 3}), **NETWORKS, **GRPC)
    assert "MS507" not in told(pool(tcp={"maxConnections": 3}))
    assert "MS507" not in told(pool(http={"http2MaxRequests": 3}), **NETWORKS)


@pytest.mark.parametrize(
    ("limit", "changes"),
    [
        (4, {}),
        (3, {"gateways": {"eu-1": {"replicas": 2}, "us-1": {"replicas": 2}}}),
        (3, {"services": {"web": {"replicas": 1}}}),
        (3, {"sidecar": {"concurrency": 1}}),
        (3, {"mesh_config": {"defaultConfig": {"concurrency": 1}}}),
    ],
)
def test_a_limit_that_a_gateway_keeps_is_right(told: Told, limit: int, changes: dict[str, Any]) -> None:
    assert "MS507" not in told(pool(tcp={"maxConnections": limit}), **NETWORKS, **changes)
