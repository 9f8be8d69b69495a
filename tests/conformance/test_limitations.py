"""Limitations are written down for points and outcomes that exist."""

from fnmatch import fnmatchcase

from tests.conformance.cases import SHARED, cases
from tests.conformance.limitations import LIMITATIONS


def test_every_limitation_is_of_a_point_that_exists():
    known = [point for case in cases() for point in case.points]
    if SHARED.exists():
        known += [point for case in cases(SHARED / "cases") for point in case.points]
    for points, _, reason in LIMITATIONS:
        assert reason
        assert not SHARED.exists() or any(fnmatchcase(point.name, points) for point in known), points
