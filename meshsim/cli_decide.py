"""``meshsim decide``: which deployment fits, by criteria and weights that are named."""

from __future__ import annotations

import sys
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
    as_typed,
    load_scenario,
    print_json,
)

if TYPE_CHECKING:
    from meshsim.analysis.decision import Decision
    from meshsim.api import Comparison


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
    weight: Annotated[
        list[str],
        typer.Option("--weight", metavar="CRITERION=WEIGHT", help="how much a criterion counts; may be repeated"),
    ] = [],  # noqa: B006 (typer copies it)
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
    from meshsim.api import read
    from meshsim.report.page.writing import newest

    weights = _weights(weight)
    if Path(what).is_dir():
        _refuse(
            "cannot change what has been run; name the scenario instead of its results",
            {"--set": bool(changes), "--replications": replications is not None},
        )
        judged = None if like is None else load_scenario(like, [])
        _show(read(newest(Path(what))).decide(weights, judged), None, out, json_output=json_output)
        return
    _refuse("is for results; a scenario has criteria of its own", {"--criteria": like is not None})
    loaded = load_scenario(what, changes)
    criteria(loaded.document, weights)  # what is wrong with the weights is said before anything runs

    def show(comparison: Comparison, folder: Path) -> None:
        _show(comparison.decide(weights), folder, folder, json_output=json_output)

    by = Computed(engine, scheduler, jobs)
    carry_out(loaded, [], replications, by, out or Path("results"), show, quiet=json_output)


def _weights(given: list[str]) -> dict[str, float]:
    """Return the weights of the command line.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    from meshsim.errors import Problem, ScenarioError

    found, problems = {}, []
    for text in given:
        name, _, value = text.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            problems.append(Problem(f"{value!r} is no number; write CRITERION=WEIGHT, such as cost=3", file="--weight"))
            continue
        if not name.strip():
            problems.append(Problem(f"{text!r} names no criterion; write CRITERION=WEIGHT", file="--weight"))
    if problems:
        raise ScenarioError(problems)
    return found


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
