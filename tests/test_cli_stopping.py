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


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_what_waits_for_ever_after_an_interrupt_is_ended_with_its_children():
    done = _run(STUCK.format(saving="pass"), 20)  # which is over when the child, too, has closed its output
    assert done.returncode == 130
    assert done.stderr == "stopped; what had finished is kept\n"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_what_is_saved_after_an_interrupt_may_take_its_time():
    saved = STUCK.format(saving="cli_stopping.hold(); time.sleep(1); child.kill(); print('saved'); raise SystemExit")
    assert _run(saved, 20).stdout.endswith("saved\n")


def _run(program: str, seconds: float) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=seconds, check=False, env=environment
    )
