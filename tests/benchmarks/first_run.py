"""What a newcomer waits for: installation, the first table with and without compiled code, imports; run as a script.

A wheel of this tree is installed into a new virtual environment; what comes from the network is fetched before, and
told apart. Wall times are of this machine as busy as it is; CPU times beside them depend less on that. Imports are
medians of several rounds, in turn, and told as multiples of Python's own start.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import venv
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from figures import processor

ROOT = Path(__file__).resolve().parents[2]
#: What a newcomer runs: all deployments of the scenario that the help names, and one of them once.
FIRST = {
    "`meshsim compare online-boutique-primary-outage`": ("compare", "online-boutique-primary-outage"),
    "`meshsim run online-boutique-primary-outage -n 1`": ("run", "online-boutique-primary-outage", "-n", "1"),
}
#: Seconds wanted of imports, and of the first compilation.
WANTED_IMPORT, WANTED_COMPILE = 0.5, 45.0


class Spent(NamedTuple):
    """Seconds of wall time until the table was there, until the end, and of CPU time of all processes."""

    table: float
    wall: float
    cpu: float


def spent(words: list[str], folder: Path, environment: dict[str, str] | None = None) -> Spent:
    """Run a command and return what it took; its table is there when it says where it was saved."""
    before, began, table = _cpu(), time.perf_counter(), None
    process = subprocess.Popen(
        words, cwd=folder, env=os.environ | (environment or {}), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Saved in "):
            table = time.perf_counter() - began
    if process.wait():
        raise SystemExit(f"{' '.join(words)} failed with status {process.returncode}")
    wall = time.perf_counter() - began
    return Spent(wall if table is None else table, wall, _cpu() - before)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def installed(folder: Path) -> tuple[Path, dict[str, Spent]]:
    """Build a wheel, fetch what it needs, install it into a new environment; return that and what each took."""
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    steps = {"build the wheel": spent([*pip, "wheel", str(ROOT), "--no-deps", "-w", str(wheels)], folder)}
    [wheel] = wheels.glob("*.whl")
    steps["fetch what it needs"] = spent([*pip, "download", str(wheel), "-d", str(wheels)], folder)
    began, before = time.perf_counter(), _cpu()
    venv.create(folder / "venv", with_pip=True)
    wall = time.perf_counter() - began
    steps["make an environment"] = Spent(wall, wall, _cpu() - before)
    home = folder / "venv" / "bin"
    own = [str(home / "python"), *pip[1:]]
    local = ["install", "--no-index", "--find-links", str(wheels), str(wheel)]
    steps["install"] = spent([*own, *local], folder)
    return home, steps


def first_tables(home: Path, folder: Path, rounds: int) -> dict[str, dict[str, Spent]]:
    """Return what each first command takes without compiled code, and the median round with it."""
    found = {}
    for number, (name, words) in enumerate(FIRST.items()):
        environment = {"MESHSIM_CACHE_DIR": str(folder / f"cache-{number}")}
        command = [str(home / "meshsim"), *words]
        cold = spent(command, folder, environment)
        warm = sorted(spent(command, folder, environment) for _ in range(rounds))
        found[name] = {"without": cold, "with": warm[len(warm) // 2]}
    return found


def imports(home: Path, folder: Path, rounds: int) -> dict[str, Spent]:
    """Return medians of what short commands take, run in turn."""
    python = str(home / "python")
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "import meshsim": [python, "-c", "import meshsim"],
        "meshsim --help": [str(home / "meshsim"), "--help"],
        "meshsim compare --help": [str(home / "meshsim"), "compare", "--help"],
    }
    for words in commands.values():
        spent(words, folder)  # whoever comes first writes the bytecode
    times: dict[str, list[Spent]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, words in commands.items():
            times[name].append(spent(words, folder))
    return {name: Spent(*map(median, zip(*found, strict=True))) for name, found in times.items()}


def machine() -> str:
    """Return when and on what this was measured."""
    measured_on = f"{os.cpu_count()} processors ({processor()}), Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}; {measured_on}"


def show(title: str, lines: list[str]) -> None:
    """Print a table in Markdown, as soon as it is there."""
    columns = title.count("|") - 1
    print("", title, "|---|" + "---:|" * (columns - 1), *lines, sep="\n", flush=True)


def main() -> None:
    """Measure and print three tables in Markdown, as docs/benchmarks.md has them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each command with compiled code")
    parser.add_argument("--imports", type=int, default=10, help="rounds of the imports")
    parser.add_argument("--json", type=Path, help="where the figures are written too")
    asked = parser.parse_args()
    print(f"{machine()}.", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home, steps = installed(folder)
        took = [f"| {step} | {of.wall:.1f} | {of.cpu:.1f} |" for step, of in steps.items()]
        show("| Step | Wall, s | CPU, s |", took)
        short = imports(home, folder, asked.imports)
        bare = short["python -c pass"]
        took = [
            f"| `{command}` | {of.wall:.3f} | {of.cpu:.3f} | {of.cpu / bare.cpu:.1f} |" for command, of in short.items()
        ]
        show("| Start | Wall, s | CPU, s | Times bare Python (CPU) |", took)
        tables = first_tables(home, folder, asked.rounds)
    took = [
        f"| {command}, {kind} compiled code | {of.table:.1f} | {of.wall:.1f} | {of.cpu:.1f} |"
        for command, kinds in tables.items()
        for kind, of in kinds.items()
    ]
    show("| First table | Table after, s | End after, s | CPU, s |", took)
    one = tables[list(FIRST)[-1]]
    compiling = one["without"].cpu - one["with"].cpu
    print(f"\nCompiling took {compiling:.0f} s of CPU time; below {WANTED_COMPILE:.0f} on a quiet machine was wanted.")
    if asked.json:
        asked.json.write_text(json.dumps({"steps": steps, "tables": tables, "imports": short, "compile": compiling}))
    slow = [command for command in ("import meshsim", "meshsim --help") if short[command].cpu > WANTED_IMPORT]
    if slow:
        raise SystemExit(f"more than {WANTED_IMPORT} s of CPU time: {', '.join(slow)}")


if __name__ == "__main__":
    main()
