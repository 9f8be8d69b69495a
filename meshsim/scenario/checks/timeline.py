"""Checks of the timeline: every event happens within the run, to something that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from meshsim.errors import did_you_mean
from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.schema import Between, Document, LinkSlow, PodChurn, Target, TrafficSurge
from meshsim.scenario.selectors import matches, select_clusters, select_workloads, select_zones, workloads_of
from meshsim.scenario.tree import Path
from meshsim.units import format_duration

_PLACES = ("cluster", "region")
_PODS = ("service", "workload", "cluster", "region", "zone")
#: The selector fields that mean something to each event.
FIELDS: dict[str, tuple[str, ...]] = {
    "control_plane_down": ("control_plane", "cluster", "region"),
    "cluster_down": _PLACES,
    "zone_outage": ("zone", "region"),
    "region_outage": ("region",),
    "gateway_down": _PLACES,
    "link_slow": ("zone", "cluster", "region"),
    "link_lossy": ("zone", "cluster", "region"),
    "partition": ("zone", "cluster", "region"),
    "service_slow": _PODS,
    "service_failing": _PODS,
    "traffic_surge": _PLACES,
    "rollout": ("service", "workload", "cluster", "region"),
    "pod_churn": _PODS,
    "scale": ("service", "workload", "cluster", "region"),
}


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
        elif lasting is not None and event.start + lasting > end:
            over = format_duration(event.start + lasting)
            yield Finding((*path, "duration"), f"goes on to {over}; the run ends at {shown}", warning=True)


def events_change_something(document: Document) -> Iterator[Finding]:
    """Yield events that change nothing."""
    for index, event in enumerate(document.timeline):
        path = ("timeline", index)
        if isinstance(event, LinkSlow) and event.delay == 0 and event.factor == 1:
            yield Finding(path, "changes nothing; give a delay or a factor", warning=True)
        if isinstance(event, PodChurn) and event.rate == 0:
            yield Finding((*path, "rate"), "must be above 0/s")


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
            wrong = list(_meaningless(event.event, target, where))
            yield from wrong
            if not wrong:
                yield from _unmatched(document, target, where, FIELDS[event.event])


def _ends(target: Target | Between, path: Path) -> list[tuple[Path, Target]]:
    if isinstance(target, Between):
        return [((*path, "from"), target.from_), ((*path, "to"), target.to)]
    return [(path, target)]


def _meaningless(event: str, target: Target, path: Path) -> Iterator[Finding]:
    for name in Target.model_fields:
        if getattr(target, name) is not None and name not in FIELDS[event]:
            yield Finding((*path, name), f"means nothing to {event}; it takes {', '.join(FIELDS[event])}")


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


def _control_planes(document: Document) -> Iterator[str]:
    """Yield names that a control plane may have: those given, and those that presets take from clusters and regions."""
    for deployment in document.deployments.values():
        yield from deployment.control_planes
    if any(not deployment.control_planes for deployment in document.deployments.values()):
        yield from document.clusters
        yield from document.regions


_KNOWN: dict[str, Callable[[Document], Iterable[str]]] = {
    "cluster": lambda document: document.clusters,
    "region": lambda document: document.regions,
    "zone": _zones,
    "service": lambda document: document.services,
    "workload": lambda document: (name for service in document.services for name in workloads_of(document, service)),
    "control_plane": _control_planes,
}
