"""``meshsim decide``: which deployment fits, by criteria and weights that are named."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshsim.cli_running import Computed, carry_out
from meshsim.cli_shared import (
    EngineOption,
    JobsOption,
    JsonOption,
    ReplicationsOption,
    SchedulerOption,
    SetOption,
    WeightOption,
    as_typed,
    load_scenario,
    print_json,
    stoppable,
    the_run,
    weights_of,
)

if TYPE_CHECKING:
    from meshsim.analysis.decision import Decision
    from meshsim.api import Comparison, Scenario


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        short_help="score deployments by weighted criteria",
        epilog="Example: meshsim decide results/mymesh --weight cost=3 --weight 'blast radius=0.5'",
    )(decide)


def decide(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|RESULTS",
            help="a scenario file or bundled name, which is run first; or a folder that compare has saved",
        ),
    ],
    weight: WeightOption = [],  # noqa: B006 (typer copies it)
    like: Annotated[
        str | None,
        typer.Option(
            "--criteria", metavar="SCENARIO", help="of RESULTS: take criteria and weights from this scenario instead"
        ),
    ] = None,
    changes: SetOption = [],  # noqa: B006
    replications: ReplicationsOption = None,
    jobs: JobsOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER",
            help="of RESULTS: where the decision is written, nowhere by default; of SCENARIO: where results are saved",
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:  # fmt: skip
    """Score deployments by the scenario's criteria and weights; say who is dominated, and what would change the winner.

    Every score names its metric. A saved run is only read, with the scenario it was made from.
    """
    from meshsim.analysis.criteria import criteria

    weights = weights_of(weight)
    if _is_results(what):
        _refuse(
            "cannot change what has been run; name the scenario instead of its results",
            {"--set": bool(changes), "--replications": replications is not None},
        )
        judged = None if like is None else load_scenario(like, [])
        _show(_decided(the_run(Path(what)), weights, judged, quiet=json_output), None, out, json_output=json_output)
        return
    _refuse("is for results; a scenario has criteria of its own", {"--criteria": like is not None})
    loaded = load_scenario(what, changes)
    _require_several(loaded.document.deployments, what)
    criteria(loaded.document, weights)  # what is wrong with the weights is said before anything runs

    def show(comparison: Comparison, folder: Path) -> None:
        _show(comparison.decide(weights), folder, folder, json_output=json_output)

    by = Computed(engine, scheduler, jobs)
    carry_out(loaded, [], replications, by, out or Path("results"), show, quiet=json_output)


def _is_results(what: str) -> bool:
    """Return whether this names results: a folder, or what is neither a file nor the name of a scenario.

    Raises
    ------
    ResultsError
        If there is nothing of that name, and it is not a file of scenarios that is missing.
    """
    from difflib import get_close_matches

    from meshsim.errors import ResultsError
    from meshsim.report.saved import hint
    from meshsim.scenario import bundled

    path, known = Path(what), bundled()
    if path.is_dir():
        return True
    if path.exists() or path.suffix or what in known or get_close_matches(what, known, n=1):
        return False
    raise ResultsError(f"there is no folder {what}, and no scenario of that name; {hint(path)}")


def _decided(run: Path, weights: dict[str, float], judged: Scenario | None, *, quiet: bool) -> Decision:
    """Return what a saved run says, with a sign of life while it is read."""
    from meshsim.report.terminal import working

    with stoppable("stopped"), working(f"reading {run.name}", show=sys.stderr.isatty() and not quiet) as now:
        from meshsim.api import read

        comparison = read(run)
        _require_several(comparison.manifest["deployments"], str(as_typed(run.absolute())))
        now("computing metrics and scores")
        return comparison.decide(weights, judged)


def _require_several(deployments: Collection[str], where: str) -> None:
    """Refuse to decide where there is only one deployment.

    Raises
    ------
    ScenarioError
        If there is.
    """
    from meshsim.errors import Problem, ScenarioError

    if len(deployments) < 2:
        names = ", ".join(deployments)
        message = f"there is one deployment ({names}): nothing to compare; run `meshsim compare` with two or more"
        raise ScenarioError([Problem(message, file=where)])


def _refuse(message: str, options: dict[str, bool]) -> None:
    """Refuse options that mean nothing here.

    Raises
    ------
    ScenarioError
        If any of them is given.
    """
    from meshsim.errors import Problem, ScenarioError

    problems = [Problem(message, file=option) for option, given in options.items() if given]
    if problems:
        raise ScenarioError(problems)


def _show(found: Decision, saved: Path | None, out: Path | None, *, json_output: bool) -> None:
    """Print a decision, and write it where it is wanted."""
    from meshsim.report.decision import plain, to_json
    from meshsim.report.decision_files import write

    written = [] if out is None else write(found, out)
    if json_output:
        print_json({**({} if saved is None else {"folder": str(saved)}), **to_json(found)})
        return
    sys.stdout.write(plain(found))
    if saved is not None:
        print(f"\nSaved in {saved}", flush=True)
    elif written:
        print("", *map(as_typed, written), sep="\n")
