"""What `meshsim verify` reports, and that it can say no."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from meshsim import verify
from meshsim.scenario import load
from meshsim.verify import Check, cases

FAST = next(case for case in cases() if case.name == "two calls at once")
GOOD = Check("M/M/1", "mean response, s", 0.05, 0.0501, 0.0004, passed=True)
LAW = Check("mesh, hybrid", "Little's law", 7.0, 7.0, 0.0, passed=True)


def test_every_case_is_a_scenario_and_has_a_name_of_its_own():
    known = cases()
    assert len({case.name for case in known}) == len(known)
    for case in known:
        assert load(case.scenario).warnings == ()
        assert all(claim.exact > 0 for claim in case.claims)


def test_a_claim_that_is_true_passes_and_one_that_is_a_little_off_fails():
    (claim,) = FAST.claims
    found, wrong = verify.check(replace(FAST, claims=(claim, replace(claim, exact=claim.exact * 1.04))))
    assert found.passed
    assert found.half_width < 0.05 * found.exact
    assert not wrong.passed
    assert wrong.estimate == found.estimate


@pytest.mark.slow
def test_an_interval_that_is_too_wide_proves_nothing():
    short = replace(FAST, scenario={**FAST.scenario, "duration": "51s"})
    (found,) = verify.check(short)
    assert found.half_width > verify.WIDEST * found.exact
    assert not found.passed


@pytest.mark.slow
def test_another_seed_gives_another_estimate():
    one, other = (verify.check(FAST, seed=seed, replications=2)[0] for seed in (1, 2))
    assert one.estimate != other.estimate


def test_laws_are_checked_under_every_deployment():
    found = list(verify.check_laws("helloworld-locality-failover"))
    assert {check.name.split(", ")[1] for check in found} == {"multi-primary", "primary-remote", "hybrid"}
    assert all(check.passed for check in found)


def test_the_table_shows_each_number_and_counts_the_laws():
    broken = Check("mesh, hybrid", "Little's law", 7.0, 8.0, 0.0, passed=False)
    text = verify.table([GOOD, LAW, LAW, broken])
    assert "M/M/1         mean response, s  0.05   0.0501 ± 0.0004  ok" in text
    assert "mesh, hybrid  Little's law      7      8                FAILED" in text
    assert "mesh, hybrid  2 laws" in text
    assert text.endswith("3 of 4 checks passed")


def test_the_json_says_whether_all_passed():
    described = json.loads(json.dumps(verify.to_json([GOOD, LAW])))
    assert described["passed"] is True
    assert described["checks"][0]["estimate"] == 0.0501
    assert verify.to_json([replace(GOOD, passed=False)])["passed"] is False


@pytest.mark.slow
def test_everything_is_verified_and_the_watcher_is_told():
    told: list[tuple[int, int, str]] = []
    checks = verify.verify(lambda done, total, name: told.append((done, total, name)))
    assert [check for check in checks if not check.passed] == []
    assert [done for done, _, _ in told] == list(range(told[0][1]))
    assert {"M/M/1", "M/M/4", "M/D/1", "M/G/1 lognormal", "tandem of three"} <= {check.name for check in checks}
