"""What differs between Istio versions (spec §0.1)."""

from __future__ import annotations

from dataclasses import dataclass

from meshsim.scenario.istio.connections import HTTP2_STREAMS, MAX_STREAMS


@dataclass(frozen=True, slots=True)
class Profile:
    """Behaviour of one Istio minor version.

    Parameters
    ----------
    version
        Minor version, such as ``1.27``.
    retry_503
        Whether the default retry policy also retries an HTTP 503 answer (EXCLUDE_UNSAFE_503_FROM_DEFAULT_RETRY).
    inbound_retry
        Whether the server's sidecar retries ``reset-before-request`` twice (release note 52055).
    unready_endpoints
        Whether unready pods are sent to proxies as unhealthy endpoints (PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS).
    panic_without_outlier_detection
        Percent; the panic threshold of services without outlier detection.
    retry_budget
        Whether DestinationRule has ``retryBudget`` (first tag 1.27.0).
    http2_streams
        Requests at once that clients send over an HTTP/2 connection, and that sidecars take, if nothing else is said:
        Envoy's default, 1024 since its 1.36 (istio#57968; measured on Envoy 1.40), before that all.
    native_sidecars
        Whether the proxy starts before the application by default (ENABLE_NATIVE_SIDECARS=auto).
    default_traffic_policy
        Whether MeshConfig has ``defaultTrafficPolicy`` and ``zoneAwareLbSetting``.
    gateway_dedup
        Whether copies of a gateway's address for several remote localities collapse to the first one (istio#56355).

    Examples
    --------
    >>> profile("1.23").retry_503, profile("1.31").retry_503
    (True, False)
    """

    version: str
    retry_503: bool
    inbound_retry: bool
    unready_endpoints: bool
    panic_without_outlier_detection: int
    retry_budget: bool
    http2_streams: int
    native_sidecars: bool
    default_traffic_policy: bool
    gateway_dedup: bool


def profile(version: str) -> Profile:
    """Return the behaviour of an Istio version, given as ``1.27`` or ``1.27.3``.

    Raises
    ------
    ValueError
        If it is not a version number.

    Examples
    --------
    >>> profile("1.30").panic_without_outlier_detection
    50
    """
    parts = version.split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise ValueError(f"{version!r} is not an Istio version; write it like 1.31")
    minor = (int(parts[0]), int(parts[1]))
    return Profile(
        version=f"{minor[0]}.{minor[1]}",
        retry_503=minor <= (1, 23),
        inbound_retry=minor >= (1, 24),
        unready_endpoints=minor >= (1, 31),
        panic_without_outlier_detection=0 if minor >= (1, 31) else 50,
        retry_budget=minor >= (1, 27),
        http2_streams=HTTP2_STREAMS if minor >= (1, 28) else MAX_STREAMS,
        native_sidecars=minor >= (1, 28),
        default_traffic_policy=minor >= (1, 31),
        gateway_dedup=minor <= (1, 31),
    )
