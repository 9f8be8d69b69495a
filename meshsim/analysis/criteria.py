"""What deployments are judged by: the criteria of a scenario or the shipped ones, each with its metric and weight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from meshsim.analysis.expectations import misfit
from meshsim.analysis.metrics import Metric, metric
from meshsim.analysis.phases import phases
from meshsim.analysis.wanted import Wanted, wanted
from meshsim.errors import Problem, ScenarioError, did_you_mean
from meshsim.scenario.checks import Check, Finding
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_decision import Criterion as Written

Way = Literal["lower", "higher"]

#: What shipped criteria stand for where a scenario has no phase of that name: the whole run.
_DECISIVE = "during"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A number that deployments are judged by.

    Parameters
    ----------
    name
        As the scenario calls it.
    wanted
        Metric, flow and phase.
    weight
        How much it counts.
    better
        Which way is better.
    best, worst
        The values that are worth 1 and 0, in the metric's unit; nan for those of the results.
    """

    name: str
    wanted: Wanted
    weight: float
    better: Way
    best: float = math.nan
    worst: float = math.nan

    @property
    def metric(self) -> Metric:
        """What is measured."""
        return metric(self.wanted.metric)

    @property
    def anchored(self) -> bool:
        """Whether the scenario says what is worth 1 and 0."""
        return not math.isnan(self.best)


def shipped(document: Document) -> dict[str, Written]:
    """Return the criteria of a scenario that gives none: one metric each, and all the same weight.

    Where data is tagged there is one for it, and where clusters have security domains one for those.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> {name: one.metric for name, one in shipped(Document.model_validate(EXAMPLE)).items()}["availability"]
    'success_rate'
    """
    spans = [phase.name for phase in phases(document)]
    during, ordinary = ("" if name == "all" else f" in {name}" for name in (_decisive(spans), spans[0]))
    found = {
        "availability": Written(metric=f"success_rate{during}"),
        "latency": Written(metric=f"latency_p99{ordinary}"),
        "blast radius": Written(metric="blast_radius_clusters"),
        "staleness": Written(metric=f"stale_share{during}"),
        "convergence": Written(metric="convergence_p99"),
        "recovery": Written(metric="time_to_recover"),
        "control planes": Written(metric="control_planes", better="lower"),
        "operational complexity": Written(metric="remote_secrets"),
        "cost": Written(metric=f"cost{ordinary}"),
        "data residency": Written(metric=f"residency_bytes{during}"),
        "security isolation": Written(metric="shared_control_planes"),
    }
    if not {"before", "during"} <= set(spans):
        del found["recovery"]
    tags = [cluster.data_residency for cluster in document.clusters.values()]
    if not any([*tags, *(service.data_residency for service in document.services.values())]):
        del found["data residency"]
    if not any(cluster.security_domain for cluster in document.clusters.values()):
        del found["security isolation"]
    return found


def _decisive(spans: Sequence[str]) -> str:
    return _DECISIVE if _DECISIVE in spans else "all"


def criteria(document: Document, weights: Mapping[str, float] | None = None) -> list[Criterion]:
    """Return what the deployments of a scenario are judged by.

    Parameters
    ----------
    document
        The scenario; one without `decision` is judged by the `shipped` criteria.
    weights
        Other weights, by criterion.

    Raises
    ------
    ScenarioError
        With everything that is wrong.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> found = criteria(Document.model_validate(EXAMPLE), {"cost": 3.0})
    >>> [(str(one.wanted), one.weight, one.better) for one in found if one.name in ("latency", "cost")]
    [('latency_p99', 1.0, 'lower'), ('cost', 3.0, 'lower')]
    """
    known = shipped(document)
    written = document.decision.criteria or known
    found, problems = [], []
    for name, one in written.items():
        read, wrong = _read(name, one, known, document)
        problems += [Problem(said, f"decision.criteria.{name}{at and '.'}{at}") for at, said in wrong]
        found += [read] if read is not None else []
    for name, weight in (weights or {}).items():
        if name not in written:
            problems.append(Problem(f"unknown criterion '{name}'{did_you_mean(name, written)}", file="--weight"))
        elif not 0 < weight <= 1e6:
            problems.append(Problem(f"{name}={weight:g} is no weight; it must be above 0", file="--weight"))
    if problems:
        raise ScenarioError(problems)
    return [replace(one, weight=float((weights or {}).get(one.name, one.weight))) for one in found]


def _read(
    name: str, one: Written, known: Mapping[str, Written], document: Document
) -> tuple[Criterion | None, list[tuple[str, str]]]:
    """Return a criterion, or field and message of everything that is wrong with it."""
    default = known.get(name)
    text = one.metric if one.metric is not None or default is None else default.metric
    if text is None:
        return None, [("", f"missing field 'metric', as no shipped criterion has this name{did_you_mean(name, known)}")]
    try:
        about = wanted(text, document)
    except ScenarioError as error:
        return None, [("metric", problem.message) for problem in error.problems]
    base = about.metric.partition(":")[0]
    wrong = [(side, said) for side in ("best", "worst") if (said := misfit(base, getattr(one, side)))]
    # A shipped criterion says itself which way is better, where its metric does not.
    own = default.better if default is not None and one.metric in (None, default.metric) else None
    way, said = _way(about.metric, one, own)
    wrong += [("better", said)] if said else []
    if way is None or wrong:
        return None, wrong
    ends = {} if one.best is None or one.worst is None else {"best": float(one.best), "worst": float(one.worst)}
    return Criterion(name, about, one.weight, way, **ends), []


def _way(name: str, one: Written, own: Way | None) -> tuple[Way | None, str]:
    """Return which way is better, or what is wrong with what is said of it."""
    known: Way | None = metric(name).better
    given: Way | None = None
    if one.best is not None and one.worst is not None:
        given = "higher" if one.best > one.worst else "lower"
    said = {name: known, "better": one.better, "best and worst": given, "the shipped criterion": own}
    ways = {source: way for source, way in said.items() if way is not None}
    if not ways:
        return None, f"is missing: neither way of {name} is better by itself; write lower or higher, or best and worst"
    if len(set(ways.values())) > 1:
        told = " and ".join(f"{way} ({source})" for source, way in ways.items())
        return None, f"cannot be both {told}"
    return next(iter(ways.values())), ""


# --- checks of the scenario -------------------------------------------------------------------------------------


def criteria_have_metrics(document: Document) -> Iterator[Finding]:
    """Find criteria of metrics, flows and phases that do not exist, and scales that do not fit them."""
    if not document.decision.criteria:
        return
    known = shipped(document)
    for name, one in document.decision.criteria.items():
        for at, said in _read(name, one, known, document)[1]:
            path = ("decision", "criteria", name)
            there = at in one.model_fields_set
            yield Finding((*path, at) if there else path, said if there or not at else f"{at} {said}")


#: Every check of this room, for `meshsim.scenario.load`.
CHECKS: tuple[Check, ...] = (criteria_have_metrics,)
