"""Load balancing, TLS and weights of gateways."""

from __future__ import annotations

from typing import Any

from tests.lint.conftest import NETWORKS, Told, routes, rule
from tests.service_entries import service_entry


def balanced(**fields: Any) -> dict[str, Any]:
    return rule({"loadBalancer": fields})


HASHED = balanced(consistentHash={"httpHeaderName": "x-user"})
KEYS = {"load": {"web": {"keys": {"x-user": {"count": 100}}}}}


def test_warm_up_needs_a_balancer_that_has_it(told: Told) -> None:
    assert "RANDOM has no slow start" in told(balanced(simple="RANDOM", warmup={"duration": "30s"}))["MS601"][0]
    assert "MS601" not in told(balanced(simple="ROUND_ROBIN", warmup={"duration": "30s"}))


def test_requests_need_what_is_hashed(told: Told) -> None:
    assert "GET /cart from web" in told(HASHED)["MS602"][0]
    assert "MS602" not in told(HASHED, **KEYS)
    assert "MS602" not in told(balanced(consistentHash={"useSourceIp": True}))
    cookie = {"httpCookie": {"name": "user", "ttl": "0s"}}
    assert "MS602" not in told(balanced(consistentHash=cookie)), "Envoy makes the cookie"


def test_affinity_ends_at_gateways(told: Told) -> None:
    assert "MS603" in told(HASHED, **NETWORKS, **KEYS)
    assert "MS603" not in told(HASHED, **KEYS)


def test_default_retries_hit_the_same_host(told: Told) -> None:
    assert "MS604" in told(HASHED, **KEYS)
    assert "MS604" not in told(HASHED, routes({"retries": {"attempts": 2, "retryOn": "5xx"}}), **KEYS)


def test_plain_text_does_not_cross_networks(told: Told) -> None:
    plain = rule({"tls": {"mode": "DISABLE"}})
    assert "hides the pods of cart" in told(plain, **NETWORKS)["MS605"][0]
    assert "MS605" not in told(plain)


def test_plain_text_to_strict_pods_fails(told: Told) -> None:
    strict = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "default"}}
    strict["spec"] = {"mtls": {"mode": "STRICT"}}  # type: ignore[assignment]
    assert "MS606" in told(rule({"tls": {"mode": "DISABLE"}}), strict)
    assert "MS606" not in told(rule({"tls": {"mode": "ISTIO_MUTUAL"}}), strict)


def test_weights_of_gateways_collapse_where_pods_are_in_several_zones(told: Told) -> None:
    assert "(33 % in place of 50 %)" in told(**NETWORKS)["MS607"][0]
    one_zone = {"regions": {"eu": {"zones": ["a"]}, "us": {"zones": ["a"]}}}
    assert "MS607" not in told(**NETWORKS, **one_zone)


def test_passthrough_fails_nothing_over(told: Told) -> None:
    assert "MS608" in told(rule({"loadBalancer": {"simple": "PASSTHROUGH"}, "outlierDetection": {}}))
    assert "MS608" not in told(balanced(simple="PASSTHROUGH"))


def test_clients_that_see_no_endpoint_are_told(told: Told) -> None:
    here = {"services": {"cart": {"replicas": {"eu-1": 2}}}}
    local = {"mesh_config": {"serviceSettings": [{"settings": {"clusterLocal": True}, "hosts": ["*"]}]}}
    found = told(**here, **local)["MS609"]
    assert found == ["clients in us-1 see no endpoint of cart: their requests get 503 UH"]
    assert "MS609" not in told(**here)


def test_endpoints_outside_the_mesh_are_no_pods_without_mutual_tls(told: Told) -> None:
    entry = service_entry("cart", "eu/a", "us/a")
    strict = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "default"}}
    cart = {"host": "cart.example.com", "endpoints": {"GET /cart": {"script": [{"compute": "5ms"}]}}}
    web = {"replicas": 2, "endpoints": {"GET /": {"script": [{"call": "cart/GET /cart"}]}}}
    strict["spec"] = {"mtls": {"mode": "STRICT"}}  # type: ignore[assignment]
    found = told(entry, strict, services={"web": web, "cart": cart}, **NETWORKS)
    assert not {"MS605", "MS606", "MS701"} & set(found)
