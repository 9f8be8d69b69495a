"""Run every simulator that is there on every workload, beside idiomatic SimPy each time; this is `make bench`.

Each simulator has a process of its own, and waits while others run, so that one of them runs at a time. Before and
after each measurement the baseline is measured, and what is told is the ratio to the mean of both, the median over
rounds. Only the run is timed, in CPU seconds: neither imports nor compiling nor building a model nor reading results.
A speed counts if the mean latency is right.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from figures import BASELINE, LIMIT, SELF, Measurement, Missing, Report, machine, table  # noqa: E402 (of this folder)
from workloads import ALL  # noqa: E402

#: What it is made of, in the order of the table; and the names to install them by.
PEERS = {
    SELF: "",
    LIMIT: "numba",
    "cimba_model": "cimba",
    "python_heap": "",
    "simpy_callbacks": "simpy",
    BASELINE: "simpy",
    "ns_packets": "ns.py",
    "ciw_network": "Ciw",
    "simgrid_actors": "simgrid",
    "happysim_entities": "happysim",
    "asyncflow_scenario": "asyncflow-sim",
    "salabim_components": "salabim",
}
#: The few that are measured by `--quick`.
QUICK = (SELF, LIMIT, "simpy_callbacks", BASELINE)
#: Part of the time of a measurement that each baseline beside it takes.
BESIDE = 0.5


class Peer:
    """A simulator in a process of its own, or one for each measurement if it can run only once in one."""

    def __init__(self, module: str, pythons: list[str]) -> None:
        self.module, self.process = module, None
        for python in pythons:
            self.python = python
            self.hello = self._start()
            if "missing" not in self.hello:
                break
        self.sizes: dict[str, int] = {}
        self.prepared: dict[str, float] = {}

    def _start(self):
        self.process = subprocess.Popen(
            [self.python, str(HERE / "worker.py"), self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self._told()

    def _told(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": "its process ended", "error": "its process ended"}

    def run(self, workload, requests, seed):
        """Return the figures of a run."""
        if self.process is None:
            self._start()
        self.process.stdin.write(json.dumps({"workload": workload, "requests": requests, "seed": seed}) + "\n")
        self.process.stdin.flush()
        found = self._told()
        if self.hello["once"] or "error" in found:
            self.stop()
        return found

    def sized(self, workload, seconds, seed):
        """Return a number of requests that takes about so long; the first run, which may compile, tells nothing."""
        if workload in self.sizes:
            return self.sizes[workload]
        first = self._checked(workload, 200, seed)
        self.prepared[workload] = first["prepared"] + first["ran"]
        requests, ran = 1_000, 0.0
        while ran < 0.6 * seconds:
            found = self._checked(workload, requests, seed)
            ran = max(found["ran"], 1e-3)
            per = ran / found["ended"]
            requests = int(requests * max(1.0, min(30.0, seconds / ran)))
        self.sizes[workload] = max(1_000, int(seconds / per))
        return self.sizes[workload]

    def _checked(self, workload, requests, seed):
        found = self.run(workload, requests, seed)
        if "error" in found:
            raise RuntimeError(found["error"])
        return found

    def stop(self):
        """End its process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def measure(peers, workloads, rounds, seconds, say):
    """Return the measurements: all of a workload's simulators in turn, round after round."""
    found: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    failed: dict[str, str] = {}
    baseline = peers[BASELINE]

    def beside(workload, seed):
        figures = baseline.run(workload, baseline.sized(workload, BESIDE * seconds, seed), seed)
        return figures["ended"] / figures["ran"]

    for number in range(rounds):
        for workload in workloads:
            say(f"round {number + 1} of {rounds}: {workload}")
            before = beside(workload, 1000 + number)
            for module, peer in peers.items():
                if workload not in peer.hello["workloads"] or module in failed:
                    continue
                try:
                    requests = peer.sized(workload, peer.hello["longer"] * seconds, number)
                    figures = peer.run(workload, requests, 2000 + number)
                except (RuntimeError, OSError) as error:
                    figures = {"error": str(error)}
                if "error" in figures:
                    failed[module] = figures["error"]
                    continue
                after = beside(workload, 3000 + number)
                rate = figures["ended"] / figures["ran"]
                ratio = 2 * rate / (before + after)
                found[module, workload].append(Measurement(rate, ratio, **_answer(figures)))
                before = after
    return found, failed


def _answer(figures):
    return {name: figures[name] for name in ("ended", "latency", "calls", "expected")}


def main():
    """Measure, print the table, and write the figures and the plot if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time of a measurement")
    parser.add_argument("--quick", action="store_true", help="only what meshsim itself needs, and one round")
    parser.add_argument("--peers", nargs="+", choices=[*PEERS], default=[*PEERS], help="only these, and the baseline")
    parser.add_argument("--workloads", nargs="+", choices=ALL, default=[*ALL])
    parser.add_argument(
        "--python", action="append", default=[], help="another Python, for simulators that this one does not have"
    )
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--plot", type=Path, help="draw them to NAME.png and NAME.svg")
    given = parser.parse_args()
    wanted = {*(QUICK if given.quick else given.peers), BASELINE}

    def say(text):
        print(text, file=sys.stderr, flush=True)

    say("starting simulators; those that compile take their time")
    all_peers = {name: Peer(name, [sys.executable, *given.python]) for name in PEERS if name in wanted}
    hellos = {name: peer.hello for name, peer in all_peers.items()}
    missing = [Missing(PEERS[name], hello["missing"]) for name, hello in hellos.items() if "missing" in hello]
    peers = {name: peer for name, peer in all_peers.items() if "missing" not in peer.hello}
    if BASELINE not in peers:
        parser.error(f"the baseline is not there: {hellos[BASELINE]['missing']}")
    rounds = 1 if given.quick else given.rounds
    found, failed = measure(peers, given.workloads, rounds, given.seconds, say)
    missing += [Missing(PEERS[name], why) for name, why in failed.items()]
    report = Report.of(peers, found, missing, rounds, given.seconds, machine())
    for peer in all_peers.values():
        peer.stop()
    print(table(report))
    if given.json:
        given.json.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    if given.plot:
        from plot import draw

        draw(report, given.plot)


if __name__ == "__main__":
    main()
