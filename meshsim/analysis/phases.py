"""The phases of a timeline: before, during and after what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshsim.scenario.schema import Document

#: Kinds of event that make the phase "during": what goes wrong, as against what operators do every day.
FAULTS = (
    "control_plane_down",
    "cluster_down",
    "zone_outage",
    "region_outage",
    "gateway_down",
    "link_slow",
    "link_lossy",
    "partition",
    "service_slow",
    "service_failing",
    "traffic_surge",
)


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of simulated time, seconds; ``end`` does not belong to it."""

    name: str
    start: float
    end: float


def phases(document: Document | Mapping[str, Any]) -> list[Phase]:
    """Return the phases of a scenario, in order; those that have no time in them are left out.

    *during* goes from the start of the first fault to the end of the last; without faults, of the other events (a
    rollout, and a change of scale for good, last to the end of the run). *before* starts with the end of the warm-up,
    *after* ends with the run. Without any events there is one phase, *all*.

    Parameters
    ----------
    document
        A scenario, or the resolved scenario of a manifest.

    Examples
    --------
    >>> tiny = dict(name="x", regions={"eu": {}}, clusters={"c": {"region": "eu"}}, load={"web": {"rate": "1/s"}},
    ...             services={"web": {"endpoints": {"GET /": {}}}}, duration="100s", warm_up="10s")
    >>> phases(tiny)
    [Phase(name='all', start=10.0, end=100.0)]
    >>> down = dict(event="cluster_down", start="40s", duration="20s", target={"cluster": "c"})
    >>> [(phase.name, phase.start, phase.end) for phase in phases({**tiny, "timeline": [down]})]
    [('before', 10.0, 40.0), ('during', 40.0, 60.0), ('after', 60.0, 100.0)]
    """
    scenario = document if isinstance(document, Document) else Document.model_validate(document)
    faults = [event for event in scenario.timeline if event.event in FAULTS]
    decisive = faults or scenario.timeline
    if not decisive:
        return [Phase("all", scenario.warm_up, scenario.duration)]
    lengths = [getattr(event, "duration", None) for event in decisive]
    ends = [
        scenario.duration if length is None else event.start + length
        for event, length in zip(decisive, lengths, strict=True)
    ]
    start, end = (
        min(max(edge, scenario.warm_up), scenario.duration)
        for edge in (min(event.start for event in decisive), max(ends))
    )
    spans = (("before", scenario.warm_up, start), ("during", start, end), ("after", end, scenario.duration))
    return [Phase(*span) for span in spans if span[1] < span[2]]
