"""Where a client proxy sends a request: the rules of VirtualServices, resolved for one client and one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.clients import MESH, Client, Request, serves
from meshsim.scenario.istio.matching import Match
from meshsim.scenario.istio.policy import Retry
from meshsim.scenario.istio.resolve import DEFAULT, Layer, Setting, layer
from meshsim.scenario.istio.routes import Destination, Fault, HttpRule, Rewrite, Route, VirtualService, Weighted
from meshsim.scenario.istio.versions import Profile

#: A rule and the match by which a client knows it.
Candidate = tuple[HttpRule, Match]


def find(  # noqa: PLR0917
    virtual_services: Sequence[VirtualService],
    services: Mapping[str, str],
    mesh: Iterable[Setting],
    client: Client,
    request: Request,
    profile: Profile,
    *,
    closed: bool = False,
) -> Route:
    """Return what a client does with a request (spec §3.3-3.5).

    Parameters
    ----------
    virtual_services
        In the order of the files: of two for one host the first counts.
    services
        Names in the scenario by full name.
    mesh
        What MeshConfig sets.
    client, request
        Who sends what.
    profile
        The Istio version.
    closed
        Whether hosts that the mesh does not know are refused (REGISTRY_ONLY).

    Examples
    --------
    >>> from meshsim.scenario.istio.versions import profile
    >>> find((), {}, (), Client(), Request("cart"), profile("1.31")).destinations
    ((Destination(service='cart', subset='', host=''), 100),)
    """
    settings = layer(mesh)
    seen = [one for one in virtual_services if serves(one.gateways, client.gateway) and one.seen_by(client.namespace)]
    if request.protocol == "tcp":
        return _tcp(seen, client, request)
    found = _merged(seen, client, request) if client.gateway != MESH else _first(seen, client, request)
    if found is None:
        return _default(services, settings, client, request, profile, closed=closed)
    for rule, match in found:
        if match.takes(request):
            return _route(rule, match, settings, request, profile)
    return _no_route(request)


def hidden(request: Request, *, closed: bool) -> Route:
    """Return the route to a service that a client does not know by this host (spec §3.5, §8).

    A Sidecar, or the service's ``exportTo``, hides it from the client; or the mesh has no such host at all.

    It is refused under REGISTRY_ONLY (``closed``). Otherwise it is passed through to the address that the application
    looked up, which Kubernetes balances: no retries and no timeout.

    Examples
    --------
    >>> hidden(Request("cart"), closed=True).direct_code, hidden(Request("cart"), closed=False).retry.attempts
    (502, 0)
    """
    if closed:
        return _refused(request)
    to: Weighted = ((Destination(request.service), 100),)
    off = Retry(attempts=0)
    return Route(to, retry=off, path=request.path, authority=request.host, name="PassthroughCluster")


def _refused(request: Request) -> Route:
    return Route(direct_code=502, path=request.path, authority=request.host, name="BlackHoleCluster")


def _no_route(request: Request) -> Route:
    return Route(direct_code=404, no_route=True, path=request.path, authority=request.host, name="no route")


def _known(rules: Iterable[HttpRule], client: Client, port: int) -> Iterator[Candidate]:
    """Yield what istiod sends to this client; nothing comes after what takes every request."""
    for rule in rules:
        for match in rule.matches or (Match(),):
            if match.concerns(client, port):
                yield rule, match
                if match.everything:
                    return


def _first(seen: Sequence[VirtualService], client: Client, request: Request) -> list[Candidate] | None:
    """Return the rules of the VirtualService that sidecars use: one without a rule for this client does not count."""
    fits = [(-one.precision(request.host), "*" in one.export_to, one) for one in seen if one.precision(request.host)]
    for *_, one in sorted(fits, key=lambda fit: fit[:2]):
        if rules := list(_known(one.http, client, request.port)):
            return rules
    return None


def _merged(seen: Sequence[VirtualService], client: Client, request: Request) -> list[Candidate] | None:
    """Return the rules of all VirtualServices for a host of a gateway, those for every request last (gateway.go)."""
    usable = [(one, rules) for one in seen if (rules := list(_known(one.http, client, request.port)))]
    best = max((one.precision(request.host) for one, _ in usable), default=0)
    if best:
        chosen = [rules for one, rules in usable if one.precision(request.host) == best]
    elif not request.authority:
        # The user asks for a name of the outside world; the scenario says which service it leads to.
        hosts_asked = [one.outside[0] for one, _ in usable if one.outside and one.leads_to(request.service)]
        chosen = [rules for one, rules in usable if hosts_asked[:1] and hosts_asked[0] in one.outside]
    else:
        chosen = []
    candidates = [candidate for rules in chosen for candidate in rules]
    return sorted(candidates, key=lambda candidate: candidate[1].everything) or None


def _default(
    services: Mapping[str, str], settings: Layer, client: Client, request: Request, profile: Profile, *, closed: bool
) -> Route:
    """Return the route of a host without VirtualService: to the service of that name (spec §3.5)."""
    service = services.get(request.host, "") if request.authority else request.service
    if not service and client.gateway != MESH:
        return _no_route(request)
    if not service:
        return hidden(request, closed=closed)
    sources = {"timeout": DEFAULT, "destinations": DEFAULT}
    retry = _retry(settings, profile, sources)
    to = ((Destination(service, "", request.authority), 100),)
    return Route(to, retry=retry, path=request.path, authority=request.host, name=DEFAULT, sources=sources)


def _tcp(seen: Sequence[VirtualService], client: Client, request: Request) -> Route:
    """Return the route of a connection: without HTTP there are neither timeouts nor retries."""
    off = Retry(attempts=0)
    to: Weighted = ((Destination(request.service), 100),)
    fits = [(-one.precision(request.host), one) for one in seen if one.precision(request.host)]
    for _, one in sorted(fits, key=lambda fit: fit[0]):
        for rule in one.tcp:
            named = not rule.names or any(hosts.matches(name, request.host) for name in rule.names)
            if named and any(match.concerns(client, request.port) for match in rule.matches or (Match(),)):
                sources = {"destinations": rule.source, "retry.attempts": "TCP"}
                name = f"{rule.source} {rule.number}"
                return Route(rule.destinations, retry=off, authority=request.host, name=name, sources=sources)
    sources = {"destinations": DEFAULT, "retry.attempts": "TCP"}
    return Route(to, retry=off, authority=request.host, sources=sources)


# --- what its rule says ---------------------------------------------------------------------------------------


def _route(rule: HttpRule, match: Match, settings: Layer, request: Request, profile: Profile) -> Route:
    own = layer(rule.retry)
    sources = {"timeout": rule.timeout.source if rule.timeout else DEFAULT}
    retry = _retry(own if "retry" in own else settings, profile, sources)
    rewrite = rule.rewrite or Rewrite()
    parts = {"fault": rule.fault, "mirrors": rule.copies, "rewrite": rule.rewrite, "direct_code": rule.direct_code}
    sources |= {name: rule.source for name, part in parts.items() if part}
    sources["destinations"] = rule.source
    return Route(
        destinations=() if rule.direct_code else rule.destinations,
        timeout=(rule.timeout.value if rule.timeout else None) or None,  # 0s switches it off
        retry=retry,
        fault=rule.fault or Fault(),
        mirrors=() if rule.direct_code else rule.copies,
        direct_code=rule.direct_code,
        path=rewrite.path(request.path, match),
        authority=rewrite.authority or request.host,
        name=f"{rule.source} {rule.number}",
        sources=sources,
    )


def _retry(found: Layer, profile: Profile, sources: dict[str, str]) -> Retry:
    """Return the retry policy; a block without attempts switches retries off (spec §3.3; retry.go)."""
    codes = (503,) if profile.retry_503 else ()
    default = Retry(status_codes=codes)
    sources.update({f"retry.{part.name}": DEFAULT for part in fields(Retry)})
    if "retry" not in found:
        return default
    block = found["retry"]
    names = ("attempts", "per_try_timeout", "base_interval", "avoid_previous_hosts", "remote_localities")
    settings = {name: found[f"retry.{name}"] for name in names if f"retry.{name}" in found}
    settings.setdefault("attempts", Setting("retry.attempts", 0, block.source))
    sources.update({f"retry.{name}": setting.source for name, setting in settings.items()})
    if (on := found.get("retry.on")) and any(on.value):
        conditions, codes = on.value
        sources["retry.conditions"] = sources["retry.status_codes"] = on.source
    else:
        conditions = default.conditions
    values = {name: setting.value for name, setting in settings.items()}
    sources["retry.max_interval"] = sources["retry.base_interval"]
    policy = replace(default, conditions=conditions, status_codes=codes, **values)
    # Envoy: the longest back-off is ten times the base.
    return replace(policy, max_interval=10 * policy.base_interval)
