from __future__ import annotations

import shutil

import pytest

from meshsim.errors import ResultsError
from meshsim.report.saved import newest
from meshsim.results.frames import concatenate
from meshsim.results.manifest import describe
from meshsim.results.store import write


@pytest.fixture
def run(tmp_path_factory):
    """Return a function that makes a saved run of a given name."""
    facts = describe(
        {"name": "tiny"}, scenario_hash="ab12", seed=1, deployments=["hybrid"], replications_asked=1,
        replications_finished=1, wall_time=0.5,
    )  # fmt: skip
    made = write(tmp_path_factory.mktemp("made"), concatenate([]), facts)
    return lambda folder: shutil.copytree(made, folder)


def test_runs_are_found_one_and_two_folders_down_the_newest_last(tmp_path, run):
    old = run(tmp_path / "mesh" / "20260101T000000Z-b")
    new = run(tmp_path / "other" / "20260201T000000Z-a")
    assert newest(tmp_path) == (new, 2)
    assert newest(tmp_path / "mesh") == (old, 1)
    assert newest(old) == (old, 1)


def test_unfinished_runs_and_what_is_no_run_are_passed_over(tmp_path, run):
    whole = run(tmp_path / "mesh" / "20260101T000000Z-b")
    run(tmp_path / "mesh" / ".unfinished-20260301T000000Z")
    run(tmp_path / ".hidden" / "20260301T000000Z")
    (tmp_path / "mesh" / "sensitivity-20260401T000000Z").mkdir()
    (tmp_path / "mesh" / "sensitivity-20260401T000000Z" / "manifest.json").write_text("{}")
    assert newest(tmp_path) == (whole, 1)


@pytest.mark.parametrize("lost", ["calls.parquet", "totals.parquet"])
def test_a_damaged_run_is_not_taken_for_the_newest(tmp_path, run, lost):
    whole = run(tmp_path / "mesh" / "20260101T000000Z-b")
    damaged = run(tmp_path / "mesh" / "20260201T000000Z-a")
    (damaged / lost).unlink()
    assert newest(tmp_path) == newest(tmp_path / "mesh") == (whole, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", r"there is no folder .*nowhere; run `meshsim compare SCENARIO --out .*nowhere` first"),
        ("empty", r"empty holds no run that compare or run has saved; run `meshsim compare SCENARIO --out .*` first"),
        ("file", r"file is a file, not a folder with results; run `meshsim compare SCENARIO"),
    ],
)
def test_where_there_is_no_run_it_is_said_how_to_make_one(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=message):
        newest(tmp_path / name)
