"""Which metrics a person reads first, in which order and under what short name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from meshsim.analysis.metrics import BY_FLAG, COST, METRICS, Metric, metric
from meshsim.results.tables import FLOWS

#: What `quantity` writes a unit for; every other unit stands in the label.
WRITTEN = ("fraction", "seconds", "bytes", "cores", "count")

#: Rows of the tables: metric → its short name and the flows shown; ``full`` tables show all.
ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "success_rate": ("success rate", ("all",)),
    "errors": ("failed requests", ("all",)),
    "latency_p50": ("latency p50", ("all",)),
    "latency_p90": ("latency p90", ("all",)),
    "latency_p99": ("latency p99", ("all", *FLOWS)),
    "latency_p99.9": ("latency p99.9", ("all",)),
    "cross_region_requests": ("requests, cross-region", ("all",)),
    "call_share": ("share of calls", ("cross-region",)),
    "cross_region_bytes": ("bytes that crossed regions", ("all",)),
    "residency_calls": ("calls that took data out", ("all",)),
    "cost": ("total cost, USD a month", ("all",)),
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
    "shared_control_planes": ("istiods shared by domains", ("all",)),
}
#: Short names of metrics that only longer tables have, where their own says too little.
_LABELS = {
    "calls": "calls between services",
    "call_errors": "failed calls between services",
    "call_success_rate": "success rate between services",
    "call_unreached_share": "calls that reached no pod",
    "cross_region_calls": "cross-region calls",
    "pushes": "endpoint updates applied",
    "full_pushes": "full configuration pushes",
    "certificates_issued": "workload certificates issued",
    "refused_connections": "proxy connections that istiod refused",
    "istiod_cpu": "CPU of all istiods",
    "istiod_memory": "memory of the largest istiod replica",
    "istiod_connected": "proxies on the busiest istiod",
    "utilisation": "utilisation of pods",
    "sidecar_utilisation": "utilisation of sidecars",
    "ingress_utilisation": "utilisation of ingress gateways",
    "gateway_utilisation": "utilisation of east-west gateways",
    "pods_rejected": "pod creations rejected",
    "blast_radius_clusters": "clusters that depend on one istiod",
    "istiod_replicas": "replicas of istiod to run",
    "remote_secrets": "remote secrets to rotate",
    "config_places": "clusters that hold Istio config",
    "config_objects": "Istio config objects, once",
    "config_copies": "Istio config objects, all copies",
    "roots": "root certificates",
    "exposed_gateways": "gateways open to other clusters",
    "exposed_ports": "ports open to other clusters",
    "residency_bytes": "bytes of tagged data that left",
    "foreign_secrets": "secrets across security domains",
    "cost_cross_region": "cost of bytes between regions",
    "cost_cross_zone": "cost of bytes between zones",
    "cost_sidecars": "cost of sidecars",
    "cost_gateways": "cost of gateways",
    "cost_control_planes": "cost of control planes",
    "cost_reserved": "cost of what mesh pods request",
    "cost_used": "cost of what mesh pods used",
}
#: Metrics that the short table has in its first phase only: a month like an outage is nobody's month.
FIRST_PHASE = ("cost",)
#: Metrics whose 0 is an answer. Of every other, a row of nothing but zeros is left out of the short table.
_ZERO_SAYS = ("success_rate", "call_success_rate", "ready_pods", "time_to_recover", "config_recovery")
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
    unit = known.unit if known.unit in WRITTEN else "count"
    if colon:
        words = "in service, no flag" if flag == "-" else f"with flag {flag}"
        return Shown(
            f"{'calls that ' if base == 'call_errors' else ''}failed {words}", unit, known.better, 0.0, optional=True
        )
    own = _LABELS.get(base, base.replace("_", " ")) + ", USD a month" * (known.unit == COST)
    label = ROWS[base][0] if base in ROWS else own
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
