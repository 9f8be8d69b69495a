"""The network between zones: latencies from the table, and the faults installed on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane import state
from meshsim.mesh.links import Links
from meshsim.mesh.placement import Zone
from meshsim.scenario.fields import Percentiles


@dataclass(frozen=True, slots=True, eq=False)
class LinkFault:
    """Something wrong with links.

    Parameters
    ----------
    pairs
        From which zone to which; the way back is another pair.
    delay
        Added to every message, seconds.
    jitter
        Most that is added besides, seconds: uniform from zero, drawn for each message.
    factor
        The latency is multiplied by it.
    loss
        Part of the messages that are lost.
    cut
        Whether nothing passes.
    """

    pairs: tuple[tuple[int, int], ...]
    delay: float = 0.0
    jitter: float = 0.0
    factor: float = 1.0
    loss: float = 0.0
    cut: bool = False


@dataclass(slots=True)
class Network:
    """Link records of the data plane and the faults on them.

    A record is always computed anew from the table and the faults installed, so that removing a fault leaves no trace.
    """

    zones: list[Zone]
    records: NDArray[np.void]
    faults: list[LinkFault] = field(default_factory=list)

    @classmethod
    def of(cls, links: Links, zones: list[Zone]) -> Network:
        """Lay out the records of all pairs of zones, shape ``(zones, zones)``.

        Nothing comes over a link without a figure: there is one only where no message is sent (`missing_links`).
        """
        records = state.records("links", (len(zones), len(zones)))
        for a, (region, zone) in enumerate(zones):
            for b, (other_region, other_zone) in enumerate(zones):
                trip = links.between((region, zone), (other_region, other_zone))
                link = records[a, b]
                link.half = trip.p50 / 2 if trip else math.inf
                if trip and trip.p50 > 0:
                    link.sigma = float(np.log(trip.p99 / trip.p50)) / Percentiles.Z["p99"]
                link.factor = 1.0
                same_region = region == other_region
                link.distance = state.LOCAL if a == b else state.CROSS_ZONE if same_region else state.CROSS_REGION
        return cls(zones, records)

    def install(self, fault: LinkFault) -> None:
        """Put a fault on its links."""
        self.faults.append(fault)
        self._compute(fault.pairs)

    def remove(self, fault: LinkFault) -> None:
        """Take a fault off its links."""
        self.faults.remove(fault)
        self._compute(fault.pairs)

    def _compute(self, pairs: tuple[tuple[int, int], ...]) -> None:
        for a, b in pairs:
            here = [fault for fault in self.faults if (a, b) in fault.pairs]
            link = self.records[a, b]
            link.delay = sum(fault.delay for fault in here)
            link.jitter = sum(fault.jitter for fault in here)
            link.factor = float(np.prod([fault.factor for fault in here]))
            link.loss = 1.0 - float(np.prod([1.0 - fault.loss for fault in here]))
            link.cut = sum(fault.cut for fault in here)

    def open(self, a: int, b: int) -> bool:
        """Return whether anything passes from one zone to another."""
        link = self.records.view(np.ndarray)[a, b]  # many times faster to read than a record with attributes
        return bool(link["cut"] == 0 and link["loss"] < 1.0)

    def one_way(self, a: int, b: int) -> float:
        """Return the median latency from one zone to another now, in seconds (control messages)."""
        link = self.records.view(np.ndarray)[a, b]
        return float(link["half"] * link["factor"] + link["delay"] + 0.5 * link["jitter"])
