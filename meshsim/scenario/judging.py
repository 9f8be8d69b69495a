"""Everything that is wrong with a document, in one pass: each check is made as far as what it asks for is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from meshsim.errors import Problem
from meshsim.scenario import changes
from meshsim.scenario.checks import NAME_CHECKS, NUMBER_CHECKS, Check, Finding, apart, findings, told
from meshsim.scenario.checks.changed import changed_configurations_hold
from meshsim.scenario.checks.routed import routed_calls_come_to_an_end
from meshsim.scenario.entries import with_entries
from meshsim.scenario.istio import IstioResources
from meshsim.scenario.partial import NotKnownError, emptied, obliging, without
from meshsim.scenario.problems import Verdict, in_order
from meshsim.scenario.schema import Document


class Judging:
    """A document that is judged.

    Parameters
    ----------
    verdict
        What its schema says; it has a document.
    unread
        Whether resources may be missing in it, which cannot be read.
    """

    def __init__(self, verdict: Verdict, *, unread: bool = False) -> None:
        assert verdict.document is not None  # noqa: S101 (for the type checker)
        self.verdict = verdict
        whole = without(verdict.document, verdict.lost)
        known = without(whole, {"istio"} if unread else ())
        self.resources, self.wrong = self._read(known, whole)
        #: The document, with what Istio's resources put behind its services; without what is lost.
        self.document = _with_entries(known, self.resources)
        #: Warnings of configurations that changes make.
        self.changed: list[str] = []

    def problems(
        self, checks: Sequence[Check] = (), planes: changes.PlanesOf | None = None, asked: Sequence[Check] = ()
    ) -> tuple[list[Problem], list[Problem]]:
        """Return what is wrong, and what is probably not meant, in the order of the file.

        Parameters
        ----------
        checks, planes, asked
            As for `meshsim.scenario.load`.
        """
        verdict, document = self.verdict, self.document
        numbers = without(document, verdict.unsure)
        named, counted = list(findings(document, NAME_CHECKS)), list(findings(numbers, NUMBER_CHECKS))
        miscounted = _faulty(counted)
        results = list(findings(obliging(document, verdict.unsure | miscounted), asked))
        sound = without(numbers, miscounted | _faulty(named))
        routed = [] if self.wrong else [partial(routed_calls_come_to_an_end, resources=self.resources)]
        deep = list(findings(sound, [*checks, *routed]))
        found = apart([*named, *counted, *results, *deep], verdict.changed)
        problems, warnings = told(found, verdict.root.locate)
        problems += self.wrong
        if not self.wrong and not any(not finding.warning for finding in deep):
            problems += self._changed(sound, planes)
        return in_order([*verdict.problems, *problems]), in_order(warnings)

    def _read(self, document: Document, whole: Document) -> tuple[IstioResources, list[Problem]]:
        """Return what the resources of the first configuration say, and what is wrong with those of all.

        Where not all is known that they are read with, what is wrong with those that can be read is still told.
        """
        try:
            return self._said(document)
        except NotKnownError:
            return IstioResources(), self._said(emptied(whole))[1]

    def _said(self, document: Document) -> tuple[IstioResources, list[Problem]]:
        root = self.verdict.root
        resources, wrong = changes.read(document, root, changes.resource_paths(document, []))
        return resources, [*wrong, *changes.problems(document, root)]

    def _changed(self, document: Document, planes: changes.PlanesOf | None) -> list[Problem]:
        try:
            problems, self.changed = changed_configurations_hold(document, self.verdict.root, self.resources, planes)
        except NotKnownError:
            return []
        return problems


def _faulty(found: Iterable[Finding]) -> set[str]:
    """Return the sections in which something is wrong."""
    return {str(finding.path[0]) for finding in found if not finding.warning}


def _with_entries(document: Document, resources: IstioResources) -> Document:
    try:
        return with_entries(document, resources)
    except NotKnownError:
        return document
