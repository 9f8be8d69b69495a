from __future__ import annotations

import pytest

from meshsim.errors import ResultsError
from meshsim.report.saved import newest, runs


def run(folder):
    """Make what looks like a saved run."""
    folder.mkdir(parents=True)
    for name in ("totals.parquet", "manifest.json"):
        (folder / name).write_text("{}")
    return folder


def test_runs_are_found_one_and_two_folders_down_the_newest_last(tmp_path):
    old = run(tmp_path / "mesh" / "20260101T000000Z-b")
    new = run(tmp_path / "other" / "20260201T000000Z-a")
    assert runs(tmp_path) == (old, new)
    assert newest(tmp_path) == (new, 2)
    assert newest(tmp_path / "mesh") == (old, 1)
    assert newest(old) == (old, 1)


def test_unfinished_runs_and_what_is_no_run_are_passed_over(tmp_path):
    whole = run(tmp_path / "mesh" / "20260101T000000Z-b")
    run(tmp_path / "mesh" / ".unfinished-20260301T000000Z")
    (tmp_path / "mesh" / "sensitivity-20260401T000000Z").mkdir()
    (tmp_path / "mesh" / "sensitivity-20260401T000000Z" / "manifest.json").write_text("{}")
    assert runs(tmp_path) == (whole,)


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
