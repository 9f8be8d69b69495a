"""Lints about VirtualServices and subsets: rules that never apply, and requests that end nowhere."""

from __future__ import annotations

from collections.abc import Container, Iterator

from meshsim.errors import did_you_mean
from meshsim.lint.facts import Facts, title, warned
from meshsim.lint.registry import Found, listed, rule
from meshsim.scenario import requests as asked
from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.clients import MESH, serves
from meshsim.scenario.istio.routes import Destination, HttpRule, VirtualService
from meshsim.scenario.selectors import workloads_of


def _rules(facts: Facts) -> Iterator[tuple[VirtualService, HttpRule]]:
    for service in facts.resources.virtual_services:
        for entry in service.http:
            yield service, entry


def _targets(entry: HttpRule) -> Iterator[Destination]:
    yield from (to for to, _ in entry.destinations)
    yield from (mirror.destination for mirror in entry.copies)


@rule(
    "MS401",
    "A route to a subset that the DestinationRule does not have ends in 503 NC.",
    spec="3.7",
    fix="add the subset to the DestinationRule of the host",
)
def undefined_subsets(facts: Facts) -> Iterator[Found]:
    """Envoy has no cluster of that name."""
    for _, entry in _rules(facts):
        for to in _targets(entry):
            if to.service and to.subset and not facts.has_subset((to.service, to.subset)):
                found = facts.rule(to.service)
                known = [subset.name for subset in found.subsets] if found else []
                hint = did_you_mean(to.subset, known) if known else "; it has no subsets"
                yield (
                    entry.source,
                    (
                        f"{entry.number} sends requests to subset '{to.subset}', "
                        f"which no DestinationRule of {to.service} has: they get 503 NC{hint}"
                    ),
                )


@rule(
    "MS402",
    "A subset whose labels match no workload has no endpoints: 503 UH.",
    spec="3.7",
    fix="write the labels of the workload's pods; by default app, and version where the workload's name ends in it",
)
def empty_subsets(facts: Facts) -> Iterator[Found]:
    """A subset has the pods with all of its labels."""
    for service in facts.document.services:
        found = facts.rule(service)
        pods = [asked.labels_of(facts.document, service, name) for name in workloads_of(facts.document, service)]
        for subset in found.subsets if found else ():
            wanted = dict(subset.labels)
            if not any(wanted.items() <= labels.items() for labels in pods):
                shown = ", ".join(f"{key}={value}" for key, value in wanted.items())
                source = facts.subset_source(subset)
                yield source, f"subset {title((service, subset.name))} is empty: no workload has {shown}"


@rule(
    "MS403",
    "A rule of a VirtualService that a rule above it shadows takes no request.",
    spec="3.5",
    fix="move the narrower rule up",
    replaces="has no effect:",
)
def shadowed_rules(facts: Facts) -> Iterator[Found]:
    """The first rule that matches counts."""
    phrases = ("a rule above it takes every request", "above takes all of its requests")
    for source, path, why in warned(facts, *phrases):
        reason = why.removeprefix("has no effect: ").replace(", in Istio too", "")
        yield source, f"{path} takes no request: {reason}"


@rule(
    "MS404",
    "A route to a host that nobody has ends in 503 NC.",
    spec="3.7",
    fix="write the service's name, with its namespace where that is another",
    replaces="is no service of the scenario",
)
def unknown_hosts(facts: Facts) -> Iterator[Found]:
    """Envoy has no cluster for it; a mirror there gets nothing."""
    for source, path, why in warned(facts, "is no service of the scenario: "):
        yield source, f"{path}: {why}"


@rule(
    "MS405",
    "Requests that no rule of the VirtualService takes get 404 NR.",
    spec="3.5",
    fix="end the list of rules with one without match",
)
def requests_without_rule(facts: Facts) -> Iterator[Found]:
    """A VirtualService replaces the default route."""
    lost: dict[str, list[str]] = {}
    for flow in facts.flows:
        if flow.route.no_route:
            lost.setdefault(flow.request.service, []).append(flow.name)
    for service, names in lost.items():
        name = hosts.full_name(facts.identity(service))
        sources = [entry.source for one, entry in _rules(facts) if one.precision(name)]
        yield sources[0] if sources else facts.source("services", service), f"no rule takes {listed(names)}: 404 NR"


@rule(
    "MS406",
    "The trafficPolicy of a subset does nothing while no VirtualService sends requests to the subset.",
    spec="1",
    fix="route to the subset, or write the settings in the DestinationRule's own trafficPolicy",
)
def subsets_without_route(facts: Facts) -> Iterator[Found]:
    """Requests without a rule go to the whole service."""
    routed = {(to.service, to.subset) for _, entry in _rules(facts) for to in _targets(entry)}
    routed |= {
        (to.service, to.subset)
        for one in facts.resources.virtual_services
        for entry in one.tcp
        for to, _ in entry.destinations
    }
    for service in facts.document.services:
        found = facts.rule(service)
        for subset in found.subsets if found else ():
            settings = [setting for _, block in subset.policy.blocks for setting in block]
            if settings and (service, subset.name) not in routed:
                yield (
                    settings[0].source,
                    (
                        f"trafficPolicy of subset {title((service, subset.name))} does nothing: "
                        "no VirtualService sends requests there"
                    ),
                )


@rule(
    "MS407",
    "No request of the scenario takes a rule of a VirtualService.",
    spec="3.5",
    fix="give requests of the scenario the path or headers that the rule asks for (load.*.headers, endpoints.*.path)",
)
def rules_without_request(facts: Facts) -> Iterator[Found]:
    """Every request that users and services send is known."""
    used = {flow.route.name for flow in facts.flows}
    for one in facts.resources.virtual_services:
        idle = [entry for entry in one.http if f"{entry.source} {entry.number}" not in used]
        reached = len(idle) < len(one.http) or any(
            serves(one.gateways, flow.client.gateway) and one.precision(flow.request.host) for flow in facts.flows
        )
        if reached and idle:
            verb = "take" if len(idle) > 1 else "takes"
            names = listed(entry.number for entry in idle)
            yield idle[0].source, f"{names} {verb} no request: none of the scenario's has what is asked for"


@rule(
    "MS408",
    "HTTP rules do nothing for a service that speaks plain TCP.",
    spec="3.5",
    fix="write tcp rules, or set the service's protocol to http, http2 or grpc",
)
def http_rules_for_tcp(facts: Facts) -> Iterator[Found]:
    """Without HTTP there is nothing to match."""
    for one in facts.resources.virtual_services:
        if one.tcp:
            continue
        # Whoever asks for such a service by way of the rule's gateways: `*` at an ingress does not mean a database.
        wanted = {flow.request.service for flow in facts.flows if serves(one.gateways, flow.client.gateway)}
        plain = [name for name, protocol in _meant(facts, one, wanted) if protocol == "tcp"]
        for entry in one.http:
            for name in plain:
                yield entry.source, f"{entry.number} does nothing for {name}: its protocol is tcp"


@rule(
    "MS410",
    "Rules for connections (tcp, tls) do nothing for a service that speaks HTTP.",
    spec="3.5",
    fix="write http rules, or set the service's protocol to tcp",
)
def tcp_rules_for_http(facts: Facts) -> Iterator[Found]:
    """Sidecars route by request there; that a gateway has no rule for HTTP is a warning of its own."""
    wanted = {flow.request.service for flow in facts.flows if flow.client.gateway == MESH}
    for one in facts.resources.virtual_services:
        if one.http or MESH not in one.gateways:
            continue
        spoken = [(name, protocol) for name, protocol in _meant(facts, one, wanted) if protocol != "tcp"]
        for entry in one.tcp:
            for name, protocol in spoken:
                yield entry.source, f"{entry.number} does nothing for {name}: its protocol is {protocol}"


def _meant(facts: Facts, one: VirtualService, wanted: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield name and protocol of the services among those wanted that a VirtualService has a host of."""
    for name, service in facts.document.services.items():
        if name in wanted and one.precision(hosts.full_name(facts.identity(name))) > 0:
            yield name, service.protocol


@rule(
    "MS409",
    "A Sidecar hides a service from a client that calls it.",
    spec="8",
    fix="add the service to egress.hosts",
)
def hidden_services(facts: Facts) -> Iterator[Found]:
    """A proxy knows only the hosts of its Sidecar."""
    hidden: dict[str, dict[str, None]] = {}
    for flow in facts.flows:
        namespace, labels = flow.client.namespace, flow.client.labels
        known = facts.resources.in_sidecar(flow.request.service, flow.request.namespace, namespace, labels)
        if flow.caller and not known:
            hidden.setdefault(flow.caller, {})[flow.request.service] = None
    for caller, callees in hidden.items():
        namespace = facts.service(caller).namespace
        yield (
            facts.source("services", caller),
            f"the Sidecar of {namespace} hides {listed(callees)}, which {caller} calls",
        )


@rule(
    "MS411",
    "exportTo of a ServiceEntry hides a service from a client that calls it.",
    spec="8",
    fix="add the client's namespace to exportTo",
)
def unexported_services(facts: Facts) -> Iterator[Found]:
    """A proxy knows only what is exported to its namespace."""
    hidden: dict[tuple[str, str, str], dict[str, None]] = {}
    for flow in facts.flows:
        service, home, namespace = flow.request.service, flow.request.namespace, flow.client.namespace
        entry = facts.resources.entry(service, home)
        if flow.caller and entry is not None and not entry.seen_from(namespace):
            hidden.setdefault((entry.source, service, namespace), {})[flow.caller] = None
    for (source, service, namespace), callers in hidden.items():
        verb = "call" if len(callers) > 1 else "calls"
        yield source, f"exportTo hides {service} from {namespace}, where {listed(callers)} {verb} it"
