"""Bounds of numbers of a run, such as ``latency_p99 in during > 250ms``; the numbers are read by the analysis."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshsim.analysis.wanted import Wanted, wanted
from meshsim.analysis.windows import unsampled
from meshsim.errors import Problem, ScenarioError
from meshsim.scenario.schema import Document

__all__ = ["Bound", "bound"]

_BOUND = re.compile(r"(?P<metric>[^<>=]+?)\s*(?P<sign><=|>=|<|>)\s*(?P<value>\S+)")


@dataclass(frozen=True, slots=True)
class Bound:
    """What a number is when something has broken."""

    wanted: Wanted
    sign: str
    value: float
    text: str

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.wanted} {self.sign} {self.text}"

    def breaks(self, value: float) -> bool:
        """Return whether a value breaks it.

        Examples
        --------
        >>> Bound(Wanted("success_rate"), "<", 0.999, "99.9%").breaks(0.998)
        True
        """
        if self.sign[0] == "<":
            return value < self.value or (self.sign == "<=" and value == self.value)
        return value > self.value or (self.sign == ">=" and value == self.value)


def bound(text: str, document: Document, file: str = "--until") -> Bound:
    """Return a bound, such as ``success_rate < 99.9%`` or ``latency_p99 in during > 250ms``.

    Raises
    ------
    ScenarioError
        If it cannot be read.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> bound("latency_p99 > 250ms", Document.model_validate(EXAMPLE)).value
    0.25
    """
    from pydantic import ValidationError

    from meshsim.analysis.metrics import METRICS
    from meshsim.scenario.schema_expect import Expectation

    match = _BOUND.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no condition; write METRIC < VALUE or METRIC > VALUE, such as 'success_rate < 99.9%'"
        raise ScenarioError([Problem(message, file=file)])
    about = wanted(match["metric"], document, file)
    if said := unsampled(document, about.metric, about.phase):
        raise ScenarioError([Problem(said, file=file)])
    try:
        value = Expectation.model_validate({"metric": about.metric, "at_least": _plain(match["value"])}).at_least
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise ScenarioError([Problem(said, file=file)]) from None
    number = float(value or 0.0)
    if METRICS[about.metric.partition(":")[0]].unit == "fraction" and not 0 <= number <= 1:
        message = f"{about.metric} lies between 0 and 1, which {number:g} does not; write {number:g}%"
        raise ScenarioError([Problem(message, file=file)])
    return Bound(about, match["sign"], number, match["value"])


def _plain(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
