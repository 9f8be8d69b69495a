"""What the terminal shows: progress while runs go on, and the table at the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.report.numbers import duration as in_words

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.warm_up import Doubt, WarmUp
    from meshsim.experiment import Step, Unit, Watch
    from meshsim.scenario.schema import Document


@contextlib.contextmanager
def progress(duration: float, units: int, *, show: bool) -> Iterator[Watch | None]:
    """Yield a watch for `meshsim.experiment.run`; None, and nothing shown, where nobody looks.

    Parameters
    ----------
    duration
        Simulated seconds of a unit.
    units
        How many there are.
    """
    if not show:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.perf_counter()
    calls: dict[Unit, int] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=units * duration, rate="")
        seen: dict[Unit, float] = {}

        def watch(step: Step) -> None:
            calls[step.unit] = step.calls
            seen[step.unit] = step.time
            rate = sum(calls.values()) / max(time.perf_counter() - began, 1e-9)
            what = f"{step.unit.deployment} #{step.unit.replication + 1} at {in_words(step.time)}"
            whole = max(units, len(seen)) * duration  # with --precision there may be more units than expected
            bar.update(task, completed=sum(seen.values()), total=whole, description=what, rate=f"{rate:,.0f} calls/s")

        yield watch


@contextlib.contextmanager
def counting(what: str, *, show: bool) -> Iterator[Callable[[int, int, str], None] | None]:
    """Yield a function to tell how many parts of a work are done, how many there are and what comes now.

    Parameters
    ----------
    what
        The work, as the bar calls it.
    show
        False where nobody looks: nothing is shown, and None is yielded.
    """
    if not show:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def watch(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{what}: {name}")

        yield watch


@contextlib.contextmanager
def working(what: str, *, show: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function to say what is being done now, while something turns; nothing is shown where nobody looks.

    Parameters
    ----------
    what
        That is done first.
    show
        False where nobody looks.
    """
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(what)) as status:
        yield lambda now: status.update(escape(now))


def show(
    comparison: pd.DataFrame,
    document: Document,
    *,
    full: bool = False,
    doubts: Sequence[Doubt] = (),
    warm_ups: Sequence[WarmUp] = (),
    precision: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> None:
    """Print a comparison: with colours on a terminal, as plain text elsewhere.

    Parameters
    ----------
    comparison
        As `meshsim.analysis.summary.compare` returns it.
    document
        The scenario, for its phases.
    full
        Every metric, not only the main ones.
    doubts
        Why its numbers may not mean what they seem to.
    warm_ups
        What MSER finds of the beginning, by deployment.
    precision
        What ended an experiment that went on until its numbers were known well enough; as the manifest has it.
    manifest
        Of the results, which says what variants are.
    """
    from meshsim.analysis import cost
    from meshsim.analysis.summary import phases
    from meshsim.report import verdicts
    from meshsim.report.precision import lines
    from meshsim.report.tables import VERDICT, WIDTH, plain, rich_table
    from meshsim.report.what_if import left_out
    from meshsim.report.what_if import lines as variants

    spans, width = phases(document), WIDTH
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        width = console.width
        sys.stdout.write(_paragraph(variants(manifest or {}, width)))
        console.print(rich_table(comparison, spans, full=full))
        said = verdicts.block(verdicts.spoken(comparison), 32, width)
        sys.stdout.write("\n".join([VERDICT, *said, ""]) if said else "")
    else:
        sys.stdout.write(_paragraph(variants(manifest or {}, width)))
        sys.stdout.write(plain(comparison, spans, full=full))
    said = [
        *(lines(precision) if precision else []),
        *verdicts.notes(doubts, width),
        *verdicts.beginning(warm_ups, width),
    ]
    if (comparison["metric"] == "cost").any():
        words = filter(None, [*cost.doubts(document), left_out(comparison, spans[0].name)])
        said += [line for one in words for line in wrap(f"note: {one}", width, subsequent_indent="      ")]
    sys.stdout.write("\n".join(["", *said, ""]) if said else "")


def _paragraph(lines: Sequence[str]) -> str:
    return "\n".join([*lines, "", ""]) if lines else ""
