"""What a scenario expects of its results, held against them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.analysis.metrics import BY_FLAG, FLAGS, METRICS
from meshsim.errors import Problem, ScenarioError
from meshsim.scenario.checks import Check, Finding
from meshsim.scenario.checks.finding import unknown
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_expect import Bound, Expectation
from meshsim.scenario.selectors import matches

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.means import Known

#: Part of a bound by which a mean may miss it and still be taken to lie on it: sums round.
_ROUNDING = 1e-9
#: Units of metrics that are written as another.
_PLAIN = {"proxy-seconds": "seconds", "pod-seconds": "seconds"}
#: How a bound is written, by unit.
_WRITTEN = {"fraction": "99% or 0.99", "seconds": "250ms or 0.25", "bytes": "2GB", "/s": "10/s"}


@dataclass(frozen=True, slots=True)
class Result:
    """An expectation held against one deployment.

    Parameters
    ----------
    number
        Place of the expectation in ``expect``, from 0.
    deployment, phase, metric, flow
        What was looked at.
    at_least, at_most
        The bounds, in the metric's unit; nan for none.
    mean, half_width
        Over the replications, and the longer side of the 95 % interval. The mean is nan where nothing was observed, inf
        where a replication never recovered; the half width is nan without an interval.
    n, missing
        Replications with a value, and those in which nothing was observed.
    holds
        Whether the mean keeps the bounds.
    sure
        Whether the whole interval does, so that it does not hold by chance; where every replication has the same value
        and there is no interval, whether there are enough of them.
    why
        The scenario's own words.
    low, high
        The interval's ends; of shares near all or nothing the exact ones.
    same
        Whether every replication has the same value.
    events
        How many events a rate rests on; nan for what is none.
    requests_needed
        Of a percentile: requests that a replication needs, where one of them has fewer, so that it is not sure; else 0.
    """

    number: int
    deployment: str
    phase: str
    metric: str
    flow: str
    at_least: float
    at_most: float
    mean: float
    half_width: float
    n: int
    missing: int
    holds: bool
    sure: bool
    why: str
    low: float = math.nan
    high: float = math.nan
    same: bool = False
    events: float = math.nan
    requests_needed: int = 0


def check(summary: pd.DataFrame, expectations: Sequence[Expectation], confidence: float = 0.95) -> list[Result]:
    """Hold expectations against what was run: one result for each and each deployment that it is about.

    Parameters
    ----------
    summary
        As `meshsim.analysis.summary.summarize` returns it.
    expectations
        ``expect`` of the scenario.
    confidence
        Of the intervals.

    Notes
    -----
    What never recovered takes longer than any bound: ``at_most`` fails, ``at_least`` holds. Where nothing was observed
    nothing holds, except that there are no errors with a response flag that no error had.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("hybrid", number, "all", "success_rate", "all", value) for number, value in enumerate((0.98, 1.0))]
    >>> columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    >>> expected = [Expectation(metric="success_rate", at_least="95%")]
    >>> [(result.mean, result.holds, result.sure) for result in check(pd.DataFrame(rows, columns=columns), expected)]
    [(0.99, True, False)]
    """
    deployments = [str(name) for name in dict.fromkeys(summary["deployment"])]
    values = {
        (str(deployment), str(phase), _canonical(str(metric)), str(flow)): rows["value"].tolist()
        for (deployment, phase, metric, flow), rows in summary.groupby(
            ["deployment", "phase", "metric", "flow"], sort=False
        )
    }
    count = int(summary["replication"].nunique())
    return [
        _held(number, expected, deployment, _known(values, expected, deployment, count, confidence), confidence)
        for number, expected in enumerate(expectations)
        for deployment in deployments
        if matches(expected.deployment, deployment)
    ]


def _canonical(metric: str) -> str:
    """Return a metric with its response flags in order: Envoy's order says nothing."""
    base, colon, given = metric.partition(":")
    return base + colon + ",".join(sorted(given.split(",")))


def _observed(
    values: Mapping[tuple[str, str, str, str], list[float]], expected: Expectation, deployment: str, count: int
) -> list[float]:
    """Return the value of each replication, nan for none."""
    wanted = (deployment, expected.phase, _canonical(expected.metric), expected.flow)
    base, colon, _ = expected.metric.partition(":")
    if colon and wanted not in values:  # there is a row for each flag that was seen
        whole = values.get((deployment, expected.phase, base, expected.flow), [])
        return [value if math.isnan(value) else 0.0 for value in whole] or [math.nan] * count
    return values.get(wanted, [math.nan] * count)


def _known(
    values: Mapping[tuple[str, str, str, str], list[float]],
    expected: Expectation,
    deployment: str,
    count: int,
    confidence: float,
) -> Known:
    from meshsim.analysis.means import counted_among, known

    among = counted_among(expected.metric)
    asked = values.get((deployment, expected.phase, among, expected.flow)) if among else None
    return known(expected.metric, _observed(values, expected, deployment, count), asked, confidence)


def _held(number: int, expected: Expectation, deployment: str, found: Known, confidence: float) -> Result:
    least = -math.inf if expected.at_least is None else expected.at_least
    most = math.inf if expected.at_most is None else expected.at_most
    least_taken, most_taken = least - _ROUNDING * abs(least), most + _ROUNDING * abs(most)
    low, high = found.ends(confidence)
    # nan compares false: what has no value or no interval is not within any bounds.
    holds = bool(least_taken <= found.mean <= most_taken)
    sure = bool(least_taken <= low and high <= most_taken)
    return Result(
        number, deployment, expected.phase, expected.metric, expected.flow, _or_nan(expected.at_least),
        _or_nan(expected.at_most), found.mean, found.half_width, found.n, found.missing, holds, holds and sure,
        expected.why, found.low, found.high, found.same, found.events, found.requests_needed,
    )  # fmt: skip


def _or_nan(bound: float | None) -> float:
    return math.nan if bound is None else bound


def require(document: Document, deployments: Sequence[str], file: str = "") -> None:
    """Find out before a run whether there is anything to check after it.

    Parameters
    ----------
    document
        The scenario.
    deployments
        Those that are run.
    file
        Where the scenario is, for the message.

    Raises
    ------
    ScenarioError
        If the scenario expects nothing, or nothing of these deployments.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> try:
    ...     require(Document.model_validate(EXAMPLE), ["hybrid"], "mesh.yaml")
    ... except ScenarioError as error:
    ...     print(error)
    mesh.yaml: expect: is missing, so there is nothing to check
    """
    if not document.expect:
        raise ScenarioError([Problem("is missing, so there is nothing to check", "expect", file)])
    if not any(matches(expected.deployment, name) for expected in document.expect for name in deployments):
        asked = ", ".join(dict.fromkeys(expected.deployment for expected in document.expect))
        message = f"has nothing to check of {', '.join(deployments)}, only of {asked}"
        raise ScenarioError([Problem(message, "expect", file)])


# --- checks of the scenario -------------------------------------------------------------------------------------


def expected_metrics_exist(document: Document) -> Iterator[Finding]:
    """Find metrics that nobody measures, and flows and phases that a metric does not have."""
    for index, expected in enumerate(document.expect):
        path = ("expect", index)
        base, colon, given = expected.metric.partition(":")
        if base not in METRICS:
            yield unknown((*path, "metric"), "metric", expected.metric, METRICS)
        elif colon and base not in BY_FLAG:
            yield Finding((*path, "metric"), f"{base} is not counted by response flag; {' and '.join(BY_FLAG)} are")
        elif colon and not set(given.split(",")) <= set(FLAGS):
            wrong = next(flag for flag in given.split(",") if flag not in FLAGS)
            yield unknown((*path, "metric"), "response flag", wrong, FLAGS)
        else:
            yield from _fits(expected, base, path)


def _fits(expected: Expectation, base: str, path: tuple[str | int, ...]) -> Iterator[Finding]:
    known = METRICS[base]
    flows = ("all",) if ":" in expected.metric else known.flows
    if expected.flow not in flows:
        message = f"{expected.metric} does not exist for the flow '{expected.flow}' (one of {', '.join(flows)})"
        yield Finding((*path, "flow") if "flow" in expected.model_fields_set else path, message)
    if known.once and expected.phase != "all":
        yield Finding((*path, "phase"), f"{base} is one number for the whole run; leave the phase out")
    for side, bound in (("at_least", expected.at_least), ("at_most", expected.at_most)):
        if wrong := misfit(base, bound):
            yield Finding((*path, side), wrong)


def misfit(name: str, bound: float | None) -> str:
    """Return what is wrong with a bound of a metric: another unit, or out of what it can be; empty for nothing.

    Examples
    --------
    >>> misfit("success_rate", 99.9)
    'success_rate lies between 0 and 1, which 99.9 does not; write 99.9%'
    """
    known = METRICS[name]
    unit = _PLAIN.get(known.unit, known.unit)
    if isinstance(bound, Bound) and bound.unit and bound.unit != unit:
        wanted = _WRITTEN.get(unit, "a number without a unit, such as 3")
        return f"has the wrong unit for {name}, which is {known.meaning}; write {wanted}"
    if unit == "fraction" and bound is not None and not 0 <= bound <= 1:
        way_out = f"; write {bound:g}%" if 1 < bound <= 100 else ""
        return f"{name} lies between 0 and 1, which {bound:g} does not{way_out}"
    return ""


#: Every check of this room, for `meshsim.scenario.load`.
CHECKS: tuple[Check, ...] = (expected_metrics_exist,)
