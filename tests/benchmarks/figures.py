"""What was measured, as data and as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from workloads import ALL, MESH, WORKLOADS

BASELINE, SELF, LIMIT = "simpy_processes", "meshsim_scenario", "compiled_heap"
#: Where theory has no figure, the mean latency may differ from the baseline's by so much: its model is simpler.
ALIKE = {"W2p": 0.05, "W3p": 0.05, MESH: 0.15}


class Measurement(NamedTuple):
    """One run: requests per second of CPU time, the ratio to the baseline around it, and what came out."""

    rate: float
    ratio: float
    ended: int
    latency: float
    calls: int
    expected: float | None


class Missing(NamedTuple):
    """What is not there, by the name it is installed by, and what it said."""

    package: str
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """A simulator on a workload: medians over rounds, and whether its result is right.

    ``right`` is None where nothing says what is right.
    """

    module: str
    name: str
    version: str
    python: str
    workload: str
    requests_per_second: float
    calls_per_second: float
    ratio: float
    least: float
    most: float
    latency: float
    expected: float | None
    right: bool | None
    note: str
    prepared: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    date: str
    machine: Mapping[str, Any]
    rounds: int
    seconds: float
    lines: Sequence[Line]
    missing: Sequence[Missing]

    @classmethod
    def of(cls, peers, found, missing, rounds, seconds, machine):
        """Return the report of measurements by module and workload."""
        means = {name: _mean(all_of) for (module, name), all_of in found.items() if module == BASELINE}
        lines = [_line(module, name, peers[module], all_of, means[name]) for (module, name), all_of in found.items()]
        order = list(peers)
        lines.sort(key=lambda line: (order.index(line.module), ALL.index(line.workload)))
        return cls(datetime.now(UTC).date().isoformat(), machine, rounds, seconds, lines, missing)

    def get(self, module: str, workload: str) -> Line | None:
        """Return a line, or None if it was not measured."""
        return next((one for one in self.lines if (one.module, one.workload) == (module, workload)), None)

    @property
    def workloads(self) -> list[str]:
        """Return the workloads that were measured."""
        measured = {line.workload for line in self.lines}
        return [name for name in ALL if name in measured]

    def wanted(self) -> list[tuple[str, float, float]]:
        """Return what is wanted of this simulator: in words, how much, and how much there is."""
        found = []
        for name in ("W2", "W3", "W2p", "W3p"):
            own, limit = self.get(SELF, name), self.get(LIMIT, name)
            if own:
                found.append((f"{name}: times idiomatic SimPy, requests/s", 30.0, own.ratio))
            if own and limit:
                found.append((f"{name}: part of the compiled loop, requests/s", 1 / 3, own.ratio / limit.ratio))
        own, idiomatic = self.get(SELF, MESH), self.get(BASELINE, MESH)
        if own and idiomatic:
            wanted = min(1e6, 40 * idiomatic.calls_per_second)
            found.append(("mesh: calls/s, a million or 40 times idiomatic SimPy's", wanted, own.calls_per_second))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as data; times in seconds."""
        return {
            "date": self.date,
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "figures": [asdict(line) for line in self.lines],
            "missing": [one._asdict() for one in self.missing],
            "wanted": [{"what": what, "wanted": least, "reached": there} for what, least, there in self.wanted()],
        }


def _mean(measurements):
    ended = sum(one.ended for one in measurements)
    return sum(one.latency * one.ended for one in measurements) / ended


def _line(module, workload, peer, measurements, baseline):
    latency, expected = _mean(measurements), measurements[0].expected
    note = peer.hello["notes"].get(workload, "")
    if expected is not None:
        ended = sum(one.ended for one in measurements)
        right = abs(latency - expected) <= max(5 * WORKLOADS[workload].noise(ended), 0.01 * expected)
    elif note:
        right = None
    else:
        expected = baseline
        right = abs(latency - expected) <= ALIKE[workload] * expected
    ratios = [one.ratio for one in measurements]
    return Line(
        module=module,
        name=peer.hello["name"],
        version=peer.hello["version"],
        python=peer.hello["python"],
        workload=workload,
        requests_per_second=median(one.rate for one in measurements),
        calls_per_second=median(one.rate * one.calls / one.ended for one in measurements),
        ratio=median(ratios),
        least=min(ratios),
        most=max(ratios),
        latency=latency,
        expected=expected,
        right=right,
        note=note,
        prepared=peer.prepared.get(workload, 0.0),
    )


def machine() -> dict[str, Any]:
    """Return what it runs on, without names of machines or folders."""
    from importlib.metadata import version

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("meshsim", "numba", "numpy", "simpy")},
    }


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


# --- as text ----------------------------------------------------------------------------------------------------


def table(report: Report) -> str:
    """Return the ratios, the means, what is wanted, what is missing, and where and when."""
    first = {line.module: line for line in reversed(report.lines)}
    names = {module: f"{line.name} {line.version}".strip() for module, line in reversed(first.items())}
    width = max(len(name) for name in names.values())
    parts = [
        "Requests per second as multiples of what idiomatic SimPy makes (median of rounds, least to most)",
        _grid(report, names, width, _speed, 22),
        "Mean latency, ms (in brackets: what it has to be; where a simulator has another model, its own)",
        _grid(report, names, width, _latency, 22),
        _marks(report),
        "\n".join(f"{name}: {_what(name)}" for name in report.workloads),
        "\n".join(f"{what}: {there:,.4g} (wanted: {least:,.4g})" for what, least, there in report.wanted()),
        _compiled(report),
        "\n".join(f"not here: {one.package or 'meshsim'} ({one.why})" for one in report.missing),
        _where(report),
    ]
    return "\n\n".join(part for part in parts if part)


def _grid(report, names, width, cell, column):
    lines = [" " * width + "".join(f"{name:>{column}}" for name in report.workloads)]
    for module, name in names.items():
        cells = (cell(report.get(module, workload)) for workload in report.workloads)
        lines.append(f"{name:<{width}}" + "".join(f"{text:>{column}}" for text in cells))
    return "\n".join(lines)


def _speed(line):
    if line is None:
        return "-"
    mark = "!" if line.right is False else "*" if line.note else " "
    return f"{digits(line.ratio)} [{digits(line.least)} to {digits(line.most)}]{mark}"


def _latency(line):
    if line is None:
        return "-"
    return f"{1e3 * line.latency:.2f} ({'?' if line.expected is None else f'{1e3 * line.expected:.2f}'}) "


def digits(ratio: float) -> str:
    """Return a ratio with about three digits.

    Examples
    --------
    >>> digits(0.123), digits(3.14159), digits(28.27), digits(197.3)
    ('0.12', '3.14', '28.3', '197')
    """
    return f"{ratio:.{0 if ratio >= 99.95 else 1 if ratio >= 9.995 else 2 if ratio >= 0.0995 else 3}f}"


def _marks(report):
    notes = [f"* {line.name}, {line.workload}: {line.note}" for line in report.lines if line.note]
    bad = [line for line in report.lines if line.right is False]
    wrong = [f"! {line.name}, {line.workload}: wrong result, so its speed counts for nothing" for line in bad]
    return "\n".join(notes + wrong)


def _what(name):
    return WORKLOADS[name].what if name in WORKLOADS else "Online Boutique in three clusters, all of its calls"


def _compiled(report):
    slow = {line.name: max(one.prepared for one in report.lines if one.module == line.module) for line in report.lines}
    told = [f"{name} {seconds:.1f} s" for name, seconds in slow.items() if seconds >= 0.3]
    return f"Not counted: compiling and building for the first time, {', '.join(told)}" if told else ""


def _where(report):
    one = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
    return (
        f"{report.date}; {one['processor']}, {one['cores']} cores, one of them used; {one['system']}, "
        f"Python {one['python']}, {versions}; {report.rounds} rounds of {report.seconds:g} s"
    )
