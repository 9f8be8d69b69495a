"""Every mistake is told with file, line, path and a way out, all of a file at once, in words that a user knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshsim.errors import ScenarioError
from meshsim.scenario import Scenario, load
from meshsim.scenario.problems import found
from meshsim.scenario.tree import Node

TABLE = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text(encoding="utf-8"))
#: Words of the libraries below, which mean nothing to a user.
JARGON = (
    "Input should",
    "Extra inputs",
    "pydantic",
    "validat",
    "errors.",
    "function-",
    "dict[",
    "constrained",
    "NoneType",
)


def test_the_unchanged_scenario_is_right(load_changed):
    assert load_changed().warnings == ()


def test_the_table_has_many_cases_with_names_of_their_own():
    names = [case["name"] for case in TABLE["cases"]]
    assert len(names) == len(set(names)) >= 150


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"].replace(" ", "-"))
def test_a_broken_file_is_told_what_is_wrong(case, load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed((case["replace"], case["by"]))
    assert str(caught.value).split("\n") == case["problems"]


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"].replace(" ", "-"))
def test_no_message_uses_the_words_of_a_library(case):
    told = " ".join(case["problems"])
    assert not [word for word in JARGON if word in told]


def test_problems_of_names_are_told_beside_wrong_numbers_and_misspelt_fields(load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(
            ("replicas: 2", "replcias: 2"),
            ("cart/GET /,", "crt/GET /,"),
            ("100/s", "100"),
            ("{cluster: eu-1}", "{cluster: x}"),
        )
    assert [str(problem).split("; did")[0].split(" (one")[0] for problem in caught.value.problems] == [
        "scenario.yaml:13: services.web: unknown field 'replcias'",
        "scenario.yaml:18: services.web.endpoints.GET /.script[1][0].call: unknown service 'crt'",
        "scenario.yaml:24: load.web.rate: 100 has no unit; write 100/s",
        "scenario.yaml:27: timeline[0].target.cluster: 'x' matches nothing",
    ]


def test_a_misspelt_field_brings_up_no_problem_that_the_file_does_not_have(load_changed):
    # Without its zones, the region would have the zone 'a' only, and eu-1's zone 'b' would be unknown.
    with pytest.raises(ScenarioError) as caught:
        load_changed(("zones: [a, b]", "zons: [a, b]"), ("network: n1", "zones: [b]"))
    assert len(caught.value.problems) == 1


def test_problems_stand_in_the_order_of_the_file(load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(("duration: 5m", "duration: 5"), ("name: shop", "name: 5"), ("replicas: 2", "replicas: x"))
    assert [problem.line for problem in caught.value.problems] == [1, 13, 29]


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Node(None), "nothing"),
        (None, "nothing"),
        (Node(True, text="true"), "true"),
        (Node(False, text="No"), "No, which YAML reads as false"),
        (Node(1.2, text="1.20"), "the number 1.20"),
        (Node("x" * 100), "the text '" + "x" * 56 + "..."),
        (Node({}), "a mapping"),
    ],
)
def test_what_was_found_is_put_in_words(node, words):
    assert found(node) == words


# --- whatever is written, the answer is a scenario or a list of problems ---------------------------------------

_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["5ms", "1m30s", "100/s", "20%", "2KB", "*", "web", "cart/GET /", "eu-1", "-1s", "{{ x }}", "p50", "\x1b[31m"]
    ),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(["p50", "call"]), inner)
    ),
    max_leaves=6,
)


def _mutated(value: object, path: list[int], new: object, remove: bool) -> object:
    """Return a copy in which the value at a path of indices (taken modulo what is there) is replaced or removed."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and remove:
        del copy[key]
    else:
        copy[key] = _mutated(value[key], path[1:], new, remove)
    return copy


@settings(max_examples=3 * settings.default.max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=9), _VALUES, st.booleans()), min_size=1, max_size=3
    )
)
def test_any_change_to_a_valid_document_gives_a_scenario_or_problems(changes):
    document = yaml.safe_load(TABLE["base"])
    for path, new, remove in changes:
        document = _mutated(document, path, new, remove)
    if not isinstance(document, dict):
        return
    scenario, told = _answer(document)
    assert told
    assert not [word for word in JARGON if word in told]
    if scenario is not None:
        assert load(scenario.resolved()) == scenario


def _answer(source: object) -> tuple[Scenario | None, str]:
    """Return the scenario, or what its problems say."""
    try:
        return load(source), "right"
    except ScenarioError as error:
        return None, str(error)


@settings(max_examples=settings.default.max_examples * 3 // 2, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 20), st.text(max_size=6)), min_size=1, max_size=4))
def test_any_edit_of_the_text_gives_a_scenario_or_problems(tmp_path_factory, edits):
    text = TABLE["base"]
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    file = tmp_path_factory.mktemp("edited") / "scenario.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert _answer(file)[1]
