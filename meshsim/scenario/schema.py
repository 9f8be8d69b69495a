"""The scenario file: what a user may write, with every default and its source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from typing_extensions import TypeAliasType

from meshsim.scenario.fields import (
    Constant,
    Distribution,
    Duration,
    Fraction,
    Lognormal,
    Name,
    Percentiles,
    PositiveDuration,
    Rate,
    Size,
    Strict,
    Version,
    at_least,
)

#: Relative frequencies: their sum has to stay exact enough to be drawn from.
Share = Annotated[float, Field(ge=0, le=1e12)]
#: What a rate or a time is multiplied by.
Multiple = Annotated[float, Field(ge=0, le=1e6)]
PositiveMultiple = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=100_000)]
#: Pods of one Deployment in one cluster, also of gateways and istiod.
Replicas = Annotated[int, Field(ge=1, le=10_000)]
ReplicasOrZero = Annotated[int, Field(ge=0, le=10_000)]


# --- where things run -----------------------------------------------------------------------------------------


class Region(Strict):
    """A cloud region; its key in the file is the value of the node label ``topology.kubernetes.io/region``."""

    cloud_region: Annotated[
        str | None,
        Field(description="a region of the shipped latency table, as 'aws:eu-west-1' or 'azure:West Europe'"),
    ] = None
    zones: Annotated[list[Name], Field(min_length=1)] = ["a"]


class Cluster(Strict):
    """A Kubernetes cluster."""

    region: str
    zones: Annotated[list[str] | None, Field(description="zones its nodes are in; all of the region by default")] = None
    network: Annotated[str, Field(description="clusters of one network reach each other's pods directly")] = "default"


class Gateway(Strict):
    """An Envoy gateway deployment; defaults are those of Istio's gateway chart (2 CPU limit: 2 workers)."""

    replicas: Replicas = 1
    concurrency: Annotated[int, Field(ge=1, le=256, description="worker threads per replica")] = 2
    cpu: Annotated[Duration, Field(description="worker time a request takes")] = 0.0002
    latency: Annotated[Distribution, Field(description="time a request spends in the proxy besides waiting")] = (
        Lognormal(lognormal=Percentiles(p50="82us", p99="149us"))
    )


class EastWestGateway(Gateway):
    """An east-west gateway: a TCP passthrough, so it neither parses HTTP nor encrypts."""

    addresses: Annotated[int, Field(ge=1, le=64, description="load-balancer addresses that clients see")] = 1
    cpu: Annotated[Duration, Field(description="worker time a request takes")] = 0.00006


class Sidecar(Strict):
    """Cost of one sidecar hop; defaults from Istio's published figures (see docs/parameters.md)."""

    enabled: bool = True
    concurrency: Annotated[int, Field(ge=1, le=256, description="worker threads (chart limit 2 CPU: 2)")] = 2
    cpu: Annotated[Duration, Field(description="worker time per request and proxy")] = 0.0002
    latency: Annotated[Distribution, Field(description="time a request spends in the proxy besides waiting")] = (
        Lognormal(lognormal=Percentiles(p50="82us", p99="149us"))
    )


class LinkOverride(Strict):
    """Round-trip time between two regions or zones, in place of the shipped table."""

    between: Annotated[list[str], Field(min_length=2, max_length=2, description="regions, or zones as 'region/zone'")]
    rtt: Distribution

    @model_validator(mode="after")
    def _constant_or_lognormal(self) -> LinkOverride:
        if not isinstance(self.rtt, (Constant, Lognormal)):
            raise ValueError("a round-trip time is a duration or {p50: …, p99: …}")
        return self


# --- what runs there ------------------------------------------------------------------------------------------


class ComputeStep(Strict):
    """Work that occupies one worker of the pod."""

    compute: Distribution


class CallStep(Strict):
    """A call to another service's endpoint."""

    call: Annotated[str, Field(description="'service/endpoint'")]
    count: Annotated[
        float, Field(ge=0, le=10_000, description="times in a row; 1.6 means 1, and 2 in 60 % of cases")
    ] = 1.0
    probability: Fraction = 1.0
    timeout: Annotated[PositiveDuration | None, Field(description="the application's own deadline")] = None
    retries: Annotated[int, Field(ge=0, le=100, description="the application's own retries, beside the mesh's")] = 0
    on_error: Literal["fail", "ignore"] = "fail"
    wait: Annotated[bool, Field(description="false: fire and forget")] = True


def _step_kind(value: Any) -> str | None:
    if isinstance(value, list):
        return "at once"
    if isinstance(value, dict):
        return "compute" if "compute" in value else "call" if "call" in value else None
    return {"ComputeStep": "compute", "CallStep": "call"}.get(type(value).__name__)


Step = TypeAliasType(
    "Step",
    Annotated[
        Annotated[ComputeStep, Tag("compute")]
        | Annotated[CallStep, Tag("call")]
        | Annotated[list["Step"], Tag("at once")],
        Discriminator(
            _step_kind,
            custom_error_type="step",
            custom_error_message=(
                "is not a step; write {compute: …}, {call: service/endpoint} or a list of steps that run at once"
            ),
        ),
    ],
)


class Variant(Strict):
    """What a request does, step by step; a workload may have its own for an endpoint of its service."""

    script: list[Step] = []


class Endpoint(Variant):
    """One operation of a service."""

    request_size: Size | None = None
    response_size: Size | None = None


class Workload(Strict):
    """A Deployment behind a service; by default a service has one, of its own name."""

    labels: dict[str, str] = {}
    replicas: ReplicasOrZero | dict[str, ReplicasOrZero] | None = None
    endpoints: Annotated[dict[str, Variant], Field(description="endpoints that differ from the service's")] = {}


class Service(Strict):
    """A Kubernetes service of the same name in every cluster, and the workloads behind it."""

    namespace: Name = "default"
    protocol: Literal["http", "http2", "grpc", "tcp"] = "http"
    replicas: Annotated[
        Replicas | dict[str, ReplicasOrZero],
        Field(description="pods per cluster: one number for every cluster, or a number by cluster"),
    ] = 1
    workers: Annotated[int, Field(ge=1, le=100_000, description="requests a pod computes at once")] = 1
    queue: Annotated[
        int | None, Field(ge=0, le=1_000_000_000, description="requests that may wait in a pod; unlimited by default")
    ] = None
    hold_worker: Annotated[
        bool, Field(description="true: a worker is kept while calls are awaited (thread per request)")
    ] = False
    request_size: Size = 1000
    response_size: Size = 1000
    endpoints: Annotated[dict[str, Endpoint], Field(min_length=1)]
    workloads: dict[Name, Workload] = {}


# --- load -----------------------------------------------------------------------------------------------------


class Ramp(Strict):
    """The rate goes linearly from one multiple to another and stays there."""

    start: Duration
    duration: PositiveDuration
    to: Multiple
    from_: Annotated[Multiple, Field(alias="from")] = 1.0


class Spike(Strict):
    """The rate is multiplied for a while."""

    start: Duration
    duration: PositiveDuration
    factor: Multiple


class Diurnal(Strict):
    """The rate follows a cosine through a day."""

    period: Annotated[PositiveDuration, at_least("10s"), Field(description="a day: 10s or more")] = 86_400.0
    peak_at: Duration = 50_400.0
    peak: Multiple = 1.5
    trough: Multiple = 0.5


class RampPhase(Strict):
    """``ramp:``."""

    ramp: Ramp


class SpikePhase(Strict):
    """``spike:``."""

    spike: Spike


class DiurnalPhase(Strict):
    """``diurnal:``."""

    diurnal: Diurnal


def _phase_kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((kind for kind in ("ramp", "spike", "diurnal") if kind in value), None)
    return {"RampPhase": "ramp", "SpikePhase": "spike", "DiurnalPhase": "diurnal"}.get(type(value).__name__)


LoadPhase = Annotated[
    Annotated[RampPhase, Tag("ramp")] | Annotated[SpikePhase, Tag("spike")] | Annotated[DiurnalPhase, Tag("diurnal")],
    Discriminator(
        _phase_kind,
        custom_error_type="phase",
        custom_error_message="is not a load phase; write {ramp: …}, {spike: …} or {diurnal: …}",
    ),
]


class Action(Strict):
    """Something a user does: requests one after the other, each sent when the one before was answered."""

    weight: Annotated[float, Field(gt=0, le=1e12)] = 1.0
    requests: Annotated[list[str], Field(min_length=1, description="endpoints of the entry service")]


class EntryLoad(Strict):
    """The load on one entry service."""

    service: Annotated[str | None, Field(description="the entry service; the key of this block by default")] = None
    arrivals: Literal["poisson", "constant", "closed"] = "poisson"
    rate: Annotated[Rate | None, Field(description="user actions per second (poisson, constant)")] = None
    users: Annotated[Count | None, Field(description="users who wait for each answer (closed)")] = None
    think_time: Distribution | None = None
    actions: dict[str, Action] = {}
    enters: Annotated[
        dict[str, Share], Field(description="share by cluster whose ingress gateway it enters; equal by default")
    ] = {}
    phases: list[LoadPhase] = []

    @model_validator(mode="after")
    def _open_or_closed(self) -> EntryLoad:
        if self.arrivals == "closed":
            if self.users is None or self.rate is not None or self.phases:
                raise ValueError("arrivals: closed takes users and think_time, and neither rate nor phases")
        elif self.rate is None or self.users is not None or self.think_time is not None:
            raise ValueError(f"arrivals: {self.arrivals} takes a rate, and neither users nor think_time")
        elif self.rate <= 0:
            raise ValueError("rate must be above 0/s")
        return self


class Load(Strict):
    """Load by entry; ``scale`` multiplies every open rate."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, EntryLoad] = Field(init=False)
    scale: PositiveMultiple = 1.0

    @property
    def entries(self) -> dict[str, EntryLoad]:
        """Return the loads by name, in the order of the file."""
        return dict(self.__pydantic_extra__ or {})


# --- control plane --------------------------------------------------------------------------------------------


class Istiod(Strict):
    """istiod of every control plane; defaults are Istio's, except ``push_time``, for which no figure is published."""

    replicas: Replicas = 1
    cpu: Annotated[int, Field(ge=1, le=256, description="GOMAXPROCS; sets the push concurrency")] = 2
    debounce_after: Annotated[Duration, Field(description="PILOT_DEBOUNCE_AFTER")] = 0.1
    debounce_max: Annotated[Duration, Field(description="PILOT_DEBOUNCE_MAX")] = 10.0
    push_time: Annotated[Duration, Field(description="generating and sending one proxy's update")] = 0.01
    restart_time: Annotated[Duration, Field(description="until a restarted istiod has synced its caches")] = 5.0


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


class Deployment(Strict):
    """Who controls whom. Without fields: the preset of that name."""

    model: Literal["multi-primary", "primary-remote", "hybrid"] | None = None
    primary: Annotated[str | None, Field(description="the primary cluster (primary-remote)")] = None
    control_planes: Annotated[
        dict[Name, Annotated[list[str], Field(min_length=1)]],
        Field(description="control plane → clusters it serves; the first is the one it runs in"),
    ] = {}


def _named_presets(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        if twice := [name for index, name in enumerate(value) if name in value[:index]]:
            raise ValueError(f"the deployment {twice[0]!r} is given twice")
        return {name: {} for name in value}
    return value


# --- what happens ---------------------------------------------------------------------------------------------


class Target(Strict):
    """A selector; every field given must match, ``*`` matches any run of characters."""

    cluster: str | None = None
    region: str | None = None
    zone: Annotated[str | None, Field(description="zone, or region/zone")] = None
    service: str | None = None
    workload: str | None = None
    control_plane: str | None = None


class Between(Strict):
    """The links between two places, both ways."""

    from_: Annotated[Target, Field(alias="from")]
    to: Target


class _Timed(Strict):
    name: Annotated[str | None, Field(description="shown in tables and plots")] = None
    start: Duration


class _Lasting(_Timed):
    duration: PositiveDuration


class ControlPlaneDown(_Lasting):
    """Every istiod replica of the control planes that run in the target clusters is lost."""

    event: Literal["control_plane_down"]
    target: Target


class ClusterDown(_Lasting):
    """A cluster is lost: pods, gateways, API server and the istiod in it."""

    event: Literal["cluster_down"]
    target: Target
    mode: Annotated[Literal["blackhole", "refuse"], Field(description="what connections to it see")] = "blackhole"


class ZoneOutage(_Lasting):
    """A zone is lost, with everything that runs in it."""

    event: Literal["zone_outage"]
    target: Target
    mode: Literal["blackhole", "refuse"] = "blackhole"


class RegionOutage(_Lasting):
    """A region is lost, with everything that runs in it."""

    event: Literal["region_outage"]
    target: Target
    mode: Literal["blackhole", "refuse"] = "blackhole"


class GatewayDown(_Lasting):
    """East-west gateways are lost, or some replicas of them."""

    event: Literal["gateway_down"]
    target: Target
    replicas: Annotated[Replicas | None, Field(description="how many replicas are lost; all by default")] = None
    mode: Literal["blackhole", "refuse"] = "refuse"


class LinkSlow(_Lasting):
    """Messages between two places take longer."""

    event: Literal["link_slow"]
    target: Between
    delay: Annotated[Duration, Field(description="added one way")] = 0.0
    factor: Annotated[float, Field(ge=1, le=1e6, description="multiplies the round-trip time")] = 1.0


class LinkLossy(_Lasting):
    """Messages between two places are lost and sent again after TCP's retransmission timeout."""

    event: Literal["link_lossy"]
    target: Between
    loss: Fraction


class Partition(_Lasting):
    """Nothing passes between two places."""

    event: Literal["partition"]
    target: Between


class ServiceSlow(_Lasting):
    """Computations of the target pods take longer."""

    event: Literal["service_slow"]
    target: Target
    factor: PositiveMultiple


class ServiceFailing(_Lasting):
    """The target pods answer a fraction of requests with an error."""

    event: Literal["service_failing"]
    target: Target
    fraction: Fraction = 1.0
    code: Annotated[int, Field(ge=500, le=599)] = 503


class TrafficSurge(_Lasting):
    """Open load is multiplied, for entries that come in by the target clusters."""

    event: Literal["traffic_surge"]
    target: Target = Target()
    factor: PositiveMultiple


class Rollout(_Timed):
    """A rolling update of the target workloads, with the Deployment's surge and unavailable limits."""

    event: Literal["rollout"]
    target: Target


class PodChurn(_Lasting):
    """Pods of the target are deleted at a rate (evictions, spot nodes) and their ReplicaSets replace them."""

    event: Literal["pod_churn"]
    target: Target
    rate: Annotated[Rate, Field(description="pods deleted, over all of the target")]


class Scale(_Timed):
    """The target workloads get another number of replicas, for a while or for good."""

    event: Literal["scale"]
    target: Target
    replicas: ReplicasOrZero
    duration: PositiveDuration | None = None


TimelineEvent = Annotated[
    ControlPlaneDown
    | ClusterDown
    | ZoneOutage
    | RegionOutage
    | GatewayDown
    | LinkSlow
    | LinkLossy
    | Partition
    | ServiceSlow
    | ServiceFailing
    | TrafficSurge
    | Rollout
    | PodChurn
    | Scale,
    Field(discriminator="event"),
]


# --- the whole ------------------------------------------------------------------------------------------------


class Document(Strict):
    """A scenario file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="names the results folder")]
    description: str = ""
    istio_version: Version = "1.31"
    include: Annotated[list[str], Field(description="files whose fields come first; this file's win")] = []
    regions: Annotated[dict[Name, Region], Field(min_length=1)]
    clusters: Annotated[dict[Name, Cluster], Field(min_length=1)]
    latency: list[LinkOverride] = []
    services: Annotated[dict[Name, Service], Field(min_length=1)]
    load: Load
    sidecar: Sidecar = Sidecar()
    ingress: Annotated[dict[str, Gateway], Field(description="ingress gateways by cluster")] = {}
    gateways: Annotated[
        dict[str, EastWestGateway],
        Field(description="east-west gateways by cluster; present where there are networks to join"),
    ] = {}
    istiod: Istiod = Istiod()
    kubernetes: Kubernetes = Kubernetes()
    istio: Annotated[list[dict[str, Any]], Field(description="Istio resources, inline or as {path: file.yaml}")] = []
    mesh_config: Annotated[dict[str, Any], Field(description="Istio's MeshConfig")] = {}
    deployments: Annotated[dict[Name, Deployment], Field(min_length=1), BeforeValidator(_named_presets)] = {
        "multi-primary": Deployment(),
        "primary-remote": Deployment(),
        "hybrid": Deployment(),
    }
    timeline: list[TimelineEvent] = []
    duration: Annotated[PositiveDuration, at_least("1ms"), Field(description="1ms or more")] = 300.0
    warm_up: Duration = 30.0
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    replications: Annotated[int, Field(ge=1, le=10_000)] = 1
