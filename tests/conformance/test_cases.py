"""Case files: one language for the project's own cases and those beside it."""

import pytest

from tests.conformance.cases import OWN, SHARED, cases, load_case, point

SPEC = {"endpoints": [{"count": 2}], "load": {"arrivals": "paced", "rate": 1, "n": 1}}


def test_own_cases_cover_forty_mechanisms():
    found = cases(OWN)
    assert len(found) >= 40
    assert all(case.points for case in found)


def test_shared_cases_are_read_too():
    if not SHARED.exists():
        pytest.skip("the measurements beside the project are not here")
    found = cases(SHARED / "cases")
    assert len(found) == 40
    assert sum(len(case.points) for case in found) == 184


def test_point_is_laid_over_the_base_and_null_takes_away(tmp_path):
    (tmp_path / "a.yaml").write_text(
        """
        {name: a, title: A, outcomes: [ok],
         base: {endpoints: [{count: 2}], load: {arrivals: paced, rate: 1, n: 1},
                policy: {route: {timeout: 1s, retry_policy: {num_retries: 1}}}},
         points: [{id: p, set: {policy: {route: {retry_policy: null}}}}]}
        """
    )
    (found,) = load_case(tmp_path / "a.yaml").points
    assert found.policy == {"route": {"timeout": "1s"}}


def test_groups_become_endpoints_with_labels_by_priority():
    groups = [{"count": 2, "service_ms": 20}, {"priority": 1}, {"label": "bad", "fail": [{"status": 503, "prob": 0.5}]}]
    found = point("c", "p", SPEC | {"endpoints": groups}, (), 1).endpoints
    assert [each.name for each in found] == ["e0", "e1", "e2", "e3"]
    assert [each.label for each in found] == ["P0", "P0", "P1", "bad"]
    assert found[0].service == pytest.approx(0.02)
    assert found[3].fail[0].status == 503


def test_field_that_nothing_would_read_is_an_error():
    with pytest.raises(ValueError, match=r"c/p: endpoints: unknown field wieght \(one of absent"):
        point("c", "p", SPEC | {"endpoints": [{"wieght": 1}]}, (), 1)
