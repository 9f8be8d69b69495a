"""What is wrong with a document, in plain words, with file, line, path and the nearest right word."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from meshsim.errors import Problem, cut, did_you_mean
from meshsim.scenario.repair import repaired
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_values import RULES
from meshsim.scenario.shape import Spot, choices, event_names, field_names, follow
from meshsim.scenario.tree import Node, Path, format_path
from meshsim.units import leading_zero

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
}
_NAME_RULE = "lower-case letters, digits, '-' and '.', with a letter or digit at both ends (as in Kubernetes)"
_TITLE_RULE = "letters, digits, '-', '_' and '.', with a letter or digit first, at most 100 characters"
_DISTRIBUTIONS = ("constant", "exponential", "lognormal", "gamma", "empirical", "p50")
_KINDS = {"distribution": _DISTRIBUTIONS, "step": ("compute", "call"), "phase": ("ramp", "spike", "diurnal")}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the schema says.

    Parameters
    ----------
    document
        The document, or one without its faults (see `repair`), or None if too much is wrong.
    root
        The tree of that document.
    problems
        What is wrong; nothing if the document is the user's own.
    changed
        Paths of the faults that are left out of the document, and of what they make uncertain.
    lost
        Sections of the document of which nothing is known.
    unsure
        Sections that do not say what the file says; those that are lost among them.
    """

    document: Document | None
    root: Node
    problems: list[Problem] = field(default_factory=list)
    changed: tuple[Path, ...] = ()
    lost: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()


def validate(root: Node) -> Verdict:
    """Return a document, or everything that its schema finds wrong with it.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> verdict = validate(from_python({"name": "x", "regions": {}, "clusters": {}, "services": {"s": {}}, "load": {}}))
    >>> [str(problem) for problem in verdict.problems][2]
    "services.s: missing field 'endpoints'"
    """
    try:
        return Verdict(Document.model_validate(root.plain()), root)
    except ValidationError as error:
        items = [dict(item) for item in error.errors(include_url=False)]
    whole = repaired(root, items)
    if whole is None:
        return Verdict(None, root, problems((item, root) for item in items))
    found = problems([*((item, root) for item in items), *whole.more])
    return Verdict(whole.document, whole.root, found, whole.changed, whole.lost, whole.unsure)


def problems(items: Iterable[tuple[Mapping[str, Any], Node]]) -> list[Problem]:
    """Return validation errors, each with the tree that it is in, as problems in the order of the file, each once."""
    found: dict[Problem, None] = {}
    for item, root in items:
        spot = follow(item["loc"], root)
        if spot.fits:
            found.setdefault(_problem(item, spot, root))
    return in_order(list(found))


def in_order(found: list[Problem]) -> list[Problem]:
    """Return problems by line, files in the order in which they first appear.

    Examples
    --------
    >>> [str(p) for p in in_order([Problem("x", "", "f", 9), Problem("y", "", "f", 2)])]
    ['f:2: y', 'f:9: x']
    """
    files = list(dict.fromkeys(problem.file for problem in found))
    return sorted(found, key=lambda problem: (files.index(problem.file), problem.line))


def _problem(item: Mapping[str, Any], spot: Spot, root: Node) -> Problem:
    kind, path = item["type"], spot.path
    place = root.locate(path)
    if kind in ("missing", "extra_forbidden", "union_tag_not_found"):
        path = path if kind == "union_tag_not_found" else path[:-1]
    return Problem(_message(item, spot), format_path(path), place.file, place.line)


def _message(item: Mapping[str, Any], spot: Spot) -> str:
    kind: str = item["type"]
    context: Mapping[str, Any] = item.get("ctx", {})
    if kind in _WANTED:
        return _wrong_type(kind, spot)
    if kind in _KINDS:
        return _misspelt(spot, _KINDS[kind]) or f"{found(spot.node)} {item['msg']}"
    if kind in _OTHER:
        return _OTHER[kind](spot, context)
    return f"found {found(spot.node)}, which is not allowed here"


def _wrong_type(kind: str, spot: Spot) -> str:
    node, wanted = spot.node, _WANTED[kind]
    if kind == "string_type" and node is not None and node.text and not isinstance(node.value, str):
        return f"found {found(node)}; {wanted} is wanted: write it in quotes, '{node.text}'"
    if wanted.endswith("number") and node is not None and isinstance(node.value, str) and _is_number(node.value):
        if wrong := leading_zero(node.value):
            return wrong
        if node.text is not None:
            return f"{cut(node.text)} is not a finite number"
        return f"found {found(node)}; write it without quotes"
    if spot.path[-1:] == ("replicas",) and wanted == "a whole number":
        wanted += ", or one by cluster,"
    return f"found {found(node)}; {wanted} is wanted"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(".nan", "nan").replace(".inf", "inf"))
    except ValueError:
        return False
    return text.isascii()


def found(node: Node | None) -> str:
    """Return what stands somewhere, in words.

    Examples
    --------
    >>> found(Node(True, text="on")), found(Node("a")), found(Node([]))
    ('on, which YAML reads as true', "the text 'a'", 'a list')
    """
    value = node.value if node is not None else None
    text = node.text if node is not None else None
    match value:
        case None:
            return "nothing"
        case bool():
            word = "true" if value else "false"
            return f"{text}, which YAML reads as {word}" if text and text.lower() != word else word
        case str():
            return f"the text {cut(repr(value))}"
        case int() | float():
            return f"the number {cut(text or repr(value))}"
        case list():
            return "a list"
    return "a mapping"


def _shown(node: Node | None) -> str:
    """Return a scalar as it was written, quoted if it is text."""
    if node is None or isinstance(node.value, (dict, list)):
        return found(node)
    return cut(repr(node.value) if isinstance(node.value, str) else node.text or str(node.value))


def _misspelt(spot: Spot, known: tuple[str, ...]) -> str:
    """Return the message for a mapping whose first key resembles one that would say what it is."""
    key = next(iter(spot.node.value), "") if spot.node is not None and isinstance(spot.node.value, dict) else ""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"unknown field '{key}'{did_you_mean(key, known)}" if near else ""


def _missing(spot: Spot, _: Mapping[str, Any]) -> str:
    return f"missing field '{spot.path[-1]}'"


def _unknown(spot: Spot, _: Mapping[str, Any]) -> str:
    name = str(spot.path[-1])
    return f"unknown field {cut(repr(name))}{did_you_mean(name, field_names(spot.model) if spot.model else [])}"


def _literal(spot: Spot, _: Mapping[str, Any]) -> str:
    node, known = spot.node, choices(spot.annotation)
    if node is not None and node.text in known and not isinstance(node.value, str):
        return f"found {found(node)}; text is wanted: write it in quotes, '{node.text}'"
    if node is None or not isinstance(node.value, str):
        return f"found {found(node)}; one of {', '.join(known)} is wanted"
    return f"{_shown(node)} is not known here{did_you_mean(node.value, known)}"


def _event(spot: Spot, _: Mapping[str, Any]) -> str:
    node = spot.node.child("event") if spot.node is not None else None
    if node is None or not isinstance(node.value, str):
        return f"found {found(node)}; the name of an event is wanted{did_you_mean('', event_names(), 30)}"
    return f"unknown event {_shown(node)}{did_you_mean(node.value, event_names(), 30)}"


def _no_event(_spot: Spot, _: Mapping[str, Any]) -> str:
    return f"missing field 'event'{did_you_mean('', event_names(), 30)}"


def _size(spot: Spot, context: Mapping[str, Any]) -> str:
    actual, least, most = context.get("actual_length"), context.get("min_length"), context.get("max_length")
    if not actual:
        return "is empty; at least one entry is wanted" if least == 1 else f"is empty; {least} entries are wanted"
    bound = (
        f"exactly {least}" if spot.path[-1:] == ("between",) else f"at least {least}" if least else f"at most {most}"
    )
    return f"has {actual} {'entry' if actual == 1 else 'entries'}; {bound} are wanted"


def _name(spot: Spot, context: Mapping[str, Any]) -> str:
    text = str(spot.path[-1]) if spot.is_key else spot.node.value if spot.node is not None else ""
    if context.get("pattern") in RULES:
        return f"{cut(repr(text))} {RULES[context['pattern']]}"
    if not text:
        return "an empty name"
    if context.get("max_length"):
        most = context["max_length"]
        return f"the name {cut(repr(text))} has {len(str(text))} characters; at most {most} are allowed"
    return f"{cut(repr(text))} cannot be a name; use {_TITLE_RULE if spot.path == ('name',) else _NAME_RULE}"


def _bound(spot: Spot, context: Mapping[str, Any]) -> str:
    words = {
        "gt": "is too small; it must be above",
        "ge": "is too small; the least is",
        "lt": "is too large; it must be below",
        "le": "is too large; the most is",
    }
    key = next(key for key in words if key in context)
    whole = float(context[key]).is_integer()
    bound = f"{int(context[key]):,}" if whole else f"{context[key]:g}"
    return f"{_shown(spot.node)} {words[key]} {bound}"


def _own_words(_spot: Spot, context: Mapping[str, Any]) -> str:
    return str(context["error"])


_OTHER: dict[str, Callable[[Spot, Mapping[str, Any]], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _literal,
    "union_tag_invalid": _event,
    "union_tag_not_found": _no_event,
    "value_error": _own_words,
    "too_short": _size,
    "too_long": _size,
    "string_too_short": _name,
    "string_too_long": _name,
    "string_pattern_mismatch": _name,
    "greater_than": _bound,
    "greater_than_equal": _bound,
    "less_than": _bound,
    "less_than_equal": _bound,
}
