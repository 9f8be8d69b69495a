"""The load of a scenario: who sends what, how often."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from meshsim.scenario.fields import Distribution, Duration, PositiveDuration, Rate, Strict, at_least
from meshsim.scenario.schema_values import Count, HeaderName, Headers, Multiple, PositiveMultiple, Share


class Ramp(Strict):
    """The rate goes linearly from one multiple to another and stays there."""

    start: Duration
    duration: PositiveDuration
    to: Multiple
    from_: Annotated[Multiple, Field(alias="from")] = 1.0


class Spike(Strict):
    """The rate is multiplied for a while."""

    start: Duration
    duration: PositiveDuration
    factor: Multiple


class Diurnal(Strict):
    """The rate follows a cosine through a day."""

    period: Annotated[PositiveDuration, at_least("10s"), Field(description="a day: 10s or more")] = 86_400.0
    peak_at: Duration = 50_400.0
    peak: Multiple = 1.5
    trough: Multiple = 0.5


class RampPhase(Strict):
    """``ramp:``."""

    ramp: Ramp


class SpikePhase(Strict):
    """``spike:``."""

    spike: Spike


class DiurnalPhase(Strict):
    """``diurnal:``."""

    diurnal: Diurnal


def _phase_kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((kind for kind in ("ramp", "spike", "diurnal") if kind in value), None)
    return {"RampPhase": "ramp", "SpikePhase": "spike", "DiurnalPhase": "diurnal"}.get(type(value).__name__)


LoadPhase = Annotated[
    Annotated[RampPhase, Tag("ramp")] | Annotated[SpikePhase, Tag("spike")] | Annotated[DiurnalPhase, Tag("diurnal")],
    Discriminator(
        _phase_kind,
        custom_error_type="phase",
        custom_error_message="is not a load phase; write {ramp: …}, {spike: …} or {diurnal: …}",
    ),
]


class Action(Strict):
    """Something a user does: requests one after the other, each sent when the one before was answered."""

    weight: Annotated[float, Field(gt=0, le=1e12)] = 1.0
    requests: Annotated[list[str], Field(min_length=1, description="endpoints of the entry service")]
    headers: Annotated[Headers, Field(description="of its requests, besides those of the entry; its own win")] = {}


class Keys(Strict):
    """Values of a header, cookie or query parameter that differ from user to user, for ``consistentHash``."""

    count: Annotated[int, Field(ge=1, le=10_000_000, description="how many values there are")]
    skew: Annotated[float, Field(ge=0, le=10, description="Zipf exponent: 0 = all alike, 1 = a few are frequent")] = 0.0


class EntryLoad(Strict):
    """The load on one entry service."""

    service: Annotated[str | None, Field(description="the entry service; the key of this block by default")] = None
    arrivals: Literal["poisson", "constant", "closed"] = "poisson"
    rate: Annotated[Rate | None, Field(description="user actions per second (poisson, constant)")] = None
    users: Annotated[Count | None, Field(description="users who wait for each answer (closed)")] = None
    think_time: Distribution | None = None
    actions: dict[str, Action] = {}
    enters: Annotated[
        dict[str, Share], Field(description="share by cluster whose ingress gateway it enters; equal by default")
    ] = {}
    headers: Annotated[Headers, Field(description="of all its requests, and of every call below them")] = {}
    keys: Annotated[
        dict[HeaderName, Keys], Field(description="headers, cookies or query parameters whose values differ")
    ] = {}
    phases: list[LoadPhase] = []

    @model_validator(mode="after")
    def _open_or_closed(self) -> EntryLoad:
        if self.arrivals == "closed":
            if self.users is None or self.rate is not None or self.phases:
                raise ValueError("arrivals: closed takes users and think_time, and neither rate nor phases")
        elif self.rate is None or self.users is not None or self.think_time is not None:
            raise ValueError(f"arrivals: {self.arrivals} takes a rate, and neither users nor think_time")
        elif self.rate <= 0:
            raise ValueError("rate must be above 0/s")
        return self

    @property
    def requests_per_action(self) -> float:
        """Mean number of requests that a user action makes; without actions each is one."""
        weights = sum(action.weight for action in self.actions.values())
        asked = sum(action.weight * len(action.requests) for action in self.actions.values())
        return asked / weights if weights else 1.0


class Load(Strict):
    """Load by entry; ``scale`` multiplies every open rate."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, EntryLoad] = Field(init=False)
    scale: PositiveMultiple = 1.0

    @property
    def entries(self) -> dict[str, EntryLoad]:
        """Return the loads by name, in the order of the file."""
        return dict(self.__pydantic_extra__ or {})
