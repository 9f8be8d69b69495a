"""Columns of a few different words, of which each row has the number of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Words:
    """A column of words: a byte or two a row, whatever the words.

    Parameters
    ----------
    codes
        Place of each row's word in the vocabulary; negative places count from its end.
    vocabulary
        The words that there are; the same word may be there twice.

    Examples
    --------
    >>> flows = Words(np.array([0, 1, -1]), ["local", "cross-zone", "cross-region"])
    >>> list(flows), len(flows), flows[1]
    (['local', 'cross-zone', 'cross-region'], 3, 'cross-zone')
    >>> (flows == "local").tolist(), np.asarray(flows)[2]
    ([True, False, False], 'cross-region')
    """

    __slots__ = ("codes", "vocabulary")
    #: NumPy leaves comparisons to this class.
    __array_ufunc__ = None

    def __init__(self, codes: NDArray[Any], vocabulary: Iterable[str]) -> None:
        self.vocabulary: NDArray[Any] = np.array([*vocabulary], dtype=object)
        self.codes = codes.astype(np.min_scalar_type(max(len(self.vocabulary) - 1, 0)), copy=False)
        if codes.dtype.kind == "i" and len(codes) and codes.min() < 0:
            self.codes = (codes % len(self.vocabulary)).astype(self.codes.dtype)

    @classmethod
    def same(cls, word: str, rows: int) -> Words:
        """Return a column of one word; it takes no memory.

        Examples
        --------
        >>> list(Words.same("hybrid", 2))
        ['hybrid', 'hybrid']
        """
        return cls(np.broadcast_to(np.uint8(0), rows), [word])

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.vocabulary[self.codes].tolist())

    def __getitem__(self, place: Any) -> Any:
        """Return the word at a place, or an array of words for a slice, a mask or places."""
        return self.vocabulary[self.codes[place]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 (NumPy's name)
        words: NDArray[Any] = self.vocabulary[self.codes]
        return words if dtype is None else words.astype(dtype)

    def __eq__(self, other: object) -> Any:
        """Return which rows have a word, or the same one as another column of words."""
        if isinstance(other, str):
            return (self.vocabulary == other)[self.codes]
        return np.asarray(self) == np.asarray(other)

    def __ne__(self, other: object) -> Any:
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return the same numbers in less memory: no more bytes than whole ones need, and none where all are the same.

    Parameters
    ----------
    values
        Whole numbers or floats; floats stay what they are to the last bit.

    Examples
    --------
    >>> narrow(np.array([0, 300])).dtype, narrow(np.array([0.5, 0.25])).dtype, narrow(np.full(9, 7.5)).strides
    (dtype('uint16'), dtype('float64'), (0,))
    """
    if not len(values):
        return values
    if values.dtype.kind in "iu":
        kinds = (np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
        values = values.astype(np.promote_types(*kinds), copy=False)
    if (values.view(f"u{values.itemsize}") == values[:1].view(f"u{values.itemsize}")).all():
        return np.broadcast_to(values[0], len(values))
    return np.ascontiguousarray(values)
