"""Certificates: whom a proxy takes for whom it says it is (spec §5.2)."""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.pool import opener_of
from meshsim.dataplane.state import NONE


@jit
def takes(w, own, other, now):
    """Return whether a proxy takes the certificate of another: it is valid, and signed by a root that it trusts."""
    certificate = w.proxies[other]
    if certificate.root == NONE:
        return certificate.expires > now
    trusted = w.proxies[own].trusts & ~w.clock[0].expired_roots
    return certificate.expires > now and trusted >> certificate.root & 1 == 1


@jit
def client_of(w, connection):
    """Return the proxy that opened a connection."""
    return w.upstreams[opener_of(w, connection)].proxy


@jit
def client_agrees(w, connection, now):
    """Return whether the client of a connection takes the server's certificate."""
    return takes(w, client_of(w, connection), w.pods[connection.pod].proxy, now)


@jit
def server_agrees(w, connection, now):
    """Return whether the server of a connection takes the client's certificate."""
    return takes(w, w.pods[connection.pod].proxy, client_of(w, connection), now)
