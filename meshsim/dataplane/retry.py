"""Retries: which failures are tried again, where and after how long (spec §3.3; Envoy retry_state_impl.cc)."""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.dataplane.state import NO_FLAG, UC, UF, UR, UT
from meshsim.scenario.istio.policy import Retry

_NAMES = (
    "connect-failure",
    "refused-stream",
    "unavailable",
    "cancelled",
    "retriable-status-codes",
    "reset",
    "reset-before-request",
    "5xx",
    "gateway-error",
    "retriable-4xx",
    "internal",
    "resource-exhausted",
    "deadline-exceeded",
)
#: Envoy's retryOn conditions, a bit each.
CONDITIONS = {name: 1 << number for number, name in enumerate(_NAMES)}
_CONNECT_FAILURE = CONDITIONS["connect-failure"]
_UNAVAILABLE = CONDITIONS["unavailable"]
_CODES = CONDITIONS["retriable-status-codes"]
_RESET = CONDITIONS["reset"]
_BEFORE_REQUEST = CONDITIONS["reset-before-request"]
_5XX = CONDITIONS["5xx"]
_GATEWAY_ERROR = CONDITIONS["gateway-error"]
_4XX = CONDITIONS["retriable-4xx"]
_INTERNAL = CONDITIONS["internal"]
_DEADLINE = CONDITIONS["deadline-exceeded"]


def lower(row, codes, retry: Retry) -> None:
    """Write a route's retries into its record and its row of retriable codes, shape ``(600,)``."""
    row.retries = retry.attempts
    row.retry_on = sum(CONDITIONS.get(name, 0) for name in dict.fromkeys(retry.conditions))
    row.per_try_timeout = retry.per_try_timeout or 0.0
    row.backoff_base = retry.base_interval
    row.backoff_max = retry.max_interval
    row.avoid_previous = int(retry.avoid_previous_hosts)
    row.host_attempts = retry.host_attempts
    row.remote_localities = int(retry.remote_localities)
    for code in retry.status_codes:
        codes[code] = 1


@jit
def matches(w, route, grpc, code, flag):
    """Return whether a failed attempt is of a kind that the route tries again."""
    on = w.routes[route].retry_on
    if flag == UF:
        return on & (_CONNECT_FAILURE | _BEFORE_REQUEST | _RESET | _5XX | _GATEWAY_ERROR) != 0
    if flag == UC or flag == UR:
        return on & (_RESET | _5XX | _GATEWAY_ERROR) != 0
    if flag == UT:
        return on & (_RESET | _5XX | _GATEWAY_ERROR) != 0
    if flag != NO_FLAG:
        return False
    if grpc == 1:  # a gRPC server answers 200 with a status: 503 stands for UNAVAILABLE, 500 INTERNAL, 504 DEADLINE
        return (
            (code == 503 and on & _UNAVAILABLE != 0)
            or (code == 500 and on & _INTERNAL != 0)
            or (code == 504 and on & _DEADLINE != 0)
        )
    if on & _CODES != 0 and w.retry_codes[route, code] == 1:
        return True
    if code == 409 and on & _4XX != 0:
        return True
    return (code >= 500 and on & _5XX != 0) or (502 <= code <= 504 and on & _GATEWAY_ERROR != 0)


@jit
def backoff(route, retry, u):
    """Return the pause in seconds before the ``retry``-th retry: uniform below min(base·2^(retry-1), max)."""
    return u * min(route.backoff_base * 2.0 ** (retry - 1), route.backoff_max)
