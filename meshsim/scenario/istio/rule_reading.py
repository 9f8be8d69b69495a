"""Reads DestinationRules, and says what of them has no effect."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.destination_rules import (
    PORT_BLOCKS,
    Blocks,
    DestinationRule,
    Subset,
    TrafficPolicy,
    chosen,
)
from meshsim.scenario.istio.fields import NO_EFFECT, Found
from meshsim.scenario.istio.report import Report
from meshsim.scenario.istio.resolve import ZERO_IS_UNSET, Setting
from meshsim.scenario.istio.rules import Resource
from meshsim.scenario.istio.versions import Profile
from meshsim.scenario.tree import Path


def destination_rule(
    resource: Resource, profile: Profile, report: Report, *, mesh_ejects: bool = False
) -> DestinationRule:
    """Return what a DestinationRule says, and warn of the parts that have no effect.

    Parameters
    ----------
    resource, profile
        The resource, and what the scenario's Istio has.
    report
        Takes the warnings.
    mesh_ejects
        Whether the mesh has outlier detection for services without their own.
    """
    spec = resource.spec
    policy = spec.get("trafficPolicy")
    selector = (spec.get("workloadSelector") or {}).get("matchLabels") or {}
    if selector:
        message = f"the DestinationRule serves only clients with these labels, and {NO_EFFECT}"
        report.warn(resource.origin, ("spec", "workloadSelector"), message)
    place: Path = ("spec", "trafficPolicy")
    lint = partial(_lint, resource, profile=profile, report=report, mesh_ejects=mesh_ejects)
    whole = _traffic_policy(resource, policy, place) if policy else None
    above = whole.over({}, 0) if whole else {}
    lint(above, place)
    subsets = tuple(
        _subset(resource, subset, ("spec", "subsets", index)) for index, subset in enumerate(spec.get("subsets") or [])
    )
    for index, subset in enumerate(subsets):
        lint(subset.policy.over(above, 0), ("spec", "subsets", index, "trafficPolicy"))
    host = hosts.resolved(str(spec["host"]), resource.namespace)
    export_to = tuple(spec.get("exportTo") or ())
    labels = tuple(selector.items())
    return DestinationRule(resource.namespace, host, whole, subsets, export_to, labels, resource.origin.title)


def _subset(resource: Resource, subset: Mapping[str, Any], path: Path) -> Subset:
    policy = _traffic_policy(resource, subset.get("trafficPolicy") or {}, (*path, "trafficPolicy"))
    labels = tuple((subset.get("labels") or {}).items())
    return Subset(str(subset["name"]), labels, policy, resource.origin.title)


def _traffic_policy(resource: Resource, policy: Mapping[str, Any], path: Path) -> TrafficPolicy:
    blocks = _blocks(resource, policy, path)
    ports: list[tuple[int, Blocks]] = []
    for index, port in enumerate(policy.get("portLevelSettings") or []):
        number = int((port.get("port") or {}).get("number", 0))
        ports.append((number, _blocks(resource, port, (*path, "portLevelSettings", index))))
    return TrafficPolicy(blocks, tuple(ports))


def _blocks(resource: Resource, policy: Mapping[str, Any], path: Path) -> Blocks:
    return tuple((name, resource.below((*path, name))) for name in policy if name not in {"port", "portLevelSettings"})


def _lint(
    resource: Resource,
    used: Mapping[str, tuple[Setting, ...]],
    path: Path,
    *,
    profile: Profile,
    report: Report,
    mesh_ejects: bool,
) -> None:
    """Warn of settings that are there and change nothing, in Istio too."""
    values = {setting.name: setting.value for settings in used.values() for setting in settings}
    for found in (found for found in resource.settings if found.path[: len(path)] == path):
        if found.name in values and (why := _inert(found, values, profile, mesh_ejects=mesh_ejects)):
            report.warn(resource.origin, found.path, why)


def _inert(found: Found, values: Mapping[str, Any], profile: Profile, *, mesh_ejects: bool) -> str:
    """Return why a setting changes nothing; nothing where it does.

    Outlier detection of the mesh is enough for the weights of localities that come with failover, not for priorities.
    """
    balancer = values.get("load_balancer", "LEAST_REQUEST")
    if found.name in ZERO_IS_UNSET and found.value == 0:
        return "has no effect: 0 means 'not set' to Istio"
    failover = found.name in {"locality.failover", "locality.failover_priority"} and found.value
    if failover and "outlier_detection" not in values and not mesh_ejects:
        return "has no effect without outlierDetection, in Istio too"
    warms_up = "hash" not in values and balancer in {"LEAST_REQUEST", "LEAST_CONN", "ROUND_ROBIN", "UNSPECIFIED"}
    if found.name in {"warmup", "warmup_duration"} and not warms_up:
        return "has no effect: only LEAST_REQUEST and ROUND_ROBIN warm up, in Istio too"
    if found.name == "warmup_duration" and "warmup" in values:
        return "has no effect: warmup takes its place, in Istio too"
    return _unknown_to(found, profile)


def _unknown_to(found: Found, profile: Profile) -> str:
    """Return the warning for a field that the scenario's Istio does not have yet (spec §0.1)."""
    newer = {
        "retry_budget": profile.retry_budget,
        "zone_aware": profile.default_traffic_policy,
    }
    return "" if newer.get(found.name, True) else f"has no effect: Istio {profile.version} does not have it"


# --- which of them are used -----------------------------------------------------------------------------------


def warn_unused_rules(
    pairs: Sequence[tuple[Resource, DestinationRule]],
    rules: Sequence[DestinationRule],
    services: Collection[hosts.Service],
    *,
    root: str,
    ports: Mapping[hosts.Service, int],
    report: Report,
) -> None:
    """Warn of rules that serve no service of the scenario, of those that others hide, and of parts without effect.

    Parameters
    ----------
    pairs
        Each DestinationRule and what it says.
    rules
        The rules merged.
    services, root, ports
        The services, Istio's root namespace, and the ports of services whose port is known.
    report
        Takes the warnings.
    """
    used = _used(rules, services, root)
    for index, (resource, rule) in enumerate(pairs):
        served = [service for service in services if hosts.matches(rule.host, hosts.full_name(service))]
        if not served:
            message = hosts.no_service(str(resource.spec["host"]), services)
            report.warn(resource.origin, ("spec",), message, ("spec", "host"))
            continue
        _warn_ports(resource, {ports.get(service, 0) for service in served}, report)
        if rule.selector:
            continue
        clients = used.get(rule.identity)
        if clients is None:
            report.warn(resource.origin, ("spec",), _why_unused(rule, rules, services, root), ("spec", "host"))
        elif not clients.here:
            message = f"serves only clients in namespace {_listed(clients.others)} in Istio: {NO_EFFECT}"
            report.warn(resource.origin, ("spec",), message, ("spec", "host"))
        else:
            if clients.without:
                message = (
                    f"serves no clients in namespace {_listed(clients.without)} in Istio; meshsim applies it to all"
                )
                report.warn(resource.origin, ("metadata", "namespace"), message, ("spec", "host"))
            earlier = [other for _, other in pairs[:index] if other.identity == rule.identity]
            _warn_repeated(resource, rule, earlier, report)


def _warn_ports(resource: Resource, served: set[int], report: Report) -> None:
    """Say which port is meant where the scenario does not, and that its settings replace the others (spec §1)."""
    subsets = [("subsets", index) for index, _ in enumerate(resource.spec.get("subsets") or [])]
    for path in (("spec", "trafficPolicy"), *(("spec", *subset, "trafficPolicy") for subset in subsets)):
        policy = _at(resource.spec, path[1:])
        listed = [int((port.get("port") or {}).get("number", 0)) for port in policy.get("portLevelSettings") or []]
        for index, number in enumerate(listed if 0 not in served else []):
            if number not in served:
                shown = " or ".join(map(str, sorted(served)))
                message = f"has no effect: it is for port {number}, and the services have port {shown}"
                report.warn(resource.origin, (*path, "portLevelSettings", index), message)
        if len(listed) > 1 and 0 in served:
            message = "is for several ports: it has no effect without the services' port"
            report.warn(resource.origin, (*path, "portLevelSettings"), message)
        elif len(listed) == 1 and 0 in served:
            message = "is taken for the services' only port: it replaces the other settings of trafficPolicy"
            report.warn(resource.origin, (*path, "portLevelSettings", 0, "port"), message)
        if len(listed) == 1 and served <= {0, *listed}:
            for block in (block for block in PORT_BLOCKS if policy.get(block) is not None):
                message = "has no effect: portLevelSettings replace it, in Istio too"
                report.warn(resource.origin, (*path, block), message)


def _at(value: Any, path: Path) -> Mapping[str, Any]:
    for part in path:
        value = value[part] if isinstance(part, int) else value.get(part) or {}
    found: Mapping[str, Any] = value
    return found


class _Clients:
    """Whom a rule serves: those of a scenario, and in Istio clients of some namespaces only, or not of some."""

    def __init__(self) -> None:
        self.here = False
        self.others: list[str] = []
        self.without: list[str] = []


def _used(rules: Sequence[DestinationRule], services: Collection[hosts.Service], root: str) -> dict[object, _Clients]:
    """Return the clients of each rule, by its identity; clients are where services are."""
    found: dict[object, _Clients] = {}
    for service in services:
        here = chosen(rules, service, root)
        if here is not None:
            found.setdefault(here.identity, _Clients()).here = True
        for client in sorted({other[1] for other in services}):
            rule = chosen(rules, service, root, client)
            if rule is not None and rule is not here:
                found.setdefault(rule.identity, _Clients()).others.append(client)
            if here is not None and rule is not here:
                found[here.identity].without.append(client)
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _why_unused(
    rule: DestinationRule, rules: Sequence[DestinationRule], services: Collection[hosts.Service], root: str
) -> str:
    """Return which rule hides one that serves nobody."""
    service = next(service for service in services if hosts.matches(rule.host, hosts.full_name(service)))
    winner = chosen(rules, service, root)
    return f"has no effect: {winner.title if winner else 'another'} serves {hosts.full_name(service)} before it"


def _warn_repeated(
    resource: Resource, rule: DestinationRule, earlier: Sequence[DestinationRule], report: Report
) -> None:
    """Warn of what a rule for the same host says before this one."""
    first = next((other for other in earlier if other.policy is not None), None)
    if first is not None and rule.policy is not None:
        message = f"has no effect: {first.title} sets it for {rule.host} before, in Istio too"
        report.warn(resource.origin, ("spec", "trafficPolicy"), message)
    for index, subset in enumerate(rule.subsets):
        before = next((other for other in earlier if other.subset(subset.name)), None)
        if before is not None:
            message = f"has no effect: {before.title} has a subset of this name, in Istio too"
            report.warn(resource.origin, ("spec", "subsets", index), message)
