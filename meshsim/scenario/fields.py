"""Field types of scenario files: durations, rates, sizes, fractions and distributions, each with its JSON schema."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
    model_validator,
)

from meshsim.units import (
    MAX_MEMORY,
    format_duration,
    parse_cores,
    parse_duration,
    parse_fraction,
    parse_rate,
    parse_size,
)


class Strict(BaseModel):
    """A frozen description: unknown fields are errors and nothing is converted behind the user's back."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def _schema(description: str, *examples: Any, number: bool = False) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": ["string", "number"] if number else "string", "description": description, "examples": list(examples)}
    )


def _positive_duration(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError(f"{value!r} must be longer than 0s")
    return seconds


def at_least(least: str) -> AfterValidator:
    """Return the rule that a duration is not shorter than another.

    Parameters
    ----------
    least
        The shortest duration that is allowed, as people write it.

    Examples
    --------
    >>> at_least("1ms").func(0.001)
    0.001
    """
    bound = parse_duration(least)

    def checked(seconds: float) -> float:
        if seconds < bound:
            raise ValueError(f"{format_duration(seconds)} is too short; the least is {least}")
        return seconds

    return AfterValidator(checked)


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    _schema("a duration as Istio writes it, up to 100 years", "250ms", "1m30s"),
]
PositiveDuration = Annotated[
    float,
    BeforeValidator(_positive_duration),
    PlainSerializer(format_duration),
    _schema("a duration above zero, up to 100 years", "250ms", "1m30s"),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(lambda value: f"{value!r}/s"),
    _schema("a rate, up to 1e9/s", "200/s", "6/min"),
]
Size = Annotated[int, BeforeValidator(parse_size), _schema("bytes, up to 1GiB", "2KB", "1MiB", 512, number=True)]
Memory = Annotated[
    int,
    BeforeValidator(lambda value: parse_size(value, MAX_MEMORY)),
    _schema("bytes, up to 1024GiB", "200MB", "2GiB", number=True),
]
Cores = Annotated[
    float, BeforeValidator(parse_cores), _schema("cores as Kubernetes writes them", "500m", 0.5, number=True)
]
Fraction = Annotated[
    float, BeforeValidator(parse_fraction), _schema("a fraction, as 20% or 0.2", "20%", 0.2, number=True)
]

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="a Kubernetes name: lower-case letters, digits, '-' and '.'",
    ),
]


class Constant(Strict):
    """Always the same duration."""

    constant: Duration


class Exponential(Strict):
    """Exponential with this mean."""

    exponential: PositiveDuration


class Percentiles(Strict):
    """The median and one upper percentile of a lognormal."""

    p50: PositiveDuration
    p90: PositiveDuration | None = None
    p95: PositiveDuration | None = None
    p99: PositiveDuration | None = None

    #: Standard normal quantiles of the percentiles above.
    Z: ClassVar[dict[str, float]] = {"p90": 1.2815515655446004, "p95": 1.6448536269514722, "p99": 2.3263478740408408}

    @model_validator(mode="after")
    def _one_upper(self) -> Percentiles:
        given = [name for name in self.Z if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give p50 and exactly one of p90, p95, p99")
        if getattr(self, given[0]) < self.p50:
            raise ValueError(f"{given[0]} is below p50")
        return self

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm (dimensionless)."""
        name = next(name for name in self.Z if getattr(self, name) is not None)
        return math.log(getattr(self, name) / self.p50) / self.Z[name]


class Lognormal(Strict):
    """Lognormal through a median and one upper percentile."""

    lognormal: Percentiles


class GammaShape(Strict):
    """Mean and coefficient of variation of a gamma distribution."""

    mean: PositiveDuration
    cv: Annotated[float, Field(ge=1e-3, le=10)]


class Gamma(Strict):
    """Gamma with a mean and a coefficient of variation."""

    gamma: GammaShape


class Empirical(Strict):
    """Drawn from equally likely measured values, interpolated between neighbours."""

    empirical: Annotated[list[Duration], Field(min_length=1, max_length=10_000)]


def _distribution_kind(value: Any) -> str | None:
    """Name the form a user chose; a bare duration means constant, bare percentiles mean lognormal."""
    if isinstance(value, dict):
        for kind in ("constant", "exponential", "lognormal", "gamma", "empirical"):
            if kind in value:
                return kind
        return None
    return str(type(value).__name__).lower() if isinstance(value, Strict) else "constant"


def _expand(value: Any) -> Any:
    if isinstance(value, dict):
        return {"lognormal": value} if "p50" in value else value
    return value if isinstance(value, BaseModel) else {"constant": value}


Distribution = Annotated[
    Annotated[Constant, Tag("constant")]
    | Annotated[Exponential, Tag("exponential")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Empirical, Tag("empirical")],
    Discriminator(
        _distribution_kind,
        custom_error_type="distribution",
        custom_error_message=(
            "is not a distribution; write a duration (5ms), {p50: 5ms, p99: 40ms} or one of "
            "constant, exponential, lognormal, gamma, empirical"
        ),
    ),
    BeforeValidator(_expand),
]


def mean_of(distribution: Constant | Exponential | Lognormal | Gamma | Empirical) -> float:
    """Return the mean in seconds."""
    match distribution:
        case Constant():
            return distribution.constant
        case Exponential():
            return distribution.exponential
        case Lognormal(lognormal=percentiles):
            return percentiles.p50 * math.exp(percentiles.sigma**2 / 2)
        case Gamma(gamma=shape):
            return shape.mean
        case Empirical(empirical=values):
            ordered = sorted(values)
            if len(ordered) == 1:
                return ordered[0]
            return sum((a + b) / 2 for a, b in pairwise(ordered)) / (len(ordered) - 1)


Version = Literal["1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27", "1.28", "1.29", "1.30", "1.31"]
