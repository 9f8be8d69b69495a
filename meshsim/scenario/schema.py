"""The scenario file: what a user may write, with every default and its source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PrivateAttr, Tag, model_validator
from typing_extensions import TypeAliasType

from meshsim.scenario.fields import (
    Constant,
    Distribution,
    Duration,
    Fraction,
    Lognormal,
    Name,
    PositiveDuration,
    Size,
    Strict,
    Version,
    at_least,
)
from meshsim.scenario.istio.versions import profile
from meshsim.scenario.outside import Entry
from meshsim.scenario.schema_control_plane import ControlPlane, Deployment, Identity, Istiod, Kubernetes
from meshsim.scenario.schema_cost import Compute, Cost, IstiodCompute, RegionPrices, TransferPrice
from meshsim.scenario.schema_decision import Criterion, Decision
from meshsim.scenario.schema_expect import Expectation
from meshsim.scenario.schema_load import (
    Action,
    Diurnal,
    DiurnalPhase,
    EntryLoad,
    Keys,
    Load,
    LoadPhase,
    Ramp,
    RampPhase,
    Spike,
    SpikePhase,
)
from meshsim.scenario.schema_proxies import Autoscale, EastWestGateway, Gateway, Sidecar
from meshsim.scenario.schema_sample import AroundEvents, Sample, SampleWindow
from meshsim.scenario.schema_timeline import (
    ApiServerDown,
    Between,
    CertificateAuthorityDown,
    ClusterDown,
    ConfigChange,
    ControlPlaneCrashLoop,
    ControlPlaneDown,
    ControlPlaneRollout,
    ControlPlaneSlow,
    GatewayAddressChange,
    GatewayDown,
    LinkLossy,
    LinkSlow,
    Partition,
    PodChurn,
    RegionOutage,
    RemoteSecret,
    Repeat,
    Rollout,
    RootChange,
    RootExpired,
    Scale,
    ServiceFailing,
    ServiceSlow,
    Target,
    TimelineEvent,
    TrafficSurge,
    ZoneOutage,
)
from meshsim.scenario.schema_values import HOST, METHOD, PATH, Headers, Replicas, ReplicasOrZero
from meshsim.scenario.schema_what_if import WhatIf, WhatIfVariant

__all__ = [
    "Action",
    "ApiServerDown",
    "AroundEvents",
    "Autoscale",
    "Between",
    "CallStep",
    "CertificateAuthorityDown",
    "Cluster",
    "ClusterDown",
    "Compute",
    "ComputeStep",
    "ConfigChange",
    "ControlPlane",
    "ControlPlaneCrashLoop",
    "ControlPlaneDown",
    "ControlPlaneRollout",
    "ControlPlaneSlow",
    "Cost",
    "Criterion",
    "Decision",
    "Deployment",
    "Diurnal",
    "DiurnalPhase",
    "Document",
    "EastWestGateway",
    "Endpoint",
    "EntryLoad",
    "Expectation",
    "Gateway",
    "GatewayAddressChange",
    "GatewayDown",
    "Identity",
    "Istiod",
    "IstiodCompute",
    "Keys",
    "Kubernetes",
    "LinkLossy",
    "LinkOverride",
    "LinkSlow",
    "Load",
    "LoadPhase",
    "Partition",
    "PodChurn",
    "Ramp",
    "RampPhase",
    "Region",
    "RegionOutage",
    "RegionPrices",
    "RemoteSecret",
    "Repeat",
    "Rollout",
    "RootChange",
    "RootExpired",
    "Sample",
    "SampleWindow",
    "Scale",
    "Service",
    "ServiceFailing",
    "ServiceSlow",
    "Sidecar",
    "Spike",
    "SpikePhase",
    "Step",
    "Target",
    "TimelineEvent",
    "TrafficSurge",
    "TransferPrice",
    "Variant",
    "WhatIf",
    "WhatIfVariant",
    "Workload",
    "ZoneOutage",
]


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
    security_domain: Annotated[Name | None, Field(description="clusters of different ones should share no secrets")] = (
        None
    )
    data_residency: Annotated[
        list[str], Field(description="regions that data which enters or is kept here has to stay in; any by default")
    ] = []
    trust_domain: Annotated[
        str | None, Field(pattern=HOST, description="of its workloads' identities; mesh_config's by default")
    ] = None


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
    headers: Annotated[
        Headers, Field(description="added to those of the request that makes the call, for the callee and all below")
    ] = {}
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

    method: Annotated[
        str | None, Field(pattern=METHOD, description="HTTP method; by default from the name, else GET")
    ] = None
    path: Annotated[str | None, Field(pattern=PATH, description="path, and query if any; by default from the name")] = (
        None
    )
    request_size: Size | None = None
    response_size: Size | None = None


class Workload(Strict):
    """A Deployment behind a service; by default a service has one, of its own name."""

    labels: dict[str, str] = {}
    replicas: ReplicasOrZero | dict[str, ReplicasOrZero] | None = None
    endpoints: Annotated[dict[str, Variant], Field(description="endpoints that differ from the service's")] = {}


class Service(Strict):
    """A Kubernetes service of the same name in every cluster, or the host of a ServiceEntry, and what is behind it."""

    namespace: Name = "default"
    host: Annotated[
        str | None,
        Field(
            pattern=HOST,
            description="the host of the ServiceEntry that it stands for; by default Kubernetes' name",
        ),
    ] = None
    place: Annotated[
        str | None,
        Field(description="where endpoints of its ServiceEntry stand that have no locality: region, or region/zone"),
    ] = None
    protocol: Literal["http", "http2", "grpc", "tcp"] = "http"
    port: Annotated[int, Field(ge=1, le=65_535, description="for the port conditions of Istio resources")] = 80
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
    autoscale: Annotated[
        Autoscale | None, Field(description="a HorizontalPodAutoscaler for each of its Deployments; none by default")
    ] = None
    traffic_distribution: Annotated[
        Literal["PreferClose", "PreferSameZone", "PreferSameNode"] | None,
        Field(description="the Kubernetes Service's field of that name: near endpoints first, without ejection"),
    ] = None
    data_residency: Annotated[list[str], Field(description="regions that its data has to stay in; any by default")] = []
    endpoints: Annotated[dict[str, Endpoint], Field(min_length=1)]
    workloads: dict[Name, Workload] = {}
    _entry: Entry | None = PrivateAttr(default=None)

    @property
    def entry(self) -> Entry | None:
        """What ServiceEntries and WorkloadEntries put behind it; None for nothing."""
        return self._entry

    def with_entry(self, entry: Entry) -> Service:
        """Return the service with what Istio's resources put behind it."""
        copy = self.model_copy()
        copy._entry = entry  # noqa: SLF001 (of its own class)
        return copy


def _named_presets(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        if twice := [name for index, name in enumerate(value) if name in value[:index]]:
            raise ValueError(f"the deployment {twice[0]!r} is given twice")
        return {name: {} for name in value}
    return value


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
    identity: Identity = Identity()
    kubernetes: Kubernetes = Kubernetes()
    istio: Annotated[list[dict[str, Any]], Field(description="Istio resources, inline or as {path: file.yaml}")] = []
    mesh_config: Annotated[dict[str, Any], Field(description="Istio's MeshConfig")] = {}
    deployments: Annotated[dict[Name, Deployment], Field(min_length=1), BeforeValidator(_named_presets)] = {
        "multi-primary": Deployment(),
        "primary-remote": Deployment(),
        "hybrid": Deployment(),
    }
    cost: Annotated[Cost, Field(description="prices, where they differ from the shipped list")] = Cost()
    timeline: list[TimelineEvent] = []
    what_if: Annotated[WhatIf | None, Field(description="variants for `meshsim compare --what-if`")] = None
    expect: Annotated[list[Expectation], Field(description="what `meshsim run --check` holds the results to")] = []
    decision: Annotated[Decision, Field(description="what `meshsim decide` judges deployments by")] = Decision()
    duration: Annotated[PositiveDuration, at_least("1ms"), Field(description="1ms or more")] = 300.0
    warm_up: Duration = 30.0
    sample: Annotated[Sample | None, Field(description="load only in time windows; all the time by default")] = None
    gateway_dedup: Annotated[
        bool | None,
        Field(description="Envoy keeps one copy of a gateway's address, as in istio#56355; as the version by default"),
    ] = None
    access_log: Annotated[
        Fraction, Field(description="part of the users' requests whose calls are logged one by one; none by default")
    ] = 0.0
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    replications: Annotated[int, Field(ge=1, le=10_000)] = 1

    @property
    def one_gateway_copy(self) -> bool:
        """Whether Envoy keeps only the first of a gateway's copies (istio#56355), as the file or the version says."""
        return profile(self.istio_version).gateway_dedup if self.gateway_dedup is None else self.gateway_dedup
