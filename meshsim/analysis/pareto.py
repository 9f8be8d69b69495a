"""The Pareto front: deployments that no other is better than without being worse anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Dominance:
    """One deployment is better than another by some criteria, and known to be worse by none.

    Parameters
    ----------
    loser, by
        Places of the deployments.
    better
        Places of the criteria by which ``by`` is better beyond chance; by the others no difference is known.
    """

    loser: int
    by: int
    better: tuple[int, ...]


def dominated(better: Rows) -> list[Dominance]:
    """Return which deployments are dominated, by whom.

    What is not distinguishable is not the same, so that this is no order: a may dominate b, b dominate c and c dominate
    a, each by another criterion. Of such a circle nobody is dominated by another of it.

    Parameters
    ----------
    better
        By criterion, deployment and deployment: the first is better than the second beyond chance.

    Examples
    --------
    >>> cost, latency = np.zeros((2, 2), dtype=bool), np.array([[False, True], [False, False]])
    >>> dominated(np.array([cost, latency]))
    [Dominance(loser=1, by=0, better=(1,))]
    """
    any_way = np.asarray(better.any(axis=0))
    over = any_way & ~any_way.T
    reaches = over.copy()
    for through in range(len(over)):
        reaches |= reaches[:, [through]] & reaches[[through], :]
    return [
        Dominance(loser, by, tuple(np.flatnonzero(better[:, by, loser]).tolist()))
        for loser in range(len(over))
        for by in range(len(over))
        if over[by, loser] and not reaches[loser, by]
    ]
