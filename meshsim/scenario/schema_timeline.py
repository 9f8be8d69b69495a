"""What happens in a scenario: selectors and events."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meshsim.scenario.fields import Duration, Fraction, Name, PositiveDuration, Rate, Strict
from meshsim.scenario.schema_values import PositiveMultiple, Replicas, ReplicasOrZero


class Target(Strict):
    """A selector; every field given must match, ``*`` matches any run of characters."""

    cluster: str | None = None
    region: str | None = None
    zone: Annotated[str | None, Field(description="zone, or region/zone")] = None
    service: str | None = None
    workload: str | None = None
    control_plane: str | None = None


class Between(Strict):
    """The links between two places."""

    from_: Annotated[Target, Field(alias="from")]
    to: Target


Direction = Annotated[Literal["both", "forward"], Field(description="forward: only what goes from `from` to `to`")]


class Repeat(Strict):
    """An event that happens again and again."""

    every: Annotated[PositiveDuration, Field(description="from one start to the next")]
    times: (
        Annotated[int, Field(ge=1, le=100_000, description="how often in all; to the end of the run by default")] | None
    ) = None


class _Timed(Strict):
    name: Annotated[str | None, Field(description="shown in tables and plots")] = None
    start: Duration
    repeat: Repeat | None = None


class _Lasting(_Timed):
    duration: PositiveDuration


class ControlPlaneDown(_Lasting):
    """istiod replicas of the target control planes are lost, with what they know; they start again at the end."""

    event: Literal["control_plane_down"]
    target: Target
    replicas: Annotated[Replicas | None, Field(description="how many replicas are lost; all by default")] = None


class ControlPlaneCrashLoop(_Lasting):
    """istiod crashes again soon after every start; Kubernetes restarts it at once, then after 10 s, 20 s … 5 min."""

    event: Literal["control_plane_crash_loop"]
    target: Target
    replicas: Annotated[Replicas | None, Field(description="how many replicas crash; all by default")] = None
    runs_for: Annotated[PositiveDuration, Field(description="from a start to the next crash")] = 10.0


class ControlPlaneSlow(_Lasting):
    """istiod computes slower: its CPU is throttled or taken."""

    event: Literal["control_plane_slow"]
    target: Target
    factor: PositiveMultiple


class ControlPlaneRollout(_Timed):
    """A rolling upgrade of istiod, with the chart's surge (100 %) and unavailable (25 %) limits."""

    event: Literal["control_plane_rollout"]
    target: Target


class CertificateAuthorityDown(_Lasting):
    """istiod signs no certificates; all else works."""

    event: Literal["certificate_authority_down"]
    target: Target


class RootChange(_Timed):
    """The certificate authority signs with another root; proxies learn of it with their next certificate."""

    event: Literal["root_change"]
    target: Target
    root: Annotated[Name, Field(description="name of the new root")]
    both_trusted_before: Annotated[
        Duration, Field(description="how long before, at most, proxies have been told to trust both roots; 0s: never")
    ] = 0.0


class RootExpired(_Lasting):
    """The root certificate of the target control planes is not valid: handshakes with what it signed fail."""

    event: Literal["root_expired"]
    target: Target


class ApiServerDown(_Lasting):
    """The API servers of the target clusters do not answer; their pods and proxies go on."""

    event: Literal["api_server_down"]
    target: Target


class RemoteSecret(_Timed):
    """A secret by which control planes watch a cluster is removed, expires, or is rotated."""

    event: Literal["remote_secret"]
    target: Annotated[Target, Field(description="`cluster`: which is watched; `control_plane`: by whom")]
    change: Literal["removed", "expired", "rotated"]
    picked_up: Annotated[
        bool, Field(description="rotated: whether istiod reads the new one at once (false: as in istio#60612)")
    ] = True
    duration: Annotated[PositiveDuration | None, Field(description="until a good one is there again")] = None


class ConfigChange(_Timed):
    """Istio resources are applied, to each target control plane's configuration."""

    event: Literal["config_change"]
    target: Annotated[Target, Field(description="control planes; all by default")] = Target()
    apply: Annotated[
        list[dict[str, Any]],
        Field(description="Istio resources, inline or as {path: …}; they replace their like"),
    ] = []
    delete: Annotated[list[str], Field(description="resources to delete, as Kind/name or Kind/namespace/name")] = []
    stagger: Annotated[Duration, Field(description="from one control plane to the next, in their order")] = 0.0
    rejected: Annotated[
        bool, Field(description="true: proxies reject what comes of it (NACK) and keep what they have")
    ] = False
    duration: Annotated[PositiveDuration | None, Field(description="until taken back; for good by default")] = None


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


class GatewayAddressChange(_Timed):
    """The east-west gateways of the target clusters get other addresses, which clients learn from istiod."""

    event: Literal["gateway_address_change"]
    target: Target
    mode: Annotated[Literal["blackhole", "refuse"], Field(description="what the old addresses do")] = "blackhole"
    duration: Annotated[PositiveDuration | None, Field(description="until changed back; for good by default")] = None


class LinkSlow(_Lasting):
    """Messages between two places take longer."""

    event: Literal["link_slow"]
    target: Between
    direction: Direction = "both"
    jitter: Annotated[Duration, Field(description="added one way, evenly from none to this much")] = 0.0
    delay: Annotated[Duration, Field(description="added one way")] = 0.0
    factor: Annotated[float, Field(ge=1, le=1e6, description="multiplies the round-trip time")] = 1.0


class LinkLossy(_Lasting):
    """Messages between two places are lost and sent again after TCP's retransmission timeout."""

    event: Literal["link_lossy"]
    target: Between
    direction: Direction = "both"
    loss: Fraction


class Partition(_Lasting):
    """Nothing passes between two places."""

    event: Literal["partition"]
    target: Between
    direction: Direction = "both"


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
    """A rolling update of the target workloads or gateways, with the Deployment's surge and unavailable limits."""

    event: Literal["rollout"]
    target: Target
    gateway: Annotated[
        Literal["east-west", "ingress"] | None, Field(description="the gateways of the target clusters, not its pods")
    ] = None


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
    | ControlPlaneCrashLoop
    | ControlPlaneSlow
    | ControlPlaneRollout
    | CertificateAuthorityDown
    | RootChange
    | RootExpired
    | ApiServerDown
    | RemoteSecret
    | ConfigChange
    | ClusterDown
    | ZoneOutage
    | RegionOutage
    | GatewayDown
    | GatewayAddressChange
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
