"""Where something breaks: what was looked at, and the answer in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class State(Enum):
    """What the replications of a point say."""

    FINE = "fine"
    BROKEN = "broken"
    OPEN = "undecided"


class Look(NamedTuple):
    """A point that was looked at.

    Parameters
    ----------
    value
        Of the field, as it is written.
    number
        The same without unit.
    state
        What its replications say.
    mean, half_width, n
        Of the metric, with the longer side of the interval that decided; nan without one.
    low, high
        The interval's ends; of shares near all or nothing the exact ones.
    same
        Whether every replication has the same value.
    events
        How many events a rate rests on; nan for what is none.
    requests_needed
        Of a percentile: requests that a replication needs, where one of them has fewer, so that it is undecided.
    missing, never
        Replications of these n that have no value; and those of them in which it never ended.
    """

    value: str
    number: float
    state: State
    mean: float
    half_width: float
    n: int
    low: float = math.nan
    high: float = math.nan
    same: bool = False
    events: float = math.nan
    requests_needed: int = 0
    missing: int = 0
    never: int = 0


@dataclass(frozen=True, slots=True)
class Breaking:
    """Where one deployment breaks.

    Parameters
    ----------
    deployment
        Its name.
    looks
        Every point that was looked at, in order of the value.
    close
        Whether the ends of the answer are as close as was wanted.
    """

    deployment: str
    looks: tuple[Look, ...]
    close: bool = True

    @property
    def rises(self) -> bool:
        """Whether it is the higher values that break, as of a load; else the lower ones do, as of replicas."""
        return self.looks[0].state is not State.BROKEN and self.looks[-1].state is not State.FINE

    @property
    def fine(self) -> Look | None:
        """The last point that is surely fine before the break."""
        return self._last(State.FINE)

    @property
    def broken(self) -> Look | None:
        """The first point that is surely broken."""
        return self._last(State.BROKEN)

    def _last(self, state: State) -> Look | None:
        own = [look for look in self.looks if look.state is state]
        if not own:
            return None
        return own[-1] if (state is State.FINE) == self.rises else own[0]

    @property
    def inside(self) -> bool:
        """Whether the breaking point is inside the range."""
        return self.fine is not None and self.broken is not None

    def __str__(self) -> str:
        """Return the answer in words."""
        few = [look.requests_needed for look in self.looks if look.requests_needed]
        if not few:
            return self._answer()
        where = f"{len(few)} of {len(self.looks)} points"
        return f"{self._answer()}; too few requests at {where}: {max(few):,} in each replication are needed"

    def _answer(self) -> str:
        low, high = self.looks[0].value, self.looks[-1].value
        states = {look.state for look in self.looks}
        if self.fine is not None and self.broken is not None:
            between = sorted((self.fine, self.broken), key=lambda look: look.number)
            words = f"between {between[0].value} and {between[1].value}"
            return words + ("" if self.close else ": closer than that, the replications do not tell")
        if states == {State.FINE}:
            return f"does not break from {low} to {high}"
        if states == {State.BROKEN}:
            return f"is broken everywhere from {low} to {high}"
        if self.broken is not None:
            broken = self.broken.value
            where = f"breaks at {broken} or before it" if self.rises else f"is surely broken up to {broken}"
            return f"{where}; nowhere from {low} to {high} is it surely fine"
        if self.fine is not None:
            where = f"up to {self.fine.value}" if self.rises else f"from {self.fine.value} on"
            return f"is surely fine {where}; nowhere from {low} to {high} is it surely broken"
        return f"the replications do not tell anywhere from {low} to {high}"
