"""When the load of a scenario is on, and when what it meets is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from meshsim.scenario.happenings import happenings
from meshsim.scenario.schema import Document, Sample, SampleWindow, TimelineEvent
from meshsim.scenario.selectors import matches

#: Starts and ends, seconds, in order of time; none meets another.
Spans: TypeAlias = tuple[tuple[float, float], ...]

#: More windows than these are taken for a mistake; the checks of a scenario see to it that there are no more.
MOST_WINDOWS = 1_000


def windows(document: Document) -> Spans | None:
    """Return when users' requests count, in seconds; None for all the time.

    Windows that meet are one. None begins before the end of the warm-up, and none ends after the run.

    Parameters
    ----------
    document
        The scenario.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> down = dict(event="cluster_down", start="1h", duration="30m", target={"cluster": "eu-1"})
    >>> day = {**EXAMPLE, "duration": "24h", "timeline": [down]}
    >>> windows(Document.model_validate({**day, "sample": {"windows": [{"at": "6h", "duration": "1m"}]}}))
    ((3540.0, 3900.0), (5340.0, 5700.0), (21600.0, 21660.0))
    >>> windows(Document.model_validate(EXAMPLE)) is None
    True
    """
    if document.sample is None:
        return None
    wanted = [*_given(document.sample, document.duration), *_around(document, document.sample)]
    return _merged(wanted, document.warm_up, document.duration)


def loaded(document: Document) -> Spans | None:
    """Return when the load is on: in the windows and the lead-in before each, in seconds; None for all the time.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> sampled = {"windows": [{"at": "1m", "duration": "30s"}, {"at": "2m", "duration": "30s"}], "lead_in": "10s"}
    >>> loaded(Document.model_validate({**EXAMPLE, "sample": sampled}))
    ((50.0, 90.0), (110.0, 150.0))
    """
    counted = windows(document)
    if counted is None or document.sample is None:
        return None
    return _merged(((start - document.sample.lead_in, end) for start, end in counted), 0.0, document.duration)


def seconds(spans: Spans, start: float, end: float) -> float:
    """Return how many seconds between two times lie in the spans.

    Examples
    --------
    >>> seconds(((0.0, 10.0), (20.0, 30.0)), 5.0, 22.0)
    7.0
    """
    return sum(max(min(last, end) - max(first, start), 0.0) for first, last in spans)


def within(spans: Spans, start: float, end: float) -> Spans:
    """Return the parts of spans between two times.

    Examples
    --------
    >>> within(((0.0, 10.0), (20.0, 30.0)), 5.0, 20.0)
    ((5.0, 10.0),)
    """
    parts = ((max(first, start), min(last, end)) for first, last in spans)
    return tuple((first, last) for first, last in parts if first < last)


def starts(window: SampleWindow, end: float) -> Iterator[float]:
    """Yield when a window begins before the end of a run, each from the first, so that nothing adds up."""
    number, at = 0, window.at
    while at < end and number <= MOST_WINDOWS:
        yield at
        if window.every is None:
            return
        number += 1
        at = window.at + number * window.every


def is_meant(event: TimelineEvent, pattern: str) -> bool:
    """Return whether ``around_events.events`` means an event, by its name or its kind.

    Examples
    --------
    >>> from meshsim.scenario.schema import Rollout, Target
    >>> is_meant(Rollout(event="rollout", name="of the cart", start="10s", target=Target()), "roll*")
    True
    """
    return matches(pattern, event.event) or (event.name is not None and matches(pattern, event.name))


def _given(sample: Sample, end: float) -> Iterator[tuple[float, float]]:
    for window in sample.windows:
        for at in starts(window, end):
            yield at, at + window.duration


def _around(document: Document, sample: Sample) -> Iterator[tuple[float, float]]:
    around = sample.around_events
    if around is None:
        return
    for happening in happenings(document):
        if any(is_meant(happening.event, pattern) for pattern in around.events):
            for moment in (happening.start, happening.end):
                if moment is not None:
                    yield moment - around.before, moment + around.after


def _merged(spans: Iterable[tuple[float, float]], least: float, most: float) -> Spans:
    """Return the union of spans, clipped."""
    found: list[tuple[float, float]] = []
    for start, end in sorted((max(start, least), min(end, most)) for start, end in spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)
