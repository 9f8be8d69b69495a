"""Scores, totals, the Pareto front and the weights at which the winner changes, against sums made by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshsim.analysis.decision import Decision, decide
from meshsim.errors import ScenarioError
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

#: Noise around 0 that all deployments share, so that differences are exact; as many as have to agree to be no chance.
SHARED = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 0.0])
#: Examples of a property: a decision takes a tenth of a second.
few = settings(max_examples=max(2, settings.default.max_examples // 12))
#: Criteria by metric; none of them needs another metric beside it.
COST, SPEED, STALE = "cost", "latency_mean", "stale_share"


def document(criteria: Mapping[str, Mapping[str, object]], **changes: object) -> Document:
    return Document.model_validate({**EXAMPLE, "decision": {"criteria": criteria}, **changes})


def summary(values: Mapping[str, Mapping[str, Sequence[float] | float]]) -> pd.DataFrame:
    """Return metric → deployment → values, or a mean around which all deployments vary alike, as a summary."""
    rows = [
        (name, replication, "all", metric, "all", float(value))
        for metric, by_deployment in values.items()
        for name, own in by_deployment.items()
        for replication, value in enumerate(own if isinstance(own, Sequence) else own + 0.001 * SHARED)
    ]
    return pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"])


TWO = {"price": {"metric": COST}, "speed": {"metric": SPEED}}


def scores(found: Decision, criterion: str) -> list[float]:
    own = found.scores[found.scores["criterion"] == criterion].set_index("deployment")["score"]
    return own[list(found.deployments)].round(6).tolist()


# --- scores -----------------------------------------------------------------------------------------------------


def test_scores_go_straight_from_the_worst_mean_to_the_best():
    found = decide(summary({COST: {"a": 100.0, "b": 150.0, "c": 300.0}}), document({"price": {"metric": COST}}))
    assert scores(found, "price") == [1.0, 0.75, 0.0]
    assert found.criteria.loc[0, ["best", "worst"]].tolist() == pytest.approx([100.0, 300.0], abs=0.001)


def test_of_a_metric_of_which_more_is_better_the_highest_scores_one():
    values = {"success_rate": {"a": 0.9, "b": 0.5}, "requests": {"a": 1e6, "b": 1e6}}
    found = decide(summary(values), document({"up": {"metric": "success_rate"}}))
    assert scores(found, "up") == [1.0, 0.0]


def test_a_given_scale_counts_and_ends_at_its_ends():
    criteria = {"speed": {"metric": SPEED, "best": "100ms", "worst": "500ms"}}
    found = decide(summary({SPEED: {"a": 0.05, "b": 0.2, "c": 0.9}}), document(criteria))
    assert scores(found, "speed") == [1.0, 0.75, 0.0]
    assert bool(found.criteria.loc[0, "anchored"])


def test_where_the_scale_ends_deployments_that_differ_are_the_same_to_the_decision():
    criteria = {"speed": {"metric": SPEED, "best": "1s", "worst": "5s"}, "price": {"metric": COST}}
    found = decide(summary({SPEED: {"a": 0.05, "b": 0.2}, COST: {"a": 2.0, "b": 1.0}}), document(criteria))
    assert found.dominated[["deployment", "by", "better", "same", "open"]].to_numpy().tolist() == [
        ["a", "b", ("price",), ("speed",), ()]
    ]


def test_chance_is_not_blown_up_to_a_whole_score():
    values = {COST: {"a": [1.0, 9.0, 4.0], "b": [2.0, 3.0, 8.5]}}
    found = decide(summary(values), document({"price": {"metric": COST}}))
    assert scores(found, "price") == [1.0, 1.0]
    assert found.criteria.loc[0, ["kind", "words"]].tolist() == ["open", "no difference seen"]
    assert found.leaders == ("a", "b")


def test_scores_and_totals_carry_the_interval_of_their_values():
    # Values of a are 1, 2 and 3 around its mean 2, and the scale is 10 wide: scores vary as 0.1, 0 and -0.1, whose
    # Student interval is 4.303 x 0.1 / sqrt(3) = 0.2484.
    values = {SPEED: {"a": [1.0, 2.0, 3.0], "b": [12.0, 12.0, 12.0]}}
    found = decide(summary(values), document({"speed": {"metric": SPEED}}))
    assert found.scores["score_half_width"].tolist() == pytest.approx([0.2484, 0.0], abs=1e-4)
    assert found.totals["half_width"].tolist() == pytest.approx([0.2484, 0.0], abs=1e-4)


def test_totals_are_weighted_means_and_differences_are_paired():
    criteria = {"price": {"metric": COST, "weight": 3}, "speed": {"metric": SPEED}}
    found = decide(summary({COST: {"a": 1.0, "b": 2.0}, SPEED: {"a": 0.8, "b": 0.4}}), document(criteria))
    assert found.totals["total"].round(6).tolist() == [0.75, 0.25]
    assert found.criteria["share"].tolist() == [0.75, 0.25]
    assert found.differences.loc[0, ["deployment", "than", "verdict"]].tolist() == ["b", "a", "worse"]
    assert found.differences.loc[0, "difference"] == pytest.approx(-0.5)
    assert (found.winner, found.leaders) == ("a", ("a",))


# --- what is missing --------------------------------------------------------------------------------------------

DOWN = [{"event": "cluster_down", "start": "40s", "duration": "20s", "target": {"cluster": "eu-1"}}]


def test_a_recovery_that_never_came_counts_as_the_time_to_the_end_and_is_told():
    judged = document({"recovery": {}}, timeline=DOWN, duration="160s", warm_up="10s")
    never = [10.0, math.inf, 10.0, math.inf, 10.0, 10.0]
    found = decide(summary({"time_to_recover": {"a": [10.0] * 6, "b": never}}), judged)
    row = found.scores.set_index("deployment").loc["b"]
    assert (row["filled"], row["never"], row["taken"]) == (2, 2, 100.0)


def test_what_was_not_seen_counts_as_the_worst_that_was():
    values = {SPEED: {"a": [1.0, 1.1, 0.9, 1.0], "b": [5.0, math.nan, 5.2, 5.1]}}
    found = decide(summary(values), document({"speed": {"metric": SPEED}}))
    row = found.scores.set_index("deployment").loc["b"]
    assert (row["filled"], row["taken"], row["mean"]) == (1, 5.2, pytest.approx(5.1))
    assert found.criteria.loc[0, "worst"] == pytest.approx((5.0 + 5.2 + 5.2 + 5.1) / 4)


def test_a_criterion_that_nothing_was_measured_of_is_kept_and_does_not_count():
    values = {COST: {"a": 1.0, "b": 2.0}, SPEED: {"a": [math.nan] * 10, "b": [math.nan] * 10}}
    found = decide(summary(values), document(TWO))
    assert found.criteria["kind"].tolist() == ["best", "missing"]
    assert found.criteria["share"].tolist() == [1.0, 0.0]
    assert found.totals["total"].round(6).tolist() == [1.0, 0.0]


def test_errors_with_a_flag_that_nobody_had_are_none():
    values = {"errors": {"a": 50.0, "b": 70.0}, "requests": {"a": 1000.0, "b": 1000.0}}
    judged = document({"refused": {"metric": "errors:UO", "better": "lower"}})
    found = decide(summary(values), judged)
    assert found.criteria["kind"].tolist() == ["alike"]
    assert found.scores["filled"].tolist() == [0, 0]


def test_if_nothing_was_measured_at_all_that_is_an_error():
    with pytest.raises(ScenarioError, match="nothing was measured of any criterion"):
        decide(summary({"pushes": {"a": 1.0}}), document(TWO))


def test_one_replication_has_no_intervals_and_no_front():
    found = decide(summary({COST: {"a": [1.0], "b": [2.0]}, SPEED: {"a": [1.0], "b": [3.0]}}), document(TWO))
    assert found.totals["total"].tolist() == [1.0, 0.0]
    assert found.totals["half_width"].isna().all()
    assert (found.leaders, found.front, len(found.dominated)) == (("a", "b"), ("a", "b"), 0)


# --- the Pareto front -------------------------------------------------------------------------------------------


def test_who_is_worse_somewhere_and_better_nowhere_is_dominated():
    values = {COST: {"a": 1.0, "b": 2.0, "c": 3.0}, SPEED: {"a": 0.9, "b": 0.1, "c": 0.5}}
    found = decide(summary(values), document(TWO))
    assert found.front == ("a", "b")
    assert found.dominated.to_numpy().tolist() == [["c", "b", ("price", "speed"), (), (), (), ()]]


def test_what_is_the_same_what_agrees_and_what_nobody_can_tell_are_three_things():
    # Of three replications, differences that agree are beyond chance only where they are of money.
    values = {
        COST: {"a": [1.0] * 3, "b": [2.0] * 3},
        SPEED: {"a": [0.3, 0.4, 0.5], "b": [0.5, 0.6, 0.7]},
        "istiod_cpu": {"a": [4.0] * 3, "b": [3.0] * 3},
        STALE: {"a": [0.0] * 3, "b": [0.0] * 3},
        "residency_bytes": {"a": [5.0, 9.0, 1.0], "b": [4.0, 2.0, 8.0]},
    }
    found = decide(summary(values), document({name: {"metric": name, "better": "lower"} for name in values}))
    assert found.dominated.to_dict("records") == [
        {
            "deployment": "b", "by": "a", "better": (COST,), "same": (STALE,), "ahead": (SPEED,),
            "behind": ("istiod_cpu",), "open": ("residency_bytes",),
        }
    ]  # fmt: skip
    ahead = found.scores.set_index(["criterion", "deployment"])["ahead"]
    assert (ahead[SPEED, "a"], ahead[SPEED, "b"], ahead["istiod_cpu", "b"]) == (("b",), (), ("a",))
    assert found.criteria.set_index("criterion")["kind"].to_dict() == {
        COST: "best", SPEED: "steady", "istiod_cpu": "steady", STALE: "alike", "residency_bytes": "open",
    }  # fmt: skip


def test_a_recovery_that_never_came_differs_from_one_that_always_did():
    judged = document({"recovery": {}, "price": {"metric": COST}}, timeline=DOWN, duration="160s", warm_up="10s")
    values = {"time_to_recover": {"a": [0.0] * 3, "b": [math.inf] * 3}, COST: {"a": [1.0] * 3, "b": [2.0] * 3}}
    found = decide(summary(values), judged)
    assert found.criteria.loc[0, "kind"] == "steady"
    assert found.criteria.loc[0, "words"].startswith("differs the same way in each of 3 replications; 6 that agree")
    assert found.dominated["ahead"].tolist() == [("recovery",)]


def test_nobody_of_a_circle_is_dominated_by_another_of_it():
    # By each criterion one is clearly ahead of another, and the third varies too much to be told from either.
    wild = [0.0, 10.0, 1.0, 9.0, 2.0, 8.0, 0.5, 9.5, 1.5, 8.5]
    values = {
        COST: {"a": 1.0, "b": 2.0, "c": wild},
        SPEED: {"a": wild, "b": 1.0, "c": 2.0},
        STALE: {"a": 2.0, "b": wild, "c": 1.0},
    }
    criteria = {"price": {"metric": COST}, "speed": {"metric": SPEED}, "stale": {"metric": STALE}}
    assert decide(summary(values), document(criteria)).front == ("a", "b", "c")


# --- weights ----------------------------------------------------------------------------------------------------


def test_the_weight_at_which_the_winner_changes_is_exact():
    # Scores: a has 1 in price and 0 in speed, b 0 and 1, c 0.4 and 0.8. With price 2 and speed w: a has 2, b has w and
    # c has 0.8 + 0.8 w. So a wins up to w = 1.5, then c up to w = 4, then b.
    values = {COST: {"a": 100.0, "b": 200.0, "c": 160.0}, SPEED: {"a": 2.0, "b": 1.0, "c": 1.2}}
    found = decide(summary(values), document({"price": {"metric": COST, "weight": 2}, "speed": {"metric": SPEED}}))
    own = found.winners[found.winners["criterion"] == "speed"]
    assert own["deployment"].tolist() == ["a", "c", "b"]
    assert own["high"].tolist() == pytest.approx([1.5, 4.0, math.inf], rel=1e-3)
    stays = found.weights.set_index("criterion").loc["speed"]
    assert stays[["low", "high"]].tolist() == pytest.approx([0.0, 1.5], rel=1e-3)
    assert stays[["low_winner", "high_winner"]].tolist() == ["", "c"]
    overtakes = found.overtakes.set_index("deployment")
    assert overtakes["weight"].to_dict() == pytest.approx({"b": 2.0, "c": 1.5}, rel=1e-3)
    assert overtakes["ratio"].to_dict() == pytest.approx({"b": 1.0, "c": 0.75}, rel=1e-3)
    assert set(overtakes["against"]) == {"price"}


def test_between_the_sure_weights_the_winner_is_ahead_beyond_chance():
    noise = np.random.default_rng(3)
    values = {
        COST: {name: (mean + noise.normal(0, 8, 8)).tolist() for name, mean in (("a", 100.0), ("b", 200.0))},
        SPEED: {name: (mean + noise.normal(0, 0.1, 8)).tolist() for name, mean in (("a", 2.0), ("b", 1.0))},
    }
    judged = document({"price": {"metric": COST, "weight": 2}, "speed": {"metric": SPEED}})
    stays = decide(summary(values), judged).weights.set_index("criterion").loc["speed"]
    assert stays["sure_high"] < stays["high"]
    for weight, leaders in ((0.999 * stays["sure_high"], ("a",)), (1.001 * stays["sure_high"], ("a", "b"))):
        assert decide(summary(values), judged, {"speed": weight}).leaders == leaders


# --- properties -------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
LEVELS = st.lists(st.integers(0, 5), min_size=4, max_size=4)
WEIGHTS = st.floats(0.1, 10.0)


def made(levels: Sequence[Sequence[int]], names: Sequence[str] = NAMES) -> pd.DataFrame:
    at = {name: place for place, name in enumerate(NAMES)}
    metrics = (COST, SPEED, STALE)
    return summary(
        {metric: {name: 1.0 + of[at[name]] for name in names} for metric, of in zip(metrics, levels, strict=True)}
    )


def judged_by(weights: Sequence[float]) -> Document:
    metrics = zip((COST, SPEED, STALE), weights, strict=True)
    return document({f"by {metric}": {"metric": metric, "weight": weight} for metric, weight in metrics})


@few
@given(levels=st.tuples(LEVELS, LEVELS, LEVELS), weights=st.tuples(WEIGHTS, WEIGHTS, WEIGHTS), factor=WEIGHTS)
def test_scaling_all_weights_changes_nothing(levels, weights, factor):
    one = decide(made(levels), judged_by(weights))
    other = decide(made(levels), judged_by([factor * weight for weight in weights]))
    assert one.totals["total"].tolist() == pytest.approx(other.totals["total"].tolist(), abs=1e-9)
    assert one.front == other.front
    assert one.criteria["share"].tolist() == pytest.approx(other.criteria["share"].tolist())


@few
@given(levels=st.tuples(LEVELS, LEVELS, LEVELS))
def test_a_deployment_that_is_worst_everywhere_changes_nothing_among_the_others(levels):
    worst = [[*of[:3], 9] for of in levels]
    without = decide(made(worst, NAMES[:3]), judged_by((1, 1, 1)))
    with_it = decide(made(worst), judged_by((1, 1, 1)))
    assert with_it.front == without.front


@pytest.mark.slow
@few
@given(levels=st.tuples(LEVELS, LEVELS, LEVELS), order=st.permutations(NAMES), weights=st.tuples(*[WEIGHTS] * 3))
def test_the_order_of_deployments_changes_nothing(levels, order, weights):
    one = decide(made(levels), judged_by(weights))
    other = decide(made(levels, order), judged_by(weights))
    totals = one.totals.set_index("deployment")["total"].to_dict()
    assert totals == pytest.approx(other.totals.set_index("deployment")["total"].to_dict())
    assert set(one.front) == set(other.front)
    assert set(one.leaders) == set(other.leaders)


@pytest.mark.slow
@few
@given(levels=st.tuples(LEVELS, LEVELS, LEVELS), weights=st.tuples(WEIGHTS, WEIGHTS, WEIGHTS), new=WEIGHTS)
def test_who_is_said_to_win_at_another_weight_does(levels, weights, new):
    frame, judged = made(levels), judged_by(weights)
    found = decide(frame, judged)
    own = found.winners[found.winners["criterion"] == f"by {SPEED}"]
    said = next(row.deployment for row in own.itertuples() if row.low <= new <= row.high)
    then = decide(frame, judged, {f"by {SPEED}": new}).totals.set_index("deployment")["total"]
    assert then[said] == pytest.approx(then.max(), abs=1e-9)
