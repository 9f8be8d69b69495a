"""A parsed file as a tree in which every value knows the file and line it came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, TypeAlias

from meshsim.errors import Problem, ScenarioError

Path: TypeAlias = tuple[str | int, ...]

#: Values nested deeper than this are refused; real scenarios stay below 15.
MAX_DEPTH = 100
#: Longest key of a mapping, in characters.
MAX_KEY = 250
#: Larger whole numbers do not fit into a float.
_MAX_BITS = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; line 0 where there is no file."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Parameters
    ----------
    value
        A mapping of nodes, a list of nodes, or a scalar.
    place
        Where the value starts.
    keys
        Where each key of a mapping stands.
    text
        An unquoted scalar as it was written (``on`` where the value is true); None for everything else.
    size, height
        Values in this one, and levels of nesting below it, with every alias expanded.
    """

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    place: Place = Place()
    keys: dict[str, Place] = field(default_factory=dict)
    text: str | None = None
    size: int = 1
    height: int = 0

    def child(self, key: str | int) -> Node | None:
        """Return the value at a key or index, or None where there is none.

        Examples
        --------
        >>> from_python({"a": [1, 2]}).child("a").child(1).value
        2
        """
        if isinstance(self.value, dict):
            return self.value.get(key) if isinstance(key, str) else None
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None

    def find(self, path: Path) -> Node | None:
        """Return the value at a path, or None.

        Examples
        --------
        >>> from_python({"a": [1, 2]}).find(("a", 0)).value
        1
        """
        node: Node | None = self
        for key in path:
            node = node.child(key) if node is not None else None
        return node

    def locate(self, path: Path) -> Place:
        """Return where the key of a path stands, or the deepest part of the path that exists.

        A name within a list is passed over: such a list stands for a mapping with one field (``eu: [eu-1, eu-2]``).

        Examples
        --------
        >>> Node({"a": Node(1, Place("f", 2))}, Place("f", 1), {"a": Place("f", 2)}).locate(("a", "b"))
        Place(file='f', line=2)
        """
        node, place = self, self.place
        for key in path:
            inner = node.child(key)
            if inner is None and isinstance(key, str) and isinstance(node.value, list):
                continue
            if inner is None:
                break
            place = node.keys.get(key, inner.place) if isinstance(key, str) else inner.place
            node = inner
        return place

    def plain(self) -> Any:
        """Return dicts, lists and scalars; values behind several aliases are copied.

        Examples
        --------
        >>> from_python({"a": [1, True]}).plain()
        {'a': [1, True]}
        """
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def with_value(self, key: str, node: Node, place: Place | None = None) -> Node:
        """Return this mapping with one key set; the key stands at ``place`` (the value's by default).

        Examples
        --------
        >>> from_python({"a": 1}).with_value("b", Node(2)).plain()
        {'a': 1, 'b': 2}
        """
        old = dict(self.value) if isinstance(self.value, dict) else {}
        return Node({**old, key: node}, self.place, {**self.keys, key: place or node.place})

    def without(self, key: str) -> Node:
        """Return this mapping without a key.

        Examples
        --------
        >>> from_python({"a": 1, "b": 2}).without("a").plain()
        {'b': 2}
        """
        old = self.value if isinstance(self.value, dict) else {}
        kept = {name: node for name, node in old.items() if name != key}
        return Node(kept, self.place, {name: place for name, place in self.keys.items() if name != key})


def merged(under: Node, over: Node) -> Node:
    """Return two values as one: mappings are merged key by key, anything else in ``over`` replaces.

    Examples
    --------
    >>> merged(from_python({"a": {"x": 1, "y": 1}, "b": [1]}), from_python({"a": {"y": 2}, "b": []})).plain()
    {'a': {'x': 1, 'y': 2}, 'b': []}
    """
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return over
    value = dict(under.value)
    for key, node in over.value.items():
        value[key] = merged(value[key], node) if key in value else node
    return Node(value, over.place, {**under.keys, **over.keys})


def from_python(value: object, place: Place = Place(), path: Path = ()) -> Node:
    """Return the tree of a dict, as a notebook hands it over.

    Parameters
    ----------
    value
        Mappings with text keys, sequences, text, numbers (NumPy's too), booleans and None.
    place
        Given to every node.
    path
        Where the value stands, for messages.

    Raises
    ------
    ScenarioError
        If something in it cannot stand in a scenario.

    Examples
    --------
    >>> from_python({"a": (1, 2)}).plain()
    {'a': [1, 2]}
    """
    if len(path) > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH} levels, or inside itself"
        raise ScenarioError([Problem(message, format_path(path[:3]) + "…", place.file)])
    if isinstance(value, Mapping):
        return _from_mapping(value, place, path)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        return Node([from_python(item, place, (*path, index)) for index, item in enumerate(value)], place)
    return Node(_scalar(value, place, path), place)


def _from_mapping(value: Mapping[Any, object], place: Place, path: Path) -> Node:
    nodes = {}
    for key, item in value.items():
        message = key_problem(key) if isinstance(key, str) else f"the key {key!r} is not text; write it as {str(key)!r}"
        if message:
            raise ScenarioError([Problem(message, format_path(path), place.file)])
        nodes[key] = from_python(item, place, (*path, key))
    return Node(nodes, place, dict.fromkeys(nodes, place))


def _scalar(value: object, place: Place, path: Path) -> str | int | float | bool | None:
    if isinstance(value, str) and not _encodes(value):
        message = "half of a surrogate pair, which is no character"
        raise ScenarioError([Problem(message, format_path(path), place.file)])
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        if int(value).bit_length() <= _MAX_BITS:
            return int(value)
        raise ScenarioError([Problem("a number too large for any field", format_path(path), place.file)])
    if isinstance(value, Real):
        if math.isfinite(value):
            return float(value)
        raise ScenarioError([Problem(f"{value} is not a finite number", format_path(path), place.file)])
    message = f"a {type(value).__name__} cannot stand in a scenario; use text, numbers, lists and mappings"
    raise ScenarioError([Problem(message, format_path(path), place.file)])


def key_problem(key: str) -> str:
    r"""Return what is wrong with a key of a mapping, or nothing.

    Examples
    --------
    >>> key_problem("GET /"), key_problem("a\nb")
    ('', "the key 'a\\nb' holds a control character")
    """
    if len(key) > MAX_KEY:
        return f"the key '{key[:40]}…' has {len(key)} characters; at most {MAX_KEY} are allowed"
    if not key.isprintable():
        return f"the key {key!a} holds a control character"
    return ""


def _encodes(text: str) -> bool:
    """Tell whether the text can be written to a file at all."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def format_path(path: Path) -> str:
    """Return a path as messages and ``--set`` write it.

    Examples
    --------
    >>> format_path(("services", "cart", "endpoints", "GET /", "script", 2, "call"))
    'services.cart.endpoints.GET /.script[2].call'
    >>> format_path(("services", "v1.2"))
    'services."v1.2"'
    """
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = printable(part)
            quoted = f'"{name}"' if not name or any(character in name for character in ".[]='") else name
            shown += ("." if shown else "") + quoted
    return shown


def printable(text: str) -> str:
    r"""Return text without characters that would do something to a terminal.

    Examples
    --------
    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return text if text.isprintable() else ascii(text)[1:-1]
