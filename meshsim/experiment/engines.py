"""Who computes units: this process, processes of this machine (joblib), a Dask cluster or Ray."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


def at_once(by: Engine | None) -> int | None:
    """Return how many runs an engine computes at the same time; None where that is for other machines to say.

    Examples
    --------
    >>> at_once(None), at_once(Local(1))
    (1, 1)
    """
    if by is None or isinstance(by, Here):
        return 1
    if not isinstance(by, Local):
        return None
    processors = os.cpu_count() or 1
    return processors if by.jobs < 0 else min(by.jobs, processors)


@dataclass(frozen=True, slots=True)
class Here:
    """The process itself, one unit after the other.

    Parameters
    ----------
    ready
        The scenarios of tasks that are prepared already, by `Task.variant`.
    """

    ready: Mapping[str, Prepared] = field(default_factory=dict)

    def run(self, tasks: Sequence[Task], watch: Watch | None = None) -> Iterator[tuple[int, Finished]]:
        """Yield what comes out of each task; ``watch`` is told of every time bucket."""
        for number, task in enumerate(tasks):
            ready = self.ready.get(task.variant)
            yield number, work.perform(task, watch) if ready is None else work.finish(ready, task, watch)


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
            with contextlib.ExitStack() as stack:
                with _deaf_children():
                    found = workers(delayed(_numbered)(number, task) for number, task in enumerate(tasks))
                    stack.callback(_end, found)
                for number, done in found:
                    _tell(watch, tasks[number].shown, done)
                    yield number, done
        except TerminatedWorkerError as problem:
            message = "a worker process was killed, perhaps for want of memory: try fewer --jobs"
            raise MeshsimError(message) from problem


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Let the processes that the body starts not hear Ctrl-C, which a terminal sends to all: this one ends them.

    Here it is heard when the body has ended. A new process keeps from its first moment on what signals are blocked and
    ignored; both, as starting a process may unblock them.
    """
    from joblib.externals.loky.backend import resource_tracker

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would unblock Ctrl-C when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    main = threading.current_thread() is threading.main_thread()  # only there handlers can be set
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(found: Any) -> None:
    """End what joblib still computes; that it had not finished is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.close()


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
                    _tell(watch, tasks[number].shown, done)
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
        if not tasks:
            return
        slots = _ray_slots(self.address)
        from joblib import Parallel, delayed, parallel_config
        from ray.exceptions import RayError
        from ray.util.joblib import register_ray

        register_ray()
        numbered = iter(enumerate(tasks))
        try:
            with parallel_config(backend="ray", n_jobs=slots), Parallel(batch_size=1) as workers:
                while batch := list(islice(numbered, slots)):
                    for number, done in workers(delayed(_numbered)(*item) for item in batch):
                        _tell(watch, tasks[number].shown, done)
                        yield number, done
        except RayError as problem:
            message = f"a Ray worker died ({type(problem).__name__}), perhaps for want of memory"
            raise MeshsimError(message) from problem


def _ray_slots(address: str) -> int:
    """Connect to Ray, where that is not done yet, and return how many processors it has."""
    import ray

    if not ray.is_initialized():
        on_request = signal.getsignal(signal.SIGTERM)
        try:
            _knock(address)
            ray.init(address=address or None, log_to_driver=False, logging_level="ERROR")
        except (OSError, ValueError, RuntimeError) as problem:
            message = f"no Ray cluster answers at {address or 'this machine'}: {problem}"
            raise ScenarioError([Problem(message, file="--scheduler")]) from problem
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_request)  # Ray would have set its own
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _knock(address: str) -> None:
    """Look whether anyone listens at an address, as Ray itself would try for minutes.

    Raises
    ------
    OSError
        If nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


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

    When all are there the folder is tidied (`Units.tidy`).

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
    if store is not None:
        store.tidy()


def _generator(found: Iterator[tuple[int, Finished]]) -> Any:
    return found
