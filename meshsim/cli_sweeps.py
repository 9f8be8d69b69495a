"""``meshsim sweep``, ``find`` and ``sensitivity``: what happens at many points of a scenario."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshsim.cli_shared import (
    EngineOption,
    JobsOption,
    JsonOption,
    OutOption,
    ReplicationsOption,
    ScenarioArgument,
    SchedulerOption,
    SetOption,
    VariantOption,
    as_typed,
    compile_once,
    load_scenario,
    print_json,
    say,
    say_how_long,
    stoppable,
)

if TYPE_CHECKING:
    from meshsim.api import Scenario
    from meshsim.experiment import Units
    from meshsim.experiment.engines import Engine
    from meshsim.experiment.points import Job, Watch
    from meshsim.experiment.sweep import Plan
    from meshsim.report.sweep_files import Cost

VaryOption = Annotated[
    list[str],
    typer.Option(
        "--vary",
        metavar="PATH=VALUES",
        help="what varies: load.scale=1,2,4 or load.scale=0.5..2/7 or 0.5..2/7/log; may be repeated",
    ),
]
DeploymentsOption = Annotated[
    str | None,
    typer.Option(
        "--deployments",
        metavar="NAMES",
        help="deployments of the scenario with commas between, or all, which is the default; with --variant that is the"
        " one it is a variant of",
    ),
]
MetricOption = Annotated[
    list[str],
    typer.Option("--metric", metavar="METRIC", help="what is shown, such as 'latency_p99 in during'; may be repeated"),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        short_help="run a scenario at many points",
        epilog="Example: meshsim sweep mymesh.yaml --vary load.scale=0.5..2/7 --vary gateways.eu-1.replicas=1,2,4 -n 5",
    )(sweep)
    app.command(
        short_help="find the point at which a scenario breaks",
        epilog="Example: meshsim find mymesh.yaml --vary load.scale=0.5..4 --until 'success_rate < 99.9%'",
    )(find)
    app.command(
        short_help="find out what a metric depends on",
        epilog="Example: meshsim sensitivity mymesh.yaml --vary load.scale=0.5..2 --vary sidecar.concurrency=1..4 "
        "--metric latency_p99",
    )(sensitivity)


def sweep(
    scenario: ScenarioArgument,
    vary: VaryOption = [],  # noqa: B006 (typer copies it)
    deployments: DeploymentsOption = None,
    changes: SetOption = [],  # noqa: B006
    variant: VariantOption = None,
    design: Annotated[
        str, typer.Option("--design", metavar="NAME", help="grid, list, random, sobol or lhs (Latin hypercube)")
    ] = "grid",
    points: Annotated[
        int | None, typer.Option("--points", metavar="N", help="how many points random, sobol and lhs draw")
    ] = None,
    metric: MetricOption = [],  # noqa: B006
    replications: ReplicationsOption = None,
    jobs: JobsOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = "",
    out: OutOption = Path("results"),
    json_output: JsonOption = False,
) -> None:
    """Run a scenario at many points, under some deployments, and set the results side by side.

    Every run lands in a folder below --out when it has finished: the same command run again computes what is missing.
    """
    from meshsim.analysis.wanted import all_wanted
    from meshsim.experiment import engines
    from meshsim.experiment import sweep as sweeping_
    from meshsim.report import sweep as report
    from meshsim.report.sweep_files import save_sweep
    from meshsim.report.sweep_frame import Sweep

    loaded = load_scenario(scenario, changes, variant)
    planned = sweeping_.plan(
        loaded, vary, _names(deployments, loaded, variant), replications=replications, design=design, points=points
    )
    wanted = all_wanted(metric or report.METRICS, loaded.document)
    by = engines.engine(engine, jobs=jobs, scheduler=scheduler)
    store = _ready(loaded, out)
    if planned.note:
        say(f"note: {planned.note}")
    _announce(planned, quiet=json_output)
    before = partial(_say_how_long, loaded, planned.jobs, by, store)
    with _watched(len(planned.jobs), store, quiet=json_output, before=before) as (watch, cost):
        found = Sweep(sweeping_.carry_out(planned, by, store, watch), plan=planned)
        summary = sweeping_.summary(found, wanted)
        folder = as_typed(save_sweep(found, out, wanted, ["meshsim", *sys.argv[1:]], summary=summary, cost=cost))
    if json_output:
        shown = [{"metric": str(one), "rows": report.records(one.of(summary))} for one in wanted]
        print_json({"folder": str(folder), **planned.described(), "metrics": shown})
        return
    sys.stdout.write(report.plain(summary, found.varied, wanted))
    print(f"\nSaved in {folder}")


def find(
    scenario: ScenarioArgument,
    vary: Annotated[
        str, typer.Option("--vary", metavar="PATH=LOW..HIGH", help="what varies, such as load.scale=0.5..4 (or ../log)")
    ],
    until: Annotated[
        str, typer.Option("--until", metavar="BOUND", help="what is broken, such as 'success_rate < 99.9%'")
    ],
    deployments: DeploymentsOption = None,
    changes: SetOption = [],  # noqa: B006
    variant: VariantOption = None,
    resolution: Annotated[
        float | None,
        typer.Option("--resolution", metavar="STEP", help="how close to get; a hundredth of the range by default"),
    ] = None,
    replications: Annotated[
        int, typer.Option("--replications", "-n", help="runs of each point at first; more where they do not tell")
    ] = 3,
    most: Annotated[int, typer.Option("--max-replications", metavar="N", help="runs of each point at most")] = 24,
    jobs: JobsOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = "",
    out: OutOption = Path("results"),
    json_output: JsonOption = False,
) -> None:
    """Find the point of a range at which a scenario breaks, by bisection, with its interval.

    A point is fine, or broken, when the whole interval over its replications says so; else it gets more of them.
    """
    from meshsim.experiment import engines
    from meshsim.experiment import find as finding
    from meshsim.report import sweep as report
    from meshsim.report.sweep_files import save_search

    loaded = load_scenario(scenario, changes, variant)
    search = finding.search(
        loaded,
        vary,
        until,
        _names(deployments, loaded, variant),
        resolution=resolution,
        replications=replications,
        most=most,
    )
    by = engines.engine(engine, jobs=jobs, scheduler=scheduler)
    store = _ready(loaded, out)
    with _watched(0, store, quiet=json_output) as (watch, cost):
        found = finding.carry_out(search, by, store, watch)
        folder = as_typed(save_search(found, search, out, ["meshsim", *sys.argv[1:]], cost=cost))
    if json_output:
        print_json({"folder": str(folder), **report.breaking_json(found, search)})
        return
    sys.stdout.write(report.breaking(found, search))
    print(f"\nSaved in {folder}")


def sensitivity(
    scenario: ScenarioArgument,
    vary: VaryOption = [],  # noqa: B006
    metric: MetricOption = [],  # noqa: B006
    deployments: DeploymentsOption = None,
    changes: SetOption = [],  # noqa: B006
    variant: VariantOption = None,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="tornado (one at a time) or sobol (indices, all together)")
    ] = "tornado",
    points: Annotated[
        int | None, typer.Option("--points", metavar="N", help="of sobol: a power of two, of which it takes fields + 2")
    ] = None,
    replications: ReplicationsOption = None,
    jobs: JobsOption = 1,
    engine: EngineOption = "local",
    scheduler: SchedulerOption = "",
    out: OutOption = Path("results"),
    json_output: JsonOption = False,
) -> None:
    """Find out which fields a metric depends on, and how much."""
    from meshsim.experiment import engines
    from meshsim.experiment import sensitivity as studying
    from meshsim.report import sweep as report
    from meshsim.report.sweep_files import save_study

    loaded = load_scenario(scenario, changes, variant)
    study = studying.study(
        loaded, vary, metric or report.METRICS, _names(deployments, loaded, variant), method=method, points=points,
        replications=replications,
    )  # fmt: skip
    by = engines.engine(engine, jobs=jobs, scheduler=scheduler)
    store = _ready(loaded, out)
    before = partial(_say_how_long, loaded, study.jobs, by, store)
    with _watched(len(study.jobs), store, quiet=json_output, before=before) as (watch, cost):
        frame = studying.carry_out(study, by, store, watch)
        folder = as_typed(save_study(frame, study, loaded, out, ["meshsim", *sys.argv[1:]], cost=cost))
    if json_output:
        print_json({"folder": str(folder), "method": method, "rows": report.records(frame)})
        return
    sys.stdout.write(report.tornado(frame) if method == "tornado" else report.indices(frame))
    print(f"\nSaved in {folder}")


def _names(given: str | None, loaded: Scenario, variant: str | None) -> list[str]:
    """Return the deployments asked for: by default none, which is all, or the one that a variant is a variant of."""
    if given is None:
        return [] if variant is None else list(loaded.document.deployments)[:1]
    return [name.strip() for name in given.split(",") if name.strip()]


def _ready(loaded: Scenario, out: Path) -> Units:
    """Return the folder of units, after a look whether it can be written, and say what the scenario warns of."""
    from meshsim.experiment import Units
    from meshsim.results.store import check_writable

    check_writable(out)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return Units(out / loaded.document.name / "units")


def _announce(planned: Plan, *, quiet: bool) -> None:
    if not quiet:
        points, names, count = len(planned.points), len(planned.deployments), planned.replications
        say(f"{points} points, {names} deployments, {count} replications: {len(planned.jobs)} units")


def _say_how_long(loaded: Scenario, jobs: Sequence[Job], by: Engine, store: Units) -> None:
    """Say what the jobs that are still to be done will take, by some of them from all over the sweep."""
    import json

    from meshsim.scenario import load

    missing = [job for job in jobs if not store.has(job.name)]
    some = {job.task.changes: job.task.scenario for job in missing[:: max(len(missing) // 8, 1)]}
    points = [load(json.loads(text), changes).document for changes, text in some.items()]
    if missing:
        say_how_long(loaded, missing[0].task.unit.deployment, len(missing), by, points=points)


@contextmanager
def _watched(
    total: int, store: Units, *, quiet: bool, before: Callable[[], None] | None = None
) -> Iterator[tuple[Watch, Cost]]:
    """Compile, do what is to be done before, show progress, count what it takes, and say on Ctrl-C what is kept."""
    from meshsim.report.sweep_files import Cost
    from meshsim.report.sweep_progress import sweeping

    with stoppable(f"stopped; what had finished is kept in {store.folder}: the same command goes on from there"):
        compile_once(quiet=quiet)
        if before is not None and not quiet:
            before()
        with sweeping(total, quiet=quiet) as watch:
            cost = Cost()
            yield cost.watching(watch), cost
