"""What users saw by the place where they entered the mesh: the metrics of requests, one flow for each place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from meshsim.analysis.grid import Grid, runs
from meshsim.analysis.measures import Measure, percentiles, requests
from meshsim.analysis.phases import Phase
from meshsim.analysis.summary import over_phases

if TYPE_CHECKING:
    import pandas as pd

#: Begins the name of a flow of users who entered at one place.
FROM = "from "

#: Metrics of counted requests that are told by place; the percentiles of latency are, too.
BY_PLACE = ("requests", "success_rate", "latency_mean")


def by_entry(tables: Mapping[str, pd.DataFrame], spans: Sequence[Phase], places: Mapping[str, str]) -> pd.DataFrame:
    """Return requests, success rate and latency (mean, percentiles) of users by where they entered, as a summary.

    Parameters
    ----------
    tables
        The tables of a run.
    spans
        As `meshsim.analysis.phases.phases` returns them.
    places
        The place of each cluster, such as its region; clusters of one place are counted together.

    Returns
    -------
    pandas.DataFrame
        As `meshsim.analysis.summary.summarize` returns it, so that `meshsim.analysis.comparison.compare` makes
        intervals and differences of it; ``flow`` is ``from`` and the place.

    Raises
    ------
    ResultsError
        If a time bucket of the tables crosses the edge of a phase.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> run = {"deployment": ["hybrid"], "replication": [0], "start": [0.0], "end": [5.0]}
    >>> ended = {"entry": ["web"], "cluster": ["eu-1"], "flow": ["local"], "code": [200], "response_flag": [""]}
    >>> tables = concatenate([{"requests": {**run, **ended, "count": [10], "latency_sum": [0.2]}}])
    >>> found = by_entry(tables, [Phase("all", 0.0, 5.0)], {"eu-1": "eu"}).set_index(["metric", "flow"])["value"]
    >>> float(found["latency_mean", "from eu"])
    0.02
    """
    compared = runs(tables)
    return over_phases(compared, spans, lambda grid: _by_place(tables, grid, places))


def _by_place(tables: Mapping[str, pd.DataFrame], grid: Grid, places: Mapping[str, str]) -> Iterator[Measure]:
    ended, waited = tables["requests"], tables["latency"]
    waited = waited[waited["kind"] == "ingress"]
    entered, timed = (table["cluster"].map(lambda name: places.get(name, name)) for table in (ended, waited))
    known = dict.fromkeys([*places.values(), *entered])
    for place in known:
        for name, flow, values in requests({"requests": ended[entered == place]}, grid):
            if flow == "all" and name in BY_PLACE:
                yield name, f"{FROM}{place}", values
    yield from percentiles(waited, grid.counted, ((f"{FROM}{place}", (timed == place).to_numpy()) for place in known))
