"""A scenario: a validated document, its Istio policies, and everything a user should be told about them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshsim.errors import Problem, ScenarioError, did_you_mean
from meshsim.scenario import changes, own_balancers
from meshsim.scenario.bundled import bundled
from meshsim.scenario.checks import Check
from meshsim.scenario.entries import with_entries
from meshsim.scenario.istio import IstioResources
from meshsim.scenario.judging import Judging
from meshsim.scenario.manifests import with_resources
from meshsim.scenario.overrides import applied
from meshsim.scenario.problems import in_order, validate
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
    asked: Sequence[Check] = (),
) -> Scenario:
    """Return the scenario of a file, a bundled name or a dict.

    Parameters
    ----------
    source
        Path of a file, name of a bundled scenario (a file of that name wins), or a dict of the same shape.
    overrides
        Changes as ``path=value``, such as ``load.web.rate=20/s``.
    checks
        More checks to make of what passes this room's own.
    planes
        Gives the control planes of a deployment, which say what configurations there can be; None = one in each, which
        takes every change of configuration.
    asked
        Checks of what is asked of the results, which are made whatever else is wrong.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> load(EXAMPLE, ["load.web.rate=20/s"]).document.load.entries["web"].rate
    20.0
    """
    return judged(opened(source, overrides), checks, planes, asked)


@dataclass(frozen=True, slots=True)
class Opened:
    """A scenario that has been read and not yet judged.

    Parameters
    ----------
    root
        The file as a tree, with everything it includes.
    file
        As messages name it.
    warnings, problems
        Of reading it.
    unread
        Whether resources may be missing in it, which cannot be read.
    """

    root: Node
    file: str = ""
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unread: bool = False


def opened(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Opened:
    """Return a scenario as it is read.

    Parameters
    ----------
    source, overrides
        As for `load`.

    Raises
    ------
    ScenarioError
        If there is nothing that can be judged.

    Examples
    --------
    >>> [str(problem) for problem in opened(EXAMPLE, ["load.wep.rate=20/s"]).problems]
    ["--set: load.wep.rate: unknown name 'wep'; did you mean 'web'? (one of web)"]
    """
    file = "" if isinstance(source, Mapping) else _find(source)
    root = with_includes(from_python(source)) if isinstance(source, Mapping) else read(file)
    root, problems = applied(root, overrides)
    root, skipped, unread = with_resources(root)
    return Opened(root, file, tuple(skipped), (*problems, *unread), bool(unread))


def judged(
    given: Opened,
    checks: Sequence[Check] = (),
    planes: changes.PlanesOf | None = None,
    asked: Sequence[Check] = (),
) -> Scenario:
    """Return the scenario that has been read.

    Parameters
    ----------
    given
        The scenario.
    checks, planes, asked
        As for `load`.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> judged(opened(EXAMPLE)) == load(EXAMPLE)
    True
    """
    verdict = validate(given.root)
    if verdict.document is None:
        raise ScenarioError(in_order([*given.problems, *verdict.problems]))
    judging = Judging(verdict, unread=given.unread)
    problems, warnings = judging.problems(checks, planes, asked)
    if problems or given.problems or given.unread:
        raise ScenarioError(in_order([*given.problems, *problems]))
    document, resources = judging.document, judging.resources
    told = (*given.warnings, *(str(warning) for warning in warnings), *resources.warnings)
    told = (*told, *changes.without_effect(document, given.root), *judging.changed)
    return Scenario(document, resources, given.file, told, digest(document), given.root)


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


def document_of(values: object) -> Document:
    """Return the document that `resolved` made these values of, with what Istio's resources put behind its services.

    Unlike `load` it checks nothing beyond the schema, so a run stays readable that a later version would refuse, and
    one with a load balancer that nobody has registered here.

    Parameters
    ----------
    values
        Such as the manifest of a run has.

    Raises
    ------
    pydantic.ValidationError
        If they do not fit the schema.

    Examples
    --------
    >>> document_of(resolved(load(EXAMPLE).document)) == load(EXAMPLE).document
    True
    """
    document = Document.model_validate(values)
    resources, _ = changes.read(document, Node({}), changes.resource_paths(document, []))
    return with_entries(document, resources)


def digest(document: Document) -> str:
    """Return the SHA-256 of what a document says, as 64 hexadecimal digits.

    The order of names is kept: the first cluster is the primary by default. The order of fields is not, as a dump has
    the schema's order; nor that of fields in Istio's resources, which have no order. Of load balancers of the user's
    own it is what they do that counts.

    Examples
    --------
    >>> digest(load(EXAMPLE).document) == load(EXAMPLE).hash
    True
    """
    canonical = resolved(document)
    own = own_balancers.used([canonical[part] for part in ("istio", "mesh_config", "timeline")])
    canonical |= {"own load balancers": own} if own else {}
    for part in ("istio", "mesh_config"):
        canonical[part] = json.dumps(canonical[part], sort_keys=True)
    for event in canonical["timeline"]:
        if "apply" in event:
            event["apply"] = json.dumps(event["apply"], sort_keys=True)
    return hashlib.sha256(json.dumps(canonical, ensure_ascii=False).encode()).hexdigest()
