"""A validation error's location leads to the place that a user knows, the model there and the words it allows."""

from __future__ import annotations

import pytest

from meshsim.scenario import schema
from meshsim.scenario.shape import choices, event_names, field_names, follow
from meshsim.scenario.tree import from_python

ROOT = from_python(
    {
        "services": {
            "web": {
                "replicas": {"eu-1": 1},
                "endpoints": {
                    "compute": {
                        "script": [{"compute": {"p50": "1ms"}}, [{"call": "a/b", "count": "x"}], {"compute": 5}]
                    }
                },
            }
        },
        "load": {"web": {"phases": [{"ramp": {"to": 1}}]}},
        "deployments": ["hybrid", "Wrong"],
        "timeline": [{"event": "scale", "target": {}}],
    }
)
SCRIPT = ("services", "web", "endpoints", "compute", "script")


@pytest.mark.parametrize(
    ("location", "path", "model"),
    [
        (
            (*SCRIPT, 0, "compute", "compute", "lognormal", "lognormal", "p50"),
            (*SCRIPT, 0, "compute", "p50"),
            "Percentiles",
        ),
        ((*SCRIPT, 1, "at once", 0, "call", "count"), (*SCRIPT, 1, 0, "count"), "CallStep"),
        ((*SCRIPT, 2, "compute", "compute", "constant", "constant"), (*SCRIPT, 2, "compute"), "Constant"),
        (("load", "web", "phases", 0, "ramp", "ramp", "to"), ("load", "web", "phases", 0, "ramp", "to"), "Ramp"),
        (("load", "web", "xyz"), ("load", "web", "xyz"), "EntryLoad"),
        (("timeline", 0, "scale", "target", "xyz"), ("timeline", 0, "target", "xyz"), "Target"),
        (("deployments", "Wrong", "[key]"), ("deployments", 1), None),
    ],
)
def test_names_of_union_members_are_no_part_of_a_path(location, path, model):
    spot = follow(location, ROOT)
    assert (spot.path, spot.model.__name__ if spot.model else None) == (path, model)


def test_only_the_member_of_a_union_that_has_the_shape_of_the_value_fits():
    replicas = ("services", "web", "replicas")
    assert not follow((*replicas, "constrained-int"), ROOT).fits
    by_cluster = follow((*replicas, "dict[str,constrained-int]", "eu-1"), ROOT)
    assert (by_cluster.fits, by_cluster.path) == (True, (*replicas, "eu-1"))


def test_every_event_of_the_schema_is_known():
    assert len(event_names()) == len(set(event_names())) == 24
    assert "from" in field_names(schema.Between)
    assert choices(schema.Service.model_fields["protocol"].annotation) == ["http", "http2", "grpc", "tcp"]
    assert choices(str) == []
