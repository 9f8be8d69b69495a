"""Which metrics a person reads first, in which order and under what short name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from meshsim.analysis.metrics import BY_FLAG, COST, METRICS, Metric, metric
from meshsim.results.tables import FLOWS

#: What `quantity` writes a unit for; every other unit stands in the label.
_WRITTEN = ("fraction", "seconds", "bytes", "cores", "count")

#: Rows of the tables: metric → its short name and the flows shown; ``full`` tables show all.
ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "success_rate": ("success rate", ("all",)),
    "errors": ("failed requests", ("all",)),
    "latency_p50": ("latency p50", ("all",)),
    "latency_p90": ("latency p90", ("all",)),
    "latency_p99": ("latency p99", ("all", *FLOWS)),
    "latency_p99.9": ("latency p99.9", ("all",)),
    "cross_region_requests": ("requests that crossed regions", ("all",)),
    "call_share": ("share of calls", ("cross-region",)),
    "cross_region_bytes": ("bytes that crossed regions", ("all",)),
    "residency_calls": ("calls that took data out", ("all",)),
    "cost": ("cost, USD a month", ("all",)),
    "stale_share": ("stale proxies", ("all",)),
    "stale_proxy_seconds": ("stale proxy-seconds", ("all",)),
    "disconnected_share": ("proxies without istiod", ("all",)),
    "config_drift_seconds": ("config drift, proxy-seconds", ("all",)),
    "expired_share": ("proxies, expired certificate", ("all",)),
    "convergence_p50": ("config convergence p50", ("all",)),
    "convergence_p99": ("config convergence p99", ("all",)),
    "control_plane_availability": ("control planes available", ("all",)),
    "certificates_refused": ("certificates refused", ("all",)),
    "config_rejections": ("updates that proxies rejected", ("all",)),
    "pods_blocked": ("pods that could not start", ("all",)),
    "blocked_pod_seconds": ("blocked pod-seconds", ("all",)),
    "time_to_recover": ("time to recover", ("all",)),
    "config_recovery": ("time to recover, config", ("all",)),
    "control_planes": ("control planes", ("all",)),
    "shared_control_planes": ("shared by security domains", ("all",)),
}
#: Metrics that the short table has in its first phase only: a month like an outage is nobody's month.
FIRST_PHASE = ("cost",)
#: Metrics whose 0 is an answer. Of every other, a row of nothing but zeros is left out of the short table.
_ZERO_SAYS = ("success_rate", "ready_pods", "time_to_recover", "config_recovery")
#: What says nothing where every deployment has it, if that is not 0.
_ORDINARY = {"control_plane_availability": 1.0}


@dataclass(frozen=True, slots=True)
class Shown:
    """A metric as a person reads it.

    Parameters
    ----------
    label
        Short name, with the unit where the number is written without one.
    unit
        As `meshsim.report.numbers.quantity` takes it.
    better
        Which way is better; None where it is a fact and not a merit.
    ordinary
        What says nothing where every deployment has it; nan if every number says something.
    optional
        Whether a row of nothing but that is left out of the full table too.
    """

    label: str
    unit: str
    better: Literal["lower", "higher"] | None
    ordinary: float = math.nan
    optional: bool = False


def shown(name: str) -> Shown:
    """Return how to show a metric; one that the analysis does not know is shown as a plain number.

    Examples
    --------
    >>> shown("success_rate").label, shown("errors:UF,URX").label, shown("my_own").label
    ('success rate', 'failed with flag UF,URX', 'my own')
    """
    base, colon, flag = name.partition(":")
    known = metric(name) if base in METRICS else Metric("", "count", None)
    unit = known.unit if known.unit in _WRITTEN else "count"
    if colon:
        words = "in service, no flag" if flag == "-" else f"with flag {flag}"
        return Shown(
            f"{'calls that ' if base == 'call_errors' else ''}failed {words}", unit, known.better, 0.0, optional=True
        )
    label = ROWS[base][0] if base in ROWS else base.replace("_", " ") + ", USD a month" * (known.unit == COST)
    dull = math.nan if base in _ZERO_SAYS or base not in METRICS else _ORDINARY.get(base, 0.0)
    return Shown(label, unit, known.better, dull)


def is_key(name: str, flow: str) -> bool:
    """Return whether a metric of a flow is in the short table.

    Examples
    --------
    >>> is_key("latency_p99", "local"), is_key("latency_p90", "local"), is_key("errors:UH", "all")
    (True, False, True)
    """
    base, colon, _ = name.partition(":")
    return flow in ROWS[base][1] if base in ROWS and (not colon or base in BY_FLAG) else False


def rank(name: str, flow: str) -> tuple[int, str, int]:
    """Return the place of a row: key metrics first, then those the analysis knows, then others by name.

    Examples
    --------
    >>> rank("success_rate", "all") < rank("latency_p50", "all") < rank("latency_p50", "local") < rank("x", "all")
    True
    """
    base, _, flag = name.partition(":")
    order = list(dict.fromkeys([*ROWS, *METRICS]))
    flows = ("all", *FLOWS)
    place = order.index(base) if base in order else len(order)
    return place, flag if place < len(order) else name, flows.index(flow) if flow in flows else len(flows)
