"""East-west gateways: TCP passthroughs that balance connections, not requests (spec §4.4).

A connection through a gateway stays on the pod that the gateway chose when it was opened; `meshsim.dataplane.pool`
keeps it like any other. Measured on Envoy 1.40: docs/east-west-gateway.md.
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NONE, SILENT


@jit
def address_of(host: int) -> int:
    """Return the gateway address that a slot's host, a negative number, stands for; and the host of an address."""
    return -host - 2


@jit
def zone_of(w, host):
    """Return the zone of a slot's host: of the pod, or of the gateway address."""
    return w.pods[host].zone if host >= 0 else w.gateways[address_of(host)].zone


@jit
def live_replica(w, address, u):
    """Return a live replica behind a gateway address, each as likely as the other; none if there is none to reach."""
    gateway = w.gateways[address]
    if gateway.closed != 0:
        return NONE
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


@jit
def is_black_hole(w, address):
    """Return whether a gateway address has gone without a word: what is sent to it, or comes from it, is lost."""
    return address != NONE and w.gateways[address].closed == SILENT


@jit
def gives_no_answer(w, address):
    """Return whether a gateway address that cannot be reached leaves new connections without an answer."""
    gateway = w.gateways[address]
    return gateway.closed == SILENT or (gateway.closed == 0 and gateway.down == SILENT)
