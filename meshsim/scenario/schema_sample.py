"""Time windows of a scenario: when its load is on, so that a long run costs what a short one does."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshsim.scenario.fields import Duration, PositiveDuration, Strict


class SampleWindow(Strict):
    """A window, or one after the other."""

    at: Duration
    duration: PositiveDuration
    every: Annotated[PositiveDuration | None, Field(description="from one start to the next; once by default")] = None


class AroundEvents(Strict):
    """Windows around the moments at which events of the timeline begin and end."""

    before: Duration = 60.0
    after: Duration = 300.0
    events: Annotated[
        list[str], Field(min_length=1, description="names or kinds of events; * stands for any characters")
    ] = ["*"]


class Sample(Strict):
    """Load only in windows; whatever does not depend on load goes on all the time."""

    windows: list[SampleWindow] = []
    around_events: Annotated[AroundEvents | None, Field(description="null for none")] = AroundEvents()
    lead_in: Annotated[Duration, Field(description="load before each window, of which nothing is counted")] = 60.0
