"""What a decision says in sentences, never more than its intervals do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from meshsim.analysis.decision import Decision
from meshsim.analysis.failing import ANSWERED
from meshsim.report.cells import BOUND, Printed
from meshsim.report.numbers import digits, percentage, quantity
from meshsim.report.shorten import listed, short
from meshsim.report.what_if import unbilled

if TYPE_CHECKING:
    import pandas as pd

_NAME = 40
#: Totals nearer to each other than this are the same.
_SAME = 1e-9


def sentences(decision: Decision) -> list[str]:
    """Return what there is to say: who wins and how sure that is, who is dominated, what would change the winner.

    Examples
    --------
    >>> import pandas as pd
    >>> from meshsim.analysis.decision import decide
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> from meshsim.scenario.schema import Document
    >>> rows = [(name, number, "all", metric, "all", value + 0.001 * number)
    ...         for name, values in (("hybrid", (10.0, 0.3)), ("multi-primary", (30.0, 0.1)))
    ...         for metric, value in zip(("cost", "latency_mean"), values) for number in range(6)]
    >>> summary = pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"])
    >>> judged = {"criteria": {"cost": {"weight": 2}, "speed": {"metric": "latency_mean"}}}
    >>> for line in sentences(decide(summary, Document.model_validate({**EXAMPLE, "decision": judged}))):
    ...     print(line)
    hybrid has the highest total, 0.667 ± 0.004, better than multi-primary beyond chance.
    On the Pareto front: hybrid and multi-primary.
    multi-primary wins if speed weighs more than 1 x cost (now 0.5 x), the other weights as they are.
    """
    if len(decision.deployments) < 2:
        return [f"{_short(decision.winner)} is alone: there is nothing to decide between."]
    return [*winner(decision), *pareto(decision), *changes(decision)]


def winner(decision: Decision) -> list[str]:
    """Return who has the highest total, and whether that is more than chance."""
    totals = {str(row.deployment): row for row in each(decision.totals)}
    shown = {name: score(row.total, row.half_width) for name, row in totals.items()}
    first, others = decision.winner, [name for name in decision.leaders if name != decision.winner]
    begins = f"{_short(first)} has the highest total, {shown[first]}"
    even = [name for name in others if abs(totals[name].difference) < _SAME]
    if even:
        return [f"{_listed([first, *even])} have the same total, {shown[first]}: there is no winner."]
    if decision.replications < 2:
        return [f"{begins}; one replication does not tell how much of that is chance."]
    if not others:
        beaten = [name for name in decision.deployments if name != first]
        return [f"{begins}, better than {'every other' if len(beaten) > 1 else _short(beaten[0])} beyond chance."]
    near = [f"{_short(name)} ({shown[name]})" for name in others]
    return [f"{begins}, but with {decision.replications} replications it is not distinguishable from {listed(near)}."]


def pareto(decision: Decision) -> list[str]:
    """Return who is on the Pareto front, and who is dominated by whom in what."""
    if decision.replications < 2:
        return ["The Pareto front is not known: one replication cannot tell who is better beyond chance."]
    said = [f"On the Pareto front: {_listed(decision.front)}."]
    for name in dict.fromkeys(decision.dominated["deployment"]):
        # Whoever is on the front says most, so that one comes first and with what it is better in.
        by = sorted(
            each(decision.dominated[decision.dominated["deployment"] == name]),
            key=lambda row: str(row.by) not in decision.front,
        )
        also = f"; also by {_listed(row.by for row in by[1:])}" if by[1:] else ""
        said.append(f"{_short(name)} is dominated by {_short(by[0].by)} ({'; '.join(_over(by[0]))}){also}.")
    return said


def _over(row: Any) -> Iterator[str]:
    """Yield in what one deployment is better than another that it dominates, and what is known of the rest."""
    yield f"better in {_listed(row.better)}"
    agreeing = [f"{way} in {_listed(names)}" for way, names in (("better", row.ahead), ("worse", row.behind)) if names]
    if agreeing:
        yield f"by the same in each replication, too few to tell, {' and '.join(agreeing)}"
    if row.same:
        yield f"the same in {_listed(row.same)}"
    if row.open:
        yield f"no difference seen in {_listed(row.open)}"


def changes(decision: Decision) -> list[str]:
    """Return, for each deployment that does not win, which weight would change that."""
    return [_change(decision, name) for name in decision.deployments if name != decision.winner]


def _change(decision: Decision, name: str) -> str:
    crossings = decision.overtakes[decision.overtakes["deployment"] == name]
    wins = [*_wins(decision, name)]
    if wins:
        return f"{_short(name)} wins if {min(wins)[2]}, the other weights as they are."
    if not len(crossings) and abs(float(decision.totals.set_index("deployment")["difference"][name])) < _SAME:
        return f"{_short(name)} scores the same as {_short(decision.winner)}, whatever the weights."
    if not len(crossings):
        return f"{_short(name)} wins with no weights: no criterion scores it higher than {_short(decision.winner)}."
    weights = decision.weights.set_index("criterion")["weight"]
    nearest = min(each(crossings), key=lambda row: row.weight / weights[row.criterion])
    return (
        f"{_short(name)} wins with no change of a single weight; it overtakes {_short(decision.winner)}"
        f" if {_more(nearest)}."
    )


def _wins(decision: Decision, name: str) -> Iterator[tuple[bool, float, str]]:
    """Yield whether a weight has to fall for a deployment to win, by which factor it has to change, and the words."""
    weights = decision.weights.set_index("criterion")["weight"]
    crossings = decision.overtakes[decision.overtakes["deployment"] == name].set_index("criterion")
    for row in each(decision.winners[decision.winners["deployment"] == name]):
        now = float(weights[row.criterion])
        if row.low >= now:
            against = str(crossings.loc[row.criterion, "against"]) if row.criterion in crossings.index else ""
            how = f"{_short(row.criterion)} weighs more than {_beside(row.low, now, against, weights)}"
            yield False, row.low / now, how
        elif row.high <= now:
            factor = now / row.high if row.high > 0 else math.inf
            yield True, factor, f"{_short(row.criterion)} weighs less than {number(row.high)} (now {number(now)})"


def _more(row: Any) -> str:
    return (
        f"{_short(row.criterion)} weighs more than {number(row.ratio)} x {_short(row.against)}"
        f" (now {number(row.now)} x), the other weights as they are"
    )


def _beside(weight: float, now: float, against: str, weights: pd.Series[float]) -> str:
    """Return a weight as a multiple of that of the criterion that counts most for the winner."""
    if not against:
        return f"{number(weight)} (now {number(now)})"
    one = float(weights[against])
    return f"{number(weight / one)} x {_short(against)} (now {number(now / one)} x)"


def notes(decision: Decision) -> list[str]:
    """Return what a reader has to know of how the scores came about."""
    said = []
    if decision.shipped:
        said.append(
            "the scenario gives no criteria (decision.criteria): these are the shipped ones, and whether all of them"
            " should count the same is for you to say"
        )
    if decision.replications < 2:
        said.append("one replication: scores take chance for real, and there are no intervals; run with -n 5 or more")
    criteria = decision.criteria
    said += _level(decision) if decision.replications > 1 else []
    unseen = each(criteria[criteria["kind"] == "missing"])
    said += [f"{_short(row.criterion)}: nothing was measured ({row.metric}), so it does not count" for row in unseen]
    said += [f"{left_out[0].lower()}{left_out[1:-1]}"] if (left_out := unbilled(decision.pods)) else []
    return [*said, *_filled(decision)]


def _level(decision: Decision) -> Iterator[str]:
    """Yield by which criteria all score 1 as nothing is beyond chance, and which way they differ if they do."""
    level = decision.criteria[decision.criteria["best"].isna()]
    open_ = level.loc[level["kind"].isin(["open", "unknown"]), "criterion"]
    if len(open_):
        yield f"all score 1 where no difference was seen between any two: {_listed(open_)}"
    steady = [
        f"{_short(name)} (in favour of {_listed(_ahead(decision, name))})"
        for name in level.loc[level["kind"] == "steady", "criterion"]
    ]
    if steady:
        yield (
            f"all score 1 where differences are the same in each of {decision.replications} replications, too few to"
            f" tell: {listed(steady)}"
        )


def _ahead(decision: Decision, criterion: str) -> list[str]:
    """Return who is ahead of others, and behind none, by the same in every replication."""
    own = decision.scores[decision.scores["criterion"] == criterion]
    behind = {name for names in own["ahead"] for name in names}
    return [str(row.deployment) for row in each(own) if row.ahead and row.deployment not in behind]


def _filled(decision: Decision) -> Iterator[str]:
    """Yield what stands for values that are missing."""
    criteria = decision.criteria.set_index("criterion")
    for row in each(decision.scores[decision.scores["filled"] > 0]):
        about = criteria.loc[row.criterion]
        if row.failing:
            yield (
                f"{_short(row.criterion)}: under {_short(row.deployment)} fewer than {percentage(ANSWERED)} of the"
                " requests succeeded, so that this says little of those that did; it counts as the worst seen:"
                f" {quantity(str(about['unit']), float(row.taken))}"
            )
            continue
        never, nothing = row.never > 0, row.filled > row.never
        what = " or ".join(
            said
            for said, applies in (("did not recover before the end", never), ("had nothing to measure", nothing))
            if applies
        )
        runs, value = int(row.n) + int(row.filled), quantity(str(about["unit"]), float(row.taken))
        yield (
            f"{_short(row.criterion)}: {_short(row.deployment)} {what} in {row.filled:g} of {runs} replications, which"
            f" counts as {'the time to the end, or the worst seen' if never else 'the worst seen'}: {value}"
        )


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame as named tuples."""
    yield from frame.itertuples()


def number(weight: float) -> str:
    """Return a weight, or a ratio of two, with three digits.

    Examples
    --------
    >>> number(3.1999), number(2.0), number(0.0451)
    ('3.2', '2', '0.0451')
    """
    return digits(weight)


def score(mean: float, half_width: float = math.nan) -> str:
    """Return a score with its interval, where it has one; the interval is rounded up, and ends where the scale does.

    Examples
    --------
    >>> score(0.8123, 0.0156), score(1.0, 0.0), score(-0.0001), score(0.7, 0.0031)
    ('0.81 ± 0.02', '1.00', '0.00', '0.700 ± 0.004')
    >>> score(0.0, 0.53), score(1.0, 0.046), score(0.23, 0.77)
    ('0.00 (<0.53)', '1.00 (>0.95)', '0.23 (0 to 1)')
    """
    return scored(mean, half_width).text


def scored(mean: float, half_width: float = math.nan) -> Printed:
    """Return a score as `score` does, with what has to be explained of it.

    Examples
    --------
    >>> scored(0.0, 0.53).signs == {BOUND}, scored(0.81, 0.02).signs == scored(0.23, 0.77).signs == set()
    (True, True)
    """
    if not (math.isfinite(half_width) and half_width > _SAME):
        alone = f"{round(mean, 2) + 0.0:.2f}"
        return Printed(alone, alone)
    places = 2 if half_width >= 0.01 else 3
    least = 10.0**-places
    wide = max(math.ceil(half_width / least - 1e-6), 1) * least
    shown = f"{round(mean, places) + 0.0:.{places}f}"
    under, over = mean - half_width < -_SAME, mean + half_width > 1 + _SAME
    if under or over:
        if mean - half_width <= least / 2 and mean + half_width >= 1 - least / 2:
            return Printed(f"{shown} (0 to 1)", shown)
        end = math.ceil((mean + half_width) / least - 1e-6) if under else math.floor((mean - half_width) / least + 1e-6)
        edge = f"({'<' if under else '>'}{end * least:.{places}f})"
        return Printed(f"{shown} {edge}", shown, frozenset({BOUND}))
    return Printed(f"{shown} ± {wide:.{places}f}", shown)


def _listed(names: Iterable[str]) -> str:
    return listed([_short(name) for name in names])


def _short(name: str) -> str:
    return short(str(name), _NAME)
