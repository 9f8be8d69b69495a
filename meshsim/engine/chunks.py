"""Rows of a table as they come, time bucket by time bucket, in columns that take little memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.results.tables import TABLES
from meshsim.results.words import Words, narrow

#: Rows that are gathered before they are made narrow, which takes as long for a few as for many.
GATHERED = 8192


class Chunks:
    """The rows of one of `TABLES`: arrays of some buckets' columns, as narrow as numbers allow; no object a row.

    Parameters
    ----------
    table
        Its name.
    vocabularies
        Of each of its columns of words the words that there are; rows have the number of one (`Words`).

    Examples
    --------
    >>> rows = Chunks("convergence", {"cluster": ["eu-1", "us-1"]})
    >>> rows.add((0.0, 5.0), {"cluster": np.array([1, 0]), "bin": np.array([7, 9]), "count": np.array([1, 3])})
    >>> columns = rows.columns()
    >>> list(columns["cluster"]), columns["end"].tolist(), columns["bin"].tolist()
    (['us-1', 'eu-1'], [5.0, 5.0], [7, 9])
    """

    def __init__(self, table: str, vocabularies: Mapping[str, Sequence[str]]) -> None:
        described = TABLES[table][2:]
        self._kinds = {column.name: column.dtype for column in described}
        self._vocabularies = dict(vocabularies)
        self._buckets: list[tuple[float, float, int]] = []
        self._gathered: list[dict[str, NDArray[Any]]] = []
        self._rows = 0
        self._parts: list[dict[str, NDArray[Any]]] = []

    def add(self, bucket: tuple[float, float], columns: dict[str, NDArray[Any]]) -> None:
        """Keep the rows of a time bucket, which starts and ends at these times (seconds).

        Parameters
        ----------
        columns
            All but ``start`` and ``end``. They are kept, so that nobody may change them later.
        """
        rows = len(next(iter(columns.values())))
        self._buckets.append((*bucket, rows))
        self._gathered.append(columns)
        self._rows += rows
        if self._rows >= GATHERED:
            self._narrow()

    def _narrow(self) -> None:
        """Put what has been gathered into as little memory as its numbers need."""
        first, *more = self._gathered
        self._parts.append(
            {
                name: narrow(np.concatenate([values, *(part[name] for part in more)]) if more else values)
                for name, values in first.items()
            }
        )
        self._gathered, self._rows = [], 0

    def columns(self) -> dict[str, Any]:
        """Return all rows as columns in the types of `TABLES`; what was kept of a column goes as the column comes."""
        if self._gathered:
            self._narrow()
        starts, ends, rows = zip(*self._buckets, strict=True) if self._buckets else ((), (), ())
        times = {"start": starts, "end": ends}
        found = {name: self._joined(name, kind) for name, kind in self._kinds.items() if name not in times}
        self._parts = [dict(found)]
        repeats = np.array(rows, dtype=np.int64)
        found |= {name: np.repeat(np.array(time, dtype=np.float64), repeats) for name, time in times.items()}
        return {
            name: Words(found[name], self._vocabularies[name]) if kind == "str" else found[name]
            for name, kind in self._kinds.items()
        }

    def _joined(self, name: str, kind: str) -> NDArray[Any]:
        parts = [part.pop(name) for part in self._parts]
        if kind == "str":
            return np.concatenate([np.zeros(0, dtype=np.uint8), *parts])
        return np.concatenate([np.zeros(0, dtype=kind), *parts])
