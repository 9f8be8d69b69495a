"""Units of work, named by what decides their result, and the folder that keeps those that are finished."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from meshsim.errors import Problem, ResultsError, did_you_mean
from meshsim.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

#: The rooms whose code decides what a run gives, and those that make a summary of it.
_SIMULATOR = (
    "units.py",
    "scenario",
    "mesh",
    "results/tables.py",
    "results/histogram.py",
    "dataplane",
    "engine",
)
_ANALYSIS = ("analysis",)
#: Packages that what a run gives depends on to the last bit.
_PACKAGES = ("numba", "numpy", "python", "simpy")
#: Bytes of units that are kept beside those of the latest command.
LIMIT = 1 << 30
#: Seconds after which a file that was being written belongs to a process that was killed.
_DRAFT = 3600.0
#: Begins the name of the summary among the files of a unit.
_SUMMARY = "summary-"


class Unit(NamedTuple):
    """One run: a deployment and a replication number."""

    deployment: str
    replication: int


def misfits(
    known: Collection[str], deployments: Iterable[str], replications: int, option: str, also: Iterable[str] = ()
) -> list[Problem]:
    """Return what is wrong with the deployments and the number of replications that are asked for.

    Parameters
    ----------
    known
        Deployments of the scenario.
    deployments, replications
        What is asked for.
    option
        Of the command line, that names deployments.
    also
        Words that it takes besides.
    """
    problems = [
        Problem(f"unknown deployment '{name}'{did_you_mean(name, [*known, *also])}", file=option)
        for name in deployments
        if name not in known
    ]
    if replications < 1:
        problems.append(Problem(f"{replications} replications are none; give 1 or more", file="--replications"))
    return problems


def key(scenario: Scenario, unit: Unit) -> str:
    """Return the name of a unit: a hash of everything that can change its result, and of nothing else.

    That is the scenario without its name, description, expectations, decision, variants, number of replications and
    other deployments; the replication; and the simulator itself, whose hash begins the name. Comments and the order of
    fields do not count.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> same = load({**EXAMPLE, "description": "the same", "replications": 9})
    >>> key(load(EXAMPLE), Unit("hybrid", 0)) == key(same, Unit("hybrid", 0))
    True
    >>> key(same, Unit("hybrid", 0)) == key(same, Unit("hybrid", 1))
    False
    """
    from meshsim.scenario.scenario import digest
    from meshsim.scenario.schema import Decision

    document = scenario.document
    without = {"name": "unit", "description": "", "expect": [], "replications": 1, "include": []}
    judged = {"decision": Decision(), "what_if": None}
    deployments = {unit.deployment: document.deployments[unit.deployment]}
    said = digest(document.model_copy(update={**without, **judged, "deployments": deployments}))
    own = hashlib.sha256(f"{said} {unit.deployment} {unit.replication} {simulator()}".encode()).hexdigest()
    return f"{_present()}{own}"


def _present() -> str:
    """Return how names of units begin that this simulator can use."""
    return f"{simulator()[:16]}-"


@lru_cache(maxsize=1)
def simulator() -> str:
    """Return a hash of what turns a scenario into results: meshsim's own code and what it computes with."""
    from meshsim.results.manifest import FORMAT, versions

    used = {name: version for name, version in versions().items() if name in _PACKAGES}
    return _hash_of(_SIMULATOR, f"{FORMAT} {sorted(used.items())}")


@lru_cache(maxsize=1)
def _analysis() -> str:
    return _hash_of(_ANALYSIS, simulator())[:16]


def _hash_of(rooms: Iterable[str], more: str) -> str:
    digest = hashlib.sha256(more.encode())
    home = Path(__file__).parents[1]
    for room in rooms:
        files = [home / room] if room.endswith(".py") else sorted((home / room).rglob("*"))
        for path in files:
            if path.suffix in {".py", ".csv", ".json", ".yaml"}:
                digest.update(path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Finished:
    """What came out of a unit.

    Parameters
    ----------
    calls
        Calls between services that ended.
    seconds
        That it took to compute.
    columns
        Its tables, where it was computed in this process.
    content
        Its tables and summary as one piece (`packed`), where they came from elsewhere; None if nobody asked for them.
    summary
        Its metrics, as `meshsim.analysis.summary.summarize` returns them; None if nobody asked for them.
    """

    calls: int
    seconds: float
    columns: Mapping[str, Any] | None = None
    content: bytes | None = None
    summary: pd.DataFrame | None = None

    def tables(self) -> Mapping[str, Any]:
        """Return its tables, as `meshsim.results.frames.concatenate` takes them.

        Raises
        ------
        ResultsError
            If they were not kept.
        """
        from meshsim.results.files import unpack

        if self.columns is not None:
            return self.columns
        if self.content is None:
            raise ResultsError("the tables of this unit were not kept")
        return unpack(self.content)

    def packed(self) -> bytes:
        """Return tables, summary and cost as one piece, from which `unpacked` makes an equal unit."""
        import io
        import json

        from meshsim.results.files import pack

        if self.content is not None:
            return self.content
        more = {"cost.json": json.dumps({"calls": self.calls, "seconds": self.seconds}).encode()}
        if self.summary is not None:
            buffer = io.BytesIO()
            self.summary.to_parquet(buffer, engine="pyarrow", compression="zstd", index=False)
            more[f"{_SUMMARY}{_analysis()}.parquet"] = buffer.getvalue()
        return pack(self.tables(), more)


def unpacked(content: bytes) -> Finished:
    """Return the unit that `Finished.packed` made; its summary only if the analysis is still the same.

    Raises
    ------
    ResultsError
        If it is damaged.
    """
    import io
    import json
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:
                raise ResultsError("a unit is damaged")
            cost = json.loads(archive.read("cost.json"))
            name = f"{_SUMMARY}{_analysis()}.parquet"
            kept = archive.read(name) if name in archive.namelist() else None
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, zlib.error) as problem:
        raise ResultsError(f"a unit is damaged: {problem}") from problem
    summary = None
    if kept is not None:
        import pandas as pd

        summary = pd.read_parquet(io.BytesIO(kept), engine="pyarrow")
    return Finished(int(cost["calls"]), float(cost["seconds"]), None, content, summary)


@dataclass(frozen=True, slots=True)
class Units:
    """A folder of finished units, each a file that is whole or not there.

    Parameters
    ----------
    folder
        Made when the first unit lands.
    used
        Names of those that were found or landed since this object was made.

    Examples
    --------
    >>> Units(Path("no such folder")).get("ab12") is None
    True
    """

    folder: Path
    used: set[str] = field(default_factory=set, compare=False, repr=False)

    def get(self, name: str) -> Finished | None:
        """Return a unit; None if it is not there, or is damaged and has to be computed again."""
        try:
            found = unpacked(self._path(name).read_bytes())
        except (OSError, ResultsError):
            return None
        self.used.add(name)
        with contextlib.suppress(OSError):
            os.utime(self._path(name))  # those unused for longest go first
        return found

    def has(self, name: str) -> bool:
        """Return whether there is such a unit, damaged or not."""
        return self._path(name).exists()

    def put(self, name: str, unit: Finished) -> None:
        """Keep a unit.

        Raises
        ------
        ResultsError
            If the disk refuses.
        """
        from meshsim.results.files import put

        put(self._path(name), unit.packed())
        self.used.add(name)

    def discard(self) -> None:
        """Remove the units that were used, and the folder if no other is left."""
        for name in self.used:
            self._remove(self._path(name))
        self.used.clear()
        self.tidy()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def tidy(self, limit: int = LIMIT) -> None:
        """Remove what nobody will want: units of another simulator, drafts of processes that were killed, old units.

        Parameters
        ----------
        limit
            Bytes of units, beside those used since this object was made, that stay: those used last.
        """
        from meshsim.results.files import UNFINISHED

        others = []
        for path, file in self._files():
            if path.name.startswith(UNFINISHED):
                if file.st_mtime < time.time() - _DRAFT:
                    self._remove(path)
            elif path.suffix == ".zip" and not path.name.startswith(_present()):
                self._remove(path)
            elif path.suffix == ".zip" and path.stem not in self.used:
                others.append((file.st_mtime, file.st_size, path))
        for _, size, path in sorted(others, reverse=True):
            limit -= size
            if limit < 0:
                self._remove(path)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """Return the files of the folder; another process may remove some at the same time."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    found.append((path, path.stat()))
        return found

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.zip"
