from __future__ import annotations

import math

from meshsim.analysis.comparison import compare
from meshsim.analysis.decision import decide
from meshsim.analysis.unbilled import pods_apart
from meshsim.report.decision_words import notes
from tests.analysis.test_comparison import summary_of
from tests.analysis.test_decision import COST, SPEED, document

PODS = {"a": [8.0] * 3, "b": [12.0] * 3}
PRICES = {"a": [1.0, 1.1, 1.2], "b": [2.0, 2.1, 2.2]}


def test_pods_that_are_about_the_same_for_all_are_not_told():
    summary = summary_of(desired_pods={"a": [100.0, 100.0], "b": [100.0, 100.5]})
    assert pods_apart(summary, "all") == pods_apart(compare(summary), "all") == {}


def test_runs_and_their_means_tell_the_same():
    summary = summary_of(desired_pods=PODS)
    assert pods_apart(summary, "all") == pods_apart(compare(summary), "all") == {"a": 8.0, "b": 12.0}


def test_a_deployment_that_was_not_measured_does_not_hide_how_others_differ():
    summary = summary_of(desired_pods={"x": [math.nan] * 3, **PODS})
    assert pods_apart(summary, "all") == {"a": 8.0, "b": 12.0}
    assert pods_apart(summary[summary["deployment"].isin(["x", "a"])], "all") == {}
    assert pods_apart(summary[summary["deployment"] == "x"], "all") == {}


def test_a_decision_by_cost_says_that_the_services_pods_are_not_in_it():
    summary = summary_of(desired_pods=PODS, cost=PRICES, latency_mean=PRICES)
    said = "for 8 (a) and 12 (b) of them"
    assert any(said in note for note in notes(decide(summary, document({"price": {"metric": COST}}))))
    assert not any(said in note for note in notes(decide(summary, document({"speed": {"metric": SPEED}}))))
