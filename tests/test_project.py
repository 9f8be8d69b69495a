"""What holds the project together: its public names, versions, locked requirements and what its files may say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import meshsim

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
HEAVY = ("matplotlib", "networkx", "numba", "pandas", "pyarrow", "scipy")


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return sorted({*PROJECT["dependencies"], *(requirement for extra in extras for requirement in extra)})


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements" / "lock.txt").read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def files() -> list[Path]:
    """Return the text files of the repository: what git knows, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


# --- public names -----------------------------------------------------------------------------------------------


def test_every_public_name_resolves():
    assert len(set(meshsim.__all__)) == len(meshsim.__all__)
    for name in meshsim.__all__:
        assert getattr(meshsim, name) is not None


def test_nothing_else_is_public():
    assert {name for name in dir(meshsim) if not name.startswith("_")} == set(meshsim.__all__)
    assert len(meshsim.__all__) <= 20


def test_the_package_starts_without_what_is_heavy():
    code = f"import sys, meshsim; print(*[name for name in {HEAVY} if name in sys.modules])"
    started = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert started.stdout.split() == []


# --- versions ---------------------------------------------------------------------------------------------------


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    entries = re.findall(r"^## \[?([^\]\s]+)\]?", text, flags=re.MULTILINE)
    released = [entry for entry in entries if entry.lower() != "unreleased"]
    assert released[:1] == [meshsim.__version__]


@pytest.mark.parametrize("requirement", requirements())
def test_the_lock_has_a_version_in_the_range(requirement):
    wanted = Requirement(requirement)
    version = locked().get(canonicalize_name(wanted.name))
    assert version is not None, f"requirements/lock.txt lacks {wanted.name}; run `make lock`"
    assert wanted.specifier.contains(version), f"{wanted} does not allow the locked {version}"


def test_the_lock_holds_exact_versions_and_nothing_else():
    for line in (ROOT / "requirements" / "lock.txt").read_text("utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


# --- files ------------------------------------------------------------------------------------------------------


def test_no_file_names_a_place_on_somebodys_machine():
    places = "home/[a-z]|root/|work/[a-z]|Users/[A-Za-z]|tmp/[a-z]|opt/[a-z]"
    pattern = re.compile(rf"(?<![\w.~$)}}/-])/(?:{places})|site-" + "packages")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in files()
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_what_is_run_by_hand_or_by_ci_can_be_run():
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("venv", "install", "demo", "check", "lint", "test", "bench", "clean", "help"):
        assert re.search(rf"^{target}:.*## ", makefile, flags=re.MULTILINE), (
            f"make {target} is not there or not explained"
        )
