"""The state of the compiled room: what a pod, a proxy, an upstream, an endpoint, a frame … is made of.

Each kind is a structured array: one record per object, its fields side by side in memory.
`meshsim.dataplane.world.World` holds them all. Objects name one another by index; -1 is none.
Times are absolute seconds, sizes bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NONE = -1


#: Bytes that the processor fetches together, and that it likes to fetch two of.
LINE = 64


def _record(lines: int = 0, /, **fields: str) -> np.dtype:
    """Return a record type; one of so many whole ``lines`` begins with what the usual path of a call reads."""
    record = np.dtype(list(fields.items()), align=True)
    if lines == 0:
        return record
    if record.itemsize > lines * LINE:
        raise ValueError(f"{record.itemsize} bytes do not fit into {lines} lines")
    names, formats = list(fields), list(fields.values())
    offsets = [record.fields[name][1] for name in names] if record.fields else []
    layout: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": lines * LINE}
    return np.dtype(layout, align=True)


def _fields(**fields: str) -> dict[str, str]:
    return fields


def _either(common: dict[str, str], *kinds: dict[str, str]) -> np.dtype:
    """Return a record type of two lines: fields that all kinds of objects have, then those of either kind."""
    fields: list[tuple[str, Any, int]] = []
    for first, part in [(0, common), *((LINE, kind) for kind in kinds)]:
        record = _record(1, **part)
        fields += [(name, record[name], first + record.fields[name][1]) for name in part] if record.fields else []
    names, formats, offsets = (list(column) for column in zip(*fields, strict=True))
    layout: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": 2 * LINE}
    return np.dtype(layout, align=True)


#: One record: the calendar's bookkeeping and the counts that the laws are checked against. ``part`` is the part of the
#: users' requests that is traced, in units of 2^-32; ``widest`` how many frames one event may need for forks and calls
#: that nobody waits for; ``tables`` and ``table_entries`` of consistent hashing are in use, ``table_margin`` are kept
#: free; ``counted`` rows of `World.calls` are in use, and there are ``clusters``; ``near`` of the events of the
#: calendar stand in a ring, from ``head`` on, ``later`` of them are put off, and what follows is their wheel
#: (`meshsim.dataplane.later`); ``looks`` is 1 where what events need is fetched ahead, for which ``looked`` is the
#: last span so far and ``glance`` the last station (`meshsim.dataplane.prefetch`); ``expired_roots`` is a mask of the
#: root certificates that are not valid now; the last four tell of the first time that a load balancer of the user's
#: own did not return the place of a host.
CLOCK = _record(
    now="f8", sequence="i8", scheduled="i8", free="i8", used="i8", handled="i8", widest="i8",
    arrived="i8", ended="i8", calls_started="i8", calls_ended="i8", in_flight="i8", area="f8", area_since="f8",
    sojourn="f8", demand="f8", connections="i8", free_connection="i8", opened="i8", part="u8", traced="i8",
    tables="i8", table_entries="i8", table_margin="i8", expired_roots="i8", counted="i8", clusters="i8",
    head="i8", near="i8", later="i8", far="i8", day="i8", pace="f8", turned="i8", rest_turn="i8",
    measured_at="f8", measured_after="i8", chunks="i8", free_chunk="i8", looks="i8", looked="i8", glance="i8",
    own_balancer="i8", own_answer="i8", own_hosts="i8", own_at="f8",
)  # fmt: skip

#: An entry of the calendar; ``generation`` tells a frame that ended from the one that took its place. For an upstream
#: it and ``extra`` tell which of its hosts, priorities or checks is meant (see whoever schedules the event).
EVENT = _record(time="f8", sequence="i8", kind="i4", subject="i4", generation="i4", extra="i4")

#: A cell of the wheel of events that are put off: how many it has, and the chunk that has the latest of them.
CELL = _record(count="i4", chunk="i4")

#: A call (the caller's view), a serve (one attempt at the server) or a branch (steps of a serve that run at once): a
#: line that all have, and one that calls use for other things than serves and branches do. ``home`` is the zone of the
#: caller's proxy, ``address`` that of the gateway on the way. ``refused``: the server does not take the certificate of
#: the connection that it comes over; ``closes``: the answer asks for no more requests over its connection.
FRAME = _either(
    _fields(
        generation="i4", next="i4", previous="i4", parent="i4", parent_generation="i4", operation="i4", proxy="i4",
        pod="i4", attempt="i4", worker="i2", variant="i2", kind="i1", state="i1",
        flow="i1", farthest="i1", code="i2", flag="i1",  # what came of it
        request="u8", path="u8",
    ),
    _fields(
        started="f8", tried="u8", upstream="i4", slot="i4", connection="i4", opening="i4", attempts="i4", sent="i4",
        source="i4", route="i4", user="i4", action_at="i4", action_end="i4", tried_levels="u1", left_out="u1",
        holds_retry="i1", mirrored="i1",
    ),
    _fields(
        jitter="f8", hop="f8", demand="f8", step="i4", left="i4", pending="i4", gateway="i4", life="i4", address="i4",
        home="i2", fail_code="i2", verdict="i2", holds_worker="i1", inside="i1", refused="i1", closes="i1",
    ),
)  # fmt: skip

#: Workers of a proxy that stand in records that are read anyway: their times in the proxy's, their connections that can
#: take a request in the endpoint's.
AT_HAND = 2
#: A sidecar or gateway replica: ``workers`` servers. When each is free is told by ``free`` of the first `AT_HAND`, and
#: of the others from ``station`` on in `World.free_at`.
#: ``threads`` is the same and at least one: the worker threads that have their own connections and load balancers.
#: Its certificate is valid until ``expires`` and signed by the root of bit ``root`` (none: everybody takes it). The
#: mask ``trusts`` has the roots that it trusts itself. New requests are routed by ``configuration``. It has so many
#: ``upstreams`` from ``first_upstream`` on; which of them is a destination's is told by its ``scope``.
PROXY = _record(
    2,
    cpu="f8", busy="f8", free=f"{AT_HAND}f8", latency="i4", configuration="i4", service="i4", scope="i4",
    first_upstream="i4", cluster="i2", zone="i2", workers="i2", threads="i2", kind="i1", alive="i1", silent="i1",
    handshake="f8", seed="u8", expires="f8", trusts="i8", root="i4", life="i4", station="i4", upstreams="i4",
)  # fmt: skip

#: One proxy's view of one destination (Envoy calls it a cluster); its endpoints are the slots from ``first_slot`` on,
#: its load balancers' states ``first_balancer + level * threads + worker``. ``policy`` is the destination's number.
#: Where localities matter, theirs are ``first_turn + locality * threads + worker``. ``built`` is ``first_slot + 1`` of
#: the last layout, 0 before the first; ``latest`` is when a host last began its slow start; ``own_share`` is the share
#: of the client's own service that is in the client's locality, below 0 where that is not known; ``thread`` the worker
#: thread that an HTTP/2 client's only connection is on.
UPSTREAM = _record(
    2,
    proxy="i4", threads="i4", service="i4", policy="i4", first_slot="i4", capacity="i4", priorities="i4", active="i4",
    pending="i4", thread="i4", first_balancer="i4", members="i4", ejected="i4", built="i4", retrying="i4",
    first_queue="i4",
    phase="f8", latest="f8", own_share="f8", first_locality="i4", first_turn="i4", localities="i4", ticking="i4",
    connections="i4",
)  # fmt: skip

#: An endpoint as one proxy sees it. ``host`` is a pod, or -(gateway address) - 2; ``pools`` is the first of its
#: connection pools, one for each worker thread of the proxy, in all of which so many requests are ``waiting``. Of the
#: first `AT_HAND` pools ``ready`` is the connection that takes the next request. A connection whose ``epoch`` is not
#: that of its endpoint takes no more of them. ``unhealthy`` is what the control plane says, ``failing`` what the
#: proxy's own health checks say: ``streak`` of them passed in a row, or failed (below 0). ``level`` and ``shown`` are
#: its priority and whether it was available when the load balancers last heard of it. ``local``: in the client's own
#: locality. ``counter`` is the row of `World.calls` of the last call that ended here, at ``counted_pod``, and
#: ``counted`` tells which of its rows (0: there was none).
SLOT = _record(
    2,
    counted_pod="i4", counter="i4", host="i4", active="i4", pools="i4", ready=f"{AT_HAND}i4", epoch="i4", waiting="i4",
    counted="i2", locality="i2", volume="i4", successes="i4", errors="i4", gateway_errors="i4", local_errors="i4",
    priority="i1", present="i1", unhealthy="i1", ejected="i1",
    weight="f8", locality_weight="f8", joined="f8", returned_at="f8", own_share="f8",
    ejections="i4", multiplier="i4", checked="i4", streak="i4",
    level="i1", shown="i1", changed="i1", checking="i1", failing="i1", local="i1",
)  # fmt: skip

#: Connections of one worker thread to one endpoint, and the requests that wait for one (first come, first served).
#: ``ready`` is the connection that takes the next request, unless the endpoint's own record tells it. ``promised`` is
#: how many requests the connections that are being opened will take.
POOL = _record(
    head="i4", tail="i4", waiting="i4", ready="i4", upstream="i4", slot="i4", worker="i4", connections="i4",
    promised="i8",
)  # fmt: skip

#: A connection of a ``worker`` thread to an endpoint. Through an east-west gateway it has a second leg: the replica
#: that accepted it, in its ``replica_life``, and the pod that the replica chose when it was opened. ``refused``: the
#: server does not take the client's certificate, of which the client hears after its first requests.
CONNECTION = _record(
    2,
    generation="i4", next="i4", previous="i4", slot="i4", epoch="i4", streams="i4", served="i4", limit="i4", pod="i4",
    replica="i4", address="i2", zone="i2", worker="i2", server_worker="i2", replica_worker="i2", tries="i2",
    state="i1", listed="i1", broken="i1", refused="i1", since="f8",
    replica_life="i4", gateway_upstream="i4", leg_slot="i4", attempt="i4",
    opened="f8", breaks="f8", leg="f8", request="u8", path="u8", jitter="f8",
)  # fmt: skip

#: One priority level of an upstream: its hosts are ``first`` to ``first + total`` of `World.members`, the ``count``
#: that may be picked (the healthy ones, in panic all) begin at ``first`` of `World.available`. ``refreshed`` is when
#: load balancers last heard of it, ``update`` how often, ``waits`` whether a change of health is still to be told.
PRIORITY = _record(
    total="i4", first="i4", healthy="i4", count="i4", load="i4", panic="i4", mode="i4", table="i4",
    first_locality="i4", localities="i4", local_share="i4", update="i4", waits="i4", refreshed="f8",
)  # fmt: skip

#: The state of one worker thread's load balancer for a priority or a locality: the turn of ROUND_ROBIN, the number of
#: insertions into its queue; a locality's own ``deadline`` and ``place`` in the queue of its priority. ``kept`` of the
#: first priority: 1 + the pool that TCP clients' connections are in.
BALANCER = _record(next="i8", order="i8", deadline="f8", place="i8", kept="i4")

#: An entry of a weighted load balancer's queue, a binary heap by deadline.
QUEUE = _record(deadline="f8", order="i8", slot="i4")

#: A locality of a priority: ``healthy`` hosts from ``first`` on of `World.available`, ``weight`` as configured.
LOCALITY = _record(
    first="i4", total="i4", healthy="i4", weighted="i4", local="i4", residual="i4", weight="f8", effective="f8",
)  # fmt: skip

#: A table of consistent hashing: ``entries`` from ``first`` on of `World.hash_tables`, shared by ``users``.
TABLE = _record(fingerprint="u8", first="i8", entries="i8", users="i4")

#: The lowered policy of a destination, shared by every upstream of it; ``own_balancer`` is the address of the user's.
POLICY = _record(
    6,
    service="i4", choices="i4", overprovisioning="i4", keeps_host="i1", balancer="i1", hash_kind="i1", http1="i1",
    tls="i1", split_local="i1", detects="i1", has_budget="i1",
    max_pending="i8", max_requests="i8", idle_timeout="f8", max_duration="f8", requests_per_connection="i8",
    bias="f8", panic_threshold="i4", merge_window="f8", fails_on_panic="i4", locality_weighted="i4", zone_aware="i4",
    min_cluster_size="i4", hash_name="i4", ring_minimum="i8", ring_maximum="i8", table_size="i8",
    warmup="f8", warmup_minimum="f8", warmup_aggression="f8", connect_timeout="f8", connect_attempts="i4",
    max_connections="i8", max_retries="i8", budget="f8", budget_minimum="i8", max_streams="i8",
    errors="i8", gateway_errors="i8", local_errors="i8", max_ejected="i4",
    always_ejects_one="i4", interval="f8", base_ejection="f8", max_ejection="f8", jitter="f8",
    success_rate="i4", success_hosts="i4", success_volume="i4", success_deviations="f8",
    failure_percent="i4", failure_threshold="i4", failure_hosts="i4", failure_volume="i4",
    checks="i4", check_interval="f8", check_timeout="f8", unhealthy_after="i4", healthy_after="i4",
    own_balancer="i8",
)  # fmt: skip

#: What a client proxy does with a request: to one of ``targets`` by weight, or an answer of its own (``direct``).
ROUTE = _record(
    2,
    first_target="i4", targets="i4", first_mirror="i4", mirrors="i4", timeout="f8", per_try_timeout="f8",
    retries="i4", retry_on="i4", avoid_previous="i1", own_retries="i1", faults="i1", remote_localities="i1",
    host_attempts="i4", direct="i4", direct_flag="i4",
    backoff_base="f8", backoff_max="f8", delay="f8", delay_fraction="f8", abort_fraction="f8", abort_code="i4",
)  # fmt: skip
#: A destination with the operation that is called there (none: 404) and the cumulated weight, or a mirror's fraction.
TARGET = _record(destination="i4", operation="i4", cumulative="f8")

SERVICE = _record(grpc="i4", hold_worker="i4", workers="i4", queue="i8", max_streams="i8")
OPERATION = _record(service="i4", request_size="i8", response_size="i8", identity="u8")

#: A step of a script: compute, call, fork (branches ``first`` to ``first + count``) or end. ``route`` is where a
#: call's routes stand in `World.resolved`, one for each variant.
STEP = _record(
    kind="i4", distribution="i4", operation="i4", route="i4", count="f8", probability="f8", timeout="f8", retries="i4",
    ignore="i4", wait="i4", first="i4", branches="i4", place="i4",
)  # fmt: skip

#: A pod. ``strict``: its sidecar refuses plain text; ``inbound_limit``: requests at a time that its sidecar lets in
#: from all clients together (0: any number), of which there are ``inside`` now. ``draining``: its sidecar asks clients
#: to leave.
POD = _record(
    4,
    cluster="i4", zone="i4", proxy="i4", state="i4", workers="i4", busy="i4", head="i4", tail="i4", hold="i4",
    workload="i4", queued="i8", busy_area="f8", busy_since="f8",
    slow="f8", served="i8", limit="i8", fail_fraction="f8", reset_fraction="f8", hang_fraction="f8",
    inbound_limit="i8", codes="i4", strict="i1", draining="i1",
    inside="i8", service="i4", fail_code="i4", fails_late="i4", first_code="i4", check_fails="i4", seed="u8",
)  # fmt: skip

#: One direction of a link between two zones: half the round-trip time's median, its spread and what is wrong with it.
#: ``jitter`` is the most that a message is late besides.
LINK = _record(half="f8", sigma="f8", delay="f8", factor="f8", loss="f8", jitter="f8", cut="i4", distance="i4")

#: An address of an east-west gateway. ``down``: what becomes of new connections without a live replica; ``closed``:
#: the address itself leads nowhere (0: it is open). Both are states of pods: `SILENT`, or something else for a refusal.
GATEWAY = _record(cluster="i4", zone="i4", first="i4", replicas="i4", down="i4", closed="i4")

DISTRIBUTION = _record(kind="i4", a="f8", b="f8", first="i4", count="i4")
SOURCE = _record(
    proxy="i4", entry="i4", kind="i4", generation="i4", first_action="i4", actions="i4", think="i4", number="u8",
    made="u8", rate="f8", due="f8", left="f8",
)  # fmt: skip
#: What a user does: requests (`ACTION_REQUEST`) one after the other, with the headers of a variant. ``route`` is the
#: request's row of `World.resolved`.
ACTION = _record(cumulative="f8", first="i4", count="i4", variant="i4")
ACTION_REQUEST = _record(operation="i4", route="i4")
USER = _record(source="i4", number="u8", made="u8")
#: Values of a header, cookie or query parameter: a fixed one (``count`` 0), one for each user (-1), or one of
#: ``count``, the cumulated frequencies of which stand at ``first`` in `World.samples` (none: all alike).
KEY = _record(count="i8", first="i4", fixed="u8")

#: A line of the trace; what its fields mean depends on ``kind`` (`meshsim.dataplane.trace`).
TRACE = _record(
    time="f8", began="f8", until="f8", kind="i4", request="u8", path="u8", inside="u8", call="i4", route="i4",
    attempt="i4",
    proxy="i4", operation="i4", upstream="i4",
    host="i4", connection="i4", code="i4", flag="i4",
)  # fmt: skip

#: An event to come, or a call that is about to be made, as `meshsim.dataplane.prefetch` follows it: ``subject`` and
#: ``generation`` of the event, ``first`` and ``other`` the hosts that a call's balancer will probably compare.
AHEAD = _record(
    1,
    request="u8", path="u8", due="f8", subject="i4", generation="i4", proxy="i4", route="i4", upstream="i4",
    first="i4", other="i4", worker="i4",
)  # fmt: skip

#: What ended in the current time bucket, by edge, clusters, flow and outcome: ``key`` is their place in an array with
#: these dimensions, of which next to nothing would be in use. A row stays where it is as long as the run lasts.
CALLS = _record(1, key="i8", count="i8", attempts="i8", latency="f8", request_bytes="i8", response_bytes="i8")
#: The fields of `CALLS` that count.
COUNTED = CALLS.names[1:] if CALLS.names else ()
REQUESTS = _record(count="i8", latency="f8")


#: The record type of every structured array of the world.
RECORDS: dict[str, np.dtype] = {
    "clock": CLOCK, "heap": EVENT, "frames": FRAME, "proxies": PROXY, "upstreams": UPSTREAM, "slots": SLOT,
    "pools": POOL, "connections": CONNECTION, "priorities": PRIORITY, "balancers": BALANCER, "queue": QUEUE,
    "localities": LOCALITY, "tables": TABLE,
    "policies": POLICY, "routes": ROUTE, "targets": TARGET, "services": SERVICE, "operations": OPERATION,
    "steps": STEP, "pods": POD, "links": LINK, "gateways": GATEWAY, "distributions": DISTRIBUTION, "sources": SOURCE,
    "actions": ACTION, "action_requests": ACTION_REQUEST, "users": USER, "hash_keys": KEY, "trace": TRACE,
    "calls": CALLS, "requests": REQUESTS, "ahead": AHEAD, "later": EVENT, "cells": CELL,
}  # fmt: skip

#: Every array of the world: its element type and number of dimensions.
FIELDS: dict[str, tuple[np.dtype, int]] = {name: (dtype, 1) for name, dtype in RECORDS.items()} | {
    "priorities": (PRIORITY, 2),  # priority, upstream: nearly all have but the first
    "links": (LINK, 2),  # zone, zone
    "ahead": (AHEAD, 2),  # queue, row
    "marks": (np.dtype("i8"), 2),  # queue, station: rows before this one have passed it
    "call_cells": (np.dtype("i4"), 1),  # hash table: row of `calls` by key
    "requests": (REQUESTS, 4),  # entry, cluster, flow, outcome
    "call_latency": (np.dtype("i4"), 4),  # destination service, flow, failed, bin
    "request_latency": (np.dtype("i4"), 4),  # entry, flow, failed, bin
    "ingress_latency": (np.dtype("i4"), 4),  # the same requests by cluster of entry, flow, failed, bin
    "keys": (np.dtype("u8"), 3),  # purpose, round, word
    "free_at": (np.dtype("f8"), 1),  # when the workers of each proxy are free that are not in its own record
    "scopes": (np.dtype("i4"), 2),  # scope, destination: its place among the upstreams of each proxy with that scope
    "members": (np.dtype("i4"), 1),  # slots of each upstream's hosts, by priority and locality
    "available": (np.dtype("i4"), 1),  # the same, healthy ones only
    "hash_tables": (np.dtype("i4"), 1),  # places among the available hosts, for each entry of a table
    "hash_points": (np.dtype("u8"), 1),  # where on the ring each of them stands
    "retry_codes": (np.dtype("u1"), 2),  # route, HTTP code
    # configuration, row: of each calling step, by variant, and of each request of a user: its route, the variant below
    "resolved": (np.dtype("i4"), 3),
    "known_as": (np.dtype("i4"), 2),  # configuration, destination: the destination of that name there
    "variant_keys": (np.dtype("i4"), 2),  # variant, name of a hash key: its row of hash_keys
    "scripts": (np.dtype("i4"), 2),  # operation, workload: first step
    "branches": (np.dtype("i4"), 1),  # first steps of the branches of forks
    "gateway_replicas": (np.dtype("i4"), 1),  # proxies behind gateway addresses
    "samples": (np.dtype("f8"), 1),  # values of empirical distributions, cumulated frequencies
    "attempt_codes": (np.dtype("i4"), 1),  # codes that pods answer by attempt
    "codes": (np.dtype("i4"), 1),  # HTTP code → its number among the outcomes
    "chunks": (np.dtype("i4"), 1),  # the next chunk of the same cell of the wheel, or of the free ones
    "edge_of": (np.dtype("i4"), 2),  # caller + 1, callee
}

# Kinds of frames. States of a serve: on its way, here, on its way back, held back on its way back, held back on its
# way. A call's attempt is here too, or waits in a pool, or was thrown out of the pool because no connection came.
FREE, CALL, SERVE, BRANCH = range(4)
ON_THE_WAY, HERE, RETURNING, LOST, HELD, WAITING, PURGED = range(7)

# States of a connection.
UNUSED, CONNECTING, OPEN = range(3)

# States of a pod.
ABSENT, SERVING, GONE, SILENT = range(4)

# Kinds of proxies.
SIDECAR, INGRESS, EAST_WEST = range(3)

# Steps of a script.
COMPUTE, CALL_OUT, FORK, END = range(4)

# Arrival processes.
POISSON, STEADY, CLOSED = range(3)

# What a consistent hash looks at.
NO_HASH, NAMED_KEY, SOURCE_IP = range(3)

# Response flags (spec §3.7); an outcome is a flag, or an HTTP code when the flag is NO_FLAG.
NO_FLAG, UH, UF, UO, UT, UC, NR, DC, FI, NC, UR = range(11)
#: Mask of the flags above; the ones below stand beside them.
FLAG = 15
#: The retry limit was reached.
URX = 16
#: The limit on concurrent retries was reached: the failure stands, with the flag UO beside it.
RETRY_OVERFLOW = 32
#: A fault filter delayed the request.
DI = 64

# Flows: how far a call went.
LOCAL, CROSS_ZONE, CROSS_REGION = range(3)


def records(name: str, shape: int | tuple[int, ...]) -> np.ndarray:
    """Return a zeroed array of the record type that `World.name` holds."""
    return zeros(shape, RECORDS[name]).view(np.recarray)


def zeros(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros that begin where two lines of the processor's cache do, so that records do not straddle them."""
    size = int(np.prod(shape)) * dtype.itemsize
    room = np.zeros(size + 2 * LINE, dtype=np.uint8)
    first = -room.ctypes.data % (2 * LINE)
    return room[first : first + size].view(dtype).reshape(shape)
