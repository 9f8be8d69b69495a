"""The requests of a point: when they arrive and how much work they are, the same for every arm.

Draws come from PCG64 seeded with ``[seed, 0]``: first the gaps between arrivals, then the work multipliers. Both are
rounded to six decimals, so that a fingerprint of them can be compared between machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Second word of the seed; other words are for draws that are not part of the workload.
SALT = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """Arrival times in seconds and work multipliers, shape ``(n,)`` each."""

    times: NDArray[np.float64]
    work: NDArray[np.float64]

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any arrival or multiplier."""
        return hashlib.sha256(self.times.tobytes() + self.work.tobytes()).hexdigest()[:16]


def workload(load: Mapping[str, Any], seed: int) -> Workload:
    """Draw the requests of a load.

    >>> drawn = workload({"arrivals": "paced", "rate": 10, "n": 3}, seed=1)
    >>> drawn.times.tolist(), drawn.work.tolist()
    ([0.05, 0.15, 0.25], [1.0, 1.0, 1.0])
    """
    rng = np.random.default_rng([seed, SALT])
    times = _arrivals(load, rng)
    kind = load.get("work", "const")
    if kind not in {"const", "exp"}:
        raise ValueError(f"work {kind!r} is not known (one of const, exp)")
    work = rng.exponential(1.0, len(times)) if kind == "exp" else np.ones(len(times))
    return Workload(np.round(times, 6), np.round(work, 6))


def _arrivals(load: Mapping[str, Any], rng: np.random.Generator) -> NDArray[np.float64]:
    kind = load["arrivals"]
    if kind == "burst":
        return np.repeat(np.arange(load["bursts"]) * float(load["every_s"]), load["size"])
    count = int(load["n"]) if "n" in load else round(load["duration"] * load["rate"])
    if kind == "open":
        return np.asarray(rng.exponential(1.0 / load["rate"], count).cumsum())
    if kind != "paced":
        raise ValueError(f"arrivals {kind!r} are not known (one of burst, open, paced)")
    number = np.arange(count)
    return (number + 0.5) / load["rate"] + number // load.get("phase_n", count) * load.get("phase_gap", 0.0)


def headers(load: Mapping[str, Any], number: int) -> dict[str, str]:
    """Return the headers of the ``number``-th request: fixed, taken in turn, or a key of so many.

    >>> headers({"headers": {"x-pod": ["0", "1"], "x-key": {"keys": 3}, "a": "b"}}, 4)
    {'x-pod': '0', 'x-key': 'key-1', 'a': 'b'}
    """
    chosen = {}
    for name, value in (load.get("headers") or {}).items():
        if isinstance(value, Mapping):
            chosen[name] = f"key-{number % value['keys']}"
        else:
            chosen[name] = str(value[number % len(value)] if isinstance(value, list) else value)
    return chosen
