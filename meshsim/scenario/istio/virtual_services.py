"""VirtualServices as they are read: rules with their defaults, delegates merged in, and what in them has no effect."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.clients import MESH, gateway_name
from meshsim.scenario.istio.fields import DURATION, NO_EFFECT
from meshsim.scenario.istio.fields_routes import GRPC_CODES
from meshsim.scenario.istio.matching import Match, covers, match_of, merged
from meshsim.scenario.istio.report import Report
from meshsim.scenario.istio.routes import (
    Destination,
    Fault,
    HttpRule,
    Mirror,
    Rewrite,
    TcpRule,
    VirtualService,
    Weighted,
)
from meshsim.scenario.istio.rules import RETRIES_OFF, Resource
from meshsim.scenario.tree import Path

#: A resource and what it says.
Read = tuple[Resource, VirtualService]


def virtual_service(resource: Resource, services: Mapping[str, str], report: Report) -> VirtualService:
    """Return what a VirtualService says, and warn of the parts that have no effect.

    Parameters
    ----------
    resource
        Without errors.
    services
        Names in the scenario by full name.
    report
        Takes the warnings.
    """
    spec, namespace = resource.spec, resource.namespace
    names = tuple(hosts.resolved(str(host), namespace) for host in spec.get("hosts") or [])
    gateways = tuple(gateway_name(name, namespace) for name in spec.get("gateways") or [])
    reading = _Reading(resource, services, report)
    return VirtualService(
        title=resource.origin.title,
        namespace=namespace,
        name=resource.name,
        hosts=names,
        gateways=gateways or (MESH,),
        export_to=tuple(spec.get("exportTo") or ("*",)),
        outside=tuple(name for name in names if not any(hosts.matches(name, known) for known in services)),
        http=tuple(reading.http()),
        tcp=(*reading.tls(), *reading.tcp()),
    )


class _Reading:
    """One VirtualService while it is read."""

    def __init__(self, resource: Resource, services: Mapping[str, str], report: Report) -> None:
        self.resource = resource
        self.services = services
        self.report = report

    def http(self) -> Iterator[HttpRule]:
        """Yield the rules that can take a request."""
        above: list[tuple[str, Match]] = []
        for index, spec in enumerate(self.resource.spec.get("http") or []):
            path: Path = ("spec", "http", index)
            rule = self._rule(spec, path)
            shadows = _shadows(above, rule.matches)
            if shadows:
                self.warn(path, f"has no effect: {shadows}, in Istio too")
            elif rule.destinations or rule.direct_code or rule.delegate:
                above += [(rule.number, match) for match in rule.matches or (Match(),)]
                self._claims(spec, path)
                yield rule

    def _rule(self, spec: Mapping[str, Any], path: Path) -> HttpRule:
        settings = self.resource.below((*path, "timeout"))
        delegate = spec.get("delegate")
        self._lint_retries(spec.get("retries"), (*path, "retries"))
        return HttpRule(
            source=self.resource.origin.source(path),
            number=f"http[{path[-1]}]",
            matches=tuple(match_of(match, self.resource.namespace) for match in spec.get("match") or []),
            destinations=self._destinations(spec, path) if _answers(spec) == 0 and delegate is None else (),
            direct_code=_answers(spec),
            timeout=settings[0] if settings else None,
            retry=self.resource.below((*path, "retries")),
            fault=_fault(spec["fault"]) if "fault" in spec else None,
            rewrite=_rewrite(spec["rewrite"]) if "rewrite" in spec else None,
            mirror=self._copy(spec.get("mirror"), (*path, "mirror")),
            mirror_percent=_mirror_percent(spec),
            mirrors=tuple(self._mirrors(spec.get("mirrors") or [], (*path, "mirrors"))),
            delegate=delegate and (delegate.get("namespace") or self.resource.namespace, delegate.get("name") or ""),
        )

    def _lint_retries(self, retries: Mapping[str, Any] | None, path: Path) -> None:
        if retries is not None and not retries.get("attempts") and set(retries) != {"attempts"}:
            self.warn(path, RETRIES_OFF)

    def _claims(self, spec: Mapping[str, Any], path: Path) -> None:
        for index, match in enumerate(spec.get("match") or []):
            for field in ("headers", "withoutHeaders"):
                for name in match.get(field) or {}:
                    if str(name).startswith("@request.auth"):
                        where = (*path, "match", index, field, name)
                        self.warn(where, "asks for a claim of a token, and no request here carries one")

    def _destinations(self, spec: Mapping[str, Any], path: Path) -> Weighted:
        """Return destinations with their weights; the only one gets everything, whatever its weight (spec §3.5)."""
        routes = spec.get("route") or []
        found = [
            (self.destination(route["destination"], (*path, "route", index, "destination")), route.get("weight") or 0)
            for index, route in enumerate(routes)
        ]
        if not found:
            self.warn(path, "sends requests to no service: Istio refuses the rule, and it has no effect here")
        elif len(found) == 1:
            return ((found[0][0], 100),)
        elif not any(weight for _, weight in found):
            self.warn((*path, "route"), "has no weight above 0: Istio refuses the rule, and it has no effect here")
        return tuple((destination, weight) for destination, weight in found if weight)

    def destination(self, spec: Mapping[str, Any], path: Path) -> Destination:
        """Return the Envoy cluster of a destination; of an unknown host its name only."""
        host = hosts.resolved(str(spec["host"]), self.resource.namespace)
        if host not in self.services:
            message = f"{host} is no service of the scenario: requests sent there get 503 NC, in Istio too"
            self.warn((*path, "host"), message)
        return Destination(self.services.get(host, ""), spec.get("subset") or "", host)

    def _copy(self, spec: Mapping[str, Any] | None, path: Path) -> Destination | None:
        if spec is None:
            return None
        if hosts.resolved(str(spec["host"]), self.resource.namespace) not in self.services:
            self.warn((*path, "host"), "is no service of the scenario: no request is mirrored there, in Istio neither")
            return None
        return self.destination(spec, path)

    def _mirrors(self, specs: Sequence[Mapping[str, Any]], path: Path) -> Iterator[Mirror]:
        for index, spec in enumerate(specs):
            destination = self._copy(spec["destination"], (*path, index, "destination"))
            if destination is not None:
                yield Mirror(destination, _percent(spec["percentage"]) if "percentage" in spec else 100.0)

    def tcp(self) -> Iterator[TcpRule]:
        """Yield the rules for connections."""
        for index, spec in enumerate(self.resource.spec.get("tcp") or []):
            path: Path = ("spec", "tcp", index)
            matches = tuple(match_of(match, self.resource.namespace) for match in spec.get("match") or [])
            if to := self._destinations(spec, path):
                yield TcpRule(self.resource.origin.source(path), f"tcp[{index}]", matches, to)

    def tls(self) -> Iterator[TcpRule]:
        """Yield the rules for connections by the name that TLS asks for."""
        for index, spec in enumerate(self.resource.spec.get("tls") or []):
            path: Path = ("spec", "tls", index)
            to = self._destinations(spec, path)
            for match in spec.get("match") or [] if to else []:
                names = tuple(hosts.resolved(str(name), self.resource.namespace) for name in match["sniHosts"])
                found = (match_of(match, self.resource.namespace),)
                yield TcpRule(self.resource.origin.source(path), f"tls[{index}]", found, to, names)

    def warn(self, path: Path, message: str) -> None:
        self.report.warn(self.resource.origin, path, message)


# --- parts of a rule ------------------------------------------------------------------------------------------


def _shadows(above: Sequence[tuple[str, Match]], matches: Sequence[Match]) -> str:
    """Return why a rule never gets a request: all it matches is matched above it; empty where it may get some."""
    if any(match == Match() or (match.everything and match.anyone) for _, match in above):
        return "a rule above it takes every request"
    takers = [next((number for number, taken in above if covers(taken, match)), "") for match in matches or (Match(),)]
    return f"{' and '.join(dict.fromkeys(takers))} above takes all of its requests" if all(takers) else ""


def _answers(spec: Mapping[str, Any]) -> int:
    """Return the HTTP status that the proxy answers itself, or 0."""
    if "redirect" in spec:
        return int(spec["redirect"].get("redirectCode") or 301)
    return int(spec["directResponse"]["status"]) if "directResponse" in spec else 0


def _percent(spec: Mapping[str, Any]) -> float:
    """Envoy counts in millionths (translatePercentToFractionalPercent)."""
    return int(float(spec.get("value") or 0) * 10_000) / 10_000


def _mirror_percent(spec: Mapping[str, Any]) -> float | None:
    if "mirrorPercentage" in spec:
        return _percent(spec["mirrorPercentage"])
    old = [float(spec[name]) for name in ("mirrorPercent", "mirror_percent") if name in spec]
    return old[0] if old else None


def _fault(spec: Mapping[str, Any]) -> Fault:
    delay, abort = spec.get("delay") or {}, spec.get("abort") or {}
    seconds = DURATION.convert(delay["fixedDelay"]) if "fixedDelay" in delay else 0.0
    share = _percent(delay["percentage"]) if "percentage" in delay else float(delay.get("percent") or 0)
    code = abort.get("httpStatus") or GRPC_CODES.get(abort.get("grpcStatus") or "", 0)
    return Fault(
        delay=seconds,
        delay_percent=share if seconds else 0.0,
        abort_code=code,
        abort_percent=_percent(abort.get("percentage") or {}) if code else 0.0,
    )


def _rewrite(spec: Mapping[str, Any]) -> Rewrite:
    regex = spec.get("uriRegexRewrite") or {}
    return Rewrite(
        uri=spec.get("uri") or "" if not regex else "",
        authority=spec.get("authority") or "",
        regex=regex.get("match") or "",
        substitution=regex.get("rewrite") or "",
    )


# --- delegation -----------------------------------------------------------------------------------------------


def delegated(read: Sequence[Read], report: Report) -> list[Read]:
    """Return the VirtualServices with hosts, the rules of delegates in place of those that point to them.

    As Istio merges them (virtualservice.go): a rule of the delegate takes what both match, keeps its own settings and
    gets those of the root that it lacks.
    """
    delegates = {(one.namespace, one.name): (resource, one) for resource, one in read if not one.hosts}
    used: set[tuple[str, str]] = set()
    found = []
    for resource, one in read:
        if one.hosts:
            rules = [below for rule in one.http for below in _followed(resource, one, rule, delegates, report)]
            used |= {rule.delegate for rule in one.http if rule.delegate}
            found.append((resource, replace(one, http=tuple(rules))))
    for key, (resource, _) in delegates.items():
        if key not in used:
            message = "has no hosts, and no VirtualService delegates to it: it has no effect"
            report.warn(resource.origin, ("spec",), message, ("spec",))
    return found


def _followed(
    resource: Resource,
    root: VirtualService,
    rule: HttpRule,
    delegates: Mapping[tuple[str, str], Read],
    report: Report,
) -> Iterator[HttpRule]:
    if rule.delegate is None:
        yield rule
        return
    path: Path = ("spec", "http", int(rule.number[5:-1]), "delegate")
    _, target = delegates.get(rule.delegate, (None, None))
    if target is None or not target.seen_by(root.namespace):
        why = "is no VirtualService without hosts" if target is None else f"is not exported to {root.namespace}"
        report.warn(resource.origin, path, f"{'/'.join(rule.delegate)} {why}: the rule has no effect, in Istio too")
        return
    origin = delegates[rule.delegate][0].origin
    for below in target.http:
        where: Path = ("spec", "http", int(below.number[5:-1]))
        if below.delegate is not None:
            report.warn(origin, where, "has no effect: a delegate cannot delegate, in Istio neither")
        elif (matches := merged(rule.matches, below.matches)) is None:
            message = f"has no effect: {root.title} delegates other requests to it, in Istio too"
            report.warn(origin, where, message, (*where, "match"))
        else:
            yield _inherited(rule, below, matches)


def _inherited(root: HttpRule, own: HttpRule, matches: tuple[Match, ...]) -> HttpRule:
    return replace(
        own,
        matches=matches,
        timeout=own.timeout or root.timeout,
        retry=own.retry or root.retry,
        fault=own.fault or root.fault,
        rewrite=own.rewrite or root.rewrite,
        mirror=own.mirror or root.mirror,
        mirror_percent=root.mirror_percent if own.mirror_percent is None else own.mirror_percent,
        mirrors=own.mirrors or root.mirrors,
    )


# --- which of them are used -----------------------------------------------------------------------------------


def warn_unused_routes(read: Sequence[Read], services: Collection[hosts.Service], report: Report) -> None:
    """Warn of VirtualServices that serve nobody, and of those that others hide."""
    for position, (resource, one) in enumerate(read):
        if any(gateway != MESH for gateway in one.gateways):
            _warn_gateway(resource, one, report)
            continue
        served = [hosts.full_name(service) for service in services if one.precision(hosts.full_name(service))]
        if not served:
            message = hosts.no_service(str(resource.spec["hosts"][0]), services)
            report.warn(resource.origin, ("spec",), message, ("spec", "hosts"))
            continue
        before = [_hidden_by(read, position, name) for name in served]
        if all(before):
            message = f"has no effect: {before[0]} serves {served[0]} before it"
            report.warn(resource.origin, ("spec",), message, ("spec", "hosts"))
            continue
        for index, host in enumerate(one.hosts):
            if host in one.outside:
                message = hosts.no_service(str(resource.spec["hosts"][index]), services)
                report.warn(resource.origin, ("spec", "hosts", index), message)


def _warn_gateway(resource: Resource, one: VirtualService, report: Report) -> None:
    """Warn of a gateway's VirtualService, whose hosts may be any, that leads nowhere."""
    answers = any(rule.direct_code or any(to.service for to, _ in rule.destinations) for rule in one.http)
    if one.http and not answers:
        message = f"leads to no service of the scenario: it {NO_EFFECT}"
        report.warn(resource.origin, ("spec",), message, ("spec", "http"))
    elif not one.http and MESH not in one.gateways:
        report.warn(resource.origin, ("spec",), f"has no rule for HTTP: it {NO_EFFECT}", ("spec",))


def _hidden_by(read: Sequence[Read], position: int, name: str) -> str:
    """Return the title of the VirtualService that sidecars use for a service before this one, or nothing."""
    own = read[position][1]
    for other, (_, one) in enumerate(read):
        rank, own_rank = (-one.precision(name), other), (-own.precision(name), position)
        everybody = {"*"} & set(one.export_to) and MESH in one.gateways and one.precision(name)
        if everybody and rank < own_rank and _for_everyone(own, one):
            return one.title
    return ""


def _for_everyone(own: VirtualService, other: VirtualService) -> bool:
    """Tell whether every client that the other has routes for uses them instead of these."""
    http = any(match.anyone for rule in other.http for match in rule.matches or (Match(),))
    tcp = any(match.anyone for rule in other.tcp for match in rule.matches or (Match(),))
    return (http or not own.http) and (tcp or not own.tcp)
