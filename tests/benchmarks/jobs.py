"""What two local jobs gain over one: wall time of the same replications of a bundled scenario; run it as a script.

One job is measured before and after two, several times, in one process whose workers have been started before; what
starting them takes is told apart. Two jobs need two idle cores, so a load average is printed beside the figures.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median
from typing import Any

WANTED = 1.8


def seconds(scenario: Any, jobs: int, replications: int) -> float:
    """Run replications of a scenario and return the seconds of wall time that they took."""
    import meshsim

    began = time.perf_counter()
    meshsim.run(scenario, next(iter(scenario.document.deployments)), replications=replications, jobs=jobs)
    return time.perf_counter() - began


def main() -> None:
    """Measure in rounds, one job, two, and one again, and print the ratios."""
    import meshsim

    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--scenario", default="online-boutique")
    parser.add_argument("--duration", default="20m", help="simulated time of a replication")
    parser.add_argument("--replications", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    short, scenario = (meshsim.load(given.scenario, [f"duration={time}"]) for time in ("2m", given.duration))
    seconds(short, 1, 2)  # compiles, if it has to
    cold, warm = seconds(short, 2, 2), seconds(short, 2, 2)
    one, ratios = [seconds(scenario, 1, given.replications)], []
    for _ in range(given.rounds):
        two = seconds(scenario, 2, given.replications)
        one.append(seconds(scenario, 1, given.replications))
        ratios.append((one[-2] + one[-1]) / 2 / two)
        print(f"one job {one[-2]:.1f} s, two {two:.1f} s, one {one[-1]:.1f} s: {ratios[-1]:.2f} times")
    print(f"median {median(ratios):.2f} times, wanted {WANTED:g}; starting two workers took {cold - warm:.1f} s")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
