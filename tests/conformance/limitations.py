"""Where the simulator is known to differ from a real Envoy, and why: nothing else may differ."""

from __future__ import annotations

from fnmatch import fnmatchcase

_MACHINE = "the machine of the recording was late by milliseconds, more than its proxy and upstreams usually are"
#: Patterns of points and outcomes, and the reason. A line that no longer holds is to be deleted.
LIMITATIONS: tuple[tuple[str, str, str], ...] = (
    ("connect/blackhole_retry_od", "lat_ms.p90", _MACHINE),
    (
        "connect/refuse_retry1",
        "lat_ms.p50",
        "half of all requests are retried: the median lies in the gap between halves",
    ),
    ("fault_filter/delay100_150ms_timeout100", "lat_ms.p90", _MACHINE),
    ("gw_passthrough/h2_k4_lr", "*", "four connections find hosts by chance, and three runs happened to end alike"),
    ("gw_scaleout/*_join", "lat_ms.p90", _MACHINE),
    ("mc_failover/one_local_503", "failover.t_first_to", "7 % of requests go there: the first of them comes by chance"),
    (
        "od_failure_pct/p80_t60",
        "outlier.types_not_enforced.CONSECUTIVE_GATEWAY_FAILURE",
        "runs of five random errors: chance, and three runs happened to have as many",
    ),
    ("retry_backoff/default_25_250", "backoff_ms.retry2.p90", _MACHINE),
    ("retry_backoff/base40_max200", "backoff_ms.retry*", _MACHINE),
    ("retry_timeouts/exp100_ptt150_t1000_k2", "lat_ms.mean", _MACHINE),
    ("retry_timeouts/slow_host_ptt_previous", "lat_all_ms.p50", _MACHINE),
    ("workers2/h2_conns", "peak_inflight", _MACHINE),
)


def is_known(point: str, outcome: str) -> bool:
    """Tell whether an outcome of a point is known to differ.

    >>> is_known("round_robin/five", "ok")
    False
    """
    return any(fnmatchcase(point, points) and fnmatchcase(outcome, outcomes) for points, outcomes, _ in LIMITATIONS)
