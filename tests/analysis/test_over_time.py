from __future__ import annotations

import pytest

from meshsim.analysis.cost import MONTH, breakdown
from meshsim.analysis.over_time import flow_matrix, latency_over_time
from meshsim.analysis.phases import Phase
from meshsim.results.frames import concatenate
from meshsim.results.histogram import bin_of
from meshsim.scenario.scenario import EXAMPLE, document_of
from meshsim.scenario.schema import Document
from tests.service_entries import service_entry


def document():
    regions = {"eu": {"zones": ["a", "b"]}, "us": {}}
    clusters = {"eu-1": {"region": "eu"}, "us-1": {"region": "us"}}
    prices = {"between_zones": 0.02, "between_regions": [{"from": "eu", "to": "us", "price": 0.1},
                                                         {"from": "us", "to": "eu", "price": 0.3}]}  # fmt: skip
    return Document.model_validate({**EXAMPLE, "regions": regions, "clusters": clusters, "cost": prices})


def calls(*rows):
    names = ["deployment", "replication", "start", "end", "source_cluster", "destination_cluster", "flow", "count",
             "request_bytes", "response_bytes"]  # fmt: skip
    fixed = {"source": "web", "destination": "cart", "code": 200, "response_flag": "", "attempts": 1, "latency_sum": 1}
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return concatenate([{"calls": {**columns, **{name: [value] * len(rows) for name, value in fixed.items()}}}])


def test_rates_are_means_over_replications_and_seconds():
    run = ("hybrid", 0, 0.0, 5.0), ("hybrid", 1, 0.0, 5.0)
    tables = calls(
        (*run[0], "eu-1", "us-1", "cross-region", 10, 1000, 2000), (*run[1], "eu-1", "us-1", "cross-region", 30, 0, 0)
    )
    found = flow_matrix(tables, Phase("all", 0.0, 5.0), document()).iloc[0]
    assert (found["calls"], found["bytes"]) == (4.0, 300.0)


def test_requests_pay_one_way_responses_the_other_and_nothing_within_a_zone():
    run = ("hybrid", 0, 0.0, 1.0)
    tables = calls(
        (*run, "eu-1", "us-1", "cross-region", 1, 10**9, 2 * 10**9),
        (*run, "eu-1", "eu-1", "cross-zone", 1, 10**9, 10**9),
        (*run, "us-1", "us-1", "local", 1, 10**9, 10**9),
    )
    found = flow_matrix(tables, Phase("all", 0.0, 1.0), document()).set_index(["source", "destination"])["cost"]
    seconds = MONTH * 3600
    assert found["eu-1", "us-1"] == pytest.approx((0.1 + 2 * 0.3) * seconds)
    assert found["eu-1", "eu-1"] == pytest.approx(2 * 0.02 * seconds)
    assert found["us-1", "us-1"] == 0.0


def test_what_leaves_for_an_endpoint_outside_the_clusters_pays_as_the_bill_says():
    entry = service_entry("cart", "us/a")
    services = {**EXAMPLE["services"], "cart": {"host": "cart.example.com", "endpoints": {"GET /": {}}}}
    resolved = document().model_dump(mode="json", by_alias=True)
    said = {"services": services, "clusters": {"eu-1": {"region": "eu"}}, "load": {"cart": {"rate": "1/s"}}}
    outside = document_of({**resolved, **said, "istio": [entry]})
    tables = calls(
        ("hybrid", 0, 0.0, 1.0, "eu-1", "eu-1", "cross-region", 1, 10**9, 2 * 10**9),
        ("hybrid", 0, 0.0, 1.0, "eu-1", "eu-1", "cross-zone", 1, 10**9, 0),
    )
    span = Phase("all", 0.0, 1.0)
    found = flow_matrix(tables, span, outside).set_index(["source", "destination"])["cost"]
    assert found["eu-1", "in us"] == pytest.approx((0.1 + 2 * 0.3) * MONTH * 3600)
    assert found["eu-1", "eu-1"] == pytest.approx(0.02 * MONTH * 3600)
    bill = breakdown(tables, [span], outside)
    assert found.sum() == pytest.approx(bill.loc[bill["resource"] == "transfer", "usd"].sum())


def test_where_nobody_knows_the_region_the_dearest_price_holds_as_in_the_bill():
    tables = calls(("hybrid", 0, 0.0, 1.0, "eu-1", "eu-1", "cross-region", 1, 10**9, 2 * 10**9))
    span = Phase("all", 0.0, 1.0)
    bill = breakdown(tables, [span], document())
    found = flow_matrix(tables, span, document())["cost"].sum()
    assert found == pytest.approx(bill.loc[bill["resource"] == "transfer", "usd"].sum())
    assert found > 0.0


def test_calls_outside_the_phase_and_calls_that_reached_nobody_do_not_count():
    tables = calls(
        ("hybrid", 0, 5.0, 10.0, "eu-1", "us-1", "cross-region", 10, 1, 1),
        ("hybrid", 0, 0.0, 5.0, "eu-1", "", "local", 10, 1, 1),
    )
    assert flow_matrix(tables, Phase("all", 0.0, 5.0), document()).empty


def test_calls_outside_the_windows_of_a_phase_do_not_count():
    ends = ("eu-1", "us-1", "cross-region", 10, 100, 200)
    tables = calls(*(("hybrid", 0, start, start + 5.0, *ends) for start in (0.0, 5.0, 10.0, 15.0)))
    found = flow_matrix(tables, Phase("all", 0.0, 20.0, ((5.0, 10.0), (15.0, 20.0))), document()).iloc[0]
    assert (found["calls"], found["bytes"]) == (2.0, 60.0)
    assert flow_matrix(tables, Phase("none", 0.0, 20.0, ()), document()).empty


def test_shares_of_each_moment_add_up_to_all_its_requests():
    rows = {"deployment": ["b", "b", "a"], "replication": [0, 1, 0], "start": [0.0] * 3, "end": [5.0] * 3}
    seconds = (0.01, 0.2, 0.01)
    rows |= {
        "kind": ["request"] * 3,
        "service": ["web"] * 3,
        "cluster": [""] * 3,
        "flow": ["local"] * 3,
        "outcome": ["ok"] * 3,
    }
    rows |= {"bin": [int(bin_of(one)) for one in seconds], "count": [3, 1, 5]}
    found = latency_over_time(concatenate([{"latency": rows}]))
    assert found["deployment"].tolist() == ["b", "b", "a"]
    assert found["share"].tolist() == [0.75, 0.25, 1.0]
    for (low, high), one in zip(found[["low", "high"]].to_numpy(), (0.01, 0.2, 0.01), strict=True):
        assert low <= one < high
        assert 8 / 7 - 1e-9 < high / low <= 1.25  # four rows per doubling, equally wide
