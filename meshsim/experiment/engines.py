"""Who computes units: this process, processes of this machine (joblib), a Dask cluster or Ray."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, cast

from meshsim.errors import MeshsimError, Problem, ScenarioError, did_you_mean
from meshsim.experiment import work
from meshsim.experiment.units import Finished, Unit, Units
from meshsim.experiment.work import Step, Task, Watch

if TYPE_CHECKING:
    from meshsim.engine.prepared import Prepared

#: Names of engines, and the package that each needs beside meshsim's own.
ENGINES = {"local": "", "dask": "distributed", "ray": "ray"}

#: Seconds to wait for a scheduler, and for its first worker.
PATIENCE = 30.0

#: Tasks that a Dask cluster has at a time, per thread of its workers: one that runs, one that is there already.
_AHEAD = 2


class Engine(Protocol):
    """Computes tasks, in any order."""

    def run(self, tasks: Sequence[Task], watch: Watch | None = None) -> Iterator[tuple[int, Finished]]:
        """Yield the number of each task with what came out, as soon as it is there."""
        ...


def engine(name: str = "local", *, jobs: int = 1, scheduler: str = "") -> Engine:
    """Return an engine by name.

    Parameters
    ----------
    name
        One of `ENGINES`.
    jobs
        Processes of this machine, -1 for one per processor; for the engine ``local`` only.
    scheduler
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, or of a Ray cluster.

    Raises
    ------
    ScenarioError
        If there is no such engine, it is not installed, or it does not take what is given.

    Examples
    --------
    >>> engine("local", jobs=2)
    Local(jobs=2)
    >>> engine("dusk")
    Traceback (most recent call last):
    meshsim.errors.ScenarioError: --engine: unknown engine 'dusk'; did you mean 'dask'? (one of dask, local, ray)
    """
    problems = []
    if name not in ENGINES:
        problems.append(Problem(f"unknown engine '{name}'{did_you_mean(name, ENGINES)}", file="--engine"))
    elif ENGINES[name] and find_spec(ENGINES[name]) is None:
        problems.append(Problem(f"{name} is not installed; pip install 'meshsim[{name}]'", file="--engine"))
    if jobs == 0 or jobs < -1:
        problems.append(Problem(f"{jobs} processes cannot do anything; give 1 or more, or -1", file="--jobs"))
    elif name != "local" and jobs != 1:
        problems.append(Problem(f"is for the engine local; {name} has workers of its own", file="--jobs"))
    if name == "local" and scheduler:
        problems.append(Problem("is for the engines dask and ray; give --engine too", file="--scheduler"))
    if name == "dask" and not scheduler:
        problems.append(Problem("is missing; give the address that `dask scheduler` prints", file="--scheduler"))
    if problems:
        raise ScenarioError(problems)
    if name == "dask":
        return Dask(scheduler)
    if name == "ray":
        return Ray(scheduler)
    return Here() if jobs == 1 else Local(jobs)


@dataclass(frozen=True, slots=True)
class Here:
    """The process itself, one unit after the other.

    Parameters
    ----------
    ready
        The scenario of all tasks, where it is prepared already.
    """

    ready: Prepared | None = None

    def run(self, tasks: Sequence[Task], watch: Watch | None = None) -> Iterator[tuple[int, Finished]]:
        """Yield what comes out of each task; ``watch`` is told of every time bucket."""
        for number, task in enumerate(tasks):
            yield (
                number,
                work.finish(self.ready, task, watch) if self.ready is not None else work.perform(task, watch),
            )


@dataclass(frozen=True, slots=True)
class Local:
    """Processes of this machine."""

    jobs: int

    def run(self, tasks: Sequence[Task], watch: Watch | None = None) -> Iterator[tuple[int, Finished]]:
        """Yield what comes out of each task; ``watch`` is told of every unit."""
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        if not tasks:
            return
        work.compile_request_path()  # once here, not once in every worker
        workers = Parallel(n_jobs=self.jobs, return_as="generator_unordered", batch_size=1)
        try:
            for number, done in workers(delayed(_numbered)(number, task) for number, task in enumerate(tasks)):
                _tell(watch, tasks[number].unit, done)
                yield number, done
        except TerminatedWorkerError as problem:
            message = "a worker process was killed, perhaps for want of memory: try fewer --jobs"
            raise MeshsimError(message) from problem


@dataclass(frozen=True, slots=True)
class Dask:
    """The workers of a Dask scheduler; what was running on one that dies is run on another."""

    scheduler: str

    def run(self, tasks: Sequence[Task], watch: Watch | None = None) -> Iterator[tuple[int, Finished]]:
        """Yield what comes out of each task; ``watch`` is told of every unit."""
        if not tasks:
            return
        from distributed import as_completed

        with _client(self.scheduler) as client:
            waiting, running, numbers = iter(enumerate(tasks)), as_completed(loop=client.loop), dict[Any, int]()
            try:
                while True:
                    free = max(_AHEAD * sum(client.nthreads().values()), 1) - len(numbers)
                    for number, task in islice(waiting, max(free, 0)):
                        future = client.submit(_perform_words, json.dumps(task), pure=False)
                        numbers[future] = number
                        running.add(future)
                    if not numbers:
                        return
                    future = next(running)
                    done = _dask_result(future)
                    number = numbers.pop(future)
                    _tell(watch, tasks[number].unit, done)
                    yield number, done
            finally:
                client.cancel(list(numbers))


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    """Yield a client of a scheduler that has at least one worker."""
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as problem:
        message = f"no Dask scheduler answers at {address}: {problem}"
        raise ScenarioError([Problem(message, file="--scheduler")]) from problem
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as problem:
            message = f"the Dask scheduler at {address} has no workers; start some: dask worker {address} --nthreads 1"
            raise ScenarioError([Problem(message, file="--scheduler")]) from problem
        yield client


def _dask_result(future: Any) -> Finished:
    from concurrent.futures import CancelledError

    from distributed import CancelledError as Cancelled
    from distributed import KilledWorker

    try:
        found = future.result()
    except KilledWorker as problem:
        raise MeshsimError("worker after worker died of the same unit, perhaps for want of memory") from problem
    except (CancelledError, Cancelled, OSError) as problem:
        raise MeshsimError(f"the Dask scheduler is gone: {type(problem).__name__}") from problem
    except ModuleNotFoundError as problem:
        message = f"a worker lacks what it needs ({problem}): install this version of meshsim there"
        raise ScenarioError([Problem(message, file="--engine")]) from problem
    return cast("Finished", found)


@dataclass(frozen=True, slots=True)
class Ray:
    """A Ray cluster, or Ray on this machine without an address, through Ray's backend for joblib.

    That backend returns what it was given as a whole, so it is given as much at a time as it has processors.
    """

    address: str = ""

    def run(self, tasks: Sequence[Task], watch: Watch | None = None) -> Iterator[tuple[int, Finished]]:
        """Yield what comes out of each task; ``watch`` is told of every unit."""
        import ray
        from joblib import Parallel, delayed, parallel_config
        from ray.util.joblib import register_ray

        try:
            ray.init(address=self.address or None, ignore_reinit_error=True, log_to_driver=False)
        except (ConnectionError, ValueError) as problem:
            raise ScenarioError([Problem(f"no Ray cluster answers: {problem}", file="--scheduler")]) from problem
        register_ray()
        slots = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        numbered = iter(enumerate(tasks))
        with parallel_config(backend="ray", n_jobs=slots):
            while batch := list(islice(numbered, slots)):
                for number, done in Parallel(batch_size=1)(delayed(_numbered)(*item) for item in batch):
                    _tell(watch, tasks[number].unit, done)
                    yield number, done


def _numbered(number: int, task: Task) -> tuple[int, Finished]:
    return number, work.perform_elsewhere(task)


def _perform_words(words: str) -> Finished:
    """Run a task that comes as JSON: Dask looks into tuples, and would send a scenario word by word."""
    scenario, changes, unit, *others = json.loads(words)
    return work.perform_elsewhere(Task(scenario, tuple(changes), Unit(*unit), *others))


def _tell(watch: Watch | None, unit: Unit, done: Finished) -> None:
    if watch is not None:
        watch(Step(unit, float("inf"), done.calls))


def compute(
    tasks: Sequence[Task],
    names: Sequence[str],
    by: Engine,
    store: Units | None,
    *,
    watch: Watch | None = None,
    found: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Finished]]:
    """Yield the number of each task with what came out: first those that the folder has, then those computed.

    Parameters
    ----------
    tasks, names
        What to run, and the name of each in the folder (`meshsim.experiment.units.key`).
    by
        The engine.
    store
        Where finished units land, each before it is yielded; None for nowhere.
    watch
        Told of what is computed.
    found
        Told the number of each task that was there already.

    Raises
    ------
    MeshsimError
        If the engine fails; what had finished is in the folder.
    """
    missing = []
    for number, name in enumerate(names):
        known = None if store is None else store.get(name)
        if known is None:
            missing.append(number)
            continue
        if found is not None:
            found(number)
        yield number, known
    with contextlib.closing(_generator(by.run([tasks[number] for number in missing], watch))) as computed:
        for at, done in computed:
            if store is not None:
                store.put(names[missing[at]], done)
            yield missing[at], done


def _generator(found: Iterator[tuple[int, Finished]]) -> Any:
    return found
