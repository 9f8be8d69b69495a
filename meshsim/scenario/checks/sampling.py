"""Checks of time windows: they lie in the run, they save time, and what depends on load is named."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.happenings import can_be_listed
from meshsim.scenario.sampling import MOST_WINDOWS, is_meant, loaded, seconds, starts, windows
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import Path
from meshsim.units import format_duration

#: Share of the run with load on, from which windows save next to nothing.
NEARLY_ALL = 0.9


def sampled_events_exist(document: Document) -> Iterator[Finding]:
    """Yield events that windows are to be around, and that nothing in the timeline is called."""
    around = document.sample.around_events if document.sample is not None else None
    for index, pattern in enumerate(around.events if around is not None else ()):
        if pattern != "*" and not any(is_meant(event, pattern) for event in document.timeline):
            known = dict.fromkeys(name for event in document.timeline for name in (event.name, event.event) if name)
            yield unknown(("sample", "around_events", "events", index), "event", pattern, known)


def windows_lie_in_the_run(document: Document) -> Iterator[Finding]:
    """Yield windows outside of what is measured, and samples of nothing or of everything."""
    sample = document.sample
    if sample is None or not can_be_listed(document) or document.warm_up >= document.duration:
        return  # other checks say why
    for index, window in enumerate(sample.windows):
        path = ("sample", "windows", index)
        if window.at >= document.duration:
            message = f"{format_duration(window.at)} is not before the end of the run at"
            yield Finding((*path, "at"), f"{message} {format_duration(document.duration)}")
        elif window.every is None and window.at + window.duration <= document.warm_up:
            yield Finding((*path, "at"), "ends before the warm-up does, so that nothing of it counts")
        if window.every is not None and window.every <= window.duration:
            message = f"{format_duration(window.every)} is not longer than the duration, so that the load is always on"
            yield Finding((*path, "every"), message, warning=True)
        if len(list(starts(window, document.duration))) > MOST_WINDOWS:
            yield Finding((*path, "every"), f"gives more than {MOST_WINDOWS:,} windows")
            return
    if not any(sampled_events_exist(document)):  # or nothing is around what is said to be unknown
        yield from _worth_it(document)


def _worth_it(document: Document) -> Iterator[Finding]:
    counted, on = windows(document), loaded(document)
    if counted is None or on is None:
        return
    if not counted:
        message = "has no window, so that there would be no load at all; write windows: [{at: 1h, duration: 10m}]"
        yield Finding(("sample",), message)
    elif len(counted) > MOST_WINDOWS:
        yield Finding(("sample",), f"gives {len(counted):,} windows; at most {MOST_WINDOWS:,} are kept apart")
    elif (share := seconds(on, 0.0, document.duration) / document.duration) >= NEARLY_ALL:
        message = f"saves nothing, as the load is on for {share:.0%} of the run; without it everything counts"
        yield Finding(("sample",), message, warning=True)


def what_depends_on_load_is_named(document: Document) -> Iterator[Finding]:
    """Yield what does not go on between windows, or what goes on although it should not."""
    sample = document.sample
    if sample is None:
        return
    for path in _autoscaled(document):
        yield Finding(path, "is held between the windows of sample, where there is no load to scale by", warning=True)
    for key, entry in document.load.entries.items():
        if entry.arrivals == "closed":
            message = "goes on between the windows of sample: closed load cannot be left out"
            yield Finding(("load", key, "arrivals"), message, warning=True)
    if any(_has_key(resource, "outlierDetection") for resource in document.istio):
        message = (
            "ejects nobody between the windows of sample, where nothing fails: each lead-in"
            f" ({format_duration(sample.lead_in)}) begins without ejections but those that last"
        )
        yield Finding(("istio",), f"outlierDetection {message}", warning=True)


def _autoscaled(document: Document) -> Iterator[Path]:
    """Yield where the scenario asks for autoscalers; those that gateways have by default settle in the lead-in."""
    for field, gateways in (("ingress", document.ingress), ("gateways", document.gateways)):
        for name, one in gateways.items():
            if one.autoscale is not None and "autoscale" in one.model_fields_set:
                yield field, name, "autoscale"
    for name, service in document.services.items():
        if service.autoscale is not None:
            yield "services", name, "autoscale"


def _has_key(part: object, wanted: str) -> bool:
    if isinstance(part, dict):
        return wanted in part or any(_has_key(inner, wanted) for inner in part.values())
    return isinstance(part, list) and any(_has_key(inner, wanted) for inner in part)
