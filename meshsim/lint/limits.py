"""Lints about connection pools and circuit breakers: limits that hold elsewhere, or more, than they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.lint.facts import Facts, Upstream, is_set, title
from meshsim.lint.registry import Found, listed, rule
from meshsim.mesh.places import Client
from meshsim.scenario.istio.connections import MAX_STREAMS
from meshsim.scenario.istio.policy import UNLIMITED, Policy
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.versions import profile
from meshsim.scenario.proxies import has_sidecar
from meshsim.scenario.schema import EastWestGateway
from meshsim.scenario.selectors import workloads_of

_LIMITS = {
    "max_connections": "maxConnections",
    "max_pending_requests": "http1MaxPendingRequests",
    "max_requests": "http2MaxRequests",
    "max_retries": "maxRetries",
}


def _limits(policy: Policy) -> Iterator[tuple[str, str, int, str]]:
    """Yield the limits that are set: field, Istio's name, value and place."""
    for name, shown in _LIMITS.items():
        value: int = getattr(policy.circuit_breaker, name)
        if value != UNLIMITED and is_set(policy, f"circuit_breaker.{name}"):
            yield name, shown, value, policy.sources[f"circuit_breaker.{name}"]


def _http2(facts: Facts, upstream: Upstream) -> bool:
    pool = facts.policy(upstream).connection_pool
    return facts.service(upstream[0]).protocol in {"http2", "grpc"} or pool.h2_upgrade


@rule(
    "MS501",
    "Limits of a connectionPool hold for each client proxy, not for the service.",
    spec="3.1",
    fix="divide what the service can take by the number of client proxies, or limit inbound connections (Sidecar)",
)
def limits_are_per_proxy(facts: Facts) -> Iterator[Found]:
    """Proxies do not know of one another."""
    for upstream, policy in facts.policies:
        proxies = facts.proxies(upstream)
        for _, shown, value, source in _limits(policy) if proxies > 1 else ():
            yield (
                source,
                (
                    f"{shown} {value} holds for each client proxy: the {proxies} clients of {title(upstream)} may have "
                    f"{value * proxies:,} together"
                ),
            )


@rule(
    "MS502",
    "maxConnections below hosts x worker threads is exceeded: each thread may always open one connection to a host.",
    spec="3.1",
    fix="limit requests with http2MaxRequests, or lower the proxy's concurrency",
)
def connections_have_a_floor(facts: Facts) -> Iterator[Found]:
    """A pool without a connection may open one whatever the limit."""
    for upstream, policy in facts.policies:
        limit = policy.circuit_breaker.max_connections
        source = policy.sources.get("circuit_breaker.max_connections", "")
        if source in {"", DEFAULT}:
            continue
        threads, hosts = max(_threads_and_hosts(facts, upstream), key=lambda found: found[0] * found[1], default=(0, 0))
        if limit < threads * hosts:
            yield (
                source,
                (
                    f"maxConnections {limit} does not hold for {title(upstream)}: each of {threads} worker threads "
                    f"may open one connection to each of {hosts} hosts, {threads * hosts} in all"
                ),
            )


def _threads_and_hosts(facts: Facts, upstream: Upstream) -> Iterator[tuple[int, int]]:
    """Yield the worker threads of each kind of client of a destination, and how many hosts of it they see."""
    for caller in facts.callers(upstream):
        for client in facts.localities(caller, upstream):
            yield facts.threads(caller, client.cluster), len(facts.views(upstream, client))


@rule(
    "MS503",
    "maxRetries limits how many retries are under way at once, not the tries of a request.",
    spec="3.1",
    fix="set attempts in the VirtualService's retries; leave maxRetries away or set it far higher",
)
def retries_at_once(facts: Facts) -> Iterator[Found]:
    """It is a circuit breaker."""
    for upstream, policy in facts.policies:
        budget = policy.retry_budget is not None
        for name, _, value, source in _limits(policy):
            if name == "max_retries" and budget:
                yield source, f"maxRetries {value} does nothing for {title(upstream)}: retryBudget takes its place"
            elif name == "max_retries" and value <= 3:
                yield (
                    source,
                    (
                        f"maxRetries {value} is for all requests of a proxy to {title(upstream)} at once, "
                        "not for one request: retries beyond it fail with UO"
                    ),
                )


@rule(
    "MS504",
    "maxConnections hardly limits requests over HTTP/2: one connection carries a thousand at a time, or all.",
    spec="3.1",
    fix="limit requests with http2MaxRequests",
)
def connections_of_http2(facts: Facts) -> Iterator[Found]:
    """Streams are not connections."""
    for upstream, policy in facts.policies:
        streams = policy.connection_pool.max_concurrent_streams
        most = profile(facts.version).http2_streams
        many, requests = streams >= most, policy.circuit_breaker.max_requests
        workloads = workloads_of(facts.document, upstream[0])
        proxied = any(has_sidecar(facts.document, upstream[0], workload) for workload in workloads)
        taken = most if proxied else streams
        for name, shown, value, source in _limits(policy):
            if name == "max_connections" and _http2(facts, upstream) and many and requests == UNLIMITED:
                carries = "them all" if taken >= MAX_STREAMS else f"{taken} at a time"
                said = f"{shown} {value} hardly limits requests to {title(upstream)}"
                yield source, f"{said}: each HTTP/2 connection carries {carries}"


@rule(
    "MS505",
    "maxConnections without http1MaxPendingRequests: requests beyond it wait without limit, none is refused.",
    spec="3.1",
    fix="set http1MaxPendingRequests",
)
def waiting_without_limit(facts: Facts) -> Iterator[Found]:
    """Istio sets no limit of its own, unlike Envoy."""
    for upstream, policy in facts.policies:
        endless = policy.circuit_breaker.max_pending_requests == UNLIMITED
        if facts.service(upstream[0]).protocol != "http" or not endless or _http2(facts, upstream):
            continue
        for name, _, value, source in _limits(policy):
            if name == "max_connections" and policy.circuit_breaker.max_requests == UNLIMITED:
                yield (
                    source,
                    (
                        f"maxConnections {value} refuses no request to {title(upstream)}: "
                        "they wait for a connection, as many as come, since http1MaxPendingRequests has no limit"
                    ),
                )


@rule(
    "MS506",
    "Through a gateway, HTTP/2 sends all requests of a worker thread to one remote pod.",
    spec="4.4",
    fix="set connectionPool.http.maxRequestsPerConnection (or tcp.maxConnectionDuration), "
    "so that connections are renewed",
)
def pinned_to_one_pod(facts: Facts) -> Iterator[Found]:
    """A passthrough gateway balances connections, and HTTP/2 needs one."""
    pinned: dict[str, list[str]] = {}
    for upstream, policy in facts.policies:
        pool = policy.connection_pool
        renewed = pool.max_requests_per_connection or pool.max_connection_duration or pool.max_concurrent_streams < 1000
        if not _http2(facts, upstream) or renewed or not _several_behind(facts, upstream):
            continue
        set_here = [policy.sources[name] for name in ("load_balancer", "outlier_detection") if is_set(policy, name)]
        pinned.setdefault(next(iter(set_here), facts.source("services")), []).append(title(upstream))
    for source, services in pinned.items():
        yield (
            source,
            (
                f"{listed(services)}: a client in another network opens one HTTP/2 connection a worker thread "
                "through the gateway, which leads to one pod: its requests are not balanced there"
            ),
        )


def _several_behind(facts: Facts, upstream: Upstream) -> bool:
    """Tell whether some client reaches more than one pod through the gateways of a cluster."""
    for client in facts.clients(upstream):
        if any(view.is_gateway for view in facts.views(upstream, client)):
            away = [pod.cluster for pod in facts.pods(upstream) if pod.network != client.network]
            if len(away) > len(set(away)):
                return True
    return False


@rule(
    "MS507",
    "maxConnections holds for the connections of each replica of an east-west gateway, too.",
    spec="4.4",
    fix="set maxConnections to what all proxies of other networks open together, or give the gateway more replicas",
)
def connections_end_at_the_gateway(facts: Facts) -> Iterator[Found]:
    """A gateway opens a connection to a pod for each that clients open to it, under the same DestinationRule."""
    for upstream, policy in facts.policies:
        for name, shown, limit, source in _limits(policy):
            for cluster, threads in _beyond(facts, upstream).items() if name == "max_connections" else ():
                replicas = facts.document.gateways.get(cluster, EastWestGateway()).replicas
                each = "the replica" if replicas == 1 else f"each of the {replicas} replicas"
                if sum(threads) > limit * replicas:
                    yield (
                        source,
                        (
                            f"{shown} {limit} holds for {each} of the gateway of {cluster}, too: {len(threads)} "
                            f"proxies of other networks, with {sum(threads)} worker threads, open a connection each "
                            f"or more to {title(upstream)}, and those beyond {limit * replicas:,} fail (UF)"
                        ),
                    )


def _beyond(facts: Facts, upstream: Upstream) -> dict[str, list[int]]:
    """Return the worker threads of each client proxy that reaches a destination through the gateway of a cluster."""
    clusters = {number: cluster for (_, cluster), own in facts.gateways.by_cluster.items() for number in own}
    by_cluster: dict[str, list[Client]] = {}
    for client in facts.clients(upstream):
        by_cluster.setdefault(client.cluster, []).append(client)
    found: dict[str, list[int]] = {}
    for home, clients in by_cluster.items():
        views = [view for client in clients for view in facts.views(upstream, client) if view.is_gateway]
        for cluster in dict.fromkeys(clusters[view.host] for view in views):
            found.setdefault(cluster, []).extend(_threads(facts, upstream, home))
    return found


def _threads(facts: Facts, upstream: Upstream, cluster: str) -> Iterator[int]:
    """Yield the worker threads of each proxy in a cluster that sends requests to a destination."""
    for caller in facts.callers(upstream):
        yield from [facts.threads(caller, cluster)] * facts.replicas(caller, cluster)
