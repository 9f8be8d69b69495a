"""Files in a folder that may hold others of the same names: each is the whole new one, or the whole old one."""

from __future__ import annotations

import errno

import pytest

from meshsim.errors import ResultsError
from meshsim.results import files
from meshsim.results.files import put_all


def test_files_are_replaced_in_a_folder_that_is_made(tmp_path):
    folder = tmp_path / "a" / "b"
    put_all(folder, [("page", b"old"), ("table", b"old")], "write a report")
    assert put_all(folder, [("page", b"new")], "write a report") == [folder / "page"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"page": b"new", "table": b"old"}


def test_a_disk_that_fills_up_leaves_the_old_file_whole_and_nothing_half_written(tmp_path, monkeypatch):
    def half(path, content):
        path.write_bytes(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    put_all(tmp_path, [("page", b"the old page")], "write a report")
    monkeypatch.setattr(files, "create", half)
    with pytest.raises(ResultsError, match=r"^cannot write a report in .*: No space left on device$"):
        put_all(tmp_path, [("page", b"the new page")], "write a report")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"page": b"the old page"}


def test_nothing_is_made_for_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    pictures = ((name, pytest.fail("drawn for nothing")) for name in ("a", "b"))
    with pytest.raises(ResultsError, match="cannot save pictures"):
        put_all(tmp_path / "file" / "below", pictures, "save pictures")
