from __future__ import annotations

import math

from meshsim.analysis.comparison import compare
from meshsim.analysis.verdicts import verdicts
from tests.analysis.test_comparison import summary_of


def said(**metrics):
    return [(found.kind, found.words) for found in verdicts(compare(summary_of(**metrics)))]


def test_one_that_beats_all_others_is_named():
    values = {"a": [3.0, 3.1, 3.2], "b": [1.0, 1.1, 1.2], "c": [2.0, 2.1, 2.2]}
    assert said(latency_p99=values) == [("best", "b better than every other")]


def test_those_that_beat_some_are_named_together():
    values = {"a": [3.0, 3.1, 3.2], "b": [1.0, 1.1, 1.2], "c": [1.0, 1.1, 1.2]}
    assert said(latency_p99=values) == [("order", "b and c better than a")]


def test_noise_is_not_distinguishable_and_that_is_said_in_so_many_words():
    values = {"a": [1.0, 2.0, 3.0], "b": [2.0, 1.5, 3.2]}
    assert said(latency_p99=values) == [("open", "not distinguishable with these 3 replications")]


def test_what_differs_by_the_same_each_time_is_neither_open_nor_decided():
    values = {"a": [1.0] * 5, "b": [1.0] * 5, "c": [0.0] * 5}
    words = "differs the same way in each of 5 replications; 7 that agree would rule chance out"
    assert said(time_to_recover=values) == [("steady", words)]
    noisy = {**values, "d": [0.0, 1.0, 2.0, 0.0, 0.5]}
    [(kind, words)] = said(time_to_recover=noisy)
    assert kind == "steady"
    assert words.startswith("a, b and c differ the same way in each of 5 replications; 8 that")
    assert words.endswith("nothing else is distinguishable")


def test_enough_replications_that_agree_decide():
    assert said(time_to_recover={"a": [1.0] * 6, "b": [0.0] * 6}) == [("best", "b better than a")]


def test_what_is_the_same_in_every_replication_is_more_than_not_distinguishable():
    assert said(latency_p99={"a": [1.0, 2.0], "b": [1.0, 2.0]}) == [("alike", "the same in every replication")]


def test_one_replication_has_no_verdict():
    [(kind, words)] = said(latency_p99={"a": [1.0], "b": [2.0]})
    assert kind == "unknown"
    assert "one replication cannot" in words


def test_too_few_requests_are_no_verdict():
    values = {"a": [1.0, 1.1, 1.2], "b": [9.0, 9.1, 9.2]}
    [(kind, words)] = said(requests={"a": [800] * 3, "b": [800] * 3}, latency_p99=values)[:1]
    assert (kind, words) == ("unknown", "too few requests: 1,000 in each replication are needed")


def test_how_many_more_replications_it_takes_is_said():
    [found] = verdicts(compare(summary_of(latency_p99={"a": [0.9, 1.0, 1.1]})))
    assert (found.kind, found.more) == ("alone", 15)


def test_a_metric_that_is_zero_everywhere_has_no_verdict_but_errors_and_recoveries_have():
    zeros = {"a": [0.0, 0.0], "b": [0.0, 0.0]}
    found = verdicts(compare(summary_of(stale_share=zeros, time_to_recover=zeros, success_rate=zeros)))
    assert [verdict.metric for verdict in found] == ["success_rate", "time_to_recover"]


def test_whoever_never_recovered_is_named_in_the_verdict():
    never = [math.inf] * 6
    some = {"a": [10.0, 12.0, 11.0, 9.0, math.inf, math.inf], "b": [60.0] * 6}
    words = "not distinguishable with these 6 replications; never recovered: a in 2 of 6"
    assert said(time_to_recover=some) == [("open", words)]
    assert said(time_to_recover={"a": never, "b": [60.0] * 6}) == [
        ("best", "b better than a; never recovered: a in 6 of 6")
    ]
    words = "the same in every replication; never recovered: a in 6 of 6, b in 6 of 6"
    assert said(time_to_recover={"a": never, "b": never}) == [("alike", words)]
    [(kind, words)] = said(time_to_recover={"a": never[:5], "b": [0.0] * 5})
    assert kind == "steady"
    assert words.endswith("in each of 5 replications; 6 that agree would rule chance out; never recovered: a in 5 of 5")
