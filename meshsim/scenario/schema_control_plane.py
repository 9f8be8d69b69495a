"""The control plane in the scenario file: istiod, identity, Kubernetes, and who controls whom."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from meshsim.scenario.fields import (
    Distribution,
    Duration,
    Fraction,
    Lognormal,
    Memory,
    Name,
    Percentiles,
    PositiveDuration,
    Strict,
    at_least,
)
from meshsim.scenario.schema_proxies import Autoscale
from meshsim.scenario.schema_values import Replicas


class Istiod(Strict):
    """istiod of every control plane; defaults are Istio's, except those marked *assumed* in docs/parameters.md."""

    replicas: Replicas = 1
    autoscale: Annotated[Autoscale | None, Field(description="the chart's: 80 % of 500m CPU, up to 5 replicas")] = (
        Autoscale(cpu_request=0.5)
    )
    cpu: Annotated[int, Field(ge=1, le=256, description="GOMAXPROCS; sets the push concurrency")] = 2
    debounce_after: Annotated[Duration, Field(description="PILOT_DEBOUNCE_AFTER")] = 0.1
    debounce_max: Annotated[Duration, Field(description="PILOT_DEBOUNCE_MAX")] = 10.0
    push_context_time: Annotated[
        Duration,
        Field(description="computed once before a full push, such as for a change of configuration"),
    ] = 0.05
    push_time: Annotated[Duration, Field(description="until one proxy's update is generated and sent")] = 0.01
    push_time_per_service: Annotated[
        Duration,
        Field(description="besides, for each service sent: all in the proxy's scope, or those changed"),
    ] = 0.0001
    push_cpu: Annotated[
        Duration, Field(description="CPU-seconds of one proxy's update; more than `cpu` cores wait")
    ] = 0.001
    push_cpu_per_service: Annotated[Duration, Field(description="CPU-seconds besides, for each service sent")] = 0.00003
    restart_time: Annotated[Duration, Field(description="until a restarted istiod begins to sync its caches")] = 5.0
    remote_cluster_timeout: Annotated[
        Duration, Field(description="PILOT_REMOTE_CLUSTER_TIMEOUT: a start waits so long for a remote API server")
    ] = 30.0
    stream_age: Annotated[
        PositiveDuration, at_least("1s"), Field(description="keepaliveMaxServerConnectionAge, drawn within ±10 %")
    ] = 1800.0
    memory: Annotated[Memory, Field(description="bytes of an idle istiod")] = 180_000_000
    memory_per_proxy: Annotated[Memory, Field(description="besides, for each proxy that is connected")] = 1_000_000
    memory_per_service: Annotated[Memory, Field(description="besides, for each service of each cluster watched")] = (
        600_000
    )


class Identity(Strict):
    """Workload certificates; defaults are Istio's."""

    certificate_ttl: Annotated[PositiveDuration, at_least("1m"), Field(description="SECRET_TTL")] = 86_400.0
    renewal: Annotated[Fraction, Field(description="SECRET_GRACE_PERIOD_RATIO: part of its life left at renewal")] = 0.5
    renewal_jitter: Annotated[Fraction, Field(description="SECRET_GRACE_PERIOD_RATIO_JITTER, up or down")] = 0.01
    roots: Annotated[
        dict[str, Name],
        Field(description="root certificate by control plane or home cluster; without, one common root for all"),
    ] = {}


class Kubernetes(Strict):
    """Pods' life in every cluster; defaults are Kubernetes', except the start time, which is yours to measure."""

    watch_latency: Annotated[Distribution, Field(description="API server event to istiod, besides the link")] = (
        Lognormal(lognormal=Percentiles(p50="20ms", p99="100ms"))
    )
    pod_start: Annotated[Distribution, Field(description="scheduled to ready: image, app, first configuration")] = (
        Lognormal(lognormal=Percentiles(p50="8s", p99="20s"))
    )
    retry_create: Annotated[
        PositiveDuration,
        at_least("1ms"),
        Field(description="first pause after a rejected pod, 1ms or more; doubles up to 16 times"),
    ] = 1.0
    drain: Annotated[Duration, Field(description="a terminating pod still serves (Istio terminationDrainDuration)")] = (
        5.0
    )
    node_grace: Annotated[Duration, Field(description="until pods of a lost node are taken out of the endpoints")] = (
        40.0
    )
    max_surge: Fraction = 0.25
    max_unavailable: Fraction = 0.25
    gone_pods: Annotated[
        Literal["refuse", "blackhole"],
        Field(description="what a connection to a deleted pod sees: a refusal, or nothing until the connect timeout"),
    ] = "refuse"
    hpa_sync_period: Annotated[PositiveDuration, at_least("1s")] = 15.0
    hpa_tolerance: Fraction = 0.1
    hpa_stabilization: Annotated[Duration, Field(description="of scaling down")] = 300.0


class ControlPlane(Strict):
    """One istiod Deployment: where it runs, whom it serves, whom it watches."""

    serves: Annotated[list[str], Field(min_length=1, description="clusters whose proxies it configures")]
    home: Annotated[str | None, Field(description="cluster it runs in; the first that it serves by default")] = None
    place: Annotated[
        str | None, Field(description="where it runs outside all clusters: region, or region/zone (externalIstiod)")
    ] = None
    config_cluster: Annotated[
        str | None, Field(description="whose API server keeps its Istio configuration: home, or the first served")
    ] = None
    watches: Annotated[
        list[str] | None, Field(description="clusters it watches besides home and config_cluster; all by default")
    ] = None
    replicas: Annotated[Replicas | None, Field(description="of istiod; as in `istiod` by default")] = None
    gateway_replicas: Annotated[Replicas, Field(description="of the gateway in front of one outside all clusters")] = 1


def _short(value: Any) -> Any:
    return {"serves": value} if isinstance(value, list) else value


class Deployment(Strict):
    """Who controls whom. Without fields: the preset of that name."""

    model: Literal["multi-primary", "primary-remote", "hybrid", "external"] | None = None
    primary: Annotated[
        str | None, Field(description="the primary cluster (primary-remote), or the config cluster (external)")
    ] = None
    primaries: Annotated[dict[str, str], Field(description="region → its primary cluster (hybrid)")] = {}
    place: Annotated[
        str | None, Field(description="where istiod runs (external): region or region/zone; the first by default")
    ] = None
    control_planes: Annotated[
        dict[Name, Annotated[ControlPlane, BeforeValidator(_short)]],
        Field(description="control plane → what it serves and where it runs; or a list: clusters, its home first"),
    ] = {}
    access: Annotated[
        Literal["gateway", "direct"],
        Field(
            description="how proxies of other clusters reach istiod: through the east-west gateway of its home "
            "(ports 15012 and 15017), as Istio's guides have it, or directly"
        ),
    ] = "gateway"
