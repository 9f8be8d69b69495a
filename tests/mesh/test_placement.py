from __future__ import annotations

from collections import Counter

import pytest

from meshsim.mesh.placement import first_zone, place, spread
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document


def document(**changes):
    return Document.model_validate({**EXAMPLE, **changes})


@pytest.mark.parametrize("replicas", range(10))
@pytest.mark.parametrize("start", range(4))
def test_no_zone_has_two_pods_more_than_another(replicas, start):
    pods = Counter(spread(replicas, ["a", "b", "c"], start))
    counts = [pods[zone] for zone in "abc"]
    assert sum(counts) == replicas
    assert max(counts) - min(counts) <= 1


def test_pods_cannot_be_spread_over_no_zones():
    with pytest.raises(ValueError, match="no zones to spread pods over"):
        spread(1, [])


def test_single_pods_of_many_services_do_not_all_land_in_the_first_zone():
    zones = Counter(spread(1, ["a", "b", "c"], first_zone(f"service-{number}"))[0] for number in range(300))
    assert all(70 < zones[zone] < 130 for zone in "abc")


def test_workloads_have_their_own_replicas_or_those_of_their_service():
    service = {
        "replicas": 2,
        "endpoints": {"GET /": {}},
        "workloads": {"v1": {}, "v2": {"replicas": 1}, "v3": {"replicas": {"eu-2": 3}}},
    }
    clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}
    placed = place(document(services={"web": service}, clusters=clusters))
    assert [(workload.name, workload.cluster, workload.replicas) for workload in placed] == [
        ("v1", "eu-1", 2),
        ("v1", "eu-2", 2),
        ("v2", "eu-1", 1),
        ("v2", "eu-2", 1),
        ("v3", "eu-2", 3),
    ]


def test_pods_stay_in_the_zones_of_their_cluster():
    regions = {"eu": {"zones": ["a", "b", "c"]}}
    (placed,) = place(document(regions=regions, clusters={"eu-1": {"region": "eu", "zones": ["b", "c"]}}))
    assert sorted(placed.zones) == ["b", "c"]


def test_a_workload_scaled_to_nothing_is_there_without_pods():
    clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}
    service = {"replicas": {"eu-1": 1, "eu-2": 0}, "endpoints": {"GET /": {}}}
    placed = place(document(services={"web": service}, clusters=clusters))
    assert [workload.replicas for workload in placed] == [1, 0]
