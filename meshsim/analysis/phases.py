"""The phases of a timeline: before, during and after what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshsim.scenario.happenings import happenings
from meshsim.scenario.sampling import Spans, windows, within
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

#: Kinds of event that make the phase "during": what goes wrong, as against what operators do every day. A secret that
#: is lost or rotated and gateways that move count as going wrong, since nobody does them for their own sake; a change
#: of configuration or of the root, and upgrades, are meant to go well.
FAULTS = (
    "control_plane_down",
    "control_plane_crash_loop",
    "control_plane_slow",
    "certificate_authority_down",
    "root_expired",
    "api_server_down",
    "remote_secret",
    "cluster_down",
    "zone_outage",
    "region_outage",
    "gateway_down",
    "gateway_address_change",
    "link_slow",
    "link_lossy",
    "partition",
    "service_slow",
    "service_failing",
    "traffic_surge",
)


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of simulated time, seconds; ``end`` does not belong to it.

    Parameters
    ----------
    name
        Of the phase.
    start, end
        From when to when.
    windows
        The parts of it in which requests are counted; None for all of it, none at all where it is not sampled.
    """

    name: str
    start: float
    end: float
    windows: Spans | None = None

    @property
    def counted(self) -> float:
        """Seconds of it in which requests are counted."""
        return self.end - self.start if self.windows is None else sum(end - start for start, end in self.windows)


def phases(document: Document | Mapping[str, Any]) -> list[Phase]:
    """Return the phases of a scenario, in order; those that have no time in them are left out.

    *during* goes from the start of the first fault to the end of the last, repetitions included; without faults, of the
    other events (what has no end, such as a rollout or a change for good, lasts to the end of the run). *before* starts
    with the end of the warm-up, *after* ends with the run. Without any events there is one phase, *all*.

    Parameters
    ----------
    document
        A scenario, or the resolved scenario of a manifest.

    Examples
    --------
    >>> tiny = dict(name="x", regions={"eu": {}}, clusters={"c": {"region": "eu"}}, load={"web": {"rate": "1/s"}},
    ...             services={"web": {"endpoints": {"GET /": {}}}}, duration="100s", warm_up="10s")
    >>> phases(tiny)
    [Phase(name='all', start=10.0, end=100.0, windows=None)]
    >>> down = dict(event="cluster_down", start="40s", duration="20s", target={"cluster": "c"})
    >>> [(phase.name, phase.start, phase.end) for phase in phases({**tiny, "timeline": [down]})]
    [('before', 10.0, 40.0), ('during', 40.0, 60.0), ('after', 60.0, 100.0)]
    """
    scenario = document if isinstance(document, Document) else Document.model_validate(document)
    all_of_them = happenings(scenario)
    counted = windows(scenario)
    decisive = [happening for happening in all_of_them if happening.event.event in FAULTS] or all_of_them
    if not decisive:
        return [_phase("all", scenario.warm_up, scenario.duration, counted)]
    first = min(happening.start for happening in decisive)
    last = max(scenario.duration if happening.end is None else happening.end for happening in decisive)
    start, end = (min(max(edge, scenario.warm_up), scenario.duration) for edge in (first, last))
    spans = (("before", scenario.warm_up, start), ("during", start, end), ("after", end, scenario.duration))
    return [_phase(*span, counted) for span in spans if span[1] < span[2]]


def whole(spans: Sequence[Phase], name: str) -> Phase:
    """Return all phases as one.

    Examples
    --------
    >>> whole([Phase("before", 1.0, 2.0), Phase("during", 2.0, 4.0)], "all")
    Phase(name='all', start=1.0, end=4.0, windows=None)
    """
    return Phase(name, spans[0].start, spans[-1].end, counted_in(spans))


def counted_in(spans: Sequence[Phase]) -> Spans | None:
    """Return when requests are counted in some phases; None for all the time.

    Examples
    --------
    >>> counted_in([Phase("before", 1.0, 2.0, ()), Phase("during", 2.0, 4.0, ((2.5, 3.0),))])
    ((2.5, 3.0),)
    """
    if all(span.windows is None for span in spans):
        return None
    parts = (((span.start, span.end),) if span.windows is None else span.windows for span in spans)
    return tuple(window for part in parts for window in part)


def counted_at(times: ArrayLike, phase: Phase) -> NDArray[np.bool_]:
    """Return at which times (seconds) a phase counts requests: of a time bucket, the one in its middle.

    Examples
    --------
    >>> counted_at([1.0, 2.7, 3.0], Phase("during", 2.0, 4.0)).tolist()
    [False, True, True]
    >>> counted_at([1.0, 2.7, 3.0], Phase("during", 2.0, 4.0, ((2.5, 3.0),))).tolist()
    [False, True, False]
    """
    import numpy as np

    spans = ((phase.start, phase.end),) if phase.windows is None else phase.windows
    edges = np.array(spans, dtype=float).ravel()
    return np.asarray(np.searchsorted(edges, np.asarray(times, dtype=float), side="right") % 2 == 1)


def _phase(name: str, start: float, end: float, counted: Spans | None) -> Phase:
    return Phase(name, start, end, None if counted is None else within(counted, start, end))
