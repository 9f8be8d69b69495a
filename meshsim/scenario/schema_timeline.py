"""What happens in a scenario: selectors and events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshsim.scenario.fields import Duration, Fraction, PositiveDuration, Rate, Strict
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
