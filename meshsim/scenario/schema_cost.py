"""Prices of a scenario: what its owner pays, where that differs from the shipped list."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from meshsim.scenario.fields import Cores, Memory, Strict
from meshsim.scenario.schema_values import CURRENCY

#: USD, or units of another currency, for one of something.
Price = Annotated[float, Field(ge=0, le=1e6)]

#: Stands for every region in a price between regions.
ANY = "*"

_MIB = 1024**2


class Compute(Strict):
    """CPU and memory that one replica requests, as Kubernetes writes them; by default those of Istio's chart."""

    cpu: Annotated[Cores, Field(description="cores")] = 0.1
    memory: Annotated[Memory, Field(description="bytes")] = 128 * _MIB


class IstiodCompute(Compute):
    """The same of istiod."""

    cpu: Annotated[Cores, Field(description="cores")] = 0.5
    memory: Annotated[Memory, Field(description="bytes")] = 2048 * _MIB


class RegionPrices(Strict):
    """Prices of one region, in place of those for all regions."""

    cpu: Annotated[Price | None, Field(description="of a vCPU for an hour")] = None
    memory: Annotated[Price | None, Field(description="of a GiB of memory for an hour")] = None
    between_zones: Annotated[
        Price | None, Field(description="of a GB from one zone to another, what sender and receiver pay together")
    ] = None


class TransferPrice(Strict):
    """The price of a GB from one region to another; the way back has its own."""

    from_: Annotated[str, Field(alias="from", description="a region, or '*' for every one")]
    to: Annotated[str, Field(description="a region, or '*' for every one")]
    price: Annotated[Price, Field(description="of a GB, what sender and receiver pay together")]


class Cost(Strict):
    """What a month costs; every price that is left out is that of the shipped list."""

    cpu: Annotated[Price | None, Field(description="of a vCPU for an hour, in every region")] = None
    memory: Annotated[Price | None, Field(description="of a GiB of memory for an hour, in every region")] = None
    between_zones: Annotated[
        Price | None,
        Field(description="of a GB from one zone to another of a region, what sender and receiver pay together"),
    ] = None
    between_regions: Annotated[
        list[TransferPrice], Field(description="a pair of regions wins over one with '*', a later line over an earlier")
    ] = []
    regions: Annotated[dict[str, RegionPrices], Field(description="region → its own prices")] = {}
    currency: Annotated[str, Field(pattern=CURRENCY, description="of the prices in this section")] = "USD"
    exchange_rate: Annotated[
        float, Field(gt=0, le=1e6, description="USD for one of `currency`: results are in USD")
    ] = 1.0
    istiod: Annotated[IstiodCompute, Field(description="what a replica of istiod requests")] = IstiodCompute()
    sidecar: Annotated[Compute, Field(description="what a sidecar requests")] = Compute()
    gateway: Annotated[Compute, Field(description="what a gateway replica requests")] = Compute()
    proxy_memory: Annotated[Memory | None, Field(description="that a proxy uses; of the Istio version by default")] = (
        None
    )

    @model_validator(mode="after")
    def _rate_of_another_currency(self) -> Cost:
        given = "exchange_rate" in self.model_fields_set and self.exchange_rate != 1.0
        if self.currency == "USD" and given:
            raise ValueError("exchange_rate is for prices in another currency; give currency, too")
        if self.currency != "USD" and "exchange_rate" not in self.model_fields_set:
            raise ValueError(f"currency {self.currency} needs an exchange_rate: USD for one {self.currency}")
        return self
