"""What a scenario expects of its results, as a person and a machine read how it went."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshsim.analysis.expectations import Result
from meshsim.report.cells import cell
from meshsim.report.metrics import shown
from meshsim.report.numbers import quantity

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.scenario.schema_expect import Expectation


def lines(results: Sequence[Result], expectations: Sequence[Expectation]) -> list[str]:
    """Return a line for each expectation that does not hold, and one that counts.

    Parameters
    ----------
    results
        As `meshsim.analysis.expectations.check` returns them.
    expectations
        ``expect`` of the scenario.

    Examples
    --------
    >>> from meshsim.scenario.schema_expect import Expectation
    >>> result = Result(0, "hybrid", "during", "success_rate", "all", 0.99, math.nan, 0.9, 0.02, 5, 0, False, False, "")
    >>> for line in lines([result], [Expectation(metric="success_rate", phase="during", at_least=0.99)]):
    ...     print(line)
    expect[0] does not hold: hybrid, during: success rate is 90 ± 2 %, not at least 99 %
    0 of 1 expectations hold
    """
    held = [result for result in results if result.holds]
    by_chance = sum(not result.sure for result in held)
    counted = f"{len(held)} of {len(results)} expectations hold"
    if by_chance:
        counted += f", {by_chance} of them on average only: the 95 % interval is unknown or reaches past the bound"
    broken = [_line(result) for result in results if not result.holds]
    doubted = [_doubt(result) for result in results if result.requests_needed]
    return [*broken, *doubted, *_untested(results, expectations), counted]


def _line(result: Result) -> str:
    unit = shown(result.metric).unit
    sides = (("at least", result.at_least), ("at most", result.at_most))
    wanted = " and ".join(f"{side} {quantity(unit, bound)}" for side, bound in sides if not math.isnan(bound))
    why = f" ({result.why})" if result.why else ""
    return f"expect[{result.number}] does not hold: {_about(result)} {_found(result)}, not {wanted}{why}"


def _doubt(result: Result) -> str:
    needed = f"{result.requests_needed:,} requests in each replication, and there are fewer"
    return f"note: expect[{result.number}] is not sure: {_about(result)} needs {needed}"


def _about(result: Result) -> str:
    label, where = shown(result.metric).label, "whole run" if result.phase == "all" else result.phase
    return f"{result.deployment}, {where}: {label if result.flow == 'all' else f'{label}, {result.flow},'}"


def _found(result: Result) -> str:
    if math.isinf(result.mean):
        return f"does not end within the run in {'every' if result.n else 'any'} replication"
    if not result.n:
        return "has no value, as nothing was observed"
    if result.requests_needed:  # the number that decided, and nothing that looks like an interval
        alone = {"mean": result.mean, "n": result.n, "missing": result.missing}
        return f"is {cell(result.metric, alone)} of too few requests"
    return f"is {cell(result.metric, asdict(result))}"


def _untested(results: Sequence[Result], expectations: Sequence[Expectation]) -> Iterator[str]:
    tested = {result.number for result in results}
    for number, expected in enumerate(expectations):
        if number not in tested:
            yield f"expect[{number}] is not tested: no deployment '{expected.deployment}' was run"


def frame(results: Iterable[Result]) -> pd.DataFrame:
    """Return results as a data frame, a row each, in the columns of `meshsim.analysis.expectations.Result`.

    Examples
    --------
    >>> frame([]).columns.tolist()[:4]
    ['number', 'deployment', 'phase', 'metric']
    """
    import pandas as pd

    return pd.DataFrame([asdict(result) for result in results], columns=list(Result.__dataclass_fields__))


def to_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return results as data that JSON can hold; null for no bound, no value and what never ended.

    Examples
    --------
    >>> result = Result(0, "a", "all", "pushes", "all", 1.0, math.nan, 5.0, math.nan, 1, 0, True, False, "")
    >>> to_json([result])[0]["mean"]
    5.0
    """
    return [{name: _plain(value) for name, value in asdict(result).items()} for result in results]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
