"""A scenario: a validated document, its Istio policies, and everything a user should be told about them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from meshsim.errors import Problem, ScenarioError, did_you_mean
from meshsim.scenario import changes
from meshsim.scenario.bundled import bundled
from meshsim.scenario.checks import NAME_CHECKS, Check, check
from meshsim.scenario.checks.changed import changed_configurations_hold
from meshsim.scenario.checks.routed import routed_calls_come_to_an_end
from meshsim.scenario.entries import with_entries
from meshsim.scenario.istio import IstioResources
from meshsim.scenario.manifests import with_resources
from meshsim.scenario.overrides import apply
from meshsim.scenario.problems import Verdict, in_order, validate
from meshsim.scenario.reader import read, with_includes
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Node, from_python


@dataclass(frozen=True, slots=True)
class Scenario:
    """What to simulate. Two scenarios are equal if they say the same, whatever files they came from.

    Parameters
    ----------
    document
        The validated file, Istio resources inline.
    resources
        The policies that the Istio resources give each service.
    file
        The file as it was named; empty for a dict.
    warnings
        What is allowed and probably not meant, one sentence each.
    hash
        SHA-256 of everything that can change a result (64 hexadecimal digits).
    root
        The file as a tree, for the files and lines of what the resources of other configurations say.
    """

    document: Document
    resources: IstioResources = field(compare=False, repr=False)
    file: str = field(default="", compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    hash: str = ""
    root: Node = field(default=Node({}), compare=False, repr=False)

    def resolved(self) -> dict[str, Any]:
        """Return the whole document with every default, for JSON; `load` makes an equal scenario of it.

        Examples
        --------
        >>> load(EXAMPLE).resolved()["services"]["web"]["replicas"]
        2
        """
        return resolved(self.document)


#: The smallest useful scenario, for examples.
EXAMPLE: Mapping[str, Any] = {
    "name": "example",
    "regions": {"eu": {"zones": ["a", "b"]}},
    "clusters": {"eu-1": {"region": "eu"}},
    "services": {"web": {"replicas": 2, "endpoints": {"GET /": {"script": [{"compute": "5ms"}]}}}},
    "load": {"web": {"rate": "10/s"}},
}


def load(
    source: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    checks: Sequence[Check] = (),
    planes: changes.PlanesOf | None = None,
) -> Scenario:
    """Return the scenario of a file, a bundled name or a dict.

    Parameters
    ----------
    source
        Path of a file, name of a bundled scenario (a file of that name wins), or a dict of the same shape.
    overrides
        Changes as ``path=value``, such as ``load.web.rate=20/s``.
    checks
        More checks to make of a document that passes this room's own.
    planes
        Gives the control planes of a deployment, which say what configurations there can be; None = one in each, which
        takes every change of configuration.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> load(EXAMPLE, ["load.web.rate=20/s"]).document.load.entries["web"].rate
    20.0
    """
    file = "" if isinstance(source, Mapping) else _find(source)
    root = with_includes(from_python(source)) if isinstance(source, Mapping) else read(file)
    root, skipped = with_resources(apply(root, overrides))
    return judged(root, file, skipped, checks, planes)


def judged(
    root: Node,
    file: str = "",
    skipped: Sequence[str] = (),
    checks: Sequence[Check] = (),
    planes: changes.PlanesOf | None = None,
) -> Scenario:
    """Return the scenario of a tree that has everything it includes in it.

    Parameters
    ----------
    root
        The document as a tree.
    file
        As it was named.
    skipped
        Warnings from reading it.
    checks, planes
        As for `load`.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> judged(from_python(EXAMPLE)) == load(EXAMPLE)
    True
    """
    verdict = validate(root)
    if verdict.document is None or verdict.problems:
        raise ScenarioError(in_order([*verdict.problems, *_more(verdict)]))
    resources, wrong = _resources(verdict.document, root)
    document = with_entries(verdict.document, resources)
    problems, warnings = check(document, root.locate)
    if not problems:  # the others may count on names that exist
        routed = partial(routed_calls_come_to_an_end, resources=resources)
        problems, more = check(document, root.locate, [*checks, *([] if wrong else [routed])])
        warnings = [*warnings, *more]
    changed: list[str] = []
    if not problems and not wrong:
        problems, changed = changed_configurations_hold(document, root, resources, planes)
    if problems or wrong:
        raise ScenarioError(in_order([*problems, *wrong]))
    told = (*skipped, *(str(warning) for warning in in_order(warnings)), *resources.warnings)
    told = (*told, *changes.without_effect(document, root), *changed)
    return Scenario(document, resources, file, told, digest(document), root)


def _more(verdict: Verdict) -> list[Problem]:
    """Return the problems that can be seen besides those of the schema."""
    if verdict.document is None:
        return []
    resources, wrong = _resources(verdict.document, verdict.root)
    document = with_entries(verdict.document, resources)
    found, _ = check(document, verdict.root.locate, NAME_CHECKS, verdict.changed)
    return [*found, *wrong]


def _find(source: object) -> str:
    """Return the path of a file or bundled scenario."""
    if not isinstance(source, (str, os.PathLike)):
        message = f"a scenario is a file name, a bundled name or a dict, not a {type(source).__name__}"
        raise TypeError(message)
    name = os.fspath(source)
    known = bundled()
    if os.path.lexists(name) if "\0" not in name else False:
        return name
    if name in known:
        return _short(known[name])
    if not name or "\0" in name or Path(name).name != name or Path(name).suffix:
        return name
    message = f"no such file, and no bundled scenario of that name{did_you_mean(name, known)}"
    raise ScenarioError([Problem(message, "", name)])


def _short(path: Path) -> str:
    """Return a path as a user would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def resolved(document: Document) -> dict[str, Any]:
    """Return a document as JSON-able values that validate to an equal document.

    Examples
    --------
    >>> resolved(load(EXAMPLE).document)["duration"]
    '5m'
    """
    return document.model_dump(mode="json", by_alias=True)


def digest(document: Document) -> str:
    """Return the SHA-256 of what a document says, as 64 hexadecimal digits.

    The order of names is kept: the first cluster is the primary by default. The order of fields is not, as a dump has
    the schema's order; nor that of fields in Istio's resources, which have no order.

    Examples
    --------
    >>> digest(load(EXAMPLE).document) == load(EXAMPLE).hash
    True
    """
    canonical = resolved(document)
    for part in ("istio", "mesh_config"):
        canonical[part] = json.dumps(canonical[part], sort_keys=True)
    for event in canonical["timeline"]:
        if "apply" in event:
            event["apply"] = json.dumps(event["apply"], sort_keys=True)
    return hashlib.sha256(json.dumps(canonical, ensure_ascii=False).encode()).hexdigest()


def _resources(document: Document, root: Node) -> tuple[IstioResources, list[Problem]]:
    """Return what the resources of the first configuration say, and what is wrong with those of all."""
    resources, wrong = changes.read(document, root, changes.resource_paths(document, []))
    return resources, [*wrong, *changes.problems(document, root)]
