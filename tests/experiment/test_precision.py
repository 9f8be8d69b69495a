"""Replications until the numbers are known well enough."""

from __future__ import annotations

import pytest

import meshsim
from meshsim.errors import ScenarioError
from meshsim.experiment import Precision
from meshsim.experiment.precision import LEAST, Sequential, settled
from tests.test_api import TINY


def test_narrow_intervals_have_to_stay_narrow():
    assert settled([False, False, True, True, True, True, True, True], 5) == 3
    assert settled([False, False, True, True, False, True, True, True], 5) is None


def test_the_first_replications_do_not_count_however_well_they_agree():
    assert settled([True] * 7, 5) is None
    assert settled([True] * 8, 5) == LEAST


def test_beyond_a_hundred_replications_more_have_to_follow():
    late = [False] * 199 + [True] * 11
    assert settled(late[:-1], 5) is None
    assert settled(late, 5) == 200


def test_everything_that_is_wrong_with_a_precision_is_said_at_once():
    with pytest.raises(ScenarioError) as caught:
        Precision(0.0, max_replications=1, budget=0.0)
    assert [problem.file for problem in caught.value.problems] == ["--precision", "--max-replications", "--budget"]


@pytest.fixture(scope="module")
def scenario() -> meshsim.Scenario:
    return meshsim.load(TINY)


def test_replications_go_on_until_the_numbers_are_known(scenario: meshsim.Scenario):
    report = meshsim.run(scenario, "multi-primary", precision=0.3).manifest["precision"]
    assert report["stopped_by"] == "precision"
    assert report["missing"] == []
    assert report["settled_with"] + report["look_ahead"] <= report["replications"]


@pytest.mark.slow
def test_the_largest_number_ends_it_and_what_is_missing_is_told(scenario: meshsim.Scenario):
    wanted = Precision(0.0001, max_replications=4)
    found = meshsim.compare(scenario, ["multi-primary", "hybrid"], precision=wanted)
    report = found.manifest["precision"]
    assert (report["stopped_by"], report["replications"]) == ("max_replications", 4)
    assert found.manifest["replications"] == {"asked": 4, "finished": 4}
    assert {lack["metric"] for lack in report["missing"]} >= {"latency_p50"}
    assert all(lack["half_width"] > lack["wanted"] for lack in report["missing"])


@pytest.mark.slow
def test_the_number_does_not_depend_on_how_many_processes_there_are(scenario: meshsim.Scenario):
    one, two = (meshsim.run(scenario, "hybrid", precision=0.1, jobs=jobs) for jobs in (1, 2))
    assert one.manifest["precision"] == two.manifest["precision"]
    assert one.tables["requests"].equals(two.tables["requests"])


class Clock:
    """A clock that is ten seconds later each time somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10.0
        return self.now


@pytest.mark.slow
def test_a_budget_ends_it_before_it_is_overdrawn(scenario: meshsim.Scenario):
    from meshsim.analysis.phases import phases

    tables = meshsim.run(scenario, "hybrid", replications=3).tables
    three = [{name: t[t["replication"] == number] for name, t in tables.items()} for number in range(3)]
    look = Sequential(Precision(0.0001, budget=25.0), phases(scenario.document), Clock())
    assert look.first() == LEAST
    # Ten seconds for three: there is time for four more, and it takes no more than double at once.
    assert look.more(three) == 3
    assert look.more(three) == 1
    assert look.more(three[:1]) == 0
    assert look.report()["stopped_by"] == "budget"


def test_what_a_study_has_to_report_is_in_the_manifest(scenario: meshsim.Scenario):
    found = meshsim.run(scenario, "hybrid", replications=1).manifest["stress"]
    assert len(found) == 20
    assert found["1.3 aims of experimentation"]["reference"] == "hybrid"
    assert found["2.3 differences between the scenarios"]["hybrid"][0]["serves"]
    assert found["4.1 initialisation"]["warm_up"] == "1s"
    assert set(found["1.2 outputs"]) >= {"success_rate", "latency_p99"}


def test_the_command_line_says_everything_that_is_wrong_at_once():
    from meshsim.cli_shared import how_many

    with pytest.raises(ScenarioError) as caught:
        how_many(3, "5", None, "soon")
    assert str(caught.value).splitlines() == [
        "--precision: '5' is not a fraction; write it like 20% or 0.2",
        "--budget: 'soon' is not a duration; write it like 250ms, 10s or 1m30s",
        "--replications: the number follows from --precision; limit it with --max-replications",
    ]


def test_a_budget_without_a_precision_is_a_mistake():
    from meshsim.cli_shared import how_many

    with pytest.raises(ScenarioError, match="--budget: is the time that --precision may take"):
        how_many(None, None, None, "10m")


def test_a_limit_without_a_precision_is_a_mistake():
    from meshsim.cli_shared import how_many

    with pytest.raises(ScenarioError, match="--max-replications: is the most that --precision may run"):
        how_many(3, None, 5, None)


def test_the_command_line_asks_for_a_number_or_a_precision():
    from meshsim.cli_shared import how_many

    assert how_many(3, None, None, None) == 3
    assert how_many(None, None, None, None) is None
    assert how_many(None, "5%", None, None) == Precision(0.05)
    assert how_many(None, "5%", 50, "10m") == Precision(0.05, max_replications=50, budget=600.0)
