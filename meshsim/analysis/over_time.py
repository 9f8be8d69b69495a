"""How latencies spread over time, and how much goes from cluster to cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from meshsim.analysis.cost import GB, MONTH, charged
from meshsim.analysis.grid import Values, runs
from meshsim.analysis.hops import Hops, hops
from meshsim.analysis.phases import Phase, counted_at
from meshsim.analysis.prices import Prices
from meshsim.results.histogram import edges
from meshsim.results.tables import BINS_PER_OCTAVE
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

#: Bins of the histograms that make one row of a heat map: four rows per doubling of the latency.
_TOGETHER = BINS_PER_OCTAVE // 4
#: What comes before the region of endpoints that are in no cluster; no cluster's name has a blank.
OUTSIDE = "in "


def latency_over_time(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how many user requests took how long in each time bucket, all replications together.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, start, end, low, high, count, share``: requests of the bucket with a latency from ``low``
        to ``high`` (seconds), and their share of the bucket's requests. Where nothing was counted there is no row.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> latency_over_time(concatenate([])).columns.tolist()
    ['deployment', 'start', 'end', 'low', 'high', 'count', 'share']
    """
    table = tables["latency"]
    table = table[table["kind"] == "request"]
    wide = table.assign(bin=table["bin"] // _TOGETHER)
    keys = ["deployment", "start", "end"]
    found = wide.groupby([*keys, "bin"], sort=True)["count"].sum().reset_index()
    low = found["bin"].to_numpy() * _TOGETHER
    found = found.assign(
        low=edges(low),
        high=edges(low + _TOGETHER),
        share=found["count"] / found.groupby(keys)["count"].transform("sum"),
    )
    order = {name: at for at, name in enumerate(dict.fromkeys(name for name, _ in runs(tables)))}
    found = found.sort_values("deployment", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    return found[[*keys, "low", "high", "count", "share"]]


def flow_matrix(tables: Mapping[str, pd.DataFrame], phase: Phase, document: Document) -> pd.DataFrame:
    """Return what goes from cluster to cluster in a phase, means over the replications.

    Parameters
    ----------
    tables
        The tables of a run.
    phase
        Which time.
    document
        The scenario, for its prices and places.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, source, destination, calls, bytes, cost``: calls per second that reached a pod, by the
        clusters of caller and pod, bytes per second of these calls, both ways, all attempts, and what these bytes cost,
        USD for a month like the phase; see docs/cost.md. The destination of what left for an endpoint in a region
        without clusters is `OUTSIDE` and the region.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> flow_matrix(concatenate([]), Phase("all", 0.0, 5.0), Document.model_validate(EXAMPLE)).columns.tolist()
    ['deployment', 'source', 'destination', 'calls', 'bytes', 'cost']
    """
    table = tables["calls"]
    counted = counted_at((table["start"] + table["end"]) / 2, phase)
    table = table[counted & (table["destination_cluster"] != "")]
    keys, amounts = ["deployment", "source", "destination"], ["calls", "bytes", "cost"]
    ends = hops(table, document)
    away = ends.outside
    clusters = table["destination_cluster"].to_numpy(dtype=object)
    moved = table[["deployment", "source_cluster", "count"]]
    moved = moved.rename(columns={"source_cluster": "source", "count": "calls"}).assign(
        destination=np.where(away == "", clusters, OUTSIDE + away),
        bytes=table["request_bytes"] + table["response_bytes"],
        cost=_dollars(table, ends, document),
    )
    total = moved.groupby(keys, sort=False)[amounts].sum().reset_index()
    numbers = Counter(name for name, _ in runs(tables))
    seconds = phase.counted * total["deployment"].map(numbers).to_numpy(dtype=float)
    total[amounts] = total[amounts].div(seconds, axis=0)
    return total.assign(cost=total["cost"] * MONTH * 3600.0)[[*keys, *amounts]]


def _dollars(calls: pd.DataFrame, ends: Hops, document: Document) -> Values:
    """Return what the bytes of each row cost, USD: nothing within a zone, requests one way and responses the other."""
    prices = np.zeros((len(calls), 2))
    for _, where, (there, _), (back, _) in charged(calls["flow"], ends, document, Prices(document)):
        prices[where] = there.usd, back.usd
    moved = calls[["request_bytes", "response_bytes"]].to_numpy(dtype=float) / GB
    return np.asarray((moved * prices).sum(axis=1), dtype=float)
