"""Engines: the same tables from each, and plain words where one fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import meshsim
from meshsim.errors import MeshsimError, ScenarioError
from meshsim.experiment import engines, sweep, work
from meshsim.experiment.engines import Here, Local, engine
from meshsim.experiment.points import Landed
from tests.experiment.conftest import TINY

NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: meshsim[ray]")
NEEDS_DASK = pytest.mark.skipif(find_spec("distributed") is None, reason="dask is not installed: meshsim[dask]")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"name": "dusk"}, r"--engine: unknown engine 'dusk'; did you mean 'dask'\?"),
        ({"jobs": 0}, "--jobs: 0 processes cannot do anything"),
        ({"scheduler": "tcp://a:1"}, "--scheduler: is for the engines dask and ray"),
        pytest.param({"name": "dask"}, "--scheduler: is missing; give the address", marks=NEEDS_DASK),
        pytest.param({"name": "dask", "jobs": 2}, "--jobs: is for the engine local", marks=NEEDS_DASK),
    ],
)
def test_an_engine_that_cannot_be_is_a_mistake(asked: dict[str, object], problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem):
        engine(**asked)


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_an_engine_that_is_not_installed_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(ScenarioError, match=rf"{name} is not installed; pip install 'meshsim\[{name}\]'"):
        engine(name, scheduler="tcp://127.0.0.1:1")


def test_one_job_is_this_process() -> None:
    assert isinstance(engine("local", jobs=1), Here)
    assert isinstance(engine("local", jobs=2), Local)


def test_a_worker_with_other_code_refuses(tiny: meshsim.Scenario) -> None:
    given = work.task(tiny, meshsim.experiment.Unit("hybrid", 0))._replace(code="another")
    with pytest.raises(ScenarioError, match="--engine: a worker has another version of meshsim"):
        work.perform(given)


def test_a_task_is_words_and_numbers(tiny: meshsim.Scenario) -> None:
    import json

    given = work.task(tiny, meshsim.experiment.Unit("hybrid", 1), ("load.scale=2",))
    scenario, changes, unit, *_ = json.loads(json.dumps(given))
    assert (json.loads(scenario)["name"], changes, unit) == ("tiny", ["load.scale=2"], ["hybrid", 1])


@pytest.mark.slow
def test_two_processes_give_the_same_tables_as_one(tiny: meshsim.Scenario) -> None:
    planned = sweep.plan(tiny, ["load.scale=1,2"])
    assert sweep.carry_out(planned, Local(2)).equals(sweep.carry_out(planned, Here()))


@pytest.mark.slow
def test_a_killed_process_is_said_in_plain_words(tiny: meshsim.Scenario) -> None:
    planned = sweep.plan(tiny, ["load.scale=1,2"], replications=20)

    def kill(_: Landed) -> None:
        from joblib.externals.loky import reusable_executor

        for process in list(reusable_executor._executor._processes.values()):
            os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(MeshsimError, match="a worker process was killed, perhaps for want of memory"):
        sweep.carry_out(planned, Local(2), watch=kill)
    assert len(sweep.carry_out(sweep.plan(tiny, ["load.scale=1"]), Local(2)))  # and the next one works


# --- Dask: a real scheduler with two workers on loopback ----------------------------------------------------------


def started(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = started("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
    workers = [started("distributed.cli.dask_worker", address, *options) for _ in range(2)]
    try:
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


@NEEDS_DASK
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Dask's own dependencies
def test_dask_finishes_although_a_worker_is_killed_in_the_middle(cluster, tmp_path) -> None:
    address, workers = cluster
    planned = sweep.plan(meshsim.load(TINY), ["load.scale=1,2"], replications=10)
    landed: list[Landed] = []

    def watch(unit: Landed) -> None:
        landed.append(unit)
        if len(landed) == 8:
            workers[0].kill()

    found = sweep.carry_out(planned, engine("dask", scheduler=address), meshsim.experiment.Units(tmp_path), watch)
    assert len(landed) == 40
    assert workers[0].wait(10) != 0
    assert found.equals(sweep.carry_out(planned, Here()))


@NEEDS_DASK
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_a_mistake(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "PATIENCE", 1.0)
    began = time.monotonic()
    with pytest.raises(ScenarioError, match=r"--scheduler: no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        sweep.carry_out(sweep.plan(tiny, ["load.scale=1"]), engine("dask", scheduler="tcp://127.0.0.1:9"))
    assert time.monotonic() - began < 30


# --- Ray: a real one with two workers on this machine -------------------------------------------------------------

#: Sweeps with Ray; then again, and one of its workers dies when the first unit has landed; then that goes on.
RAY = """
import contextlib, json, os, signal, sys
from pathlib import Path
import ray
import meshsim
from meshsim.errors import MeshsimError
from meshsim.experiment import engines, sweep
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
tiny = meshsim.load(json.loads(sys.argv[1]))
by, store = engines.engine("ray"), meshsim.experiment.Units(Path("units"))
planned = sweep.plan(tiny, ["load.scale=1,2"])
expected = sweep.carry_out(planned, engines.Here())
said = {"same": sweep.carry_out(planned, by).equals(expected)}

own = f"HOME={os.environ['HOME']}\\0".encode()  # nobody else's Ray

def kill(_):
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words, around = (process.joinpath(name).read_bytes() for name in ("cmdline", "environ"))
            if words.startswith(b"ray::PoolActor") and own in around:
                os.kill(int(process.name), signal.SIGKILL)

try:
    sweep.carry_out(planned, by, store, kill)
    said["problem"] = ""
except MeshsimError as problem:
    said["problem"] = str(problem)
said["kept"] = len(list(store.folder.glob("*.zip")))
said["again"] = sweep.carry_out(planned, by, store).equals(expected)
print(json.dumps(said))
"""


@NEEDS_RAY
@pytest.mark.skipif(sys.platform != "linux", reason="finds Ray's workers the Linux way")
@pytest.mark.slow
def test_ray_gives_the_same_tables_and_says_when_a_worker_dies(tmp_path: Path) -> None:
    from meshsim.dataplane import jit

    own = {"HOME": str(tmp_path), "MESHSIM_CACHE_DIR": str(jit.cache_directory().parents[1])}
    environment = os.environ | own | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", RAY, json.dumps(TINY)], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Ray tells of the dead worker on standard output, too, whenever it gets to it.
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert said["same"]
    assert said["again"]
    assert "a Ray worker died" in said["problem"]
    assert said["kept"] >= 1


@NEEDS_RAY
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_that_does_not_answer_is_a_mistake_at_once(tiny: meshsim.Scenario) -> None:
    began = time.monotonic()
    with pytest.raises(ScenarioError, match=r"--scheduler: no Ray cluster answers at 127\.0\.0\.1:9"):
        sweep.carry_out(sweep.plan(tiny, ["load.scale=1"]), engine("ray", scheduler="127.0.0.1:9"))
    assert time.monotonic() - began < 30
