"""Which price counts where: the scenario's, the cloud's list, or a default that says so."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from meshsim.analysis.prices import Prices, read
from meshsim.mesh.links import cloud_region
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

FACTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "cloud" / "aws_transfer_usd_per_gb.csv"


def prices(a: str | None, b: str | None, **cost) -> Prices:
    regions = {"a": {"cloud_region": a}, "b": {"cloud_region": b}}
    return Prices(
        Document.model_validate({**EXAMPLE, "regions": regions, "clusters": {"a-1": {"region": "a"}}, "cost": cost})
    )


@pytest.mark.parametrize(
    ("a", "b", "there", "back"),
    [
        ("aws:us-east-1", "aws:us-east-2", 0.01, 0.01),
        ("aws:eu-west-1", "aws:us-east-1", 0.02, 0.02),
        ("aws:eu-west-1", "aws:sa-east-1", 0.02, 0.138),
        ("gcp:us-east1", "gcp:us-west1", 0.01, 0.01),
        ("gcp:us-east1", "gcp:northamerica-northeast1", 0.01, 0.01),
        ("gcp:europe-west1", "gcp:europe-west4", 0.02, 0.02),
        ("gcp:asia-east1", "gcp:asia-south1", 0.05, 0.05),
        ("gcp:europe-west1", "gcp:us-east1", 0.08, 0.08),
        ("gcp:europe-west1", "gcp:australia-southeast1", 0.15, 0.15),
        ("gcp:asia-southeast1", "gcp:asia-southeast2", 0.15, 0.15),
        ("azure:East US", "azure:West US", 0.02, 0.02),
        ("azure:West Europe", "azure:UK South", 0.02, 0.02),
        ("azure:West Europe", "azure:East US", 0.05, 0.05),
        ("azure:West Europe", "azure:Japan East", 0.05, 0.08),
        ("azure:Brazil South", "azure:East US", 0.16, 0.05),
    ],
)
def test_transfer_between_regions_of_a_cloud(a, b, there, back):
    found = prices(a, b)
    assert (found.between_regions("a", "b").usd, found.between_regions("b", "a").usd) == (there, back)
    assert found.between_regions("a", "b").doubt == ""


@pytest.mark.parametrize(("cloud", "usd"), [("aws:eu-west-1", 0.02), ("gcp:us-east1", 0.01), ("azure:East US", 0.0)])
def test_transfer_between_zones_is_what_both_sides_pay(cloud, usd):
    assert prices(cloud, None).between_zones("a").usd == usd


def test_compute_is_the_list_s():
    assert prices("azure:East US", None).cpu("a").usd == 0.039
    assert prices("azure:East US", None).memory("a").usd == 0.001917
    assert prices("gcp:us-central1", None).cpu("a").usd == 0.031611
    aws = prices("aws:eu-west-1", None).memory("a")
    assert (aws.usd, aws.doubt) == (0.004237, "")
    assert "Google Cloud us-central1 list" in aws.source


def test_two_regions_of_a_scenario_in_one_cloud_region_are_zones_of_it():
    assert prices("aws:eu-west-1", "aws:eu-west-1").between_regions("a", "b").usd == 0.02
    assert prices("azure:East US", "azure:East US").between_regions("a", "b").usd == 0.0


def test_from_cloud_to_cloud_is_over_the_internet_at_the_sender_s_price():
    found = prices("aws:sa-east-1", "gcp:europe-west1")
    assert (found.between_regions("a", "b").usd, found.between_regions("b", "a").usd) == (0.15, 0.12)
    assert found.between_regions("a", "b").doubt == "from aws to gcp as to the internet"


def test_a_region_without_cloud_has_defaults_that_say_so():
    found = prices(None, "aws:eu-west-1")
    assert (found.between_regions("a", "b").usd, found.between_regions("a", "b").doubt) == (
        0.01,
        "a without cloud_region",
    )
    assert (found.cpu("a").usd, found.cpu("a").doubt) == (0.031611, "a without cloud_region")


def test_a_region_that_the_list_lacks_is_doubted():
    new = prices("aws:ap-southeast-5", "aws:eu-west-1")
    assert (new.between_regions("a", "b").usd, new.between_regions("a", "b").doubt) == (
        0.02,
        "no figure for aws:ap-southeast-5 to aws:eu-west-1",
    )
    assert new.between_regions("b", "a").doubt == ""
    brazil = prices("gcp:southamerica-east1", "gcp:southamerica-west1").between_regions("a", "b")
    assert (brazil.usd, brazil.doubt) == (0.08, "no figure for gcp:southamerica-east1 to gcp:southamerica-west1")


def test_the_scenario_s_own_prices_come_first():
    lines = [{"from": "*", "to": "*", "price": 0.5}, {"from": "a", "to": "*", "price": 0.4},
             {"from": "a", "to": "b", "price": 0.3}, {"from": "*", "to": "*", "price": 0.6}]  # fmt: skip
    found = prices("aws:eu-west-1", "aws:us-east-1", between_regions=lines, cpu=1.0, regions={"a": {"cpu": 2.0}})
    assert (found.between_regions("a", "b").usd, found.between_regions("b", "a").usd) == (0.3, 0.6)
    assert (found.cpu("a").usd, found.cpu("b").usd) == (2.0, 1.0)
    assert found.cpu("a").source == "cost"
    assert prices("aws:eu-west-1", None, between_zones=0.0).between_zones("a").usd == 0.0


def test_prices_in_another_currency_become_dollars():
    found = prices("aws:eu-west-1", "aws:us-east-1", cpu=0.05, currency="EUR", exchange_rate=1.1)
    assert found.cpu("a").usd == pytest.approx(0.055)
    assert found.memory("a").usd == 0.004237  # the list is in dollars


def test_every_row_of_the_list_has_a_source_and_a_date():
    assert all(row["source"] and row["date"] and float(row["usd"]) >= 0 for row in read("prices.csv"))


def test_every_region_of_azure_and_google_cloud_is_in_a_group():
    for row in read("price_groups.csv"):
        for name in row["regions"].split("|"):
            assert "*" in name or cloud_region(f"{row['cloud']}:{name}"), name


@pytest.mark.skipif(not FACTS.exists(), reason=f"needs {FACTS.name} of the shared data")
def test_the_list_has_the_prices_of_the_file_that_it_was_compiled_from():
    with FACTS.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["dst"] != "internet"]
    known = [row for row in rows if all(cloud_region(f"aws:{row[end]}") for end in ("src", "dst"))]
    assert len(known) > 500
    for row in known:
        found = prices(f"aws:{row['src']}", f"aws:{row['dst']}").between_regions("a", "b")
        assert found.usd == float(row["cost"]), row
