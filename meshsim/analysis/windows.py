"""What of a run is known only in the time windows of ``sample``: what depends on load."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.analysis.phases import phases
from meshsim.scenario.checks import Check, Finding
from meshsim.scenario.schema import Document

#: How the names of metrics begin that depend on load.
OF_LOAD = (
    "requests",
    "success_rate",
    "errors",
    "latency_",
    "cross_region_",
    "call",
    "attempts_per_call",
    "residency_",
    "utilisation",
    "sidecar_utilisation",
    "ingress_utilisation",
    "gateway_utilisation",
    "cost_cross_",
)


def needs_load(metric: str) -> bool:
    """Return whether a metric is known only where there is load.

    Examples
    --------
    >>> needs_load("errors:UH"), needs_load("latency_p99"), needs_load("stale_share")
    (True, True, False)
    """
    return metric.startswith(OF_LOAD)


def unsampled(document: Document, metric: str, phase: str) -> str:
    """Return why a metric will have no value in a phase; empty if it may have one.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> down = dict(event="cluster_down", start="1m", duration="1m", target={"cluster": "eu-1"})
    >>> around = {"before": "10s", "after": "0s"}
    >>> sampled = Document.model_validate({**EXAMPLE, "timeline": [down], "sample": {"around_events": around}})
    >>> unsampled(sampled, "success_rate", "after")
    "success_rate needs load, and no window of sample lies in the phase 'after'"
    """
    if document.sample is None or not needs_load(metric):
        return ""
    if any(span.name == phase and not span.counted for span in phases(document)):
        return f"{metric} needs load, and no window of sample lies in the phase '{phase}'"
    return ""


def expected_phases_are_sampled(document: Document) -> Iterator[Finding]:
    """Find expectations of phases in which nothing will be observed."""
    for index, expected in enumerate(document.expect):
        if said := unsampled(document, expected.metric, expected.phase):
            yield Finding(("expect", index, "phase"), f"{said}: it will not hold", warning=True)


#: Every check of this room, for `meshsim.scenario.load`.
CHECKS: tuple[Check, ...] = (expected_phases_are_sampled,)
