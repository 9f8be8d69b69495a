"""Checks of what a scenario expects: of deployments, phases and flows that there are."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.errors import did_you_mean
from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.schema import Document
from meshsim.scenario.selectors import matches

#: Phases that results are divided into, and the whole of what is measured.
PHASES = ("before", "during", "after", "all")
#: Flows that metrics are given for: all requests or calls, and calls by how far they went.
FLOWS = ("all", "local", "cross-zone", "cross-region")


def expectations_are_of_something(document: Document) -> Iterator[Finding]:
    """Yield expectations of deployments, phases or flows that do not exist.

    Whether there is such a metric is for the analysis to say, which knows them.
    """
    known = [*document.deployments, *(document.what_if.variants if document.what_if is not None else ())]
    for index, expected in enumerate(document.expect):
        path = ("expect", index)
        if not any(matches(expected.deployment, name) for name in known):
            nearest = did_you_mean(expected.deployment, known)
            yield Finding((*path, "deployment"), f"{expected.deployment!r} matches no deployment{nearest}")
        if expected.phase not in PHASES:
            yield unknown((*path, "phase"), "phase", expected.phase, PHASES)
        elif expected.phase != "all" and not document.timeline:
            message = f"there is no phase '{expected.phase}' without a timeline; leave it out to look at the whole run"
            yield Finding((*path, "phase"), message)
        if expected.flow not in FLOWS:
            yield unknown((*path, "flow"), "flow", expected.flow, FLOWS)
