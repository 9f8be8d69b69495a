"""Connections in use: opened, refused, broken, and what passes over them through an east-west gateway."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import certificates, connecting, outlier_detection, pool, trace
from meshsim.dataplane.calling import attempt_fails, goes_to, hold_back, serve_waiting, travel
from meshsim.dataplane.draws import NETWORK, uniforms
from meshsim.dataplane.frames import give_back, is_current
from meshsim.dataplane.gateway import is_black_hole, zone_of
from meshsim.dataplane.jit import jit
from meshsim.dataplane.network import occupy_worker, pass_station
from meshsim.dataplane.serving import reset
from meshsim.dataplane.state import CALL, CONNECTING, HELD, LOST, NONE, ON_THE_WAY, PURGED, SERVE, UC, UF


@jit
def on_connected(w, index, now):
    """Take a new connection into use: the client's worker thread verifies the certificate, and requests go out."""
    connection = w.connections[index]
    if connecting.is_cut_off(w, connection):
        on_not_connected(w, index, now)
        return
    pool_index = pool.pool_of(w, connection)
    upstream = w.pools[pool_index].upstream
    up = w.upstreams[upstream]
    start = now
    if w.policies[up.policy].tls == 1:
        if not certificates.client_agrees(w, connection, now):
            on_not_connected(w, index, now)
            return
        connection.leg = now  # with TLS a gateway is connected to the pod when the client is
        proxy = w.proxies[up.proxy]
        start = occupy_worker(w, up.proxy, connection.worker, now, proxy.handshake)
        start += proxy.handshake if proxy.workers > 0 else 0.0
        connecting.show_certificate(w, index, start)
    pool.opened(w, index, now)
    if w.policies[up.policy].keeps_host == 1:
        outlier_detection.report_connected(w, upstream, connection.slot, now)
    trace.note_connection(w, index, trace.CONNECTED, now)
    serve_waiting(w, pool_index, start)
    pool.close_outdated(w, index)


@jit
def on_not_connected(w, index, now):
    """Give up a connection that was refused or got no answer: every request that waits in its pool fails (UF)."""
    connection = w.connections[index]
    if connection.state != CONNECTING:
        return
    trace.note_connection(w, index, trace.NOT_CONNECTED, now)
    pool_index = pool.pool_of(w, connection)
    waits = w.pools[pool_index]
    while waits.head != NONE:
        call = waits.head
        pool.leave_queue(w, pool_index, call)
        w.frames[call].state = PURGED
        fail_purged(w, call, now)
    pool.close(w, index)


@jit
def fail_purged(w, index, now):
    """Let a request that got no connection fail, as one to where it was meant to go."""
    frame = w.frames[index]
    host = w.slots[frame.slot].host
    goes_to(w, index, host if host >= 0 else NONE, zone_of(w, host))
    attempt_fails(w, index, UF, now)


@jit
def on_broken(w, index, given_up, now):
    """Reset a connection that the other end closed, or that TCP has given up; the requests on it fail (UC)."""
    connection = w.connections[index]
    if given_up == 1 and (connection.breaks == 0.0 or now < connection.breaks):
        return  # the way was mended before
    for number in range(w.clock[0].used):
        frame = w.frames[number]
        if frame.kind == CALL and frame.connection == index and frame.opening == connection.generation:
            attempt_fails(w, number, UC, now)
        elif frame.kind == SERVE and (frame.state == HELD or frame.state == LOST):
            if is_on(w, frame, index) or not is_current(w, frame):
                give_back(w, number)
    pool_index = pool.pool_of(w, connection)
    pool.broke(w, index)
    if w.pools[pool_index].head != NONE:
        serve_waiting(w, pool_index, now)


@jit
def is_on(w, serve, connection):
    """Return whether a serve's caller waits for it on this connection."""
    return is_current(w, serve) and w.frames[serve.parent].connection == connection


@jit
def on_leg(w, index, now):
    """Let a gateway's connection to a pod be answered; in plain text, requests may have come before it stood."""
    connecting.on_leg(w, index, now)
    leg = w.connections[index].leg
    if leg > 0.0:
        for number in range(w.clock[0].used):
            serve = w.frames[number]
            if serve.kind == SERVE and serve.state == HELD and serve.gateway != NONE and is_on(w, serve, index):
                serve.state = ON_THE_WAY
                leave_gateway(w, number, leg)


@jit
def on_gateway(w, index, now):
    """Pass a serve through the gateway's replica that its connection is on."""
    serve = w.frames[index]
    replica = w.proxies[serve.proxy]
    if not is_current(w, serve):
        give_back(w, index)
        return
    if trace.sampled(w, serve.request):
        trace.note_serve(w, trace.AT_GATEWAY, index, now)
    connection = w.connections[w.frames[serve.parent].connection]
    if (replica.alive == 0 and replica.silent == 1) or is_black_hole(w, connection.address):
        hold_back(w, index, HELD, now)
        return
    serve.gateway = serve.proxy
    if replica.life != connection.replica_life:
        reset(w, index, now)
        return
    serve.life = replica.life
    u_hop, _, _, _ = uniforms(w.keys, NETWORK, serve.request, serve.path, np.uint64(serve.attempt), np.uint64(1))
    leaves = pass_station(
        w, serve.proxy, connection.replica_worker, now, u_hop, serve.request, serve.path, serve.attempt
    )  # fmt: skip
    if connection.leg == 0.0 and pool.policy_of(w, connection).tls == 0:
        serve.state = HELD  # the gateway is not connected to the pod yet
    elif connection.leg >= 0.0:
        leave_gateway(w, index, max(leaves, connection.leg))
    else:
        serve.pod = NONE
        hold_back(w, index, HELD, now)  # the gateway found no pod: its reset is on the way to the client


@jit
def leave_gateway(w, index, leaves):
    """Send a serve from the gateway to the pod that its connection is on."""
    serve = w.frames[index]
    connection = w.connections[w.frames[serve.parent].connection]
    if serve.pod != connection.pod:
        serve.pod = connection.pod
        serve.worker = connection.server_worker
        goes_to(w, serve.parent, serve.pod, connection.zone)
    if trace.sampled(w, serve.request):
        trace.note_serve(w, trace.LEFT_GATEWAY, index, leaves)
    travel(w, index, w.proxies[serve.gateway].zone, connection.zone, leaves, on.AT_SERVER)
