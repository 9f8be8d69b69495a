"""What the tests of events read from a run."""

from __future__ import annotations


def told(tables, kind):
    """Return the times and names of the lines of one kind."""
    events = tables["events"]
    columns = zip(events["time"], events["kind"], events["subject"], strict=True)
    return [(time, subject) for time, each, subject in columns if each == kind]
