"""YAML becomes a tree: aliases and merge keys work and cannot explode, words mean what they say."""

from __future__ import annotations

import pytest
import yaml

from meshsim.errors import ScenarioError
from meshsim.scenario.compose import compose


def plain(text: str) -> object:
    (document,) = compose(text, "f.yaml")
    return document.plain()


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        compose(text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-1_000", -1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("on", True),
        ("No", False),
        ("y", "y"),
        ("'on'", "on"),
        ("~", None),
        ("0123", "0123"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("1_", 1),
        ("9" * 5000, "9" * 5000),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("!!int '12'", 12),
        ("!!float 12", 12.0),
        ("!!bool 'true'", True),
        ("!!null ''", None),
        ("!!map {a: 1}", {"a": 1}),
        ("!!seq [1]", [1]),
    ],
)
def test_a_scalar_means_what_it_says(text, value):
    found = plain(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_keys_are_the_text_that_was_written():
    assert plain("8080: a\n1.20: b\n'on': c\n2024-01-01: d") == {"8080": "a", "1.20": "b", "on": "c", "2024-01-01": "d"}


def test_merge_keys_fill_in_what_is_missing():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: *a, x: 3}\nd: {<<: [*a, *b], w: 4}"
    assert plain(text)["c"] == {"x": 3, "y": 1}
    assert plain(text)["d"] == {"x": 1, "y": 1, "z": 2, "w": 4}


def test_an_aliased_value_knows_the_line_of_its_alias_and_its_parts_their_own():
    (document,) = compose("a: &a\n  x: 1\nb:\n- *a\n", "f.yaml")
    assert document.locate(("b", 0)).line == 4
    assert document.locate(("b", 0, "x")).line == 2


@pytest.mark.parametrize(
    "body",
    [
        "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "".join(f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 30)),
        "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 90)),
    ],
    ids=["lists", "mappings", "doubling"],
)
def test_a_bomb_of_aliases_is_refused_before_it_expands(body):
    told = refusal("a0: &a0 lol\n" + body)
    assert told.endswith("more than 200,000 values once its aliases are expanded")


def test_a_long_text_behind_many_aliases_is_a_bomb_too():
    told = refusal(f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 1000)}]")
    assert told == "f.yaml:2: more than 200,000 values once its aliases are expanded"


def test_aliases_cannot_nest_what_may_not_be_written_nested():
    text = "a0: &a0 []\n" + "".join(f"a{i}: &a{i} {'[' * 30}*a{i - 1}{']' * 30}\n" for i in range(1, 5))
    assert refusal(text) == "f.yaml:5: nested deeper than 100 levels once its aliases are expanded"


def test_an_anchor_may_be_used_again_and_ends_with_its_document():
    assert plain("a: &x 1\nb: *x\nc: &x 2\nd: *x") == {"a": 1, "b": 1, "c": 2, "d": 2}
    assert refusal("a: &x 1\n---\nb: *x") == "f.yaml:3: the alias *x has no anchor &x above it"


def test_documents_that_are_empty_are_left_out():
    assert [document.plain() for document in compose("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n", "f.yaml")] == [
        {"a": 1},
        {"b": 2},
    ]


def test_all_double_keys_and_wrong_keys_are_told_at_once():
    assert refusal("a: 1\nb: {c: 1, c: 2}\na: 2\non: 1").split("\n") == [
        "f.yaml:2: the key 'c' is given twice, on line 2",
        "f.yaml:3: the key 'a' is given twice, on lines 1 and 3",
        "f.yaml:4: the key on means true in YAML; write it in quotes: 'on'",
    ]


def test_a_null_key_and_a_long_key_are_refused():
    assert refusal("?\n: 1") == "f.yaml:1: a ':' without a key"
    assert refusal("k" * 300 + ": 1").endswith("…' has 300 characters; at most 250 are allowed")


@pytest.mark.parametrize(
    "text", ["a: {{ .x }}", "{{ .x }}: 1", "a: 'b {{ .x }}'", "{{- range }}\na: 1\n{{- end }}", "a: [{{ .x }}"]
)
def test_templates_are_sent_to_helm(text):
    assert refusal(text) == "f.yaml:1: a Helm or Go template ({{ … }}); run helm template first and use what it prints"


def test_a_description_may_speak_of_templates():
    assert plain("description: made with {{ x }}") == {"description": "made with {{ x }}"}


@pytest.mark.parametrize(
    "tag", ["!!int x", "!!python/name:os.system x", "!!timestamp 2024-01-01", "!!binary eA==", "!!map [1]", "!!set {}"]
)
def test_tags_that_are_not_plain_yaml_are_refused(tag):
    assert " is not allowed" in refusal(f"a: {tag}")


@pytest.mark.parametrize(
    "text", ["a: 1\n b: 2", "a: [1", "a: 'x", "a: @x", "a:\n\tb: 1", 'a: "\\q"', "a: |x\n  b", "- a\nb: 1"]
)
def test_messages_are_the_same_without_libyaml(text, monkeypatch):
    with_libyaml = refusal(text)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert refusal(text) == with_libyaml


def test_values_are_the_same_without_libyaml(base, monkeypatch):
    with_libyaml = plain(base)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert plain(base) == with_libyaml


@pytest.mark.parametrize("text", [".nan", "-.inf", "1e309"])
def test_a_number_that_is_not_finite_is_text_which_each_field_refuses(text):
    (root,) = compose(f"a: {text}", "f.yaml")
    assert root.find(("a",)).value == root.find(("a",)).text == text
