"""Making a broken document whole enough for the remaining checks, so that a user sees all problems at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from meshsim.scenario.repair_parts import REQUIRED, STAND_INS, Part, part_of, target_of
from meshsim.scenario.schema import Document
from meshsim.scenario.shape import Spot, event_names, field_names, follow
from meshsim.scenario.tree import Node, Path, from_python

#: Verdicts on a number, a duration or the like, which say nothing about names.
_NUMERIC = {
    "value_error",
    "int_type",
    "int_from_float",
    "float_type",
    "bool_type",
    "finite_number",
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
}
#: Verdicts on a text, and fields where it can be left out: nothing else refers to them.
_TEXTUAL = {"string_pattern_mismatch", "literal_error"}
_OPTIONAL_TEXTS = ("method", "path", "traffic_distribution")
_DISTRIBUTIONS = ("compute", "rtt", "think_time", "latency", "watch_latency", "pod_start")
#: What holds things by name: one that is called as a field is not that field.
_NAMED = ("actions", "clusters", "criteria", "endpoints", "gateways", "ingress", "load", "regions", "services")
#: Names that nothing refers to: what stands in for them is as good as they are.
_UNREFERRED = frozenset({"name", "description", "istio_version", "duration", "warm_up", "seed", "replications"})
#: Rounds of mending: what is respelt may itself hold something that is to be mended.
_ROUNDS = 6

Error = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Repaired:
    """A document without its faults.

    Parameters
    ----------
    document, root
        The document and its tree.
    changed
        Paths of faults and of what they make uncertain; ``*`` stands for any key.
    lost
        Sections of which nothing is left that names can be looked up in.
    unsure
        Sections that do not say what the file says; those that are lost among them.
    more
        Errors that show once names are respelt, each with the tree it is in.
    """

    document: Document
    root: Node
    changed: tuple[Path, ...]
    lost: frozenset[str]
    unsure: frozenset[str]
    more: tuple[tuple[Error, Node], ...]


def repaired(root: Node, errors: Iterable[Error]) -> Repaired | None:
    """Return a document without its faults; None if it is no mapping at all.

    A misspelt field is taken for the one it resembles, a wrong number is replaced, and an entry that nothing else
    refers to is left out. Of a section with a worse fault nothing is kept: whatever stood in for it would bring up
    problems that the file does not have.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> found = repaired(from_python({**EXAMPLE, "sed": 3}), [{"type": "extra_forbidden", "loc": ("sed",)}])
    >>> found.document.seed, found.changed, found.unsure
    (3, (), frozenset())
    """
    work, waiting = _Mending(root), list(errors)
    for _ in range(_ROUNDS):
        work.mend(waiting)
        try:
            document = Document.model_validate(work.tree.plain())
        except ValidationError as error:
            waiting = [dict(one) for one in error.errors(include_url=False)]
            if not work.look_again(waiting):
                return None
        else:
            unsure = frozenset(work.unsure | work.lost)
            lost = frozenset(work.lost - _UNREFERRED)
            return Repaired(document, work.tree, tuple(work.changed), lost, unsure, tuple(work.more))
    return None


class _Mending:
    """A document that is being mended."""

    def __init__(self, root: Node) -> None:
        self.tree = root
        self.changed: list[Path] = []
        self.respelt: list[Path] = []
        self.replaced: list[Path] = []
        self.lost: set[str] = set()
        self.unsure: set[str] = set()
        self.more: list[tuple[Error, Node]] = []

    def look_again(self, errors: Iterable[Error]) -> bool:
        """Note which errors show only now, and give up the sections that are wrong again; False if that is no use."""
        before = len(self.lost), len(self.more)
        for error in errors:
            path = follow(error["loc"], self.tree).path
            noted = any(_below(path, other) for other in self.respelt) and not self._known(error)
            if noted:
                self.more.append((error, self.tree))
            elif path:
                self._lose(str(path[0]))
        return (len(self.lost), len(self.more)) != before

    def _known(self, error: Error) -> bool:
        return any(error["loc"] == other["loc"] and error["type"] == other["type"] for other, _ in self.more)

    def mend(self, errors: Iterable[Error]) -> None:
        """Mend what is wrong: names first, as what is missing may be there under a wrong one."""
        for error in sorted(errors, key=lambda error: error["type"] != "extra_forbidden"):
            spot = follow(error["loc"], self.tree)
            if not spot.path or not spot.fits or spot.path[0] in self.lost:
                continue
            if any(_below(spot.path, path) for path in self.replaced):
                continue
            if error["type"] == "extra_forbidden" and spot.model is not None:
                self._misspelt(spot)
            elif error["type"] == "union_tag_invalid" and self._misspelt_event(spot):
                continue
            elif not self._in_place(error["type"], spot):
                self._part(spot.path, is_key=spot.is_key)

    def _set(self, path: Path, node: Node | None) -> None:
        self.tree = _with(self.tree, path, node)
        self.changed.append(path)

    def _lose(self, section: str) -> None:
        """Keep nothing of a section but what a document has to have."""
        self.lost.add(section)
        self.changed.append((section,))
        needed = REQUIRED.get(section)
        place = self.tree.locate((section,))
        self.tree = (
            self.tree.without(section)
            if needed is None
            else self.tree.with_value(section, from_python(needed, place), place)
        )

    def _misspelt(self, spot: Spot) -> None:
        """Take a misspelt field for the one it resembles; one that resembles none is left out."""
        path, names = spot.path, field_names(spot.model) if spot.model is not None else []
        if (node := self.tree.find(path)) is None:
            return
        near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.6)
        self.tree = _with(self.tree, path, None)
        if not near:
            return
        meant = (*path[:-1], near[0])
        if self.tree.find(meant) is not None:  # which of the two is meant cannot be told
            self._part(meant, is_key=False)
        else:
            self.tree = _with(self.tree, meant, node)
            self.respelt.append(meant)

    def _misspelt_event(self, spot: Spot) -> bool:
        """Take a misspelt event for the one it resembles; False if it resembles none."""
        path: Path = (*spot.path, "event")
        node = self.tree.find(path)
        word = node.value if node is not None and isinstance(node.value, str) else ""
        near = difflib.get_close_matches(word, event_names(), n=1, cutoff=0.6)
        if not near or node is None:
            return False
        self.tree = _with(self.tree, path, Node(near[0], node.place))
        self.respelt.append(spot.path)
        self.unsure.add(str(path[0]))
        return True

    def _in_place(self, kind: str, spot: Spot) -> bool:
        """Put something in the place of a wrong number, or of what is missing; False if nothing can stand there."""
        path = spot.path
        if kind == "missing":
            if self.tree.find(path) is not None:  # under another name, by now
                return True
            stand_in = target_of(self.tree, path) if path[-1] == "target" else STAND_INS.get(str(path[-1]))
            if stand_in is None or len(path) == 1 or "target" in path[:-1]:
                return False
            self.unsure.add(str(path[0]))
            self._set(path, from_python(stand_in, self.tree.locate(path)))
            return True
        edit = _edit(kind, spot, self.tree)
        if edit is None:
            return False
        self.unsure.add(str(path[0]))
        self._set(*edit)
        return True

    def _part(self, path: Path, *, is_key: bool) -> None:
        """Leave out the part of the document that a fault is in, or all of its section."""
        found: Part | None = part_of(self.tree, path)
        if found is None or (is_key and len(path) == len(found.path) and found.stand_in is not None):
            self._lose(str(path[0]))
            return
        self.unsure.add(str(path[0]))
        self.replaced.append(found.path)
        self.changed += found.uncertain
        old, place = self.tree.find(found.path) or Node(None), self.tree.locate(found.path)
        kept = [name for name in found.keep if (child := old.child(name)) is not None and child.value is not None]
        if found.stand_in is None or not kept:
            self._set(found.path, None if found.stand_in is None else from_python(found.stand_in, place))
            return
        node = from_python(found.stand_in, place)
        for name in kept:
            node = node.with_value(name, old.child(name) or Node(None), old.keys.get(name))
        self.tree = _with(self.tree, found.path, node)
        names = [*(old.value if isinstance(old.value, dict) else ()), *found.stand_in]
        self.changed += [(*found.path, name) for name in names if name not in kept]


def _below(path: Path, other: Path) -> bool:
    return path[: len(other)] == other


def _edit(kind: str, spot: Spot, tree: Node) -> tuple[Path, Node | None] | None:
    """Return the path to set (or, with None, to remove) for one wrong value; None if nothing can stand in for it."""
    path = spot.path
    left_out = kind in _TEXTUAL and path[-1:] and path[-1] in _OPTIONAL_TEXTS
    if not (kind in _NUMERIC or left_out) or spot.is_key:
        return None
    for index in range(len(path) - 1, -1, -1):
        if path[index] in _DISTRIBUTIONS and len(path) - index <= 4 and path[index - 1] not in _NAMED:
            return path[: index + 1], Node("1s", tree.locate(path))
    if isinstance(spot.node.value if spot.node is not None else None, dict):
        return None
    stand_in = STAND_INS.get(str(path[-1]))
    return path, Node(stand_in, tree.locate(path)) if isinstance(stand_in, (str, int)) and len(path) > 1 else None


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
