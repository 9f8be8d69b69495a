from __future__ import annotations

import pytest
from typer.testing import CliRunner

from meshsim.cli import _guarded, app
from meshsim.report.page import writing
from meshsim.results.store import write
from tests.report import synthetic


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a saved run; the pictures are left out, which take most of the time."""
    monkeypatch.setattr(writing, "drawn", lambda section: writing.Ready(section, ()))
    return write(tmp_path / "results", synthetic.tables(2), synthetic.manifest(synthetic.document()))


def test_report_writes_a_page_below_the_run_and_names_the_files(run):
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].endswith("report/report.html")
    assert (run / "report" / "report.html").is_file()


def test_of_a_folder_of_runs_the_newest_is_reported_where_asked(run, tmp_path):
    out = tmp_path / "page"
    result = CliRunner().invoke(app, ["report", str(run.parent), "--out", str(out), "--question", "what of us?"])
    assert result.exit_code == 0, result.output
    assert "what of us?" in (out / "report.html").read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_a_mistake(tmp_path, capsys):
    assert _guarded(lambda: app(["report", str(tmp_path)], standalone_mode=False)) == 2
    assert "is not a whole run" in capsys.readouterr().err


def test_a_sensitivity_folder_that_is_none_is_a_mistake(run, tmp_path, capsys):
    arguments = ["report", str(run), "--sensitivity", str(tmp_path)]
    assert _guarded(lambda: app(arguments, standalone_mode=False)) == 2
    assert "holds no sensitivity study" in capsys.readouterr().err


def test_a_comparison_writes_the_same_page(run, tmp_path):
    import meshsim

    page = meshsim.read(run).report(tmp_path / "again", question="why?")
    assert page.name == "report.html"
    assert "why?" in page.read_text(encoding="utf-8")
