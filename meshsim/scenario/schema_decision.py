"""What a scenario's owner cares about, and how much (`decision`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from meshsim.scenario.fields import Strict
from meshsim.scenario.schema_expect import Limit

#: How much a criterion counts beside the others.
Weight = Annotated[float, Field(gt=0, le=1e6, description="beside the others: twice as much counts twice")]


class Criterion(Strict):
    """A number that deployments are judged by, and how much it counts."""

    metric: Annotated[
        str | None,
        Field(description="METRIC, METRIC FLOW or METRIC in PHASE; by default that of the shipped one of this name"),
    ] = None
    weight: Weight = 1.0
    better: Annotated[
        Literal["lower", "higher"] | None, Field(description="which way is better, of a metric that says nothing")
    ] = None
    best: Annotated[Limit | None, Field(description="the value that is worth 1; more than that is worth no more")] = (
        None
    )
    worst: Annotated[Limit | None, Field(description="the value that is worth 0")] = None

    @model_validator(mode="after")
    def _scale(self) -> Criterion:
        if (self.best is None) != (self.worst is None):
            given, lacking = ("best", "worst") if self.worst is None else ("worst", "best")
            raise ValueError(f"has {given} and no {lacking}; give both, or neither to take those of the results")
        if self.best is not None and self.best == self.worst:
            raise ValueError(f"best and worst are both {self.best:g}")
        return self


class Decision(Strict):
    """What decides between deployments."""

    criteria: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=60)], Criterion],
        Field(description="in place of the shipped ones, which count the same each"),
    ] = {}
