from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from meshsim.errors import ResultsError
from meshsim.results import store
from meshsim.results.frames import concatenate, frame
from meshsim.results.manifest import describe
from meshsim.results.tables import TABLES

ROOT = Path(__file__).parents[2]


def manifest(name: str = "tiny", **changes):
    facts = {
        "scenario_hash": "ab12",
        "seed": 7,
        "deployments": ["hybrid"],
        "replications_asked": 5,
        "replications_finished": 5,
        "wall_time": 1.25,
    }
    return describe({"name": name, "description": "läuft"}, **{**facts, **changes})


def filled(rows: int = 50) -> dict[str, pd.DataFrame]:
    """Tables whose every column holds something of its type."""
    words = {"str": [f"wörd {row % 7}" for row in range(rows)], "int64": range(rows), "float64": np.arange(rows) / 3}
    return {name: frame(name, {c.name: words[c.dtype] for c in columns}) for name, columns in TABLES.items()}


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_a_run_reads_back_as_it_was_written(tmp_path):
    tables = filled()
    run = store.write(tmp_path / "out", tables, manifest())
    results = store.read(run)
    assert run.parent == tmp_path / "out" / "tiny"
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", run.name)
    assert list(results.tables) == list(TABLES)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(results.tables[name], table)
    assert results.manifest["seed"] == 7
    assert results.manifest["complete"] is True
    assert results.manifest["scenario"]["description"] == "läuft"
    assert results.manifest["tables"]["calls"]["rows"] == 50
    assert {"python", "meshsim", "numpy", "numba", "simpy", "pandas"} <= set(results.manifest["versions"])


def test_nothing_but_the_run_is_left_behind(tmp_path):
    run = store.write(tmp_path, filled(), manifest())
    assert sorted(path.name for path in run.iterdir()) == sorted(
        ["manifest.json", *(f"{name}.parquet" for name in TABLES)]
    )
    assert list(run.parent.iterdir()) == [run]


def test_every_column_carries_its_meaning_into_the_file(tmp_path):
    run = store.write(tmp_path, filled(), manifest())
    for name, columns in TABLES.items():
        schema = pq.read_schema(run / f"{name}.parquet")
        assert [schema.field(c.name).metadata[b"meaning"].decode() for c in columns] == [c.meaning for c in columns]


def test_equal_tables_make_equal_files(tmp_path):
    first, second = (store.read(store.write(tmp_path, filled(), manifest())) for _ in range(2))
    assert first.manifest["tables"] == second.manifest["tables"]
    assert first.folder != second.folder


def test_an_interrupted_comparison_is_saved_and_says_so(tmp_path):
    facts = store.read(store.write(tmp_path, filled(), manifest(replications_finished=2, complete=False))).manifest
    assert facts["complete"] is False
    assert facts["replications"] == {"asked": 5, "finished": 2}


@pytest.mark.slow
def test_runs_written_at_once_all_get_a_folder(tmp_path):
    tables = filled(3)
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda _: store.write(tmp_path, tables, manifest()), range(24)))
    assert len(set(written)) == 24
    assert set(store.runs(tmp_path)) == set(written)


def test_a_taken_name_is_never_overwritten(tmp_path, monkeypatch):
    class Stopped(store.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr(store, "datetime", Stopped)
    monkeypatch.setattr(store.secrets, "token_hex", lambda _size: "same")
    first = store.write(tmp_path, filled(2), manifest())
    before = {path: path.read_bytes() for path in first.iterdir()}
    second = store.write(tmp_path, filled(3), manifest())
    assert {path: path.read_bytes() for path in first.iterdir()} == before
    assert second.name == f"{first.name}-2"
    assert len(store.read(second).tables["calls"]) == 3


def test_runs_are_listed_oldest_first_and_by_scenario(tmp_path):
    for scenario, run in (
        ("b", "20260101T000000Z-aaaaaa"),
        ("a", "20260102T000000Z-bbbbbb"),
        ("a", "20250101T000000Z-c"),
    ):
        written = store.write(tmp_path, concatenate([]), manifest(scenario))
        written.rename(written.parent / run)
    assert [path.name[:8] for path in store.runs(tmp_path)] == ["20250101", "20260101", "20260102"]
    assert [path.name[:8] for path in store.runs(tmp_path, "a")] == ["20250101", "20260102"]
    assert store.runs(tmp_path, "../b") == store.runs(tmp_path)


# --- what is not a whole run ----------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def describe_calls(run: Path, **changes: object) -> None:
    tables = json.loads((run / "manifest.json").read_text("utf-8"))["tables"]
    edit(run / "manifest.json", tables={**tables, "calls": {**tables["calls"], **changes}})


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda run: (run / "manifest.json").unlink(), "is not a whole run: it has no manifest.json"),
        (lambda run: cut(run / "manifest.json"), "its manifest.json is not valid JSON"),
        (lambda run: (run / "manifest.json").write_bytes(b"\xff\xfe\x00"), "its manifest.json is not valid JSON"),
        (lambda run: (run / "manifest.json").write_text("[]"), "has results format None; this version reads 5"),
        (lambda run: edit(run / "manifest.json", format=99), "has results format 99; this version reads 5"),
        (lambda run: edit(run / "manifest.json", tables=None), "its manifest.json describes no tables"),
        (lambda run: edit(run / "manifest.json", tables={}), "does not describe the table 'requests'"),
        (lambda run: describe_calls(run, rows="5"), "does not describe the table 'calls'"),
        (lambda run: describe_calls(run, rows=True), "does not describe the table 'calls'"),
        (lambda run: describe_calls(run, bytes="many"), "does not describe the table 'calls'"),
        (lambda run: describe_calls(run, bytes=1.5), "does not describe the table 'calls'"),
        (lambda run: describe_calls(run, sha256=None), "does not describe the table 'calls'"),
        (lambda run: describe_calls(run, sha256=["a"]), "does not describe the table 'calls'"),
        (lambda run: (run / "manifest.json").write_text("[" * 100_000), "its manifest.json is not valid JSON"),
        (lambda run: edit(run / "manifest.json", deployments=None), "its manifest.json names no deployments"),
        (lambda run: edit(run / "manifest.json", deployments=[]), "its manifest.json names no deployments"),
        (lambda run: edit(run / "manifest.json", deployments=[7]), "its manifest.json names no deployments"),
        (lambda run: (run / "calls.parquet").unlink(), "is incomplete: calls.parquet is missing"),
        (lambda run: cut(run / "calls.parquet"), "is incomplete: calls.parquet has"),
        (lambda run: flip(run / "calls.parquet"), "calls.parquet is damaged: it differs from its checksum"),
    ],
)
def test_a_run_with_anything_missing_is_refused(tmp_path, harm, message):
    run = store.write(tmp_path, filled(), manifest())
    harm(run)
    with pytest.raises(ResultsError, match=re.escape(message)):
        store.read(run)
    store.runs(tmp_path)  # passes over it, or lists it where only the content is damaged


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="there is no folder"):
        store.read(tmp_path / "nowhere")


@pytest.mark.parametrize("harm", ["manifest.json", "latency.parquet"])
def test_a_run_with_a_file_missing_is_not_listed(tmp_path, harm):
    run = store.write(tmp_path, filled(), manifest())
    (run / harm).unlink()
    assert store.runs(tmp_path) == ()


# --- what is refused before anything is seen ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../escape", "..", ".", "", "a/b", "a\\b", "/etc/x", ".hidden", "a\n", "x" * 101, "a\0b", None, 7]
)
def test_a_scenario_name_cannot_lead_out_of_the_folder(tmp_path, name):
    out = tmp_path / "out"
    with pytest.raises(ResultsError, match="cannot name a results folder"):
        store.write(out, filled(1), {**manifest(), "scenario": {"name": name}})
    assert everything(tmp_path) in ([], [out])


def test_a_link_cannot_lead_out_of_the_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tiny").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match="is a link that leads elsewhere"):
        store.write(tmp_path / "out", filled(1), manifest())
    assert everything(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tables: tables.pop("calls"), "different here: calls"),
        (lambda tables: tables.update(call=tables["calls"]), "different here: call"),
        (lambda tables: tables.update(calls=tables["calls"].drop(columns="code")), "lacks its column 'code'"),
        (lambda tables: tables.update(calls=tables["calls"].assign(x=1)), "has no column 'x'"),
        (lambda tables: tables.update(calls=tables["calls"].assign(code="200")), "'200' is not a whole number"),
    ],
)
def test_tables_that_differ_from_their_description_are_not_written(tmp_path, change, message):
    tables = filled(2)
    change(tables)
    with pytest.raises(ResultsError, match=re.escape(message)):
        store.write(tmp_path, tables, manifest())
    assert everything(tmp_path) == []


@pytest.mark.parametrize("strange", [float("nan"), object()])
def test_a_manifest_that_is_not_json_leaves_nothing_behind(tmp_path, strange):
    with pytest.raises(ResultsError, match="the manifest is not JSON"):
        store.write(tmp_path, filled(2), manifest(wall_time=strange))
    assert everything(tmp_path) == [tmp_path / "tiny"]


@pytest.mark.parametrize("moment", [0, len(TABLES) // 2, len(TABLES), len(TABLES) + 1])
def test_an_interruption_while_writing_leaves_nothing_behind(tmp_path, monkeypatch, moment):
    moments = iter(range(100))
    sync = os.fsync

    def interrupted(handle):
        if next(moments) == moment:
            raise KeyboardInterrupt
        sync(handle)

    monkeypatch.setattr(store.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write(tmp_path, filled(2), manifest())
    assert everything(tmp_path) == [tmp_path / "tiny"]


def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(ResultsError, match=r"cannot save results in .*: No space left on device"):
        store.write(tmp_path, filled(2), manifest())
    assert everything(tmp_path) == [tmp_path / "tiny"]


def test_a_file_where_the_folder_should_be_is_told_in_one_line(tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(ResultsError, match=r"cannot save results in .*out: File exists"):
        store.write(tmp_path / "out", filled(1), manifest())


# --- whether a run can be saved -----------------------------------------------------------------------------------


def test_a_folder_to_save_in_is_made_and_left_empty(tmp_path):
    store.check_writable(tmp_path / "a" / "b")
    store.check_writable(tmp_path / "a" / "b")
    assert everything(tmp_path / "a" / "b") == []


@pytest.mark.parametrize("below", ["out", "out/a", "out/a/b"])
def test_a_file_on_the_way_is_named(tmp_path, below):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(ResultsError, match=re.escape(f"{tmp_path / 'out'} is a file, not a folder")):
        store.check_writable(tmp_path / below)


def test_a_link_to_nowhere_is_named(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    with pytest.raises(ResultsError, match="out is a link that leads nowhere, not a folder"):
        store.check_writable(tmp_path / "out")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.tempfile, "NamedTemporaryFile", refused)
    with pytest.raises(ResultsError, match=re.escape(f"cannot save results in {tmp_path}: Permission denied")):
        store.check_writable(tmp_path)


def test_a_name_that_no_folder_can_have_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="cannot name a folder"):
        store.check_writable(tmp_path / "a\0b")


# --- killed -----------------------------------------------------------------------------------------------------

_KILLED = """
import os, random, signal, sys, time
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from pathlib import Path
from test_store import filled, manifest
from meshsim.results import store

out, tables, facts = Path(sys.argv[1]), filled(2000), manifest()
begun = time.monotonic()
store.write(out, tables, facts)
took = time.monotonic() - begun
moments = random.Random(1)
for _ in range(25):
    child = os.fork()
    if child == 0:
        while True:
            store.write(out, tables, facts)
    time.sleep(moments.uniform(0.2, 2.0) * took)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes the Unix way")
@pytest.mark.slow
def test_a_killed_writer_leaves_only_whole_runs(tmp_path):
    subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), str(ROOT), str(Path(__file__).parent)],
        check=True,
        timeout=120,
        env={**os.environ, "ARROW_NUM_THREADS": "1"},
    )
    expected = {name: len(table) for name, table in filled(2000).items()}
    seen = [path for path in (tmp_path / "tiny").iterdir() if not path.name.startswith(".")]
    unfinished = [path for path in (tmp_path / "tiny").iterdir() if path.name.startswith(".")]
    assert unfinished, "no writer was killed in the middle: the test proves nothing"
    assert set(store.runs(tmp_path)) == set(seen)
    for run in seen:
        assert {name: len(table) for name, table in store.read(run).tables.items()} == expected
    for run in unfinished:
        if not (run / "manifest.json").exists():
            with pytest.raises(ResultsError):
                store.read(run)
