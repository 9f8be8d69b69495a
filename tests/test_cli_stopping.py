from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: A process that never comes to an end once it is interrupted, and has a child.
STUCK = """
import multiprocessing, signal, threading, time
from meshsim import cli_stopping

cli_stopping.PATIENCE = 0.3
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
child.start()
lock = threading.Lock()
lock.acquire()
try:
    with cli_stopping.interrupts():
        signal.raise_signal(signal.SIGINT)
finally:
    {saving}
    lock.acquire()
"""

#: A process that is interrupted while it imports multiprocessing.
HALF_IMPORTED = """
import signal, sys, types
from meshsim import cli_stopping

sys.modules["multiprocessing.process"] = types.ModuleType("multiprocessing.process")
cli_stopping.end_at_once()
signal.raise_signal(signal.SIGINT)
"""


#: A process that is interrupted when all is done, with worker processes that wait for more to do.
WAITING = """
import signal
from joblib import Parallel, delayed
from meshsim import cli_stopping
from meshsim.experiment.engines import _deaf_children

cli_stopping.end_at_once()
with _deaf_children():
    print(Parallel(n_jobs=2)(delayed(abs)(number) for number in range(2)), flush=True)
signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_what_waits_for_ever_after_an_interrupt_is_ended_with_its_children():
    done = _run(STUCK.format(saving="pass"), 20)  # which is over when the child, too, has closed its output
    assert done.returncode == 130
    assert done.stderr == "stopped; what had finished is kept\n"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_what_is_saved_after_an_interrupt_may_take_its_time():
    saved = STUCK.format(saving="cli_stopping.hold(); time.sleep(1); child.kill(); print('saved'); raise SystemExit")
    assert _run(saved, 20).stdout.endswith("saved\n")


def test_what_ends_at_once_leaves_no_worker_processes_behind():
    done = _run(WAITING, 20)  # which is over when the workers, too, have closed their output
    assert done.returncode == 130
    assert done.stdout == "[0, 1]\n"


def test_what_ends_at_once_may_be_importing_what_starts_processes():
    done = _run(HALF_IMPORTED, 20)
    assert (done.returncode, done.stderr) == (130, "")


def _run(program: str, seconds: float) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=seconds, check=False, env=environment
    )
