from __future__ import annotations

import json
import math
from dataclasses import replace

from meshsim.analysis.expectations import Result
from meshsim.report.expectations import frame, lines, to_json
from meshsim.scenario.schema_expect import Expectation

HELD = Result(0, "hybrid", "during", "success_rate", "all", 0.8, math.nan, 0.9, 0.02, 5, 0, True, True, "")
BROKEN = replace(HELD, at_least=0.99, holds=False, sure=False)
EXPECTED = [Expectation(metric="success_rate", phase="during", at_least=0.8)]


def said(result: Result) -> str:
    [line, _] = lines([result], EXPECTED)
    return line


def test_what_does_not_hold_says_what_was_found_and_what_was_wanted():
    assert said(BROKEN) == "expect[0] does not hold: hybrid, during: success rate is 90 ± 2 %, not at least 99 %"
    both = replace(BROKEN, metric="latency_p99", flow="local", phase="all", at_least=0.01, at_most=0.25, why="SLO 3")
    assert said(both) == (
        "expect[0] does not hold: hybrid, whole run: latency p99, local, is 900 ± 20 ms, "
        "not at least 10 ms and at most 250 ms (SLO 3)"
    )


def test_what_was_not_observed_or_never_ended_is_said_in_words():
    assert "success rate has no value, as nothing was observed, not" in said(replace(BROKEN, n=0, mean=math.nan))
    never = replace(BROKEN, metric="time_to_recover", mean=math.inf, at_least=math.nan, at_most=60.0, phase="all")
    assert "time to recover does not end within the run in every replication, not at most 1m" in said(never)
    assert "is 90 ± 2 % (3/5), not" in said(replace(BROKEN, n=3, missing=2))


def test_a_percentile_of_too_few_requests_has_a_note_and_no_interval():
    few = replace(HELD, metric="latency_p99", at_most=1.0, at_least=math.nan, sure=False, requests_needed=1000)
    note = (
        "note: expect[0] is not sure: hybrid, during: latency p99 needs 1,000 requests in each replication, "
        "and there are fewer"
    )
    assert lines([few], EXPECTED)[0] == note
    broken, said_too, _ = lines([replace(few, mean=2.0, holds=False)], EXPECTED)
    assert broken.endswith("latency p99 is 2 s of too few requests, not at most 1 s")
    assert said_too == note


def test_what_holds_is_counted_and_what_holds_by_chance_perhaps_too():
    assert lines([HELD, HELD], EXPECTED) == ["2 of 2 expectations hold"]
    counted = lines([HELD, replace(HELD, sure=False), BROKEN], EXPECTED)[-1]
    assert counted.startswith("2 of 3 expectations hold, 1 of them on average only")


def test_what_was_not_run_is_not_tested():
    expected = [*EXPECTED, Expectation(metric="pushes", at_least=1, deployment="external")]
    assert lines([HELD], expected)[0] == "expect[1] is not tested: no deployment 'external' was run"


def test_results_are_rows_and_json():
    assert frame([HELD, BROKEN])["holds"].tolist() == [True, False]
    assert "<table" in frame([HELD])._repr_html_()
    [data] = json.loads(json.dumps(to_json([replace(HELD, mean=math.inf)]), allow_nan=False))
    assert (data["mean"], data["at_least"], data["at_most"], data["holds"]) == (None, 0.8, None, True)
