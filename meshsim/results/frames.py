"""Columns of numbers and words into data frames that have the columns, order and types of `TABLES`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from meshsim.errors import ResultsError, did_you_mean
from meshsim.results.tables import TABLES, Column
from meshsim.results.words import Words

if TYPE_CHECKING:
    import pandas as pd

#: What pandas calls arrays without anything but words in them.
_ALL_WORDS = frozenset({"string", "empty"})


def frame(name: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return the columns as a data frame of the table ``name``.

    Parameters
    ----------
    name
        One of `TABLES`.
    columns
        Every column of the table, equally long sequences or arrays; a data frame will do.

    Returns
    -------
    pandas.DataFrame
        In the order and with the types of `TABLES`, numbered from 0.

    Raises
    ------
    ResultsError
        If the table or a column is unknown, a column is missing, lengths differ or a value does not fit its type.

    Examples
    --------
    >>> frame("totals", {"deployment": ["hybrid"], "replication": [0], "quantity": ["arrivals"],
    ...                  "subject": [""], "value": [17]})
      deployment  replication  quantity subject  value
    0     hybrid            0  arrivals           17.0
    """
    import pandas as pd

    described = _table(name)
    given = [str(column) for column in columns]
    known = [column.name for column in described]
    unknown = [column for column in given if column not in known]
    if unknown:
        raise ResultsError(f"table '{name}' has no column '{unknown[0]}'{did_you_mean(unknown[0], known, limit=20)}")
    missing = [column for column in known if column not in given]
    if missing:
        raise ResultsError(f"table '{name}' lacks its column '{missing[0]}'")
    converted = {column.name: _converted(name, column, columns[column.name]) for column in described}
    lengths = {len(values) for values in converted.values()}
    if len(lengths) > 1:
        raise ResultsError(f"the columns of table '{name}' differ in length: {sorted(lengths)}")
    return pd.DataFrame(converted, copy=False)


def concatenate(replications: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, pd.DataFrame]:
    """Return every table of `TABLES`, with the rows of all replications one after the other.

    Parameters
    ----------
    replications
        Per replication and deployment: columns by table, as `frame` takes them. A table that one of them lacks adds
        no rows.

    Raises
    ------
    ResultsError
        If a table is unknown or `frame` refuses one.

    Examples
    --------
    >>> one = {"events": {"deployment": ["hybrid"], "replication": [0], "time": [1.5], "kind": ["fault begins"],
    ...                   "subject": ["eu-1"], "detail": [""]}}
    >>> tables = concatenate([one, one])
    >>> len(tables["events"]), len(tables["calls"])
    (2, 0)
    """
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for tables in replications:
        for name, columns in tables.items():
            _table(name)
            parts[name].append(frame(name, columns))
    return {name: _one(name, parts.pop(name)) for name in TABLES}  # of two copies one goes as the other comes


def _one(name: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return data frames of a table as one."""
    import pandas as pd

    if len(frames) > 1:
        return pd.concat(frames, ignore_index=True)
    return frames[0] if frames else frame(name, {column.name: [] for column in TABLES[name]})


def _table(name: str) -> tuple[Column, ...]:
    if name not in TABLES:
        raise ResultsError(f"there is no table '{name}'{did_you_mean(name, TABLES)}")
    return TABLES[name]


def _converted(table: str, column: Column, values: Any) -> Any:
    """Return the values in the column's type; nothing is rounded, cut off or turned into words on the way."""
    if column.dtype == "str":
        return _words(table, column, values)
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, dtype=column.dtype)
    if array.dtype.kind not in "biuf":
        raise _misfit(table, column, array.ravel()[0])
    with np.errstate(invalid="ignore"):
        converted = np.ascontiguousarray(array, dtype=column.dtype)  # not copied where it is in that type
    if column.dtype == "int64" and array.dtype.kind == "f":
        broken = array != converted  # also where the number is nan or too large
        if broken.any():
            raise _misfit(table, column, array[broken][0])
    return converted


def _words(table: str, column: Column, values: Any) -> Any:
    import pandas as pd

    if isinstance(values, Words):
        return _words(table, column, values.vocabulary).take(values.codes)
    if isinstance(values, np.ndarray) and pd.api.types.infer_dtype(values, skipna=False) in _ALL_WORDS:
        return pd.array(values, dtype="str")  # as below, in a third of the time
    words = pd.Series(values, dtype=None if len(values) else "str")
    if isinstance(words.dtype, pd.CategoricalDtype):
        words = words.astype(words.cat.categories.dtype)
    stored = isinstance(words.dtype, pd.StringDtype)
    if words.hasnans or not (stored or pd.api.types.infer_dtype(words, skipna=False) in _ALL_WORDS):
        raise _misfit(table, column, next(word for word in words if not isinstance(word, str)))
    return words.astype("str").array


def _misfit(table: str, column: Column, value: object) -> ResultsError:
    kind = {"str": "a word", "int64": "a whole number", "float64": "a number"}[column.dtype]
    shown = value.item() if isinstance(value, np.generic) else value
    return ResultsError(f"table '{table}', column '{column.name}' ({column.meaning}): {shown!r} is not {kind}")
