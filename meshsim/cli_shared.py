"""What the commands of the command line share: options, messages, and how they end."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshsim import cli_stopping

if TYPE_CHECKING:
    from meshsim.api import Scenario
    from meshsim.experiment import Precision
    from meshsim.experiment.engines import Engine
    from meshsim.scenario.schema import Document

#: Exit statuses: a user's mistake; a check that failed. What was stopped has `meshsim.cli_stopping.status`.
MISTAKE, FAILED = 2, 1

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="a scenario file, or the name of a bundled one")
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="PATH=VALUE", help="change a field, such as load.frontend.rate=400/s; may be repeated"
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="one variant of the scenario's what_if alone; see docs/what-if.md"),
]
ReplicationsOption = Annotated[
    int | None,
    typer.Option("--replications", "-n", min=1, help="runs per deployment; the scenario's number by default"),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="SHARE",
        help="add replications until the headline metrics are known so well, such as 5%; see docs/statistics.md",
    ),
]
MaxReplicationsOption = Annotated[
    int | None,
    typer.Option("--max-replications", min=1, help="of --precision: runs per deployment at most; 100 by default"),
]
BudgetOption = Annotated[
    str | None,
    typer.Option("--budget", metavar="TIME", help="of --precision: wall time after which no more begin, such as 10m"),
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=-1, help="processes; -1 for one per processor")]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="where results are saved")]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object on standard output and nothing else")]
FullOption = Annotated[bool, typer.Option("--full", help="show every metric, not only the main ones")]
CheckOption = Annotated[
    bool, typer.Option("--check", help="exit with 1 if something that the scenario expects does not hold")
]
DeploymentOption = Annotated[
    list[str], typer.Option("--deployment", "-d", metavar="NAME", help="a deployment of the scenario; may be repeated")
]
WhatIfOption = Annotated[
    bool,
    typer.Option("--what-if", help="compare the variants in the scenario's what_if instead; see docs/what-if.md"),
]
EngineOption = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="who computes: local (processes of this machine), dask or ray")
]
WeightOption = Annotated[
    list[str],
    typer.Option("--weight", metavar="CRITERION=WEIGHT", help="how much a criterion counts; may be repeated"),
]
SchedulerOption = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="of --engine dask or ray, such as tcp://10.0.0.1:8786")
]


def how_many(
    replications: int | None, precision: str | None, most: int | None, budget: str | None
) -> int | Precision | None:
    """Return how many replications are wanted, as a number or as the precision that they have to reach.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    from meshsim.errors import Problem, ScenarioError
    from meshsim.experiment import Precision
    from meshsim.units import parse_duration, parse_fraction

    problems, read = [], {}
    for option, text, parse in (("--precision", precision, parse_fraction), ("--budget", budget, parse_duration)):
        try:
            read[option] = None if text is None else parse(text)
        except ValueError as error:
            problems.append(Problem(str(error), file=option))
    if precision is None and budget is not None:
        problems.append(Problem("is the time that --precision may take; give that too, such as 5%", file="--budget"))
    if precision is None and most is not None:
        message = "is the most that --precision may run; give that too, such as 5%, or say --replications"
        problems.append(Problem(message, file="--max-replications"))
    if precision is not None and replications is not None:
        message = "the number follows from --precision; limit it with --max-replications"
        problems.append(Problem(message, file="--replications"))
    if problems:
        raise ScenarioError(problems)
    wanted = read["--precision"]
    if wanted is None:
        return replications
    limit = {} if most is None else {"max_replications": most}
    return Precision(wanted, budget=read["--budget"], **limit)


def load_scenario(name: str, changes: list[str], variant: str | None = None) -> Scenario:
    """Return the scenario that the command line names, or one variant of it."""
    from meshsim.api import load

    return load(name, changes, variant=variant)


def weights_of(given: list[str]) -> dict[str, float]:
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


def the_run(folder: Path) -> Path:
    """Return the run that a folder means, and say which where it holds several.

    Raises
    ------
    ResultsError
        If there is none.
    """
    from meshsim.report.saved import newest

    run, among = newest(folder)
    if among > 1:
        say(f"{folder} holds {among} runs; this is the newest: {as_typed(run.absolute())}")
    return run


def compile_once(*, quiet: bool) -> None:
    """Compile the request path, telling the user the first time, when it takes long."""
    from meshsim.dataplane.jit import is_compiled
    from meshsim.experiment import compile_request_path

    if not is_compiled() and not quiet:
        say("Compiling the request path, once for this version: a minute or two …")
    with cli_stopping.ends_at_once():  # Numba would swallow an exception here and there, and half a cache is whole
        compile_request_path()


def say_how_long(
    what: Scenario,
    deployment: str,
    runs: int,
    by: Engine | None,
    *,
    points: Sequence[Document] = (),
    each: bool = False,
) -> None:
    """Say what an experiment will take, where that is worth a word; ``each`` if that is for each replication."""
    from meshsim.experiment.engines import at_once
    from meshsim.experiment.projection import project
    from meshsim.report.projection import line

    here = at_once(by)
    found = project(what, deployment, runs, at_once=here or 1, points=points)
    if found is not None:
        say(line(found, each=each, elsewhere=here is None))


@contextlib.contextmanager
def stoppable(message: str) -> Iterator[None]:
    """Say what Ctrl-C or SIGTERM left behind, and end with the status that shells expect."""
    try:
        with cli_stopping.interrupts():
            yield
    except KeyboardInterrupt:
        say(message)
        raise typer.Exit(cli_stopping.status()) from None


def as_typed(path: Path) -> Path:
    """Return a path relative to the folder the user is in, where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def print_json(value: Any) -> None:
    """Print the one JSON object of a command."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def say(line: str) -> None:
    """Say something beside the result, on standard error."""
    print(line, file=sys.stderr)
