"""A process that runs one simulator, alone: it reads what to run, a line of JSON each, and answers with what it took.

It is started with the name of a module of the folder ``peers``.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    """Answer until there is nothing more to read."""
    out = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # simulators print
    os.dup2(silent, 2)
    sys.path[:0] = [str(HERE), str(HERE / "peers"), str(HERE.parents[1])]

    def say(**what):
        out.write(json.dumps(what) + "\n")
        out.flush()

    try:
        peer = importlib.import_module(sys.argv[1])
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told)
        say(missing=f"{type(error).__name__}: {error}")
        return
    say(
        name=peer.NAME,
        version=version(peer.PACKAGE) if peer.PACKAGE else "",
        python=platform.python_version(),
        workloads=peer.WORKLOADS,
        notes=getattr(peer, "NOTE", {}),
        once=getattr(peer, "ONCE", False),
        longer=getattr(peer, "LONGER", 1.0),
    )
    for line in sys.stdin:
        try:
            say(**measured(peer, **json.loads(line)))
        except Exception as error:  # noqa: BLE001
            say(error=f"{type(error).__name__}: {error}")


def version(package):
    """Return the version of a package, or nothing if it came without saying, as some from distributions do."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def measured(peer, workload, requests, seed):
    """Run a workload and return its figures; times in CPU seconds of this process."""
    from workloads import WORKLOADS

    described = WORKLOADS.get(workload, workload)
    began = time.process_time()
    job = peer.prepare(described, requests, seed)
    gc.collect()
    ready = time.process_time()
    job.run()
    ended = time.process_time()
    answer = job.read()
    expected = getattr(peer, "expected", lambda one: getattr(one, "latency", None))(described)
    return {**answer._asdict(), "prepared": ready - began, "ran": ended - ready, "expected": expected}


if __name__ == "__main__":
    main()
