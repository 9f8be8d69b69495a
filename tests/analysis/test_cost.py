"""Every part of the bill, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meshsim.analysis.cost import MONTH, PARTS, breakdown, doubts, items, published
from meshsim.analysis.grid import Grid
from meshsim.analysis.phases import Phase
from meshsim.analysis.summary import compare, summarize
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document
from tests.analysis.test_summary import Tables, value

RUN = ("multi-primary", 0)
#: A span of one hour, so that a month has 730 of it.
HOUR = [Phase("all", 0.0, 3600.0)]
AWS = {"eu": {"cloud_region": "aws:eu-west-1", "zones": ["a", "b"]}, "us": {"cloud_region": "aws:us-east-1"}}
CLUSTERS = {"eu-1": {"region": "eu"}, "us-1": {"region": "us"}}
#: A vCPU-hour, a GiB-hour.
PRICES = {"cpu": 0.03, "memory": 0.004}


def document(**fields) -> Document:
    return Document.model_validate({**EXAMPLE, "regions": AWS, "clusters": CLUSTERS, "cost": PRICES, **fields})


def call(tables: Tables, source: str, destination: str, flow: str, there: float, back: float, run=RUN) -> Tables:
    ends = {"source": "web", "destination": "web", "source_cluster": source, "destination_cluster": destination}
    sizes = {"request_bytes": int(there), "response_bytes": int(back)}
    return tables.add("calls", run, 0.0, 3600.0, **ends, **sizes, flow=flow, code=200, count=1, attempts=1)


def bill(tables: Tables, scenario: Document, run=RUN) -> dict[str, float]:
    summary = summarize(tables.built(), HOUR, scenario)
    return {name: value(summary, name, run=run) for name in summary["metric"].unique() if name.startswith("cost")}


def test_bytes_between_regions_are_paid_by_their_sender_at_the_price_of_his_region():
    # 2 GB an hour to the United States, 5 GB back; the way back from us-east-1 to eu-west-1 is 0.02 as well.
    tables = call(Tables(), "eu-1", "us-1", "cross-region", 2e9, 5e9)
    assert bill(tables, document())["cost_cross_region"] == pytest.approx((2 + 5) * 0.02 * 730)
    regions = {**AWS, "us": {"cloud_region": "aws:sa-east-1"}}  # 0.138 from there
    assert bill(tables, document(regions=regions))["cost_cross_region"] == pytest.approx((2 * 0.02 + 5 * 0.138) * 730)


def test_bytes_between_zones_are_paid_on_both_sides_at_aws():
    tables = call(Tables(), "eu-1", "eu-1", "cross-zone", 2e9, 5e9)
    found = bill(tables, document())
    assert found["cost_cross_zone"] == pytest.approx((2 + 5) * 0.02 * 730)
    assert found["cost_cross_region"] == 0.0


def test_local_bytes_cost_nothing():
    tables = call(Tables(), "eu-1", "eu-1", "local", 1e12, 1e12)
    found = bill(tables, document())
    assert (found["cost_cross_region"], found["cost_cross_zone"]) == (0.0, 0.0)


def test_a_phase_is_scaled_to_a_month_whatever_its_length():
    tables = Tables()
    for start, gigabytes in ((10.0, 1.0), (20.0, 3.0)):
        ends = {"source_cluster": "eu-1", "destination_cluster": "us-1", "flow": "cross-region"}
        tables.add("calls", RUN, start, start + 10.0, **ends, request_bytes=int(gigabytes * 1e9), count=1)
    spans = [Phase("before", 10.0, 20.0), Phase("during", 20.0, 30.0)]
    summary = summarize(tables.built(), spans, document())
    a_month = MONTH * 360  # as many times ten seconds
    assert value(summary, "cost_cross_region", "before", run=RUN) == pytest.approx(1.0 * 0.02 * a_month)
    assert value(summary, "cost_cross_region", "during", run=RUN) == pytest.approx(3.0 * 0.02 * a_month)
    assert value(summary, "cost_cross_region", run=RUN) == pytest.approx(2.0 * 0.02 * a_month)


def proxies(kind: str, replicas: float, busy: float, cluster: str = "eu-1", threads: int = 2) -> Tables:
    """Return an hour of proxies with so many worker threads each that are busy for so many cores."""
    tables, hours = Tables(), replicas * 3600.0
    seconds = {"proxy_seconds": hours, "worker_seconds": hours * threads, "busy_seconds": busy * 3600.0}
    return tables.add("proxies", RUN, 0.0, 3600.0, cluster=cluster, kind=kind, **seconds)


def test_sidecars_that_use_less_than_they_request_cost_what_they_request():
    # Ten sidecars: 1 vCPU and 1.25 GiB requested, 0.4 cores and 10 x 60 MB used.
    found = bill(proxies("sidecar", 10, 0.4), document())
    assert found["cost_sidecars"] == pytest.approx((1.0 * 0.03 + 1.25 * 0.004) * 730)
    used = (0.4 * 0.03 + 10 * 60e6 / 1024**3 * 0.004) * 730
    istiod = 2 * (0.5 * 0.03 + 2 * 0.004) * 730
    assert found["cost_used"] == pytest.approx(used)
    assert found["cost_reserved"] == pytest.approx(found["cost_sidecars"] + istiod)


def test_sidecars_that_use_more_cpu_than_they_request_cost_what_they_use():
    found = bill(proxies("sidecar", 10, 3.0), document())
    assert found["cost_sidecars"] == pytest.approx((3.0 * 0.03 + 1.25 * 0.004) * 730)


@pytest.mark.parametrize("kind", ["sidecar", "ingress", "east-west"])
def test_proxies_cost_the_same_whatever_their_worker_threads(kind):
    two, four = (bill(proxies(kind, 10, 0.4, threads=threads), document()) for threads in (2, 4))
    assert two == four


def test_sidecars_of_an_older_istio_use_what_its_document_says():
    assert published("1.23") == (0.5, 50e6)
    found = bill(proxies("sidecar", 10, 2.0), document(istio_version="1.23"))  # 0.5 in place of 0.2 for 1000/s
    assert found["cost_sidecars"] == pytest.approx((5.0 * 0.03 + 1.25 * 0.004) * 730)
    own = document(istio_version="1.23", sidecar={"cpu": "400us"})  # the scenario's own figure counts as it is
    assert bill(proxies("sidecar", 10, 2.0), own)["cost_sidecars"] == pytest.approx((2 * 0.03 + 1.25 * 0.004) * 730)
    default = document(istio_version="1.23", sidecar={"cpu": "200us"})  # counts as not said
    assert bill(proxies("sidecar", 10, 2.0), default) == found
    near = document(istio_version="1.23", sidecar={"cpu": "200.1us"})
    assert bill(proxies("sidecar", 10, 2.0), near) == bill(proxies("sidecar", 10, 2.0), own)


def test_pods_that_are_lost_are_paid_for_as_others_will_come():
    tables = proxies("sidecar", 4, 0.0)
    tables.add("pods", RUN, 0.0, 3600.0, cluster="eu-1", service="web", desired_seconds=10 * 3600.0)
    assert bill(tables, document())["cost_sidecars"] == pytest.approx((1.0 * 0.03 + 1.25 * 0.004) * 730)


def test_gateways_cost_as_many_replicas_as_ran_and_never_less_than_there_should_be():
    for kind in ("ingress", "east-west"):
        three = bill(proxies(kind, 3.0, 0.0), document())["cost_gateways"]
        assert three == pytest.approx(3 * (0.1 * 0.03 + 0.125 * 0.004) * 730)
        half = bill(proxies(kind, 0.5, 0.0), document())["cost_gateways"]  # down for half an hour
        assert half == pytest.approx(three / 3)


def test_an_older_istio_changes_an_ingress_gateway_and_no_east_west_gateway():
    for kind, cores in (("ingress", 5.0), ("east-west", 2.0)):
        found = bill(proxies(kind, 1, 2.0), document(istio_version="1.20"))
        assert found["cost_gateways"] == pytest.approx((cores * 0.03 + 0.125 * 0.004) * 730)


def istiod(replicas: float, cores: float = 0.0, memory: float = 0.0, run=RUN, plane: str = "eu-1") -> Tables:
    used = {"ready_seconds": replicas * 3600, "cpu_seconds": cores * 3600, "memory_bytes": memory}
    return Tables().add("control_planes", run, 0.0, 3600.0, control_plane=plane, **used)


def test_control_planes_cost_what_istiod_requests_times_the_replicas_that_ran():
    each = (0.5 * 0.03 + 2 * 0.004) * 730
    assert bill(istiod(3.0), document())["cost_control_planes"] == pytest.approx(4 * each)  # us-1 has one
    assert bill(istiod(0.0), document())["cost_control_planes"] == pytest.approx(2 * each)  # an outage saves nothing
    run = ("primary-remote", 0)
    assert bill(istiod(1.0, run=run), document(), run)["cost_control_planes"] == pytest.approx(each)


def test_an_istiod_that_uses_more_than_it_requests_costs_that():
    found = bill(istiod(1.0, cores=1.5, memory=3 * 1024**3), document())
    more, other = (1.5 * 0.03 + 3 * 0.004) * 730, (0.5 * 0.03 + 2 * 0.004) * 730
    assert found["cost_control_planes"] == pytest.approx(more + other)


def test_the_gateway_of_an_external_control_plane_is_part_of_it():
    scenario = document(deployments={"external": {"model": "external"}})
    found = bill(istiod(1.0, run=("external", 0), plane="external"), scenario, ("external", 0))
    assert found["cost_control_planes"] == pytest.approx((0.6 * 0.03 + 2.125 * 0.004) * 730)


def test_prices_of_regions_differ():
    cost = {**PRICES, "regions": {"us": {"cpu": 0.06}}}
    found = bill(proxies("sidecar", 10, 0.0, "us-1"), document(cost=cost))
    assert found["cost_sidecars"] == pytest.approx((1.0 * 0.06 + 1.25 * 0.004) * 730)


def mixed() -> Tables:
    tables = call(call(Tables(), "eu-1", "us-1", "cross-region", 2e9, 5e9), "eu-1", "eu-1", "cross-zone", 1e9, 1e9)
    for table in (proxies("sidecar", 7, 3.0), proxies("ingress", 2, 0.1), istiod(2.0, 0.1, 1e9)):
        for name, rows in table.rows.items():
            tables.rows[name] += rows
    return tables


def test_the_parts_add_up_to_the_whole():
    found = bill(mixed(), document())
    assert found["cost"] == pytest.approx(sum(found[f"cost_{part}"] for part in PARTS))
    assert all(found[f"cost_{part}"] > 0 for part in PARTS)


def test_the_bill_line_by_line_adds_up_to_the_whole():
    lines = breakdown(mixed().built(), HOUR, document())
    assert lines["usd"].sum() == pytest.approx(bill(mixed(), document())["cost"])
    assert (lines["usd"] == lines["quantity"] * lines["price"]).all()
    assert set(lines["part"]) == set(PARTS)
    (source,) = set(lines.loc[lines["part"] == "cross_region", "source"])
    assert source == "skyplane aws_transfer_costs.csv (extract of the AWS price list), 2024-01"


def test_a_deployment_that_the_scenario_does_not_have_has_no_known_cost():
    found = bill(istiod(1.0, run=("other", 0)), document(), ("other", 0))
    assert math.isnan(found["cost_control_planes"])
    assert math.isnan(found["cost"])
    assert found["cost_cross_region"] == 0.0


def test_runs_keep_their_own_costs():
    tables = call(call(Tables(), "eu-1", "us-1", "cross-region", 1e9, 0), "eu-1", "us-1", "cross-region", 3e9, 0,
                  run=("hybrid", 0))  # fmt: skip
    summary = summarize(tables.built(), HOUR, document())
    one, three = (value(summary, "cost_cross_region", run=run) for run in (RUN, ("hybrid", 0)))
    assert three == pytest.approx(3 * one)


def test_time_without_load_is_not_counted_as_time_without_bytes():
    tables = Tables()
    ends = {"source_cluster": "eu-1", "destination_cluster": "us-1", "flow": "cross-region"}
    tables.add("calls", RUN, 0.0, 10.0, **ends, request_bytes=10**9, count=1)
    tables.add("calls", RUN, 10.0, 20.0, **ends, request_bytes=0, count=1)
    grid = Grid((RUN,), np.array([0.0]), np.array([20.0]), ((0.0, 10.0),))
    (line,) = [line for line in items(tables.built(), grid, document()) if line.place == "eu → us"]
    assert line.quantity[0, 0] == pytest.approx(MONTH * 360)
    unseen = Grid((RUN,), np.array([10.0]), np.array([20.0]), ((0.0, 10.0),))
    (line,) = [line for line in items(tables.built(), unseen, document()) if line.place == "eu → us"]
    assert math.isnan(line.quantity[0, 0])


def test_what_is_not_known_of_prices_is_said():
    assert doubts(document()) == ()
    mute = document(regions={"eu": {}, "us": {"cloud_region": "aws:us-east-1"}}, latency=[])
    assert doubts(mute) == (
        "prices: eu without cloud_region (0.01 USD a GB between zones, 0.01 USD a GB to us, 0.01 USD a GB to eu)",
    )


def test_a_bill_that_differs_alike_in_two_replications_differs():
    tables = Tables()
    for number, gigabytes in enumerate((2e9, 3e9)):
        for name in ("multi-primary", "primary-remote"):
            call(tables, "eu-1", "us-1", "cross-region", gigabytes, 0, run=(name, number))
    compared = compare(summarize(tables.built(), HOUR, document()))
    rows = compared[compared["metric"] == "cost"].set_index("deployment")
    each = (0.5 * 0.03 + 2 * 0.004) * 730
    assert rows.loc["primary-remote", "difference"] == pytest.approx(-each)  # one istiod less, the same traffic
    assert rows.loc["primary-remote", "verdict"] == "better"
