"""The numbers that a run is judged by: each one's meaning, unit and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from meshsim.results.tables import FLOWS


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a run.

    Parameters
    ----------
    meaning
        In words.
    unit
        ``"fraction"``, ``"seconds"``, ``"bytes"``, ``"count"`` or a word that follows the number.
    better
        Which way is better; None where a difference is only a difference.
    flows
        Flows that it exists for.
    once
        Whether it exists for the phase ``all`` only.
    given
        Whether the scenario decides it, so that it is the same in every replication.
    """

    meaning: str
    unit: str
    better: Literal["lower", "higher"] | None
    flows: tuple[str, ...] = ("all",)
    once: bool = False
    given: bool = False


#: Percentiles of latency: name → quantile.
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}

#: How far below the before-phase's success rate still counts as recovered: 0.1 percentage points.
SUCCESS_TOLERANCE = 0.001

#: How far above the before-phase's worst bucket the share of stale proxies may be: 1 percentage point.
STALE_TOLERANCE = 0.01

#: Shares of success, whose events are what failed.
SUCCESSES = ("success_rate", "call_success_rate")

#: Metrics of which there is one for each response flag besides, such as ``errors:UH``.
BY_FLAG = ("errors", "call_errors")

#: Response flags that a failed request can have, alone or several with commas between them; ``-`` is none.
FLAGS = ("-", "UH", "UF", "UO", "UT", "UC", "NR", "DC", "FI", "NC", "UR", "DI", "URX")

_EACH_FLOW = ("all", *FLOWS)

#: Unit of the metrics of cost.
COST = "USD/month"

#: What is paid for (`meshsim.analysis.cost`).
_COSTS = {
    "cost_cross_region": "bytes of calls between regions",
    "cost_cross_zone": "bytes of calls between zones of a region",
    "cost_sidecars": "CPU and memory of sidecars",
    "cost_gateways": "CPU and memory of ingress and east-west gateways",
    "cost_control_planes": "CPU and memory of istiod, and of gateways in front of control planes outside all clusters",
    "cost": "all of these",
    "cost_reserved": "CPU and memory that these pods request, whether used or not",
    "cost_used": "CPU and memory that these pods used, whether requested or not",
}

#: What there is to operate, and who shares it (`meshsim.mesh.complexity`, `meshsim.analysis.governance`).
_COUNTS = {
    "istiod_replicas": "replicas of istiod to run, before any autoscaling",
    "remote_secrets": "remote secrets to create, rotate and guard",
    "config_places": "clusters whose API servers keep the Istio configuration",
    "config_objects": "Istio and Gateway API resources of the scenario, once",
    "config_copies": "the same in all places, to be kept equal",
    "roots": "root certificates that control planes sign with",
    "exposed_gateways": "gateways that other networks or clusters can reach",
    "exposed_ports": "ports open on them for other networks or clusters, and on istiod where access is direct",
    "blast_radius_clusters": "clusters in which nothing changes while one control plane is lost, at most",
    "shared_control_planes": "control planes that serve clusters of several security domains",
    "foreign_secrets": "remote secrets with which a control plane reads a cluster of another security domain",
}

METRICS = {
    "requests": Metric("user requests that ended", "count", None, _EACH_FLOW),
    "requests_per_second": Metric("user requests that ended, per second", "/s", None, _EACH_FLOW),
    "success_rate": Metric("user requests answered with a code below 500", "fraction", "higher", _EACH_FLOW),
    "errors": Metric("user requests that failed", "count", "lower"),
    **{
        f"latency_{name}": Metric(
            f"{name[1:]}th percentile of what users waited, failed requests included", "seconds", "lower", _EACH_FLOW
        )
        for name in PERCENTILES
    },
    "latency_mean": Metric("mean of what users waited, failed requests included", "seconds", "lower", _EACH_FLOW),
    "cross_region_requests": Metric("user requests for which a call crossed regions", "count", "lower"),
    "calls": Metric("calls between services that ended, users' requests apart", "count", None),
    "call_share": Metric("share of the calls that reached a pod, by distance", "fraction", None, FLOWS),
    "call_unreached_share": Metric("share of all calls that reached no pod", "fraction", "lower"),
    "call_errors": Metric(
        "calls between services that failed after all retries, users' requests apart", "count", "lower"
    ),
    "call_success_rate": Metric(
        "calls between services answered with a code below 500, users' requests apart", "fraction", "higher"
    ),
    "attempts_per_call": Metric("attempts per call, users' requests among them; 1 without retries", "count", "lower"),
    "cross_region_calls": Metric("calls that crossed regions, users' requests among them", "count", "lower"),
    "cross_region_bytes": Metric("bytes that calls sent across regions, both ways", "bytes", "lower"),
    "stale_proxy_seconds": Metric("proxy-seconds with endpoints behind the truth", "proxy-seconds", "lower"),
    "stale_share": Metric("share of proxies with endpoints behind the truth", "fraction", "lower"),
    "disconnected_proxy_seconds": Metric("proxy-seconds without a control plane", "proxy-seconds", "lower"),
    "disconnected_share": Metric("share of proxies without a control plane", "fraction", "lower"),
    "config_drift_seconds": Metric(
        "proxy-seconds with another Istio configuration than the timeline intends", "proxy-seconds", "lower"
    ),
    "expired_proxy_seconds": Metric("proxy-seconds with an expired certificate", "proxy-seconds", "lower"),
    "expired_share": Metric("share of proxies whose certificate has expired", "fraction", "lower"),
    "pushes": Metric("endpoint updates that proxies applied", "count", None),
    "convergence_p50": Metric("from an endpoint change to a proxy applying it, median", "seconds", "lower"),
    "convergence_p99": Metric("from an endpoint change to a proxy applying it, 99th percentile", "seconds", "lower"),
    "control_plane_availability": Metric(
        "share of the time in which a control plane has a ready replica, mean of the control planes",
        "fraction",
        "higher",
    ),
    "istiod_cpu": Metric("CPU that istiod used, all control planes together, on average", "cores", "lower"),
    "istiod_memory": Metric("memory of the largest istiod replica at its largest", "bytes", "lower"),
    "istiod_connected": Metric("proxies connected to the control plane that has most, at its most", "count", None),
    "full_pushes": Metric("rounds of pushes of the whole configuration", "count", None),
    "refused_connections": Metric("streams of proxies that istiod refused", "count", "lower"),
    "certificates_issued": Metric("workload certificates that istiod signed", "count", None),
    "certificates_refused": Metric("requests for a workload certificate that were not signed", "count", "lower"),
    "config_rejections": Metric("updates that proxies rejected, keeping what they had", "count", "lower"),
    "pods_blocked": Metric("pods that could not start for want of the injection webhook", "count", "lower"),
    "pods_rejected": Metric("pod creations rejected for want of the injection webhook", "count", "lower"),
    "blocked_pod_seconds": Metric("pod-seconds waited for the injection webhook", "pod-seconds", "lower"),
    "pods_started": Metric("pods that became ready", "count", None),
    "ready_pods": Metric("pods ready, on average", "count", None),
    "desired_pods": Metric("pods that the Deployments asked for, on average", "count", None),
    "utilisation": Metric("busy share of the pods' workers", "fraction", None),
    "sidecar_utilisation": Metric("busy share of the sidecars' workers", "fraction", None),
    "ingress_utilisation": Metric("busy share of the ingress gateways' workers", "fraction", None),
    "gateway_utilisation": Metric("busy share of the east-west gateways' workers", "fraction", None),
    "time_to_recover": Metric(
        "from the end of the last fault to the end of the last time bucket whose success rate is more than 0.1"
        " percentage points below that of the before-phase, and below its worst bucket; 0 if there is none, no value"
        " if the run ends like that",
        "seconds",
        "lower",
        once=True,
    ),
    "config_recovery": Metric(
        "from the end of the last fault to the end of the last time bucket whose share of stale proxies is more than"
        " 1 percentage point above the before-phase's worst bucket; 0 and no value as for time_to_recover",
        "seconds",
        "lower",
        once=True,
    ),
    "control_planes": Metric("control planes to operate", "count", None, once=True, given=True),
    **{name: Metric(f"USD for a month like this: {meaning}", COST, "lower") for name, meaning in _COSTS.items()},
    "residency_calls": Metric("calls that took tagged data out of its regions", "count", "lower"),
    "residency_bytes": Metric("bytes of tagged data that left its regions", "bytes", "lower"),
    **{name: Metric(meaning, "count", "lower", once=True, given=True) for name, meaning in _COUNTS.items()},
}


def metric(name: str) -> Metric:
    """Return the description of a metric, also of a count of errors by response flag such as ``errors:UF,URX``.

    Examples
    --------
    >>> metric("latency_p99").unit, metric("errors:UF,URX").meaning
    ('seconds', 'user requests that failed, with response flag UF,URX')
    """
    base, colon, flag = name.partition(":")
    found = METRICS[base]
    # Fewer errors with one flag may be more with another: only their sum is better or worse.
    return Metric(f"{found.meaning}, with response flag {flag}", found.unit, None) if colon else found
