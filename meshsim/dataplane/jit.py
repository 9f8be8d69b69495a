"""The compiler of the room: one decorator, and a disk cache keyed by a hash of the room's sources.

Numba's own file cache does not notice an edit in a *callee's* file, so the cache directory carries a hash of every
source file here; it lives under the user's cache directory, so that a read-only installation works too.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

#: Settings every function of the room is compiled with. ``error_model="numpy"`` drops checks for division by zero;
#: no fast-math, so that compiled and interpreted runs agree to the last bit.
OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True}


def source_hash() -> str:
    """Return a short hash of the room's sources and of the versions that compile them."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version_info[:2]} {platform.machine()}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """Return where compiled code is kept: ``$MESHSIM_CACHE_DIR``, or the user's cache directory."""
    given = os.environ.get("MESHSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(given) if given else Path.home() / ".cache"
    return root / "meshsim" / source_hash()


def is_compiled() -> bool:
    """Return whether an earlier process has left compiled code for these sources."""
    return bool(numba.config.DISABLE_JIT) or any(_DIRECTORY.glob("**/*.nbi"))


_DIRECTORY = cache_directory()


def jit(function: F) -> F:
    """Compile a function of the room (with ``NUMBA_DISABLE_JIT=1`` it stays plain Python)."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_DIRECTORY)
    try:
        compiled: F = numba.njit(**OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = before
    return compiled
