"""The arrays that a run begins with: those of the blueprint, and room for what the run makes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.dataplane import later, queues, state
from meshsim.dataplane.blueprint import Blueprint
from meshsim.dataplane.draws import round_keys
from meshsim.dataplane.state import NONE, RECORDS
from meshsim.results.tables import BINS, FLOWS

#: Most priorities an upstream can have: Istio's ranks 0 to 4 for failover, and room for failoverPriority.
PRIORITIES = 8
#: Events that there is room for at the beginning.
EVENTS = 1024
#: Rows of calls to begin with, a power of two.
CALLS = 512


def at_start(
    plan: Blueprint,
    links: NDArray[Any],
    *,
    clusters: int,
    entries: int,
    outcomes: int,
    seed: int,
    replication: int,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of the world by name, with room to begin with, and those of the blueprint.

    Parameters
    ----------
    plan, links, clusters, entries, seed, replication
        As of `meshsim.dataplane.plane.DataPlane`.
    outcomes
        How many outcomes are counted apart.
    """
    services, destinations = len(plan.services), len(plan.destinations)
    codes = np.zeros(600, dtype=np.int32)
    codes[plan.codes] = np.arange(len(plan.codes))
    arrays: dict[str, NDArray[Any]] = {name: state.records(name, 16) for name in RECORDS}
    rooms = later.room(EVENTS)
    arrays |= {
        "keys": round_keys(seed, replication),
        "clock": state.records("clock", 1),
        "heap": state.records("heap", EVENTS),
        "later": state.records("later", rooms["later"]),
        "cells": state.records("cells", rooms["cells"]),
        "chunks": np.zeros(rooms["chunks"], dtype=np.int32),
        "frames": state.records("frames", 1024),
        "links": links,
        "codes": codes,
        "free_at": np.zeros(64),
        "scopes": np.zeros((16, destinations), dtype=np.int32),
        "members": np.zeros(64, dtype=np.int32),
        "available": np.zeros(64, dtype=np.int32),
        "priorities": state.records("priorities", (PRIORITIES, 16)),
        "gateway_replicas": np.zeros(16, dtype=np.int32),
        "attempt_codes": np.zeros(1, dtype=np.int32),
        "hash_tables": np.zeros(16, dtype=np.int32),
        "hash_points": np.zeros(16, dtype=np.uint64),
        "ahead": state.records("ahead", (queues.QUEUES, queues.ROWS)),
        "marks": np.zeros((queues.QUEUES, queues.STATIONS + 1), dtype=np.int64),
        "calls": state.records("calls", CALLS),
        "call_cells": np.full(2 * CALLS, NONE, dtype=np.int32),
        "requests": state.records("requests", (max(entries, 1), clusters, len(FLOWS), outcomes)),
        "call_latency": np.zeros((services, len(FLOWS), 2, BINS), dtype=np.int32),
        "request_latency": np.zeros((max(entries, 1), len(FLOWS), 2, BINS), dtype=np.int32),
        "ingress_latency": np.zeros((clusters, len(FLOWS), 2, BINS), dtype=np.int32),
    }
    return arrays | plan.arrays
