"""Tables as files: each as Parquet, all of a run as one archive, and written in one step or not at all."""

from __future__ import annotations

import io
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim.errors import ResultsError
from meshsim.results.frames import frame
from meshsim.results.manifest import FORMAT
from meshsim.results.tables import TABLES, Column

if TYPE_CHECKING:
    import pandas as pd

#: Begins the names of what is still being written.
UNFINISHED = ".unfinished-"
#: Rows that are written at a time.
ROWS = 1 << 20


def pack(tables: Mapping[str, Any], more: Mapping[str, bytes] | None = None) -> bytes:
    """Return tables as one piece: a ZIP archive of Parquet files, with checksums.

    Parameters
    ----------
    tables
        Data frames, or columns as `meshsim.results.frames.frame` takes them, by table; some may be missing.
    more
        Other files by name.

    Raises
    ------
    ResultsError
        If a table does not have its columns.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> len(unpack(pack(concatenate([])))["requests"])
    0
    """
    buffer = io.BytesIO()
    files = {f"{name}.parquet": to_parquet(name, frame(name, tables[name])) for name in TABLES if name in tables}
    with zipfile.ZipFile(buffer, "w") as archive:  # stored: Parquet is compressed already
        for name, content in {**files, **(more or {})}.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # without a date: the same tables, the same bytes
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, pd.DataFrame]:
    """Return the tables of what `pack` made.

    Raises
    ------
    ResultsError
        If it is damaged.

    Examples
    --------
    >>> unpack(b"half a file")
    Traceback (most recent call last):
    meshsim.errors.ResultsError: a packed run is damaged: File is not a zip file
    """
    where = Path("a packed run")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in TABLES if f"{name}.parquet" in archive.namelist()]
            return {name: from_parquet(where, name, archive.read(f"{name}.parquet")) for name in names}
    except (zipfile.BadZipFile, EOFError, zlib.error) as problem:
        raise ResultsError(f"a packed run is damaged: {problem}") from problem


def put(path: Path, content: bytes) -> None:
    """Write a file in one step: whatever kills the process, it is whole or not there.

    Raises
    ------
    ResultsError
        If the disk refuses.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     put(Path(folder) / "new" / "file", b"content")
    ...     [path.name for path in (Path(folder) / "new").iterdir()]
    ['file']
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
        sync(path.parent)
    except OSError as problem:
        raise ResultsError(f"cannot save {path}: {problem.strerror or problem}") from problem


def put_all(folder: Path, files: Iterable[tuple[str, bytes]], what: str) -> list[Path]:
    """Write files into a folder, each in one step as `put` does, and return them; those of the same name are replaced.

    Parameters
    ----------
    folder
        Created before the first file is asked for.
    files
        Names and contents.
    what
        What is done, for the message: ``"save pictures"``.

    Raises
    ------
    ResultsError
        If the disk refuses.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     [path.name for path in put_all(Path(folder) / "new", {"a": b"1", "b": b"2"}.items(), "save letters")]
    ['a', 'b']
    """
    home, written = Path(folder), []
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            written.append(home / name)
            _replace(written[-1], content)
        sync(home)
    except OSError as problem:
        raise ResultsError(f"cannot {what} in {folder}: {problem.strerror or problem}") from problem
    return written


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        create(draft, content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def to_parquet(name: str, table: pd.DataFrame) -> bytes:
    """Return a table of `TABLES` as the bytes of a Parquet file, with the meaning of each column.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> to_parquet("events", concatenate([])["events"])[:4]
    b'PAR1'
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([_field(pa, column) for column in TABLES[name]], metadata={"table": name, "format": str(FORMAT)})
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for first in range(0, max(len(table), 1), ROWS):
            part = table.iloc[first : first + ROWS]
            arrays = [pa.array(part[field.name], type=field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return bytes(buffer.getvalue().to_pybytes())


def from_parquet(run: Path, name: str, content: bytes) -> pd.DataFrame:
    """Return the table that `to_parquet` made; ``run`` is where it was, for the message.

    Raises
    ------
    ResultsError
        If it is none, or another table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        stored = pq.read_table(pa.BufferReader(content)).to_pandas()
        return frame(name, {str(column): stored[column] for column in stored.columns})
    except (pa.ArrowException, ResultsError) as problem:
        raise ResultsError(f"{run}: {name}.parquet cannot be read: {problem}") from problem


def _field(pa: Any, column: Column) -> Any:
    kind = {"str": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[column.dtype]
    return pa.field(column.name, kind, metadata={"meaning": column.meaning})


def create(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, and force it to disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Force the folder's entries to disk, where the system can (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
