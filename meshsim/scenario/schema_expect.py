"""What a scenario expects of its results (`expect`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import Field, ValidatorFunctionWrapHandler, WithJsonSchema, WrapValidator, model_validator

from meshsim.scenario.fields import Strict
from meshsim.units import MAX_MEMORY, parse_duration, parse_fraction, parse_rate, parse_size

#: Kind of unit that a bound is written with → what reads it.
_UNITS: dict[str, Callable[[Any], float]] = {
    "fraction": parse_fraction,
    "seconds": parse_duration,
    "/s": parse_rate,
    "bytes": partial(parse_size, most=MAX_MEMORY),
}


class Bound(float):
    """A number that remembers the kind of unit it was written with: "fraction", "seconds", "/s", "bytes", or none."""

    unit: str = ""


def _bound(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Return a bound: a number in the unit of its metric, or a text with a unit (95%, 250ms, 10/s, 5MB)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return handler(float(value))
    for unit, parse in _UNITS.items():
        try:
            bound = Bound(handler(float(parse(value))))
        except (TypeError, ValueError):
            continue
        bound.unit = unit
        return bound
    raise ValueError(f"{value!r} is no bound; write a number, or one with a unit such as 99%, 250ms or 10/s")


#: A bound as a scenario writes it.
Limit = Annotated[
    float,
    WrapValidator(_bound),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "description": "in the unit of the metric, or with one",
            "examples": ["99.9%", "250ms", "10/s", "2GB", 3],
        }
    ),
]


class Expectation(Strict):
    """A bound that a metric keeps, in one deployment or in each."""

    metric: Annotated[str, Field(description="a metric of docs/results.md")]
    deployment: Annotated[str, Field(description="of which deployments; `*` matches any run of characters")] = "*"
    phase: Annotated[str, Field(description="before, during, after or all")] = "all"
    flow: Annotated[str, Field(description="all, local, cross-zone or cross-region")] = "all"
    at_least: Limit | None = None
    at_most: Limit | None = None
    why: Annotated[str, Field(description="shown where it does not hold")] = ""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Expectation:
        if self.at_least is None and self.at_most is None:
            raise ValueError("has no bound; give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self
