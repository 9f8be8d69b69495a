from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from meshsim.cli import _guarded, app
from meshsim.report.page import writing
from meshsim.report.page.rendering import drawn
from meshsim.results.store import write
from tests.report import synthetic


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a saved run of one deployment; the pictures are left out, which take most of the time."""
    monkeypatch.setattr(writing, "drawn", lambda section: drawn(replace(section, figures=())))
    one = {"hybrid": synthetic.FROZEN["hybrid"]}
    facts = synthetic.manifest(synthetic.document(), tuple(one))
    return write(tmp_path / "results", synthetic.tables(1, one), facts)


def test_report_writes_a_page_below_the_run_and_prints_the_files_and_nothing_else(run):
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 0, result.output
    files = result.stdout.splitlines()
    assert files[0].endswith("report/report.html")
    assert all(Path(file).exists() for file in files)
    assert f"open {files[0]}" in result.stderr.splitlines()
    assert (run / "report" / "report.html").is_file()


@pytest.mark.slow
def test_of_a_folder_of_runs_the_newest_is_reported_where_asked(run, tmp_path):
    out = tmp_path / "page"
    result = CliRunner().invoke(app, ["report", str(run.parent), "--out", str(out), "--question", "what of us?"])
    assert result.exit_code == 0, result.output
    assert "what of us?" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["report", "decide"])
@pytest.mark.parametrize(("name", "message"), [("none", "there is no folder"), ("", "holds no run that compare or")])
def test_where_there_is_no_run_both_commands_say_how_to_make_one(command, name, message, tmp_path, capsys):
    assert _guarded(lambda: app([command, str(tmp_path / name)], standalone_mode=False)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert f"run `meshsim compare SCENARIO --out {tmp_path / name}` first" in said


@pytest.mark.slow
def test_runs_two_folders_down_are_found_and_which_one_is_taken_is_said(run, tmp_path):
    write(tmp_path / "results", synthetic.tables(1), synthetic.manifest(synthetic.document()))
    result = CliRunner().invoke(app, ["report", str(tmp_path / "results"), "--out", str(tmp_path / "page")])
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'results'} holds 2 runs; this is the newest:" in result.stderr


@pytest.mark.slow
def test_weights_are_those_of_the_page_and_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "drawn", lambda section: drawn(replace(section, figures=())))
    several = write(tmp_path, synthetic.tables(2), synthetic.manifest(synthetic.document()))
    CliRunner().invoke(app, ["report", str(several), "--out", str(tmp_path / "page"), "--weight", "cost=9"])
    text = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "Weights given for this page: cost 9; all others are equal." in text


def test_a_weight_of_no_criterion_is_a_mistake(run, capsys):
    assert _guarded(lambda: app(["report", str(run), "--weight", "kost=2"], standalone_mode=False)) == 2
    assert "--weight: unknown criterion 'kost'; did you mean 'cost'?" in capsys.readouterr().err


@pytest.mark.slow
def test_a_sensitivity_folder_that_is_none_is_a_mistake(run, tmp_path, capsys):
    arguments = ["report", str(run), "--sensitivity", str(tmp_path)]
    assert _guarded(lambda: app(arguments, standalone_mode=False)) == 2
    assert "holds no sensitivity study" in capsys.readouterr().err


@pytest.mark.slow
def test_a_comparison_writes_the_same_page(run, tmp_path):
    import meshsim

    page = meshsim.read(run).report(tmp_path / "again", question="why?", weights={"cost": 2.0})
    assert page.name == "report.html"
    assert "why?" in page.read_text(encoding="utf-8")
