"""What a scenario expects of its results (`expect`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from meshsim.scenario.fields import Strict
from meshsim.units import parse_duration, parse_fraction, parse_rate, parse_size


def _number(value: Any) -> float:
    """Return a bound in the unit of its metric: a number, or a text with a unit (95%, 250ms, 10/s, 5MB)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    for parse in (parse_fraction, parse_duration, parse_rate, parse_size):
        try:
            return float(parse(value))
        except (TypeError, ValueError):
            continue
    raise ValueError(f"{value!r} is no bound; write a number, or one with a unit such as 99%, 250ms or 10/s")


class Expectation(Strict):
    """A bound that a metric keeps, in one deployment or in each."""

    metric: Annotated[str, Field(description="a metric of docs/results.md")]
    deployment: Annotated[str, Field(description="of which deployments; `*` matches any run of characters")] = "*"
    phase: Annotated[str, Field(description="before, during, after or all")] = "all"
    flow: Annotated[str, Field(description="all, local, cross-zone or cross-region")] = "all"
    at_least: float | None = None
    at_most: float | None = None
    why: Annotated[str, Field(description="shown where it does not hold")] = ""

    @field_validator("at_least", "at_most", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        return None if value is None else _number(value)

    @model_validator(mode="after")
    def _has_a_bound(self) -> Expectation:
        if self.at_least is None and self.at_most is None:
            raise ValueError("has no bound; give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self
