"""Making a broken document whole enough for the remaining checks, so that a user sees all problems at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from meshsim.scenario.schema import Document
from meshsim.scenario.shape import Spot, field_names, follow
from meshsim.scenario.tree import Node, Path

#: Verdicts on a number, a duration or the like, which say nothing about names.
_NUMERIC = {
    "value_error",
    "int_type",
    "int_from_float",
    "float_type",
    "bool_type",
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
}
#: Values that stand in for wrong ones where leaving the field out would be wrong too.
_STAND_INS: Mapping[str, str | int] = {
    "rate": "1/s",
    "start": "0s",
    "duration": "1s",
    "factor": 1,
    "loss": 0,
    "to": 1,
    "replicas": 1,
    "compute": "1s",
    "rtt": "1s",
    "think_time": "1s",
    "latency": "1s",
    "watch_latency": "1s",
    "pod_start": "1s",
}
#: Verdicts on a text, and fields where it can be left out: nothing else refers to them.
_TEXTUAL = {"string_pattern_mismatch", "literal_error"}
_OPTIONAL_TEXTS = ("method", "path", "traffic_distribution")
_DISTRIBUTIONS = ("compute", "rtt", "think_time", "latency", "watch_latency", "pod_start")


def repaired(root: Node, errors: Iterable[Mapping[str, Any]]) -> tuple[Document, Node, list[Path]] | None:
    """Return a document without its faults, its tree, and the paths that were changed; or None if too much is wrong.

    A misspelt field is taken for the one it resembles, and a wrong number is replaced. A wrong name, list or mapping
    is too much: whatever stood in for it would bring up problems that the file does not have.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> found = repaired(from_python({**EXAMPLE, "sed": 3}), [{"type": "extra_forbidden", "loc": ("sed",)}])
    >>> found[0].seed, found[2]
    (3, [('sed',), ('seed',)])
    """
    changed: list[Path] = []
    tree = root
    for error in errors:
        spot = follow(error["loc"], root)
        edit = _edit(error["type"], spot, tree) if spot.fits and error["type"] != "missing" else ()
        if edit is None:
            return None
        for path, node in edit:
            tree = _with(tree, path, node)
            changed.append(path)
    try:
        return Document.model_validate(tree.plain()), tree, changed
    except ValidationError:
        return None


def _edit(kind: str, spot: Spot, tree: Node) -> tuple[tuple[Path, Node | None], ...] | None:
    """Return the paths to set (or, with None, to remove) for one error; None if it cannot be mended."""
    path, parent = spot.path, tree.find(spot.path[:-1])
    if kind == "extra_forbidden" and spot.model is not None:
        near = difflib.get_close_matches(str(path[-1]), field_names(spot.model), n=1, cutoff=0.6)
        meant = near[0] if near else str(path[-1])
        # Two misspellings of one field, or one beside the field itself: which is meant cannot be told.
        if not near or parent is None or parent.child(meant) is not None:
            return ((path, None),) if not near else None
        return (path, None), ((*path[:-1], meant), tree.find(path))
    left_out = kind in _TEXTUAL and path[-1:] and path[-1] in _OPTIONAL_TEXTS
    if not (kind in _NUMERIC or left_out) or not path or spot.is_key:
        return None
    for index in range(len(path) - 1, -1, -1):
        if path[index] in _DISTRIBUTIONS and len(path) - index <= 4:
            return ((path[: index + 1], Node("1s", tree.locate(path))),)
    if isinstance(spot.node.value if spot.node is not None else None, dict):
        return None
    stand_in = _STAND_INS.get(str(path[-1]))
    return ((path, Node(stand_in, tree.locate(path)) if stand_in is not None and len(path) > 1 else None),)


def _with(node: Node, path: Path, value: Node | None) -> Node:
    """Return a copy of a tree with one value set, or removed."""
    key, rest = path[0], path[1:]
    if isinstance(key, str) and value is None and not rest:
        return node.without(key)
    child = node.child(key)
    inner = (value or Node(None)) if not rest else _with(child or Node({}), rest, value)
    if isinstance(key, str):
        return node.with_value(key, inner, node.keys.get(key, inner.place))
    items = list(node.value) if isinstance(node.value, list) else []
    items[key] = inner
    return Node(items, node.place)
