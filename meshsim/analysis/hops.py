"""From which region each call of the table of calls came, and to which it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

#: In place of a region that is not known, such as that of a call that reached no pod.
NOWHERE = -1

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hops:
    """Both ends of each call.

    Parameters
    ----------
    regions
        Their names.
    source, destination
        Number of the region of the caller and of the pod, one per row of the table; `NOWHERE` for none.
    named
        Number of the region of the cluster that the table names as the destination.
    """

    regions: tuple[str, ...]
    source: Numbers
    destination: Numbers
    named: Numbers

    @property
    def outside(self) -> NDArray[np.object_]:
        """The region each call went to, where that is not the one of the cluster that the table names; else empty.

        Such a cluster stands for an endpoint that is in none.

        Examples
        --------
        >>> Hops(("eu", "us"), np.array([0, 0]), np.array([0, 1]), np.array([0, 0])).outside.tolist()
        ['', 'us']
        """
        names = np.array([*self.regions, ""], dtype=object)  # the last is that of NOWHERE
        return np.where((self.named == NOWHERE) | (self.named == self.destination), "", names[self.destination])


def hops(calls: pd.DataFrame, document: Document) -> Hops:
    """Return the regions at both ends of each row of the table of calls.

    An endpoint of a ServiceEntry is in no cluster; the tables name one that stands for it. Where that is in the
    caller's region and the call went to another, it counts as having gone to the first of the service's endpoints that
    are in another.

    Examples
    --------
    >>> from meshsim.results.frames import frame
    >>> from meshsim.results.tables import TABLES
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> row = {column.name: [0 if column.dtype != "str" else ""] for column in TABLES["calls"]}
    >>> calls = frame("calls", {**row, "source_cluster": ["eu-1"], "destination_cluster": ["eu-1"], "flow": ["local"]})
    >>> found = hops(calls, Document.model_validate(EXAMPLE))
    >>> found.regions, found.source.tolist(), found.destination.tolist()
    (('eu',), [0], [0])
    """
    regions = tuple(document.regions)
    number = {cluster: regions.index(body.region) for cluster, body in document.clusters.items()}
    source = looked_up(calls["source_cluster"], number)
    named = looked_up(calls["destination_cluster"], number)
    far = (calls["flow"] == "cross-region").to_numpy(dtype=bool)
    destination = np.where(far | (named == NOWHERE), named, source)
    far = far & ((destination == NOWHERE) | (destination == source))
    for row in np.flatnonzero(far):
        where = _outside(document, str(calls["destination"].iloc[row]))
        others = [regions.index(name) for name in where if regions.index(name) != source[row]]
        destination[row] = others[0] if others else NOWHERE
    return Hops(regions, source, destination, named)


def looked_up(names: pd.Series, number: Mapping[str, int]) -> Numbers:
    """Return the number of each name, `NOWHERE` for one that has none.

    Examples
    --------
    >>> import pandas as pd
    >>> looked_up(pd.Series(["b", "c", "a"]), {"a": 0, "b": 1}).tolist()
    [1, -1, 0]
    """
    import pandas as pd

    codes, found = pd.factorize(names)
    numbers = np.array([*(number.get(str(name), NOWHERE) for name in found), NOWHERE], dtype=np.int64)
    return np.asarray(numbers[codes], dtype=np.int64)


def _outside(document: Document, service: str) -> Sequence[str]:
    """Return the regions in which a service has endpoints of ServiceEntries."""
    body = document.services.get(service)
    entry = body.entry if body is not None else None
    return [one.region for one in entry.endpoints] if entry is not None else []
