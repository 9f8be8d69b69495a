"""Requests as rules of the mesh see them: method, path and headers of every operation, and who sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from meshsim.scenario.istio.clients import ANY_GATEWAY, Client, Request
from meshsim.scenario.istio.routes import Route
from meshsim.scenario.schema import CallStep, Document, Endpoint, EntryLoad, Keys
from meshsim.scenario.scripts import calls
from meshsim.scenario.selectors import outside_of, pod_labels, workloads_of

_NAMED = re.compile(r"([A-Z]+) (/\S*)")

#: The headers that name the host that is asked for; they are not handed on to calls below.
_HOST = ("host", ":authority")

#: Namespace and labels of Istio's ingress gateway.
INGRESS_NAMESPACE = "istio-system"
INGRESS_LABELS: Mapping[str, str] = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
#: Labels of Istio's east-west gateway; it stands in the namespace of the ingress gateway.
EAST_WEST_LABELS: Mapping[str, str] = {"app": "istio-eastwestgateway", "istio": "eastwestgateway"}
#: Who sends users' requests, in tables and for ``--from``; no service may have this name.
INGRESS = "ingress"
#: What stands for (service, workload) where gateways are clients.
INGRESS_CLIENT, EAST_WEST_CLIENT = ("", ""), ("", "east-west")


# --- operations -----------------------------------------------------------------------------------------------


def line_of(document: Document, service: str, endpoint: str) -> tuple[str, str]:
    """Return method and path of an endpoint, the path with its query if it has one.

    An endpoint named ``POST /cart`` has both in its name; any other is ``GET /<name>``, with gRPC
    ``POST /<service>/<name>``. The fields ``method`` and ``path`` come first.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> line_of(load(EXAMPLE).document, "web", "GET /")
    ('GET', '/')
    """
    owner = document.services[service]
    given: Endpoint = owner.endpoints[endpoint]
    named = _NAMED.fullmatch(endpoint)
    if named:
        method, path = named[1], named[2]
    elif owner.protocol == "grpc":
        method, path = "POST", f"/{service}/{endpoint.lstrip('/')}"
    else:
        method, path = "GET", "/" + endpoint.lstrip("/")
    return given.method or method, given.path or path


def request_of(document: Document, operation: str, headers: Mapping[str, str] | None = None) -> Request:
    """Return the request for an operation, given as ``service/endpoint``, with these headers.

    ``host`` (or ``:authority``) among the headers is the host that is asked for. A ``{id}`` in a path is sent as it
    stands, so a rule for ``/cart/`` takes ``/cart/{id}`` and one for ``/cart/7`` does not.

    Raises
    ------
    KeyError
        If there is no such service or endpoint.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> request_of(load(EXAMPLE).document, "web/GET /", {"End-User": "jason"}).headers
    {'end-user': 'jason'}
    """
    service, _, endpoint = operation.partition("/")
    owner = document.services[service]
    method, target = line_of(document, service, endpoint)
    path, _, query = target.partition("?")
    given = {name.lower(): value for name, value in (headers or {}).items()}
    authority = next((given[name] for name in _HOST if name in given), owner.host or "")
    return Request(
        service=service,
        namespace=owner.namespace,
        port=owner.port,
        method=method,
        path=path,
        headers={name: value for name, value in given.items() if name not in _HOST},
        query=dict(parse_qsl(query, keep_blank_values=True)),
        authority=authority,
        protocol=owner.protocol,
    )


def operation_at(document: Document, service: str, request: Request, asked: str) -> str | None:
    """Return the operation that a request calls at a service it was not necessarily made for, or None (404).

    Parameters
    ----------
    document
        The scenario.
    service
        Where the request arrives.
    request
        As it arrives, so with the path after rewriting.
    asked
        The operation that the caller named.

    Returns
    -------
    str or None
        The operation asked for, where it is one of this service and the path is as it was sent; otherwise that of the
        same method and path, then one whose path fits with ``{…}`` for any one part, then one of the same name.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> operation_at(load(EXAMPLE).document, "web", Request("shop", path="/"), "shop/home")
    'web/GET /'
    """
    home, _, name = asked.partition("/")
    endpoints = document.services[service].endpoints
    lines = {endpoint: line_of(document, service, endpoint) for endpoint in endpoints}
    paths = {endpoint: (method, path.partition("?")[0]) for endpoint, (method, path) in lines.items()}
    wanted = (request.method, request.path)
    if home == service and paths.get(name) == wanted:
        return asked
    same = [endpoint for endpoint, line in paths.items() if line == wanted]
    alike = [endpoint for endpoint, line in paths.items() if line[0] == wanted[0] and _fits(line[1], wanted[1])]
    found = [*same, *alike, *([name] if name in endpoints else [])]
    return f"{service}/{found[0]}" if found else None


def operations_of(document: Document, route: Route, request: Request, asked: str) -> list[str | None]:
    """Return the operation that a routed request calls at each place that it reaches (`Route.reached`), or None (404).

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.istio.routes import Destination
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> route = Route(((Destination("web"), 50), (Destination("elsewhere"), 50)))
    >>> operations_of(load(EXAMPLE).document, route, Request("web"), "web/GET /")
    ['web/GET /', None]
    """
    arriving = replace(request, path=route.path.partition("?")[0] or request.path)
    return [
        operation_at(document, one.service, arriving, asked) if one.service in document.services else None
        for one in route.reached
    ]


def _fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part == own or (part.startswith("{") and part.endswith("}") and own)
        for part, own in zip(parts, given, strict=True)
    )


# --- clients --------------------------------------------------------------------------------------------------


def labels_of(document: Document, service: str, workload: str) -> dict[str, str]:
    """Return the labels of a workload's pods: ``app``, ``version`` where its name tells one, and its own.

    An endpoint that no Deployment keeps has those that its resource gives it.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> document = load({**EXAMPLE, "services": {"web": {"workloads": {"web-v1": {}}, "endpoints": {"GET /": {}}}}})
    >>> labels_of(document.document, "web", "web-v1")
    {'app': 'web', 'version': 'v1'}
    """
    outside = outside_of(document, service).get(workload)
    if outside is not None:
        return dict(outside.labels)
    return pod_labels(service, workload) | workloads_of(document, service)[workload].labels


def sidecar(document: Document, service: str, workload: str) -> Client:
    """Return the sidecar of a workload, as a client.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> sidecar(load(EXAMPLE).document, "web", "web")
    Client(namespace='default', labels={'app': 'web'}, gateway='mesh')
    """
    return Client(document.services[service].namespace, labels_of(document, service, workload))


def ingress() -> Client:
    """Return the ingress gateway, as a client: it serves every Gateway that a VirtualService names.

    Examples
    --------
    >>> ingress().gateway
    '*'
    """
    return Client(INGRESS_NAMESPACE, dict(INGRESS_LABELS), ANY_GATEWAY)


# --- variants -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variant:
    """What the requests of a user's action carry, to the mesh and to every call below.

    Parameters
    ----------
    headers
        (name in lower case, value), sorted.
    keys
        (name of a header, cookie or query parameter, distribution of its values), sorted.
    host
        The host that is asked for; empty = the service's. Calls below do not inherit it.

    Examples
    --------
    >>> Variant() == variant({}, {})
    True
    """

    headers: tuple[tuple[str, str], ...] = ()
    keys: tuple[tuple[str, Keys], ...] = field(default=(), hash=False)
    host: str = ""

    @property
    def sent(self) -> dict[str, str]:
        """Return the headers for `request_of`; one whose value differs from user to user is there and empty."""
        host = {"host": self.host} if self.host else {}
        return {name: "" for name, _ in self.keys} | dict(self.headers) | host

    def below(self, call: CallStep) -> Variant:
        """Return what a call made on behalf of such a request carries.

        Examples
        --------
        >>> variant({"host": "shop.example.com", "a": "1"}, {}).below(CallStep(call="b/c", headers={"A": "2"})).sent
        {'a': '2'}
        """
        return variant(dict(self.headers) | {name.lower(): value for name, value in call.headers.items()}, self.keys)


def variant(headers: Mapping[str, str], keys: Mapping[str, Keys] | tuple[tuple[str, Keys], ...]) -> Variant:
    """Return the variant of these headers and keys; a header with a fixed value has no key.

    Examples
    --------
    >>> variant({"End-User": "jason"}, {}).headers
    (('end-user', 'jason'),)
    """
    own = {name.lower(): value for name, value in headers.items()}
    host = next((own[name] for name in _HOST if name in own), "")
    plain = {name: value for name, value in own.items() if name not in _HOST}
    drawn = {name.lower(): value for name, value in dict(keys).items()}
    kept = sorted((name, value) for name, value in drawn.items() if name not in plain)
    return Variant(tuple(sorted(plain.items())), tuple(kept), host)


def entry_variant(entry: EntryLoad, action: str | None = None) -> Variant:
    """Return what the requests of an action carry; None for an entry without actions.

    Examples
    --------
    >>> entry_variant(EntryLoad(rate="1/s", headers={"a": "1"})).headers
    (('a', '1'),)
    """
    lower = {name.lower(): value for name, value in entry.headers.items()}
    own = entry.actions[action].headers if action is not None else {}
    return variant(lower | {name.lower(): value for name, value in own.items()}, entry.keys)


def variants(document: Document) -> list[Variant]:
    """Return every variant that a request can have, without repetition; the first carries nothing.

    Followed from the load through all calls, as calls may add headers; a call counts at every service that has the
    operation, as a VirtualService may send it there.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> variants(load(EXAMPLE).document)
    [Variant(headers=(), keys=(), host='')]
    """
    made: dict[str, list[CallStep]] = {operation: [] for operation in _operations(document)}
    for _, service, endpoint, step in calls(document):
        made[f"{service}/{endpoint}"].append(step)
    twins = _twins(document)
    waiting = list(dict.fromkeys(_entries(document)))
    seen = dict.fromkeys(waiting)
    found = dict.fromkeys([Variant(), *(one for one, _ in waiting)])
    followed: set[tuple[Variant, str]] = set()
    while waiting:
        one, operation = waiting.pop()
        for twin in twins[operation]:
            if (one, twin) in followed:
                continue
            followed.add((one, twin))
            for call in made[twin]:
                below = (one.below(call), call.call)
                if below not in seen:
                    seen[below] = None
                    found.setdefault(below[0])
                    waiting.append(below)
    return list(found)


def actions_of(document: Document, entry: str) -> list[tuple[float, str | None, list[str]]]:
    """Return what the users of a load entry do: weight, name and operations of each action.

    An entry without actions has one without a name, which requests every endpoint in turn.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> actions_of(load(EXAMPLE).document, "web")
    [(1.0, None, ['web/GET /'])]
    """
    described = document.load.entries[entry]
    service = described.service or entry
    given: list[tuple[float, str | None, list[str]]] = [
        (action.weight, name, action.requests) for name, action in described.actions.items()
    ]
    everything = (1.0, None, list(document.services[service].endpoints))
    return [(weight, name, [f"{service}/{one}" for one in ends]) for weight, name, ends in given or [everything]]


def _entries(document: Document) -> Iterator[tuple[Variant, str]]:
    for name, entry in document.load.entries.items():
        for _, action, operations in actions_of(document, name):
            for operation in operations:
                yield entry_variant(entry, action), operation


def _operations(document: Document) -> list[str]:
    return [f"{name}/{endpoint}" for name, service in document.services.items() for endpoint in service.endpoints]


def _twins(document: Document) -> dict[str, list[str]]:
    """Return, by operation, those that a request for it may call elsewhere: of the same name, or method and path."""
    groups: dict[object, list[str]] = {}
    for operation in _operations(document):
        service, _, endpoint = operation.partition("/")
        for key in {endpoint, line_of(document, service, endpoint)}:
            groups.setdefault(key, []).append(operation)
    found = {}
    for operation in _operations(document):
        service, _, endpoint = operation.partition("/")
        names = [*groups[endpoint], *groups[line_of(document, service, endpoint)]]
        found[operation] = list(dict.fromkeys(names))
    return found
