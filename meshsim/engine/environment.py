"""The clock: SimPy's environment with events at absolute times, and the process that advances the data plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from heapq import heappush
from typing import Any

import simpy

from meshsim.dataplane.plane import DataPlane

#: After SimPy's URGENT (0) and NORMAL (1): control events at an instant go before request events at it.
LAST = 2
#: Who waits for something to be so looks again after this many seconds at first, after as many as the second at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0

Process = Generator[simpy.Event, Any, Any]
#: Takes back what a fault did.
Undo = Callable[[], None]


class Environment(simpy.Environment):
    """SimPy's environment with two additions."""

    def at(self, time: float, priority: int = 1) -> simpy.Event:
        """Return an event that happens at an absolute time (seconds).

        SimPy schedules by delays; adding a delay to the present can miss an absolute time by a rounding error, and
        then a request would overtake a control event.
        """
        event = simpy.Event(self)
        event._ok, event._value = True, None  # noqa: SLF001 (what SimPy's own Timeout does)
        entry: Any = (time, priority, next(self._eid), event)
        heappush(self._queue, entry)
        return event

    def until(self, condition: Callable[[], bool]) -> Process:
        """Wait until something is so; the pauses between two looks grow."""
        pause = FIRST_PAUSE
        while not condition():
            yield self.timeout(pause)
            pause = min(2.0 * pause, LONGEST_PAUSE)


def advance_freely(env: Environment, plane: DataPlane, end: float) -> Process:
    """Handle all request events up to SimPy's next event in one go, then wait for it; until ``end`` seconds."""
    while True:
        following = min(env.peek(), end)
        plane.advance(following)
        if following >= end:
            return
        yield env.at(following, LAST)


def advance_stepwise(env: Environment, plane: DataPlane, end: float) -> Process:
    """Handle each request event as an event on SimPy's own calendar; same code, same numbers, more time."""
    while plane.next_event < end or env.peek() < end:
        time = min(plane.next_event, env.peek(), end)
        yield env.at(time, LAST)
        if plane.next_event <= time < end:
            plane.advance(math.nextafter(time, math.inf), budget=1)
