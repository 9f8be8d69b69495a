"""What stands in for a fault never hides another, nor brings one up."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from meshsim.scenario.compose import compose
from meshsim.scenario.repair import repaired
from meshsim.scenario.schema import Document


def repair(text: str):
    (root,) = compose(text, "f.yaml")
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(yaml.safe_load(text))
    return repaired(root, caught.value.errors())


def test_a_misspelt_field_is_taken_for_the_one_it_resembles(base):
    document, _, changed = repair(base.replace("replicas: 2", "replcias: 7"))
    assert document.services["web"].replicas == 7
    assert changed == [("services", "web", "replcias"), ("services", "web", "replicas")]


def test_a_misspelt_section_is_taken_for_the_one_that_is_missing(base):
    assert repair(base.replace("load:", "lod:"))[0].load.entries["web"].rate == 100


def test_a_field_that_resembles_none_is_left_out(base):
    assert repair(base.replace("replicas: 2", "xyz: 7"))[0].services["web"].replicas == 1


def test_a_field_beside_its_own_misspelling_cannot_be_told(base):
    assert repair(base.replace("replicas: 2", "replicas: 2\n    replcias: 7")) is None


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
def test_a_wrong_number_is_replaced(old, new, base):
    assert repair(base.replace(old, new, 1)) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("zones: [a, b]", "zones: ab"),
        ("{cluster: eu-1}", "eu-1"),
        ("event: partition", "event: split"),
        ("name: shop", "name: ../shop"),
        ("  cart:", "  Cart:"),
    ],
)
def test_a_wrong_name_or_shape_is_not(old, new, base):
    assert repair(base.replace(old, new, 1)) is None
