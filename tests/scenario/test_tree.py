"""Trees know where everything stands, and take what a notebook hands over."""

from __future__ import annotations

import math

import numpy as np
import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario.compose import compose
from meshsim.scenario.tree import Node, Place, format_path, from_python, merged, printable


def refusal(value: object) -> str:
    with pytest.raises(ScenarioError) as caught:
        from_python(value)
    return str(caught.value)


def test_a_key_is_located_at_its_own_line_and_what_is_missing_at_its_parent():
    (root,) = compose("a:\n  b:\n  - 1\n  - c: 2\n", "f.yaml")
    lines = {
        path: root.locate(path).line
        for path in [("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "c"), ("a", "x", "y")]
    }
    assert list(lines.values()) == [1, 2, 4, 4, 1]
    assert root.locate(("a", "b", 9)).line == 2
    assert root.find(("a", "b", "c")) is None


def test_numpy_numbers_and_tuples_are_taken():
    value = from_python({"a": np.int64(3), "b": np.float32(0.5), "c": (1, 2), "d": np.float64(2)}).plain()
    assert value == {"a": 3, "b": 0.5, "c": [1, 2], "d": 2.0}
    assert [type(item) for item in value.values()] == [int, float, list, float]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [{1: 2}]}, "a[0]: the key 1 is not text; write it as '1'"),
        ({"a": math.nan}, "a: nan is not a finite number"),
        ({"a": {"b": {1, 2}}}, "a.b: a set cannot stand in a scenario; use text, numbers, lists and mappings"),
        ({"a": b"x"}, "a: a bytes cannot stand in a scenario; use text, numbers, lists and mappings"),
        ({"a": 10**400}, "a: a number too large for any field"),
        ({"a": "\ud800"}, "a: half of a surrogate pair, which is no character"),
        ({"a\n": 1}, "the key 'a\\n' holds a control character"),
    ],
)
def test_what_cannot_stand_in_a_scenario_is_named(value, message):
    assert refusal(value) == message


def test_a_dict_inside_itself_is_refused():
    value: dict[str, object] = {}
    value["a"] = value
    assert refusal(value) == "a.a.a…: nested deeper than 100 levels, or inside itself"


def test_merging_keeps_the_places_of_both():
    under, over = Node({"a": Node(1, Place("u", 1))}, Place("u", 1), {"a": Place("u", 1)}), compose("b: 2", "o")[0]
    both = merged(under, over)
    assert (both.locate(("a",)), both.locate(("b",))) == (Place("u", 1), Place("o", 1))
    assert merged(over, Node(None)).value is None


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        (("a", 0, 1, "b"), "a[0][1].b"),
        (("a", "GET /"), "a.GET /"),
        (("a", "v1.2"), 'a."v1.2"'),
        (("a", ""), 'a.""'),
        (("a\x1b",), "a\\x1b"),
    ],
)
def test_paths_are_written_as_overrides_are(path, shown):
    assert format_path(path) == shown


def test_nothing_that_acts_on_a_terminal_is_shown():
    assert printable("\x1b[2J é") == "\\x1b[2J \\xe9"
    assert printable("é") == "é"
