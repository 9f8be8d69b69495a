"""The bootstrap configuration of a real Envoy for a point: one client proxy, and the gateway where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.cases import Endpoint, Point, overlay

Config = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions."
#: What every line of the access log says.
LOG_FIELDS = {
    "number": "%REQ(X-REQUEST-NUMBER)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "host": "%UPSTREAM_HOST%",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens: ``prefix`` is three numbers of a loopback address, endpoints are .1, .2, …"""

    prefix: str
    folder: Path
    port: int = 8080

    def endpoint(self, index: int) -> str:
        """Return the address of an endpoint."""
        return f"{self.prefix}.{index + 1}"

    @property
    def proxy(self) -> str:
        """Return the address of the client proxy and its administration."""
        return f"{self.prefix}.250"

    @property
    def gateway(self) -> str:
        """Return the address of the gateway."""
        return f"{self.prefix}.251"

    def eds(self, cluster: str) -> Path:
        """Return the file that holds a cluster's endpoints while they change."""
        return self.folder / f"{cluster}.json"


def bootstrap(point: Point, at: Addresses) -> Config:
    """Return the whole configuration of the process that is client proxy and gateway."""
    pods = int(point.gateway.get("client_pods", 1))
    names = [f"client{pod}" for pod in range(pods)]
    clusters = [_client_cluster(point, name, at) for name in names]
    listeners = [_http_listener("in", at.proxy, _filters(point, names, at), at.port)]
    if point.gateway:
        clusters.append(_gateway_cluster(point, at))
        listeners.append(_gateway_listener(point, at))
    return {
        "node": {"id": "conformance", "cluster": "conformance"},
        "admin": {"address": _socket(at.proxy, 9901)},
        "cluster_manager": {"outlier_detection": {"event_log_path": str(at.folder / "ejections.log")}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _socket(address: str, port: int) -> Config:
    return {"socket_address": {"address": address, "port_value": port}}


# --- clusters -----------------------------------------------------------------------------------------------------


def changes(endpoints: Iterable[Endpoint]) -> bool:
    """Tell whether the list of endpoints changes while the load runs."""
    return any(each.absent or each.join_t or each.leave_t or each.health_at for each in endpoints)


def _client_cluster(point: Point, name: str, at: Addresses) -> Config:
    policy = point.policy
    cluster: Config = {
        "name": name,
        "connect_timeout": policy.get("connect_timeout", "1s"),
        "lb_policy": policy.get("lb_policy", "ROUND_ROBIN"),
    }
    if policy.get("http2"):
        cluster["typed_extension_protocol_options"] = _http2(policy["http2"])
    direct = [each for each in point.endpoints if not _through_gateway(point, each)]
    cluster |= _members(point, name, direct, at, watched=bool(policy.get("eds")) or changes(direct))
    return overlay(cluster, policy.get("cluster") or {})


def _through_gateway(point: Point, endpoint: Endpoint) -> bool:
    """Tell whether the client reaches an endpoint through the gateway only."""
    return bool(point.gateway) and (endpoint.behind_gw or not any(each.behind_gw for each in point.endpoints))


def _http2(options: Any) -> Config:
    settings = dict(options) if isinstance(options, Mapping) else {}
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": settings},
        }
    }


def _members(point: Point, name: str, members: Sequence[Endpoint], at: Addresses, *, watched: bool) -> Config:
    if not watched:
        return {"type": "STATIC", "load_assignment": assignment(point, name, members, at, 0.0)}
    source = {"path_config_source": {"path": str(at.eds(name))}, "resource_api_version": "V3"}
    return {"type": "EDS", "eds_cluster_config": {"eds_config": source}}


def assignment(point: Point, name: str, members: Sequence[Endpoint], at: Addresses, time: float) -> Config:
    """Return a cluster's endpoints at a time of the load, in localities and priorities."""
    present = [each for each in members if _present(each, time)]
    groups: dict[Any, list[Config]] = {}
    for each in present:
        groups.setdefault((each.priority, each.locality), []).append(_lb_endpoint(each, at, time))
    if point.gateway and name.startswith("client"):
        behind = point.gateway.get("as_endpoint") or {}
        described: Config = {"endpoint": {"address": _socket(at.gateway, at.port)}}
        if behind.get("weight"):
            described["load_balancing_weight"] = behind["weight"]
        groups.setdefault((behind.get("priority", 0), None), []).append(described)
    found: Config = {"cluster_name": name, "endpoints": [_locality(*key, hosts) for key, hosts in groups.items()]}
    if point.policy.get("overprovisioning_factor") and name.startswith("client"):
        found["policy"] = {"overprovisioning_factor": point.policy["overprovisioning_factor"]}
    return found


def _present(endpoint: Endpoint, time: float) -> bool:
    joined = not endpoint.absent or (endpoint.join_t is not None and time >= endpoint.join_t)
    return joined and (endpoint.leave_t is None or time < endpoint.leave_t)


def _lb_endpoint(endpoint: Endpoint, at: Addresses, time: float) -> Config:
    health = endpoint.health
    for since, then in endpoint.health_at:
        health = then if time >= since else health
    described: Config = {"endpoint": {"address": _socket(at.endpoint(endpoint.index), at.port)}}
    if health != "HEALTHY":
        described["health_status"] = health
    if endpoint.weight:
        described["load_balancing_weight"] = endpoint.weight
    return described


def _locality(priority: int, place: Any, hosts: list[Config]) -> Config:
    found: Config = {"priority": priority, "lb_endpoints": hosts}
    if place is not None:
        found["locality"] = {"region": place.region, "zone": place.zone}
        found["load_balancing_weight"] = place.weight
    return found


def _gateway_cluster(point: Point, at: Addresses) -> Config:
    gateway = point.gateway
    members = [each for each in point.endpoints if _through_gateway(point, each)]
    cluster: Config = {
        "name": "gateway",
        "connect_timeout": gateway.get("connect_timeout", "1s"),
        "lb_policy": gateway.get("lb_policy", "ROUND_ROBIN"),
    }
    if gateway.get("mode") == "http" and gateway.get("http2"):
        cluster["typed_extension_protocol_options"] = _http2(gateway["http2"])
    return cluster | _members(point, "gateway", members, at, watched=bool(gateway.get("eds")) or changes(members))


def watched(point: Point, at: Addresses) -> dict[str, list[Endpoint]]:
    """Return the clusters whose endpoints stand in files, with their members."""
    found = {}
    direct = [each for each in point.endpoints if not _through_gateway(point, each)]
    behind = [each for each in point.endpoints if _through_gateway(point, each)]
    if bool(point.policy.get("eds")) or changes(direct):
        found |= {f"client{pod}": direct for pod in range(int(point.gateway.get("client_pods", 1)))}
    if point.gateway and (bool(point.gateway.get("eds")) or changes(behind)):
        found["gateway"] = behind
    return found


# --- listeners ----------------------------------------------------------------------------------------------------


def _http_listener(name: str, address: str, filters: list[Config], port: int) -> Config:
    return {"name": name, "address": _socket(address, port), "filter_chains": [{"filters": filters}]}


def _filters(point: Point, clusters: Sequence[str], at: Addresses) -> list[Config]:
    """Return the client's connection manager: fault filter, routes by pod, one line per request in the log."""
    http: list[Config] = []
    if point.policy.get("fault"):
        fault = {"@type": f"{_TYPES}filters.http.fault.v3.HTTPFault"} | point.policy["fault"]
        http.append({"name": "envoy.filters.http.fault", "typed_config": fault})
    routes = [_route(point, cluster, pod if len(clusters) > 1 else None) for pod, cluster in enumerate(clusters)]
    log = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{_TYPES}access_loggers.file.v3.FileAccessLog",
            "path": str(at.folder / "access.log"),
            "log_format": {"json_format": LOG_FIELDS},
        },
    }
    return [_manager("in", http, routes, {"access_log": [log]})]


def _route(point: Point, cluster: str, pod: int | None) -> Config:
    match: Config = {"prefix": "/"}
    if pod is not None:
        match["headers"] = [{"name": "x-pod", "string_match": {"exact": str(pod)}}]
    return {"match": match, "route": {"cluster": cluster} | (point.policy.get("route") or {})}


def _manager(name: str, http: list[Config], routes: list[Config], extra: Config) -> Config:
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}filters.http.router.v3.Router"}}
    host = {"name": "all", "domains": ["*"], "routes": routes, "include_request_attempt_count": name == "in"}
    manager = {
        "@type": f"{_TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": [host]},
        "http_filters": [*http, router],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager | extra}


def _gateway_listener(point: Point, at: Addresses) -> Config:
    if point.gateway["mode"] == "http":
        route = {"match": {"prefix": "/"}, "route": {"cluster": "gateway", "timeout": "0s"}}
        return _http_listener("gateway", at.gateway, [_manager("gateway", [], [route], {})], at.port)
    proxy = {
        "@type": f"{_TYPES}filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "gateway",
        "cluster": "gateway",
    } | (point.gateway.get("tcp") or {})
    filters: list[Config] = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
    return _http_listener("gateway", at.gateway, filters, at.port)
