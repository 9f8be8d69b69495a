"""What an explanation says, and the same for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from meshsim.scenario.istio.clients import Request
from meshsim.scenario.istio.policy import Policy
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Destination, Route


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and what the proxy does with it.

    Parameters
    ----------
    operation
        ``service/endpoint`` that is asked for.
    request
        Method, path and headers.
    route
        Where it goes, timeout, retries, faults, mirrors, and where each comes from.
    """

    operation: str
    request: Request
    route: Route


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A host as the proxy sees it.

    Parameters
    ----------
    name
        The pod, or ``gateway@cluster``.
    cluster, region, zone
        Where it is; the zone of a gateway is empty: it stands for pods of several.
    gateway
        Whether it is an east-west gateway, and so one host in place of the pods behind it.
    behind
        Pods of the destination that the gateway stands for; 0 for a pod.
    priority, locality, weight, locality_weight
        As the control plane sends them; numbers from 0.
    share
        Fraction of the next requests that locality and weight give it, before the balancer looks at active requests.
    status
        ``healthy``, ``unready``, ``ejected`` or ``failing`` (the proxy's own checks).
    told
        Whether the load balancer knows of this; False within the merge window of a change.
    returns
        Seconds; when the ejection ends. None if it is not ejected.
    errors, ejections
        5xx answers in a row, and ejections so far.
    active, connections, waiting
        Requests at it, connections to it, requests that wait for one.
    """

    name: str
    cluster: str
    region: str
    zone: str
    gateway: bool
    behind: int
    priority: int
    locality: int
    weight: float
    locality_weight: float
    share: float
    status: str
    told: bool
    returns: float | None
    errors: int
    ejections: int
    active: int
    connections: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PriorityView:
    """A priority: its hosts, how many of them the balancer knows as healthy, its load (percent), and panic."""

    number: int
    hosts: int
    healthy: int
    load: int
    panic: bool
    balancer: str


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """A destination as the proxy sees it.

    Parameters
    ----------
    destination
        Service and subset.
    policy
        The effective policy with `Policy.sources`.
    live
        Whether the proxy has it: no request of the scenario goes to a destination that is not live.
    exists
        False for a subset that no DestinationRule has: 503 NC.
    priorities, endpoints
        In the order of priorities.
    used
        Circuit breakers: (name, in use, limit); limit None = none.
    ejected
        How many hosts are ejected.
    """

    destination: Destination
    policy: Policy
    live: bool = True
    exists: bool = True
    priorities: tuple[PriorityView, ...] = ()
    endpoints: tuple[EndpointView, ...] = ()
    used: tuple[tuple[str, int, int | None], ...] = ()
    ejected: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one proxy sees and will do.

    Parameters
    ----------
    scenario, deployment, time
        Which run, and the instant (seconds).
    proxy, cluster, region, zone, network
        Who.
    service
        Whom it asks.
    requests
        Its requests for the service.
    upstreams
        The destinations that they lead to.
    behind
        Whether a control plane knows of endpoints that the proxy has not applied yet.
    """

    scenario: str
    deployment: str
    time: float
    proxy: str
    cluster: str
    region: str
    zone: str
    network: str
    service: str
    requests: tuple[Asked, ...]
    upstreams: tuple[UpstreamView, ...]
    behind: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON: names and numbers, the policy with the source of each value."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        found["requests"] = [_request_json(one) for one in self.requests]
        found["upstreams"] = [_upstream_json(one) for one in self.upstreams]
        return found


def settings(policy: Policy) -> list[tuple[str, Any, str]]:
    """Return every value of a policy: name, value, and where it comes from.

    Parameters
    ----------
    policy
        A policy with its sources.

    Examples
    --------
    >>> settings(Policy(sources={"connect_timeout": "MeshConfig (mesh.yaml:3)"}))[-3]
    ('connect_timeout', 10.0, 'MeshConfig (mesh.yaml:3)')
    """
    return list(_settings(policy, "", policy.sources, DEFAULT))


def retries(route: Route) -> list[tuple[str, Any, str]]:
    """Return every value of a route's retries: name, value, and where it comes from.

    Examples
    --------
    >>> retries(Route())[0]
    ('attempts', 2, 'Istio default')
    """
    found = _settings(route.retry, "retry.", route.sources, DEFAULT)
    return [(name.removeprefix("retry."), value, source) for name, value, source in found]


def _settings(block: Any, prefix: str, sources: Mapping[str, str], above: str) -> Iterator[tuple[str, Any, str]]:
    for part in fields(block):
        name, value = prefix + part.name, getattr(block, part.name)
        if part.name in {"sources", "outlier_detection_by_mesh"}:
            continue
        source = sources.get(name, above)
        if is_dataclass(value):
            yield from _settings(value, f"{name}.", sources, source)
        else:
            yield name, value, source


def _request_json(one: Asked) -> dict[str, Any]:
    route = one.route
    return {
        "operation": one.operation,
        "method": one.request.method,
        "path": one.request.path,
        "headers": dict(one.request.headers),
        "rule": route.name,
        "destinations": [_end_json(end) | {"weight": weight} for end, weight in route.destinations],
        "mirrors": [_end_json(mirror.destination) | {"percent": mirror.percent} for mirror in route.mirrors],
        "timeout": {"value": route.timeout, "source": route.sources.get("timeout", DEFAULT)},
        "retries": _values_json(retries(route)),
        "fault": {part.name: getattr(route.fault, part.name) for part in fields(route.fault)},
        "direct_code": route.direct_code or None,
        "no_route": route.no_route,
        "path_sent": route.path,
        "authority": route.authority,
    }


def _upstream_json(one: UpstreamView) -> dict[str, Any]:
    return {
        **_end_json(one.destination),
        "live": one.live,
        "exists": one.exists,
        "ejected": one.ejected,
        "priorities": [{part.name: getattr(row, part.name) for part in fields(row)} for row in one.priorities],
        "endpoints": [{part.name: getattr(row, part.name) for part in fields(row)} for row in one.endpoints],
        "circuit_breakers": [{"name": name, "used": used, "limit": limit} for name, used, limit in one.used],
        "policy": _values_json(settings(one.policy)),
    }


def _end_json(end: Destination) -> dict[str, Any]:
    return {"service": end.service or end.host, "subset": end.subset or None}


def _values_json(values: Sequence[tuple[str, Any, str]]) -> dict[str, Any]:
    return {name: {"value": value, "source": source} for name, value, source in values}
