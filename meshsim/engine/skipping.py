"""Users whom nobody waits for: a source that draws its arrivals while the load is off, and sends nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshsim.dataplane import state
from meshsim.dataplane.draws import ARRIVAL, uniforms
from meshsim.dataplane.jit import jit
from meshsim.dataplane.plane import DataPlane


@jit
def pass_by(  # noqa: PLR0917 (compiled: no keywords)
    keys: Any,
    number: np.uint64,
    made: np.uint64,
    due: float,
    rate: float,
    until: float,
    poisson: bool,  # noqa: FBT001
) -> tuple[np.uint64, float]:
    """Return the count of arrivals, and the time of the next, after all those before ``until`` have been let go.

    The same draws in the same order as where they are sent (`meshsim.dataplane.users.on_arrival`), so that the same
    users come at the same times afterwards, to the last bit.
    """
    zero = np.uint64(0)
    while due < until:
        gap = 1.0
        if poisson:
            u, _, _, _ = uniforms(keys, ARRIVAL, number | made, zero, zero, zero)  # type: ignore[no-untyped-call]
            gap = -math.log(u)
        made += np.uint64(1)
        due += gap / rate
    return made, due


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
