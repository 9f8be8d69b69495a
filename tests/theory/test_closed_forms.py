"""The simulator against queueing theory: every case of `meshsim verify` with another seed."""

from __future__ import annotations

import pytest

from meshsim.verify import CONFIDENCE, check
from meshsim.verify.cases import Case, cases

SEED = 20
#: A second of work each; the others are left to `make test`.
FAST = {"two calls at once", "perTryTimeout and two retries"}
CLAIMS = sum(len(case.claims) for case in cases())


def parameters() -> list:
    marks = {True: (), False: (pytest.mark.slow,)}
    return [pytest.param(case, id=case.name, marks=marks[case.name in FAST]) for case in cases()]


@pytest.mark.sample(1)
@pytest.mark.parametrize("case", parameters())
def test_the_simulator_agrees_with_theory(case: Case):
    for found in check(case, confidence=1.0 - (1.0 - CONFIDENCE) / CLAIMS, seed=SEED):
        assert found.passed, (
            f"{found.name}, {found.what}: {found.estimate:.6g} ± {found.half_width:.2g}, exactly {found.exact:.6g}, "
            f"seed {SEED}"
        )


def test_fast_cases_exist():
    assert {case.name for case in cases()} >= FAST
