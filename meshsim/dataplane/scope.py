"""What a proxy knows: its upstreams, one for each destination in its scope."""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NONE


@jit
def upstream_of(w, proxy_index, destination):
    """Return a proxy's upstream for a destination; none where it does not know it."""
    proxy = w.proxies[proxy_index]
    place = w.scopes[proxy.scope, destination]
    return proxy.first_upstream + place if place != NONE else NONE


@jit
def upstreams_of(w, proxy_index):
    """Return the numbers of all upstreams of a proxy."""
    proxy = w.proxies[proxy_index]
    return range(proxy.first_upstream, proxy.first_upstream + proxy.upstreams)
