"""Which number of a run is meant, such as ``latency_p99 cross-region in during``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshsim.analysis.metrics import BY_FLAG, FLAGS, METRICS
from meshsim.analysis.phases import phases
from meshsim.errors import Problem, ScenarioError, did_you_mean, gathering
from meshsim.results.tables import FLOWS
from meshsim.scenario.checks.finding import shortened
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

_METRIC = re.compile(r"(?P<metric>[\w.]+(?::[\w,-]+)?)(?:\s+(?P<flow>(?!in\b)[\w-]+))?(?:\s+in\s+(?P<phase>\w+))?")


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

    def value(self, summary: pd.DataFrame) -> tuple[float, float]:
        """Return the number of one run, and what its events, or requests of a percentile, are counted among.

        Nan is neither.

        Errors with a response flag that none had are 0.

        Examples
        --------
        >>> import pandas as pd
        >>> rows = [("all", "success_rate", "all", 0.9), ("all", "requests", "all", 50.0)]
        >>> Wanted("success_rate").value(pd.DataFrame(rows, columns=["phase", "metric", "flow", "value"]))
        (0.9, 50.0)
        """
        from meshsim.analysis.means import counted_among

        base, flagged, _ = self.metric.partition(":")
        found = _first(self.of(summary))
        if flagged and math.isnan(found):
            found = 0.0 * _first(replace(self, metric=base).of(summary))
        among = counted_among(base)
        return found, math.nan if among is None else _first(replace(self, metric=among).of(summary))


def _first(rows: pd.DataFrame) -> float:
    return float(rows["value"].iloc[0]) if len(rows) else math.nan


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
    match = _METRIC.fullmatch(text.strip())
    if match is None:
        message = f"{shortened(text)} is no metric; write METRIC, with FLOW and in PHASE where needed"
        raise ScenarioError([Problem(f"{message}, such as latency_p99 cross-region in during", file=file)])
    found = Wanted(match["metric"], match["flow"] or "all", match["phase"] or "all")
    base, colon, flags = found.metric.partition(":")
    names = dict.fromkeys(["all", *(phase.name for phase in phases(document))])
    said = ""
    if base not in METRICS:
        said = f"unknown metric {shortened(base)}{did_you_mean(base, METRICS)}"
    elif colon and base not in BY_FLAG:
        said = f"{base} is not counted by response flag; {' and '.join(BY_FLAG)} are"
    elif colon and (wrong := [flag for flag in flags.split(",") if flag not in FLAGS]):
        said = f"unknown response flag {shortened(wrong[0])}{did_you_mean(wrong[0], FLAGS)}"
    elif found.flow not in ("all", *FLOWS):
        said = f"unknown flow {shortened(found.flow)}{did_you_mean(found.flow, ('all', *FLOWS))}"
    elif found.flow not in METRICS[base].flows or (colon and found.flow != "all"):
        said = f"{found.metric} does not exist for the flow '{found.flow}' (one of {', '.join(METRICS[base].flows)})"
    elif found.phase not in names:
        said = f"the scenario has no phase {shortened(found.phase)}{did_you_mean(found.phase, names)}"
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
