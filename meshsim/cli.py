"""The command line: ``meshsim compare``, ``run``, ``validate`` and what goes with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from meshsim import cli_decide, cli_report, cli_stopping, cli_sweeps
from meshsim.cli_running import Computed, carry_out
from meshsim.cli_shared import (
    FAILED,
    MISTAKE,
    BudgetOption,
    CheckOption,
    DeploymentOption,
    EngineOption,
    FullOption,
    JobsOption,
    JsonOption,
    MaxReplicationsOption,
    OutOption,
    PrecisionOption,
    ReplicationsOption,
    ScenarioArgument,
    SchedulerOption,
    SetOption,
    VariantOption,
    WhatIfOption,
    compile_once,
    how_many,
    load_scenario,
    print_json,
    say,
    stoppable,
)
from meshsim.errors import MeshsimError, SimulationError

if TYPE_CHECKING:
    from meshsim.api import Comparison
    from meshsim.experiment import Precision

app = typer.Typer(
    name="meshsim",
    help="Simulate one service mesh under several Istio multi-cluster deployments and compare what users notice.",
    epilog="Start with: meshsim scenarios; then: meshsim compare online-boutique-primary-outage",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command(
    short_help="run all deployments of a scenario side by side",
    epilog="Example: meshsim compare online-boutique-primary-outage --set duration=8m --jobs 2",
)
def compare(
    scenario: ScenarioArgument,
    deployment: DeploymentOption = [],  # noqa: B006 (typer copies it)
    changes: SetOption = [],  # noqa: B006
    replications: ReplicationsOption = None,
    precision: PrecisionOption = None,
    max_replications: MaxReplicationsOption = None,
    budget: BudgetOption = None,
    jobs: JobsOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = "",
    out: OutOption = Path("results"),
    json_output: JsonOption = False,
    full: FullOption = False,
    check: CheckOption = False,
    what_if: WhatIfOption = False,
) -> None:
    """Run every deployment of a scenario under the same load and failures, and set the results side by side.

    With --what-if: one deployment, and the variants of it that the scenario has.

    Saves tables (Parquet), a manifest and pictures (PNG, SVG) in a new folder below --out.
    """
    printed = Printed(json_output, full, check)
    by, count = Computed(engine, scheduler, jobs), how_many(replications, precision, max_replications, budget)
    _experiment(scenario, deployment, changes, count, by, out, printed, what_if=what_if)


@app.command(
    short_help="run one deployment of a scenario",
    epilog="Example: meshsim run mymesh.yaml -d hybrid --set load.frontend.rate=400/s -n 5",
)
def run(
    scenario: ScenarioArgument,
    deployment: Annotated[
        str | None, typer.Option("--deployment", "-d", metavar="NAME", help="which; the scenario's first by default")
    ] = None,
    changes: SetOption = [],  # noqa: B006
    variant: VariantOption = None,
    replications: ReplicationsOption = None,
    precision: PrecisionOption = None,
    max_replications: MaxReplicationsOption = None,
    budget: BudgetOption = None,
    jobs: JobsOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = "",
    out: OutOption = Path("results"),
    json_output: JsonOption = False,
    full: FullOption = False,
    check: CheckOption = False,
) -> None:
    """Run one deployment of a scenario and print what it did.

    Saves tables (Parquet), a manifest and pictures (PNG, SVG) in a new folder below --out.
    """
    printed = Printed(json_output, full, check)
    by, count = Computed(engine, scheduler, jobs), how_many(replications, precision, max_replications, budget)
    _experiment(scenario, [deployment] if deployment else None, changes, count, by, out, printed, variant=variant)


cli_sweeps.register(app)
cli_report.register(app)
cli_decide.register(app)


@app.command(short_help="check scenario files: all problems at once")
def validate(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="scenario files, or bundled names")],
    changes: SetOption = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 if there is a warning or a lint")] = False,
    json_output: JsonOption = False,
) -> None:
    """Check scenario files: every problem at once, with file, line and the nearest valid name.

    Then lint them: say which settings are valid and do not do what their author may think (codes: docs/lint.md).
    """
    from meshsim.report.validation import checked

    report = [checked(name, lambda source: load_scenario(source, changes)) for name in scenarios]
    if json_output:
        print_json({"scenarios": [found.to_json() for found in report]})
    for found in report if not json_output else ():
        for line in found.lines():
            say(line)
        if not found.problems:
            print(f"{found.name}: valid")
    if any(found.problems for found in report):
        raise typer.Exit(MISTAKE)
    if strict and any(found.warnings or found.lints for found in report):
        raise typer.Exit(FAILED)


@app.command(
    short_help="show what one proxy sees of a service and will do",
    epilog="Example: meshsim explain helloworld-locality-failover --from eu-1/sleep --to helloworld --at 65s",
)
def explain(
    scenario: ScenarioArgument,
    source: Annotated[
        str,
        typer.Option("--from", metavar="PROXY", help="CLUSTER/SERVICE, CLUSTER/SERVICE/POD, ingress@CLUSTER"),
    ],
    to: Annotated[str, typer.Option("--to", metavar="SERVICE", help="the service that it asks")],
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="simulated time, such as 3m; the run is simulated up to it")
    ] = "0s",
    deployment: Annotated[
        str | None, typer.Option("--deployment", "-d", metavar="NAME", help="which; the scenario's first by default")
    ] = None,
    headers: Annotated[
        list[str],
        typer.Option("--headers", metavar="NAME=VALUE", help="of the request; may be repeated"),
    ] = [],  # noqa: B006
    changes: SetOption = [],  # noqa: B006
    variant: VariantOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show what one proxy sees of a service at one instant, and what it will do with requests for it.

    Routes and their rules; endpoints with locality, priority, weight and health; loads of priorities; circuit breakers;
    the effective policy; and where each value comes from: a resource, the mesh, or Istio's default.
    """
    from meshsim import explain as explaining
    from meshsim.report.explanation import text

    instant, sent = explaining.instant(at), explaining.headers(headers)
    loaded = load_scenario(scenario, changes, variant)
    explaining.check(loaded, source, to, at=instant, deployment=deployment)
    with stoppable("stopped"):
        compile_once(quiet=json_output)
        found = explaining.explain(loaded, source, to, at=instant, deployment=deployment, headers=sent)
    if json_output:
        print_json(found.to_json())
    else:
        sys.stdout.write(text(found))


@app.command(short_help="print the JSON schema of scenario files")
def schema() -> None:
    """Print the JSON schema of scenario files, from which editors complete and check them."""
    from meshsim.scenario import json_schema

    print_json(json_schema())


@app.command(short_help="list the bundled scenarios")
def scenarios(json_output: JsonOption = False) -> None:
    """List the bundled scenarios, one line each."""
    from meshsim.scenario import bundled, describe

    known = describe()
    if json_output:
        paths = bundled()
        print_json({"scenarios": [{"name": n, "description": d, "file": str(paths[n])} for n, d in known]})
        return
    width = max((len(name) for name, _ in known), default=0)
    for name, description in known:
        print(f"{name:<{width}}  {description}")


@app.command(short_help="draw a saved run's pictures again")
def plot(
    results: Annotated[Path, typer.Argument(metavar="RUN", help="a folder that compare or run has saved")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="another folder for the pictures")
    ] = None,
) -> None:
    """Draw the pictures of a saved run again, without simulating."""
    from meshsim.api import read

    for path in read(results).plot.save(out or results):
        print(path)


@app.command(short_help="measure calls per second beside yardsticks")
def bench(json_output: JsonOption = False) -> None:
    """Measure calls per second beside two yardsticks, in one process and one after the other."""
    from meshsim import bench as benchmark

    with stoppable("stopped"):
        compile_once(quiet=json_output)
        measured = benchmark.run(None if json_output else say)
    if json_output:
        print_json(benchmark.to_json(measured))
    else:
        print(benchmark.table(measured))


@app.command(short_help="check against theory and the model's own laws")
def verify(json_output: JsonOption = False) -> None:
    """Check the simulator against queueing theory and its own laws, in under a minute."""
    from meshsim import verify as verification
    from meshsim.report.terminal import counting

    with stoppable("stopped"), counting("verifying", show=sys.stderr.isatty() and not json_output) as watch:
        compile_once(quiet=json_output)
        checks = verification.verify(watch)
    if json_output:
        print_json(verification.to_json(checks))
    else:
        print(verification.table(checks))
    if not all(check.passed for check in checks):
        raise typer.Exit(FAILED)


def _version(wanted: bool) -> None:
    if wanted:
        from meshsim import __version__

        print(f"meshsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    pass


# --- the work of compare and run --------------------------------------------------------------------------------


class Printed(NamedTuple):
    """What is printed of an experiment, and whether what the scenario expects decides how it ends."""

    json: bool
    full: bool
    check: bool


def _experiment(
    name: str, deployments: list[str] | None, changes: list[str], wanted: int | Precision | None, by: Computed,
    out: Path, printed: Printed, *, what_if: bool = False, variant: str | None = None,
) -> None:  # fmt: skip
    """Run, save, print and draw; without ``deployments`` the scenario's first."""
    from meshsim import experiment
    from meshsim.analysis import expectations
    from meshsim.experiment.variants import arms, deployed

    loaded = load_scenario(name, changes, variant)
    if deployments is None:
        deployments = list(loaded.document.deployments)[:1]
    variants = cache(partial(arms, loaded, deployments)) if what_if else None  # which judges each

    def show(comparison: Comparison, folder: Path) -> None:
        _print_comparison(comparison, folder, printed)

    if printed.check:
        experiment.check(loaded, deployments, 1, by.jobs)  # unknown names first: nothing is expected of those
        names = list(variants() if variants is not None else deployed(loaded, deployments))
        expectations.require(loaded.document, names, loaded.file)
    comparison = carry_out(loaded, deployments, wanted, by, out, show, quiet=printed.json, variants=variants)
    if printed.check and not all(result.holds for result in comparison.checked):
        raise typer.Exit(FAILED)


def _print_comparison(comparison: Comparison, folder: Path, printed: Printed) -> None:
    from meshsim.report.expectations import lines

    if printed.json:
        print_json({"folder": str(folder), "complete": comparison.manifest["complete"], **comparison.to_json()})
        return
    comparison.print(full=printed.full)
    if printed.check:
        print("", *lines(comparison.checked, comparison.plot.document.expect), sep="\n")
    print(f"\nSaved in {folder}", flush=True)


def _guarded(work: Callable[[], Any]) -> int:
    """Return the exit status of a piece of work; what a user did wrong is said in plain lines, without a traceback."""
    try:
        work()
    except SimulationError:
        raise  # a bug of ours: the traceback is wanted
    except MeshsimError as error:
        say(str(error))
        return MISTAKE
    return 0


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        sys.exit(_guarded(app))
    finally:
        cli_stopping.ignore()
