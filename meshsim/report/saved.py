"""Which saved run a folder means: itself, or the newest of those in it; and what to do where there is none."""

from __future__ import annotations

from pathlib import Path

from meshsim.errors import ResultsError
from meshsim.results.store import runs

#: How deep runs lie below the folder of a scenario, and below the one that `--out` names: ``<scenario>/<run>``.
_DEEP = (1, 2)


def newest(folder: Path) -> tuple[Path, int]:
    """Return the run that a folder is, or the newest whole one in it, and how many there are.

    Raises
    ------
    ResultsError
        If there is none; the message says how to make one.

    Examples
    --------
    >>> newest(Path("no-folder"))
    Traceback (most recent call last):
    meshsim.errors.ResultsError: there is no folder no-folder; run `meshsim compare SCENARIO --out no-folder` first
    """
    if not folder.exists():
        raise ResultsError(f"there is no folder {folder}; {hint(folder)}")
    if not folder.is_dir():
        raise ResultsError(f"{folder} is a file, not a folder with results; {hint(folder.parent)}")
    if (folder / "manifest.json").exists():
        return folder, 1
    found = runs(folder, deep=_DEEP)
    if not found:
        raise ResultsError(f"{folder} holds no run that compare or run has saved; {hint(folder)}")
    return found[-1], len(found)


def hint(folder: Path) -> str:
    """Return what to do where there are no results.

    Examples
    --------
    >>> hint(Path("results"))
    'run `meshsim compare SCENARIO --out results` first'
    """
    import shlex

    return f"run `meshsim compare SCENARIO --out {shlex.quote(str(folder))}` first"
