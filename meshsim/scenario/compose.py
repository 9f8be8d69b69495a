"""YAML text to trees: aliases counted before they are expanded, every key with its line, no surprises of YAML 1.1."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import yaml

from meshsim.errors import Problem, ScenarioError, cut
from meshsim.scenario.tree import MAX_DEPTH, Node, Place, key_problem

#: Values a file may hold with every alias expanded.
MAX_VALUES = 200_000
#: Characters of text that count as one more value, so that a long text behind many aliases is a bomb too.
_TEXT_UNIT = 100
#: Longer digits are text: no field needs them, and Python refuses to convert very long ones.
_LONGEST_NUMBER = 60

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE|yes|Yes|YES|on|On|ON")
_FALSE = re.compile(r"false|False|FALSE|no|No|NO|off|Off|OFF")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_BASED_INT = re.compile(r"[-+]?0(?:x[0-9a-fA-F]+|o[0-7]+|b[01]+)")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_TEMPLATE = re.compile(r"\{\{.*\}\}")

#: Parts of the parser's words → ours. The first that fits is used.
_SYNTAX = (
    ("found character '\\t'", "a tab; YAML is indented with spaces"),
    ("mapping values are not allowed", "a ':' where no mapping can begin; check the indentation, or quote the text"),
    ("could not find expected ':'", "a key without its ':'"),
    ("expected ',' or ']'", "a list [ … ] is not closed, or a comma is missing"),
    ("expected ',' or '}'", "a mapping { … } is not closed, or a comma is missing"),
    ("found unexpected end of stream", "a quoted text is not closed"),
    ("found unknown escape character", "an unknown escape in double quotes; use single quotes, or write \\\\"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("that cannot start any token", "a text may not begin with this character; put it in quotes"),
    ("expected chomping or indentation", "after | or > the text begins on the next line"),
)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    mapping: bool
    place: Place
    anchor: str | None
    items: list[Node] = field(default_factory=list)


def compose(text: str, file: str) -> list[Node]:
    """Return the documents of a YAML text; empty documents are left out.

    Parameters
    ----------
    text
        YAML.
    file
        Its name, for messages.

    Raises
    ------
    ScenarioError
        If it is not YAML, or is YAML that no scenario needs: templates, tags, alias bombs, duplicate keys, NaN.

    Examples
    --------
    >>> [node.plain() for node in compose("a: [1, on]", "f.yaml")]
    [{'a': [1, True]}]
    """
    composer = _Composer(file)
    try:
        return composer.documents(_events(text))
    except yaml.MarkedYAMLError as error:
        if "{{" in text:
            composer.template(text[: text.index("{{")].count("\n") + 1)
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        known = str(error.problem)
        words = next((ours for theirs, ours in _SYNTAX if theirs in known), "the text breaks YAML's rules here")
        opened = error.context_mark.line + 1 if "not closed" in words and error.context_mark is not None else line
        words += f" (it opens on line {opened})" if opened != line else ""
        composer.refuse(f"not valid YAML at column {column}: {words}", line)


def _events(text: str) -> Iterator[Any]:
    """Parse with libyaml where PyYAML has it (14 times faster), and with PyYAML's own parser where that fails.

    The second parser makes the messages the same with and without libyaml.
    """
    if yaml.__with_libyaml__:
        try:
            yield from _counted(text, yaml.CSafeLoader)
        except yaml.MarkedYAMLError:
            pass
        else:
            return
        yield None
    yield from _counted(text, yaml.SafeLoader)


def _counted(text: str, loader: Any) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=loader)


class _Composer:
    """Builds trees from parser events without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.start()

    def start(self) -> None:
        self.values = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}
        self.roots: list[Node] = []
        self.problems: list[Problem] = []

    def documents(self, events: Iterator[Any]) -> list[Node]:
        for event in events:
            if event is None:
                self.start()
            else:
                self.handle(event)
        if self.problems:
            raise ScenarioError(self.problems)
        return [root for root in self.roots if root.value is not None]

    def refuse(self, message: str, line: int) -> NoReturn:
        """Give up on the file, keeping what was found before."""
        raise ScenarioError([*self.problems, Problem(message, "", self.file, line)])

    def template(self, line: int) -> NoReturn:
        self.refuse("a Helm or Go template ({{ … }}); run helm template first and use what it prints", line)

    def handle(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.anchors = {}
            case yaml.ScalarEvent():
                self.close(self.scalar(event), event.anchor)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.begin(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self.open.pop()
                self.close(self.mapping(frame) if frame.mapping else self.sequence(frame), frame.anchor)
            case yaml.AliasEvent():
                self.close(self.alias(event), None)

    def place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1)

    def begin(self, event: Any) -> None:
        place = self.place(event)
        if len(self.open) >= MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} levels", place.line)
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag and event.tag != "!" and _TAGS.get(event.tag) != ("map" if mapping else "seq"):
            self.refuse(f"the tag {_shown_tag(event.tag)} is not allowed; write plain values", place.line)
        self.count(1, place.line)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(mapping, place, event.anchor))

    def close(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if len(self.open) + node.height > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} levels once its aliases are expanded", node.place.line)
        (self.open[-1].items if self.open else self.roots).append(node)

    def count(self, size: int, line: int) -> None:
        self.values += size
        if self.values > MAX_VALUES:
            self.refuse(f"more than {MAX_VALUES:,} values once its aliases are expanded", line)

    def alias(self, event: Any) -> Node:
        line = event.start_mark.line + 1
        if event.anchor not in self.anchors:
            self.refuse(f"the alias *{event.anchor} has no anchor &{event.anchor} above it", line)
        node = self.anchors[event.anchor]
        if node is None:
            self.refuse(f"the alias *{event.anchor} stands inside its own anchor", line)
        self.count(node.size, line)
        return replace(node, place=self.place(event))

    def sequence(self, frame: _Open) -> Node:
        size, height = _extent(frame.items)
        return Node(frame.items, frame.place, size=size, height=height)

    def mapping(self, frame: _Open) -> Node:
        under: dict[str, tuple[Node, Place]] = {}
        own: dict[str, tuple[Node, Place]] = {}
        for key_node, node in zip(frame.items[::2], frame.items[1::2], strict=True):
            key, place = self.key(key_node), key_node.place
            if key_node.text == "<<":
                under = {**self.merge(node, place), **under}
            elif key in own:
                first = own[key][1].line
                lines = f"line {first}" if first == place.line else f"lines {first} and {place.line}"
                message = f"the key '{key}' is given twice, on {lines}"
                self.problems.append(Problem(message, "", self.file, place.line))
            else:
                own[key] = (node, place)
        entries = {**under, **own}
        size, height = _extent(frame.items)
        nodes = {key: node for key, (node, _) in entries.items()}
        return Node(nodes, frame.place, {key: place for key, (_, place) in entries.items()}, None, size, height)

    def key(self, node: Node) -> str:
        """Return a key as text: numbers as they were written, words that YAML 1.1 takes for true or null refused."""
        line = node.place.line
        if isinstance(node.value, (dict, list)):
            if "{" in str(node.plain()):
                self.template(line)
            self.refuse("a list or mapping cannot be a key", line)
        if node.value is None or isinstance(node.value, bool):
            meaning = {None: "nothing", True: "true", False: "false"}[node.value]
            message = f"the key {node.text} means {meaning} in YAML; write it in quotes: '{node.text}'"
            self.problems.append(Problem(message if node.text else "a ':' without a key", "", self.file, line))
        key = str(node.value) if node.text is None else node.text
        if wrong := key_problem(key):
            self.problems.append(Problem(wrong, "", self.file, line))
        return key

    def merge(self, node: Node, place: Place) -> dict[str, tuple[Node, Place]]:
        """Return the entries that a merge key ``<<`` brings in; of several mappings the first wins."""
        found: dict[str, tuple[Node, Place]] = {}
        for source in reversed(node.value) if isinstance(node.value, list) else [node]:
            if not isinstance(source.value, dict):
                self.refuse("the merge key << takes a mapping, or a list of mappings", place.line)
            found |= {key: (inner, source.keys[key]) for key, inner in source.value.items()}
        return found

    def scalar(self, event: Any) -> Node:
        text, place = event.value, self.place(event)
        parent = self.open[-1].items if self.open else []
        described = len(parent) % 2 == 1 and parent[-1].value == "description"
        if "\n" not in text and not described and _TEMPLATE.search(text):
            self.template(place.line)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.refuse("half of a surrogate pair, which is no character", place.line)
        size = 1 + len(text) // _TEXT_UNIT
        self.count(size, place.line)
        if not event.tag and event.implicit[0]:
            return Node(self.resolve(text), place, text=text, size=size)
        return Node(self.tagged(event.tag, text, place.line), place, size=size)

    def tagged(self, tag: str | None, text: str, line: int) -> str | int | float | bool | None:
        """Return a quoted or explicitly tagged scalar."""
        kind = "str" if not tag or tag == "!" else _TAGS.get(tag)
        if kind == "str":
            return text
        value = self.resolve(text)
        fits = {"int": type(value) is int, "float": type(value) in (int, float), "bool": isinstance(value, bool)}
        if not (fits.get(kind or "") or (kind == "null" and value is None)):
            self.refuse(f"the tag {_shown_tag(tag or '')} is not allowed here; write plain values", line)
        return float(value) if kind == "float" and isinstance(value, (int, float)) else value

    def resolve(self, text: str) -> str | int | float | bool | None:
        """Return what an unquoted scalar means; dates and sexagesimal numbers of YAML 1.1 stay text."""
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
            return _TRUE.fullmatch(text) is not None
        number = _number(text)
        if number is None:
            return text
        return number if math.isfinite(number) else text  # which no field takes for a number


def _number(text: str) -> int | float | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    digits = text.replace("_", "")
    if _INT.fullmatch(text):
        return int(digits)
    if _BASED_INT.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(digits)
    return float(text.lower().replace(".", "")) if _NOT_FINITE.fullmatch(text) else None


def _extent(items: list[Node]) -> tuple[int, int]:
    return 1 + sum(item.size for item in items), 1 + max((item.height for item in items), default=0)


def _shown_tag(tag: str) -> str:
    return cut(tag.replace("tag:yaml.org,2002:", "!!"))
