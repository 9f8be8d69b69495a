"""Distributions of durations, sampled by inverting one uniform (gamma: by rejection with more of them)."""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane.draws import DEMAND, normal, uniforms
from meshsim.dataplane.jit import jit
from meshsim.scenario.fields import Constant, Empirical, Exponential, Gamma, Lognormal

CONSTANT, EXPONENTIAL, LOGNORMAL, GAMMA, EMPIRICAL, REPLAYED = range(6)

_NUMBER = np.uint64(0xFFFFFFFF)

AnyDistribution = Constant | Exponential | Lognormal | Gamma | Empirical


def lower(distribution: AnyDistribution) -> tuple[int, float, float, list[float]]:
    """Return the kind, its two parameters and the sorted samples (seconds) of a scenario's distribution."""
    match distribution:
        case Constant(constant=value):
            return CONSTANT, value, 0.0, []
        case Exponential(exponential=mean):
            return EXPONENTIAL, mean, 0.0, []
        case Lognormal(lognormal=percentiles):
            return LOGNORMAL, percentiles.p50, percentiles.sigma, []
        case Gamma(gamma=shape):
            return GAMMA, 1.0 / shape.cv**2, shape.mean * shape.cv**2, []
        case Empirical(empirical=values):
            return EMPIRICAL, 0.0, 0.0, sorted(values)


@jit
def sample(w, index, u, request, path, salt):
    """Return a duration in seconds for the uniform ``u``; the identity feeds the draws that gamma needs besides."""
    distribution = w.distributions[index]
    kind = distribution.kind
    if kind == CONSTANT:
        return distribution.a
    if kind == EXPONENTIAL:
        return -math.log(u) * distribution.a
    if kind == LOGNORMAL:
        if distribution.b == 0.0:
            return distribution.a
        return distribution.a * math.exp(distribution.b * normal(u))
    if kind == EMPIRICAL:
        at = u * (distribution.count - 1)
        low = int(at)
        first = w.samples[distribution.first + low]
        if distribution.count == 1:
            return first
        return first + (at - low) * (w.samples[distribution.first + low + 1] - first)
    if kind == REPLAYED:  # one value for each request of a source, in their order
        return w.samples[distribution.first + int(request & _NUMBER) % distribution.count]
    return distribution.b * standard_gamma(w.keys, distribution.a, u, request, path, salt)


@jit
def standard_gamma(keys, shape, u, request, path, salt):
    """Return a gamma variate of this shape and scale 1 (Marsaglia and Tsang, 2000); ``u`` serves shapes below 1."""
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    attempt = 1
    while True:
        u1, u2, _, _ = uniforms(keys, DEMAND, request, path, np.uint64(salt), np.uint64(attempt))
        x = normal(u1)
        v = 1.0 + c * x
        v = v * v * v
        if v > 0.0 and math.log(u2) < 0.5 * x * x + d - d * v + d * math.log(v):
            break
        attempt += 1
    return d * v * u ** (1.0 / shape) if shape < 1.0 else d * v
