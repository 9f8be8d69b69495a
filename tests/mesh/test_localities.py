"""Ranks and weights of localities apart from pods and gateways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshsim.mesh.localities import Group, Host, arranged
from meshsim.mesh.places import Client, Endpoint
from meshsim.scenario.istio.policy import Locality, OutlierDetection, Policy, ZoneAware

HERE = Client("c1", "n", "r1", "a", "s1")
PLACES = [("r1", "a", "s1"), ("r1", "a", "s2"), ("r1", "b", ""), ("r2", "a", "s1"), ("r3", "", "")]


def groups(*places: tuple[str, str, str], weight: int = 1) -> list[Group]:
    """One locality with one host for each place."""
    return [
        Group(place, [Host(n, False, weight, True, Endpoint(n, "c1", "n", *place[:2], subzone=place[2]))])
        for n, place in enumerate(places)
    ]


def failing_over(**locality: object) -> Policy:
    return Policy(outlier_detection=OutlierDetection(), locality=Locality(**locality))


@pytest.mark.parametrize(
    ("failover", "expected"),
    [((), [0, 1, 2, 3, 3]), ((("r1", "r3"),), [0, 1, 2, 4, 3]), ((("r2", "r3"),), [0, 1, 2, 3, 3])],
)
def test_spec_2_9a_ranks_by_distance(failover, expected):
    found = arranged(groups(*PLACES), HERE, failing_over(failover=failover))
    assert [group.priority for group in found] == expected


def test_spec_2_9a_places_without_names_are_all_alike():
    found = arranged(groups(("", "", ""), ("", "", "")), Client("c1", "n", "", ""), failing_over())
    assert [group.priority for group in found] == [0, 0]


def test_an_empty_locality_keeps_its_priority():
    # All its pods are beyond a gateway and take no mutual TLS: istiod sends the locality without hosts.
    empty = [Group(("r1", "a", "s1"), []), *groups(("r2", "a", ""))]
    assert [group.priority for group in arranged(empty, HERE, failing_over())] == [0, 1]


@given(
    places=st.lists(st.sampled_from(PLACES), min_size=1, max_size=5, unique=True),
    labels=st.lists(
        st.sampled_from(["topology.istio.io/network", "topology.kubernetes.io/region", "x", "x=1"]), max_size=3
    ),
    failover=st.sampled_from([(), (("r1", "r2"),), (("r1", "r3"),)]),
    zones=st.booleans(),
)
def test_priorities_count_from_0_without_gaps_and_lose_no_host(places, labels, failover, zones):
    policy = failing_over(failover=failover, failover_priority=tuple(labels))
    if zones:
        policy = Policy(zone_aware=ZoneAware(failover, tuple(labels)))
    found = arranged(groups(*places), HERE, policy)
    assert {group.priority for group in found} == set(range(max(group.priority for group in found) + 1))
    assert sorted(host.host for group in found for host in group.hosts) == list(range(len(places)))


@given(shares=st.lists(st.integers(1, 50), min_size=1, max_size=4), weight=st.integers(1, 9))
def test_spec_2_9c_rounding_up_adds_less_than_one_for_each_locality(shares, weight):
    places = [("r1", zone, "") for zone in "abcd"]
    to = tuple((f"r{n + 1}/*", share) for n, share in enumerate(shares))
    locality = Locality(distribute=(("*", to),))
    found = arranged(groups(*places, weight=weight), HERE, Policy(locality=locality))
    total = sum(group.locality_weight for group in found)
    assert shares[0] <= total < shares[0] + len(places)
