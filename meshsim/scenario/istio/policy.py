"""What a client proxy does with requests to one service: Istio's resources, resolved to numbers with Istio's defaults.

Times are seconds, percentages are whole numbers as Istio writes them. *spec §n* is the modelling specification; Envoy's
and Istio's files are named without their repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshsim.scenario.istio.balancing import HashPolicy, LoadBalancer, Locality, Warmup, ZoneAware
from meshsim.scenario.istio.connections import ConnectionPool, RetryBudget, TlsMode

__all__ = [
    "DEFAULT_CONDITIONS",
    "UNLIMITED",
    "CircuitBreaker",
    "ConnectionPool",
    "HashPolicy",
    "LoadBalancer",
    "Locality",
    "OutlierDetection",
    "Policy",
    "Retry",
    "RetryBudget",
    "TlsMode",
    "Warmup",
    "ZoneAware",
]

#: Istio's "no limit" in every circuit breaker threshold (spec §3.1; Envoy's own default of 1024 never applies).
UNLIMITED = 2**32 - 1

#: Conditions of Istio's default retry policy (spec §0.11; route/retry/retry.go).
DEFAULT_CONDITIONS = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """When a proxy ejects an endpoint after errors in a row, and for how long (spec §3.2).

    Parameters
    ----------
    consecutive_5xx
        5xx answers in a row; 0 = off. Default 5 (cluster.v3 OutlierDetection.consecutive_5xx, enforced at 100 %).
    consecutive_gateway_errors
        502, 503 and 504 answers in a row; 0 = off. Default off (Istio enforces it only when set).
    interval
        Seconds between the ticks that release hosts. Default 10 (Envoy).
    base_ejection_time
        Seconds; the k-th ejection in a row lasts k times this. Default 30 (Envoy).
    max_ejection_percent
        Percent of all hosts of the upstream, over all priorities. Default 10 (Envoy): of fewer than ten, none is.
    max_ejection_time
        Seconds; the longest ejection, max(300, base_ejection_time) (Envoy). Istio has no field for it.
    split_external_local_origin_errors
        Whether failures to connect count apart from answers. Default false.
    consecutive_local_origin_failures
        Failures to connect in a row, used only when split; 0 = off. Default 5 (Envoy).

    Examples
    --------
    >>> OutlierDetection().max_ejection_percent
    10
    """

    consecutive_5xx: int = 5
    consecutive_gateway_errors: int = 0
    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_percent: int = 10
    max_ejection_time: float = 300.0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: int = 5


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Limits of one client proxy towards one service (spec §3.1; cluster.v3 CircuitBreakers.Thresholds).

    Parameters
    ----------
    max_connections
        Connections (tcp.maxConnections). Default 2**32 - 1.
    max_pending_requests
        Requests that wait for a connection, HTTP/1.1 and HTTP/2 (http.http1MaxPendingRequests). Default 2**32 - 1.
    max_requests
        Requests in flight, HTTP/1.1 and HTTP/2 (http.http2MaxRequests). Default 2**32 - 1.
    max_retries
        Retries in flight at once, not per request (http.maxRetries). Default 2**32 - 1.

    Examples
    --------
    >>> CircuitBreaker().unlimited, CircuitBreaker(max_requests=100).unlimited
    (True, False)
    """

    max_connections: int = UNLIMITED
    max_pending_requests: int = UNLIMITED
    max_requests: int = UNLIMITED
    max_retries: int = UNLIMITED

    @property
    def unlimited(self) -> bool:
        """Whether no limit is set."""
        limits = (self.max_connections, self.max_pending_requests, self.max_requests, self.max_retries)
        return all(limit == UNLIMITED for limit in limits)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a proxy sends a request again (spec §3.3; route/retry/retry.go, route.v3 RetryPolicy).

    Parameters
    ----------
    attempts
        Retries, so attempts + 1 tries; 0 = off. Default 2.
    conditions
        Envoy's retry_on conditions. Default `DEFAULT_CONDITIONS`.
    status_codes
        HTTP codes of ``retriable-status-codes``. Default none; (503,) up to Istio 1.23 (spec §0.1).
    per_try_timeout
        Seconds one try may take; None = the route's timeout. Default None.
    base_interval, max_interval
        Seconds; retry n waits uniformly in [0, min(base_interval · 2**(n - 1), max_interval)). Defaults 0.025 and 0.25
        (spec §0.12).
    avoid_previous_hosts
        Whether hosts already tried are picked again only as a last resort. Default true (previous_hosts predicate).
    remote_localities
        Whether every second retry leaves out the priorities tried before (previous_priorities). Default false.
    host_attempts
        Extra picks to find a host not tried yet, then the last pick is taken. Default 5 (Istio).

    Examples
    --------
    >>> Retry().attempts
    2
    """

    attempts: int = 2
    conditions: tuple[str, ...] = DEFAULT_CONDITIONS
    status_codes: tuple[int, ...] = ()
    per_try_timeout: float | None = None
    base_interval: float = 0.025
    max_interval: float = 0.25
    avoid_previous_hosts: bool = True
    remote_localities: bool = False
    host_attempts: int = 5


_LOCALITY = Locality()
_CONNECTION_POOL = ConnectionPool()


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a client proxy applies to requests for one service, and where each setting comes from.

    Parameters
    ----------
    load_balancer
        How a host is picked. Default LEAST_REQUEST (spec §0.1; loadbalancer.go).
    hash
        What RING_HASH and MAGLEV hash; None for other balancers.
    warmup
        Slow start; None = off, the default.
    locality
        Preference for near endpoints. Default on, and inert without outlier detection.
    zone_aware
        Envoy's own zone-aware routing, which takes the place of `locality`; None = off, the default.
    outlier_detection
        None = off, the default; a block without fields switches it on with its defaults.
    outlier_detection_by_mesh
        True when it comes from MeshConfig.defaultTrafficPolicy only: hosts are ejected, but endpoints get no
        locality priorities (spec §1; endpoint_builder.go reads the DestinationRule alone).
    panic_threshold
        Percent of healthy hosts below which health is ignored. minHealthPercent (default 0) where outlier detection
        is on; otherwise 0 from Istio 1.31, Envoy's 50 before (spec §0.10, §0.1).
    circuit_breaker
        Limits; default none.
    connection_pool
        Life and load of connections.
    retry_budget
        Limit of retries at once in place of `CircuitBreaker.max_retries`; None = none, the default.
    tls
        Whether connections to hosts that have a sidecar start with a TLS handshake. Default true (automatic mTLS).
    tls_mode
        ``AUTO`` = Istio's mutual TLS wherever the host has a sidecar that takes it; otherwise what the
        DestinationRule asks for: plain text, TLS of the application's own, Istio's mutual TLS.
    connect_timeout
        Seconds to set up a TCP connection. Default 10 (MeshConfig.connectTimeout).
    unready_endpoints
        Whether pods that are not ready are sent as unhealthy hosts; default true, as from Istio 1.31. Before that
        they are sent only for services with ``trafficDistribution`` (spec §0.20).
    cluster_local
        Whether clients use endpoints of their own cluster only (MeshConfig.serviceSettings). Default false.
    sources
        Where each setting comes from, as ``{"connect_timeout": "MeshConfig (mesh.yaml:12)"}``: ``Istio default``,
        a resource or ``MeshConfig``, each with file and line; the settings of blocks are named ``locality.enabled``.
        Not compared: two policies are equal when they do the same.

    Examples
    --------
    >>> Policy().locality_failover, Policy(outlier_detection=OutlierDetection()).locality_failover
    (False, True)
    """

    load_balancer: LoadBalancer = "LEAST_REQUEST"
    hash: HashPolicy | None = None
    warmup: Warmup | None = None
    locality: Locality = _LOCALITY
    zone_aware: ZoneAware | None = None
    outlier_detection: OutlierDetection | None = None
    outlier_detection_by_mesh: bool = False
    panic_threshold: int = 0
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    connection_pool: ConnectionPool = _CONNECTION_POOL
    retry_budget: RetryBudget | None = None
    tls: bool = True
    tls_mode: TlsMode = "AUTO"
    connect_timeout: float = 10.0
    unready_endpoints: bool = True
    cluster_local: bool = False
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)

    @property
    def locality_failover(self) -> bool:
        """Whether endpoints get priorities (spec §2.9): by a DestinationRule's outlier detection, or without it."""
        if self.zone_aware is not None:
            return True
        if not self.locality.enabled or self.locality.distribute:
            return False
        return self.locality.forced or (self.outlier_detection is not None and not self.outlier_detection_by_mesh)

    @property
    def locality_weighted(self) -> bool:
        """Whether a locality is drawn by weight before a host (spec §2.1, §2.7).

        True with ``distribute``, and with ``failover`` or ``failoverPriority`` where failover is on; the outlier
        detection of the mesh suffices here, unlike for priorities (cluster_traffic_policy.go).
        """
        locality = self.locality
        if self.zone_aware is not None or not locality.enabled:
            return False
        failover = locality.forced or self.outlier_detection is not None
        return bool(locality.distribute) or (failover and bool(locality.failover or locality.failover_priority))

    @property
    def mutual_tls(self) -> bool:
        """Whether the proxy speaks Istio's mutual TLS to hosts that take it, as networks beyond a gateway need."""
        return self.tls and self.tls_mode in {"AUTO", "ISTIO_MUTUAL"}
