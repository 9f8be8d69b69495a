"""An event of the calendar: how it is written down and copied."""

from __future__ import annotations

from meshsim.dataplane.jit import jit


@jit
def write(event, time, sequence, kind, subject, generation, extra):
    """Fill a place with an event."""
    event.time = time
    event.sequence = sequence
    event.kind = kind
    event.subject = subject
    event.generation = generation
    event.extra = extra


@jit
def copy(event, other):
    """Copy an event, field by field: as a whole it would be copied in bytes, which is slow to read again."""
    write(event, other.time, other.sequence, other.kind, other.subject, other.generation, other.extra)
