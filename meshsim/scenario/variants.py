"""Variants of a scenario (`what_if`): each as a scenario of its own, judged as a file would be."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshsim.errors import Problem, ScenarioError, did_you_mean, gathering
from meshsim.scenario import changes
from meshsim.scenario.checks import Check
from meshsim.scenario.checks.configuration import Key, format_key, key_of, not_there, parse_key
from meshsim.scenario.checks.finding import shortened
from meshsim.scenario.checks.what_if import SHARED, base_of, refusal
from meshsim.scenario.happenings import happenings
from meshsim.scenario.overrides import parse_path, put
from meshsim.scenario.problems import in_order, validate
from meshsim.scenario.scenario import Opened, Scenario, digest, judged, opened
from meshsim.scenario.schema import Document, WhatIfVariant
from meshsim.scenario.selectors import matches
from meshsim.scenario.tree import Node, Place, format_path, printable

#: Characters of a value in the words for a change.
_LONGEST = 60
#: What a file says of the comparison, and a variant does not.
_OF_THE_FILE = ("what_if", "expect", "decision")


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant.

    Parameters
    ----------
    name
        As the file calls it.
    scenario
        The file with its changes made, without `what_if` and what the file expects and decides.
    deployment
        Which deployment of it the variant is one of.
    changes
        What it changes, in words.
    """

    name: str
    scenario: Scenario
    deployment: str
    changes: tuple[str, ...]


def variants(
    scenario: Scenario, checks: Sequence[Check] = (), planes: changes.PlanesOf | None = None
) -> tuple[Variant, ...]:
    """Return the variants of a scenario, in the order of the file; none where it has none.

    Parameters
    ----------
    scenario
        Which has been checked itself.
    checks, planes
        As for `meshsim.scenario.load`.

    Raises
    ------
    ScenarioError
        With everything that is wrong with any of them, at its place in the file.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE, load
    >>> more = load({**EXAMPLE, "what_if": {"variants": {"third pod": {"set": {"services.web.replicas": 3}}}}})
    >>> [(one.name, one.scenario.document.services["web"].replicas, one.changes) for one in variants(more)]
    [('third pod', 3, ('set services.web.replicas to 3',))]
    """
    found, problems = _all(_Base(scenario.document, scenario.root, scenario.file), checks, planes)
    if problems:
        raise ScenarioError(in_order(problems))
    return found


def load_all(
    source: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    checks: Sequence[Check] = (),
    planes: changes.PlanesOf | None = None,
    asked: Sequence[Check] = (),
) -> tuple[Scenario, tuple[Variant, ...]]:
    """Return the scenario of a file, a bundled name or a dict, and its variants.

    Parameters
    ----------
    source, overrides, checks, planes, asked
        As for `meshsim.scenario.load`.

    Raises
    ------
    ScenarioError
        With everything that is wrong with the scenario or any of its variants.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> load_all(EXAMPLE)[1]
    ()
    """
    given, problems = opened(source, overrides), list[Problem]()
    with gathering(problems):
        scenario = judged(given, checks, planes, asked)
    if not problems:
        return scenario, variants(scenario, checks, planes)
    verdict = validate(given.root)
    if verdict.document is not None:
        known = frozenset(problems)
        base = _Base(verdict.document, given.root, given.file, known, verdict.lost, unread=given.unread)
        problems += _all(base, checks, planes)[1]
    raise ScenarioError(in_order(problems))


def alone(scenario: Scenario, found: Sequence[Variant], name: str) -> Scenario:
    """Return one variant as a scenario, to be run, swept or explained like any other.

    The deployment that it is a variant of comes first. It is held to what the file expects of the variant, and called
    after both.

    Parameters
    ----------
    scenario, found
        The file and its variants.
    name
        Which of them.

    Raises
    ------
    ScenarioError
        If there is no such variant.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE, load
    >>> more = load({**EXAMPLE, "what_if": {"variants": {"third pod": {"set": {"services.web.replicas": 3}}}}})
    >>> one = alone(more, variants(more), "third pod").document
    >>> one.name, one.services["web"].replicas
    ('example-third-pod', 3)
    """
    known = {one.name: one for one in found}
    if name not in known:
        message = f"unknown variant {shortened(name)}{did_you_mean(name, known)}"
        none = "the scenario has no variants: what_if is missing; see docs/what-if.md"
        raise ScenarioError([Problem(message if known else none, file="--variant")])
    one, base = known[name], scenario.document
    deployments = one.scenario.document.deployments
    about = base.what_if.variants[name].description if base.what_if is not None else ""
    changed: dict[str, Any] = {
        "name": f"{base.name}-{re.sub('[^A-Za-z0-9._-]+', '-', name).strip('-')}"[:100],
        "description": about or f"{name}: {', '.join(one.changes)}",
        "deployments": {one.deployment: deployments[one.deployment], **deployments},
        "decision": base.decision,
        "expect": [
            each.model_copy(update={"deployment": "*"}) for each in base.expect if matches(each.deployment, name)
        ],
    }
    document = one.scenario.document.model_copy(update=changed)
    return replace(one.scenario, document=document, hash=digest(document))


def warnings(scenario: Scenario, found: Sequence[Variant]) -> list[str]:
    """Return what is allowed in variants and probably not meant: what has no effect, and two that are the same.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE, load
    >>> same = load({**EXAMPLE, "what_if": {"variants": {"two pods": {"set": {"services.web.replicas": 2}}}}})
    >>> warnings(same, variants(same))
    ['what_if.variants.two pods: is the same as multi-primary: what it sets is so already']
    """
    told: list[str] = []
    base = base_of(scenario.document)
    first = {_said(scenario.document, base): base}
    for one in found:
        place, path = _place(scenario.root, one.name), ("what_if", "variants", one.name)
        same = first.setdefault(_said(one.scenario.document, base), one.name)
        if same != one.name:
            why = ": what it sets is so already" if same == base else ""
            message = f"is the same as {same}{why}"
            told.append(str(Problem(message, format_path(path), place.file, place.line)))
        told += [f"{words} (variant '{one.name}')" for words in one.scenario.warnings if words not in scenario.warnings]
    return told


def words(variant: WhatIfVariant) -> tuple[str, ...]:
    """Return what a variant changes, one change each.

    Examples
    --------
    >>> words(WhatIfVariant(set={"gateways.eu-1.replicas": 2}, delete=["DestinationRule/cart"]))
    ('delete DestinationRule/cart', 'set gateways.eu-1.replicas to 2')
    """
    keys = [key_of(resource) for resource in variant.apply]
    return (
        *(f"delete {printable(text)}" for text in variant.delete),
        *(f"apply {printable(format_key(key))}" for key in keys if key is not None),
        *(f"set {printable(path)} to {_shown(value)}" for path, value in variant.set_.items()),
    )


def _shown(value: object) -> str:
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace('"', ""))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _said(document: Document, base: str) -> str:
    """Return a digest of what a run of the base deployment depends on."""
    fields = {name: field for name, field in Document.model_fields.items() if name in _OF_THE_FILE}
    empty = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    return digest(document.model_copy(update={**empty, "deployments": {base: document.deployments[base]}}))


# --- making one -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Base:
    """A file whose variants are made.

    Parameters
    ----------
    document, root, file
        The file, perhaps mended.
    problems
        What is wrong with the file itself.
    lost
        Sections of it of which nothing is known.
    unread
        Whether resources may be missing in it, which cannot be read.
    """

    document: Document
    root: Node
    file: str
    problems: frozenset[Problem] = frozenset()
    lost: frozenset[str] = frozenset()
    unread: bool = False


def _all(
    base: _Base, checks: Sequence[Check], planes: changes.PlanesOf | None
) -> tuple[tuple[Variant, ...], list[Problem]]:
    """Return the variants that are whole, and what is wrong with the others."""
    found, problems = list[Variant](), list[Problem]()
    what_if = base.document.what_if
    for name, variant in what_if.variants.items() if what_if is not None else ():
        with gathering(problems):
            own = _variant(base, name, checks, planes)
            found.append(Variant(name, own, base_of(base.document), words(variant)))
    return tuple(found), problems


def _variant(base: _Base, name: str, checks: Sequence[Check], planes: changes.PlanesOf | None) -> Scenario:
    node = base.root.find(("what_if", "variants", name)) or Node({})
    root, problems = _changed(base, node)
    with gathering(problems):
        found = judged(Opened(root, base.file, unread=base.unread), checks, planes)
    problems = [problem for problem in problems if problem not in base.problems]
    if problems:
        own = frozenset(_places(node))
        raise ScenarioError([_of_variant(problem, base.root, name, own) for problem in problems])
    if base.problems:  # which it has, too, so that there is no scenario of it
        raise ScenarioError([])
    if wrong := _misfit(base.document, found.document):
        place = _place(base.root, name)
        path = format_path(("what_if", "variants", name))
        raise ScenarioError([Problem(wrong, path, place.file, place.line)])
    return found


def _changed(base: _Base, variant: Node) -> tuple[Node, list[Problem]]:
    """Return the tree of the file with the changes of a variant made, and what is wrong with those that cannot be."""
    root = _with_deployments(base)
    for name in _OF_THE_FILE:
        root = root.without(name)
    root, problems = _with_resources(root, variant, complete=not base.unread)
    settings = variant.child("set")
    inner = settings.value if settings is not None and isinstance(settings.value, dict) else {}
    for path, value in inner.items():
        if refusal(path, base_of(base.document)) or parse_path(path)[0] in base.lost:  # which the file is told
            continue
        place = settings.keys.get(path, value.place) if settings is not None else value.place
        try:
            root = put(root, parse_path(path), replace(value, place=place))
        except ScenarioError as error:
            problems += [replace(problem, file=place.file, line=place.line) for problem in error.problems]
    return root, problems


def _with_deployments(base: _Base) -> Node:
    """Return the file with deployments as a mapping, however they are written, so that paths lead into them."""
    given = base.root.child("deployments")
    if (given is not None and isinstance(given.value, dict)) or "deployments" in base.lost:
        return base.root
    place = given.place if given is not None else base.root.place
    names = list(base.document.deployments)
    mapping = Node({name: Node({}, place) for name in names}, place, dict.fromkeys(names, place))
    return base.root.with_value("deployments", mapping, place)


def _with_resources(root: Node, variant: Node, *, complete: bool) -> tuple[Node, list[Problem]]:
    """Return a document with resources deleted, and others in the place of their like or else at the end."""
    listed = root.child("istio")
    kept = list(listed.value) if listed is not None and isinstance(listed.value, list) else []
    known = [one for node in kept if (one := key_of(node.plain())) is not None]
    problems: list[Problem] = []
    for item in _items(variant, "delete"):
        key = parse_key(str(item.value))
        if complete and key is not None and key not in known:
            said = not_there(str(item.value), known)
            problems.append(Problem(said, "delete", item.place.file, item.place.line))
        kept = [node for node in kept if key_of(node.plain()) != key]
    for item in _items(variant, "apply"):
        kept = _with(kept, item, key_of(item.plain()))
    place = root.keys.get("istio", variant.place)
    return root.with_value("istio", Node(kept, listed.place if listed is not None else variant.place), place), problems


def _items(variant: Node, name: str) -> list[Node]:
    node = variant.child(name)
    return node.value if node is not None and isinstance(node.value, list) else []


def _with(kept: Sequence[Node], item: Node, key: Key | None) -> list[Node]:
    alike = [place for place, node in enumerate(kept) if key is not None and key_of(node.plain()) == key]
    changed = [*kept, item]
    if alike:
        changed[alike[-1]] = changed.pop()
    return [node for place, node in enumerate(changed) if place not in alike[:-1]]


# --- what is wrong with one ---------------------------------------------------------------------------------------


def _misfit(base: Document, variant: Document) -> str:
    """Return why results of a variant could not stand beside those of the base; empty if they can."""
    pairs: tuple[tuple[str, list[Any], list[Any]], ...] = (
        ("regions", list(base.regions), list(variant.regions)),
        ("clusters", _places_of(base), _places_of(variant)),
        ("deployments", list(base.deployments), list(variant.deployments)),
    )
    for kind, own, others in pairs:
        if own != others:
            return f"has other {kind} than the file; write a scenario of its own for that"
    shared = [name for name in SHARED if name not in _OF_THE_FILE and getattr(base, name) != getattr(variant, name)]
    if shared:
        return f"changes {shared[0]}, which is the same for all that is compared"
    if _times(base) != _times(variant):
        return "changes what happens when; all that is compared has the same phases (write a scenario of its own)"
    return ""


def _places_of(document: Document) -> list[tuple[str, str]]:
    return [(name, cluster.region) for name, cluster in document.clusters.items()]


def _times(document: Document) -> list[tuple[float, float, str]]:
    found = happenings(document)
    return sorted((one.start, -1.0 if one.end is None else one.end, one.event.event) for one in found)


def _of_variant(problem: Problem, root: Node, name: str, own: frozenset[Place]) -> Problem:
    """Return a problem at its place in the variant, or at the variant's name where it shows elsewhere in the file."""
    place = Place(problem.file, problem.line)
    if place not in own or not place.line:
        place = _place(root, name)
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return Problem(message, format_path(("what_if", "variants", name)), place.file, place.line)


def _place(root: Node, name: str) -> Place:
    return root.locate(("what_if", "variants", name))


def _places(node: Node) -> Iterator[Place]:
    yield node.place
    yield from node.keys.values()
    inner = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    for child in inner:
        yield from _places(child)
