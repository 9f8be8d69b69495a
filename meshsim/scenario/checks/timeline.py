"""Checks of the timeline: every event happens within the run, to something that is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from meshsim.errors import did_you_mean
from meshsim.scenario.checks import control_planes
from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.happenings import MOST_HAPPENINGS, can_be_listed, happenings, times
from meshsim.scenario.schema import Between, Document, RemoteSecret, Rollout, Target, TimelineEvent, TrafficSurge
from meshsim.scenario.selectors import matches, select_clusters, select_workloads, select_zones, workloads_of
from meshsim.scenario.tree import Path
from meshsim.units import format_duration

_CONTROL = ("control_plane", "cluster", "region")
_PLACES = ("cluster", "region")
_LINKS = ("zone", "cluster", "region")
_PODS = ("service", "workload", "cluster", "region", "zone")
_DEPLOYMENTS = ("service", "workload", "cluster", "region")
#: The selector fields that mean something to each event.
FIELDS: dict[str, tuple[str, ...]] = {
    "control_plane_down": _CONTROL,
    "control_plane_crash_loop": _CONTROL,
    "control_plane_slow": _CONTROL,
    "control_plane_rollout": _CONTROL,
    "certificate_authority_down": _CONTROL,
    "root_change": _CONTROL,
    "root_expired": _CONTROL,
    "config_change": _CONTROL,
    "api_server_down": _PLACES,
    "remote_secret": ("cluster", "control_plane"),
    "cluster_down": _PLACES,
    "zone_outage": ("zone", "region"),
    "region_outage": ("region",),
    "gateway_down": ("cluster", "region", "control_plane"),
    "gateway_address_change": _PLACES,
    "link_slow": _LINKS,
    "link_lossy": _LINKS,
    "partition": _LINKS,
    "service_slow": _PODS,
    "service_failing": _PODS,
    "traffic_surge": _PLACES,
    "rollout": _DEPLOYMENTS,
    "pod_churn": _PODS,
    "scale": _DEPLOYMENTS,
}
#: What factors of events of a kind that overlap may multiply to.
LARGEST_FACTOR = 1e6
#: Events that make something so, for good where they have no duration: to do it again changes nothing.
_STATES = ("root_change", "config_change", "remote_secret", "scale")


def events_happen_within_the_run(document: Document) -> Iterator[Finding]:
    """Yield events that begin after the end or outlast the run, and a warm-up as long as the run."""
    end = document.duration
    shown = format_duration(end)
    if document.warm_up >= end:
        message = f"{format_duration(document.warm_up)} is not below the duration, {shown}"
        yield Finding(("warm_up",), message)
    for index, event in enumerate(document.timeline):
        path = ("timeline", index)
        lasting = getattr(event, "duration", None)
        if event.start >= end:
            message = f"{format_duration(event.start)} is not before the end of the run at {shown}"
            yield Finding((*path, "start"), message)
        elif lasting is not None and (over := _last(event, end) + lasting) > end and not _endless(event):
            yield Finding((*path, "duration"), f"goes on to {format_duration(over)}; the run ends at {shown}", True)


def _endless(event: TimelineEvent) -> bool:
    """Tell whether an event is repeated to the end of the run, where the last time may be cut off."""
    return event.repeat is not None and event.repeat.times is None


def _last(event: TimelineEvent, end: float) -> float:
    """Return when an event begins for the last time within the run."""
    return event.start + (times(event, end) - 1) * (event.repeat.every if event.repeat is not None else 0.0)


def repetitions_are_possible(document: Document) -> Iterator[Finding]:
    """Yield events that are repeated too often, or in vain."""
    total = 0
    for index, event in enumerate(document.timeline):
        path = ("timeline", index, "repeat")
        count = times(event, document.duration)
        total += count
        if total > MOST_HAPPENINGS and count > 1:
            message = f"{count:,} repetitions, {total:,} with those before; at most {MOST_HAPPENINGS:,} run"
            yield Finding(path, message)
        elif event.repeat is not None:
            yield from _repeated(event, count, path)


def _repeated(event: TimelineEvent, count: int, path: Path) -> Iterator[Finding]:
    if event.repeat is None:
        return
    lasting: float | None = getattr(event, "duration", None)
    if event.repeat.times is not None and 0 < count < event.repeat.times:
        message = f"only {count} of {event.repeat.times} times begin before the end of the run"
        yield Finding((*path, "times"), message, warning=True)
    if lasting is None and event.event in _STATES and count > 1:
        message = f"changes nothing the second time: {event.event} is for good; give it a duration"
        yield Finding(path, message, warning=True)
    if lasting is not None and lasting > event.repeat.every and count > 1:
        message = f"{format_duration(event.repeat.every)} is shorter than the duration, {format_duration(lasting)}: "
        yield Finding((*path, "every"), message + "each time overlaps the next", warning=True)


def factors_stay_finite(document: Document) -> Iterator[Finding]:
    """Yield events whose factor, with those of its kind that overlap it, repetitions included, is beyond all sense."""
    running: dict[str, list[tuple[float, float]]] = {}
    if not can_be_listed(document):
        return  # which is said already
    for happening in sorted(happenings(document), key=lambda one: one.start):
        factor = getattr(happening.event, "factor", 1.0)
        if factor <= 1.0 or happening.end is None:
            continue
        here = [(end, other) for end, other in running.get(happening.event.event, []) if end > happening.start]
        here.append((happening.end, factor))
        running[happening.event.event] = here
        product = math.prod(other for _, other in here)
        if product > LARGEST_FACTOR:
            message = f"overlaps others of its kind: at {format_duration(happening.start)} their factors multiply to "
            message += f"{product:.3g}; at most {LARGEST_FACTOR:,.0f} is run"
            yield Finding(("timeline", happening.index), message)
            return


def events_change_something(document: Document) -> Iterator[Finding]:
    """Yield events that change nothing."""
    for index, event in enumerate(document.timeline):
        path = ("timeline", index)
        match event.event:
            case "link_slow":
                if event.delay == 0 and event.factor == 1 and event.jitter == 0:
                    yield Finding(path, "changes nothing; give a delay, a jitter or a factor", warning=True)
            case "service_slow" | "control_plane_slow" | "traffic_surge":
                if event.factor == 1:
                    yield Finding((*path, "factor"), "changes nothing", warning=True)
            case "pod_churn":
                if event.rate == 0:
                    yield Finding((*path, "rate"), "must be above 0/s")
            case "remote_secret":
                yield from _secret(event, path)


def _secret(event: RemoteSecret, path: Path) -> Iterator[Finding]:
    if not event.picked_up and event.change != "rotated":
        message = f"has no effect: no new secret is there to be read when one is {event.change}"
        yield Finding((*path, "picked_up"), message, warning=True)
    elif event.picked_up and event.change == "rotated" and event.duration is not None:
        message = "has no effect: a rotated secret that istiod reads at once is a good one"
        yield Finding((*path, "duration"), message, warning=True)


def surges_meet_open_load(document: Document) -> Iterator[Finding]:
    """Yield surges of clusters that no open load enters by."""
    entries = document.load.entries.values()
    for index, event in enumerate(document.timeline):
        clusters = select_clusters(document, event.target) if isinstance(event, TrafficSurge) else []
        entering = [entry for entry in entries if any(entry.enters.get(name, not entry.enters) for name in clusters)]
        if clusters and all(entry.arrivals == "closed" for entry in entering):
            why = "only closed load enters" if entering else "no load enters"
            message = f"has no effect: it multiplies rates, and {why} by {', '.join(clusters)}"
            yield Finding(("timeline", index), message, warning=True)


def targets_match_something(document: Document) -> Iterator[Finding]:
    """Yield selectors with fields that mean nothing to their event, or that match nothing."""
    for index, event in enumerate(document.timeline):
        path = ("timeline", index, "target")
        ends = _ends(event.target, path)
        for where, target in ends:
            fields = _fields(event)
            wrong = list(_meaningless(event.event, target, where, fields))
            yield from wrong
            if not wrong:
                yield from _unmatched(document, target, where, fields)


def _fields(event: TimelineEvent) -> tuple[str, ...]:
    """Return the selector fields that mean something to an event; gateways are found by their place."""
    return _PLACES if isinstance(event, Rollout) and event.gateway is not None else FIELDS[event.event]


def _ends(target: Target | Between, path: Path) -> list[tuple[Path, Target]]:
    if isinstance(target, Between):
        return [((*path, "from"), target.from_), ((*path, "to"), target.to)]
    return [(path, target)]


def _meaningless(event: str, target: Target, path: Path, fields: tuple[str, ...]) -> Iterator[Finding]:
    for name in Target.model_fields:
        if getattr(target, name) is not None and name not in fields:
            yield Finding((*path, name), f"means nothing to {event}; it takes {', '.join(fields)}")


def _unmatched(document: Document, target: Target, path: Path, fields: Iterable[str]) -> Iterator[Finding]:
    """Yield the fields that match nothing by themselves, or else the selector if nothing matches all of it."""
    alone = False
    for name in fields:
        pattern, known = getattr(target, name), list(_KNOWN[name](document))
        if pattern is not None and not any(matches(pattern, word) for word in known):
            alone = True
            yield Finding((*path, name), f"{pattern!r} matches nothing{did_you_mean(pattern, _offered(name, known))}")
    pods = "service" in fields
    places = select_clusters(document, target) or select_zones(document, target)
    found = select_workloads(document, target) if pods else places
    if not alone and not found:
        given = {name: getattr(target, name) for name in fields if getattr(target, name) is not None}
        shown = ", ".join(f"{name}: {pattern}" for name, pattern in given.items())
        yield Finding(path, f"nothing matches all of {{{shown}}}")


def _offered(name: str, known: list[str]) -> list[str]:
    """Return the names to suggest: zones with their region only."""
    return [word for word in known if "/" in word] if name == "zone" else known


def _zones(document: Document) -> Iterator[str]:
    for name, region in document.regions.items():
        for zone in region.zones:
            yield from (f"{name}/{zone}", zone)


_KNOWN: dict[str, Callable[[Document], Iterable[str]]] = {
    "cluster": lambda document: document.clusters,
    "region": lambda document: document.regions,
    "zone": _zones,
    "service": lambda document: document.services,
    "workload": lambda document: (name for service in document.services for name in workloads_of(document, service)),
    "control_plane": control_planes.names,
}
