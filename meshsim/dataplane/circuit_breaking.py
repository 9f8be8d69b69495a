"""Circuit breakers: limits on connections, pending requests, requests and retries (spec §3.1).

One set of limits per upstream of a proxy, shared by its hosts and worker threads. Connections are counted, not yet
kept: one that carries no request does not exist.
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NONE
from meshsim.scenario.istio.policy import CircuitBreaker

#: What becomes of a request that wants a connection to a host.
SEND, WAIT, OVERFLOW = range(3)


def lower(row, limits: CircuitBreaker) -> None:
    """Write a policy's limits into its record."""
    row.max_connections = limits.max_connections
    row.max_pending = limits.max_pending_requests
    row.max_requests = limits.max_requests
    row.max_retries = limits.max_retries


@jit
def admit(policy, up, host, http1):
    """Return what becomes of a request for this host: send it, let it wait for a connection, or overflow.

    HTTP/1.1 needs a connection for each request; a host may always open its first one. HTTP/2 requests share one.
    """
    if up.active >= policy.max_requests:
        return OVERFLOW
    if http1 == 1 and up.active >= policy.max_connections and host.active > 0:
        return OVERFLOW if up.pending >= policy.max_pending else WAIT
    return SEND


@jit
def may_retry(policy, up):
    """Return whether another retry may run at the same time."""
    return up.retrying < policy.max_retries


@jit
def enqueue(w, upstream, slot, call):
    """Let a call wait for a connection to a host."""
    host = w.slots[slot]
    frame = w.frames[call]
    frame.previous = host.queue_tail
    frame.next = NONE
    if host.queue_tail == NONE:
        host.queue_head = call
    else:
        w.frames[host.queue_tail].next = call
    host.queue_tail = call
    w.upstreams[upstream].pending += 1


@jit
def leave_queue(w, upstream, slot, call):
    """Take a waiting call out of the queue for a host."""
    host = w.slots[slot]
    frame = w.frames[call]
    if frame.previous == NONE:
        host.queue_head = frame.next
    else:
        w.frames[frame.previous].next = frame.next
    if frame.next == NONE:
        host.queue_tail = frame.previous
    else:
        w.frames[frame.next].previous = frame.previous
    frame.next = NONE
    frame.previous = NONE
    w.upstreams[upstream].pending -= 1
