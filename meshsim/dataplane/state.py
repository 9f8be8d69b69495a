"""The state of the compiled room: what a pod, a proxy, an upstream, an endpoint, a frame … is made of.

Each kind is a structured array: one record per object, its fields side by side in memory.
`meshsim.dataplane.world.World` holds them all. Objects name one another by index; -1 is none.
Times are absolute seconds, sizes bytes.
"""

from __future__ import annotations

import numpy as np

NONE = -1


def _record(**fields: str) -> np.dtype:
    return np.dtype(list(fields.items()), align=True)


#: One record: the calendar's bookkeeping and the counts that the laws are checked against.
CLOCK = _record(
    now="f8", sequence="i8", scheduled="i8", free="i8", used="i8", handled="i8", widest="i8",
    arrived="i8", ended="i8", calls_started="i8", calls_ended="i8", in_flight="i8", area="f8", area_since="f8",
    sojourn="f8", demand="f8", connections="i8",
)  # fmt: skip

#: An entry of the calendar; ``generation`` tells a frame that ended from the one that took its place.
EVENT = _record(time="f8", sequence="i8", kind="i4", subject="i4", generation="i4", extra="i4")

#: A call (the caller's view), a serve (one attempt at the server) or a branch (steps of a serve that run at once).
FRAME = _record(
    kind="i4", state="i4", generation="i4", next="i4", previous="i4",
    request="u8", path="u8", started="f8", jitter="f8", hop="f8", demand="f8",
    parent="i4", parent_generation="i4", operation="i4", proxy="i4", pod="i4", gateway="i4",
    # a call
    upstream="i4", slot="i4", attempt="i4", attempts="i4", sent="i4", tried="u8", holds_retry="i4", connection="i4",
    source="i4", action_at="i4", action_end="i4", user="i4",
    # a serve or a branch
    step="i4", left="i4", pending="i4", holds_worker="i4", fail_code="i4", life="i4", connecting="i4",
    # what came of it
    code="i4", flag="i4", flow="i4", farthest="i4",
)  # fmt: skip

#: A sidecar or gateway replica: ``workers`` servers whose free times stand at ``station`` in `World.free_at`.
PROXY = _record(
    kind="i4", cluster="i4", zone="i4", workers="i4", station="i4", alive="i4", life="i4", silent="i4",
    service="i4", cpu="f8", latency="i4", busy="f8", seed="u8",
)  # fmt: skip

#: One proxy's view of one destination (Envoy calls it a cluster); its endpoints are the slots from ``first_slot`` on.
UPSTREAM = _record(
    proxy="i4", service="i4", policy="i4", first_slot="i4", capacity="i4", members="i4", priorities="i4",
    active="i4", retrying="i4", pending="i4", ejected="i4", refresh_due="i4", refreshed="f8", phase="f8",
)  # fmt: skip

#: An endpoint as one proxy sees it. ``host`` is a pod, or -(gateway address) - 2.
SLOT = _record(
    host="i4", present="i4", priority="i4", active="i4", weight="f8",
    ejected="i4", ejections="i4", multiplier="i4", errors="i4", gateway_errors="i4", local_errors="i4",
    returned_at="f8", deadline="f8", order="i8", queue_head="i4", queue_tail="i4", connections="i4",
)  # fmt: skip

#: One priority level of an upstream: its hosts in `World.members`, the available ones in `World.available`.
PRIORITY = _record(total="i4", first="i4", healthy="i4", load="i4", panic="i4", weighted="i4", next="i8", deadline="f8")

#: The lowered policy for a destination, shared by every upstream of it.
POLICY = _record(
    balancer="i4", panic_threshold="i4", timeout="f8", connect_timeout="f8",
    max_connections="i8", max_pending="i8", max_requests="i8", max_retries="i8",
    retries="i4", retry_on="i4", avoid_previous="i4", host_attempts="i4", per_try_timeout="f8",
    backoff_base="f8", backoff_max="f8",
    detects="i4", errors="i8", gateway_errors="i8", local_errors="i8", split_local="i4", max_ejected="i4",
    interval="f8", base_ejection="f8", max_ejection="f8",
)  # fmt: skip

SERVICE = _record(policy="i4", grpc="i4", http1="i4", hold_worker="i4", workers="i4", queue="i8")
OPERATION = _record(service="i4", request_size="i8", response_size="i8", identity="u8")

#: A step of a script: compute, call, fork (branches ``first`` to ``first + count``) or end.
STEP = _record(
    kind="i4", distribution="i4", operation="i4", count="f8", probability="f8", timeout="f8", retries="i4",
    ignore="i4", wait="i4", first="i4", branches="i4", place="i4",
)  # fmt: skip

POD = _record(
    service="i4", workload="i4", cluster="i4", zone="i4", proxy="i4", state="i4", workers="i4", busy="i4", head="i4",
    tail="i4", queued="i8", limit="i8", hold="i4", slow="f8", fail_fraction="f8", fail_code="i4",
    busy_area="f8", busy_since="f8", served="i8",
)  # fmt: skip

#: One direction-free link between two zones: half the round-trip time's median, its spread and what is wrong with it.
LINK = _record(half="f8", sigma="f8", delay="f8", factor="f8", loss="f8", cut="i4", distance="i4")

GATEWAY = _record(cluster="i4", zone="i4", first="i4", replicas="i4", down="i4")

#: A kept connection through an east-west gateway: the replica it was opened by (in its ``life``) and the pod it is on.
CONNECTION = _record(pod="i4", replica="i4", life="i4", streams="i4")
#: Connections kept per slot; an HTTP/1.1 client with more requests at a time opens a new one for each of the others.
GATEWAY_CONNECTIONS = 32

DISTRIBUTION = _record(kind="i4", a="f8", b="f8", first="i4", count="i4")
SOURCE = _record(
    proxy="i4", entry="i4", kind="i4", generation="i4", first_action="i4", actions="i4", think="i4", number="u8",
    made="u8", rate="f8", due="f8", left="f8",
)  # fmt: skip
ACTION = _record(cumulative="f8", first="i4", count="i4")
USER = _record(source="i4", number="u8", made="u8")

#: What ended in the current time bucket, by edge, destination cluster, flow and outcome.
CALLS = _record(count="i8", attempts="i8", latency="f8", request_bytes="i8", response_bytes="i8")
REQUESTS = _record(count="i8", latency="f8")


#: The record type of every structured array of the world.
RECORDS: dict[str, np.dtype] = {
    "clock": CLOCK, "heap": EVENT, "frames": FRAME, "proxies": PROXY, "upstreams": UPSTREAM, "slots": SLOT,
    "priorities": PRIORITY, "policies": POLICY, "services": SERVICE, "operations": OPERATION, "steps": STEP,
    "pods": POD, "links": LINK, "gateways": GATEWAY, "connections": CONNECTION, "distributions": DISTRIBUTION,
    "sources": SOURCE,
    "actions": ACTION, "users": USER, "calls": CALLS, "requests": REQUESTS,
}  # fmt: skip

#: Every array of the world: its element type and number of dimensions.
FIELDS: dict[str, tuple[np.dtype, int]] = {name: (dtype, 1) for name, dtype in RECORDS.items()} | {
    "priorities": (PRIORITY, 2),  # upstream, priority
    "links": (LINK, 2),  # zone, zone
    "calls": (CALLS, 5),  # edge, source cluster, destination cluster (last: none), flow, outcome
    "requests": (REQUESTS, 4),  # entry, cluster, flow, outcome
    "call_latency": (np.dtype("i4"), 4),  # destination service, flow, failed, bin
    "request_latency": (np.dtype("i4"), 4),  # entry, flow, failed, bin
    "keys": (np.dtype("u8"), 3),  # purpose, round, word
    "free_at": (np.dtype("f8"), 1),  # when each worker of each proxy is free
    "upstream_of": (np.dtype("i4"), 2),  # proxy, service
    "members": (np.dtype("i4"), 1),  # slots of each upstream's hosts, by priority
    "available": (np.dtype("i4"), 1),  # the same, without ejected ones
    "retry_codes": (np.dtype("u1"), 2),  # policy, HTTP code
    "scripts": (np.dtype("i4"), 2),  # operation, workload: first step
    "branches": (np.dtype("i4"), 1),  # first steps of the branches of forks
    "gateway_replicas": (np.dtype("i4"), 1),  # proxies behind gateway addresses
    "samples": (np.dtype("f8"), 1),  # values of empirical distributions
    "action_requests": (np.dtype("i4"), 1),  # operations of users' actions
    "codes": (np.dtype("i4"), 1),  # HTTP code → its number among the outcomes
    "edge_of": (np.dtype("i4"), 2),  # caller + 1, callee
}

# Kinds of frames and states of a serve.
FREE, CALL, SERVE, BRANCH = range(4)
ON_THE_WAY, HERE, RETURNING, LOST = range(4)

# States of a pod.
ABSENT, SERVING, GONE, SILENT = range(4)

# Kinds of proxies.
SIDECAR, INGRESS, EAST_WEST = range(3)

# Steps of a script.
COMPUTE, CALL_OUT, FORK, END = range(4)

# Arrival processes.
POISSON, STEADY, CLOSED = range(3)

# Response flags (spec §3.7); an outcome is a flag, or an application's code when the flag is NO_FLAG.
NO_FLAG, UH, UF, UO, UT, UC, NR, DC = range(8)
URX = 8
#: The retry limit of a circuit breaker was reached: the failure stands, with the flag UO beside it.
RETRY_OVERFLOW = 16

# Flows: how far a call went.
LOCAL, CROSS_ZONE, CROSS_REGION = range(3)


def records(name: str, shape: int | tuple[int, ...]) -> np.ndarray:
    """Return a zeroed array of the record type that `World.name` holds."""
    return np.zeros(shape, dtype=RECORDS[name]).view(np.recarray)
