"""What `make check` leaves to `make test`."""

from __future__ import annotations

import pytest

from tests.conftest import pytest_collection_modifyitems


class Case:
    """As much of a test's case as is looked at."""

    parent = "tests/test_some.py"

    def __init__(self, name: str, *marks: pytest.MarkDecorator) -> None:
        self.originalname = name
        self.marks = [mark.mark for mark in marks]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark for mark in self.marks if mark.name == name), None)

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.mark)


def test_of_a_sample_so_many_cases_stay_fast_spread_over_all():
    family = [Case("a", pytest.mark.sample(3)) for _ in range(9)]
    small = [Case("b", pytest.mark.sample(3)) for _ in range(2)]
    other = Case("c")
    pytest_collection_modifyitems([*family, other, *small])
    fast = [case.get_closest_marker("slow") is None for case in family]
    assert fast == [True, False, False] * 3
    assert not any(case.get_closest_marker("slow") for case in [other, *small])
