"""Rows of a table as they come, time bucket by time bucket, in columns that take little memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshsim.results.tables import TABLES
from meshsim.results.words import Words, narrow


class Chunks:
    """The rows of one of `TABLES`: an array a column and bucket, as narrow as its numbers allow; no object a row.

    Parameters
    ----------
    table
        Its name.

    Examples
    --------
    >>> rows = Chunks("requests")
    >>> rows.columns()["count"].tolist()
    []
    """

    def __init__(self, table: str) -> None:
        described = TABLES[table][2:]
        self._kinds = {column.name: column.dtype for column in described}
        self._vocabularies: dict[str, NDArray[Any]] = {}
        self._parts: list[dict[str, NDArray[Any]]] = []

    def add(self, bucket: tuple[float, float], columns: Mapping[str, Any]) -> None:
        """Keep the rows of a time bucket, which starts and ends at these times (seconds).

        Parameters
        ----------
        columns
            All but ``start`` and ``end``: arrays of numbers, and `Words` with the vocabulary that they had in
            the buckets before, which may have got longer.
        """
        rows = len(next(iter(columns.values())))
        times = zip(("start", "end"), bucket, strict=True)
        part: dict[str, NDArray[Any]] = {name: np.broadcast_to(np.float64(time), rows) for name, time in times}
        for name, values in columns.items():
            if isinstance(values, Words):
                self._vocabularies[name] = values.vocabulary
                values = values.codes  # noqa: PLW2901 (what is kept of them)
            part[name] = narrow(values)
        self._parts.append(part)

    def columns(self) -> dict[str, Any]:
        """Return all rows as columns in the types of `TABLES`; what was kept of a column goes as the column comes."""
        found = {name: self._joined(name, kind) for name, kind in self._kinds.items()}
        words = self._vocabularies
        self._parts = [dict(found)]
        return {
            name: Words(values, words.get(name, [])) if self._kinds[name] == "str" else values
            for name, values in found.items()
        }

    def _joined(self, name: str, kind: str) -> NDArray[Any]:
        parts = [part.pop(name) for part in self._parts]
        if kind == "str":
            return np.concatenate([np.zeros(0, dtype=np.uint8), *parts])
        return np.concatenate([np.zeros(0, dtype=kind), *parts])
