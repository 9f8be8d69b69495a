"""Ctrl-C and SIGTERM at any moment of a run: no traceback, the status that shells expect, nothing lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from meshsim.experiment.units import Units
from meshsim.results import store
from tests.experiment.conftest import TINY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals the Unix way")

ROOT = Path(__file__).parents[2]
#: The command line as the installed command starts it; a line on standard output says that Python itself is up.
START = "import meshsim.__main__ as entry; print('up', flush=True); entry.main()"
COMMANDS = {
    "run": ("run", "tiny.json", "-n", "16"),
    "compare": ("compare", "tiny.json", "-n", "8"),
    "sweep": ("sweep", "tiny.json", "--vary", "load.scale=0.5..2/3", "-n", "3"),
    "find": ("find", "tiny.json", "--vary", "load.scale=0.5..4", "--until", "latency_p99 > 100ms",
             "--resolution", "0.5", "--max-replications", "4"),
}  # fmt: skip


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    said: str
    seconds: float


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    return tmp_path


def ended(words: tuple[str, ...], folder: Path, after: float, number: int = signal.SIGINT) -> Ended:
    """Run a command whose whole group gets a signal after some seconds, as a terminal sends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    began = time.monotonic()
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    said = process.communicate(timeout=300)[1]
    return Ended(process.returncode, said, time.monotonic() - began)


def compiled(folder: Path) -> None:
    """Let the request path be compiled, which takes far longer than the commands that are stopped."""
    assert ended(("run", "tiny.json", "--out", "compiled"), folder, 600.0).status == 0


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "results" / "tiny").glob("*units/*.zip")}


def complete(folder: Path) -> int:
    return sum(bool(store.read(run).manifest["complete"]) for run in store.runs(folder / "results"))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_at_random_moments_is_quiet_and_loses_nothing(command: str, jobs: str, folder: Path) -> None:
    words = (*COMMANDS[command], "--jobs", jobs)
    compiled(folder)
    whole = ended((*words, "--out", "undisturbed"), folder, 600.0)
    assert whole.status == 0, whole.said
    moments = random.Random(f"{command} {jobs}")
    stopped = 0
    for _ in range(12):
        before = kept(folder)
        found = ended(words, folder, moments.uniform(0.0, whole.seconds))
        assert "Traceback" not in found.said
        assert "Warning" not in found.said
        assert found.status in {0, 130}, found.said
        stopped += found.status == 130
        if found.status == 130:
            # What had finished stays, for the next to go on from; a whole run that is saved needs it no more.
            assert before <= kept(folder) or "the tables are saved" in found.said
    assert stopped
    last = ended(words, folder, 600.0)
    assert last.status == 0, last.said


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_sigterm_ends_as_ctrl_c_does(jobs: str, folder: Path) -> None:
    words = ("compare", "tiny.json", "-n", "2000", "--jobs", jobs)
    compiled(folder)
    found = ended(words, folder, 12.0, signal.SIGTERM)
    assert found.status == 143, found.said
    assert "Traceback" not in found.said
    assert kept(folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_a_comparison_that_was_stopped_and_went_on_has_the_same_tables_to_the_last_bit(
    number: int, folder: Path
) -> None:
    words = (*COMMANDS["compare"], "--jobs", "2")
    compiled(folder)
    whole = ended((*words, "--out", "undisturbed"), folder, 600.0)
    moments, counts = random.Random(3), [0]
    for _ in range(6):
        saved = complete(folder)
        ended(words, folder, moments.uniform(0.3, 0.9) * whole.seconds, number)
        counts.append(len(kept(folder)))
        if complete(folder) > saved:
            counts = counts[-1:]  # it was faster than the signal, and needs its units no more
    assert counts == sorted(counts)
    last = ended(words, folder, 600.0)
    assert last.status == 0, last.said
    [undisturbed], runs = (store.runs(folder / name) for name in ("undisturbed", "results"))
    expected, resumed = store.read(undisturbed).manifest, store.read(runs[-1]).manifest
    assert resumed["complete"]
    assert resumed["tables"] == expected["tables"]  # with the SHA-256 of each file


def test_units_that_nobody_used_are_no_reason_to_fail(tmp_path: Path) -> None:
    Units(tmp_path / "units").discard()
