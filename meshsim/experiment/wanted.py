"""Which number of a run is meant, such as ``latency_p99 cross-region in during``, and bounds of such numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.errors import Problem, ScenarioError, did_you_mean, gathering
from meshsim.results.tables import FLOWS
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

_METRIC = re.compile(r"(?P<metric>[\w.]+(?::[\w,-]+)?)(?:\s+(?P<flow>(?!in\b)[\w-]+))?(?:\s+in\s+(?P<phase>\w+))?")
_BOUND = re.compile(r"(?P<metric>[^<>=]+?)\s*(?P<sign><=|>=|<|>)\s*(?P<value>\S+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A number that every run has."""

    metric: str
    flow: str = "all"
    phase: str = "all"

    def __str__(self) -> str:
        """Return it as it is written."""
        flow = "" if self.flow == "all" else f" {self.flow}"
        return f"{self.metric}{flow}" + ("" if self.phase == "all" else f" in {self.phase}")

    def of(self, summary: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a summary, or of a comparison, that are about it."""
        chosen = (summary["metric"] == self.metric) & (summary["flow"] == self.flow) & (summary["phase"] == self.phase)
        return summary[chosen]


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


def wanted(text: str, document: Document, file: str = "--metric") -> Wanted:
    """Return the number that a text means.

    Parameters
    ----------
    text
        ``METRIC``, ``METRIC FLOW``, ``METRIC in PHASE`` or ``METRIC FLOW in PHASE``.
    document
        The scenario, which has the phases.
    file
        Where the text is, for the message.

    Raises
    ------
    ScenarioError
        If there is no such metric, flow or phase.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> wanted("latency_p99 cross-region", Document.model_validate(EXAMPLE))
    Wanted(metric='latency_p99', flow='cross-region', phase='all')
    """
    from meshsim.analysis.metrics import BY_FLAG, FLAGS, METRICS
    from meshsim.analysis.phases import phases

    match = _METRIC.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no metric; write METRIC, with FLOW and in PHASE where needed"
        raise ScenarioError([Problem(f"{message}, such as latency_p99 cross-region in during", file=file)])
    found = Wanted(match["metric"], match["flow"] or "all", match["phase"] or "all")
    base, colon, flags = found.metric.partition(":")
    names = dict.fromkeys(["all", *(phase.name for phase in phases(document))])
    said = ""
    if base not in METRICS:
        said = f"unknown metric '{base}'{did_you_mean(base, METRICS)}"
    elif colon and base not in BY_FLAG:
        said = f"{base} is not counted by response flag; {' and '.join(BY_FLAG)} are"
    elif colon and (wrong := [flag for flag in flags.split(",") if flag not in FLAGS]):
        said = f"unknown response flag '{wrong[0]}'{did_you_mean(wrong[0], FLAGS)}"
    elif found.flow not in ("all", *FLOWS):
        said = f"unknown flow '{found.flow}'{did_you_mean(found.flow, ('all', *FLOWS))}"
    elif found.flow not in METRICS[base].flows or (colon and found.flow != "all"):
        said = f"{found.metric} does not exist for the flow '{found.flow}' (one of {', '.join(METRICS[base].flows)})"
    elif found.phase not in names:
        said = f"the scenario has no phase '{found.phase}'{did_you_mean(found.phase, names)}"
    elif METRICS[base].once and found.phase != "all":
        said = f"{base} is one number for the whole run; leave the phase out"
    if said:
        raise ScenarioError([Problem(said, file=file)])
    return found


def all_wanted(texts: Sequence[str], document: Document) -> list[Wanted]:
    """Return several metrics.

    Raises
    ------
    ScenarioError
        With everything that cannot be read.
    """
    problems: list[Problem] = []
    found: list[Wanted] = []
    for text in texts:
        with gathering(problems):
            found.append(wanted(text, document))
    if problems:
        raise ScenarioError(problems)
    return found


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
