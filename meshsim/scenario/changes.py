"""Changes of configuration: who takes which when, and every configuration that proxies can come to have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from meshsim.errors import Problem
from meshsim.scenario.checks.configuration import Key, key_of, parse_key
from meshsim.scenario.happenings import Happening, happenings
from meshsim.scenario.istio import IstioResources, read_resources
from meshsim.scenario.manifests import UNREAD
from meshsim.scenario.requests import EAST_WEST_LABELS, INGRESS_LABELS, INGRESS_NAMESPACE, labels_of
from meshsim.scenario.schema import ConfigChange, Document
from meshsim.scenario.selectors import Controls, select_control_planes, workloads_of
from meshsim.scenario.tree import Node, Path

#: Kinds of resources that have an effect when a change applies or deletes them.
EFFECTIVE = ("DestinationRule", "VirtualService")
_NO_EFFECT = f"has no effect in a config_change: only {' and '.join(f'{kind}s' for kind in EFFECTIVE)} have"

#: Gives the control planes of a deployment.
PlanesOf: TypeAlias = Callable[[Document, str], Sequence[Controls]]


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One control plane's part in a change.

    Parameters
    ----------
    time
        When a user applies it, or takes it back, seconds.
    control_plane
        Whose configuration changes.
    change
        Number of the change: that of its happening.
    applied
        Whether it is applied; otherwise taken back.
    """

    time: float
    control_plane: str
    change: int
    applied: bool


@dataclass(frozen=True, slots=True)
class Configurations:
    """Every configuration that can be reached.

    Parameters
    ----------
    paths
        Of each configuration: where its resources stand in the document, in order. Number 0 is the base.
    events
        Of each configuration: places in the timeline of the changes that make it, in the order in which they count.
    rejected
        Numbers of the changes that proxies reject.
    """

    paths: tuple[tuple[Path, ...], ...]
    events: tuple[tuple[int, ...], ...]
    rejected: frozenset[int]
    _numbers: Mapping[tuple[int, ...], int] = field(repr=False)
    _event_of: Mapping[int, int] = field(repr=False)

    def number(self, applied: Sequence[int]) -> int:
        """Return the number of the configuration with these changes in force.

        Parameters
        ----------
        applied
            Numbers of changes in the order in which they were applied, without those that were taken back, and
            without those that proxies reject.

        Raises
        ------
        KeyError
            If no control plane ever gets there.
        """
        return self._numbers[_latest([self._event_of[change] for change in applied])]


# --- who takes what when ------------------------------------------------------------------------------------


def planned(document: Document, planes: Sequence[Controls] | None = None) -> tuple[PlannedChange, ...]:
    """Return what is applied to which control planes, and taken back, in order of time.

    A change comes to the control planes that its target selects in their order, each ``stagger`` after the one before,
    and is taken back ``duration`` after it came. Of two at one instant, what is taken back goes first.

    Parameters
    ----------
    document
        The scenario.
    planes
        Control planes of the deployment; None = one without a name, which takes every change.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> change = dict(event="config_change", start="1m", duration="10s", apply=[{"kind": "VirtualService"}])
    >>> document = Document.model_validate({**EXAMPLE, "timeline": [change]})
    >>> [(one.time, one.change, one.applied) for one in planned(document)]
    [(60.0, 0, True), (70.0, 0, False)]
    """
    found: list[PlannedChange] = []
    for happening, event in _changes(document):
        names = [""] if planes is None else [plane.name for plane in select_control_planes(planes, event.target)]
        for place, name in enumerate(names):
            late = place * event.stagger
            found.append(PlannedChange(happening.start + late, name, happening.number, applied=True))
            if happening.end is not None:
                found.append(PlannedChange(happening.end + late, name, happening.number, applied=False))
    within = [one for one in found if one.time < document.duration]
    return tuple(sorted(within, key=lambda one: (one.time, one.applied, one.change)))


def _changes(document: Document) -> Iterator[tuple[Happening, ConfigChange]]:
    for happening in happenings(document):
        if isinstance(happening.event, ConfigChange):
            yield happening, happening.event


# --- what can be reached ------------------------------------------------------------------------------------


def configurations(document: Document, plans: Iterable[Sequence[PlannedChange]]) -> Configurations:
    """Return every configuration that a control plane can have.

    A control plane takes its changes one after the other, and tries each until it is accepted: what can be in force
    is what the first changes of its plan make, however late they come.

    Parameters
    ----------
    document
        The scenario, with the resources of its changes inline.
    plans
        What is planned in each deployment (`planned`).

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> new = {"kind": "VirtualService", "metadata": {"name": "web"}}
    >>> change = dict(event="config_change", start="1m", apply=[new])
    >>> document = Document.model_validate({**EXAMPLE, "timeline": [change]})
    >>> found = configurations(document, [planned(document)])
    >>> found.paths, found.number([0])
    (((), (('timeline', 0, 'apply', 0),)), 1)
    """
    event_of = {happening.number: happening.index for happening, _ in _changes(document)}
    rejected = frozenset(happening.number for happening, event in _changes(document) if event.rejected)
    numbers: dict[tuple[int, ...], int] = {}
    contents: dict[tuple[str, ...], int] = {}
    paths: list[tuple[Path, ...]] = []
    events: list[tuple[int, ...]] = []
    for in_force in [(), *(state for plan in plans for state in _states(plan, event_of, rejected))]:
        if in_force in numbers:
            continue
        merged = resource_paths(document, in_force)
        content = tuple(_content(document, path) for path in merged)
        number = numbers[in_force] = contents.setdefault(content, len(paths))
        if number == len(paths):
            paths.append(merged)
            events.append(in_force)
    return Configurations(tuple(paths), tuple(events), rejected, numbers, event_of)


def _states(
    plan: Sequence[PlannedChange], event_of: Mapping[int, int], rejected: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    """Yield what is in force in each control plane after each of its changes, as places in the timeline."""
    in_force: dict[str, dict[int, int]] = {}
    for step in plan:
        if step.change in rejected:
            continue
        own = in_force.setdefault(step.control_plane, {})
        if step.applied:
            own[step.change] = event_of[step.change]
        else:
            own.pop(step.change, None)
        yield _latest(list(own.values()))


def _latest(events: Sequence[int]) -> tuple[int, ...]:
    """Return events in the order in which each happened last: what is applied again counts from then on."""
    return tuple(reversed(dict.fromkeys(reversed(events))))


def resource_paths(document: Document, events: Sequence[int]) -> tuple[Path, ...]:
    """Return where the resources of a configuration stand: those of ``istio:`` with what changes made of them.

    A change deletes first; then each resource that it applies takes the place of the one of the same kind, namespace
    and name, or else comes last.

    Parameters
    ----------
    document
        The scenario, with the resources of its changes inline.
    events
        Places in the timeline of the changes in force, in the order in which they were applied.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> rule = {"kind": "DestinationRule", "metadata": {"name": "web"}}
    >>> change = dict(event="config_change", start="1m", delete=["DestinationRule/web"])
    >>> document = Document.model_validate({**EXAMPLE, "istio": [rule], "timeline": [change]})
    >>> resource_paths(document, []), resource_paths(document, [0])
    ((('istio', 0),), ())
    """
    kept: list[tuple[Key | None, Path]] = [
        (key_of(resource), ("istio", index)) for index, resource in enumerate(document.istio)
    ]
    for index in events:
        event = document.timeline[index]
        if not isinstance(event, ConfigChange):
            continue
        gone = {key for text in event.delete if (key := parse_key(text)) is not None and key[0] in EFFECTIVE}
        kept = [one for one in kept if one[0] not in gone]
        for number, resource in enumerate(event.apply):
            key = key_of(resource)
            if key is not None and key[0] in EFFECTIVE:
                kept = _with(kept, key, ("timeline", index, "apply", number))
    return tuple(path for _, path in kept)


def _with(kept: Sequence[tuple[Key | None, Path]], key: Key, path: Path) -> list[tuple[Key | None, Path]]:
    """Return resources with one more, in the place of its like: the last one, which is the one that counts."""
    alike = [place for place, (known, _) in enumerate(kept) if known == key]
    changed = [*kept, (key, path)]
    if alike:
        changed[alike[-1]] = changed.pop()
    return [one for place, one in enumerate(changed) if place not in alike[:-1]]


def _content(document: Document, path: Path) -> str:
    return json.dumps(_resource(document, path), sort_keys=True)


def _resource(document: Document, path: Path) -> Mapping[str, object]:
    index = int(path[1])
    if path[0] == "timeline" and isinstance(event := document.timeline[index], ConfigChange):
        return event.apply[int(path[3])]
    return document.istio[index]


# --- reading ------------------------------------------------------------------------------------------------


def read(document: Document, root: Node, paths: Sequence[Path]) -> tuple[IstioResources, list[Problem]]:
    """Return what the resources at some places of a document say, and what is wrong with them.

    Parameters
    ----------
    document
        The scenario.
    root
        Its tree, for files and lines.
    paths
        Where the resources stand, in order; those that could not be read are passed over.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> from meshsim.scenario.tree import from_python
    >>> read(Document.model_validate(EXAMPLE), from_python(EXAMPLE), [])[1]
    []
    """
    readable = [path for path in paths if _resource(document, path) != UNREAD]

    def locate(index: int, path: Path) -> tuple[str, int]:
        place = root.locate((*readable[index], *path))
        return place.file, place.line

    def locate_mesh(path: Path) -> tuple[str, int]:
        place = root.locate(("mesh_config", *path))
        return place.file, place.line

    services = {(name, service.namespace): service for name, service in document.services.items()}
    return read_resources(
        [_resource(document, path) for path in readable],
        locate,
        document.mesh_config,
        locate_mesh,
        services,
        version=document.istio_version,
        traffic_distributions={
            name: service.traffic_distribution for name, service in services.items() if service.traffic_distribution
        },
        ports={name: service.port for name, service in services.items()},
        outside={name: service.host for name, service in services.items() if service.host is not None},
        places={name: region.zones for name, region in document.regions.items()},
        pods=[
            (service.namespace, labels_of(document, name, workload))
            for name, service in document.services.items()
            for workload in workloads_of(document, name)
        ],
        gateway_pods=[(INGRESS_NAMESPACE, labels) for labels in (INGRESS_LABELS, EAST_WEST_LABELS)],
    )


def problems(document: Document, root: Node) -> list[Problem]:
    """Return what is wrong with the resources that changes apply; each is judged by itself, as in ``istio:``.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> from meshsim.scenario.tree import from_python
    >>> change = dict(event="config_change", start="1m", apply=[{"apiVersion": "networking.istio.io/v1"}])
    >>> document = Document.model_validate({**EXAMPLE, "timeline": [change]})
    >>> [str(problem) for problem in problems(document, from_python(document.model_dump()))]
    ['Istio resource 1: kind is required']
    """
    applied: list[Path] = [
        ("timeline", index, "apply", number)
        for index, event in enumerate(document.timeline)
        if isinstance(event, ConfigChange)
        for number in range(len(event.apply))
    ]
    if not applied:
        return []
    _, of_mesh = read(document, root, [])
    _, found = read(document, root, applied)
    return [problem for problem in found if problem not in of_mesh]


def without_effect(document: Document, root: Node) -> list[str]:
    """Return a warning for each resource of a kind that changes cannot change.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> change = dict(event="config_change", start="1m", delete=["Sidecar/web"])
    >>> without_effect(Document.model_validate({**EXAMPLE, "timeline": [change]}), Node({}))
    ['Sidecar/web: has no effect in a config_change: only DestinationRules and VirtualServices have']
    """
    told: list[str] = []
    for index, event in enumerate(document.timeline):
        if not isinstance(event, ConfigChange):
            continue
        for number, resource in enumerate(event.apply):
            if (key := key_of(resource)) is not None and key[0] not in EFFECTIVE:
                told.append(_warning(root, ("timeline", index, "apply", number), f"{key[0]}/{key[2]}"))
        for number, text in enumerate(event.delete):
            if (key := parse_key(text)) is not None and key[0] not in EFFECTIVE:
                told.append(_warning(root, ("timeline", index, "delete", number), f"{key[0]}/{key[2]}"))
    return told


def _warning(root: Node, path: Path, label: str) -> str:
    place = root.locate(path)
    return str(Problem(_NO_EFFECT, label, place.file, place.line))
