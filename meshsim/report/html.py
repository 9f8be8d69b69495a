"""A comparison and a scenario as HTML for notebooks; every name from a file is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from meshsim.report.numbers import quantity
from meshsim.report.shorten import short
from meshsim.report.tables import VERDICT, Section, Sheet, lay_out
from meshsim.report.timing import Span, spans
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.phases import Phase
    from meshsim.report.plots import Plots
    from meshsim.scenario import Scenario


class Compared(Protocol):
    """A comparison as a notebook has it."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Of its results, which says what variants are."""

    @property
    def metrics(self) -> pd.DataFrame:
        """As `meshsim.analysis.summary.compare` returns it."""

    @property
    def plot(self) -> Plots:
        """Its pictures, which know the scenario."""


def comparison_html(comparison: Compared) -> str:
    """Return a comparison as an HTML table with the times of its phases and what its variants are; the best is bold.

    Parameters
    ----------
    comparison
        Such as `meshsim.compare` returns it.

    Examples
    --------
    >>> import pandas as pd, types
    >>> columns = ["deployment", "phase", "metric", "flow", "mean", "half_width", "n"]
    >>> document = Document.model_validate({
    ...     "name": "one", "regions": {"eu": {}}, "clusters": {"eu-1": {"region": "eu"}},
    ...     "load": {"web": {"rate": "1/s"}}, "services": {"web": {"endpoints": {"GET /": {}}}}})
    >>> frame, plot = pd.DataFrame(columns=columns), types.SimpleNamespace(document=document)
    >>> comparison_html(types.SimpleNamespace(metrics=frame, plot=plot, manifest={}))[:12]
    '<div><table>'
    """
    from meshsim.analysis.phases import phases
    from meshsim.report.what_if import left_out, sentences

    spans = phases(comparison.plot.document)
    tail = filter(None, [left_out(comparison.metrics, spans[0].name)])
    return table_html(comparison.metrics, spans, lead=sentences(comparison.manifest), tail=[*tail])


def table_html(
    comparison: pd.DataFrame,
    spans: Sequence[Phase] = (),
    *,
    full: bool = False,
    lead: Sequence[str] = (),
    tail: Sequence[str] = (),
) -> str:
    """Return a comparison as an HTML table; what is best is bold.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.summary.compare` returns it.
    spans
        The phases, where their times are to stand beside their names.
    full
        Show every metric and flow.
    lead, tail
        Paragraphs before and after it.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict(deployment="<b>", phase="during", metric="success_rate", flow="all", mean=1.0, half_width=0.0,
    ...            n=5, difference=float("nan"), difference_half_width=float("nan"))
    >>> "&lt;b&gt;" in table_html(pd.DataFrame([row]))
    True
    """
    sheet = lay_out(comparison, spans, full=full)
    head = _line("th", ("", *(escape(short(name)) for name in sheet.deployments)))
    body = "".join(_section(section, sheet) for section in sheet.sections)
    said = "<br>".join(map(escape, (f"{sheet.caption}.", sheet.how_to_read("bold:"))))
    note = f'<p style="font-size:smaller">{said}</p>'
    before, after = ("".join(f"<p>{escape(line)}</p>" for line in lines) for lines in (lead, tail))
    return f"<div>{before}<table><thead>{head}</thead>{body}</table>{note}{_verdicts(sheet)}{after}</div>"


def _verdicts(sheet: Sheet) -> str:
    if not sheet.verdicts:
        return ""
    said = "".join(_line("td", (escape(name), escape(words))) for name, words in sheet.verdicts)
    return f"<table><thead>{_line('th', (VERDICT, ''))}</thead><tbody>{said}</tbody></table>"


def scenario_html(scenario: Scenario) -> str:
    """Return what a scenario holds, as HTML: places, load, what happens, which deployments are compared, warnings.

    Parameters
    ----------
    scenario
        As `meshsim.scenario.load` returns it.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> scenario = load({
    ...     "name": "one", "regions": {"eu": {}}, "clusters": {"eu-1": {"region": "eu"}},
    ...     "load": {"web": {"rate": "1/s"}}, "services": {"web": {"endpoints": {"GET /": {}}}}})
    >>> "<td>1/s poisson on web</td>" in scenario_html(scenario)
    True
    """
    document = scenario.document
    facts = {
        "clusters": [f"{name} in {cluster.region}, {cluster.network}" for name, cluster in document.clusters.items()],
        "services": list(document.services),
        "load": list(_loads(document)),
        "deployments": list(document.deployments),
        "what happens": [_event(span) for span in spans(document)],
        "runs": [
            f"{_seconds(document.duration)}, of which {_seconds(document.warm_up)} warm-up",
            f"seed {document.seed}, {document.replications} replication{'s' * (document.replications != 1)}",
        ],
        "warnings": list(scenario.warnings),
    }
    rows = "".join(
        f'<tr><th style="text-align:left">{name}</th><td>{_lines(lines)}</td></tr>'
        for name, lines in facts.items()
        if lines
    )
    about = f"<p>{escape(document.description)}</p>" if document.description else ""
    return f"<div><strong>{escape(document.name)}</strong>{about}<table>{rows}</table></div>"


def _lines(lines: Iterable[str]) -> str:
    return "<br>".join(escape(short(line, 200)) for line in lines)


def _line(tag: str, cells: Iterable[str]) -> str:
    """Return a row; the cells are HTML already."""
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _section(section: Section, sheet: Sheet) -> str:
    width = len(sheet.deployments) + 1
    rows = [f'<tr><th colspan="{width}" style="text-align:left">{escape(section.phase)}</th></tr>']
    for row in section.rows:
        cells = (f"<b>{escape(cell.text)}</b>" if cell.best else escape(cell.text) for cell in row.cells)
        rows.append(_line("td", (escape(row.label), *cells)))
    return f"<tbody>{''.join(rows)}</tbody>"


def _loads(document: Document) -> Iterable[str]:
    for name, load in document.load.entries.items():
        entry = load.service or name
        if load.rate is None:
            yield f"{load.users} users, closed, on {entry}"
        else:
            yield f"{quantity('count', load.rate * document.load.scale)}/s {load.arrivals} on {entry}"


def _event(span: Span) -> str:
    until = "" if span.end is None else f" to {_seconds(span.end)}"
    return f"{_seconds(span.start)}{until}: {span.name}"


def _seconds(seconds: float) -> str:
    return quantity("seconds", seconds)
