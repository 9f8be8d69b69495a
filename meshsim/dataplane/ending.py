"""Answers: back at the caller's proxy: outlier detection, retry or done, and what the caller does next."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import calendar as on
from meshsim.dataplane import circuit_breaking as breaker
from meshsim.dataplane import outlier_detection, pool, retry, trace
from meshsim.dataplane.calendar import schedule
from meshsim.dataplane.calling import serve_waiting
from meshsim.dataplane.draws import DECISION, uniforms
from meshsim.dataplane.frames import give_back, is_current
from meshsim.dataplane.jit import jit
from meshsim.dataplane.recorder import record_call
from meshsim.dataplane.serving import respond_or_join, run_script
from meshsim.dataplane.state import (
    DC,
    FI,
    FLAG,
    HERE,
    NO_FLAG,
    NONE,
    NR,
    PURGED,
    RETRY_OVERFLOW,
    UC,
    UF,
    URX,
    UT,
    WAITING,
)
from meshsim.dataplane.users import end_request


@jit
def on_response(w, index, now):
    """Take a response, unless the call gave up on this attempt."""
    serve = w.frames[index]
    call_index = serve.parent
    call = w.frames[call_index]
    code, flag = serve.code, serve.flag
    if is_current(w, serve):
        call.farthest = max(call.farthest, serve.farthest)
        if serve.closes == 1 and w.connections[call.connection].generation == call.opening:
            pool.leave(w, call.connection)
        give_back(w, index)
        end_attempt(w, call_index, code, flag, now)
    else:
        give_back(w, index)


@jit
def on_failed(w, index, extra, now):
    """End an attempt that got no response."""
    frame = w.frames[index]
    flag = extra & FLAG
    waiting = frame.slot != NONE or flag not in (UF, UC)
    if frame.attempt != extra // (FLAG + 1) or not waiting:
        return  # the attempt had timed out before
    end_attempt(w, index, own_code(w, frame, flag), flag, now)


@jit
def own_code(w, frame, flag):
    """Return the HTTP code of an answer that the proxy gives itself."""
    if flag == FI:
        return w.routes[frame.route].abort_code
    if flag == NO_FLAG or flag == NR:
        return w.routes[frame.route].direct
    return 503


@jit
def let_go(w, index, broken, now):
    """Give up the attempt's place at its host; a call that waited for its connection goes next."""
    frame = w.frames[index]
    slot = frame.slot
    if slot == NONE:
        return
    frame.slot = NONE
    state = frame.state
    frame.state = HERE
    host = w.slots[slot]
    if state == WAITING:
        pool.leave_queue(w, host.pools + frame.worker, index)
        return
    if state == PURGED:
        return
    up = w.upstreams[frame.upstream]
    up.active -= 1
    host.active -= 1
    connection = frame.connection
    frame.connection = NONE
    if w.connections[connection].generation == frame.opening:
        pool.detach(w, connection, w.policies[up.policy], broken, now)
    if host.waiting > 0 and w.pools[host.pools + frame.worker].head != NONE:
        serve_waiting(w, host.pools + frame.worker, now)


@jit
def leave_host(w, index, code, flag, now):
    """Give up the attempt's place at its host, and tell outlier detection how it ended if it got that far.

    Of what passes over a TCP connection a proxy sees nothing but that it could not connect.
    """
    frame = w.frames[index]
    slot = frame.slot
    waited = frame.state == WAITING
    abandoned = flag == UT or flag == DC  # HTTP/1.1 can abandon a request only with its connection
    http1 = frame.upstream != NONE and w.policies[w.upstreams[frame.upstream].policy].http1 == 1
    let_go(w, index, flag == UC or (abandoned and http1), now)
    if slot != NONE and not waited:
        if flag == UF or w.policies[w.upstreams[frame.upstream].policy].keeps_host == 0:
            outlier_detection.report(w, frame.upstream, slot, now, code, flag)
        if trace.sampled(w, frame.request):
            trace.note(w, trace.ATTEMPT_ENDED, index, w.slots[slot].host, NONE, code, flag, now)


@jit
def end_attempt(w, index, code, flag, now):
    """Give up the attempt's place, then retry or end the call."""
    frame = w.frames[index]
    slot = frame.slot
    leave_host(w, index, code, flag, now)
    if frame.holds_retry == 1 and frame.upstream != NONE and w.policies[w.upstreams[frame.upstream].policy].has_budget:
        frame.holds_retry = 0  # a budget is asked again for every retry
        w.upstreams[frame.upstream].retrying -= 1
    if (code >= 400 or flag != NO_FLAG) and frame.attempt > 0 and frame.mirrored == 0:
        up = w.upstreams[frame.upstream]
        policy = w.policies[up.policy]
        route = w.routes[frame.route]
        if route.retries > 0 and retry.matches(w, frame.route, w.services[up.service].grpc, code, flag):
            if frame.attempt > route.retries:
                flag |= URX
            elif frame.holds_retry == 0 and not breaker.may_retry(policy, up):
                flag |= RETRY_OVERFLOW
            else:
                retry_later(w, index, now)
                return
    end_call(w, index, slot, code, flag, now)


@jit
def retry_later(w, index, now):
    """Pause before the next attempt."""
    frame = w.frames[index]
    up = w.upstreams[frame.upstream]
    if frame.holds_retry == 0:
        frame.holds_retry = 1
        up.retrying += 1
    _, _, _, u = uniforms(w.keys, DECISION, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(0))
    if trace.sampled(w, frame.request):
        trace.note(w, trace.BACKED_OFF, index, NONE, NONE, 0, NO_FLAG, now)
    pause = retry.backoff(w.routes[frame.route], frame.attempt, u)
    schedule(w, now + pause, on.RETRY, index, frame.generation, frame.attempt)


@jit
def end_call(w, index, slot, code, flag, now):
    """Record a call, the last attempt of which stood on a ``slot``, and hand its result to whoever made it."""
    frame = w.frames[index]
    frame.code = code
    frame.flag |= flag
    if trace.sampled(w, frame.request):
        trace.note(w, trace.CALL_ENDED, index, frame.pod, NONE, code, frame.flag, now)
    if frame.holds_retry == 1:
        w.upstreams[frame.upstream].retrying -= 1
    record_call(w, index, slot, now)
    parent, parent_generation = frame.parent, frame.parent_generation
    if frame.source != NONE:
        end_request(w, index, now)
        return
    farthest = frame.farthest
    give_back(w, index)
    if parent == NONE or w.frames[parent].generation != parent_generation:
        return
    caller = w.frames[parent]
    caller.farthest = max(caller.farthest, farthest)
    call_returned(w, parent, code >= 400 or code <= 0, now)


@jit
def call_returned(w, index, failed, now):
    """Go on with the script of a caller whose call came back."""
    frame = w.frames[index]
    step = w.steps[frame.step]
    if failed and frame.pending < step.retries:
        frame.pending += 1
        run_script(w, index, now)
    elif failed and step.ignore == 0:
        frame.fail_code = 500
        respond_or_join(w, index, now)
    else:
        frame.pending = 0
        frame.left -= 1
        run_script(w, index, now)


@jit
def on_timeout(w, index, code, flag, now):
    """End a call whose route timeout passed (504 UT) or whose caller gave up (0 DC); no retry."""
    slot = w.frames[index].slot
    leave_host(w, index, code, flag, now)
    end_call(w, index, slot, code, flag, now)
