"""What two local jobs gain over one: wall time of the same replications of a bundled scenario; run it as a script.

Both run in turn, several times, and the median of the ratios is told. Two processes need two idle cores: the machine
is asked before and after how long one takes, and a load average beside the figures says what else was running.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WANTED = 1.8


def seconds(jobs: int, scenario: str, replications: int, duration: str) -> float:
    """Run the scenario in a process of its own and return the seconds of wall time that it took, start included."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "meshsim", "run", scenario, "--replications", str(replications)]
        words += ["--jobs", str(jobs), "--set", f"duration={duration}", "--out", str(Path(folder) / "results")]
        began = time.perf_counter()
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> None:
    """Measure in rounds, one job, two, and one again, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--scenario", default="online-boutique")
    parser.add_argument("--duration", default="1h", help="simulated time of a replication")
    parser.add_argument("--replications", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    what = (given.scenario, given.replications, given.duration)
    seconds(1, given.scenario, 1, "10s")  # compiles, if it has to
    one, ratios = [seconds(1, *what)], []
    for _ in range(given.rounds):
        two = seconds(2, *what)
        one.append(seconds(1, *what))
        ratios.append((one[-2] + one[-1]) / 2 / two)
        print(f"one job {one[-2]:.1f} s, two {two:.1f} s, one {one[-1]:.1f} s: {ratios[-1]:.2f} times")
    print(f"median {median(ratios):.2f} times, wanted {WANTED:g}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
