"""A pod: workers, one first-come first-served queue, and the steps of a request's script."""

from __future__ import annotations

import numpy as np

from meshsim.dataplane import trace
from meshsim.dataplane.calendar import COMPUTED, RESUME, schedule
from meshsim.dataplane.distributions import sample
from meshsim.dataplane.draws import DEMAND, uniforms
from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NONE


@jit
def occupy(w, pod, now, change):
    """Change how many workers are busy, keeping the time integral."""
    record = w.pods[pod]
    record.busy_area += record.busy * (now - record.busy_since)
    record.busy_since = now
    record.busy += change


@jit
def enqueue(w, pod, frame):
    """Put a frame at the end of a pod's queue."""
    record = w.pods[pod]
    w.frames[frame].next = NONE
    if record.tail == NONE:
        record.head = frame
    else:
        w.frames[record.tail].next = frame
    record.tail = frame
    record.queued += 1


@jit
def release_worker(w, pod, now):
    """Free a worker and give it to the frame that has waited longest."""
    occupy(w, pod, now, -1)
    record = w.pods[pod]
    first = record.head
    if first == NONE:
        return
    frame = w.frames[first]
    record.head = frame.next
    if record.head == NONE:
        record.tail = NONE
    record.queued -= 1
    occupy(w, pod, now, 1)
    if record.hold == 1:
        frame.holds_worker = 1
        schedule(w, now, RESUME, first, frame.generation, 0)
    else:
        if trace.sampled(w, frame.request):
            trace.note_work(w, trace.COMPUTING, first, now + frame.demand, now)
        schedule(w, now + frame.demand, COMPUTED, first, frame.generation, 0)


@jit
def compute(w, index, now, distribution):
    """Start a computation, or queue for a worker."""
    frame = w.frames[index]
    pod = frame.pod
    record = w.pods[pod]
    place = w.steps[frame.step].place
    u, _, _, _ = uniforms(w.keys, DEMAND, frame.request, frame.path, np.uint64(frame.attempt), np.uint64(place << 8))
    frame.demand = record.slow * sample(w, distribution, u, frame.request, frame.path, place << 8 | 1)
    w.clock[0].demand += frame.demand
    if trace.sampled(w, frame.request):
        queued = record.hold == 0 and record.busy >= record.workers
        trace.note_work(w, trace.QUEUED if queued else trace.COMPUTING, index, now + frame.demand, now)
    if record.hold == 1:
        schedule(w, now + frame.demand, COMPUTED, index, frame.generation, 0)
    elif record.busy < record.workers:
        occupy(w, pod, now, 1)
        schedule(w, now + frame.demand, COMPUTED, index, frame.generation, 0)
    else:
        enqueue(w, pod, index)
