"""``meshsim report``: one page for those who decide."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from meshsim.cli_shared import WeightOption, as_typed, say, stoppable, the_run, weights_of


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        short_help="write a saved run as one HTML page",
        epilog="Example: meshsim report results/mymesh/20261123T081500Z-3f2a10",
    )(report)


def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="a folder that compare or run has saved, or one with such folders")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="where it is written; RESULTS/report by default"),
    ] = None,
    question: Annotated[
        str, typer.Option("--question", metavar="TEXT", help="what was asked; the scenario's description by default")
    ] = "",
    sensitivity: Annotated[
        list[Path],
        typer.Option(
            "--sensitivity",
            metavar="FOLDER",
            help="a folder that sensitivity has saved; the newest beside RESULTS by default; may be repeated",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    weight: WeightOption = [],  # noqa: B006
) -> None:
    """Write a saved run as one self-contained HTML page: the answer, trade-offs, pictures, tables, how sure they are.

    Beside it every picture as PNG and SVG, and every table as CSV and Markdown. Nothing is simulated.
    """
    from meshsim.report.terminal import counting

    weights, run = weights_of(weight), the_run(results)
    with stoppable("stopped; nothing was written"), counting("report", show=sys.stderr.isatty()) as watch:
        from meshsim.report.page.sections.sensitivity import found_beside
        from meshsim.report.page.writing import FOLDER, write
        from meshsim.results.store import read

        studies = tuple(sensitivity) or found_beside(run)
        written = write(
            read(run), out or run / FOLDER, run=run.name, question=question, studies=studies, weights=weights,
            watch=watch,
        )  # fmt: skip
    typed = [as_typed(path.absolute()) for path in written]
    print(*typed, sep="\n")
    say(f"open {typed[0]}")
