"""What holds of a world between any two events, and what is left of it when nobody asks for anything any more."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from meshsim.dataplane.pool import first_ready, pool_of
from meshsim.dataplane.state import (
    BRANCH,
    CALL,
    CONNECTING,
    FREE,
    NONE,
    OPEN,
    PURGED,
    SERVE,
    UNUSED,
    WAITING,
)

#: What a pool without connections has: nothing ready, nobody who waits, no connections, nothing promised.
EMPTY = [NONE, NONE, 0, 0, 0]


def check(w: Any) -> None:
    """Assert that what is counted is what is there.

    Raises
    ------
    AssertionError
        If a count, a list or a queue is not what the records say.
    """
    used = np.flatnonzero(w.frames["kind"][: w.clock[0].used] != FREE)
    frames = {int(number): w.frames[number] for number in used}
    used = np.flatnonzero(w.connections["state"][: w.clock[0].connections] != UNUSED)
    connections = {int(number): w.connections[number] for number in used}
    assert len(frames) + _length(w.frames, int(w.clock[0].free)) == w.clock[0].used
    assert len(connections) + _length(w.connections, int(w.clock[0].free_connection)) == w.clock[0].connections
    calls = {number: frame for number, frame in frames.items() if frame.kind == CALL}
    assert w.clock[0].calls_started == w.clock[0].calls_ended + len(calls)
    assert w.clock[0].arrived == w.clock[0].ended + w.clock[0].in_flight
    assert w.clock[0].in_flight == sum(call.source != NONE for call in calls.values())
    _check_connections(w, connections, calls)
    for proxy in w.proxies:
        for number in range(proxy.first_upstream, proxy.first_upstream + proxy.upstreams):
            _check_upstream(w, number, connections, calls)


def _check_connections(w: Any, connections: dict[int, Any], calls: dict[int, Any]) -> None:
    streams = Counter(
        int(call.connection)
        for call in calls.values()
        if NONE not in (call.slot, call.connection) and call.state not in (WAITING, PURGED)
        and w.connections[call.connection].generation == call.opening
    )  # fmt: skip
    for number, connection in connections.items():
        assert connection.streams == streams[number]
        assert connection.streams <= connection.limit
        if connection.state == CONNECTING:
            assert (connection.streams, connection.listed) == (0, 0)


def _check_upstream(w: Any, number: int, connections: dict[int, Any], calls: dict[int, Any]) -> None:
    up = w.upstreams[number]
    slots = range(up.first_slot, up.first_slot + up.capacity)
    firsts = w.slots["pools"][slots.start : slots.stop]
    pools = {int(pool) for first in firsts for pool in range(first, first + up.threads)}
    own: dict[int, dict[int, Any]] = {}
    behind = 0
    for at, connection in connections.items():
        behind += int(connection.gateway_upstream == number)
        if (pool := int(pool_of(w, connection))) in pools:
            own.setdefault(pool, {})[at] = connection
    assert up.connections == sum(map(len, own.values())) + behind
    assert up.pending == sum(_check_pool(w, number, pool, own.get(pool, {}), calls) for pool in pools)
    mine = [call for call in calls.values() if call.upstream == number]
    active = Counter(int(call.slot) for call in mine if call.slot != NONE and call.state not in (WAITING, PURGED))
    assert {slot: int(w.slots[slot].active) for slot in slots if w.slots[slot].active} == dict(active)
    assert up.active == active.total()
    assert up.retrying == sum(call.holds_retry for call in mine)
    assert all(
        w.slots[slot].waiting == sum(w.pools[w.slots[slot].pools + worker].waiting for worker in range(up.threads))
        for slot in slots
    )
    assert up.ejected == sum(w.slots[slot].ejected for slot in slots)
    assert up.members == sum(w.slots[slot].present for slot in slots)


def _check_pool(w: Any, upstream: int, number: int, connections: dict[int, Any], calls: dict[int, Any]) -> int:
    """Check one pool and return how many requests wait in it."""
    pool = w.pools[number]
    assert pool.upstream == upstream
    first = int(first_ready(w, pool.slot, pool.worker))
    if not connections:
        assert [first, *(int(pool[name]) for name in ("head", "connections", "promised", "waiting"))] == EMPTY
        return 0
    own = connections.values()
    assert pool.connections == len(own)
    assert pool.promised == sum(connection.limit for connection in own if connection.state == CONNECTING)
    assert pool.promised >= 0
    ready = _members(w.connections, first)
    assert sorted(ready) == [at for at, one in connections.items() if one.listed]
    for at in ready:
        assert connections[at].state == OPEN
        assert connections[at].streams < connections[at].limit
        assert connections[at].broken == 0
    waiting = _members(w.frames, int(pool.head))
    assert len(waiting) == pool.waiting
    assert pool.tail == (waiting[-1] if waiting else NONE)
    for at in waiting:
        call = calls[at]
        assert (call.state, call.slot, call.worker, call.upstream) == (WAITING, pool.slot, pool.worker, upstream)
    # Nobody waits where a connection is free or, above, where there is none: each pool may open its first.
    assert not (waiting and ready)
    return len(waiting)


def _members(records: Any, at: int) -> list[int]:
    found: list[int] = []
    while at != NONE:
        found.append(at)
        at = int(records[at].next)
        assert len(found) <= len(records)
    return found


def _length(records: Any, first: int) -> int:
    return len(_members(records, first))


def come_to_rest(bench: Any) -> None:
    """Let what is under way end; assert that nothing is left but idle connections.

    Raises
    ------
    AssertionError
        If a frame was never given back, a call never ended or a host that is gone still has a connection.
    """
    w = bench.world
    now = float(w.clock[0].now)
    if w.sources[w.users[: bench.plane._used.get("users", 0)].source].size:
        return  # users ask again for ever
    for source in bench.sources:
        bench.plane.set_rate(source, 0.0, now)
    bench.run(now + 5000.0)
    bench.plane.end_silence(now + 5000.0)  # forgets what a silent pod was sent by callers who have given up
    check(w)
    left = Counter(int(frame.kind) for frame in w.frames[: w.clock[0].used] if frame.kind != FREE)
    assert not left, {name: left[kind] for name, kind in (("calls", CALL), ("serves", SERVE), ("branches", BRANCH))}
    for slot in {int(one.slot) for one in w.connections[: w.clock[0].connections] if one.state == OPEN}:
        assert w.slots[slot].present == 1
    assert not any(one.state == CONNECTING for one in w.connections[: w.clock[0].connections])
    for pod in bench.plane.pods:
        assert (pod.busy, pod.queued) == (0, 0)
