"""How finely a run can be told: into how many time buckets, so that its tables fit in memory whatever its length."""

from __future__ import annotations

from collections import defaultdict

from meshsim.mesh.calls import calls
from meshsim.mesh.placement import place
from meshsim.scenario.schema import Document

#: Time buckets of a run, in a mesh so large that a run's tables would get more than `ROWS` rows, and at least.
BUCKETS, ROWS, FEWEST = 150, 4_000_000, 20


def most_buckets(document: Document) -> int:
    """Return into how many time buckets a run is divided at most, edges of phases aside.

    Each bucket has a row for every pair of clusters between which a service calls another, and for every service in
    every cluster. In a large mesh these are hundreds of thousands, so that it gets fewer and wider buckets.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> most_buckets(Document.model_validate(EXAMPLE))
    150
    """
    homes: dict[str, set[str]] = defaultdict(set)
    for placed in place(document):
        homes[placed.service].add(placed.cluster)
    pairs = {(call.caller[0], call.callee[0]) for call in calls(document)}
    rows = sum(len(homes[caller]) * len(homes[callee]) for caller, callee in pairs)
    rows += sum(len(clusters) for clusters in homes.values())
    return min(max(ROWS // max(rows, 1), FEWEST), BUCKETS)
