"""Random streams of SimPy processes, keyed by the component's name, so that adding one never moves another's."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from meshsim.scenario.fields import Constant, Empirical, Exponential, Gamma, Lognormal


class Streams:
    """Generators by name for one seed and replication."""

    def __init__(self, seed: int, replication: int) -> None:
        self._key = f"{seed}/{replication}"

    def of(self, name: str) -> np.random.Generator:
        """Return a generator at the start of the stream of this name (Philox, 128-bit key).

        Examples
        --------
        >>> float(Streams(1, 0).of("churn").random()) == float(Streams(1, 0).of("churn").random())
        True
        """
        digest = hashlib.sha256(f"{self._key}/{name}".encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))

    def duration(self, name: str, distribution: Constant | Exponential | Lognormal | Gamma | Empirical) -> float:
        """Return the first duration of the stream of this name, in seconds."""
        random = self.of(name)
        match distribution:
            case Constant(constant=value):
                return value
            case Exponential(exponential=mean):
                return float(random.exponential(mean))
            case Lognormal(lognormal=percentiles):
                return float(percentiles.p50 * math.exp(percentiles.sigma * random.standard_normal()))
            case Gamma(gamma=shape):
                return float(random.gamma(1.0 / shape.cv**2, shape.mean * shape.cv**2))
            case Empirical(empirical=values):
                return float(np.quantile(values, random.random()))
