"""Connection pools: the connections of one worker thread to one endpoint, and who waits for one (spec §3.1).

An HTTP/1.1 connection carries one request at a time, an HTTP/2 connection up to ``maxConcurrentStreams``. The one used
last is used first. Source: Envoy conn_pool_base.cc; counts measured on Envoy 1.40 (docs/circuit-breaking.md).
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import AT_HAND, CONNECTING, NONE, OPEN, UNUSED


@jit
def pool_of(w, connection):
    """Return the number of the pool that a connection is of."""
    return w.slots[connection.slot].pools + connection.worker


@jit
def opener_of(w, connection):
    """Return the number of the upstream that a connection was opened by."""
    return w.pools[pool_of(w, connection)].upstream


@jit
def policy_of(w, connection):
    """Return the policy of the destination that a connection is for."""
    return w.policies[w.upstreams[opener_of(w, connection)].policy]


@jit
def first_ready(w, slot, worker):
    """Return the connection of a worker thread to an endpoint that takes the next request; none if all are busy."""
    host = w.slots[slot]
    return host.ready[worker] if worker < AT_HAND else w.pools[host.pools + worker].ready


@jit
def _set_ready(w, slot, worker, index):
    host = w.slots[slot]
    if worker < AT_HAND:
        host.ready[worker] = index
    else:
        w.pools[host.pools + worker].ready = index


@jit
def ready(w, slot, worker, policy, now):
    """Return an open connection that can take a request; none if all are busy. Drops the ones past their time."""
    while True:
        index = first_ready(w, slot, worker)
        if index == NONE:
            return NONE
        connection = w.connections[index]
        idle = connection.streams == 0
        if idle and policy.idle_timeout > 0.0 and now - connection.since >= policy.idle_timeout:
            close(w, index)
        elif policy.max_duration > 0.0 and now - connection.opened >= policy.max_duration:
            if idle:
                close(w, index)
            else:
                _retire(w, index)
        else:
            return index


@jit
def attach(w, index, policy):
    """Give a connection one more request."""
    connection = w.connections[index]
    connection.streams += 1
    connection.served += 1
    if connection.streams >= connection.limit or _is_used_up(connection, policy):
        _unlist(w, index)


@jit
def detach(w, index, policy, broken, now):
    """Take a request off a connection; a broken one is closed, as is one that takes no more and has no other."""
    connection = w.connections[index]
    connection.streams -= 1
    if broken or connection.broken == 1 or connection.epoch != w.slots[connection.slot].epoch:
        _unlist(w, index)
        connection.broken |= int(broken)
        if connection.streams == 0:
            close(w, index)
    elif _is_used_up(connection, policy):
        if connection.streams == 0:
            close(w, index)
    else:
        if connection.streams == 0:
            connection.since = now
        if connection.listed == 0:
            list_ready(w, index)


@jit
def _is_used_up(connection, policy):
    return policy.requests_per_connection > 0 and connection.served >= policy.requests_per_connection


@jit
def list_ready(w, index):
    """Put a connection in front of the ones that can take a request."""
    connection = w.connections[index]
    following = first_ready(w, connection.slot, connection.worker)
    connection.previous = NONE
    connection.next = following
    if following != NONE:
        w.connections[following].previous = index
    _set_ready(w, connection.slot, connection.worker, index)
    connection.listed = 1


@jit
def _unlist(w, index):
    connection = w.connections[index]
    if connection.listed == 0:
        return
    connection.listed = 0
    if connection.previous == NONE:
        _set_ready(w, connection.slot, connection.worker, connection.next)
    else:
        w.connections[connection.previous].next = connection.next
    if connection.next != NONE:
        w.connections[connection.next].previous = connection.previous


@jit
def take(w, pool_index, limit):
    """Return a fresh connection that is being opened and will take ``limit`` requests at a time."""
    clock, pool = w.clock[0], w.pools[pool_index]
    index = clock.free_connection
    if index != NONE:
        clock.free_connection = w.connections[index].next
    else:
        index = clock.connections
        clock.connections = index + 1
    clock.opened += 1
    connection = w.connections[index]
    connection.state = CONNECTING
    connection.listed = 0
    connection.slot = pool.slot
    connection.worker = pool.worker
    connection.streams = 0
    connection.served = 0
    connection.limit = limit
    connection.breaks = 0.0
    connection.broken = 0
    connection.refused = 0
    connection.tries = 0
    connection.leg = 0.0
    connection.leg_slot = NONE
    connection.pod = NONE
    connection.address = NONE
    connection.replica = NONE
    connection.gateway_upstream = NONE
    pool.connections += 1
    pool.promised += limit
    w.upstreams[pool.upstream].connections += 1
    return index


@jit
def opened(w, index, now):
    """Note that a connection can be used from now on."""
    connection = w.connections[index]
    host = w.slots[connection.slot]
    w.pools[pool_of(w, connection)].promised -= connection.limit
    connection.state = OPEN
    # To a host that is gone by now it serves those who wait for it, and no one else.
    connection.epoch = host.epoch - int(host.present == 0)
    connection.opened = now
    connection.since = now
    list_ready(w, index)


@jit
def close(w, index):
    """Forget a connection."""
    connection = w.connections[index]
    _unlist(w, index)
    pool = w.pools[pool_of(w, connection)]
    pool.connections -= 1
    if connection.state == CONNECTING:
        pool.promised -= connection.limit
    w.upstreams[pool.upstream].connections -= 1
    if connection.gateway_upstream != NONE:
        w.upstreams[connection.gateway_upstream].connections -= 1
    connection.state = UNUSED
    connection.generation += 1
    connection.next = w.clock[0].free_connection
    w.clock[0].free_connection = index


@jit
def close_outdated(w, index):
    """Close an idle connection that is not meant to take any more requests."""
    connection = w.connections[index]
    if connection.state == OPEN and connection.streams == 0 and connection.epoch != w.slots[connection.slot].epoch:
        close(w, index)


@jit
def broke(w, index):
    """Note that an open connection was reset: at once if it is idle, else when its requests have heard of it."""
    connection = w.connections[index]
    if connection.state != OPEN:
        return
    if connection.streams == 0:
        close(w, index)
    else:
        _unlist(w, index)
        connection.broken = 1


@jit
def _retire(w, index):
    """Send no more requests over a busy connection; it is closed after its last."""
    _unlist(w, index)
    w.connections[index].epoch -= 1


@jit
def leave(w, index):
    """Do as the server of a busy connection asks: ``connection: close`` of HTTP/1.1, or GOAWAY of HTTP/2."""
    connection = w.connections[index]
    if connection.epoch == w.slots[connection.slot].epoch and policy_of(w, connection).keeps_host == 0:
        _retire(w, index)


@jit
def drain(w, slot):
    """Close the idle connections to an endpoint; busy ones end with the requests on them."""
    host = w.slots[slot]
    host.epoch += 1
    for worker in range(w.upstreams[w.pools[host.pools].upstream].threads):
        index = first_ready(w, slot, worker)
        while index != NONE:
            following = w.connections[index].next
            if w.connections[index].streams == 0:
                close(w, index)
            else:
                _unlist(w, index)
            index = following


@jit
def drop_idle(w, up, now):
    """Close the connections of an upstream that have been idle for too long, to make room below its limit."""
    policy = w.policies[up.policy]
    if policy.idle_timeout <= 0.0:
        return
    for slot in range(up.first_slot, up.first_slot + up.capacity):
        for worker in range(up.threads):
            index = first_ready(w, slot, worker)
            while index != NONE:
                connection = w.connections[index]
                following = connection.next
                if connection.streams == 0 and now - connection.since >= policy.idle_timeout:
                    close(w, index)
                index = following


# --- who waits ----------------------------------------------------------------------------------------------------


@jit
def enqueue(w, pool_index, call):
    """Let a call wait for a connection."""
    pool = w.pools[pool_index]
    frame = w.frames[call]
    frame.previous = pool.tail
    frame.next = NONE
    if pool.tail == NONE:
        pool.head = call
    else:
        w.frames[pool.tail].next = call
    pool.tail = call
    pool.waiting += 1
    w.slots[pool.slot].waiting += 1
    w.upstreams[pool.upstream].pending += 1


@jit
def leave_queue(w, pool_index, call):
    """Take a waiting call out of its queue."""
    pool = w.pools[pool_index]
    frame = w.frames[call]
    if frame.previous == NONE:
        pool.head = frame.next
    else:
        w.frames[frame.previous].next = frame.next
    if frame.next == NONE:
        pool.tail = frame.previous
    else:
        w.frames[frame.next].previous = frame.previous
    frame.next = NONE
    frame.previous = NONE
    pool.waiting -= 1
    w.slots[pool.slot].waiting -= 1
    w.upstreams[pool.upstream].pending -= 1


@jit
def clear(w, pool_index):
    """Forget who waits in a pool that has no connections (any more)."""
    pool = w.pools[pool_index]
    w.upstreams[pool.upstream].pending -= pool.waiting
    w.slots[pool.slot].waiting -= pool.waiting
    pool.waiting = 0
    pool.head = NONE
    pool.tail = NONE
    _set_ready(w, pool.slot, pool.worker, NONE)
    pool.promised = 0
