"""The connections of a client proxy: how long they live, what they carry, and how many retries may use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Envoy's "no limit" of concurrent streams.
MAX_STREAMS = 2**31 - 1
#: Its default since 1.36 (istio#57968).
HTTP2_STREAMS = 1024

TlsMode = Literal["AUTO", "DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """Connections from a client proxy to the hosts of one destination (spec §3.1; connectionPool).

    Parameters
    ----------
    max_requests_per_connection
        Requests after which a connection is replaced; 0 = no limit, 1 = no keep-alive. Default 0.
    max_concurrent_streams
        Requests at once on an HTTP/2 connection; the server may take fewer. Default 1024, before Istio 1.28 2**31 - 1.
    idle_timeout
        Seconds without a request until an HTTP connection is closed; 0 = never. Default 3600.
    tcp_idle_timeout
        Seconds without a byte until a TCP connection is closed; 0 = never. Default 3600.
    max_connection_duration
        Seconds until a connection is closed, used or not; None = no limit, the default.
    h2_upgrade
        Whether requests go over HTTP/2 whatever the port says (h2UpgradePolicy). Default false.
    use_client_protocol
        Whether requests go over the protocol that the client chose. Default false.

    Examples
    --------
    >>> ConnectionPool().idle_timeout
    3600.0
    """

    max_requests_per_connection: int = 0
    max_concurrent_streams: int = HTTP2_STREAMS
    idle_timeout: float = 3600.0
    tcp_idle_timeout: float = 3600.0
    max_connection_duration: float | None = None
    h2_upgrade: bool = False
    use_client_protocol: bool = False


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Retries at once as a share of the requests, in place of ``max_retries`` (spec §3.1; retryBudget, from 1.27).

    Parameters
    ----------
    percent
        Percent of active and pending requests. Default 20.
    min_retry_concurrency
        Retries that are always allowed. Default 3.
    interval
        Seconds over which requests are counted (from Istio 1.31); 0 = those of the moment, the default.

    Examples
    --------
    >>> RetryBudget().percent
    20.0
    """

    percent: float = 20.0
    min_retry_concurrency: int = 3
    interval: float = 0.0
