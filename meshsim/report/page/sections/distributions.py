"""The fifth section: how latencies are distributed, over time too, and which cluster calls which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshsim.report.numbers import duration
from meshsim.report.page.parts import NAME, Cell, Figure, Row, Section, Table
from meshsim.report.page.study import Study
from meshsim.report.shorten import listed, short


def distributions(study: Study) -> Section:
    """Return the section: each of `PICTURES` that there is something to draw for."""
    figures = tuple(figure for draw in PICTURES if (figure := draw(study)) is not None)
    return Section("distributions", "Distributions", tables=_where_time_went(study), figures=figures)


def _latency(study: Study) -> Figure:
    values = study.line("latency_p99")
    said = ", ".join(f"{short(name, NAME)} {values.text(name)}" for name in values.rows) if values else "no requests"
    return Figure(
        "latency",
        study.plots.distributions(study.decisive.name).figure,
        "Distribution of latency by the farthest hop of a request (above), and its tail on logarithmic axes (below)."
        " See where curves part in the tail: means hide it. Failed requests count"
        " too. All replications together, so there are no intervals here.",
        f"Cumulative distributions of latency by flow, one line a deployment. p99 of all: {said}.",
    )


def _heat_map(study: Study) -> Figure | None:
    from meshsim.analysis.over_time import latency_over_time
    from meshsim.report.heat_map import heat_map

    frame = latency_over_time(study.plots.tables)
    if frame.empty:
        return None
    return Figure(
        "latency-over-time",
        heat_map(frame, study.document).figure,
        "Latency over time: the darker a cell, the more of that time's requests took so long. See whether trouble moves"
        " the whole band (everything is slower) or grows a second one (some requests wait for something).",
        f"Heat maps of latency over time: {listed([short(name, NAME) for name in study.deployments])}.",
    )


def _flow_matrix(study: Study) -> Figure | None:
    from meshsim.analysis.over_time import flow_matrix as measured
    from meshsim.report.flow_matrix import flow_matrix

    frame = study.plots.each(lambda tables, document: measured(tables, study.decisive, document))
    if frame.empty:
        return None
    return Figure(
        "flow-matrix",
        flow_matrix(frame, tuple(study.document.clusters)).figure,
        f"Calls, bytes, and what these bytes cost if a month were like this, from cluster to cluster in {study.when};"
        " means over the replications. See what lies off the diagonal: it crosses clusters, and takes time and money."
        " What costs on the diagonal crosses zones.",
        "Matrices of calls per second, bytes per second and USD a month between clusters, one set a deployment.",
    )


def _waterfalls(study: Study) -> Figure | None:
    from meshsim.report.waterfall import DEPLOYMENTS, waterfalls

    found = study.paths
    if found.empty:
        return None
    drawn = list(dict.fromkeys(found["deployment"]))
    left = len(drawn) - DEPLOYMENTS
    more = f"; {left} more deployment{'s are' if left > 1 else ' is'} in the table" if left > 0 else ""
    names = listed([short(name, NAME) for name in drawn[:DEPLOYMENTS]])
    return Figure(
        "waterfall",
        waterfalls(found).figure,
        "Where the time of a typical request (left) and of one at the 99th percentile (right) went in"
        f" {study.when}: a row a call, coloured where the request waited for it, grey where it did not or where calls"
        " further down account for the time. Each is one request of replication 0 whose latency is the nearest to the"
        f" percentile of all that succeeded: an example, not a mean{more}.",
        f"Waterfalls of a typical and of a p99 request: {names}. The table “Where the time of a request went” has the"
        " same in numbers.",
    )


def _where_time_went(study: Study) -> tuple[Table, ...]:
    """Return the parts of the latency of each request that is shown; no table where none was traced."""
    from meshsim.analysis.critical_path import shares

    found = shares(study.paths)
    if found.empty:
        return ()
    columns = list(dict.fromkeys(zip(found["deployment"], found["shown"], strict=True)))
    cells = {(row.part, row.deployment, row.shown): row for row in found.itertuples()}
    rows = [
        Row(part, tuple(_share(cells[part, *column]) for column in columns)) for part in dict.fromkeys(found["part"])
    ]
    totals = found.groupby(["deployment", "shown"], sort=False)["seconds"].sum()
    rows.append(Row("all", tuple(Cell(duration(float(totals[column]))) for column in columns)))
    return (
        Table(
            "where-time-went",
            f"Where the time of a request went, in {study.when}",
            ("part", *(f"{short(name, NAME)}, {shown}" for name, shown in columns)),
            tuple(rows),
            ("Each column is one request, on its critical path: parts add up to its latency.",),
        ),
    )


def _share(row: Any) -> Cell:
    return Cell(f"{duration(row.seconds)}, {100 * row.share:.0f} %" if row.seconds else "0")


#: What the section shows, in order: from a study to a figure, or None where the run has nothing for it.
PICTURES: tuple[Callable[[Study], Figure | None], ...] = (_latency, _heat_map, _waterfalls, _flow_matrix)
