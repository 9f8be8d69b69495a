"""``--set path=value``: changes to a document before it is validated."""

from __future__ import annotations

import re
from collections.abc import Sequence

from meshsim.errors import Problem, ScenarioError, cut, did_you_mean, gathering
from meshsim.scenario.compose import compose
from meshsim.scenario.tree import MAX_DEPTH, Node, Path, Place, format_path

FILE = "--set"
_PLACE = Place(FILE, 0)
_SEGMENT = re.compile(r"""\[(?P<index>\d{1,9})\]|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^.\[\]"'=]+)""")
#: Where a name that does not exist yet cannot be meant: ``*`` is any name.
_KNOWN_NAMES = (
    ("regions", "*"),
    ("clusters", "*"),
    ("services", "*"),
    ("services", "*", "endpoints", "*"),
    ("load", "*"),
    ("load", "*", "actions", "*"),
)


def applied(root: Node, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """Return a document with changes made, in order, and what is wrong with those that cannot be.

    Parameters
    ----------
    root
        The document.
    overrides
        ``path=value`` each; the value is YAML, names with dots or spaces are quoted.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> root = from_python({"services": {"web": {"endpoints": {"GET /": {"script": [{"compute": "1ms"}]}}}}})
    >>> applied(root, ['services.web.endpoints."GET /".script[0].compute=5ms'])[0].find(
    ...     ("services", "web", "endpoints", "GET /", "script", 0, "compute")).value
    '5ms'
    """
    problems: list[Problem] = []
    for override in overrides:
        with gathering(problems):
            path, value = parse(override)
            if path[0] == "include":
                message = "files are included before anything is changed; name them in the scenario itself"
                raise ScenarioError([Problem(message, format_path(path), FILE)])
            root = put(root, path, value)
    return root, problems


def put(root: Node, path: Path, value: Node) -> Node:
    """Return a document with a value at a path; where the path ends there is the place of the value.

    Raises
    ------
    ScenarioError
        If the path leads through something that is not there.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> put(from_python({"istiod": None}), ("istiod", "replicas"), Node(2)).plain()
    {'istiod': {'replicas': 2}}
    """
    return _put(root, path, value, ())


def parse(override: str) -> tuple[Path, Node]:
    """Return path and value of one ``path=value``.

    Raises
    ------
    ScenarioError
        If it is not one.

    Examples
    --------
    >>> path, value = parse("timeline[0].duration=5m")
    >>> path, value.value
    (('timeline', 0, 'duration'), '5m')
    """
    path, position = _steps(override)
    if not path or isinstance(path[0], int) or override[position : position + 1] != "=" or "" in path:
        hint = "write path=value, such as load.web.rate=400/s"
        raise ScenarioError([Problem(f"{cut(override)!r} is not a change; {hint}", "", FILE)])
    if len(path) > MAX_DEPTH // 2:
        raise ScenarioError([Problem(f"{cut(override)!r} has more than {MAX_DEPTH // 2} steps", "", FILE)])
    return path, _value(override[position + 1 :], format_path(path))


def parse_path(text: str) -> Path:
    """Return the path that a text names.

    Raises
    ------
    ScenarioError
        If it names none.

    Examples
    --------
    >>> parse_path("gateways.eu-1.replicas")
    ('gateways', 'eu-1', 'replicas')
    """
    path, position = _steps(text)
    if not path or isinstance(path[0], int) or position != len(text) or text.endswith(".") or "" in path:
        raise ScenarioError([Problem(f"{cut(text)!r} is no path; write one such as gateways.eu-1.replicas")])
    if len(path) > MAX_DEPTH // 2:
        raise ScenarioError([Problem(f"a path of more than {MAX_DEPTH // 2} steps")])
    return path


def _steps(override: str) -> tuple[Path, int]:
    """Return the path that a text begins with, and where it ends."""
    path: list[str | int] = []
    position = 0
    while match := _SEGMENT.match(override, position):
        index = match["index"]
        path.append(int(index) if index else (match["double"] or match["single"] or (match["bare"] or "").strip()))
        position = match.end()
        if override[position : position + 1] == ".":
            position += 1
        elif override[position : position + 1] != "[":
            break
    return tuple(path), position


def _value(text: str, path: str) -> Node:
    """Return the YAML value after the equals sign."""
    try:
        documents = compose(text, FILE)
    except ScenarioError as error:
        raise ScenarioError([Problem(problem.message, path, FILE) for problem in error.problems]) from None
    if len(documents) > 1:
        raise ScenarioError([Problem("more than one value", path, FILE)])
    return _moved(documents[0]) if documents else Node(None, _PLACE)


def _moved(node: Node) -> Node:
    """Return a value that stands on the command line, where there are no line numbers."""
    if isinstance(node.value, dict):
        inner = {key: _moved(child) for key, child in node.value.items()}
        return Node(inner, _PLACE, dict.fromkeys(inner, _PLACE))
    if isinstance(node.value, list):
        return Node([_moved(child) for child in node.value], _PLACE)
    return Node(node.value, _PLACE, text=node.text)


def _put(node: Node, path: Path, value: Node, done: Path) -> Node:
    """Return a copy of a node in which the value stands at the path; ``done`` is the path to the node."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        return _put_index(node, key, rest, value, done)
    if isinstance(node.value, list) or not (node.value is None or isinstance(node.value, dict)):
        found = (
            "is a list; name an item as [0]" if isinstance(node.value, list) else f"is {node.value!r}, not a mapping"
        )
        raise ScenarioError([Problem(f"{format_path(done)} {found}", format_path((*done, *path)), FILE)])
    child = node.child(key)
    if child is None and rest and _is_known_name((*done, key)):
        known = [name for name in (node.value or {}) if done != ("load",) or name != "scale"]
        message = f"unknown name '{key}'{did_you_mean(key, known)}"
        raise ScenarioError([Problem(message, format_path((*done, *path)), FILE)])
    inner = _put(child or Node({}, value.place), rest, value, (*done, key))
    place = value.place if child is None or not rest else node.keys.get(key, value.place)
    return node.with_value(key, inner, place)


def _put_index(node: Node, index: int, rest: Path, value: Node, done: Path) -> Node:
    items = node.value if isinstance(node.value, list) else None
    if items is None or index >= len(items):
        count = "is not a list" if items is None else "has 1 item" if len(items) == 1 else f"has {len(items)} items"
        first = " (the first is [0])" if items is not None else ""
        message = f"{format_path(done)} {count}{first}"
        raise ScenarioError([Problem(message, format_path((*done, index, *rest)), FILE)])
    inner = _put(items[index], rest, value, (*done, index))
    return Node([*items[:index], inner, *items[index + 1 :]], node.place)


def _is_known_name(path: Path) -> bool:
    return any(
        len(path) == len(pattern) and all(want in ("*", part) for want, part in zip(pattern, path, strict=True))
        for pattern in _KNOWN_NAMES
    )
