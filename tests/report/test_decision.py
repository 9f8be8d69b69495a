"""A decision as text, data and picture: every score names its metric, and nothing is said beyond its intervals."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from meshsim.analysis.decision import Decision, decide
from meshsim.report.decision import plain, to_json
from meshsim.report.decision_files import write
from meshsim.report.decision_picture import picture, totals, weights
from meshsim.report.decision_words import notes, sentences
from meshsim.report.style import PORTRAIT
from meshsim.report.style import picture as blank
from tests.analysis.test_decision import COST, SPEED, TWO, document, summary

#: By hand: a scores 1 and 0, b 0 and 1, c 0.4 and 0.8; see tests/analysis/test_decision.py.
VALUES = {COST: {"a": 100.0, "b": 200.0, "c": 160.0}, SPEED: {"a": 2.0, "b": 1.0, "c": 1.2}}


@pytest.fixture(scope="module")
def decision() -> Decision:
    criteria = {"price": {"metric": COST, "weight": 2}, "speed": {"metric": SPEED}}
    return decide(summary(VALUES), document(criteria))


@pytest.fixture(scope="module")
def shipped(plots) -> Decision:
    return decide(plots.summary, plots.document)


def test_the_sentences_say_who_wins_and_what_would_change_that(decision):
    assert sentences(decision) == [
        "a has the highest total, 0.667 ± 0.001, better than every other beyond chance.",
        "On the Pareto front: a, b and c.",
        "b wins if speed weighs more than 2 x price (now 0.5 x), the other weights as they are.",
        "c wins if speed weighs more than 0.75 x price (now 0.5 x), the other weights as they are.",
    ]


def test_a_winner_by_chance_is_called_that():
    noise = np.random.default_rng(1).normal(0, 40, (2, 5))
    values = {
        COST: {"a": (noise[0] + 100).tolist(), "b": (noise[1] + 105).tolist()},
        "remote_secrets": {"a": 1.0, "b": 1.0},
    }
    criteria = {"price": {"metric": COST, "best": 0, "worst": 200}, "secrets": {"metric": "remote_secrets"}}
    said = sentences(decide(summary(values | {"remote_secrets": {n: [1.0] * 5 for n in "ab"}}), document(criteria)))
    assert "with 5 replications it is not distinguishable from" in said[0]


def test_of_one_replication_nothing_is_said_beyond_its_values():
    found = decide(summary({COST: {"a": [1.0], "b": [2.0]}, SPEED: {"a": [1.0], "b": [2.0]}}), document(TWO))
    assert sentences(found)[:2] == [
        "a has the highest total, 1.00; one replication does not tell how much of that is chance.",
        "The Pareto front is not known: one replication cannot tell who is better beyond chance.",
    ]
    assert any(note.startswith("one replication: scores take chance for real") for note in notes(found))
    assert "±" not in plain(found)
    assert to_json(found)["front"] is None


def test_even_totals_have_no_winner():
    found = decide(summary({COST: {"a": 1.0, "b": 1.0}}), document({"price": {"metric": COST}}))
    assert sentences(found)[0] == "a and b have the same total, 1.00: there is no winner."
    assert sentences(found)[-1] == "b scores the same as a, whatever the weights."


def test_one_deployment_is_nothing_to_decide_between():
    found = decide(summary({COST: {"a": 1.0}}), document({"price": {"metric": COST}}))
    assert sentences(found) == ["a is alone: there is nothing to decide between."]
    assert "winner" not in plain(found)


def test_every_score_names_its_metric_and_its_weight(shipped):
    text = plain(shipped)
    for row in shipped.criteria.itertuples():
        line = next(line for line in text.splitlines() if line.startswith(f"  {row.metric}"))
        assert f"{100 * row.share:.0f} %" in line
    assert "the scenario gives no criteria" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_what_is_missing_is_told():
    values = {
        COST: {"a": [1.0] * 4, "b": [2.0] * 4},
        SPEED: {"a": [math.nan, 1.0, 1.1, 1.2], "b": [3.0, 3.1, 3.2, 3.3]},
    }
    criteria = {**TWO, "pushed": {"metric": "pushes", "better": "lower"}}
    found = decide(summary(values), document(criteria))
    assert "speed: a had nothing to measure in 1 of 4 replications, which counts as the worst seen: 3.3 s" in notes(
        found
    )
    assert "pushed: nothing was measured (pushes), so it does not count" in notes(found)
    assert "nothing was measured: it does not count" in plain(found)


def test_no_difference_is_denied_where_every_replication_differed():
    values = {
        COST: {"a": [1.0] * 3, "b": [2.0] * 3},
        SPEED: {"a": [0.3, 0.4, 0.5], "b": [0.5, 0.6, 0.7]},
        "istiod_cpu": {"a": [4.0] * 3, "b": [3.0] * 3},
        "stale_share": {"a": [0.0] * 3, "b": [0.0] * 3},
        "residency_bytes": {"a": [5.0, 9.0, 1.0], "b": [4.0, 2.0, 8.0]},
    }
    found = decide(summary(values), document({name: {"metric": name, "better": "lower"} for name in values}))
    assert sentences(found)[2] == (
        "b is dominated by a (better in cost; by the same in each replication, too few to tell, better in latency_mean"
        " and worse in istiod_cpu; the same in stale_share; no difference seen in residency_bytes)."
    )
    open_, agreeing = notes(found)
    assert open_ == "all score 1 where no difference was seen between any two: residency_bytes"
    assert agreeing == (
        "all score 1 where differences are the same in each of 3 replications, too few to tell: latency_mean (in favour"
        " of a) and istiod_cpu (in favour of b)"
    )


@pytest.mark.slow
def test_many_deployments_make_blocks_that_fit(decision):
    values = {metric: {f"deployment-{i}": 1.0 + i for i in range(9)} for metric in (COST, SPEED)}
    text = plain(decide(summary(values), document(TWO)))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("criterion  ") > 2
    # Of 36 pairs at once, differences that agree in ten replications are beyond chance only where they are of money.
    said = "deployment-8 is dominated by deployment-0 (better in price; by the same in each replication, too few to"
    said += " tell, better in speed); also by"
    assert said in " ".join(text.split())


def test_data_hold_every_frame_and_no_number_that_json_lacks(shipped):
    data = json.loads(json.dumps(to_json(shipped), allow_nan=False))
    assert {"criteria", "scores", "totals", "differences", "dominated", "weights", "winners", "overtakes"} <= set(data)
    assert len(data["scores"]) == len(shipped.weights) * len(shipped.deployments)
    assert data["winner"] in data["leaders"]


def test_bars_add_up_to_the_totals(shipped):
    axes = totals(shipped)
    widths = dict.fromkeys(range(len(shipped.deployments)), 0.0)
    for bar in axes.patches:
        widths[round(bar.get_y() + bar.get_height() / 2)] += bar.get_width()
    assert list(widths.values()) == pytest.approx(shipped.totals["total"].tolist())
    assert [label.get_text() for label in axes.get_yticklabels()] == list(shipped.deployments)


def test_strips_change_colour_where_the_winner_does(decision):
    axes = weights(decision)
    speed = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches if bar.get_y() > 0.5)
    assert [end for strip in speed for end in strip] == pytest.approx([0.1, 1.5, 1.5, 4.0, 4.0, 10.0], rel=1e-3)


def test_the_picture_takes_the_place_of_given_axes(decision):
    figure = blank(PORTRAIT, 6.0)
    panels = picture(decision, figure.subplots(1, 2)[1])
    assert len(panels) == 2
    assert panels.figure.figure is figure


@pytest.mark.slow
def test_files_are_the_same_for_the_same_decision(decision, tmp_path):
    first, second = (write(decision, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == ["decision.txt", "decision.json", "decision.png", "decision.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
