from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import meshsim
from meshsim import cli_decide
from meshsim.cli import _guarded, app
from meshsim.results.store import write
from tests.report import synthetic

JUDGED = {"criteria": {"up": {"metric": "success_rate in during", "weight": 3}, "cost": {}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a saved run of two deployments."""
    document = synthetic.document(decision=JUDGED)
    two = {name: synthetic.FROZEN[name] for name in ("multi-primary", "primary-remote")}
    facts = synthetic.manifest(document, tuple(two))
    return write(tmp_path_factory.mktemp("results"), synthetic.tables(3, two), facts)


def decided(*words: object) -> str:
    result = CliRunner().invoke(app, ["decide", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_saved_run_is_decided_by_the_scenario_it_was_made_from(run):
    text = decided(run.parent)
    assert "success_rate in during" in text
    assert "multi-primary has the highest total" in text
    assert sorted(path.name for path in run.iterdir() if path.name.startswith("decision")) == []


def test_weights_of_the_command_line_come_first(run):
    found = json.loads(decided(run, "--weight", "cost=9", "--json"))
    assert {row["criterion"]: row["weight"] for row in found["criteria"]} == {"up": 3.0, "cost": 9.0}
    assert found["winner"] == "primary-remote"


@pytest.mark.slow
def test_criteria_of_another_scenario_can_be_taken(run, tmp_path):
    other = tmp_path / "other.yaml"
    plain = meshsim.load("online-boutique-primary-outage").resolved() | {"decision": {"criteria": {"latency": {}}}}
    other.write_text(json.dumps(plain), encoding="utf-8")
    found = json.loads(decided(run, "--criteria", other, "--json"))
    assert [row["metric"] for row in found["criteria"]] == ["latency_p99 in before"]


@pytest.mark.slow
def test_the_decision_is_written_where_it_is_wanted(run, tmp_path):
    text = decided(run, "--out", tmp_path / "review")
    assert text.splitlines()[-1].endswith("review/decision.svg")
    assert json.loads((tmp_path / "review" / "decision.json").read_text("utf-8"))["winner"] == "multi-primary"


@pytest.mark.slow
def test_a_scenario_is_run_first(run, monkeypatch, tmp_path):
    def carry_out(loaded, deployments, wanted, by, out, show, *, quiet):
        assert (loaded.document.name, list(deployments), wanted, quiet) == (
            "online-boutique-primary-outage",
            [],
            2,
            False,
        )
        show(meshsim.read(run), tmp_path)

    monkeypatch.setattr(cli_decide, "carry_out", carry_out)
    text = decided("online-boutique-primary-outage", "-n", 2)
    assert text.splitlines()[-1] == f"Saved in {tmp_path}"
    assert (tmp_path / "decision.png").is_file()


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weight", "kost=2", "--weight", "up=0"], "--weight: unknown criterion 'kost'; did you mean 'cost'?"),
        (["--weight", "kost=2", "--weight", "up=0"], "--weight: up=0 is no weight; it must be above 0"),
        (["--weight", "cost"], "--weight: 'cost' is no number; write CRITERION=WEIGHT, such as cost=3"),
        (["--weight", "=3"], "--weight: '=3' names no criterion"),
        (["--set", "duration=1m"], "--set: cannot change what has been run"),
    ],
)
def test_mistakes_are_told_in_plain_words(run, words, message, capsys):
    assert _guarded(lambda: app(["decide", str(run), *words], standalone_mode=False)) == 2
    assert message in capsys.readouterr().err


def test_one_deployment_is_nothing_to_compare_whether_it_was_run_or_not(tmp_path, monkeypatch, capsys):
    document = synthetic.document(decision=JUDGED)
    alone = {"hybrid": ("eu-1",)}
    saved = write(tmp_path, synthetic.tables(2, alone), synthetic.manifest(document, tuple(alone)))
    assert _guarded(lambda: app(["decide", str(saved)], standalone_mode=False)) == 2
    assert "there is one deployment (hybrid): nothing to compare" in capsys.readouterr().err
    monkeypatch.setattr(cli_decide, "carry_out", None)
    words = ["decide", "questions/local-outage-retries"]
    assert _guarded(lambda: app(words, standalone_mode=False)) == 2
    assert "nothing to compare" in capsys.readouterr().err


def test_wrong_weights_are_told_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr(cli_decide, "carry_out", None)
    words = ["decide", "online-boutique-primary-outage", "--weight", "x=1"]
    assert _guarded(lambda: app(words, standalone_mode=False)) == 2
    assert "unknown criterion 'x'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_comparison_decides_the_same(run):
    found = meshsim.read(run).decide({"cost": 9.0})
    assert found.winner == "primary-remote"
