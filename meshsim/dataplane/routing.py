"""Routes: injected faults, the destination by weight, mirrors, and the key that consistent hashing looks at (§3.5)."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane.draws import HASH_KEY, ROUTING, uniforms
from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import DI, INGRESS, NONE, SOURCE_IP


@jit
def faults(w, frame):
    """Return how long a call is delayed (seconds) and whether it is aborted; the two are drawn independently."""
    route = w.routes[frame.route]
    u_delay, u_abort, _, _ = uniforms(w.keys, ROUTING, frame.request, frame.path, np.uint64(0), np.uint64(0))
    pause = 0.0
    if u_delay < route.delay_fraction:
        pause = route.delay
        frame.flag |= DI
    return pause, u_abort < route.abort_fraction


@jit
def target(w, frame, route):
    """Return the target that a call's route sends it to, by weight; retries stay with it."""
    first = route.first_target
    if route.targets == 1:
        return first
    u, _, _, _ = uniforms(w.keys, ROUTING, frame.request, frame.path, np.uint64(1), np.uint64(0))
    last = first + route.targets - 1
    while first < last and w.targets[first].cumulative <= u:
        first += 1
    return first


@jit
def is_mirrored(w, frame, target):
    """Return whether a call is copied to a mirror."""
    fraction = w.targets[target].cumulative
    if fraction >= 1.0:
        return True
    u, _, _, _ = uniforms(w.keys, ROUTING, frame.request, frame.path, np.uint64(2), np.uint64(target))
    return u < fraction


@jit
def hash_key(w, frame, policy):
    """Return whether a request has what a consistent hash looks at (1 or 0), and its hash."""
    if policy.hash_kind == SOURCE_IP:
        if w.proxies[frame.proxy].kind == INGRESS:
            return 1, frame.request
        return 1, w.proxies[frame.proxy].seed
    row = w.variant_keys[frame.variant, policy.hash_name]
    if row == NONE:
        return 0, np.uint64(0)
    key = w.hash_keys[row]
    if key.count == 0:
        return 1, key.fixed
    if key.count < 0:
        return 1, frame.request
    u, _, _, _ = uniforms(w.keys, HASH_KEY, frame.request, np.uint64(row), np.uint64(0), np.uint64(0))
    if key.first == NONE:
        return 1, key.fixed + np.uint64(int(u * key.count))
    low, high = key.first, key.first + key.count - 1
    while low < high:
        middle = (low + high) // 2
        if w.samples[middle] < u:
            low = middle + 1
        else:
            high = middle
    return 1, key.fixed + np.uint64(low - key.first)
