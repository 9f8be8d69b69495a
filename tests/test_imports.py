"""What is not imported before it is needed: the first thing that a newcomer notices is how long ``--help`` takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("dask", "distributed", "joblib", "matplotlib", "networkx", "numba", "numpy", "pandas", "pyarrow", "ray",
         "rich", "SALib", "scipy", "simpy")  # fmt: skip

HELP = """
import contextlib, io, json, sys
import meshsim
heavy = set(sys.argv[1:])
found = {"import meshsim": sorted(heavy & set(sys.modules))}
from meshsim.cli import app
from typer.main import get_command
group = get_command(app)
for words in ([], *([name] for name in group.commands)):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        group([*words, "--help"], prog_name="meshsim")
    assert said.getvalue().strip().lower().startswith("usage: meshsim"), said.getvalue()
    found[" ".join(["meshsim", *words, "--help"])] = sorted(heavy & set(sys.modules))
print(json.dumps(found))
"""


def test_neither_the_import_nor_any_help_loads_what_is_heavy() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", HELP, *HEAVY], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"import meshsim", "meshsim --help", "meshsim compare --help", "meshsim sweep --help"} <= found.keys()
    assert found == {name: [] for name in found}
