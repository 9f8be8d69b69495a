"""The timeline in time: every event as often as it happens within the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshsim.scenario.schema import Document, TimelineEvent

#: More happenings than these are taken for a mistake; the checks of a scenario see to it that there are no more.
MOST_HAPPENINGS = 100_000


@dataclass(frozen=True, slots=True)
class Happening:
    """One time that an event happens.

    Parameters
    ----------
    number
        Counts the happenings of a run from 0.
    event
        What happens.
    start
        When it begins, seconds.
    end
        When its effect is undone, seconds; None for what only has a start (a rollout, a change for good). It may lie
        after the end of the run.
    name
        The user's name for it, or its kind in words; " (2)" and so on after those of later repetitions.
    index
        Place of the event in the timeline.
    repetition
        Which time it is, from 1.
    """

    number: int
    event: TimelineEvent
    start: float
    end: float | None
    name: str
    index: int = 0
    repetition: int = 1


def happenings(document: Document) -> list[Happening]:
    """Return what happens in a scenario, repetitions included, in the order of the file.

    Only what begins within the run is there. Repetitions of an event stand together, one after the other.

    Parameters
    ----------
    document
        The scenario, checked: the number of repetitions is bounded there.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> target, again = {"cluster": "eu-1"}, {"every": "2m"}
    >>> down = dict(event="api_server_down", start="1m", duration="10s", target=target, repeat=again)
    >>> found = happenings(Document.model_validate({**EXAMPLE, "timeline": [down]}))
    >>> [(one.number, one.start, one.end, one.name) for one in found]
    [(0, 60.0, 70.0, 'api server down'), (1, 180.0, 190.0, 'api server down (2)')]
    """
    found: list[Happening] = []
    for index, event in enumerate(document.timeline):
        lasting: float | None = getattr(event, "duration", None)
        name = event.name or event.event.replace("_", " ")
        for repetition, start in enumerate(_starts(event, document.duration), start=1):
            end = None if lasting is None else start + lasting
            shown = name if repetition == 1 else f"{name} ({repetition})"
            found.append(Happening(len(found), event, start, end, shown, index, repetition))
    return found


def times(event: TimelineEvent, end: float) -> int:
    """Return how often an event begins before the end of a run, seconds, without listing every time.

    Examples
    --------
    >>> from meshsim.scenario.schema import Repeat, Rollout, Target
    >>> times(Rollout(event="rollout", start="10s", target=Target(), repeat=Repeat(every="10s")), 100.0)
    9
    """
    if event.start >= end:
        return 0
    if event.repeat is None:
        return 1
    fitting = int((end - event.start) / event.repeat.every) + 1
    while fitting > 1 and event.start + (fitting - 1) * event.repeat.every >= end:
        fitting -= 1
    return fitting if event.repeat.times is None else min(fitting, event.repeat.times)


def can_be_listed(document: Document) -> bool:
    """Tell whether so little happens in a scenario that `happenings` may list it; if not, checks say so.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> down = dict(event="cluster_down", start="1m", duration="1us", target={}, repeat={"every": "1ms"})
    >>> can_be_listed(Document.model_validate({**EXAMPLE, "timeline": [down]}))
    False
    """
    return sum(times(event, document.duration) for event in document.timeline) <= MOST_HAPPENINGS


def _starts(event: TimelineEvent, end: float) -> Iterator[float]:
    """Yield when an event begins; each from the first, so that nothing adds up over thousands of repetitions."""
    every = 0.0 if event.repeat is None else event.repeat.every
    for repetition in range(times(event, end)):
        yield event.start + repetition * every
