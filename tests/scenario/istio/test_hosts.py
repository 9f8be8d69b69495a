from __future__ import annotations

import pytest

from meshsim.scenario.istio import hosts

SERVICES = [("cart", "shop"), ("web", "shop"), ("ledger", "bank")]


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("cart", "cart.shop.svc.cluster.local"),
        ("cart.shop.svc.cluster.local", "cart.shop.svc.cluster.local"),
        ("cart.shop", "cart.shop"),  # Istio completes a name without dots only
        ("*", "*"),
        ("*.bank.svc.cluster.local", "*.bank.svc.cluster.local"),
        ("www.example.com", "www.example.com"),
    ],
)
def test_only_a_name_without_dots_belongs_to_the_resources_namespace(host, full):
    assert hosts.resolved(host, "shop") == full


def test_longer_wildcards_are_more_precise_and_full_names_most():
    order = ["*", "*.local", "*.shop.svc.cluster.local", "a.b"]
    assert sorted(order, key=hosts.precision) == order


def test_a_wildcard_does_not_match_in_the_middle():
    assert not hosts.matches("*.shop.svc.cluster.local", "cart.bank.svc.cluster.local")


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("carts", "; did you mean 'cart'? (one of cart, ledger, web)"),
        ("cart.shop", "; did you mean 'cart.shop.svc.cluster.local'?"),
        ("ledger.shop.svc.cluster.local", "; did you mean 'ledger.bank.svc.cluster.local'?"),
        ("www.example.com", ""),
        ("*.bonk.svc.cluster.local", " (one of cart, ledger, web)"),
    ],
)
def test_a_host_without_a_service_gets_the_nearest_name(host, hint):
    assert hosts.no_service(host, SERVICES) == f"matches no service of the scenario: it has no effect{hint}"
