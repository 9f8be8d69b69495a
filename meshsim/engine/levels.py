"""Numbers that step up and down while time passes, with their time integrals since the last reading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Level:
    """A number that steps up and down, with its time integral since the last reading.

    Examples
    --------
    >>> ready = Level()
    >>> ready.add(2, 1.0)
    >>> ready.take(4.0), ready.take(5.0)
    (6.0, 2.0)
    """

    __slots__ = ("_area", "_positive", "_since", "value")

    def __init__(self) -> None:
        self.value = 0
        self._area = 0.0
        self._positive = 0.0
        self._since = 0.0

    def add(self, change: int, now: float) -> None:
        """Step at a time (seconds)."""
        span = now - self._since
        self._area += self.value * span
        self._positive += span if self.value > 0 else 0.0
        self._since = now
        self.value += change

    def take(self, now: float) -> float:
        """Return the integral since the last call."""
        self.add(0, now)
        area, self._area = self._area, 0.0
        return area

    def take_positive(self, now: float) -> float:
        """Return for how long it was above zero since the last call, seconds."""
        self.add(0, now)
        seconds, self._positive = self._positive, 0.0
        return seconds


class Levels:
    """Such numbers of many things, read all at once.

    Parameters
    ----------
    places
        Where each thing's number stands; things that step for the first time are added. Several `Levels` may have the
        same.

    Examples
    --------
    >>> places = {}
    >>> ready, blocked = Levels(places), Levels(places)
    >>> ready.add(("eu-1", "web"), 2, 1.0)
    >>> blocked.add(("us-1", "web"), 1, 3.0)
    >>> list(places), ready.take(4.0).tolist(), blocked.take(4.0).tolist()
    ([('eu-1', 'web'), ('us-1', 'web')], [6.0, 0.0], [0.0, 1.0])
    """

    def __init__(self, places: dict[tuple[str, str], int]) -> None:
        self.places = places
        self.value, self._area, self._since = np.zeros((3, 0))

    def add(self, thing: tuple[str, str], change: int, now: float) -> None:
        """Let the number of a thing step at a time (seconds)."""
        place = self.places.setdefault(thing, len(self.places))
        if place >= len(self.value):
            self._grow()
        self._area[place] += self.value[place] * (now - self._since[place])
        self._since[place] = now
        self.value[place] += change

    def take(self, now: float) -> NDArray[np.float64]:
        """Return the integrals since the last call, in the order of places."""
        if len(self.places) > len(self.value):
            self._grow()
        area = self._area + self.value * (now - self._since)
        self._area[:] = 0.0
        self._since[:] = now
        return area[: len(self.places)]

    def _grow(self) -> None:
        """Make room for every place there is, and as many again."""
        more = 2 * len(self.places) - len(self.value)
        self.value, self._area, self._since = (
            np.concatenate([numbers, np.zeros(more)]) for numbers in (self.value, self._area, self._since)
        )
