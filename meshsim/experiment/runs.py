"""Runs of one scenario: every deployment and replication, on one or several processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshsim.analysis.phases import phases
from meshsim.errors import Problem, ScenarioError
from meshsim.experiment.engines import Engine, Here, Local, compute
from meshsim.experiment.precision import Precision, Sequential
from meshsim.experiment.stress import reporting
from meshsim.experiment.units import Unit, Units, key, misfits
from meshsim.experiment.variants import Arm, deployed, described
from meshsim.experiment.work import Step, Task, Watch, task
from meshsim.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Outcome:
    """Tables of all finished units and the manifest that describes how they came about."""

    scenario: Scenario
    tables: Mapping[str, pd.DataFrame]
    manifest: Mapping[str, Any]


def run(
    scenario: Scenario,
    deployments: Sequence[str] = (),
    *,
    replications: int | None = None,
    jobs: int = 1,
    engine: Engine | None = None,
    store: Units | None = None,
    precision: Precision | None = None,
    watch: Watch | None = None,
    collected: Callable[[], None] | None = None,
    command: Sequence[str] = (),
    compared: Mapping[str, Arm] | None = None,
) -> Outcome:
    """Run a scenario under some deployments, or the variants of one.

    Every deployment sees the same arrivals, demands and pod deaths (common random numbers). The tables do not depend
    on ``jobs``. Ctrl-C ends the experiment early: what has finished is returned, and the manifest says so.

    Parameters
    ----------
    scenario
        What to run.
    deployments
        Names of its deployments; all by default.
    replications
        Runs per deployment; the scenario's number by default. With ``precision`` the number follows from the results.
    jobs
        Processes; -1 for one per processor.
    engine
        Who computes; by default this machine, with that many processes.
    store
        Where each unit lands when it has finished, and is found when the same experiment is run again.
    precision
        Go on until the headline metrics are known so well.
    watch
        Told of progress: with one job at every time bucket, with more at the end of each unit.
    collected
        Called when nothing is left to simulate: from here on Ctrl-C would lose what was computed.
    command
        Words of the command line, for the manifest.
    compared
        Run, instead of deployments, the one that ``what_if`` of the scenario names, and its variants, as
        `meshsim.experiment.variants.arms` gives them: their results stand under their names, as those of deployments
        do.

    Raises
    ------
    ScenarioError
        If a deployment is unknown, there is nothing to run, or two regions have no latency figure.
    MeshsimError
        If the engine fails.
    SimulationError
        If a run lost or invented requests.
    KeyboardInterrupt
        If not a single unit had finished.
    """
    from meshsim.engine.prepared import prepare
    from meshsim.results.frames import concatenate
    from meshsim.results.manifest import describe

    document = scenario.document
    arms = deployed(scenario, deployments) if compared is None else compared
    names = list(arms)
    look = None if precision is None else Sequential(precision, phases(document))
    count = look.first() if look else document.replications if replications is None else replications
    check(scenario, [one.deployment for one in arms.values()], count, jobs)
    began = time.perf_counter()
    base = prepare(scenario)
    ready = {one.name: base if one.scenario is scenario else prepare(one.scenario) for one in arms.values()}
    by = engine or (Here(ready) if jobs == 1 else Local(jobs))
    finished: dict[Unit, Mapping[str, Any]] = {}
    interrupted, more = False, count
    while more and not interrupted:
        fresh = range(count - more, count)
        units = [Unit(name, number) for number in fresh for name in names]
        done, interrupted = _collect(arms, units, by, store, watch)
        finished.update(done)
        more = 0
        if look is not None and not interrupted:
            more, interrupted = _more(look, finished, names, fresh)
        count += more
    if collected is not None:
        collected()
    whole = [number for number in range(count) if all(Unit(name, number) in finished for name in names)]
    if interrupted and not whole:
        raise KeyboardInterrupt
    tables = concatenate(finished[Unit(name, number)] for name in names for number in whole)
    stopped = look.report() if look else None
    manifest = describe(
        scenario.resolved(),
        scenario_hash=scenario.hash,
        seed=document.seed,
        deployments=names,
        replications_asked=count,
        replications_finished=len(whole),
        wall_time=time.perf_counter() - began,
        command=command,
        complete=not interrupted,
        precision=stopped,
        study=reporting(scenario, names, len(whole), stopped, {one.name: one.changes for one in arms.values()}),
        what_if=None if compared is None else described(compared),
    )
    return Outcome(scenario, tables, manifest)


def _more(
    look: Sequential, finished: Mapping[Unit, Mapping[str, Any]], names: Sequence[str], fresh: Sequence[int]
) -> tuple[int, bool]:
    """Return how many more replications are wanted, now that these have finished, and whether Ctrl-C cut it short."""
    from meshsim.results.frames import concatenate

    try:
        tables = [concatenate(finished[Unit(name, number)] for name in names) for number in fresh]
        return look.more(tables), False
    except KeyboardInterrupt:
        return 0, True


def check(scenario: Scenario, deployments: Sequence[str], replications: int, jobs: int) -> None:
    """Check what an experiment is asked for.

    Raises
    ------
    ScenarioError
        If a deployment is unknown, or there is nothing to run or nobody to run it.
    """
    problems = misfits(scenario.document.deployments, deployments, replications, "--deployment")
    if jobs == 0 or jobs < -1:
        problems.append(Problem(f"{jobs} processes cannot do anything; give 1 or more, or -1", file="--jobs"))
    if problems:
        raise ScenarioError(problems)


def _collect(
    compared: Mapping[str, Arm], units: Sequence[Unit], by: Engine, store: Units | None, watch: Watch | None
) -> tuple[dict[Unit, Mapping[str, Any]], bool]:
    """Run the units; return the tables of those that finished, and whether Ctrl-C cut it short."""
    finished: dict[Unit, Mapping[str, Any]] = {}
    tasks = _tasks(compared, units)
    asked = zip((compared[unit.deployment].scenario for unit in units), tasks, strict=True)
    names = [key(scenario, one.unit) if store is not None else "" for scenario, one in asked]
    duration = compared[units[0].deployment].scenario.document.duration

    def tell(step: Step) -> None:
        if watch is not None:
            watch(step._replace(time=min(step.time, duration)))

    def found(number: int) -> None:
        tell(Step(units[number], duration, 0))

    try:
        for number, done in compute(tasks, names, by, store, watch=tell, found=found):
            finished[units[number]] = compared[units[number].deployment].labelled(done.tables())
    except KeyboardInterrupt:
        return finished, True
    return finished, False


def _tasks(compared: Mapping[str, Arm], units: Sequence[Unit]) -> list[Task]:
    """Return units, which have the names of what is compared, as tasks."""
    of_scenario: dict[int, Task] = {}  # a large one is long as text
    found = []
    for unit in units:
        one = compared[unit.deployment]
        if id(one.scenario) not in of_scenario:
            of_scenario[id(one.scenario)] = task(one.scenario, unit)
        own = Unit(one.deployment, unit.replication)
        found.append(of_scenario[id(one.scenario)]._replace(unit=own, variant=unit.deployment))
    return found
