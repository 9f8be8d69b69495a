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
OPTIONS: dict[str, Any] = {"cache": True, "no_cfunc_wrapper": True, "error_model": "numpy", "nogil": True}


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
    return _one_width(compiled)


def _one_width(compiled: F) -> F:
    """Let compiled callers pass every signed integer as 64 bits.

    Numba compiles a function anew for every mixture of widths and constants that its callers pass; here that would
    make half of the functions several times, with all that they call, and double the time of the first compilation.
    """
    template = getattr(compiled, "get_call_template", None)
    if template is not None:

        def get_call_template(args: Any, kws: Any) -> Any:
            return template([_widened(arg) for arg in args], {name: _widened(arg) for name, arg in kws.items()})

        setattr(compiled, "get_call_template", get_call_template)  # noqa: B010 (unknown to the type checker)
    return compiled


def _widened(arg: Any) -> Any:
    arg = numba.types.unliteral(arg)
    return numba.types.int64 if isinstance(arg, numba.types.Integer) and arg.signed else arg
