"""Columns of words by number, and arrays in as little memory as their numbers need."""

from __future__ import annotations

import numpy as np
import pytest

from meshsim.errors import ResultsError
from meshsim.results.frames import frame
from meshsim.results.words import Words, narrow


def test_words_are_as_narrow_as_their_vocabulary_allows():
    many = [f"s{number}" for number in range(300)]
    assert Words(np.array([0, 1]), ["a", "b"]).codes.itemsize == 1
    assert (Words(np.array([0, -1]), many).codes.itemsize, Words(np.array([-1]), many)[0]) == (2, "s299")


def test_words_compare_row_by_row():
    words = Words(np.array([0, 1, 2]), ["ok", "error", "ok"])
    assert (words == "ok").tolist() == [True, False, True]
    assert (words != "ok").tolist() == [False, True, False]
    assert (words == Words(np.array([0, 0, 0]), ["ok"])).tolist() == [True, False, True]


def test_words_become_the_same_column_as_a_list_of_them():
    codes = np.array([1, 0, 1])
    given = {"deployment": Words.same("hybrid", 3), "replication": [0] * 3, "subject": Words(codes, ["web", "web"])}
    found = frame("totals", {**given, "quantity": Words(codes, ["", "µ"]), "value": narrow(np.ones(3))})
    plain = {"deployment": ["hybrid"] * 3, "replication": [0] * 3, "subject": ["web"] * 3}
    expected = frame("totals", {**plain, "quantity": ["µ", "", "µ"], "value": [1.0] * 3})
    assert found.equals(expected)
    assert (found.dtypes == expected.dtypes).all()


def test_a_vocabulary_of_other_things_than_words_is_refused():
    given = {"deployment": Words(np.array([0]), [3]), "replication": [0], "quantity": [""], "subject": [""]}
    with pytest.raises(ResultsError, match="column 'deployment'"):
        frame("totals", {**given, "value": [1.0]})


@pytest.mark.parametrize("values", [[0, 255], [0, 256], [-1, 200], [1 << 62, -5], [7, 7], [0.1, 1e300], [0.0, -0.0]])
def test_narrow_numbers_are_the_same_to_the_last_bit(values):
    given = np.array(values)
    assert narrow(given).astype(given.dtype).tobytes() == given.tobytes()
