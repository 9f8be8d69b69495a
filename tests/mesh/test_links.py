from __future__ import annotations

import csv
import math
import statistics
from importlib.resources import files
from pathlib import Path

import pytest

from meshsim.errors import ScenarioError
from meshsim.mesh import links
from meshsim.mesh.links import CloudRegion, estimate, missing_links, round_trip
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

CLOUD = Path(__file__).parents[3] / "shared" / "data" / "cloud"
AWS = {
    "eu": {"cloud_region": "aws:eu-west-1", "zones": ["a", "b"]},
    "us": {"cloud_region": "aws:us-east-1", "zones": ["a", "b"]},
}
NOWHERE = {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a", "b"]}}


def document(regions, latency=()):
    clusters = {f"{name}-1": {"region": name} for name in regions}
    return Document.model_validate({**EXAMPLE, "regions": regions, "clusters": clusters, "latency": list(latency)})


def table():
    return {key: trip for key, trip in links._table().items() if key[0] != "any"}


def region(cloud: str, name: str) -> CloudRegion:
    return links._regions()[links._key(f"{cloud}:{name}")]


def test_two_aws_regions_have_the_median_of_both_directions():
    trip = round_trip(document(AWS)).between(("eu", "a"), ("us", "b"))
    assert trip.p50 == pytest.approx(0.0697, abs=0.001)
    assert trip.p99 > trip.p50
    assert trip.source == "cloudping, 2024-04-19"


def test_the_order_of_the_zones_does_not_matter():
    known = round_trip(document(AWS))
    assert known.between(("us", "b"), ("eu", "a")) == known.between(("eu", "a"), ("us", "b"))


def test_zones_are_nearer_than_regions_and_a_zone_is_nearest_to_itself():
    known = round_trip(document(AWS))
    same, other, far = (known.between(("eu", "a"), zone) for zone in (("eu", "a"), ("eu", "b"), ("us", "a")))
    assert same.p50 < other.p50 < far.p50
    assert "assumption" in same.source
    assert "assumption" in other.source


def test_regions_in_the_same_cloud_region_are_as_far_as_zones():
    both = {"eu": AWS["eu"], "too": AWS["eu"]}
    trip = round_trip(document(both)).between(("eu", "a"), ("too", "a"))
    assert trip.p50 == round_trip(document(AWS)).between(("eu", "a"), ("eu", "b")).p50


def test_azure_figures_say_that_they_are_derived():
    regions = {"eu": {"cloud_region": "azure:West Europe"}, "us": {"cloud_region": "azure:eastus"}}
    trip = round_trip(document(regions)).between(("eu", "a"), ("us", "a"))
    assert 0.080 < trip.p50 < 0.090
    assert trip.source == "azure-p95, 2026-07-30, derived: p50 p99"


def test_another_cloud_is_estimated_from_the_distance_and_says_so():
    regions = {"eu": {"cloud_region": "aws:eu-west-1"}, "us": {"cloud_region": "gcp:us-east1"}}
    trip = round_trip(document(regions)).between(("eu", "a"), ("us", "a"))
    assert 0.080 < trip.p50 < 0.130
    assert trip.source.startswith("estimated from ")
    assert trip.source.endswith(" km between aws:eu-west-1 and gcp:us-east1")


def test_an_override_between_regions_is_for_all_their_zones():
    known = round_trip(document(NOWHERE, [{"between": ["us", "eu"], "rtt": {"p50": "80ms", "p99": "95ms"}}]))
    for zone in "ab":
        trip = known.between(("eu", zone), ("us", "b"))
        assert (trip.p50, trip.p99, trip.source) == (0.08, pytest.approx(0.095), "override at latency.0")


def test_an_override_between_zones_beats_one_between_regions_wherever_it_stands():
    overrides = [
        {"between": ["eu/a", "us/b"], "rtt": "70ms"},
        {"between": ["eu", "us"], "rtt": "80ms"},
        {"between": ["us/b", "eu"], "rtt": "75ms"},
    ]
    known = round_trip(document(AWS, overrides))
    milliseconds = {
        pair: round(1000 * known.between(("eu", pair[0]), ("us", pair[1])).p50) for pair in ("ab", "bb", "aa", "ba")
    }
    assert milliseconds == {"ab": 70, "bb": 75, "aa": 80, "ba": 80}


def test_an_override_of_a_region_with_itself_holds_within_it():
    known = round_trip(document(AWS, [{"between": ["eu", "eu"], "rtt": "2ms"}]))
    assert known.between(("eu", "a"), ("eu", "b")).p50 == known.between(("eu", "a"), ("eu", "a")).p50 == 0.002
    assert known.between(("us", "a"), ("us", "b")).p50 < 0.002


def test_a_constant_override_does_not_vary():
    trip = round_trip(document(AWS, [{"between": ["eu", "us"], "rtt": "80ms"}])).between(("eu", "a"), ("us", "a"))
    assert trip.p50 == trip.p99 == 0.08


def test_an_override_may_name_another_percentile():
    override = {"between": ["eu", "us"], "rtt": {"p50": "80ms", "p90": "90ms"}}
    trip = round_trip(document(AWS, [override])).between(("eu", "a"), ("us", "a"))
    assert trip.p99 == pytest.approx(0.08 * (0.09 / 0.08) ** (2.3263478740408408 / 1.2815515655446004))


def test_regions_without_a_figure_are_named_with_the_way_out():
    assert missing_links(document(NOWHERE)) == [
        (
            ("latency",),
            (
                "no round-trip time between regions 'eu' and 'us'; give 'eu' and 'us' a cloud_region, "
                "or add {between: [eu, us], rtt: 30ms} under latency"
            ),
        )
    ]
    with pytest.raises(ScenarioError, match=r"^latency: no round-trip time between regions 'eu' and 'us'"):
        round_trip(document(NOWHERE))


def test_overrides_of_some_zones_only_leave_the_regions_without_a_figure():
    some = [{"between": ["eu/a", "us"], "rtt": "80ms"}]
    assert len(missing_links(document(NOWHERE, some))) == 1
    assert missing_links(document(NOWHERE, [*some, {"between": ["eu/b", "us"], "rtt": "80ms"}])) == []


def test_a_region_without_clusters_needs_no_figure():
    alone = Document.model_validate({**EXAMPLE, "regions": {"eu": {}, "spare": {}}})
    assert missing_links(alone) == []
    known = round_trip(alone)
    assert known.between(("eu", "a"), ("eu", "a")).p50 > 0
    assert known.between(("spare", "a"), ("eu", "a")) is None


@pytest.mark.parametrize("stands", ["locality", "place"])
def test_a_region_with_an_endpoint_outside_clusters_only_needs_figures(stands):
    spec = {"hosts": ["pay.example.com"], "resolution": "STATIC", "endpoints": [{"address": "10.9.0.1"}]}
    pay = {"host": "pay.example.com", "endpoints": {"GET": {}}}
    (spec["endpoints"][0] if stands == "locality" else pay)[stands] = "spare/a"
    entry = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "pay"}, "spec": spec}
    changes = {"regions": {"eu": {}, "spare": {}}, "istio": [entry]}
    found = load({**EXAMPLE, **changes, "services": {**EXAMPLE["services"], "pay": pay}})
    ((_, message),) = missing_links(found.document)
    assert message.startswith("no round-trip time between regions 'eu' and 'spare'")


def test_a_region_with_a_machine_only_needs_figures():
    spec = {"address": "10.9.0.1", "locality": "spare/a", "labels": {"app": "web"}}
    entry = {"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "vm"}, "spec": spec}
    found = load({**EXAMPLE, "regions": {"eu": {}, "spare": {}}, "istio": [entry]})
    ((_, message),) = missing_links(found.document)
    assert message.startswith("no round-trip time between regions 'eu' and 'spare'")


def test_a_region_with_a_control_plane_only_needs_figures():
    regions = {"eu": {}, "ops": {}}
    outside = {**EXAMPLE, "regions": regions, "deployments": {"external": {"place": "ops"}}}
    ((path, message),) = missing_links(Document.model_validate(outside))
    assert path == ("latency",)
    assert message.startswith("no round-trip time between regions 'eu' and 'ops'")


def test_an_unknown_cloud_region_is_reported_with_the_nearest_name():
    regions = {"eu": {"cloud_region": "aws:eu-west-11"}, "us": {"cloud_region": "aws:us-east-1"}}
    ((path, message),) = missing_links(document(regions))
    assert path == ("regions", "eu", "cloud_region")
    assert message.startswith("no cloud region 'aws:eu-west-11'; did you mean 'aws:eu-west-1'? (one of aws:")


def test_an_unknown_cloud_gets_regions_of_all_clouds():
    ((_, message),) = missing_links(document({"eu": {"cloud_region": "europe"}}))
    assert message.startswith("no cloud region 'europe'")
    assert " more)" in message


def test_every_figure_is_positive_and_in_order():
    assert len(table()) == 210 + 1178
    for key, trip in table().items():
        assert 0 < trip.p50 <= trip.p99 < 1, key
        assert key[1] < key[2], "both directions of a pair are one row, the name that sorts first in front"


def test_every_region_of_the_table_has_coordinates():
    for cloud, source, destination in table():
        assert region(cloud, source)
        assert region(cloud, destination)


def test_the_estimate_is_unbiased_and_mostly_within_a_third_of_the_aws_figures():
    ratios = [
        estimate(region(cloud, source), region(cloud, destination)).p50 / trip.p50
        for (cloud, source, destination), trip in table().items()
        if cloud == "aws"
    ]
    assert math.exp(statistics.fmean(math.log(ratio) for ratio in ratios)) == pytest.approx(1, abs=0.01)
    errors = sorted(abs(ratio - 1) for ratio in ratios)
    assert errors[len(errors) // 2] < 0.16
    assert errors[len(errors) * 9 // 10] < 0.36


def test_the_tables_are_small():
    folder = Path(str(files("meshsim.mesh"))) / "data"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 150_000


def facts(name: str) -> list[dict[str, str]]:
    if not (CLOUD / name).exists():
        pytest.skip(f"the shared facts {name} are not here")
    with (CLOUD / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_aws_rows_follow_from_the_published_figures_by_the_documented_rule():
    measured = {
        (row["src"], row["dst"]): (float(row["p50"]), float(row["p99"]))
        for row in facts("aws_interregion_rtt_ms_20240419.csv")
    }
    for (cloud, source, destination), trip in table().items():
        if cloud == "aws":
            both = measured[source, destination], measured[destination, source]
            p99 = statistics.fmean(p99 for p50, p99 in both if p99 <= 3 * p50)
            assert (1000 * trip.p50, 1000 * trip.p99) == (
                pytest.approx(statistics.fmean(p50 for p50, _ in both), abs=0.006),
                pytest.approx(p99, abs=0.006),
            )


def test_azure_rows_follow_from_the_published_percentile_by_the_documented_rule():
    measured: dict[tuple[str, str], list[float]] = {}
    for row in facts("azure_interregion_rtt_p95_ms_20260730.csv"):
        if row["p95_ms"]:
            first, second = sorted((row["src"], row["dst"]))
            measured.setdefault((first, second), []).append(float(row["p95_ms"]))
    azure = {key[1:]: trip for key, trip in table().items() if key[0] == "azure"}
    assert sorted(azure) == sorted(measured)
    for pair, trip in azure.items():
        p95 = statistics.fmean(measured[pair])
        assert 1000 * trip.p50 == pytest.approx(max(p95 - 3.6, p95 / 1.25), abs=0.06)
        sigma = math.log(trip.p99 / trip.p50) / 2.3263478740408408
        assert 1000 * trip.p50 * math.exp(1.6448536269514722 * sigma) == pytest.approx(p95, abs=0.2)
