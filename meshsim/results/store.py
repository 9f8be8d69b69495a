"""Runs on disk: written in one step or not at all, and refused when anything of them is missing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim.errors import ResultsError
from meshsim.results.files import UNFINISHED, create, from_parquet, sync, to_parquet
from meshsim.results.frames import frame
from meshsim.results.manifest import FORMAT
from meshsim.results.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

_MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: What a manifest says of each table.
_FACTS = {"rows": int, "bytes": int, "sha256": str}


@dataclass(frozen=True, slots=True)
class Results:
    """A run as read from disk.

    Parameters
    ----------
    folder
        Where it is.
    tables
        Every table of `TABLES`.
    manifest
        What it was made from, see `meshsim.results.manifest.describe`.
    """

    folder: Path
    tables: Mapping[str, pd.DataFrame]
    manifest: Mapping[str, Any]


def write(folder: Path, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> Path:
    """Save a run below ``folder`` as ``<scenario>/<run>/`` and return that folder.

    Everything is written to a hidden folder beside it, forced to disk, the manifest last, and then renamed: a run that
    can be seen is whole, whatever killed the process. No run is ever overwritten.

    Parameters
    ----------
    folder
        Created where missing; nothing is written outside of it.
    tables
        Every table of `TABLES`.
    manifest
        As `meshsim.results.manifest.describe` returns it; its ``scenario.name`` names the folder.

    Raises
    ------
    ResultsError
        If a table does not have its columns, the name would lead out of ``folder``, or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> from meshsim.results.frames import concatenate
    >>> from meshsim.results.manifest import describe
    >>> facts = describe({"name": "tiny"}, scenario_hash="ab12", seed=1, deployments=["hybrid"],
    ...                  replications_asked=1, replications_finished=1, wall_time=0.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = write(Path(folder), concatenate([]), facts)
    ...     run.parent.name, read(run).manifest["seed"]
    ('tiny', 1)
    """
    if set(tables) != set(TABLES):
        different = sorted(set(tables) ^ set(TABLES))
        raise ResultsError(f"a run has the tables {', '.join(TABLES)}; different here: {', '.join(different)}")
    checked = {name: frame(name, {str(c): tables[name][c] for c in tables[name].columns}) for name in TABLES}
    try:
        home = _home(Path(folder), manifest)
        with _unfinished(home) as draft:
            facts = {**manifest, "tables": {name: _save(draft, name, checked[name]) for name in TABLES}}
            create(draft / _MANIFEST, _json(facts))
            sync(draft)
            return _publish(draft, home, str(manifest.get("scenario_hash", "")))
    except OSError as problem:
        raise ResultsError(f"cannot save results in {folder}: {problem.strerror or problem}") from problem


def write_files(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any], kind: str) -> Path:
    """Save files and a manifest in a new folder ``<scenario>/<kind>-…/`` below ``folder``, as `write` does; return it.

    Parameters
    ----------
    folder
        Created where missing.
    files
        By name.
    manifest
        As for `write`; it is saved as ``manifest.json`` with the files' sizes and checksums.
    kind
        Begins the name of the folder.

    Raises
    ------
    ResultsError
        If the name would lead out of ``folder``, or the disk refuses.
    """
    try:
        home = _home(Path(folder), manifest)
        with _unfinished(home) as draft:
            for name, content in files.items():
                create(draft / name, content)
            sums = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()}
            create(draft / _MANIFEST, _json({**manifest, "files": sums}))
            sync(draft)
            return _publish(draft, home, str(manifest.get("scenario_hash", "")), f"{kind}-")
    except OSError as problem:
        raise ResultsError(f"cannot save results in {folder}: {problem.strerror or problem}") from problem


def check_writable(folder: Path) -> None:
    """Find out whether `write` can save below ``folder``, before anything is worth saving.

    Parameters
    ----------
    folder
        Created where missing, with the folders above it; a file is made in it and removed.

    Raises
    ------
    ResultsError
        If it is a file, or the disk refuses.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_writable(Path(folder) / "results")
    ...     list((Path(folder) / "results").iterdir())
    []
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=UNFINISHED):
            pass
    except OSError as problem:
        for path in (Path(folder), *Path(folder).parents):
            if os.path.lexists(path) and not path.is_dir():
                what = "a link that leads nowhere" if path.is_symlink() and not path.exists() else "a file"
                raise ResultsError(f"{path} is {what}, not a folder") from problem
        raise ResultsError(f"cannot save results in {folder}: {problem.strerror or problem}") from problem
    except ValueError as problem:  # a NUL character
        raise ResultsError(f"{str(folder)!r} cannot name a folder") from problem


def read(folder: Path) -> Results:
    """Return the run that `write` saved in ``folder``.

    Raises
    ------
    ResultsError
        If it is no run, is incomplete or damaged, or was written by a version with other tables.
    """
    run = Path(folder)
    facts = _manifest(run)
    tables = {}
    for name in TABLES:
        content = _content(run, name, facts)
        if hashlib.sha256(content).hexdigest() != facts["tables"][name]["sha256"]:
            raise ResultsError(f"{run}: {name}.parquet is damaged: it differs from its checksum")
        tables[name] = from_parquet(run, name, content)
        if len(tables[name]) != facts["tables"][name]["rows"]:
            raise ResultsError(f"{run}: {name}.parquet is incomplete")
    return Results(folder=run, tables=tables, manifest=facts)


def runs(folder: Path, scenario: str | None = None, *, deep: Sequence[int] = (2,)) -> tuple[Path, ...]:
    """Return the runs below ``folder``, of all scenarios or of one, the oldest first.

    Folders without a whole manifest, and runs that miss a table, are left out.

    Parameters
    ----------
    folder
        Where to look.
    scenario
        Name of one of them; all by default.
    deep
        How many folders down runs lie: two below what `write` was given, one below the folder of a scenario.

    Examples
    --------
    >>> runs(Path("no such folder"))
    ()
    """
    one = f"{scenario}/*" if scenario and _NAME.fullmatch(scenario) else ""
    patterns = [one] if one else ["/".join("*" * down) for down in deep]
    found = (path.parent for pattern in patterns for path in Path(folder).glob(f"{pattern}/{_MANIFEST}"))
    seen = (run for run in found if not any(part.startswith(".") for part in run.relative_to(folder).parts))
    return tuple(sorted((run for run in seen if _looks_whole(run)), key=lambda run: (run.name, run.parent.name)))


# --- writing --------------------------------------------------------------------------------------------------


def _home(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Return the scenario's folder, which is inside ``folder`` whatever the scenario calls itself or links to."""
    scenario = manifest.get("scenario")
    name = scenario.get("name") if isinstance(scenario, Mapping) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ResultsError(f"{name!r} cannot name a results folder; use letters, digits, '.', '_' and '-'")
    folder.mkdir(parents=True, exist_ok=True)
    home = folder.resolve() / name
    home.mkdir(exist_ok=True)
    if home.resolve() != home:
        raise ResultsError(f"{folder / name} is a link that leads elsewhere; remove it or choose another --out")
    return home


@contextlib.contextmanager
def _unfinished(home: Path) -> Iterator[Path]:
    draft = home / f"{UNFINISHED}{secrets.token_hex(8)}"
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # gone already where the run was published


def _save(draft: Path, name: str, table: pd.DataFrame) -> dict[str, Any]:
    content = to_parquet(name, table)
    create(draft / f"{name}.parquet", content)
    return {"rows": len(table), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _json(facts: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as problem:
        raise ResultsError(f"cannot save results: the manifest is not JSON: {problem}") from problem


def _publish(draft: Path, home: Path, scenario_hash: str, prefix: str = "") -> Path:
    """Rename the draft to the first free run name; the rename itself finds out whether a name is free."""
    stamp = prefix + datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    tag = hashlib.sha256(f"{scenario_hash} {secrets.token_hex(8)}".encode()).hexdigest()[:6]
    for attempt in range(1, 1000):
        run = home / (f"{stamp}-{tag}" if attempt == 1 else f"{stamp}-{tag}-{attempt}")
        if run.exists():
            continue
        try:
            draft.rename(run)
        except OSError:
            if not run.exists():  # not a race for the name, but a real refusal
                raise
            continue
        sync(home)
        return run
    raise ResultsError(f"no free name for a run in {home}")


# --- reading --------------------------------------------------------------------------------------------------


def _manifest(run: Path) -> dict[str, Any]:
    try:
        facts = json.loads((run / _MANIFEST).read_bytes())
    except FileNotFoundError:
        what = f"there is no folder {run}" if not run.is_dir() else f"{run} is not a whole run: it has no {_MANIFEST}"
        raise ResultsError(what) from None
    except OSError as problem:
        raise ResultsError(f"cannot read {run}: {problem.strerror or problem}") from problem
    except (ValueError, RecursionError) as problem:  # also what is not UTF-8, or nested without end
        raise ResultsError(f"{run} is not a whole run: its {_MANIFEST} is not valid JSON") from problem
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        written = facts.get("format") if isinstance(facts, dict) else None
        raise ResultsError(f"{run} has results format {written!r}; this version reads {FORMAT}")
    _check_described(run, facts)
    return facts


def _check_described(run: Path, facts: Mapping[str, Any]) -> None:
    described = facts.get("tables")
    if not isinstance(described, dict):
        raise ResultsError(f"{run} is not a whole run: its {_MANIFEST} describes no tables")
    for name in TABLES:
        table = described.get(name)
        if not isinstance(table, dict) or any(type(table.get(fact)) is not kind for fact, kind in _FACTS.items()):
            raise ResultsError(f"{run}: its {_MANIFEST} does not describe the table '{name}'")
    deployments = facts.get("deployments")
    if not isinstance(deployments, list) or not deployments or not all(isinstance(name, str) for name in deployments):
        raise ResultsError(f"{run} is not a whole run: its {_MANIFEST} names no deployments")


def _content(run: Path, name: str, facts: Mapping[str, Any]) -> bytes:
    try:
        content = (run / f"{name}.parquet").read_bytes()
    except FileNotFoundError:
        raise ResultsError(f"{run} is incomplete: {name}.parquet is missing") from None
    except OSError as problem:
        raise ResultsError(f"cannot read {run / name}.parquet: {problem.strerror or problem}") from problem
    if len(content) < facts["tables"][name]["bytes"]:
        raise ResultsError(
            f"{run} is incomplete: {name}.parquet has {len(content)} bytes of {facts['tables'][name]['bytes']}"
        )
    return content


def _looks_whole(run: Path) -> bool:
    """Return whether manifest and sizes agree, without reading the tables."""
    try:
        facts = _manifest(run)
        return all((run / f"{name}.parquet").stat().st_size == facts["tables"][name]["bytes"] for name in TABLES)
    except (ResultsError, OSError):
        return False
