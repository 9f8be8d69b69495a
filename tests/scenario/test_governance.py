"""Checks of prices and of where data has to stay."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE

TWO = {
    "regions": {"eu": {}, "us": {}},
    "clusters": {"eu-1": {"region": "eu"}, "us-1": {"region": "us"}},
    "latency": [{"between": ["eu", "us"], "rtt": "80ms"}],
}


def problems(**fields) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        load({**EXAMPLE, **TWO, **fields})
    return [f"{problem.path}: {problem.message}" for problem in raised.value.problems]


def test_all_unknown_regions_of_prices_are_told_at_once():
    cost = {"regions": {"uz": {}}, "between_regions": [{"from": "eu", "to": "eu", "price": 1},
                                                       {"from": "eo", "to": "*", "price": 1}]}  # fmt: skip
    assert problems(cost=cost) == [
        "cost.regions.uz: unknown region 'uz' (one of eu, us)",
        "cost.between_regions[0]: goes from a region to itself; give between_zones for a price within a region",
        "cost.between_regions[1].from: unknown region 'eo' (one of *, eu, us)",
    ]


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({"cpu": -1}, "cost.cpu: "),
        ({"currency": "EUR"}, "cost: currency EUR needs an exchange_rate: USD for one EUR"),
        ({"exchange_rate": 1.1}, "cost: exchange_rate is for prices in another currency; give currency, too"),
        ({"sidecar": {"cpu": "100M"}}, "cost.sidecar.cpu: '100M' is no amount of CPU; write it like 500m or 0.5"),
    ],
)
def test_prices_that_mean_nothing_are_refused(cost, message):
    assert problems(cost=cost)[0].startswith(message)


def test_requests_are_written_as_kubernetes_does_and_have_the_chart_s_defaults():
    cost = load({**EXAMPLE, "cost": {"sidecar": {"cpu": "50m"}, "istiod": {"memory": "4Gi"}}}).document.cost
    assert (cost.sidecar.cpu, cost.sidecar.memory) == (0.05, 128 * 2**20)
    assert (cost.istiod.cpu, cost.istiod.memory) == (0.5, 4 * 2**30)


def test_prices_survive_being_resolved():
    cost = {"currency": "EUR", "exchange_rate": 1.1, "between_regions": [{"from": "*", "to": "us", "price": 0.01}]}
    scenario = load({**EXAMPLE, **TWO, "cost": cost})
    assert load(scenario.resolved()).hash == scenario.hash


def test_unknown_regions_of_data_are_told():
    clusters = {"eu-1": {"region": "eu", "data_residency": ["eu", "eu"]}, "us-1": {"region": "us"}}
    services = {"web": {**EXAMPLE["services"]["web"], "data_residency": ["mars"]}}
    assert problems(clusters=clusters, services=services) == [
        "clusters.eu-1.data_residency: the region 'eu' is given twice",
        "services.web.data_residency[0]: unknown region 'mars' (one of eu, us)",
    ]


def test_data_kept_where_it_must_not_be_is_a_warning():
    clusters = {"eu-1": {"region": "eu"}, "us-1": {"region": "us", "data_residency": ["eu"]}}
    services = {"web": {**EXAMPLE["services"]["web"], "data_residency": ["us"]}}
    warnings = load({**EXAMPLE, **TWO, "clusters": clusters, "services": services}).warnings
    assert [text.split(": ", 1)[1] for text in warnings] == [
        "us-1 is in us, where its own data must not be",
        "web has pods in eu-1, where its data must not be",
    ]
