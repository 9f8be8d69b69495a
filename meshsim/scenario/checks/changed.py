"""Checks of the configurations that changes make, as wholes: calls that end, subsets that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from meshsim.errors import Problem
from meshsim.scenario import changes
from meshsim.scenario.checks import Finding, check
from meshsim.scenario.checks.routed import routed_calls_come_to_an_end
from meshsim.scenario.istio import IstioResources
from meshsim.scenario.istio.destination_rules import chosen
from meshsim.scenario.istio.routes import HttpRule
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Node, format_path


def changed_configurations_hold(
    document: Document, root: Node, base: IstioResources, planes: changes.PlanesOf | None = None
) -> tuple[list[Problem], list[str]]:
    """Return what is wrong with the configurations that changes make, and warnings, each once.

    Parameters
    ----------
    document
        A document that passes all other checks, and whose resources are valid one by one.
    root
        Its tree, for files and lines.
    base
        What its resources say before any change.
    planes
        Gives the control planes of a deployment; None = one in each, which takes every change.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> changed_configurations_hold(Document.model_validate(EXAMPLE), Node({}), IstioResources())
    ([], [])
    """
    plans = [changes.planned(document, None if planes is None else planes(document, name))
             for name in document.deployments]  # fmt: skip
    found = changes.configurations(document, plans)
    problems: dict[Problem, None] = {}
    warnings: dict[str, None] = {}
    rings: set[str] = set()
    routed = [base.virtual_services]
    missing = set(_missing_subsets(document, base))
    for paths, events in zip(found.paths[1:], found.events[1:], strict=True):
        resources, _ = changes.read(document, root, paths)
        when = _when(document, events)
        if resources.virtual_services not in routed:  # they alone say where calls go
            routed.append(resources.virtual_services)
            endless = partial(_rings, resources=resources, when=when, known=rings)
            problems |= dict.fromkeys(check(document, root.locate, [endless])[0])
        warnings |= dict.fromkeys(resources.warnings)
        for gap in _missing_subsets(document, resources):
            if gap not in missing:
                missing.add(gap)
                warnings[f"{gap}, {when} (503 NC)"] = None
    return list(problems), [warning for warning in warnings if warning not in base.warnings]


def _when(document: Document, events: Sequence[int]) -> str:
    """Return in words which changes are in force."""
    names = [f"'{document.timeline[index].name}'" if document.timeline[index].name else format_path(("timeline", index))
             for index in events]  # fmt: skip
    return f"once {' and '.join(names)} {'is' if len(names) == 1 else 'are'} applied"


def _rings(document: Document, resources: IstioResources, when: str, known: set[str]) -> Iterator[Finding]:
    for finding in routed_calls_come_to_an_end(document, resources):
        if finding.message not in known:
            known.add(finding.message)
            yield replace(finding, message=f"{finding.message}, {when}")


def _missing_subsets(document: Document, resources: IstioResources) -> Iterator[str]:
    """Yield where rules send requests to a subset that no DestinationRule has; lints see to the first configuration."""
    for one in resources.virtual_services:
        for rule in one.http:
            yield from _missing(document, resources, rule)


def _missing(document: Document, resources: IstioResources, rule: HttpRule) -> Iterator[str]:
    targets = [to for to, _ in rule.destinations] + [copy.destination for copy in rule.copies]
    for to in targets:
        if not to.service or not to.subset:
            continue
        service = resources.identity(to.service, document.services[to.service].namespace)
        own = chosen(resources.destination_rules, service, resources.root_namespace)
        known = [subset.name for subset in own.subsets] if own else []
        if to.subset not in known:
            has = f"which has {', '.join(known)} only" if known else "which has no subsets"
            yield f"{rule.source} {rule.number} sends requests to subset '{to.subset}' of {to.service}, {has}"
