"""From a saved run to the folder with its report: the page, and every picture and table of it as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from meshsim.analysis.criteria import criteria
from meshsim.report.page.parts import Section
from meshsim.report.page.rendering import Ready, drawn, page
from meshsim.report.page.sections.answer import answer, sentences
from meshsim.report.page.sections.cost import cost
from meshsim.report.page.sections.distributions import distributions
from meshsim.report.page.sections.method import method
from meshsim.report.page.sections.sensitivity import sensitivity
from meshsim.report.page.sections.system import system
from meshsim.report.page.sections.trade_offs import trade_offs
from meshsim.report.page.sections.what_happened import what_happened
from meshsim.report.page.study import Study
from meshsim.report.plots import Compared, plots_of
from meshsim.report.shorten import short
from meshsim.results.files import put_all

if TYPE_CHECKING:
    from pathlib import Path

    from meshsim.report.plots import Plots

#: Told how many sections are done, how many there are, and which comes now.
Watch = Callable[[int, int, str], None]

#: Name of the page, and of the folder that it is in where nobody names another.
PAGE, FOLDER = "report.html", "report"

SECTIONS: tuple[Callable[[Study], Section], ...] = (
    answer, trade_offs, system, what_happened, distributions, cost, sensitivity, method,
)  # fmt: skip


def files(study: Study, run: str, watch: Watch | None = None) -> dict[str, bytes]:
    """Return every file of the report by name, the page first; the same results make the same bytes.

    Parameters
    ----------
    study
        The run.
    run
        Name of what it was made from, for the foot of the page.
    watch
        Told, before each section, how many are done, how many there are, and its name.
    """
    ready = []
    for done, section in enumerate(SECTIONS):
        if watch is not None:
            watch(done, len(SECTIONS), section.__name__.replace("_", " "))
        ready.append(drawn(section(study)))
    document = study.document
    words = {
        "title": short(document.name, 120),
        "question": short(study.question or document.description or "", 400),
        "run": short(run, 120),
    }
    found = {PAGE: page(ready, sentences(study), words).encode()}
    for made in ready:
        found |= _beside(made)
    found["metrics.csv"] = _metrics(study.plots)
    return found


def write(
    results: Compared,
    folder: Path,
    *,
    run: str = "",
    question: str = "",
    studies: Sequence[Path] = (),
    weights: Mapping[str, float] | None = None,
    watch: Watch | None = None,
) -> list[Path]:
    """Write the report of a run into a folder, which is created, and return the files, the page first.

    Parameters
    ----------
    results
        A run, such as `meshsim.results.store.read` returns.
    folder
        Where to write; files of the same name are replaced.
    run
        Name of what it was made from.
    question
        What the reader asked; the scenario's description where it is empty.
    studies
        Folders of sensitivity studies to be shown.
    weights
        Of criteria, in place of those of the scenario.
    watch
        As for `files`.

    Raises
    ------
    ScenarioError
        If a weight is of no criterion.
    ResultsError
        If the disk refuses, or the run's scenario is not one that this version reads.
    """
    study = Study(plots_of(results), results.manifest, question, tuple(studies), weights or {})
    if weights:
        criteria(study.document, weights)
    return put_all(folder, files(study, run, watch).items(), "write a report")


def _beside(section: Ready) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for figure in section.figures:
        found |= {f"{figure.name}.png": figure.png, f"{figure.name}.svg": figure.svg}
    for table in (*section.tables, *section.aside):
        if table.rows:
            found |= {f"{table.name}.csv": table.csv(), f"{table.name}.md": table.markdown()}
    return found


def _metrics(plots: Plots) -> bytes:
    """Return every number of the comparison as CSV, in seconds, bytes and fractions."""
    frame = plots.comparison
    words = {name: frame[name].map("; ".join) for name in ("beats", "alike", "steady", "discounted")}
    return bytes(frame.assign(**words).to_csv(index=False, lineterminator="\n").encode())
