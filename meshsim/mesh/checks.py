"""Checks of a document that need figures and graphs: latencies that are known, calls that end, who controls whom."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.mesh import checks_control_planes
from meshsim.mesh.calls import MAX_DEPTH, calls_per_entry, runaways
from meshsim.mesh.links import missing_links
from meshsim.scenario.checks import Check, Finding
from meshsim.scenario.schema import Document

#: A request that makes more calls than this on average is taken for a mistake.
MOST_CALLS = 100_000


def links_have_figures(document: Document) -> Iterator[Finding]:
    """Find regions whose round-trip time is not known, and cloud regions that do not exist."""
    for path, message in missing_links(document):
        yield Finding(path, message)


def calls_stay_bounded(document: Document) -> Iterator[Finding]:
    """Find entries whose requests make calls without end; cycles that die out are legal."""
    without_end, visited = runaways(document), calls_per_entry(document)
    for entry in document.load.entries:
        if entry in without_end:
            yield Finding(
                ("load", entry),
                f"its calls never die out: {MAX_DEPTH} calls deep there are still as many as at the start",
            )
        else:
            mean = sum(visited[entry].values())
            if mean > MOST_CALLS:
                yield Finding(
                    ("load", entry), f"one request makes {mean:,.0f} calls on average; at most {MOST_CALLS:,} run"
                )


#: Every check of this room, for `meshsim.scenario.load`.
CHECKS: tuple[Check, ...] = (links_have_figures, calls_stay_bounded, *checks_control_planes.CHECKS)
