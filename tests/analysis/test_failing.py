"""What is low because requests failed is no merit: not in a comparison, not in a verdict, not in a score."""

from __future__ import annotations

import pytest

from meshsim.analysis.comparison import compare, differences
from meshsim.analysis.decision import decide
from meshsim.analysis.failing import spared
from meshsim.analysis.metrics import METRICS
from meshsim.analysis.verdicts import verdicts
from meshsim.report.decision_words import notes
from tests.analysis.test_comparison import row_of, summary_of
from tests.analysis.test_decision import document, scores

OK, DOWN = [0.999, 1.0, 0.998, 0.999, 1.0], [0.001, 0.002, 0.0, 0.001, 0.001]
SLOW, FAST = [0.10, 0.11, 0.10, 0.12, 0.10], [0.001, 0.0011, 0.001, 0.0012, 0.001]
MESS = [0.60, 0.61, 0.60, 0.65, 0.60]


def test_only_metrics_that_are_better_if_lower_are_spared_by_failures():
    assert {METRICS[name].better for name in METRICS if spared(name)} == {"lower"}


def test_a_deployment_that_fails_fast_is_not_better():
    table = compare(summary_of(success_rate={"a": OK, "b": DOWN}, latency_p50={"a": SLOW, "b": FAST}))
    failing, fine = (row_of(table, name, "latency_p50") for name in "ba")
    assert (failing["beats"], failing["discounted"], failing["verdict"]) == ((), ("a",), "not judged")
    assert (fine["beats"], bool(fine["failing"]), bool(failing["failing"])) == ((), False, True)
    assert row_of(table, "a", "success_rate")["beats"] == ("b",)


def test_one_that_fails_slowly_is_worse_all_the_same():
    table = compare(summary_of(success_rate={"a": OK, "b": DOWN}, latency_p50={"a": SLOW, "b": MESS}))
    assert row_of(table, "a", "latency_p50")["beats"] == ("b",)


def test_most_requests_answered_are_enough_to_be_judged():
    mild = [0.92, 0.93, 0.91, 0.92, 0.93]
    table = compare(summary_of(success_rate={"a": OK, "b": mild}, latency_p50={"a": SLOW, "b": FAST}))
    assert row_of(table, "b", "latency_p50")["beats"] == ("a",)


def test_bytes_that_failed_requests_never_sent_are_no_merit_either():
    table = compare(summary_of(success_rate={"a": OK, "b": DOWN}, cross_region_bytes={"a": SLOW, "b": FAST}))
    assert row_of(table, "b", "cross_region_bytes")["discounted"] == ("a",)


def test_the_paired_difference_is_told_and_not_judged():
    found = differences(summary_of(success_rate={"a": OK, "b": DOWN}, latency_p50={"a": SLOW, "b": FAST}))
    row = found[found["metric"] == "latency_p50"].iloc[0]
    assert (row["verdict"], row["difference"] < -0.09) == ("not judged", True)


def test_the_verdict_names_who_is_not_judged():
    summary = summary_of(
        success_rate={"a": OK, "b": DOWN, "c": OK}, latency_p50={"a": SLOW, "b": FAST, "c": [2 * one for one in SLOW]}
    )
    found = next(one for one in verdicts(compare(summary)) if one.metric == "latency_p50")
    assert found.kind == "order"
    assert found.words == (
        "a better than c; b not judged better: fewer than 90 % of the requests succeeded, and failures make this"
        " number small"
    )
    two = summary_of(success_rate={"a": OK, "b": DOWN}, latency_p50={"a": SLOW, "b": FAST})
    assert next(one for one in verdicts(compare(two)) if one.metric == "latency_p50").kind == "failing"


@pytest.mark.parametrize("anchored", [False, True])
def test_a_deployment_that_fails_fast_scores_as_the_worst_and_that_is_told(anchored):
    scale = {"best": "0s", "worst": "500ms"} if anchored else {}
    values = {"a": SLOW, "b": FAST, "c": [3 * one for one in SLOW]}
    summary = summary_of(success_rate={"a": OK, "b": DOWN, "c": OK}, latency_mean=values)
    found = decide(summary, document({"speed": {"metric": "latency_mean", **scale}}))
    assert scores(found, "speed")[1] == 0.0
    assert found.winner == "a"
    told = "500 ms" if anchored else "360 ms"
    assert (
        "speed: under b fewer than 90 % of the requests succeeded, so that this says little of those that did; it"
        f" counts as the worst seen: {told}" in notes(found)
    )


def test_where_all_fail_no_latency_is_a_merit():
    summary = summary_of(success_rate={"a": DOWN, "b": DOWN}, latency_mean={"a": SLOW, "b": FAST})
    found = decide(summary, document({"speed": {"metric": "latency_mean"}}))
    assert scores(found, "speed") == [1.0, 1.0]
    assert len([note for note in notes(found) if "fewer than 90 %" in note]) == 2
