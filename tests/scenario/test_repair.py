"""What stands in for a fault never hides another, nor brings one up."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from meshsim.scenario.compose import compose
from meshsim.scenario.repair import repaired
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import from_python


def repair(text: str):
    (root,) = compose(text, "f.yaml")
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(yaml.safe_load(text))
    return repaired(root, caught.value.errors())


def test_a_misspelt_field_is_taken_for_the_one_it_resembles(base):
    found = repair(base.replace("replicas: 2", "replcias: 7"))
    assert found.document.services["web"].replicas == 7
    assert (found.changed, found.unsure) == ((), frozenset())


def test_a_misspelt_section_is_taken_for_the_one_that_is_missing(base):
    assert repair(base.replace("load:", "lod:")).document.load.entries["web"].rate == 100


def test_what_is_wrong_below_a_misspelt_name_shows_once_it_is_respelt(base):
    (error, _), *more = repair(base.replace("load:", "lod:").replace("100/s", "100")).more
    assert (error["loc"], more) == (("load", "web", "rate"), [])


def test_a_field_that_resembles_none_is_left_out(base):
    found = repair(base.replace("replicas: 2", "xyz: 7"))
    assert (found.document.services["web"].replicas, found.lost) == (1, frozenset())


def test_of_a_field_beside_its_own_misspelling_neither_is_kept(base):
    found = repair(base.replace("replicas: 2", "replicas: 2\n    replcias: 7"))
    assert (found.document.services["web"].replicas, found.unsure) == (1, {"services"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("100/s", "100"),
        ("start: 60s", "start: 60"),
        ("p50: 5ms", "p50: 5"),
        ("cv: 0.5", "cv: -1"),
        ("replicas: 2", "replicas: 0"),
        ("timeout: 1s", "probability: 2"),
        ("duration: 5m", "warm_up: x"),
    ],
)
def test_a_wrong_number_is_replaced_and_its_section_is_unsure(old, new, base):
    found = repair(base.replace(old, new, 1))
    assert (len(found.unsure), found.lost - {"warm_up"}) == (1, frozenset())


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("{cluster: eu-1}", "eu-1", ("timeline", 0, "target")),
        ("{from: {region: eu}, to: {region: us}}", "{from: {region: eu}}", ("timeline", 1, "target")),
        ("event: partition", "event: earthquake", ("timeline", 1)),
        ("start: 60s, ", "", ("timeline", 0, "start")),
        ("deployments: [multi-primary, hybrid]", "deployments: {hybrid: []}", ("deployments", "hybrid")),
        ("duration: 5m", "decision: {criteria: {cost: 3}}", ("decision", "criteria", "cost")),
        ("duration: 5m", "what_if: {variants: {one: 3}}", ("what_if", "variants", "one")),
        ("{region: us, network: n2}", "{network: n2}", ("clusters", "us-1", "region")),
        ("duration: 5m", "expect: [3]", ("expect", 0)),
        ("duration: 5m", "cost: {cpu: {}}", ("cost", "cpu")),
        ("duration: 5m", "sample: {windows: 3}", ("sample", "windows")),
        ("script: [{compute: {gamma", "script: [{comput: {gamma", ("services", "cart", "endpoints", "GET /", "script")),
    ],
)  # fmt: skip
def test_of_a_wrong_entry_nothing_is_kept_but_its_neighbours_are(old, new, path, base):
    found = repair(base.replace(old, new, 1))
    assert path in found.changed
    assert found.lost == frozenset()


@pytest.mark.parametrize(
    ("old", "new", "section"),
    [
        ("zones: [a, b]", "zones: ab", "regions"),
        ("  cart:", "  Cart:", "services"),
        ("  us-1: {region: us, network: n2}", "  US: {region: us, network: n2}", "clusters"),
        ("deployments: [multi-primary, hybrid]", "deployments: 3", "deployments"),
    ],
)
def test_a_section_with_a_wrong_name_or_shape_is_lost_and_the_others_are_not(old, new, section, base):
    assert repair(base.replace(old, new, 1)).lost == {section}


def test_an_event_is_taken_for_the_one_it_resembles(base):
    found = repair(base.replace("event: partition", "event: partiton"))
    assert (found.document.timeline[1].event, found.unsure) == ("partition", {"timeline"})


def test_a_list_is_no_document():
    assert repaired(from_python([]), [{"type": "model_type", "loc": ()}]) is None
