"""The compiler of the room: one decorator, and a disk cache keyed by a hash of the room's compiled sources.

Numba's own file cache does not notice an edit in a *callee's* file, so the cache directory carries a hash of every
source file here that compiled code can depend on; it lives under the user's cache directory, so that a read-only
installation works too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

#: Settings every function of the room is compiled with. ``error_model="numpy"`` drops checks for division by zero;
#: no fast-math, so that compiled and interpreted runs agree to the last bit.
OPTIONS: dict[str, Any] = {"cache": True, "no_cfunc_wrapper": True, "error_model": "numpy", "nogil": True}

#: Versions whose compiled code is kept, and the seconds for which unused code of yet other versions is.
VERSIONS, UNUSED = 4, 86400.0

#: A module with compiled functions, or that tells Numba how to compile a type.
_COMPILED = re.compile(r"^@jit\b|^(?:from|import) numba\b", re.MULTILINE)
_IMPORT = re.compile(r"^ *from meshsim\.dataplane(?:\.(\w+))? import (\([^)]*\)|.*)", re.MULTILINE)
#: What a cache directory is called, and a directory that is being removed.
_NAME = re.compile(r"[0-9a-f]{16}(?:-removed-\d+)?")
#: In a cache directory: the file that says that everything has been compiled, and the one that is locked meanwhile.
_WHOLE, _LOCK = "compiled-{}", "lock"


def sources() -> dict[str, bytes]:
    """Return the files that decide what is compiled: those with compiled functions or types, and all they import."""
    room = {path.stem: path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))}
    texts = {name: content.decode() for name, content in room.items()}
    found = {name for name, text in texts.items() if _COMPILED.search(text)}
    waiting = list(found)
    while waiting:
        for module, names in _IMPORT.findall(texts[waiting.pop()]):
            fresh = {module, *re.findall(r"\w+", names)} & room.keys() - found
            found |= fresh
            waiting += fresh
    return {name: room[name] for name in sorted(found)}


def source_hash() -> str:
    """Return a short hash of what is compiled and of the versions that compile it."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version_info[:2]} {platform.machine()}".encode())
    for name, content in sources().items():
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """Return where compiled code is kept: ``$MESHSIM_CACHE_DIR``, or the user's cache directory."""
    given = os.environ.get("MESHSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(given) if given else Path.home() / ".cache"
    return root / "meshsim" / source_hash()


def is_compiled() -> bool:
    """Return whether an earlier process has compiled everything of these sources."""
    return bool(numba.config.DISABLE_JIT) or _whole().exists()


def _whole() -> Path:
    """Return the file that says so; Numba's cache knows code by its path, so each installation has its own."""
    place = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:16]
    return _DIRECTORY / _WHOLE.format(place)


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Let the body compile everything, one process at a time, and remove code that no process has used for long.

    Where everything has been compiled already, nobody waits. Where the directory cannot be written or locked the body
    does its work all the same.
    """
    if is_compiled():
        with contextlib.suppress(OSError):
            os.utime(_DIRECTORY)
        yield
        return
    with _locked():
        yield
        with contextlib.suppress(OSError):
            _DIRECTORY.mkdir(parents=True, exist_ok=True)
            _whole().touch()
            os.utime(_DIRECTORY)
            remove_old(_DIRECTORY.parent)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock of the directory; the system gives it back when a process ends, however it ends."""
    with contextlib.ExitStack() as stack:
        if find_spec("fcntl") is not None:
            import fcntl

            with contextlib.suppress(OSError):
                _DIRECTORY.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context((_DIRECTORY / _LOCK).open("w"))
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_old(root: Path, *, keep: int = VERSIONS, unused: float = UNUSED) -> None:
    """Remove compiled code of other versions: all but the latest, and only what has been out of use for some time.

    A process that still runs such a version compiles again what it misses.

    Parameters
    ----------
    root
        The folder with one directory per version.
    keep
        Directories that stay, those used last.
    unused
        Seconds since its last use after which a directory may go.
    """
    known = [path for path in root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    latest = sorted(known, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in latest[keep:]:
        if path.stat().st_mtime > time.time() - unused:
            continue
        # Under another name first: nobody meets half a directory, and only one process removes it.
        gone = path.with_name(f"{path.name[:16]}-removed-{os.getpid()}")
        with contextlib.suppress(OSError):
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


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
