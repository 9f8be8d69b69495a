"""Security and data residency as the page shows them: what is shared, and what was taken out of its region, when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshsim.analysis.governance import findings as found_in
from meshsim.analysis.governance import frame
from meshsim.analysis.summary import WHOLE
from meshsim.report.numbers import duration, quantity
from meshsim.report.page.parts import NAME, Cell, Row, Table
from meshsim.report.page.study import Study
from meshsim.report.shorten import short

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.scenario.schema import Document

#: Rows on the page; all are in a file.
LONGEST = 30
_CAPTION = "Security and data residency: findings"
_MESSAGE = 300


def findings(study: Study) -> tuple[Table | None, Table | None]:
    """Return the table for the page, and one of everything where that is more than the page has room for."""
    found = study.plots.each(lambda tables, document: _found(study, tables, document))
    lines = [{str(name): value for name, value in line.items()} for line in found.to_dict("records")]
    if not lines:
        return None, None
    phases: dict[tuple[str, str], set[str]] = {}
    for line in lines:
        phases.setdefault((line["deployment"], line["subject"]), set()).add(line["phase"])
    several = len(study.phases) > 1
    rows = [
        _row(line, only=several and len(phases[line["deployment"], line["subject"]]) == 1)
        for line in sorted(lines, key=lambda line: -line["bytes"])
    ]
    kinds = dict.fromkeys(line["kind"] for line in lines)
    rows = [row for kind in kinds for row in rows if row.group == kind]
    header = ("finding", "deployment", "when", "calls", "bytes")
    notes = ["Calls and bytes are means of the replications."] if any(line["phase"] for line in lines) else []
    everything = Table("findings-all", _CAPTION, header, tuple(rows), tuple(notes), wide=True)
    if len(rows) <= LONGEST:
        return Table("findings", _CAPTION, header, everything.rows, everything.notes, wide=True), None
    notes.append(f"{len(rows) - LONGEST} more are in findings-all.csv beside this page.")
    return Table("findings", _CAPTION, header, tuple(rows[:LONGEST]), tuple(notes), wide=True), everything


def tagged(study: Study) -> bool:
    """Return whether the scenario says anything that findings are made from."""
    documents = (study.document, *study.plots.documents.values())
    return any(
        cluster.security_domain or cluster.data_residency or cluster.trust_domain
        for document in documents
        for cluster in document.clusters.values()
    ) or any(service.data_residency for document in documents for service in document.services.values())


def _found(study: Study, tables: Mapping[str, pd.DataFrame], document: Document) -> pd.DataFrame:
    """Return what is known of the deployments that were run with a scenario."""
    found = frame(found_in(tables, document))
    found = found[found["deployment"].isin(("", *study.deployments))]
    run = [short(name, NAME) for name in study.deployments if study.plots.document_of(name) is document]
    everyone = ", ".join(run) if study.plots.documents else "every one"
    return found.assign(deployment=found["deployment"].where(found["deployment"] != "", everyone))


def _row(line: Mapping[str, Any], *, only: bool) -> Row:
    sent = math.isfinite(line["first"])
    named = "the whole run" if line["phase"] == WHOLE else f"“{short(line['phase'], NAME)}”"
    when = f"{'only in ' if only else ''}{named}, {duration(line['first'])} to {duration(line['last'])}" if sent else ""
    cells = (
        Cell(short(line["deployment"], _MESSAGE)),
        Cell(when or "always"),
        Cell(f"{line['calls']:,.0f}" if sent else ""),
        Cell(quantity("bytes", line["bytes"]) if sent else ""),
    )
    return Row(short(line["subject"] if sent else line["message"], _MESSAGE), cells, group=str(line["kind"]))
