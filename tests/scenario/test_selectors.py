"""Selectors match what their fields say, in the order of the file."""

from __future__ import annotations

import pytest

from meshsim.mesh.deployment import control_planes
from meshsim.scenario.schema import Document, Target
from meshsim.scenario.selectors import (
    matches,
    replicas_of,
    select_clusters,
    select_control_planes,
    select_services,
    select_workloads,
    select_zones,
    workloads_of,
)


@pytest.fixture
def mesh() -> Document:
    script = {"endpoints": {"GET /": {}}}
    return Document.model_validate(
        {
            "name": "mesh",
            "regions": {"us": {"zones": ["a", "b"]}, "eu": {"zones": ["a", "b", "c"]}},
            "clusters": {
                "us-1": {"region": "us"},
                "eu-1": {"region": "eu", "zones": ["a", "b"]},
                "eu-2": {"region": "eu"},
            },
            "services": {
                "web": {"replicas": {"us-1": 3, "eu-1": 0}, **script},
                "reviews": {
                    "replicas": 2,
                    "workloads": {"v1": {}, "v2": {"replicas": {"eu-2": 7}}, "v3": {"replicas": 4}},
                    **script,
                },
            },
            "load": {"web": {"rate": "1/s"}},
        }
    )


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        (None, "x", True),
        ("x", "x", True),
        ("x", "xy", False),
        ("*", "", True),
        ("e*-1", "eu-1", True),
        ("e*-1", "eu-12", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("", "a", False),
        ("a*a", "a", False),
        ("*b*b*", "abc", False),
        ("*b*b*", "abcb", True),
        ("a**c", "abc", True),
        ("*bc", "abcbc", True),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_does(pattern, value, fits):
    assert matches(pattern, value) is fits


def test_many_stars_do_not_take_for_ever():
    # Trying every way to place 30 of 60 characters would not end within a lifetime; no clock is needed to see that.
    assert not matches("a*" * 30 + "b*", "a" * 60)
    assert not matches("*" * 60 + "b*", "a" * 60)
    assert matches("a*" * 30 + "b*", "a" * 60 + "b")


@pytest.mark.parametrize(
    ("target", "clusters"),
    [
        ({}, ["us-1", "eu-1", "eu-2"]),
        ({"region": "eu"}, ["eu-1", "eu-2"]),
        ({"cluster": "*-1"}, ["us-1", "eu-1"]),
        ({"cluster": "*-1", "region": "e*"}, ["eu-1"]),
        ({"zone": "c"}, ["eu-2"]),
        ({"zone": "eu/b"}, ["eu-1", "eu-2"]),
        ({"cluster": "x"}, []),
    ],
)
def test_clusters(mesh, target, clusters):
    assert select_clusters(mesh, Target(**target)) == clusters


@pytest.mark.parametrize(
    ("target", "zones"),
    [
        ({"zone": "b"}, [("us", "b"), ("eu", "b")]),
        ({"zone": "eu/*"}, [("eu", "a"), ("eu", "b"), ("eu", "c")]),
        ({"region": "us"}, [("us", "a"), ("us", "b")]),
        ({"cluster": "eu-1"}, [("eu", "a"), ("eu", "b")]),
        ({"cluster": "eu-1", "zone": "c"}, []),
    ],
)
def test_zones(mesh, target, zones):
    assert select_zones(mesh, Target(**target)) == zones


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ({"service": "web"}, [("web", "web", "us-1"), ("web", "web", "eu-1")]),
        ({"service": "reviews", "cluster": "us-1"}, [("reviews", "v1", "us-1"), ("reviews", "v3", "us-1")]),
        ({"workload": "v2"}, [("reviews", "v2", "eu-2")]),
        ({"workload": "v2", "service": "web"}, []),
        ({"zone": "eu/c"}, [("reviews", "v1", "eu-2"), ("reviews", "v2", "eu-2"), ("reviews", "v3", "eu-2")]),
    ],
)
def test_workloads(mesh, target, found):
    assert select_workloads(mesh, Target(**target)) == found


def test_services_are_those_of_the_workloads(mesh):
    assert select_services(mesh, Target(region="us")) == ["web", "reviews"]
    assert select_services(mesh, Target(cluster="eu-2")) == ["reviews"]


def test_a_workload_has_its_own_replicas_or_its_services(mesh):
    counts = {
        workload: [replicas_of(mesh, "reviews", workload, cluster) for cluster in mesh.clusters]
        for workload in workloads_of(mesh, "reviews")
    }
    assert counts == {"v1": [2, 2, 2], "v2": [0, 0, 7], "v3": [4, 4, 4]}
    assert [replicas_of(mesh, "web", "web", cluster) for cluster in mesh.clusters] == [3, 0, 0]


@pytest.mark.parametrize(
    ("target", "hit"),
    [
        ({}, ["us-1", "eu-1", "eu-2", "external"]),
        ({"control_plane": "e*"}, ["eu-1", "eu-2", "external"]),
        ({"cluster": "*"}, ["us-1", "eu-1", "eu-2"]),
        ({"region": "us"}, ["us-1", "external"]),
        ({"region": "us", "cluster": "eu-*"}, []),
    ],
)
def test_control_planes_are_chosen_by_name_home_and_region(mesh, target, hit):
    planes = [plane for name in ("multi-primary", "external") for plane in control_planes(_with_external(mesh), name)]
    assert [plane.name for plane in select_control_planes(planes, Target(**target))] == hit


def _with_external(mesh: Document) -> Document:
    both = {"multi-primary": {}, "external": {"place": "us"}}
    return Document.model_validate({**mesh.model_dump(mode="json", by_alias=True), "deployments": both})
