"""Run the project's own cases on a real Envoy and write down what it did: ``python -m tests.conformance.record``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conformance import envoy_arm
from tests.conformance.agreement import summarise
from tests.conformance.cases import OUTCOMES, OWN, Case, cases
from tests.conformance.metrics import flatten, measure

SEEDS = (1, 2, 3)
#: What `envoy --version` says before the build's particulars.
VERSION = "1.40.0"


def record(case: Case, seeds: Sequence[int], folder: Path = OUTCOMES) -> Path:
    """Run every point of a case with every seed and write one file of outcomes."""
    points = []
    for point in case.points:
        begin = time.monotonic()
        runs = [flatten(measure(point, envoy_arm.run(point, seed))) for seed in seeds]
        points.append({"id": point.id, "summary": summarise(runs, point.outcomes)})
        print(f"{point.name}: {time.monotonic() - begin:.0f} s", flush=True)
    folder.mkdir(exist_ok=True)
    path = folder / f"{case.name}.json"
    document = {"case": case.name, "envoy": VERSION, "seeds": list(seeds), "points": points}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Record the named cases, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.record", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases (all when none is named)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    chosen = parser.parse_args(arguments)
    try:
        envoy_arm.find_envoy()
    except envoy_arm.EnvoyMissingError as error:
        print(error, file=sys.stderr)
        return 2
    for case in cases(OWN):
        if not chosen.cases or case.name in chosen.cases:
            record(case, chosen.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
