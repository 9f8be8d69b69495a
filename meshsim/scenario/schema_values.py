"""Numbers and texts that several parts of the scenario file share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: Relative frequencies: their sum has to stay exact enough to be drawn from.
Share = Annotated[float, Field(ge=0, le=1e12)]
#: What a rate or a time is multiplied by.
Multiple = Annotated[float, Field(ge=0, le=1e6)]
PositiveMultiple = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=100_000)]
#: Pods of one Deployment in one cluster, also of gateways and istiod.
Replicas = Annotated[int, Field(ge=1, le=10_000)]
ReplicasOrZero = Annotated[int, Field(ge=0, le=10_000)]
#: Name of an HTTP header, cookie or query parameter; values are one line of text.
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")]
Headers = dict[HeaderName, Annotated[str, Field(pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$", max_length=8192)]]
