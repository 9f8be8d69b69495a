"""The benchmarks are scripts, so their modules find each other by the folder that they are in."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(folder) for folder in (HERE, HERE / "peers") if str(folder) not in sys.path]

#: Models of simulators that need not be installed are no place to look for doctests.
collect_ignore_glob = ["peers/*"]
