"""The cache of compiled code: what it is keyed by, who fills it, and what is removed from it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from meshsim.dataplane import jit

ROOT = Path(__file__).parents[2]


def test_only_sources_that_compiled_code_depends_on_are_hashed() -> None:
    found = jit.sources()
    assert {"jit", "world", "state", "loop", "load_balancing", "yardstick"} <= found.keys()
    assert not {"plane", "building", "blueprint", "lowering", "lowering_routes"} & found.keys()


def test_every_module_with_a_compiled_function_is_hashed() -> None:
    found = jit.sources()
    room = Path(jit.__file__).parent
    compiled = {path.stem for path in room.glob("*.py") if "jit(" in path.read_text() or "@jit" in path.read_text()}
    assert compiled <= found.keys()


def directory(root: Path, name: str, *, days: float) -> Path:
    path = root / name
    path.mkdir()
    (path / "code.nbi").write_bytes(b"code")
    then = time.time() - 86400.0 * days
    os.utime(path, (then, then))
    return path


def test_of_many_versions_those_used_last_stay(tmp_path: Path) -> None:
    paths = [directory(tmp_path, f"{number:016x}", days=number + 2.0) for number in range(10)]
    jit.remove_old(tmp_path)
    assert [path.exists() for path in paths] == [True] * jit.VERSIONS + [False] * (10 - jit.VERSIONS)
    assert len(list(tmp_path.iterdir())) == jit.VERSIONS


def test_versions_in_use_today_stay_however_many(tmp_path: Path) -> None:
    paths = [directory(tmp_path, f"{number:016x}", days=0.1 * number) for number in range(9)]
    jit.remove_old(tmp_path)
    assert all(path.exists() for path in paths)


def test_only_directories_of_versions_are_removed(tmp_path: Path) -> None:
    paths = [directory(tmp_path, name, days=99.0) for name in ("photographs", "0123", "g" * 16)]
    jit.remove_old(tmp_path, keep=0)
    assert all(path.exists() for path in paths)


def test_what_a_killed_process_was_removing_is_removed(tmp_path: Path) -> None:
    left = directory(tmp_path, f"{'a' * 16}-removed-123", days=99.0)
    jit.remove_old(tmp_path, keep=0)
    assert not left.exists()


MANY = """
import sys, time
from pathlib import Path
from meshsim.dataplane import jit
if not jit.is_compiled():
    with jit.compiling():
        mark = Path(sys.argv[1]) / "compiles"
        assert not mark.exists() or jit.is_compiled()
        if not jit.is_compiled():
            mark.touch()
            time.sleep(0.5)
            with (Path(sys.argv[1]) / "times").open("a") as file: file.write("x")
assert jit.is_compiled()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="locks the Unix way")
def test_of_several_processes_one_compiles_and_the_others_wait(tmp_path: Path) -> None:
    environment = os.environ | {"MESHSIM_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    waiting = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in waiting]
    assert [process.returncode for process in waiting] == [0] * 4, said
    assert (tmp_path / "times").read_text() == "x"
