"""What the size of a mesh costs: time to build, memory, and time per call; run it as a script.

Every size is measured in a process of its own, one after the other, in several rounds; figures are medians, and told
as multiples of those of the smallest mesh, as the machine may be busy. A mesh runs for a while first, so that most
connections are open; then calls and the CPU time that they take are counted. The tables that a run writes when it ends
take their time once, however many calls there were, and are told apart. What the machine takes to get a line of its
cache from that much memory is measured, too: a call in a large mesh needs some forty-five.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from meshes import SIZES, Size, mesh  # noqa: E402 (of this folder, which is not a package)

#: Simulated seconds before the measurement, calls in it, and its least simulated seconds.
SETTLE, COUNTED, LEAST = 20.0, 600_000, 3.0
#: What is wanted of the largest: seconds to build, gigabytes, and how many times the smallest a call may cost.
WANTED = (10.0, 2.0, 1.5)
#: Megabytes among which lines are read: as much as a near cache has, and what calls of the largest mesh have in use.
NEAR, USED = 1, 64
#: Reads that are counted, and how many reads before its turn a line is asked for.
READS, AHEAD = 2_000_000, 16


def measure(size: Size, counted: int = COUNTED) -> dict[str, float]:
    """Build and run a mesh of one size in this process and return its figures; SI units."""
    import meshsim
    from meshsim.engine import simulation as engine

    engine.Simulation(meshsim.load(mesh(SIZES[0], 0.2)), "multi-primary").run()  # compiles, if it has to
    imported = _peak()
    end = SETTLE + max(counted / size.calls, LEAST)
    began, began_cpu = time.perf_counter(), time.process_time()
    scenario = meshsim.load(mesh(size, end))
    read = time.process_time() - began_cpu
    simulation = engine.Simulation(scenario, "multi-primary")
    built, built_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    after_build = _peak()
    clock = simulation.mesh.plane.world.clock[0]
    simulation.env.run(until=SETTLE)
    simulation.mesh.plane.advance(SETTLE)
    calls, events, cpu = int(clock.calls_ended), int(clock.handled), time.process_time()
    simulation.env.run(until=end)
    simulation.mesh.plane.advance(end)
    spent = time.process_time() - cpu
    calls, events = int(clock.calls_ended) - calls, int(clock.handled) - events
    cpu = time.process_time()
    simulation.run()
    finish = time.process_time() - cpu
    return {
        "read": read, "build": built, "build_cpu": built_cpu, "idle_rss": imported, "build_rss": after_build,
        "rss": _peak(), "calls": calls, "call": spent / calls, "events": events / calls, "event": spent / events,
        "finish": finish,
    }  # fmt: skip


def _peak() -> float:
    """Return the most memory that this process has had, in bytes."""
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def line_costs(megabytes: int) -> tuple[float, float]:
    """Return the seconds to read and write a random line among so much memory, asked for in advance, and if not."""
    from meshsim.dataplane.fetching import fetch
    from meshsim.dataplane.state import LINE

    @numba.njit
    def asked_for(memory, places):
        total = 0
        for number in range(len(places) - AHEAD):
            fetch(memory, places[number + AHEAD])
            total += memory[places[number]]
            memory[places[number] + 1] = 0
        return total

    @numba.njit
    def waited_for(memory, places):
        last = 0
        for place in places:
            last = place + memory[last]  # which is 0, but only known when it has been read
            memory[last + 1] = 0
        return last

    memory = np.zeros((megabytes << 20) // 8, dtype=np.int64)
    memory[:] = 0  # so that it has pages of its own
    places = np.random.default_rng(1).integers(0, len(memory) * 8 // LINE, READS) * (LINE // 8)
    costs = []
    for read in (asked_for, waited_for):
        read(memory, places)  # compiles
        began = time.process_time()
        read(memory, places)
        costs.append((time.process_time() - began) / READS)
    return costs[0], costs[1]


def in_a_process(number: int, counted: int) -> dict[str, float]:
    """Measure a size in a process of its own."""
    command = [sys.executable, __file__, "--one", str(number), "--calls", str(counted)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def table(rounds: list[list[dict[str, float]]]) -> str:
    """Return the figures as text: medians of rounds, and ratios to the first size within the rounds."""
    titles = {
        "": 40, "build": 8, "CPU": 8, "memory": 10, "calls/s": 11, "a call": 10, "ratio": 7, "events": 8, "ratio ": 7,
        "finish": 9,
    }  # fmt: skip
    lines = ["".join(f"{title.strip():>{width}}" for title, width in titles.items())]
    for number, size in enumerate(SIZES[: len(rounds[0])]):
        own = [each[number] for each in rounds]
        middle = {name: median(one[name] for one in own) for name in own[0]}
        call, event = (median(each[number][name] / each[0][name] for each in rounds) for name in ("call", "event"))
        lines.append(
            f"{size!s:40}{middle['build']:>6.1f} s{middle['build_cpu']:>6.1f} s{middle['rss'] / 2**30:>7.2f} GB"
            f"{1 / middle['call']:>11,.0f}{1e6 * middle['call']:>7.2f} µs{call:>7.2f}"
            f"{middle['events']:>8.1f}{event:>7.2f}{middle['finish']:>7.2f} s"
        )
    build, memory, ratio = WANTED
    lines += [
        "",
        f"Wanted of the largest: built in {build:g} s, {memory:g} GB, a call at most {ratio:g} times.",
    ]
    for megabytes in (NEAR, USED):
        asked, waited = line_costs(megabytes)
        told = f"{1e9 * asked:.1f} ns if asked for {AHEAD} reads before, else {1e9 * waited:.0f} ns"
        lines.append(f"A line of the cache among {megabytes} MB: {told}.")
    told = "events: per call, and the cost of one as a ratio; finish: CPU time for the tables at the end"
    lines.append(f"Medians of {len(rounds)} rounds; {told}; load average {os.getloadavg()[0]:.1f}.")
    return "\n".join(lines)


def main() -> None:
    """Measure all sizes, or one, which is for the processes that this one starts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--calls", type=int, default=COUNTED, help="calls that are counted")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many sizes, the smallest first")
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(measure(SIZES[given.one], given.calls)))
        return
    rounds = [[in_a_process(number, given.calls) for number in range(given.sizes)] for _ in range(given.rounds)]
    print(table(rounds))
    if given.json is not None:
        sizes = enumerate(SIZES[: given.sizes])
        found: Any = [{"size": str(size), "rounds": [each[number] for each in rounds]} for number, size in sizes]
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
