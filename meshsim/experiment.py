"""Many runs of one scenario: every deployment and replication, on one or several processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from meshsim.errors import Problem, ScenarioError, SimulationError, did_you_mean
from meshsim.scenario import Scenario, load

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.engine.prepared import Prepared


class Unit(NamedTuple):
    """One run: a deployment and a replication number."""

    deployment: str
    replication: int


class Step(NamedTuple):
    """Progress of a unit: simulated time (seconds) and calls ended so far."""

    unit: Unit
    time: float
    calls: int


Watch = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Tables of all finished units and the manifest that describes how they came about."""

    scenario: Scenario
    tables: Mapping[str, pd.DataFrame]
    manifest: Mapping[str, Any]


def compile_request_path() -> None:
    """Compile the request path, or load what an earlier process compiled; seconds to a minute the first time."""
    from meshsim.engine.simulation import Simulation
    from meshsim.scenario.scenario import EXAMPLE

    Simulation(load({**EXAMPLE, "duration": "1s", "warm_up": "0s"}), "multi-primary").run()


def run(
    scenario: Scenario,
    deployments: Sequence[str] = (),
    *,
    replications: int | None = None,
    jobs: int = 1,
    watch: Watch | None = None,
    collected: Callable[[], None] | None = None,
    command: Sequence[str] = (),
) -> Outcome:
    """Run a scenario under some deployments.

    Every deployment sees the same arrivals, demands and pod deaths (common random numbers). The tables do not depend
    on ``jobs``. Ctrl-C ends the experiment early: what has finished is returned, and the manifest says so.

    Parameters
    ----------
    scenario
        What to run.
    deployments
        Names of its deployments; all by default.
    replications
        Runs per deployment; the scenario's number by default.
    jobs
        Processes; -1 for one per processor.
    watch
        Told of progress: with one job at every time bucket, with more at the end of each unit.
    collected
        Called when nothing is left to simulate: from here on Ctrl-C would lose what was computed.
    command
        Words of the command line, for the manifest.

    Raises
    ------
    ScenarioError
        If a deployment is unknown, there is nothing to run, or two regions have no latency figure.
    SimulationError
        If a run lost or invented requests.
    KeyboardInterrupt
        If not a single unit had finished.
    """
    from meshsim.engine.prepared import prepare
    from meshsim.results.frames import concatenate
    from meshsim.results.manifest import describe

    document = scenario.document
    names = list(dict.fromkeys(deployments)) or list(document.deployments)
    count = document.replications if replications is None else replications
    check(scenario, names, count, jobs)
    units = [Unit(name, number) for number in range(count) for name in names]
    began = time.perf_counter()
    prepared = prepare(scenario)
    finished, interrupted = _collect(units, prepared, jobs, watch)
    if collected is not None:
        collected()
    whole = [number for number in range(count) if all(Unit(name, number) in finished for name in names)]
    if interrupted and not whole:
        raise KeyboardInterrupt
    tables = concatenate(finished[Unit(name, number)] for name in names for number in whole)
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
    )
    return Outcome(scenario, tables, manifest)


def check(scenario: Scenario, deployments: Sequence[str], replications: int, jobs: int) -> None:
    """Check what an experiment is asked for.

    Raises
    ------
    ScenarioError
        If a deployment is unknown, or there is nothing to run or nobody to run it.
    """
    known = scenario.document.deployments
    problems = [
        Problem(f"unknown deployment '{name}'{did_you_mean(name, known)}", file="--deployment")
        for name in deployments
        if name not in known
    ]
    if replications < 1:
        problems.append(Problem(f"{replications} replications are none; give 1 or more", file="--replications"))
    if jobs == 0 or jobs < -1:
        problems.append(Problem(f"{jobs} processes cannot do anything; give 1 or more, or -1", file="--jobs"))
    if problems:
        raise ScenarioError(problems)


def _collect(
    units: Sequence[Unit], prepared: Prepared, jobs: int, watch: Watch | None
) -> tuple[dict[Unit, dict[str, Any]], bool]:
    """Run the units; return the tables of those that finished, and whether Ctrl-C cut it short."""
    finished: dict[Unit, dict[str, Any]] = {}
    try:
        for unit, tables in _in_turn(units, prepared, watch) if jobs == 1 else _side_by_side(units, prepared, jobs):
            finished[unit] = tables
            if watch is not None and jobs != 1:
                watch(Step(unit, prepared.scenario.document.duration, _calls(tables)))
    except KeyboardInterrupt:
        return finished, True
    return finished, False


def _in_turn(units: Sequence[Unit], prepared: Prepared, watch: Watch | None) -> Iterator[tuple[Unit, dict[str, Any]]]:
    for unit in units:
        yield unit, run_unit(prepared, unit, watch)


def _side_by_side(units: Sequence[Unit], prepared: Prepared, jobs: int) -> Iterator[tuple[Unit, dict[str, Any]]]:
    from joblib import Parallel, delayed

    compile_request_path()  # once here, not once in every worker
    described = json.dumps(prepared.scenario.resolved())
    workers = Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield from workers(delayed(_run_described)(described, unit) for unit in units)


def _run_described(described: str, unit: Unit) -> tuple[Unit, dict[str, Any]]:
    """Run a unit in a worker process, which keeps the scenario it prepared last."""
    return unit, run_unit(_prepared(described), unit, None)


@lru_cache(maxsize=1)
def _prepared(described: str) -> Prepared:
    from meshsim.engine.prepared import prepare

    return prepare(load(json.loads(described)))


def run_unit(prepared: Prepared, unit: Unit, watch: Watch | None = None) -> dict[str, Any]:
    """Run one unit and return its tables as columns.

    Raises
    ------
    SimulationError
        If the run broke a law: arrivals are outcomes plus what is in flight.
    """
    from meshsim.engine.simulation import Simulation

    simulation = Simulation(prepared, unit.deployment, unit.replication)

    def tell(now: float) -> None:
        if watch is not None:
            watch(Step(unit, now, int(simulation.mesh.plane.world.clock[0].calls_ended)))

    tables = simulation.run(tell)
    _check_laws(prepared.scenario, unit, tables)
    if watch is not None:
        watch(Step(unit, prepared.scenario.document.duration, _calls(tables)))
    return tables


def _calls(tables: Mapping[str, Any]) -> int:
    return int(sum(tables["calls"]["count"]))


def _check_laws(scenario: Scenario, unit: Unit, tables: Mapping[str, Any]) -> None:
    totals = dict(zip(tables["totals"]["quantity"], tables["totals"]["value"], strict=True))
    counted = {"requests ended": sum(tables["requests"]["count"]), "calls ended": _calls(tables)}
    broken = [name for name, value in counted.items() if value != totals[name]]
    if totals["requests arrived"] != totals["requests ended"] + totals["requests in flight"]:
        broken.append("requests arrived")
    if broken:
        raise SimulationError(
            f"{', '.join(broken)} do not add up (scenario {scenario.document.name}, {unit.deployment}, "
            f"seed {scenario.document.seed}, replication {unit.replication}): please report this"
        )
