"""Counter-based random draws: Philox4x64-10, keyed by what a draw is for and counted by whom it is for.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC'11). A draw never depends on how many were
made before it, so every deployment model sees the same arrivals, demands and link jitter (common random numbers).
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from meshsim.dataplane.jit import jit

# Purposes. Exogenous draws never share a purpose with decisions.
ARRIVAL, NETWORK, DEMAND, FAILURE, SCRIPT, DECISION, LOSS, ROUTING, HASH_KEY = range(9)
PURPOSES = 9

# What decisions besides an attempt's picks, which count from 0, are numbered with; GATEWAY_PICK counts on by the tries
# of a connection, whose identity it has.
CONNECTION, GATEWAY_PICK, EJECTION, THREAD, HEALTHY_TICK = 100, 101, 102, 103, 104

_32 = np.uint64(32)
_12 = np.uint64(12)
_M0 = np.uint64(0xD2E7470EE14C6C93)
_M1 = np.uint64(0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10


def round_keys(seed: int, replication: int) -> np.ndarray:
    """Return the Philox keys of every purpose and round, shape ``(PURPOSES, 10, 2)``."""
    mask = (1 << 64) - 1
    keys = np.zeros((PURPOSES, ROUNDS, 2), dtype=np.uint64)
    for purpose in range(PURPOSES):
        first, second = seed & mask, (replication << 16 | purpose) & mask
        for number in range(ROUNDS):
            keys[purpose, number] = (first, second)
            first, second = (first + _WEYL[0]) & mask, (second + _WEYL[1]) & mask
    return keys


@intrinsic
def _wide_product(context, a, b):  # noqa: ARG001 (Numba's signature)
    """Return the high and the low word of a product, as one machine instruction."""

    def build(context, builder, signature, words):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(word, wide) for word in words))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return context.make_tuple(builder, signature.return_type, (high, builder.trunc(product, ir.IntType(64))))

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), build


def _long_product(a, b):
    """Return the same with Python's integers, where nothing is compiled."""
    product = int(a) * int(b)
    return np.uint64(product >> 64), np.uint64(product & 0xFFFFFFFFFFFFFFFF)


_product = _long_product if config.DISABLE_JIT else _wide_product


@jit
def multiply(a, b):
    """Return the high and the low word of the 128-bit product of two words."""
    return _product(a, b)


@jit
def philox(keys, purpose, c0, c1, c2, c3):
    """Return four random words for a counter of four words under the round keys of a purpose."""
    for number in range(ROUNDS):
        high0, low0 = multiply(_M0, c0)
        high1, low1 = multiply(_M1, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ keys[purpose, number, 0], low1, high0 ^ c3 ^ keys[purpose, number, 1], low0
    return c0, c1, c2, c3


@jit
def uniform(word):
    """Return a float in the open interval (0, 1): 52 bits of the word, shifted by half a step, so that none is 1."""
    return (np.float64(word >> _12) + 0.5) * (1.0 / 4503599627370496.0)


@jit
def uniforms(keys, purpose, c0, c1, c2, c3):
    """Return four uniforms in (0, 1) for one identity."""
    a, b, c, d = philox(keys, purpose, c0, c1, np.uint64(c2), np.uint64(c3))
    return uniform(a), uniform(b), uniform(c), uniform(d)


@jit
def child(path, step, iteration):
    """Return the identity of a call: its caller's identity, the step of the script and the repetition."""
    high, low = multiply(path ^ np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93))
    word = high ^ low ^ (np.uint64(step) << _32) ^ np.uint64(iteration)
    high, low = multiply(word ^ np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB))
    return high ^ low


@jit
def normal(u):
    """Return the standard normal quantile of ``u`` in (0, 1), to about 1e-16 relative (Wichura, AS 241, 1988)."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = (
            ((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r + 6.7265770927008700853e4) * r
               + 4.5921953931549871457e4) * r + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
             + 1.3314166789178437745e2) * r + 3.3871328727963666080e0
        )  # fmt: skip
        bottom = (
            ((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r + 3.9307895800092710610e4) * r
               + 2.1213794301586595867e4) * r + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
             + 4.2313330701600911252e1) * r + 1.0
        )  # fmt: skip
        return q * top / bottom
    r = math.sqrt(-math.log(u if q < 0.0 else 1.0 - u))
    if r <= 5.0:
        r -= 1.6
        top = (
            ((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r
               + 1.27045825245236838258e0) * r + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
             + 4.63033784615654529590e0) * r + 1.42343711074968357734e0
        )  # fmt: skip
        bottom = (
            ((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r
               + 1.48103976427480074590e-1) * r + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
             + 2.05319162663775882187e0) * r + 1.0
        )  # fmt: skip
    else:
        r -= 5.0
        top = (
            ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r
               + 2.65321895265761230930e-2) * r + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
             + 5.46378491116411436990e0) * r + 6.65790464350110377720e0
        )  # fmt: skip
        bottom = (
            ((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r
               + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
             + 5.99832206555887937690e-1) * r + 1.0
        )  # fmt: skip
    value = top / bottom
    return -value if q < 0.0 else value
