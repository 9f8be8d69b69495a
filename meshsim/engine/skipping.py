"""Users whom nobody waits for: a source that draws its arrivals while the load is off, and sends nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meshsim.dataplane import state
from meshsim.dataplane.plane import DataPlane
from meshsim.dataplane.users import pass_by


@dataclass(slots=True, eq=False)
class Skipped:
    """A source of the data plane while the load is off.

    Parameters
    ----------
    plane
        Has the source.
    source
        Its number.
    rate
        What its rate would be, actions per second.
    due
        When its next action would begin, seconds; means nothing without a rate.
    """

    plane: DataPlane
    source: int
    rate: float = 0.0
    due: float = math.inf

    @classmethod
    def stop(cls, plane: DataPlane, source: int, now: float) -> Skipped:
        """Return a source that sends nothing from now on (seconds)."""
        row = plane.world.sources[source]
        skipped = cls(plane, source, float(row.rate), float(row.due))
        plane.set_rate(source, 0.0, now)
        return skipped

    def set_rate(self, rate: float, now: float) -> None:
        """Change the rate, as `DataPlane.set_rate` does."""
        if rate == self.rate:
            return
        row = self.plane.world.sources[self.source]
        if self.rate > 0.0:
            self._pass_by(now)
            row.left = (self.due - now) * self.rate
        self.rate = rate
        if rate > 0.0:
            self.due = now + float(row.left) / rate

    def resume(self, now: float) -> None:
        """Let the source send again, from the action on that is due now."""
        if self.rate > 0.0:
            self._pass_by(now)
            self.plane.world.sources[self.source].left = (self.due - now) * self.rate
            self.plane.set_rate(self.source, self.rate, now)

    def _pass_by(self, until: float) -> None:
        world = self.plane.world
        row = world.sources[self.source]
        poisson = bool(row.kind == state.POISSON)
        number, made = np.uint64(row.number), np.uint64(row.made)
        made, self.due = pass_by(world.keys, number, made, self.due, self.rate, until, poisson)
        row.made = made
