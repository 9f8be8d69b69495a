"""East-west gateways: TCP passthroughs that balance connections, not requests (spec §4.4).

A client keeps its connections through a gateway, and each stays on the pod that the gateway chose when it was opened:
HTTP/2 has one per worker thread of the client's proxy, HTTP/1.1 one per request at a time. Only the opening of a new
connection can meet a pod that is gone; as TLS runs end to end, the client then sees a failure to connect (UF), which
Istio's default policy retries. Measured on Envoy 1.40: docs/east-west-gateway.md.
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import GATEWAY_CONNECTIONS, NONE, SERVING


@jit
def connection_for(w, slot, http1, workers, u):
    """Return the connection that a request takes to a gateway address; none if all of HTTP/1.1's are busy.

    Connections of a slot stand side by side from ``w.slots[slot].connections`` on.
    """
    first = w.slots[slot].connections
    if first == NONE:
        first = w.clock[0].connections
        w.clock[0].connections += GATEWAY_CONNECTIONS
        w.slots[slot].connections = first
        close_all(w, slot)
    if http1 == 0:
        return first + int(u * max(1, min(workers, GATEWAY_CONNECTIONS)))
    for index in range(first, first + GATEWAY_CONNECTIONS):
        if w.connections[index].streams == 0:
            return index
    return NONE


@jit
def is_open(w, connection):
    """Return whether a connection still leads to a live pod through the replica it was opened by."""
    if connection == NONE:
        return False
    record = w.connections[connection]
    if record.pod == NONE or w.pods[record.pod].state != SERVING:
        return False
    replica = w.proxies[record.replica]
    return replica.alive == 1 and replica.life == record.life


@jit
def opened(w, connection, replica, pod):
    """Note the pod that a new connection stays on."""
    if connection != NONE:
        record = w.connections[connection]
        record.replica = replica
        record.life = w.proxies[replica].life
        record.pod = pod


@jit
def closed(w, connection):
    """Note that a connection is gone."""
    if connection != NONE:
        w.connections[connection].pod = NONE


@jit
def close_all(w, slot):
    """Forget the connections of a slot."""
    first = w.slots[slot].connections
    if first == NONE:
        return
    for index in range(first, first + GATEWAY_CONNECTIONS):
        w.connections[index].pod = NONE
        w.connections[index].streams = 0


@jit
def live_replica(w, address, u):
    """Return a live replica behind a gateway address, each as likely as the other; none if there is none."""
    gateway = w.gateways[address]
    live = 0
    for position in range(gateway.first, gateway.first + gateway.replicas):
        live += w.proxies[w.gateway_replicas[position]].alive
    chosen = int(u * live)
    for position in range(gateway.first, gateway.first + gateway.replicas):
        replica = w.gateway_replicas[position]
        if w.proxies[replica].alive == 1:
            if chosen == 0:
                return replica
            chosen -= 1
    return NONE
