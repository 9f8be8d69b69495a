"""The fourth section: what happened when, which requests failed and how, and what casts doubt on it."""

from __future__ import annotations

from meshsim.report.numbers import NOTHING, duration
from meshsim.report.page.parts import NAME, Cell, Figure, Row, Section, Table
from meshsim.report.page.study import Study
from meshsim.report.shorten import listed, short
from meshsim.report.timing import spans
from meshsim.report.verdicts import reasons

#: Events that the table names.
_EVENTS = 40


def what_happened(study: Study) -> Section:
    """Return the section."""
    return Section(
        "what-happened",
        "What happened",
        tables=(_events(study),) if study.document.timeline else (),
        figures=tuple(figure for figure in (_timeline(study), _flags(study)) if figure),
        tail=tuple(reasons(study.doubts, NAME)),
    )


def _bands(study: Study) -> str:
    """Return what the bands of the timeline are, or why it has none."""
    n = study.replications
    if n > 2:
        return f"Bands are 95 % intervals of the means over n = {n} replications; "
    few = "One replication makes no interval" if n < 2 else "An interval of two replications would fill the picture"
    return f"{few}, so there are no bands; "


def _timeline(study: Study) -> Figure:
    success = study.line("success_rate")
    low = success.text(min(success.rows, key=success.mean)) if success else ""
    return Figure(
        "timeline",
        study.plots.timeline().figure,
        "What happened when, all deployments over one time axis; shaded while something is wrong. See where lines part"
        f" from each other, and how soon they come back after the shade ends. {_bands(study)}which differences are"
        " beyond chance, the trade-off table says. Latency counts failed requests too: where many fail at once, it is"
        " low.",
        f"Time course of success rate, tail latency, stale proxies and traffic by distance under"
        f" {listed([short(name, NAME) for name in study.deployments])}. The tables of this page have the numbers"
        f"{f'; the lowest success rate of {study.decisive.name} is {low}' if low else ''}.",
    )


def _flags(study: Study) -> Figure | None:
    from meshsim.report.flags import flags_of

    comparison = study.plots.comparison
    found = list(dict.fromkeys([*flags_of(comparison), *flags_of(comparison, "call_errors")]))
    if not found:
        return None
    return Figure(
        "response-flags",
        study.plots.flags().figure,
        "What failed by Envoy's response flag: user requests at the ingress gateway (left) and calls between services"
        " (right), as a share of the phase's; whiskers are the 95 % interval of the whole bar. See which flag makes a"
        " deployment worse: it names the mechanism (UF: no connection, UH: no healthy pod, UC: connection lost, UO:"
        " circuit breaker, URX: retries used up, UT: time-out; no flag: the service itself answered so).",
        f"Stacked bars of what failed by phase, deployment and response flag: {listed(found)}.",
    )


def _events(study: Study) -> Table:
    found = spans(study.document)
    rows = [
        Row(
            short(span.name, NAME),
            (
                Cell(duration(span.start)),
                Cell(NOTHING if span.end is None else duration(span.end)),
                Cell(f"{len(span.parts)} times" if span.parts else "once"),
            ),
        )
        for span in found[:_EVENTS]
    ]
    more = (f"{len(found) - _EVENTS} more events are not listed.",) if len(found) > _EVENTS else ()
    return Table(
        "events", "What was done to the mesh", ("event", "from", "to", "how often"), tuple(rows), more, wide=True
    )
