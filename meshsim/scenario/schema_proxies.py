"""Proxies of a scenario: gateways and sidecars, and what a request costs in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from meshsim.scenario.fields import Cores, Distribution, Duration, Fraction, Lognormal, Percentiles, Strict
from meshsim.scenario.schema_values import Replicas


class Autoscale(Strict):
    """A HorizontalPodAutoscaler on CPU: what Kubernetes keeps between two numbers of replicas."""

    min_replicas: Annotated[Replicas | None, Field(description="the number of replicas given, by default")] = None
    max_replicas: Annotated[Replicas, Field(description="5, or the least if that is more")] = 5
    utilization: Annotated[Fraction, Field(gt=0, description="of the CPU requested, that it aims at")] = 0.8
    cpu_request: Annotated[
        Annotated[Cores, Field(gt=0)] | None,
        Field(description="cores that a replica requests; a pod's workers by default"),
    ] = None


class Gateway(Strict):
    """An Envoy gateway deployment; defaults are those of Istio's gateway chart (2 CPU limit: 2 workers)."""

    replicas: Replicas = 1
    autoscale: Annotated[Autoscale | None, Field(description="the chart's: 80 % of 100m CPU, up to 5 replicas")] = (
        Autoscale(cpu_request=0.1)
    )
    concurrency: Annotated[int, Field(ge=1, le=256, description="worker threads per replica")] = 2
    cpu: Annotated[Duration, Field(description="worker time a request takes")] = 0.0002
    latency: Annotated[Distribution, Field(description="time a request spends in the proxy besides waiting")] = (
        Lognormal(lognormal=Percentiles(p50="82us", p99="149us"))
    )
    handshake: Annotated[Duration, Field(description="worker time of a TLS handshake, on each side")] = 0.0004

    @model_serializer(mode="wrap")
    def _without_what_others_say(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave worker threads out that nobody gave: Istio's resources may say how many there are."""
        dumped: dict[str, Any] = dump(self)
        return {name: value for name, value in dumped.items() if name != "concurrency" or name in self.model_fields_set}


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
    handshake: Annotated[Duration, Field(description="worker time of a TLS handshake, on each side")] = 0.0004
