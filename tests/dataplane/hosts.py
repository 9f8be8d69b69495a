"""A hand-made world: one proxy, one upstream, its hosts; for tests of single decisions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from meshsim.dataplane import (
    consistent_hashing,
    health_checking,
    load_balancing,
    locality,
    outlier_detection,
    own_balancer,
    state,
)
from meshsim.dataplane.draws import round_keys
from meshsim.dataplane.world import World
from meshsim.scenario import own_balancers

LEVELS = 8


class Hosts:
    """An upstream with a slot for each pod; ``policy`` are fields of its record."""

    def __init__(self, count: int = 0, *, capacity: int = 64, threads: int = 1, seed: int = 1, **policy: Any) -> None:
        arrays: dict[str, Any] = {}
        for name, (dtype, dimensions) in state.FIELDS.items():
            zeros = np.zeros((1,) * dimensions, dtype=dtype)
            arrays[name] = zeros.view(np.recarray) if name in state.RECORDS else zeros
        arrays |= {
            "heap": state.records("heap", 4096), "slots": state.records("slots", capacity),
            "pools": state.records("pools", capacity * threads), "pods": state.records("pods", capacity + 1),
            "priorities": state.records("priorities", (LEVELS, 1)),
            "balancers": state.records("balancers", (LEVELS + capacity) * threads),
            "queue": state.records("queue", capacity * threads),
            "localities": state.records("localities", capacity), "links": state.records("links", (1, 1)),
            "members": np.zeros(capacity, np.int32), "available": np.zeros(capacity, np.int32),
            "tables": state.records("tables", 64), "hash_tables": np.zeros(1, np.int32),
            "hash_points": np.zeros(1, np.uint64), "keys": round_keys(seed, 0),
        }  # fmt: skip
        self.w = w = World(arrays)
        self.up, self.policy, self.levels = w.upstreams[0], w.policies[0], w.priorities[:, 0]
        self.up.threads, self.up.capacity, self.up.priorities, self.up.own_share = threads, capacity, 1, -1.0
        self.up.first_turn = LEVELS * threads
        w.proxies[0].seed, w.proxies[0].alive = seed * 7919, 1
        w.links[0, 0].factor = 1.0
        w.clock[0].free_connection = -1
        for number in range(capacity):
            slot = w.slots[number]
            slot.pools, slot.host = number * threads, -1
            for forget in (locality.forget_slot, outlier_detection.forget_slot, health_checking.forget_slot):
                forget(slot)
            for pool in w.pools[number * threads : (number + 1) * threads]:
                pool.slot, pool.ready, pool.head, pool.tail = number, -1, -1, -1
            slot.ready = -1
        for number in range(capacity + 1):
            w.pods[number].seed = consistent_hashing.mix(np.uint64(seed * 1000 + number), np.uint64(5))
            w.pods[number].state = state.SERVING
        fields = {
            "balancer": load_balancing.LEAST_REQUEST, "choices": 2, "bias": 0.0, "overprovisioning": 140,
            "merge_window": 1.0, "ring_minimum": 1024, "ring_maximum": consistent_hashing.LARGEST_RING,
            "table_size": 251, "interval": 10.0, "warmup_aggression": 1.0,
        }  # fmt: skip
        for name, value in (fields | policy).items():
            own = own_balancers.find(value) if name == "balancer" else None
            if own is not None:
                self.policy.own_balancer = own_balancer.address_of(own)
            self.policy[name] = load_balancing.BALANCERS.get(value, value) if own is None else load_balancing.OWN
        if count:
            self.push(*({} for _ in range(count)))

    def push(self, *hosts: dict[str, Any], now: float = 0.0) -> None:
        """Give the upstream a list of endpoints; each by its pod (default: its place), priority, weight …"""
        wanted = {host.get("pod", number): host for number, host in enumerate(hosts)}
        taken = set()
        block = self.w.slots[self.up.first_slot : self.up.first_slot + self.up.capacity]
        for slot in block:
            if slot.present and int(slot.host) not in wanted:
                slot.present = 0
                self.up.ejected -= slot.ejected
                slot.ejected = 0
            elif slot.present:
                taken.add(int(slot.host))
        free = [slot for slot in block if not slot.present]
        for pod in [pod for pod in wanted if pod not in taken]:
            slot = free.pop(0)
            for forget in (locality.forget_slot, outlier_detection.forget_slot, health_checking.forget_slot):
                forget(slot)
            slot.host, slot.present = pod, 1
        for pod, host in wanted.items():
            slot = self.slot(pod)
            locality.place(
                slot, host.get("priority", 0), host.get("locality", 0), float(host.get("weight", 1)),
                float(host.get("locality_weight", 0)), host.get("unhealthy", 0),
            )  # fmt: skip
            slot.local, slot.own_share = host.get("local", 0), host.get("own_share", -1.0)
        self.up.members = len(hosts)
        self.up.priorities = max((host.get("priority", 0) for host in hosts), default=0) + 1
        if self.policy.balancer >= load_balancing.RING_HASH:
            is_ring = bool(self.policy.balancer == load_balancing.RING_HASH)
            weights = [np.array([float(h.get(key, 1)) for h in hosts]) for key in ("weight", "locality_weight")]
            entries = LEVELS * consistent_hashing.largest(self.policy, is_ring, *weights)
            self.w.clock[0].table_margin = max(int(self.w.clock[0].table_margin), entries)
            self.make_room()
        health_checking.begin(self.w, 0, now)
        locality.refresh(self.w, 0, now)
        outlier_detection.begin(self.w, 0, now)

    def make_room(self) -> None:
        for name, length in consistent_hashing.room(self.w).items():
            old = getattr(self.w, name)
            new = np.zeros(max(length, len(old)), dtype=old.dtype)
            new[: len(old)] = old
            self.w.set(name, new.view(np.recarray) if isinstance(old, np.recarray) else new)

    def slot(self, pod: int) -> Any:
        return self.w.slots[self.number(pod)]

    def number(self, pod: int) -> int:
        return next(n for n, slot in enumerate(self.w.slots) if slot.present and slot.host == pod)

    def set_health(self, pod: int, unhealthy: int, now: float) -> None:
        self.slot(pod).unhealthy = unhealthy
        locality.health_changed(self.w, 0, self.number(pod), now)

    def fire(self, until: float) -> list[tuple[float, int]]:
        """Handle the upstream's own events before a time; return when each was, and of which kind."""
        from meshsim.dataplane import calendar as on

        fired = []
        while self.w.clock[0].scheduled and self.w.heap[self.w.clock[0].head].time < until:
            event = self.w.heap[self.w.clock[0].head].copy()
            on.drop_first(self.w)
            now = self.w.clock[0].now = float(event.time)
            fired.append((now, int(event.kind)))
            if event.kind == on.REFRESH:
                locality.on_refresh(self.w, 0, int(event.extra), int(event.generation), now)
            elif event.kind == on.RELEASE:
                outlier_detection.release(self.w, 0, int(event.generation), int(event.extra), now)
            elif event.kind == on.OUTLIER_TICK:
                outlier_detection.on_tick(self.w, 0, now)
            elif event.kind == on.HEALTH_CHECK:
                health_checking.on_check(self.w, 0, int(event.extra), int(event.generation), now)
        self.w.clock[0].now = until
        return fired

    def choose(
        self, u0: float = 0.5, u1: float = 0.5, u2: float = 0.5, *, key: int | None = None, worker: int = 0,
        tried: int = 0, again: int = 0,
    ) -> int | None:  # fmt: skip
        """Return the pod that an attempt goes to."""
        keyed = 0 if key is None else 1 + again
        slot = load_balancing.choose(self.w, 0, worker, keyed, np.uint64(key or 0), u0, u1, u2, tried)
        return None if slot == state.NONE else int(self.w.slots[slot].host)

    def picks(self, count: int, seed: int = 0, **fields: Any) -> list[int | None]:
        draws = np.random.default_rng(seed).random((count, 3))
        return [self.choose(*map(float, row), **fields) for row in draws]

    def shares(self, count: int = 4000, **fields: Any) -> dict[int | None, float]:
        return {pod: number / count for pod, number in Counter(self.picks(count, **fields)).items()}

    @property
    def loads(self) -> list[int]:
        return [int(level.load) for level in self.levels[: self.up.priorities]]
