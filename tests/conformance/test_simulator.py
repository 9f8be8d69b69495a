"""The simulator does what a real Envoy was recorded to do, on the project's own points and on those beside it."""

import functools

import pytest

from tests.conformance import score
from tests.conformance.cases import SHARED, cases
from tests.conformance.limitations import is_known

OWN = {point.name: (point, record) for point, record in score.own()}
BESIDE = {point.name: (point, record) for point, record in score.shared()}


@functools.cache
def arm():
    from tests.conformance import simulator_arm

    return simulator_arm.run


def holds(point, record):
    """Every outcome agrees, or the limitation that keeps it from it is written down."""
    found = score.score(point, record, arm())
    surprises = [verdict for verdict in found.differing if not is_known(point.name, verdict.outcome)]
    assert not surprises, "\n" + score.explain([score.Score(point, tuple(surprises))])


def test_every_own_point_has_a_record():
    missing = [point.name for case in cases() for point in case.points if point.name not in OWN]
    assert not missing, "run `make conformance`"


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_simulator_agrees_with_the_project_s_record(name):
    holds(*OWN[name])


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the measurements beside the project are not here")
@pytest.mark.parametrize("name", BESIDE)
def test_simulator_agrees_with_the_page_beside_the_project(name):
    holds(*BESIDE[name])
