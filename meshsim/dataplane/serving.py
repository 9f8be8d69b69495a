"""Serving: the server's sidecar, the pod, the script of an operation and the response on its way back."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import pod, trace
from meshsim.dataplane.calendar import schedule
from meshsim.dataplane.calling import hold_back, new_call, start_call
from meshsim.dataplane.draws import FAILURE, SCRIPT, child, uniforms
from meshsim.dataplane.frames import give_back, is_current, take
from meshsim.dataplane.gateway import is_black_hole
from meshsim.dataplane.jit import jit
from meshsim.dataplane.network import pass_station, transit
from meshsim.dataplane.state import (
    BRANCH,
    CALL_OUT,
    COMPUTE,
    FORK,
    HELD,
    HERE,
    LOST,
    NONE,
    RETURNING,
    SERVING,
    SILENT,
    UC,
)


@jit
def on_server(w, index, now):
    """Pass a serve through the server's sidecar, if its pod still listens."""
    serve = w.frames[index]
    server = w.pods[serve.pod]
    if trace.sampled(w, serve.request):
        trace.note_serve(w, trace.AT_SERVER, index, now)
    if server.state == SILENT:
        hold_back(w, index, HELD, now)
        return
    if server.state != SERVING or serve.refused == 1 or (server.strict == 1 and is_plain(w, serve)):
        reset(w, index, now)
        return
    serve.state = HERE
    leaves = pass_station(w, server.proxy, serve.worker, now, serve.hop, serve.request, serve.path, serve.attempt)
    if leaves > now:
        schedule(w, leaves, on.AT_POD, index, serve.generation, 0)
    else:
        on_pod(w, index, now)


@jit
def is_plain(w, serve):
    """Return whether a request came in plain text, which a sidecar with STRICT mutual TLS resets."""
    return is_current(w, serve) and w.policies[w.upstreams[w.frames[serve.parent].upstream].policy].tls == 0


@jit
def on_pod(w, index, now):
    """Take a request into the pod: fail it, queue it, refuse it or start its script."""
    serve = w.frames[index]
    server = w.pods[serve.pod]
    if trace.sampled(w, serve.request):
        trace.note_serve(w, trace.AT_POD, index, now)
    if server.inbound_limit > 0:
        if server.inside >= server.inbound_limit:
            respond(w, index, 503, now)
            return
        server.inside += 1
        serve.inside = 1
    if serve.operation == NONE:
        respond(w, index, 404, now)
        return
    if server.fail_fraction + server.reset_fraction + server.hang_fraction > 0.0 or server.codes > 0:
        u, u_reset, u_hang, _ = uniforms(
            w.keys, FAILURE, serve.request, serve.path, np.uint64(serve.attempt), np.uint64(0)
        )
        if u_hang < server.hang_fraction:
            if trace.sampled(w, serve.request):
                trace.note_serve(w, trace.LOST, index, now)
            return
        if u_reset < server.reset_fraction:
            reset(w, index, now)
            return
        code = server.fail_code if u < server.fail_fraction else 0
        if server.codes > 0:
            code = w.attempt_codes[server.first_code + min(serve.attempt, server.codes) - 1]
        if code > 0 and server.fails_late == 1:
            serve.verdict = code
        elif code > 0:
            respond(w, index, code, now)
            return
    if server.queued >= server.limit and server.busy >= server.workers:
        respond(w, index, 503, now)
        return
    serve.step = w.scripts[serve.operation, server.workload]
    serve.left = NONE
    serve.fail_code = 0
    if server.hold == 1:
        if server.busy >= server.workers:
            pod.enqueue(w, serve.pod, index)
            return
        pod.occupy(w, serve.pod, now, 1)
        serve.holds_worker = 1
    run_script(w, index, now)


@jit
def run_script(w, index, now):
    """Go on with a script until it waits for something or ends."""
    while True:
        frame = w.frames[index]
        step = w.steps[frame.step]
        if step.kind == COMPUTE:
            pod.compute(w, index, now, step.distribution)
            return
        if step.kind == CALL_OUT:
            if call_out(w, index, step, now):
                return
        elif step.kind == FORK:
            fork(w, index, step, now)
            return
        elif frame.kind == BRANCH:
            index = join(w, index)
            if index == NONE:
                return
            if w.frames[index].fail_code > 0:
                respond_or_join(w, index, now)
                return
        else:
            respond(w, index, 200 if frame.verdict == 0 else frame.verdict, now)
            return


@jit
def call_out(w, index, step, now):
    """Make the calls of a step, one after the other; return whether the script has to wait."""
    frame = w.frames[index]
    while True:
        if frame.left == NONE:
            frame.left = repetitions(w, frame, step)
            frame.pending = 0
        if frame.left == 0:
            frame.left = NONE
            frame.step += 1
            return False
        path = child(frame.path, step.place, frame.left * 128 + frame.pending)
        proxy = w.pods[frame.pod].proxy
        waits = step.wait == 1
        configuration, row = w.proxies[proxy].configuration, step.route + frame.variant
        route, variant = w.resolved[configuration, row, 0], w.resolved[configuration, row, 1]
        call = new_call(w, index if waits else NONE, step.operation, route, variant, proxy, frame.request, path, now)
        if trace.sampled(w, frame.request):
            trace.note_began(w, call, frame.path, now)
        start_call(w, call, step.timeout, now)
        if waits:
            return True
        frame.left -= 1


@jit
def repetitions(w, frame, step):
    """Return how many calls a step makes: 1.6 is 1, and 2 in 60 % of cases; each is made with its probability."""
    count = int(step.count)
    rest = step.count - count
    if rest == 0.0 and step.probability >= 1.0:
        return count
    u, v, _, _ = uniforms(
        w.keys, SCRIPT, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(step.place << 16)
    )
    if u < rest:
        count += 1
    if step.probability >= 1.0:
        return count
    made = 1 if count > 0 and v < step.probability else 0
    for number in range(1, count):
        v, _, _, _ = uniforms(
            w.keys, SCRIPT, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(step.place << 16 | number)
        )
        made += 1 if v < step.probability else 0
    return made


@jit
def fork(w, index, step, now):
    """Start the branches of a step at once."""
    frame = w.frames[index]
    frame.pending = step.branches
    for number in range(step.first, step.first + step.branches):
        branch_index = take(w, BRANCH)
        branch = w.frames[branch_index]
        branch.parent = index
        branch.parent_generation = frame.generation
        branch.request = frame.request
        branch.path = frame.path
        branch.variant = frame.variant
        branch.attempt = frame.attempt
        branch.pod = frame.pod
        branch.gateway = NONE
        branch.step = w.branches[number]
        branch.left = NONE
        branch.fail_code = 0
        branch.holds_worker = 0
        schedule(w, now, on.RESUME, branch_index, branch.generation, 0)


@jit
def join(w, index):
    """End a branch; return its parent when that was the last one, else none."""
    branch = w.frames[index]
    parent = branch.parent
    stale = w.frames[parent].generation != branch.parent_generation
    farthest, fail_code = branch.farthest, branch.fail_code
    give_back(w, index)
    if stale:
        return NONE
    frame = w.frames[parent]
    frame.farthest = max(frame.farthest, farthest)
    frame.fail_code = max(frame.fail_code, fail_code)
    frame.pending -= 1
    if frame.pending > 0:
        return NONE
    frame.step += 1
    return parent


@jit
def respond_or_join(w, index, now):
    """End a serve or a branch that failed, and every branch that it thereby completes."""
    while w.frames[index].kind == BRANCH:
        index = join(w, index)
        if index == NONE:
            return
    respond(w, index, w.frames[index].fail_code, now)


@jit
def on_computed(w, index, now):
    """Free the worker and go on with the script."""
    frame = w.frames[index]
    if w.pods[frame.pod].hold == 0:
        pod.release_worker(w, frame.pod, now)
    frame.step += 1
    run_script(w, index, now)


@jit
def respond(w, index, code, now):
    """Send the response on its way back."""
    serve = w.frames[index]
    if serve.holds_worker == 1:
        serve.holds_worker = 0
        pod.release_worker(w, serve.pod, now)
    w.pods[serve.pod].served += 1
    serve.closes = w.pods[serve.pod].draining
    serve.code = code
    go_back(w, index, now)


@jit
def go_back(w, index, now):
    """Carry a response over the links; over a cut one it waits until the link is mended."""
    serve = w.frames[index]
    if serve.inside == 1:
        serve.inside = 0
        w.pods[serve.pod].inside -= 1
    if trace.sampled(w, serve.request) and w.frames[serve.parent].generation == serve.parent_generation:
        trace.note_serve(w, trace.ANSWERED, index, now)
    serve.state = RETURNING
    here, there = w.pods[serve.pod].zone, serve.home
    salt = serve.attempt * 8 + 7
    if serve.gateway == NONE:
        latency = transit(w, here, there, serve.jitter, serve.request, serve.path, salt)
    else:
        replica = w.proxies[serve.gateway]
        if replica.life != serve.life:
            serve.flag = UC
            serve.code = 503
        latency = transit(w, here, replica.zone, serve.jitter, serve.request, serve.path, salt)
        rest = transit(w, replica.zone, there, serve.jitter, serve.request, serve.path, salt + 100000)
        lost = is_black_hole(w, serve.address) and is_current(w, serve)
        latency = -1.0 if latency < 0.0 or rest < 0.0 or lost else latency + rest
    if latency < 0.0:
        hold_back(w, index, LOST, now)
    else:
        schedule(w, now + latency, on.RESPONSE, index, serve.generation, 0)


@jit
def reset(w, index, now):
    """Send a reset in place of an answer: the connection broke with the request on it (UC)."""
    serve = w.frames[index]
    serve.code = 503
    serve.flag = UC
    go_back(w, index, now)
