"""The decision as the page shows it: scores by criterion with metric and weight, who wins at which weights."""

from __future__ import annotations

from collections.abc import Mapping

from meshsim.analysis.decision import Decision, decide
from meshsim.errors import ScenarioError
from meshsim.report.cells import how_to_read
from meshsim.report.decision import signs, table
from meshsim.report.decision_picture import picture
from meshsim.report.decision_words import notes, number, sentences
from meshsim.report.page.parts import NAME, Cell, Figure, Row, Table
from meshsim.report.page.study import Study
from meshsim.report.panels import picture_of
from meshsim.report.shorten import short

#: Names of the table and the picture.
SCORES = "scores"
#: Characters of a metric, and of why there is no decision.
_METRIC, _WHY = 120, 300


def decision_of(study: Study) -> tuple[Decision | None, str]:
    """Return the decision, or why there is none; neither where there is nothing to decide between."""
    if study.plots.summary["deployment"].nunique() < 2:
        return None, ""
    try:
        return decide(study.plots.summary, study.document, study.weights), ""
    except ScenarioError as error:
        return None, f"There are no scores: {short(str(error), _WHY)}."


def scores(decision: Decision, given: Mapping[str, float] | None = None) -> Table:
    """Return what each deployment scores, criterion by criterion, and its total.

    Parameters
    ----------
    decision
        What is shown.
    given
        Weights that the reader gave in place of the scenario's.
    """
    lines = table(decision)
    rows = [
        Row(short(name, NAME), tuple(Cell(short(text, _METRIC)) for text in cells), meaning)
        for (name, *cells), meaning in zip(lines, [*decision.criteria["meaning"], ""], strict=True)
    ]
    said = [
        "Value and score, from 1 (the best mean, unless the scenario gives a scale) to 0 (the worst).",
        "The total is the mean of the scores by weight.",
        weights(decision, given or {}),
        "Intervals of scores end where the scale does.",
    ]
    if decision.replications > 1:
        said.append(f"± is half the {100 * decision.confidence:g} % interval over n = {decision.replications}.")
    said += [f"{words[0].upper()}{words[1:]}." for words in how_to_read(signs(decision))]
    header = ("criterion", "metric", "weight", *(short(name, NAME) for name in decision.deployments))
    return Table(SCORES, "Value and score of each deployment, by criterion", header, tuple(rows), tuple(said))


def weights(decision: Decision, given: Mapping[str, float]) -> str:
    """Return whose the weights are."""
    if given:
        named = ", ".join(f"{short(name, NAME)} {number(weight)}" for name, weight in given.items())
        others = "all others are equal" if decision.shipped else "the others are the scenario's"
        return f"Weights given for this page: {named}; {others}."
    if decision.shipped:
        return "Weights are equal, as the scenario gives none."
    equal = decision.criteria["weight"].nunique() == 1
    return f"Weights are the scenario's{', and all equal' if equal else ''}."


def figure(decision: Decision) -> Figure:
    """Return the picture of totals, and of who wins when a weight changes."""
    names = [short(name, NAME) for name in decision.deployments]
    said = ", ".join(f"{name} {cell}" for name, cell in zip(names, table(decision)[-1][3:], strict=True))
    return Figure(
        SCORES,
        picture_of(picture(decision)),
        "Above: what each criterion adds to the total. Below: who wins when the weight of one criterion changes, from"
        " a tenth to ten times what it is (black line); where a strip changes colour, the winner does.",
        f"Stacked bars of weighted scores, one a deployment, and strips of who wins at which weight. Totals: {said}",
    )


def words(decision: Decision) -> tuple[str, ...]:
    """Return who wins and how sure that is, the Pareto front, the weights at which that changes, and what to know."""
    said = [f"{note[0].upper()}{note[1:]}." for note in notes(decision)]
    return (*sentences(decision), *said)
