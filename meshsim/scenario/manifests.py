"""Istio resources inline or named by file, in ``istio:``, changes of configuration and variants, as plain lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from meshsim.errors import Problem, ScenarioError
from meshsim.scenario.istio.fields_services import traffic_distribution
from meshsim.scenario.reader import asked_by, beside, read_documents
from meshsim.scenario.tree import Node, Place, from_python, printable

_MAX_LISTS = 10
#: Stands for what cannot be read, so that nobody takes its list for empty.
UNREAD = {"kind": "unread"}


def with_resources(root: Node) -> tuple[Node, list[str], list[Problem]]:
    """Return a document whose lists of resources hold resources only, and warnings and problems of what was left out.

    Parameters
    ----------
    root
        The document; an item of ``istio:``, or of ``apply:`` of a ``config_change`` or variant, is a resource, a
        ``kind: List`` of them, or ``{path: file.yaml}`` relative to the file it stands in.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule"}
    >>> other = {"apiVersion": "v1", "kind": "Service"}
    >>> root, warnings, problems = with_resources(from_python({"istio": [rule, {"kind": "List", "items": [other]}]}))
    >>> len(root.plain()["istio"]), warnings
    (1, ['istio: 1 object is not of Istio and has no effect in meshsim: Service'])
    """
    collector = _Collector()
    root = collector.with_list(root, "istio", "")
    timeline = root.child("timeline")
    if timeline is not None and isinstance(timeline.value, list):
        events = [
            collector.with_list(event, "apply", f"timeline[{index}].") if _changes_configuration(event) else event
            for index, event in enumerate(timeline.value)
        ]
        root = root.with_value("timeline", replace(timeline, value=events), root.locate(("timeline",)))
    root = _with_variants(root, collector)
    return root, list(collector.warnings()), collector.problems


def _with_variants(root: Node, collector: _Collector) -> Node:
    """Return a document with the resources of its variants (`what_if`) as lists of resources."""
    what_if = root.child("what_if")
    variants = what_if.child("variants") if what_if is not None else None
    if what_if is None or variants is None or not isinstance(variants.value, dict):
        return root
    for name, variant in variants.value.items():
        changed = collector.with_list(variant, "apply", f"what_if.variants.{name}.")
        variants = variants.with_value(name, changed, variants.keys.get(name))
    what_if = what_if.with_value("variants", variants, what_if.keys.get("variants"))
    return root.with_value("what_if", what_if, root.keys.get("what_if"))


def _changes_configuration(event: Node) -> bool:
    kind = event.child("event")
    return kind is not None and kind.value == "config_change"


def _prefers_near(item: Node, version: str, kind: str) -> bool:
    """Tell whether an object is a Service that says which endpoints its clients prefer."""
    return (version, kind) == ("v1", "Service") and bool(traffic_distribution(item.plain())[1])


class _Collector:
    """Gathers the resources of a list, and everything that is wrong with those of all lists."""

    def __init__(self) -> None:
        self.kept: list[Node] = []
        self.where = ""
        self.skipped: dict[str, Counter[str]] = {}
        self.problems: list[Problem] = []
        self.empty: list[str] = []

    def with_list(self, owner: Node, key: str, prefix: str) -> Node:
        """Return a mapping with the list at a key as a list of resources."""
        node = owner.child(key)
        if node is None or not isinstance(node.value, list):
            return owner
        self.kept, self.where = [], prefix + key
        for index, item in enumerate(node.value):
            self.add(item, f"{self.where}[{index}]")
        return owner.with_value(key, Node(self.kept, node.place), owner.locate((key,)))

    def add(self, item: Node, path: str) -> None:
        """Add an item of a list: a file's name or an object."""
        name = item.child("path")
        if name is None:
            self.add_object(item, path, self.where)
        elif not isinstance(name.value, str) or not isinstance(item.value, dict) or len(item.value) > 1:
            self.refuse("write {path: file.yaml}, with nothing beside it", path, item.place)
        else:
            file = beside(item.place, name.value)
            try:
                documents = read_documents(file)
            except ScenarioError as error:
                self.problems += [asked_by(problem, path, item.place) for problem in error.problems]
                self.kept.append(from_python(UNREAD))
                return
            if not documents:
                message = f"{printable(name.value)} is empty and has no effect"
                self.empty.append(str(Problem(message, path, item.place.file, item.place.line)))
            for document in documents:
                self.add_object(document, "", file)

    def add_object(self, item: Node, path: str, source: str, depth: int = 0) -> None:
        """Add a Kubernetes object, or every object of a list of them."""
        version, kind, items = item.child("apiVersion"), item.child("kind"), item.child("items")
        if kind is not None and kind.value == "List" and depth < _MAX_LISTS:
            for index, inner in enumerate(items.value if items is not None and isinstance(items.value, list) else []):
                self.add_object(inner, f"{path}.items[{index}]".lstrip("."), source, depth + 1)
        elif version is None or kind is None or not isinstance(version.value, str) or not isinstance(kind.value, str):
            self.refuse("is not a Kubernetes object: apiVersion: and kind: are wanted", path, item.place)
        elif version.value.split("/")[0].endswith("istio.io") or _prefers_near(item, version.value, kind.value):
            self.kept.append(item)
        else:
            self.skipped.setdefault(source, Counter())[printable(kind.value[:60])] += 1

    def refuse(self, message: str, path: str, place: Place) -> None:
        self.kept.append(from_python(UNREAD))
        self.problems.append(Problem(message, path, place.file, place.line))

    def warnings(self) -> Iterator[str]:
        """Yield one sentence for each file with nothing in it, and for each source with objects of others."""
        yield from self.empty
        for file, kinds in self.skipped.items():
            source = printable(file)
            total = sum(kinds.values())
            objects = "1 object is not of Istio and has" if total == 1 else f"{total} objects are not of Istio and have"
            listed = ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in kinds.items())
            yield f"{source}: {objects} no effect in meshsim: {listed}"
