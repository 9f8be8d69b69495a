"""What a scenario may say of criteria, and what is shipped."""

from __future__ import annotations

import pytest

import meshsim
from meshsim.analysis.criteria import criteria, shipped
from meshsim.analysis.metrics import METRICS
from meshsim.errors import ScenarioError
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document


def problems(**written: object) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        meshsim.load({**EXAMPLE, "decision": {"criteria": written}})
    return [
        f"{problem.path}: {problem.message}".removeprefix("decision.criteria.") for problem in raised.value.problems
    ]


def test_all_that_is_wrong_is_told_at_once():
    found = problems(
        up={"metric": "succes_rate"},
        late={"metric": "latency_p99 in during"},
        cost={"best": "1s", "worst": "2s"},
        other={},
        pushed={"metric": "pushes"},
        high={"metric": "success_rate", "best": 99.9, "worst": 0.9},
        odd={"metric": "success_rate", "better": "lower"},
    )
    beginnings = (
        "up.metric: unknown metric 'succes_rate'; did you mean 'success_rate'?",
        "late.metric: the scenario has no phase 'during' (one of all)",
        "cost.best: has the wrong unit for cost, which is USD for a month like this: all of these",
        "cost.worst: has the wrong unit for cost",
        "other: missing field 'metric', as no shipped criterion has this name",
        "pushed: better is missing: neither way of pushes is better by itself; write lower or higher, or best and",
        "high.best: success_rate lies between 0 and 1, which 99.9 does not; write 99.9%",
        "odd.better: cannot be both higher (success_rate) and lower (better)",
    )
    assert len(found) == len(beginnings)
    for said, begins in zip(found, beginnings, strict=True):
        assert said.startswith(begins)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"weight": 0}, "cost.weight: 0 is too small; it must be above 0"),
        ({"weight": -1}, "cost.weight: -1 is too small; it must be above 0"),
        ({"best": 5}, "cost: has best and no worst; give both, or neither to take those of the results"),
        ({"best": 5, "worst": 5}, "cost: best and worst are both 5"),
        ({"wieght": 1}, "cost: unknown field 'wieght'; did you mean 'weight'?"),
    ],
)
def test_a_criterion_that_means_nothing_is_refused(written, message):
    assert problems(cost=written)[0].startswith(message)


def test_a_shipped_criterion_may_be_given_by_its_name_alone():
    document = Document.model_validate(
        {**EXAMPLE, "decision": {"criteria": {"control planes": {}, "cost": {"weight": 2}}}}
    )
    assert [(one.name, str(one.wanted), one.weight, one.better) for one in criteria(document)] == [
        ("control planes", "control_planes", 1.0, "lower"),
        ("cost", "cost", 2.0, "lower"),
    ]


def test_best_and_worst_say_which_way_is_better():
    written = {"busy": {"metric": "utilisation", "best": "60%", "worst": "10%"}}
    assert criteria(Document.model_validate({**EXAMPLE, "decision": {"criteria": written}}))[0].better == "higher"


def test_shipped_criteria_name_metrics_that_have_a_way_and_all_count_the_same():
    document = meshsim.load("online-boutique-primary-outage").document
    found = criteria(document)
    assert [one.name for one in found] == list(shipped(document))
    assert {one.weight for one in found} == {1.0}
    assert {one.wanted.metric for one in found} <= set(METRICS)
    assert {"availability": "success_rate in during", "latency": "latency_p99 in before"}.items() <= {
        one.name: str(one.wanted) for one in found
    }.items()


def test_residency_and_security_are_judged_where_something_is_tagged():
    clusters = {"eu-1": {"region": "eu", "security_domain": "shop", "data_residency": ["eu"]}}
    tagged = shipped(Document.model_validate({**EXAMPLE, "clusters": clusters}))
    assert {"data residency", "security isolation"} <= set(tagged)
    assert not {"data residency", "security isolation", "recovery"} & set(shipped(Document.model_validate(EXAMPLE)))


def test_weights_of_unknown_criteria_and_no_weights_are_refused_at_once():
    with pytest.raises(ScenarioError) as raised:
        criteria(Document.model_validate(EXAMPLE), {"kost": 2.0, "cost": 0.0, "latency": float("nan")})
    assert [str(problem).split(" (one of")[0] for problem in raised.value.problems] == [
        "--weight: unknown criterion 'kost'; did you mean 'cost'?",
        "--weight: cost=0 is no weight; it must be above 0",
        "--weight: latency=nan is no weight; it must be above 0",
    ]


def test_a_decision_survives_being_resolved():
    written = {"speed": {"metric": "latency_p99", "best": "100ms", "worst": "1s", "weight": 2}}
    scenario = meshsim.load({**EXAMPLE, "decision": {"criteria": written}})
    assert meshsim.load(scenario.resolved()).hash == scenario.hash
