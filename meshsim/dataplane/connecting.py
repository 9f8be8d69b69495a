"""How a connection is opened: TCP and TLS handshakes, directly or through an east-west gateway (spec §3.6, §4.4).

Directly, a new connection costs one round trip for TCP and one for TLS 1.3. A gateway reads the ClientHello before it
connects to a pod of its choice, so both legs cost two. Source: arithmetic of RFC 9293 and RFC 8446.

Both ends look at the other's certificate then, and never again. The client does before it sends anything; the server
when the client's requests are already on their way (docs/identity.md).
"""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import certificates, gateway, outlier_detection, pool, trace
from meshsim.dataplane import circuit_breaking as breaker
from meshsim.dataplane.calendar import schedule
from meshsim.dataplane.draws import CONNECTION, DECISION, GATEWAY_PICK, NETWORK, normal, uniforms
from meshsim.dataplane.jit import jit
from meshsim.dataplane.load_balancing import choose
from meshsim.dataplane.network import is_cut, network_draws, occupy_worker, pass_station, transit
from meshsim.dataplane.scope import upstream_of
from meshsim.dataplane.state import GONE, NONE, SERVING, SILENT, UF

#: Where the salts of a connection's messages begin, apart from those of requests.
_SALT = 1 << 20
#: The same for the first flight after the handshake, which shows the client's certificate, and the alert that answers.
_SHOWN = 1 << 16


@jit
def open_needed(w, pool_index, opener, now):
    """Open connections for the requests of a pool that none of those being opened will take."""
    waits = w.pools[pool_index]
    up = w.upstreams[waits.upstream]
    policy = w.policies[up.policy]
    # Where it takes no time to open one, it is open already.
    while waits.waiting > waits.promised and pool.first_ready(w, waits.slot, waits.worker) == NONE:
        if not breaker.may_connect(policy, up, waits):
            pool.drop_idle(w, up, now)
            if not breaker.may_connect(policy, up, waits):
                return
        if w.clock[0].free_connection == NONE and w.clock[0].connections == len(w.connections):
            return  # the rest are opened when the next one asks
        start(w, pool_index, policy, opener, now)


@jit
def start(w, pool_index, policy, opener, now):
    """Send the first packet of a new connection; its latencies are drawn for the call that asked for it."""
    waits = w.pools[pool_index]
    host = w.slots[waits.slot].host
    index = pool.take(w, pool_index, _requests_at_once(w, policy, host))
    connection = w.connections[index]
    frame = w.frames[opener]
    connection.request, connection.path, connection.attempt = frame.request, frame.path, frame.attempt
    _, _, u_jitter, _ = network_draws(w, frame)
    connection.jitter = normal(u_jitter)
    u_server, u_replica, u_worker, _ = uniforms(
        w.keys, DECISION, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(CONNECTION)
    )
    here = w.proxies[w.upstreams[waits.upstream].proxy].zone
    if host >= 0:
        connection.pod = host
        connection.zone = w.pods[host].zone
        latency = _one_way(w, connection, here, connection.zone, 0)
        _meet(w, connection, u_server)
        if latency == 0.0 and policy.tls == 0 and w.pods[host].state == SERVING:
            pool.opened(w, index, now)  # nothing takes time here
            trace.note_connection(w, index, trace.CONNECTED, now)
            return
    else:
        connection.address = gateway.address_of(host)
        connection.replica = gateway.live_replica(w, connection.address, u_replica)
        if connection.replica == NONE:
            _no_gateway(w, index, here, now)
            return
        replica = w.proxies[connection.replica]
        connection.replica_life = replica.life
        connection.replica_worker = int(u_worker * replica.threads)
        connection.server_worker = int(u_server * 1024.0)  # of the pod's, when it is known
        latency = _one_way(w, connection, here, replica.zone, 0)
    if latency >= 0.0:
        schedule(w, now + latency, on.SYN, index, connection.generation, 0)
    schedule(w, now + policy.connect_timeout, on.NOT_CONNECTED, index, connection.generation, 0)


@jit
def _requests_at_once(w, policy, host):
    """Return how many requests a fresh connection takes at a time (ActiveClient::effectiveConcurrentStreamLimit)."""
    if policy.http1 == 1:
        return np.int64(1)
    limit = policy.max_streams
    # What is behind a gateway takes mutual TLS, so it has a sidecar.
    if host < 0 or w.proxies[w.pods[host].proxy].workers > 0:
        limit = min(limit, w.services[policy.service].max_streams)
    return limit if policy.requests_per_connection == 0 else min(limit, policy.requests_per_connection)


@jit
def _no_gateway(w, index, here, now):
    """Refuse a connection to an address without a live replica, or leave it without an answer."""
    connection = w.connections[index]
    address = w.gateways[connection.address]
    policy = pool.policy_of(w, connection)
    way = _there_and_back(
        _one_way(w, connection, here, address.zone, 0), _one_way(w, connection, address.zone, here, 1)
    )
    silent = gateway.gives_no_answer(w, connection.address) or way < 0.0
    when = now + (policy.connect_timeout if silent else way)
    schedule(w, when, on.NOT_CONNECTED, index, connection.generation, 0)


@jit
def _one_way(w, connection, here, there, stage):
    return transit(
        w, here, there, connection.jitter, connection.request, connection.path,
        _SALT + connection.attempt * 64 + connection.tries * 8 + stage,
    )  # fmt: skip


@jit
def _meet(w, connection, u):
    """Choose the worker thread of the server's sidecar that accepts a connection."""
    connection.server_worker = int(u * w.proxies[w.pods[connection.pod].proxy].threads)


@jit
def back_to_client(w, connection, zone):
    """Return how long an answer takes to the client of a connection, seconds; negative where it does not get there."""
    return _last_leg(w, connection, zone, 1)


@jit
def _last_leg(w, connection, zone, stage):
    if gateway.is_black_hole(w, connection.address):
        return -1.0
    return _one_way(w, connection, zone, _client_zone(w, connection), stage)


@jit
def reaches_client(w, connection, zone):
    """Return whether what is sent from a zone, over a connection, gets to its client now."""
    if gateway.is_black_hole(w, connection.address):
        return False
    client = _client_zone(w, connection)
    if connection.address == NONE:
        return not is_cut(w, zone, client)
    replica = w.proxies[connection.replica].zone
    return not is_cut(w, zone, replica) and not is_cut(w, replica, client)


@jit
def _client_zone(w, connection):
    return w.proxies[certificates.client_of(w, connection)].zone


@jit
def _then(w, index, kind, when, latency):
    """Let something happen to a connection after a message that takes ``latency``, unless its way is cut."""
    if latency >= 0.0:
        schedule(w, when + latency, kind, index, w.connections[index].generation, 0)


@jit
def _there_and_back(there, back):
    return there + back if there >= 0.0 and back >= 0.0 else -1.0


# --- directly -----------------------------------------------------------------------------------------------------


@jit
def on_syn(w, index, now):
    """Answer the first packet: at the pod, or at the gateway's replica."""
    connection = w.connections[index]
    if connection.address != NONE:
        _gateway_accepts(w, index, now)
        return
    server = w.pods[connection.pod]
    if server.state == SILENT:
        return
    client = _client_zone(w, connection)
    back = back_to_client(w, connection, server.zone)
    if server.state != SERVING:
        _then(w, index, on.NOT_CONNECTED, now, back)
    elif pool.policy_of(w, connection).tls == 0:
        _then(w, index, on.CONNECTED, now, back)
    else:
        _then(w, index, on.HELLO, now, _there_and_back(back, _one_way(w, connection, client, server.zone, 2)))


@jit
def on_hello(w, index, now):
    """Take a ClientHello: the pod's sidecar answers it, a gateway connects to a pod first."""
    connection = w.connections[index]
    if connection.address != NONE:
        if not _replica_lives(w, index, now):
            return
        u, _, _, _ = uniforms(
            w.keys, NETWORK, connection.request, connection.path, np.uint64(connection.attempt), np.uint64(2)
        )
        leaves = pass_station(
            w, connection.replica, connection.replica_worker, now, u, connection.request, connection.path,
            connection.attempt,
        )  # fmt: skip
        _choose_pod(w, index, leaves)
        return
    back = _one_way(w, connection, w.pods[connection.pod].zone, _client_zone(w, connection), 3)
    _serve_hello(w, index, now, back)


@jit
def _serve_hello(w, index, now, back):
    """Let the server's sidecar sign: the handshake occupies its worker thread."""
    connection = w.connections[index]
    server = w.pods[connection.pod]
    if server.state == SILENT:
        return
    if server.state != SERVING:
        _then(w, index, on.NOT_CONNECTED, now, back)
        return
    seconds = w.proxies[server.proxy].handshake
    start = occupy_worker(w, server.proxy, connection.server_worker, now, seconds)
    _then(w, index, on.CONNECTED, start + (seconds if w.proxies[server.proxy].workers > 0 else 0.0), back)


# --- certificates -------------------------------------------------------------------------------------------------


@jit
def show_certificate(w, index, now):
    """Let the server look at the client's certificate; the client counts as connected meanwhile (TLS 1.3).

    If the server does not take it, it resets whatever came with it, and then the connection.
    """
    connection = w.connections[index]
    if certificates.server_agrees(w, connection, now):
        return
    connection.refused = 1
    here, there = _client_zone(w, connection), w.pods[connection.pod].zone
    if connection.address == NONE:
        way = _there_and_back(
            _one_way(w, connection, here, there, _SHOWN), _one_way(w, connection, there, here, _SHOWN + 1)
        )
    else:
        replica = w.proxies[connection.replica].zone
        way = _there_and_back(
            _there_and_back(
                _one_way(w, connection, here, replica, _SHOWN), _one_way(w, connection, replica, there, _SHOWN + 1)
            ),
            _there_and_back(
                _one_way(w, connection, there, replica, _SHOWN + 2), _last_leg(w, connection, replica, _SHOWN + 3)
            ),
        )
    _then(w, index, on.BROKEN, now, way)


# --- through a gateway --------------------------------------------------------------------------------------------


@jit
def _replica_lives(w, index, now):
    """Return whether the replica that a connection is meant for still answers; a refusal goes back to the client."""
    connection = w.connections[index]
    if gateway.is_black_hole(w, connection.address):
        return False
    replica = w.proxies[connection.replica]
    if replica.alive == 1 and replica.life == connection.replica_life:
        return True
    if replica.silent == 0:
        _then(w, index, on.NOT_CONNECTED, now, back_to_client(w, connection, replica.zone))
    return False


@jit
def _gateway_accepts(w, index, now):
    connection = w.connections[index]
    if not _replica_lives(w, index, now):
        return
    replica, client = w.proxies[connection.replica].zone, _client_zone(w, connection)
    back = back_to_client(w, connection, replica)
    if pool.policy_of(w, connection).tls == 1:
        _then(w, index, on.HELLO, now, _there_and_back(back, _one_way(w, connection, client, replica, 2)))
    else:
        _then(w, index, on.CONNECTED, now, back)
        _choose_pod(w, index, now)


@jit
def _choose_pod(w, index, now):
    """Let the gateway choose a pod and connect to it: blind to HTTP, by its own load balancer."""
    connection = w.connections[index]
    asked = w.upstreams[pool.opener_of(w, connection)].policy
    own = w.known_as[w.proxies[connection.replica].configuration, asked]  # the client names a service and a subset
    upstream = upstream_of(w, connection.replica, own) if own != NONE else NONE
    policy = pool.policy_of(w, connection)
    slot = NONE
    if upstream != NONE:
        u0, u1, u2, _ = uniforms(
            w.keys, DECISION, connection.request, connection.path,
            np.uint64(connection.attempt), np.uint64(GATEWAY_PICK + connection.tries),
        )  # fmt: skip
        slot = choose(w, upstream, connection.replica_worker, 0, np.uint64(0), u0, u1, u2, 0)
    # A connection counts from its first try on.
    if slot == NONE or (
        connection.gateway_upstream == NONE
        and w.upstreams[upstream].connections >= w.policies[w.upstreams[upstream].policy].max_connections
    ):
        connection.tries = policy.connect_attempts
        connection.leg_slot = NONE
        schedule(w, now, on.LEG_FAILED, index, connection.generation, 0)
        return
    if connection.gateway_upstream == NONE:
        connection.gateway_upstream = upstream
        w.upstreams[upstream].connections += 1
    connection.tries += 1
    connection.leg_slot = slot
    connection.pod = w.slots[slot].host
    connection.zone = w.pods[connection.pod].zone
    threads = w.proxies[w.pods[connection.pod].proxy].threads
    connection.server_worker = connection.server_worker % threads
    latency = _one_way(w, connection, w.proxies[connection.replica].zone, w.pods[connection.pod].zone, 4)
    if latency >= 0.0:
        schedule(w, now + latency, on.LEG, index, connection.generation, 0)
    else:
        _leg_times_out(w, index, now)


@jit
def _leg_times_out(w, index, now):
    connection = w.connections[index]
    pause = w.policies[w.upstreams[connection.gateway_upstream].policy].connect_timeout
    schedule(w, now + pause, on.LEG_FAILED, index, connection.generation, 0)


@jit
def on_leg(w, index, now):
    """Answer the gateway's first packet at the pod; with TLS the ClientHello follows."""
    connection = w.connections[index]
    server = w.pods[connection.pod]
    replica = w.proxies[connection.replica].zone
    if server.state == SILENT:
        _leg_times_out(w, index, now)
        return
    back = _one_way(w, connection, server.zone, replica, 5)
    if server.state != SERVING:
        _then(w, index, on.LEG_FAILED, now, back)
        return
    if back < 0.0:
        _leg_times_out(w, index, now)
        return
    outlier_detection.report_connected(w, connection.gateway_upstream, connection.leg_slot, now)
    if pool.policy_of(w, connection).tls == 1:
        _then(w, index, on.LEG_HELLO, now, _there_and_back(back, _one_way(w, connection, replica, server.zone, 6)))
    else:
        connection.leg = now + back


@jit
def on_leg_hello(w, index, now):
    """Let the pod's sidecar answer a ClientHello that came through a gateway."""
    connection = w.connections[index]
    replica = w.proxies[connection.replica].zone
    near = _one_way(w, connection, w.pods[connection.pod].zone, replica, 7)
    far = _last_leg(w, connection, replica, 3)
    _serve_hello(w, index, now, _there_and_back(near, far))


@jit
def on_leg_failed(w, index, now):
    """Try another pod, or let the client know: a failure to connect, or a reset where it thinks it is connected."""
    connection = w.connections[index]
    policy = pool.policy_of(w, connection)
    if connection.leg_slot != NONE:
        outlier_detection.report(w, connection.gateway_upstream, connection.leg_slot, now, 503, UF)
    if connection.tries < policy.connect_attempts:
        _choose_pod(w, index, now)
        return
    back = back_to_client(w, connection, w.proxies[connection.replica].zone)
    if policy.tls == 1:
        _then(w, index, on.NOT_CONNECTED, now, back)
    else:
        connection.pod = NONE
        connection.leg = -1.0
        _then(w, index, on.BROKEN, now, back)


@jit
def is_cut_off(w, connection):
    """Return whether a connection's far end has gone since: the pod, or the gateway's replica."""
    if connection.pod != NONE and w.pods[connection.pod].state == GONE:
        return True
    if connection.address == NONE:
        return False
    replica = w.proxies[connection.replica]
    return replica.life != connection.replica_life
