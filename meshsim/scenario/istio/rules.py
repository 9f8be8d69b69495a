"""DestinationRules and VirtualServices: which services each one serves, and what it sets for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.fields import NO_EFFECT, Found
from meshsim.scenario.istio.fields_traffic import matches_everything
from meshsim.scenario.istio.report import Origin, Report
from meshsim.scenario.istio.resolve import ZERO_IS_UNSET, Setting
from meshsim.scenario.tree import Path

_POLICY: Path = ("spec", "trafficPolicy")
_PORTS: Path = (*_POLICY, "portLevelSettings")

RETRIES_OFF = "switches retries off, in Istio too: attempts is 0 or missing"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource without errors.

    Parameters
    ----------
    origin
        Where it stands, for messages; paths are relative to it.
    name, namespace
        As in its metadata; the namespace is ``default`` where none is given.
    spec
        Its spec as written.
    settings
        Modelled values.
    """

    origin: Origin
    name: str
    namespace: str
    spec: Mapping[str, Any]
    settings: tuple[Found, ...]

    def below(self, *prefixes: Path) -> tuple[Setting, ...]:
        """Return the settings that stand below any of these paths."""
        return tuple(
            Setting(found.name, found.value, self.origin.source(found.path))
            for found in self.settings
            if any(found.path[: len(prefix)] == prefix for prefix in prefixes)
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """What one resource sets for the services it serves.

    Parameters
    ----------
    namespace
        The resource's namespace.
    hosts
        Full names and wildcards.
    settings
        What it sets.
    targets
        Full names that requests are sent to; None where the resource does not say.
    has_policy
        Whether it says anything but subsets; of several rules for a host the first that does is used.
    title
        Kind, namespace and name, for messages.
    """

    namespace: str
    hosts: tuple[str, ...]
    settings: tuple[Setting, ...] = ()
    targets: tuple[str, ...] | None = None
    has_policy: bool = True
    title: str = field(default="", compare=False)

    def precision(self, name: str) -> int:
        """Return how precisely the rule's hosts mean a full name; 0 where they do not."""
        return max((hosts.precision(host) for host in self.hosts if hosts.matches(host, name)), default=0)


def chosen(rules: Sequence[Rule], service: hosts.Service, root: str, *, by_namespace: bool) -> Rule | None:
    """Return the rule that clients use for a service, or None.

    DestinationRules are looked up namespace by namespace: here the service's own, then others, then Istio's root
    namespace (push_context.go); within one, the most precise host wins, then the first resource. VirtualServices are
    visible everywhere.
    """
    name = hosts.full_name(service)
    places = {service[1]: 0, root: 2} if by_namespace else {}
    candidates = [
        ((places.get(rule.namespace, 1), -precision, not rule.has_policy), rule)
        for rule in rules
        if (precision := rule.precision(name))
    ]
    return min(candidates, key=lambda pair: pair[0])[1] if candidates else None


# --- DestinationRule ------------------------------------------------------------------------------------------


def destination_rule(resource: Resource, report: Report) -> Rule:
    """Return what a DestinationRule sets, and warn of the parts that have no effect."""
    policy = resource.spec.get("trafficPolicy") or {}
    ports = policy.get("portLevelSettings") or []
    prefixes = [(*_POLICY, block) for block in policy if block != "portLevelSettings"]
    if len(ports) == 1:
        _replaced(resource, report, policy)
        prefixes = [_PORTS]
    elif ports:
        report.warn(resource.origin, _PORTS, f"is for several ports, and services here have one: {NO_EFFECT}")
    settings = resource.below(*prefixes)
    _lint(resource, report, prefixes)
    host = hosts.resolved(str(resource.spec["host"]), resource.namespace)
    return Rule(resource.namespace, (host,), settings, has_policy=bool(policy), title=resource.origin.title)


def _replaced(resource: Resource, report: Report, policy: Mapping[str, Any]) -> None:
    """Port settings replace those of the destination, block by block and without inheritance (spec §1)."""
    message = "is taken for the services' only port: it replaces the other settings of trafficPolicy"
    report.warn(resource.origin, (*_PORTS, 0, "port"), message)
    for block in ("connectionPool", "loadBalancer", "outlierDetection", "tls"):
        if policy.get(block) is not None:
            report.warn(resource.origin, (*_POLICY, block), "has no effect: portLevelSettings replace it, in Istio too")


def _lint(resource: Resource, report: Report, prefixes: Iterable[Path]) -> None:
    """Warn of settings that are there and change nothing, in Istio too."""
    used = [found for found in resource.settings if any(found.path[: len(prefix)] == prefix for prefix in prefixes)]
    names = {found.name for found in used}
    for found in used:
        if found.name in ZERO_IS_UNSET and found.value == 0:
            report.warn(resource.origin, found.path, "has no effect: 0 means 'not set' to Istio")
        elif found.name == "load_balancer" and found.value == "PASSTHROUGH":
            report.warn(resource.origin, found.path, f"PASSTHROUGH {NO_EFFECT}: the default LEAST_REQUEST is used")
        elif found.name == "locality.failover" and found.value and "outlier_detection" not in names:
            report.warn(resource.origin, found.path, "has no effect without outlierDetection, in Istio too")


# --- VirtualService -------------------------------------------------------------------------------------------


def virtual_service(resource: Resource, report: Report) -> Rule | None:
    """Return what a VirtualService sets for requests inside the mesh, or None, and warn of the rest."""
    gateways = resource.spec.get("gateways") or ["mesh"]
    if "mesh" not in gateways:
        message = f"names gateways only, not mesh: the VirtualService {NO_EFFECT}"
        report.warn(resource.origin, ("spec",), message, ("spec", "gateways"))
        return None
    if len(gateways) > 1:
        report.warn(resource.origin, ("spec", "gateways"), f"other than mesh {NO_EFFECT}")
    names = tuple(hosts.resolved(host, resource.namespace) for host in resource.spec.get("hosts") or [])
    targets, settings = _catch_all(resource, names, report)
    return Rule(resource.namespace, names, settings, targets, title=resource.origin.title)


def _catch_all(resource: Resource, names: Sequence[str], report: Report) -> tuple[tuple[str, ...], tuple[Setting, ...]]:
    """Return targets and settings of the first HTTP rule that takes every request (spec §3.5)."""
    found: tuple[tuple[str, ...], tuple[Setting, ...]] | None = None
    for index, rule in enumerate(resource.spec.get("http") or []):
        path: Path = ("spec", "http", index)
        if found is not None:
            report.warn(resource.origin, path, "has no effect: a rule above it takes every request, in Istio too")
        elif not matches_everything(rule.get("match")):
            message = f"takes some requests only, and {NO_EFFECT}"
            report.warn(resource.origin, path, message, (*path, "match"))
        else:
            found = (_targets(resource, rule, path, names, report), resource.below(path))
            _lint_retries(resource, rule.get("retries"), (*path, "retries"), report)
    return found or ((), ())


def _lint_retries(resource: Resource, retries: Mapping[str, Any] | None, path: Path, report: Report) -> None:
    if retries is not None and not retries.get("attempts") and set(retries) != {"attempts"}:
        report.warn(resource.origin, path, RETRIES_OFF)


def _targets(
    resource: Resource, rule: Mapping[str, Any], path: Path, names: Sequence[str], report: Report
) -> tuple[str, ...]:
    routes = rule.get("route") or []
    written = [hosts.resolved(route["destination"]["host"], resource.namespace) for route in routes]
    targets = tuple(dict.fromkeys(written))
    if not any(hosts.matches(name, target) for name in names for target in targets):
        where = f"sends requests to {', '.join(targets)}" if targets else "sends requests to no service"
        report.warn(resource.origin, path, f"{where}, not to the host they are for: {NO_EFFECT}")
        return ()
    if len(routes) > 1:
        report.warn(resource.origin, (*path, "route"), f"the split over several destinations {NO_EFFECT}")
    return targets


# --- which of them are used -----------------------------------------------------------------------------------


def warn_unused(
    pairs: Sequence[tuple[Resource, Rule]],
    services: Collection[hosts.Service],
    root: str,
    report: Report,
    *,
    by_namespace: bool,
) -> None:
    """Warn of resources that serve no service of the scenario, and of those that others hide."""
    rules = [rule for _, rule in pairs]
    winners = {service: chosen(rules, service, root, by_namespace=by_namespace) for service in services}
    for resource, rule in pairs:
        served = [service for service in services if rule.precision(hosts.full_name(service))]
        won = [service for service in served if winners[service] is rule]
        if not served:
            _no_service(resource, rule, services, report)
        elif not won:
            other = winners[served[0]]
            message = f"has no effect: {other.title if other else ''} serves {hosts.full_name(served[0])} before it"
            report.warn(resource.origin, ("spec",), message, _host_path(resource))
        else:
            _partly_unused(resource, rule, services, report)
            _warn_elsewhere(resource, rule, won, report)
            if by_namespace and rule.namespace != root and any(service[1] != rule.namespace for service in won):
                message = f"serves only clients in namespace {rule.namespace} in Istio; meshsim applies it to all"
                report.warn(resource.origin, ("metadata", "namespace"), message, _host_path(resource))


def _warn_elsewhere(resource: Resource, rule: Rule, won: Sequence[hosts.Service], report: Report) -> None:
    """Warn of requests that Istio would send to another service than the one they are for."""
    elsewhere = [name for name in map(hosts.full_name, won) if rule.targets and name not in rule.targets]
    if elsewhere:
        message = f"sends requests for {elsewhere[0]} to {', '.join(rule.targets or ())} in Istio: {NO_EFFECT}"
        report.warn(resource.origin, ("spec", "hosts"), message)


def _host_path(resource: Resource) -> Path:
    return ("spec", "host") if "host" in resource.spec else ("spec", "hosts")


def _no_service(resource: Resource, rule: Rule, services: Collection[hosts.Service], report: Report) -> None:
    path = _host_path(resource)
    if not rule.hosts:
        report.warn(resource.origin, ("spec",), f"has no hosts: it {NO_EFFECT}", ("spec",))
        return
    written = resource.spec["host"] if path[-1] == "host" else resource.spec["hosts"][0]
    report.warn(resource.origin, ("spec",), hosts.no_service(written, services), path)


def _partly_unused(resource: Resource, rule: Rule, services: Collection[hosts.Service], report: Report) -> None:
    names = [hosts.full_name(service) for service in services]
    for index, host in enumerate(rule.hosts):
        if not any(hosts.matches(host, name) for name in names):
            message = hosts.no_service(resource.spec["hosts"][index], services)
            report.warn(resource.origin, ("spec", "hosts", index), message)
