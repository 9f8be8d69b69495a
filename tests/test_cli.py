"""The command line as a user meets it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshsim import cli_running
from meshsim.cli import _guarded, app
from meshsim.experiment import runs
from meshsim.results import store
from meshsim.scenario import variants
from tests.report import synthetic

Here = Callable[..., subprocess.CompletedProcess[str]]
SMALL = """
name: small
regions: {eu: {zones: [a]}, us: {zones: [a]}}
latency: [{between: [eu, us], rtt: {p50: 80ms, p99: 90ms}}]
clusters: {eu-1: {region: eu, network: eu}, us-1: {region: us, network: us}}
services:
  web: {replicas: 2, endpoints: {"GET /": {script: [{compute: {exponential: 2ms}}, {call: db/read}]}}}
  db: {replicas: 2, endpoints: {read: {script: [{compute: 1ms}]}}}
load: {web: {rate: 40/s}}
timeline: [{event: control_plane_down, start: 8s, duration: 6s, target: {cluster: eu-1}}]
duration: 20s
warm_up: 2s
replications: 2
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def meshsim(
    *words: str, cwd: Path, code: str = "from meshsim.cli import main; main()"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *words]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "COLUMNS": "100"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Return a function that does the same in this process, which spares the start of another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def meshsim(*words: str) -> subprocess.CompletedProcess[str]:
        ended: list[int | None] = []
        code = _guarded(lambda: ended.append(app(list(words), standalone_mode=False))) or ended[0]
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code or 0, said.out, said.err)

    return meshsim


def test_help_names_every_command_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, atexit; heavy = {'numba', 'pandas', 'matplotlib', 'scipy', 'networkx', 'simpy', 'numpy'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        "from meshsim.cli import main; main()"
    )
    done = meshsim("--help", cwd=tmp_path, code=code)
    assert done.returncode == 0
    for command in (
        "run",
        "compare",
        "sweep",
        "find",
        "sensitivity",
        "validate",
        "schema",
        "scenarios",
        "bench",
        "verify",
        "plot",
    ):
        assert f"\n  {command} " in done.stdout
    assert "heavy: []" in done.stdout


def test_validate_imports_nothing_heavy(scenario: Path, tmp_path: Path) -> None:
    code = (
        "import sys, atexit; heavy = {'numba', 'pandas', 'matplotlib', 'scipy', 'networkx', 'simpy'}\n"
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules))))\n"
        "from meshsim.cli import main; main()"
    )
    done = meshsim("validate", str(scenario), cwd=tmp_path, code=code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{scenario}: valid\nheavy: []\n"


def test_a_mistake_ends_with_2_and_no_traceback_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(SMALL.replace("rate: 40/s", "rate: 40"))
    done = meshsim("compare", "bad.yaml", "--out", "results", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "bad.yaml:9: load.web.rate: 40 has no unit; write 40/s\n"
    assert not (tmp_path / "results").exists()


def test_an_unknown_deployment_is_told_apart(scenario: Path, here: Here) -> None:
    done = here("run", str(scenario), "--deployment", "hybird")
    assert done.returncode == 2
    assert "--deployment: unknown deployment 'hybird'; did you mean 'hybrid'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_validate_reports_every_file_and_speaks_json(scenario: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "bad.yaml").write_text(SMALL.replace("region: us,", "region: usa,").replace("db/read", "db/raed"))
    done = here("validate", str(scenario), "bad.yaml", "--json")
    assert done.returncode == 2
    said = json.loads(done.stdout)["scenarios"]
    assert [one["valid"] for one in said] == [True, False]
    assert {problem["line"] for problem in said[1]["problems"]} == {5, 7}


def test_a_region_without_latency_figures_is_a_mistake(tmp_path: Path, here: Here) -> None:
    (tmp_path / "bad.yaml").write_text(SMALL.replace("latency: [{between: [eu, us], rtt: {p50: 80ms, p99: 90ms}}]", ""))
    done = here("validate", "bad.yaml")
    assert done.returncode == 2
    assert "bad.yaml" in done.stderr
    assert "cloud_region" in done.stderr


def test_the_schema_describes_scenarios(here: Here) -> None:
    done = here("schema")
    assert json.loads(done.stdout)["title"] == "meshsim scenario"


def test_bundled_scenarios_are_listed_from_any_folder(here: Here) -> None:
    listed = json.loads(here("scenarios", "--json").stdout)["scenarios"]
    assert {"name", "description", "file"} == set(listed[0])
    assert "online-boutique-primary-outage" in {one["name"] for one in listed}


@pytest.mark.slow
def test_compare_prints_a_table_and_saves_a_whole_run(scenario: Path, tmp_path: Path) -> None:
    done = meshsim("compare", str(scenario), "--out", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "success rate" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 110
    assert done.stdout.splitlines()[-1].startswith(f"Saved in results{os.sep}small{os.sep}")
    [run] = store.runs(tmp_path / "results")
    found = store.read(run)
    assert found.manifest["replications"] == {"asked": 2, "finished": 2}
    for name in ("topology", "timeline", "latency", "summary"):
        assert (run / f"{name}.png").stat().st_size > 10_000
        assert (run / f"{name}.svg").read_text().startswith("<?xml")
    replot = "import sys; sys.modules['numba'] = sys.modules['simpy'] = None\nfrom meshsim.cli import main; main()"
    again = meshsim("plot", str(run), "--out", "again", cwd=tmp_path, code=replot)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "timeline.svg").read_bytes() == (run / "timeline.svg").read_bytes()


@pytest.mark.slow
def test_json_is_one_object_and_nothing_else(scenario: Path, tmp_path: Path) -> None:
    done = meshsim("run", str(scenario), "-d", "hybrid", "-n", "1", "--set", "duration=16s", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["complete"] is True
    assert said["deployments"] == ["hybrid"]
    assert (tmp_path / said["folder"] / "manifest.json").exists()


@pytest.mark.slow
def test_ctrl_c_saves_the_replications_that_finished(scenario: Path, tmp_path: Path) -> None:
    words = ["run", str(scenario), "-n", "5000", "--out", "results"]
    command = [sys.executable, "-m", "meshsim", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # A first run may compile for a minute; a warm one finishes dozens of replications in these seconds.
    meshsim("run", str(scenario), "-n", "1", "--out", "warm", cwd=tmp_path)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "replications had finished and are saved" in said
    [run] = store.runs(tmp_path / "results")
    manifest = store.read(run).manifest
    assert manifest["complete"] is False
    assert 0 < manifest["replications"]["finished"] < 5000


def interrupted(where: str) -> str:
    """Return a program that runs the command line and is interrupted where it says."""
    return f"""
import meshsim.experiment, meshsim.report.plots
def stop(*_, **__): raise KeyboardInterrupt
{where} = stop
from meshsim.cli import main; main()
"""


@pytest.mark.slow
def test_ctrl_c_before_anything_has_finished_says_so(scenario: Path, tmp_path: Path) -> None:
    code = interrupted("meshsim.experiment.work.run_unit")
    done = meshsim("run", str(scenario), "--out", "results", cwd=tmp_path, code=code)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "stopped before a replication had finished; nothing was saved"
    assert store.runs(tmp_path / "results") == ()


@pytest.mark.slow
def test_ctrl_c_while_drawing_keeps_the_table(scenario: Path, tmp_path: Path) -> None:
    code = interrupted("meshsim.report.plots.Plots.save")
    done = meshsim("run", str(scenario), "--out", "results", cwd=tmp_path, code=code)
    [run] = store.runs(tmp_path / "results")
    assert done.returncode == 130
    assert "success rate" in done.stdout
    assert f"draw the pictures with: meshsim plot {run.relative_to(tmp_path)}" in done.stderr


MADE_UP = """
import sys
import meshsim.experiment as experiment
from meshsim.dataplane import jit
from meshsim.results.manifest import describe
from tests.report import synthetic

def run(scenario, deployments, *, replications, **_):
    names = list(deployments) or list(scenario.document.deployments)
    facts = describe(scenario.resolved(), scenario_hash=scenario.hash, seed=1, deployments=names,
                     replications_asked=replications, replications_finished=replications, wall_time=1.0)
    tables = synthetic.tables(replications, {name: synthetic.FROZEN[name] for name in names})
    return experiment.Outcome(scenario, tables, facts)

jit.is_compiled, experiment.compile_request_path, experiment.run = (lambda: True), (lambda: None), run
from meshsim.cli import main; main()
"""


#: The same without its pictures, which take most of the time.
UNDRAWN = f"""
from meshsim.report import plots
plots.Plots.save = lambda *_: []
{MADE_UP}"""


@pytest.fixture
def expecting(tmp_path: Path) -> Path:
    """Return a scenario of which made-up results are known, and what it expects of them."""
    expect = [
        {"metric": "success_rate", "phase": "before", "at_least": "99%"},
        {"metric": "stale_share", "phase": "during", "at_most": "10%", "why": "SLO 3"},
    ]
    path = tmp_path / "expecting.json"
    document = synthetic.document(expect=expect, replications=2)
    path.write_text(json.dumps(document.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    return path


@pytest.mark.slow
def test_expectations_that_do_not_hold_end_with_1_and_are_said_after_the_table(expecting: Path, tmp_path: Path) -> None:
    done = meshsim("compare", str(expecting), "--check", "--out", "results", cwd=tmp_path, code=MADE_UP)
    assert done.returncode == 1, done.stderr
    *_, first, second, counted, _, saved = done.stdout.splitlines()
    assert first.startswith("expect[1] does not hold: primary-remote, during: stale proxies is ")
    assert second.startswith("expect[1] does not hold: hybrid, during: stale proxies is ")
    assert second.endswith(", not at most 10 % (SLO 3)")
    assert counted.startswith("4 of 6 expectations hold")
    assert saved.startswith("Saved in results")
    [found] = store.runs(tmp_path / "results")
    assert (found / "timeline.png").exists()


@pytest.mark.slow
def test_expectations_that_hold_end_with_0(expecting: Path, tmp_path: Path) -> None:
    done = meshsim("run", str(expecting), "--check", cwd=tmp_path, code=UNDRAWN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n2 of 2 expectations hold" in done.stdout


@pytest.mark.slow
def test_without_check_expectations_decide_nothing(expecting: Path, tmp_path: Path) -> None:
    done = meshsim("run", str(expecting), "-d", "hybrid", cwd=tmp_path, code=UNDRAWN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "expect" not in done.stdout.replace("expecting", "")


@pytest.mark.slow
def test_what_if_compares_variants_and_checks_what_is_expected_of_them(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(
        SMALL + "what_if: {variants: {more pods: {set: {services.web.replicas: 4}}}}\n"
        "expect: [{metric: success_rate, deployment: more pods, at_least: 99%}]\n"
    )
    done = meshsim("compare", str(path), "--what-if", "--check", "-n", "1", "--set", "duration=16s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Variants of multi-primary, which is shown as it is:\n  more pods: set services.web")
    assert "1 of 1 expectations hold" in done.stdout


def test_a_comparison_of_variants_takes_no_deployments(tmp_path: Path, here: Here) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + "what_if: {variants: {more pods: {set: {services.web.replicas: 4}}}}\n")
    refused = here("compare", str(path), "--what-if", "-d", "hybrid")
    assert refused.returncode == 2
    assert "--set what_if.deployment=NAME" in refused.stderr


def test_variants_are_judged_with_the_file_and_once_more_to_be_compared(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, judged = tmp_path / "small.yaml", list[str]()
    path.write_text(
        SMALL + "what_if: {variants: {more pods: {set: {services.web.replicas: 4}}}}\n"
        "expect: [{metric: success_rate, deployment: more pods, at_least: 99%}]\n"
    )

    def counted(base: Any, name: str, *given: Any, judge: Any = variants._variant) -> Any:
        judged.append(name)
        return judge(base, name, *given)

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(variants, "_variant", counted)
    monkeypatch.setattr(runs, "_collect", stopped)
    monkeypatch.setattr(cli_running, "compile_once", lambda *, quiet: None)
    assert "nothing was saved" in here("compare", str(path), "--what-if", "--check", "--json").stderr
    assert judged == ["more pods", "more pods"]


@pytest.mark.slow
def test_json_has_what_was_expected(expecting: Path, tmp_path: Path) -> None:
    done = meshsim("run", str(expecting), "-d", "hybrid", "--check", "--json", cwd=tmp_path, code=UNDRAWN)
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)["expectations"]
    assert [(result["metric"], result["holds"]) for result in found] == [("success_rate", True), ("stale_share", False)]


@pytest.mark.slow
def test_a_check_of_a_scenario_that_expects_nothing_is_a_mistake(scenario: Path, tmp_path: Path) -> None:
    done = meshsim("run", str(scenario), "--check", "--out", "results", cwd=tmp_path, code=MADE_UP)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{scenario}: expect: is missing, so there is nothing to check\n"
    assert not (tmp_path / "results").exists()


def test_an_unknown_metric_is_found_before_the_run(expecting: Path, here: Here) -> None:
    expecting.write_text(expecting.read_text().replace("stale_share", "stale_shar"))
    done = here("validate", str(expecting))
    assert done.returncode == 2
    assert "expect[1].metric: unknown metric 'stale_shar'; did you mean 'stale_share'?" in done.stderr


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_found_before_the_run(scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("")
    done = meshsim("run", str(scenario), "--out", "afile", cwd=tmp_path, code=interrupted("meshsim.experiment.run"))
    assert done.returncode == 2
    assert "afile is a file, not a folder" in done.stderr


@pytest.mark.slow
def test_a_run_in_which_nothing_ends_is_drawn_all_the_same(scenario: Path, tmp_path: Path) -> None:
    done = meshsim("run", str(scenario), "--set", "load.web.rate=1/d", "-n", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_out_folder_is_the_only_place_written_to(scenario: Path, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    meshsim("run", str(scenario), "-n", "1", "--out", "here", cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - before == {"here"}
