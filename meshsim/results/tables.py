"""The tables of a run: every column with its type and unit. The only contract between the engine and the analysis."""

from __future__ import annotations

from dataclasses import dataclass

#: How far a call, or the farthest call a request needed, had to go.
FLOWS = ("local", "cross-zone", "cross-region")

#: Log-linear histogram of durations: bins per doubling, and the smallest duration told apart (seconds).
BINS_PER_OCTAVE = 64
SMALLEST = 1e-6
OCTAVES = 31
BINS = BINS_PER_OCTAVE * OCTAVES


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its pandas dtype and what it means, with the unit."""

    name: str
    dtype: str
    meaning: str


def _columns(*rows: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


_RUN = (
    ("deployment", "str", "deployment model compared"),
    ("replication", "int64", "replication number, from 0"),
)
_BUCKET = (
    *_RUN,
    ("start", "float64", "start of the time bucket, seconds"),
    ("end", "float64", "end of the time bucket, seconds"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "requests": _columns(
        *_BUCKET,
        ("entry", "str", "load entry the user request belongs to"),
        ("cluster", "str", "cluster whose ingress gateway it entered"),
        ("flow", "str", "farthest hop any of its calls took, one of FLOWS"),
        ("code", "int64", "HTTP status the user saw"),
        ("response_flag", "str", "Envoy response flag at the ingress gateway"),
        ("count", "int64", "user requests that ended in the bucket"),
        ("latency_sum", "float64", "sum of their latencies, seconds"),
    ),
    "calls": _columns(
        *_BUCKET,
        ("source", "str", "calling service, or 'ingress'"),
        ("destination", "str", "called service"),
        ("source_cluster", "str", "cluster of the caller"),
        ("destination_cluster", "str", "cluster of the pod that answered; '' where none was reached"),
        ("flow", "str", "distance between caller and pod, one of FLOWS"),
        ("code", "int64", "HTTP status the caller saw; 0 where the caller gave up"),
        ("response_flag", "str", "Envoy response flag at the caller's sidecar"),
        ("count", "int64", "calls that ended in the bucket"),
        ("attempts", "int64", "attempts of these calls, first tries and retries"),
        ("latency_sum", "float64", "sum of their latencies at the caller's sidecar, seconds"),
        ("request_bytes", "int64", "bytes sent to the destination, all attempts"),
        ("response_bytes", "int64", "bytes sent back"),
    ),
    # Latencies of requests are kept by time bucket, those of calls, and of requests by cluster of entry, by phase of
    # the timeline. A histogram for each pair of load entry and cluster would be most of a large run's memory.
    "latency": _columns(
        *_BUCKET,
        ("kind", "str", "'request' (of a user), 'ingress' (the same by cluster) or 'call' (service to service)"),
        ("service", "str", "load entry of a request, destination service of a call, '' for kind 'ingress'"),
        ("cluster", "str", "cluster whose ingress gateway requests entered, for kind 'ingress'; else ''"),
        ("flow", "str", "one of FLOWS"),
        ("outcome", "str", "'ok' (code < 500) or 'error'"),
        ("bin", "int64", "bin of the log-linear histogram, see results.histogram"),
        ("count", "int64", "observations in the bin"),
    ),
    "config": _columns(
        *_BUCKET,
        ("cluster", "str", "cluster of the proxies"),
        ("proxies", "int64", "proxies alive at the end of the bucket"),
        ("stale_seconds", "float64", "proxy-seconds with endpoints behind the truth"),
        ("disconnected_seconds", "float64", "proxy-seconds without a stream to a control plane"),
        ("drift_seconds", "float64", "proxy-seconds with another Istio configuration than the timeline intends"),
        ("expired_seconds", "float64", "proxy-seconds with a workload certificate that has expired"),
        ("pushes", "int64", "endpoint updates applied by proxies"),
    ),
    "convergence": _columns(
        *_BUCKET,
        ("cluster", "str", "cluster of the proxies"),
        ("bin", "int64", "bin of the time from an endpoint change to a proxy applying it, log-linear histogram"),
        ("count", "int64", "proxy updates in the bin"),
    ),
    "control_planes": _columns(
        *_BUCKET,
        ("control_plane", "str", "control plane"),
        ("ready_seconds", "float64", "replica-seconds ready"),
        ("up_seconds", "float64", "seconds with at least one replica ready"),
        ("connected", "int64", "proxies connected to it at the end of the bucket"),
        ("cpu_seconds", "float64", "CPU-seconds that its replicas used"),
        ("memory_bytes", "float64", "memory of its largest replica at the end of the bucket, bytes"),
        ("pushes", "int64", "updates that it generated, each for one proxy"),
        ("full_pushes", "int64", "rounds of pushes of the whole configuration, by each replica"),
        ("connections", "int64", "streams of proxies that it accepted"),
        ("refused_connections", "int64", "streams that it refused: too many at once, or a token not reviewed"),
        ("certificates", "int64", "certificates that it signed"),
        ("refused_certificates", "int64", "requests for a certificate that were not signed"),
        ("rejected_configurations", "int64", "updates that proxies rejected (NACK)"),
    ),
    "pods": _columns(
        *_BUCKET,
        ("cluster", "str", "cluster"),
        ("service", "str", "service"),
        ("desired_seconds", "float64", "pod-seconds the Deployments asked for"),
        ("ready_seconds", "float64", "pod-seconds ready"),
        ("blocked_seconds", "float64", "pod-seconds waiting because the injection webhook was unreachable"),
        ("rejected", "int64", "pod creations rejected for want of the injection webhook"),
        ("blocked", "int64", "pods newly kept from starting (each counted once, at its first rejection)"),
        ("started", "int64", "pods that became ready"),
        ("busy_seconds", "float64", "worker-seconds spent computing"),
        ("worker_seconds", "float64", "worker-seconds available"),
    ),
    "proxies": _columns(
        *_BUCKET,
        ("cluster", "str", "cluster"),
        ("kind", "str", "'sidecar', 'ingress' or 'east-west'"),
        ("busy_seconds", "float64", "worker-seconds spent on requests"),
        ("worker_seconds", "float64", "worker-seconds available"),
        ("proxy_seconds", "float64", "proxy-seconds alive, whatever their worker threads"),
    ),
    "events": _columns(
        *_RUN,
        ("time", "float64", "seconds"),
        ("kind", "str", "what happened, such as 'event begins', 'pod ready', 'pod rejected', 'rollout done'"),
        ("subject", "str", "to whom"),
        ("detail", "str", "more words"),
    ),
    # One line for each call of a traced request, as in the access log of the caller's proxy.
    "access_log": _columns(
        *_RUN,
        ("time", "float64", "when the proxy took the call, seconds"),
        ("duration", "float64", "until it was answered, seconds"),
        ("request_id", "str", "the user's request that the call belongs to, as in the header x-request-id"),
        ("source", "str", "calling service, or 'ingress'"),
        ("source_pod", "str", "pod of the calling proxy, or gateway replica"),
        ("destination", "str", "called service"),
        ("operation", "str", "endpoint called"),
        ("upstream_cluster", "str", "Envoy's name of the destination; '' where the proxy answered itself"),
        ("route_name", "str", "the rule that routed the call: a VirtualService's, or 'Istio default'"),
        ("upstream_host", "str", "pod that got the last attempt; '' where none did"),
        ("upstream_cluster_name", "str", "Kubernetes cluster of that pod"),
        ("attempts", "int64", "attempts made"),
        ("code", "int64", "HTTP status the caller saw; 0 where the caller gave up"),
        ("response_flag", "str", "Envoy response flags"),
    ),
    # Where the time of a few traced requests of replication 0 went; the parts add up to ended - began.
    "spans": _columns(
        *_RUN,
        ("trace", "int64", "the user's request that the span belongs to, numbered from 0"),
        ("request_id", "str", "its header x-request-id, which requests of one user action share"),
        ("number", "int64", "of the span within its trace; 0 is the user's request itself"),
        ("parent", "int64", "number of the call during which the called service made or did it; -1 for number 0"),
        ("kind", "str", "'call', or 'computation' of the service that the parent called"),
        ("waited", "int64", "1 where the answer to the parent waited for it; else 0, as for calls with wait: false"),
        ("source", "str", "calling service, or 'ingress'; of a computation the service itself"),
        ("destination", "str", "called service"),
        ("source_cluster", "str", "cluster of the caller"),
        ("destination_cluster", "str", "cluster of the pod that got the last attempt; '' where none did"),
        ("attempts", "int64", "attempts made; 0 for a computation"),
        ("began", "float64", "when the caller's proxy took the call, or a worker was asked for, seconds"),
        ("ended", "float64", "when it was answered, or had computed, seconds; the end of the run if that came first"),
        ("injected", "float64", "delay that a rule injected, seconds"),
        ("retries", "float64", "earlier attempts and the pauses before the next, seconds"),
        ("client_sidecar", "float64", "last attempt: in the caller's proxy, seconds"),
        ("connection", "float64", "waiting for a connection: handshakes, or a free one, seconds"),
        ("link_there", "float64", "on the link to the server, or to the east-west gateway, seconds"),
        ("gateway", "float64", "in the east-west gateway, seconds"),
        ("link_on", "float64", "on the link from there to the server, seconds"),
        ("server_sidecar", "float64", "in the server's sidecar, seconds"),
        ("inside", "float64", "in the pod: queues, computations and calls, which are spans of their own; seconds"),
        ("link_back", "float64", "the answer on its way back, seconds"),
        ("lost", "float64", "waiting for an answer that did not come, seconds"),
        ("queue", "float64", "of a computation: waiting for a worker, seconds"),
        ("computing", "float64", "of a computation: computing, seconds"),
        ("code", "int64", "HTTP status the caller saw; 0 where the caller gave up, and for computations"),
        ("response_flag", "str", "Envoy response flags"),
    ),
    "totals": _columns(
        *_RUN,
        ("quantity", "str", "what is counted over the whole run, see docs/results.md"),
        ("subject", "str", "service, entry or ''"),
        ("value", "float64", "the total"),
    ),
}
