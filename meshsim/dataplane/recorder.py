"""What is counted as it happens: outcomes and log-linear latency histograms of the current time bucket."""

from __future__ import annotations

import math

import numpy as np

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import DI, FI, FLAG, NO_FLAG, NONE, NR, RETRY_OVERFLOW, UR, URX
from meshsim.results.tables import BINS, BINS_PER_OCTAVE, FLOWS, SMALLEST

#: Outcomes stand in rows of `BESIDE`: one row for each response flag, then one for each HTTP code. In a row: alone,
#: with URX, with UO (a retry overflow), with FI. Where requests can be delayed by faults the same follow with DI.
FLAGS = UR + 1
BESIDE = 4
#: Spreads keys over a hash table: 2^31 divided by the golden ratio. Products with 31 bits fit a word.
_GOLDEN, _LOW = 0x4F1BBCDD, 0x7FFFFFFF
#: How far a call can go.
_FLOWS = len(FLOWS)


@jit
def bin_of(seconds):
    """Return the histogram bin of a duration; see `meshsim.results.histogram`."""
    scaled = seconds / SMALLEST
    if scaled < 1.0:
        return 0
    mantissa, exponent = math.frexp(scaled)
    return min((exponent - 1) * BINS_PER_OCTAVE + int((2.0 * mantissa - 1.0) * BINS_PER_OCTAVE), BINS - 1)


@jit
def outcome_of(w, code, flag):
    """Return the outcome number of a code and a flag."""
    base = flag & FLAG
    row = FLAGS + w.codes[code] if base == NO_FLAG or base == FI else base
    beside = 3 if base == FI else 2 if flag & RETRY_OVERFLOW else 1 if flag & URX else 0
    return BESIDE * row + beside + (w.requests.shape[3] // 2 if flag & DI else 0)


@jit
def is_failure(frame):
    """Return 1 for a call that failed, else 0: from 500, given up, or without a route (NR)."""
    return 1 if frame.code >= 500 or frame.code <= 0 or frame.flag & FLAG == NR else 0


@jit
def record_call(w, call, slot, now):
    """Count a call that ended, the last attempt of which stood on a ``slot``, if any."""
    frame = w.frames[call]
    latency = now - frame.started
    request_size, response_size = 0, 0
    if frame.operation != NONE:
        operation = w.operations[frame.operation]
        service, request_size, response_size = operation.service, operation.request_size, operation.response_size
    else:  # a route led to a service that has no such operation
        service = w.upstreams[frame.upstream].service
    row = w.calls[_row_for(w, frame, slot, service)]
    row.count += 1
    row.attempts += frame.attempts
    row.latency += latency
    row.request_bytes += frame.sent * request_size
    if frame.code > 0 and frame.flag & FLAG == NO_FLAG:
        row.response_bytes += response_size
    failed = is_failure(frame)
    w.call_latency[service, frame.flow, failed, bin_of(latency)] += 1
    w.clock[0].calls_ended += 1


@jit
def _row_for(w, frame, slot, service):
    """Return the row of `World.calls` for a call to a service; each slot knows that of the last one that it had."""
    outcomes = w.requests.shape[3]
    kind = np.int64(frame.flow) * outcomes + outcome_of(w, frame.code, frame.flag)
    if slot == NONE or w.upstreams[frame.upstream].service != service:
        return _row_of(w, _key_of(w, frame, service, kind))
    host = w.slots[slot]
    if host.counted != kind + 1 or host.counted_pod != frame.pod:
        host.counter = _row_of(w, _key_of(w, frame, service, kind))
        host.counted = kind + 1
        host.counted_pod = frame.pod
    return np.int64(host.counter)


@jit
def _key_of(w, frame, service, kind):
    """Return the number of calls of a kind: an edge, the clusters at its ends (-1: none), a flow and an outcome."""
    clusters = w.clock[0].clusters
    proxy = w.proxies[frame.proxy]
    edge = np.int64(w.edge_of[proxy.service + 1, service])
    to = clusters if frame.pod == NONE else np.int64(w.pods[frame.pod].cluster)
    return ((edge * clusters + proxy.cluster) * (clusters + 1) + to) * _FLOWS * w.requests.shape[3] + kind


@jit
def _row_of(w, key):
    """Return the row of `World.calls` for a kind of calls."""
    cell = _cell_of(w, key)
    if w.call_cells[cell] == NONE:
        number = w.clock[0].counted
        w.clock[0].counted += 1
        w.call_cells[cell] = number
        w.calls[number].key = key
    return w.call_cells[cell]


@jit
def _first_cell(w, key):
    """Return the cell of the hash table where the search for a key begins."""
    return (((key ^ key >> 31) & _LOW) * _GOLDEN >> 20) & (len(w.call_cells) - 1)


@jit
def _cell_of(w, key):
    """Return the cell of a key in the hash table, or the free one that it may have (linear probing)."""
    mask = len(w.call_cells) - 1
    cell = _first_cell(w, key)
    while w.call_cells[cell] != NONE and w.calls[w.call_cells[cell]].key != key:
        cell = (cell + 1) & mask
    return cell


@jit
def place_calls(w):
    """Fill the hash table anew with the rows of `World.calls` that are in use."""
    w.call_cells[:] = NONE
    for number in range(w.clock[0].counted):
        w.call_cells[_cell_of(w, w.calls[number].key)] = number


@jit
def record_request(w, call, now):
    """Count a user's request that ended."""
    frame = w.frames[call]
    clock = w.clock[0]
    source = w.sources[frame.source]
    cluster = w.proxies[source.proxy].cluster
    latency = now - frame.started
    row = w.requests[source.entry, cluster, frame.farthest, outcome_of(w, frame.code, frame.flag)]
    row.count += 1
    row.latency += latency
    failed = is_failure(frame)
    column = bin_of(latency)
    w.request_latency[source.entry, frame.farthest, failed, column] += 1
    w.ingress_latency[cluster, frame.farthest, failed, column] += 1
    clock.ended += 1
    clock.sojourn += latency
    in_flight(w, now, -1)


@jit
def in_flight(w, now, change):
    """Keep the time integral of the user requests in the system."""
    clock = w.clock[0]
    clock.area += clock.in_flight * (now - clock.area_since)
    clock.area_since = now
    clock.in_flight += change
