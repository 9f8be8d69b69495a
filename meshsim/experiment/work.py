"""What a worker does: run one unit of a scenario that it got as text, and check its laws."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from meshsim.errors import Problem, ScenarioError, SimulationError
from meshsim.experiment.shipping import packed, unpack
from meshsim.experiment.units import Finished, Unit, simulator
from meshsim.scenario import Scenario, load

if TYPE_CHECKING:
    from meshsim.engine.prepared import Prepared


class Step(NamedTuple):
    """Progress of a unit: simulated time (seconds) and calls ended so far."""

    unit: Unit
    time: float
    calls: int


Watch = Callable[[Step], None]


class Task(NamedTuple):
    """A unit as it is sent to a worker: words and numbers only.

    Parameters
    ----------
    scenario
        The resolved scenario as JSON.
    changes
        Changes to it as ``path=value``.
    unit
        What to run of it.
    code
        Hash of the simulator that asks (`meshsim.experiment.units.simulator`).
    tables, summary
        What is wanted of the results.
    variant
        Under which name its results stand, of a deployment or a variant; empty for none. No result depends on it.
    own
        Load balancers of the user's own (`meshsim.experiment.shipping`).
    """

    scenario: str
    changes: tuple[str, ...]
    unit: Unit
    code: str
    tables: bool
    summary: bool
    variant: str = ""
    own: tuple[str, ...] = ()

    @property
    def shown(self) -> Unit:
        """The unit as progress is told of it."""
        return self.unit._replace(deployment=self.variant) if self.variant else self.unit


def task(
    scenario: Scenario, unit: Unit, changes: tuple[str, ...] = (), *, tables: bool = True, summary: bool = False
) -> Task:
    """Return a unit of a scenario as a task."""
    text = json.dumps(scenario.resolved())
    return Task(text, changes, unit, simulator(), tables, summary, own=packed([text, *changes]))


def compile_request_path() -> None:
    """Compile the request path, or load what an earlier process compiled; seconds to a minute the first time.

    Of several processes that begin at once one compiles, and the others wait for it.
    """
    from meshsim.dataplane.jit import compiling
    from meshsim.engine.simulation import Simulation
    from meshsim.scenario.scenario import EXAMPLE

    with compiling():
        Simulation(load({**EXAMPLE, "duration": "1s", "warm_up": "0s"}), "multi-primary").run()


def perform(given: Task, watch: Watch | None = None) -> Finished:
    """Run a task in this process, which keeps the scenario that it prepared last.

    Raises
    ------
    ScenarioError
        If this process has another version of meshsim than the one that asks.
    SimulationError
        If the run broke a law.
    """
    if given.code != simulator():
        message = "a worker has another version of meshsim, or of Python, numpy, numba or SimPy, than this process"
        raise ScenarioError([Problem(message, file="--engine")])
    return finish(prepared(given.scenario, given.changes, tuple(given.own)), given, watch)


def finish(ready: Prepared, given: Task, watch: Watch | None = None) -> Finished:
    """Run a task of a scenario that is prepared already, and return what it asks for."""
    began = time.perf_counter()
    tell = None if watch is None else lambda step: watch(step._replace(unit=given.shown))
    columns = run_unit(ready, given.unit, tell)
    summary = None
    if given.summary:
        from meshsim.analysis.summary import phases, summarize
        from meshsim.results.frames import concatenate

        document = ready.scenario.document
        summary = summarize(concatenate([columns]), phases(document), document)
    seconds = time.perf_counter() - began
    return Finished(calls_of(columns), seconds, columns if given.tables else None, None, summary)


def perform_elsewhere(given: Task) -> Finished:
    """Run a task for another process: its tables travel as one compressed piece.

    On a machine where nothing is compiled yet one worker compiles, and the others wait for it.
    """
    from meshsim.dataplane.jit import is_compiled

    if not is_compiled():
        compile_request_path()
    done = perform(given)
    return Finished(done.calls, done.seconds, None, done.packed() if given.tables else None, done.summary)


@lru_cache(maxsize=1)
def prepared(scenario: str, changes: tuple[str, ...], own: tuple[str, ...] = ()) -> Prepared:
    """Return a scenario, given as JSON, with changes and ready to run, and with the load balancers that it names."""
    from meshsim.engine.prepared import prepare

    unpack(own)
    return prepare(load(json.loads(scenario), changes))


def run_unit(ready: Prepared, unit: Unit, watch: Watch | None = None) -> dict[str, Any]:
    """Run one unit and return its tables as columns.

    Raises
    ------
    SimulationError
        If the run broke a law: arrivals are outcomes plus what is in flight.
    """
    from meshsim.engine.simulation import Simulation

    simulation = Simulation(ready, unit.deployment, unit.replication)

    def tell(now: float) -> None:
        if watch is not None:
            watch(Step(unit, now, int(simulation.mesh.plane.world.clock[0].calls_ended)))

    tables = simulation.run(tell)
    _check_laws(ready.scenario, unit, tables)
    if watch is not None:
        watch(Step(unit, ready.scenario.document.duration, calls_of(tables)))
    return tables


def calls_of(tables: Mapping[str, Any]) -> int:
    """Return how many calls between services ended in a run."""
    return _total(tables["calls"]["count"])


def _total(counts: Any) -> int:
    """Return a sum that takes no Python object for each of millions of rows."""
    import numpy as np

    return int(np.sum(counts, dtype=np.int64))


def _check_laws(scenario: Scenario, unit: Unit, tables: Mapping[str, Any]) -> None:
    totals = dict(zip(tables["totals"]["quantity"], tables["totals"]["value"], strict=True))
    counted = {"requests ended": _total(tables["requests"]["count"]), "calls ended": calls_of(tables)}
    broken = [name for name, value in counted.items() if value != totals[name]]
    if totals["requests arrived"] != totals["requests ended"] + totals["requests in flight"]:
        broken.append("requests arrived")
    if broken:
        raise SimulationError(
            f"{', '.join(broken)} do not add up (scenario {scenario.document.name}, {unit.deployment}, "
            f"seed {scenario.document.seed}, replication {unit.replication}): please report this"
        )
