"""Kubernetes Services among the documents."""

from __future__ import annotations

import pytest

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop%s}\nspec: {ports: [{port: 80}]%s}\n"
ANNOTATION = ", annotations: {networking.istio.io/traffic-distribution: PreferClose}"


@pytest.mark.parametrize(
    ("text", "forced"),
    [
        (SERVICE % ("", ""), False),
        (SERVICE % ("", ", trafficDistribution: PreferClose"), True),
        (SERVICE % (ANNOTATION, ""), True),
    ],
)
def test_spec_2_9d_a_service_may_ask_for_near_endpoints(text, forced, read):
    found = read(text)
    assert found.policy().locality_failover is forced
    assert not found.policy("web").locality_failover
    assert found.warnings == ()


def test_the_scenarios_own_word_comes_first(read):
    text = SERVICE % ("", ", trafficDistribution: PreferSameZone")
    found = read(text, traffic_distributions={("cart", "shop"): "PreferSameNode"})
    assert len(found.policy().locality.failover_priority) == 5


def test_a_value_that_kubernetes_does_not_have_is_an_error(read):
    found = read(SERVICE % ("", ", trafficDistribution: PreferNear"))
    assert found.messages[0].startswith(
        "mesh.yaml:4: Service/cart: spec.trafficDistribution: 'PreferNear' is not a value of this field"
    )


def test_a_service_that_the_scenario_does_not_have_is_named(read):
    found = read(SERVICE.replace("cart", "card") % ("", ", trafficDistribution: PreferClose"))
    assert found.warnings == (
        (
            "mesh.yaml:4: Service/card: spec.trafficDistribution: matches no service of the scenario: "
            "it has no effect; did you mean 'cart'? (one of cart, ledger, web)"
        ),
    )
