"""How commands run an experiment: watched, saved before anything is printed, and gone on with after a kill."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from meshsim import cli_stopping
from meshsim.cli_shared import as_typed, compile_once, say, say_how_long, stoppable

if TYPE_CHECKING:
    from meshsim.api import Comparison, Scenario
    from meshsim.experiment import Precision
    from meshsim.experiment.engines import Engine
    from meshsim.experiment.variants import Arm


class Computed(NamedTuple):
    """Who computes."""

    engine: str
    scheduler: str
    jobs: int

    def get(self) -> Engine:
        """Return the engine that is asked for."""
        from meshsim.experiment.engines import engine

        return engine(self.engine, jobs=self.jobs, scheduler=self.scheduler)


def carry_out(
    loaded: Scenario, deployments: Sequence[str], wanted: int | Precision | None, by: Computed, out: Path,
    show: Callable[[Comparison, Path], None], *, quiet: bool,
    variants: Callable[[], Mapping[str, Arm]] | None = None,
) -> Comparison:  # fmt: skip
    """Run deployments of a scenario (all where none is named), save, show and draw what came of it.

    Parameters
    ----------
    loaded
        The scenario.
    deployments
        Their names.
    wanted
        How many replications, or how well numbers are to be known; the scenario's number by default.
    by
        Who computes.
    out
        Below which folder it is saved.
    show
        Prints what was run, and the folder it is in; the pictures are drawn after it.
    quiet
        Whether nothing but a result is printed.
    variants
        Gives what is run instead of deployments; asked once the options and the folder are known to be right.
    """
    from meshsim import experiment
    from meshsim.api import Comparison
    from meshsim.experiment.variants import deployed
    from meshsim.report.terminal import progress
    from meshsim.results.store import check_writable

    count = wanted if isinstance(wanted, int) else loaded.document.replications
    experiment.check(loaded, deployments, count, by.jobs)
    engine = None if by.engine == "local" and not by.scheduler else by.get()
    check_writable(out)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    compared = None if variants is None else variants()
    names = list(compared or deployed(loaded, deployments))
    units = len(names) * count
    # What a run that is killed had finished is found by the same command; a whole run needs it no more.
    store = experiment.Units(out / loaded.document.name / ".unfinished-units") if units > 1 else None
    with stoppable("stopped before a replication had finished; nothing was saved"):
        compile_once(quiet=quiet)
        if not quiet:
            _say_how_long(loaded, names, wanted, by)
        with progress(loaded.document.duration, units, show=sys.stderr.isatty() and not quiet) as watch:
            outcome = experiment.run(
                loaded, deployments, replications=count, precision=None if isinstance(wanted, int) else wanted,
                jobs=by.jobs, engine=engine, store=store, watch=watch,
                collected=cli_stopping.hold,
                command=["meshsim", *sys.argv[1:]], compared=compared,
            )  # fmt: skip
        comparison = Comparison(outcome.tables, outcome.manifest)
        folder = as_typed(comparison.save(out, pictures=False))
        if store is not None and outcome.manifest["complete"]:
            store.discard()
    with stoppable(f"stopped; the tables are saved, draw the pictures with: meshsim plot {folder}"):
        show(comparison, folder)
        comparison.plot.save(folder)
    if not outcome.manifest["complete"]:
        finished = outcome.manifest["replications"]
        say(f"stopped: {finished['finished']} of {finished['asked']} replications had finished and are saved")
        raise typer.Exit(cli_stopping.status())
    return comparison


def _say_how_long(loaded: Scenario, names: Sequence[str], wanted: int | Precision | None, by: Computed) -> None:
    """Say what it will take; with --precision for one replication, as nobody knows how many there will be."""
    count = loaded.document.replications if wanted is None else wanted if isinstance(wanted, int) else 1
    each = not isinstance(wanted, int) and wanted is not None
    say_how_long(loaded, names[0], len(names) * count, by.get(), each=each)
