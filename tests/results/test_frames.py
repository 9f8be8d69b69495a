from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from meshsim.errors import ResultsError
from meshsim.results.frames import concatenate, frame
from meshsim.results.tables import TABLES

TOTALS = {
    "deployment": ["hybrid", "hybrid"],
    "replication": [0, 1],
    "quantity": ["arrivals", "arrivals"],
    "subject": ["", "cart"],
    "value": [1.5, 2],
}


def test_columns_come_in_the_order_and_types_of_the_tables():
    shuffled = dict(reversed(TOTALS.items()))
    table = frame("totals", shuffled)
    assert list(table.columns) == [column.name for column in TABLES["totals"]]
    assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES["totals"]]
    assert table["value"].tolist() == [1.5, 2.0]


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_has_the_types_of_a_full_one(name):
    table = frame(name, {column.name: [] for column in TABLES[name]})
    assert len(table) == 0
    assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES[name]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valu": [1.0, 2.0]}, "table 'totals' has no column 'valu'; did you mean 'value'?"),
        ({"subject": None}, "table 'totals' lacks its column 'subject'"),
        ({"value": [1.0]}, "the columns of table 'totals' differ in length: [1, 2]"),
        (
            {"replication": [0, 0.5]},
            "column 'replication' (replication number, from 0): 0.5 is not a whole",
        ),
        ({"replication": [0, float("nan")]}, "nan is not a whole number"),
        ({"replication": ["0", "1"]}, "'0' is not a whole number"),
        ({"value": ["fast", "slow"]}, "'fast' is not a number"),
        ({"subject": ["", 7]}, "7 is not a word"),
        ({"subject": [1, 2]}, "1 is not a word"),
        ({"subject": ["", None]}, "nan is not a word"),
    ],
)
def test_what_does_not_fit_a_table_is_named(change, message):
    columns = {name: values for name, values in {**TOTALS, **change}.items() if values is not None}
    with pytest.raises(ResultsError, match=re.escape(message)):
        frame("totals", columns)


def test_an_unknown_table_is_named_with_the_nearest():
    with pytest.raises(ResultsError, match=r"there is no table 'total'; did you mean 'totals'\?"):
        frame("total", {})


def test_categoricals_and_whole_floats_are_taken():
    words = pd.Categorical.from_codes([0, 1], ["arrivals", "outcomes"])
    table = frame("totals", {**TOTALS, "quantity": words, "replication": np.array([3.0, 4.0])})
    assert table["quantity"].tolist() == ["arrivals", "outcomes"]
    assert table["replication"].tolist() == [3, 4]


def test_replications_are_put_one_after_the_other_and_absent_tables_are_empty():
    tables = concatenate([{"totals": TOTALS}, {}, {"totals": TOTALS}])
    assert list(tables) == list(TABLES)
    assert tables["totals"]["replication"].tolist() == [0, 1, 0, 1]
    assert tables["totals"].index.tolist() == [0, 1, 2, 3]
    assert all(len(tables[name]) == 0 for name in TABLES if name != "totals")
    assert all(str(tables["totals"][column.name].dtype) == column.dtype for column in TABLES["totals"])


def test_concatenating_an_unknown_table_is_refused():
    with pytest.raises(ResultsError, match="there is no table 'request'"):
        concatenate([{"request": {}}])
