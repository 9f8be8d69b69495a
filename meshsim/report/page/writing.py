"""From a saved run to the folder with its report: the page, and every picture and table of it as a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meshsim.errors import ResultsError
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

if TYPE_CHECKING:
    from meshsim.report.plots import Plots

#: Name of the page, and of the folder that it is in where nobody names another.
PAGE, FOLDER = "report.html", "report"

SECTIONS: tuple[Callable[[Study], Section], ...] = (
    answer, trade_offs, system, what_happened, distributions, cost, sensitivity, method,
)  # fmt: skip


def files(study: Study, run: str) -> dict[str, bytes]:
    """Return every file of the report by name, the page first; the same results make the same bytes.

    Parameters
    ----------
    study
        The run.
    run
        Name of what it was made from, for the foot of the page.
    """
    ready = [drawn(section(study)) for section in SECTIONS]
    document = study.document
    words = {
        "title": short(document.name, 120),
        "question": short(study.question or document.description or "", 400),
        "run": short(run, 120),
    }
    found = {PAGE: page(ready, sentences(study), words).encode()}
    for section in ready:
        found |= _beside(section)
    found["metrics.csv"] = _metrics(study.plots)
    return found


def write(
    results: Compared, folder: Path, *, run: str = "", question: str = "", studies: Sequence[Path] = ()
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

    Raises
    ------
    ResultsError
        If the disk refuses, or the run's scenario is not one that this version reads.
    """
    study = Study(plots_of(results), results.manifest, question, tuple(studies))
    made, written = files(study, run), []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            path = Path(folder) / name
            path.write_bytes(content)
            written.append(path)
    except OSError as problem:
        raise ResultsError(f"cannot write a report in {folder}: {problem.strerror or problem}") from problem
    return written


def newest(folder: Path) -> Path:
    """Return the run that a folder is, or the newest of the runs in it.

    Examples
    --------
    >>> newest(Path("no such folder")).name
    'no such folder'
    """
    if (folder / "manifest.json").exists():
        return folder
    found = sorted(path.parent for path in folder.glob("*/totals.parquet"))
    return found[-1] if found else folder


def _beside(section: Ready) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for figure in section.figures:
        found |= {f"{figure.name}.png": figure.png, f"{figure.name}.svg": figure.svg}
    for table in (*section.tables, *section.section.aside):
        if table.rows:
            found |= {f"{table.name}.csv": table.csv(), f"{table.name}.md": table.markdown()}
    return found


def _metrics(plots: Plots) -> bytes:
    """Return every number of the comparison as CSV, in seconds, bytes and fractions."""
    frame = plots.comparison
    words = {name: frame[name].map("; ".join) for name in ("beats", "alike")}
    return bytes(frame.assign(**words).to_csv(index=False, lineterminator="\n").encode())
