"""The score of the simulator against what a real Envoy did, case by case: ``python -m tests.conformance.score``."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.agreement import AGREES, DIFFERS, NOISE, Verdict, compare, summarise
from tests.conformance.cases import OUTCOMES, OWN, SHARED, Point, cases
from tests.conformance.metrics import flatten, measure
from tests.conformance.records import Recording

#: The seeds of every record: an arm that draws the same workload needs no room for other arrivals.
SEEDS = (1, 2, 3)

#: How often the simulator runs each seed: its own noise should be small beside that of the record.
REPEATS = 3

Arm = Callable[[Point, int, int], Recording]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Score:
    """How one point compares, outcome by outcome."""

    point: Point
    verdicts: tuple[Verdict, ...]

    def count(self, state: str) -> int:
        """Return how many outcomes are in a state."""
        return sum(verdict.state == state for verdict in self.verdicts)

    @property
    def differing(self) -> list[Verdict]:
        """Return the outcomes that differ."""
        return [verdict for verdict in self.verdicts if verdict.state == DIFFERS]


def recorded(folder: Path, outcomes: Path) -> Iterator[tuple[Point, Record]]:
    """Return the points of a folder of cases for which there is a record, each with its outcomes."""
    for case in cases(folder):
        path = outcomes / f"{case.name}.json"
        if not path.exists():
            continue
        known = {each["id"]: each["summary"] for each in json.loads(path.read_text())["points"]}
        for point in case.points:
            if point.id in known:
                yield point, known[point.id]


def own() -> Iterator[tuple[Point, Record]]:
    """Return the project's own points with their records."""
    return recorded(OWN, OUTCOMES)


def shared() -> Iterator[tuple[Point, Record]]:
    """Return the points of the second set of measurements, none where it is absent."""
    return recorded(SHARED / "cases", SHARED / "results")


def run(point: Point, arm: Arm, seeds: Sequence[int] = SEEDS, repeats: int = REPEATS) -> Record:
    """Run a point on an arm, every seed ``repeats`` times, and summarise its outcomes."""
    recordings = (arm(point, seed, repeat) for seed in seeds for repeat in range(repeats))
    return summarise([flatten(measure(point, recording)) for recording in recordings], point.outcomes)


def score(point: Point, record: Record, arm: Arm, repeats: int = REPEATS) -> Score:
    """Compare one point of an arm with its record."""
    return Score(point, tuple(compare(point, record, run(point, arm, SEEDS, repeats))))


def table(scores: Sequence[Score], *, every_point: bool = False) -> str:
    """Write the score table: a line for each case (or point), then what differs."""
    lines = [f"{'case':36} {'points':>6} {'agree':>6} {'differ':>6} {'noise':>6} {'skipped':>7}"]
    groups: dict[str, list[Score]] = {}
    for each in scores:
        groups.setdefault(each.point.name if every_point else each.point.case, []).append(each)
    for name, members in (groups | {"all": list(scores)}).items():
        states = Counter(verdict.state for each in members for verdict in each.verdicts)
        agrees, differs = states[AGREES], states[DIFFERS]
        noise = states[NOISE]
        skipped = sum(states.values()) - agrees - differs - noise
        whole = sum(not each.differing for each in members)
        lines.append(f"{name:36} {whole:>3}/{len(members):<3}{agrees:>6} {differs:>6} {noise:>6} {skipped:>7}")
    return "\n".join(lines)


def explain(scores: Sequence[Score]) -> str:
    """Write a line for every outcome that differs."""
    return "\n".join(
        f"{each.point.name:44} {verdict.outcome:36} Envoy {_text(verdict.recorded):>10}"
        f"  here {_text(verdict.found):>10}  room {verdict.allowed:.4g} {verdict.reason}"
        for each in scores
        for verdict in each.differing
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value.get("mean", value.get("values"))) if isinstance(value, dict) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the score of the simulator; fail if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.score", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases or points (all when none is named)")
    parser.add_argument("--source", choices=["own", "shared", "both"], default="both")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each seed")
    parser.add_argument("--points", action="store_true", help="a line for every point")
    chosen = parser.parse_args(arguments)
    from tests.conformance import simulator_arm

    found = []
    for source in (own, shared):
        if chosen.source not in {"both", source.__name__}:
            continue
        scores = [
            score(point, record, simulator_arm.run, chosen.repeats)
            for point, record in source()
            if not chosen.cases or point.case in chosen.cases or point.name in chosen.cases
        ]
        print(f"\nThe simulator against {'the record of' if source is own else 'the page beside'} the project")
        print(table(scores, every_point=chosen.points))
        found += scores
    print(explain(found))
    return int(any(each.differing for each in found))


if __name__ == "__main__":
    sys.exit(main())
