"""Sweeps: what is checked before anything runs, the table that comes out, and that it survives being killed."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import meshsim
from meshsim.analysis.wanted import Wanted
from meshsim.errors import ScenarioError
from meshsim.experiment import sweep
from tests.experiment.conftest import TINY
from tests.test_cli import meshsim as command

ROOT = Path(__file__).parents[2]


def test_every_mistake_at_every_point_is_said_once_before_anything_runs(tiny: meshsim.Scenario) -> None:
    vary = {
        "load.scale": [-1, 1],
        "services.web.replicas": [1, 1.5],
        "services.wbe.replicas": [1, 2],
        "laod.scale": [1],
    }
    with pytest.raises(ScenarioError) as error:
        sweep.plan(tiny, vary)
    said = {str(problem) for problem in error.value.problems}
    wrong = "found the number 1.5; a whole number, or one by cluster, is wanted"
    assert len(said) == 4
    assert said > {
        "--vary load.scale=-1: load.scale: -1 is too small; it must be above 0",
        f"--vary services.web.replicas=1.5: services.web.replicas: {wrong}",
        "--vary services.wbe.replicas=1: services.wbe.replicas: unknown name 'wbe'; did you mean 'web'? (one of web)",
    }
    assert any("unknown field 'laod'; did you mean 'load'?" in line for line in said)


def test_an_unknown_deployment_and_an_unreadable_range_are_said_together(tiny: meshsim.Scenario) -> None:
    with pytest.raises(ScenarioError) as error:
        sweep.plan(tiny, ["load.scale=1.."], ["hybird"])
    assert [problem.file for problem in error.value.problems] == ["--vary", "--deployments"]


def test_a_range_of_a_field_that_takes_whole_numbers_has_whole_numbers(tiny: meshsim.Scenario) -> None:
    planned = sweep.plan(tiny, {"services.web.replicas": "1..4/7", "load.scale": "1..2/3"}, ["hybrid"])
    assert [point[0] for point in planned.points[::3]] == ["1", "2", "3", "4"]
    assert [point[1] for point in planned.points[:3]] == ["1", "1.5", "2"]


def test_the_table_has_a_row_for_each_metric_of_each_run(tiny: meshsim.Scenario) -> None:
    vary = {"load.scale": [1, 2], "services.web.replicas": [2, 3]}
    found = meshsim.sweep(tiny, vary, ["hybrid"], replications=2)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == [
        "point", "load.scale", "services.web.replicas", "deployment", "replication", "phase", "metric", "flow", "value",
    ]  # fmt: skip
    rows = found[(found["metric"] == "latency_p99") & (found["flow"] == "all")]
    assert len(rows) == 4 * 2
    assert rows["point"].tolist() == sorted(rows["point"])
    assert type(rows) is pd.DataFrame
    mean = found.summary().query("metric == 'requests_per_second' and flow == 'all'")
    assert mean["mean"].tolist() == pytest.approx([40, 40, 80, 80], rel=0.2)
    assert (mean["half_width"] > 0).all()


@pytest.mark.slow
def test_a_point_of_a_sweep_is_what_a_run_with_set_gives(tiny: meshsim.Scenario) -> None:
    found = meshsim.sweep(tiny, {"load.scale": [2]}, ["hybrid"], replications=2).summary()
    run = meshsim.run(meshsim.load(TINY, ["load.scale=2"]), "hybrid", replications=2).metrics
    keys = ["phase", "metric", "flow"]
    assert np.array_equal(
        found.set_index(keys)["mean"].sort_index(), run.set_index(keys)["mean"].sort_index(), equal_nan=True
    )


@pytest.mark.slow
def test_points_see_the_same_random_draws(tiny: meshsim.Scenario) -> None:
    found = meshsim.sweep(tiny, {"services.web.replicas": [2, 4]}, ["hybrid"], replications=2)
    arrived = found[(found["metric"] == "requests") & (found["flow"] == "all")].pivot_table(
        index="point", columns="replication", values="value"
    )
    assert (arrived.iloc[0] - arrived.iloc[1]).abs().max() <= 3  # those that were on their way at an edge


def test_a_kept_sweep_computes_what_is_missing_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meshsim.experiment import work

    real, ran = work.run_unit, []

    def counted(ready, unit, watch=None):
        ran.append(unit)
        return real(ready, unit, watch)

    monkeypatch.setattr(work, "run_unit", counted)
    once = {**TINY, "replications": 1}
    first = meshsim.sweep(meshsim.load(once), {"load.scale": [1, 2]}, ["hybrid"], keep=tmp_path)
    assert len(ran) == 2
    more = meshsim.sweep(meshsim.load({**once, "description": "x"}), {"load.scale": [2, 3]}, ["hybrid"], keep=tmp_path)
    assert len(ran) == 3
    again = meshsim.sweep(meshsim.load(once), {"load.scale": [1, 2]}, ["hybrid"], keep=tmp_path)
    assert len(ran) == 3
    assert pd.DataFrame(again).equals(pd.DataFrame(first))
    assert (more["value"].dropna() >= 0).all()
    meshsim.sweep(meshsim.load({**once, "seed": 9}), {"load.scale": [1, 2]}, ["hybrid"], keep=tmp_path)
    assert len(ran) == 5


def flagged(*occurred: tuple[int, str, float]) -> pd.DataFrame:
    """Return a sweep over two points with 1000 requests a run, of which so many failed with a flag at a point."""
    rows = []
    for point, deployment, replication in np.ndindex(2, 2, 3):
        own = {"errors": 0.0, "requests": 1000.0}
        for where, name, count in occurred:
            if where == point:
                own |= {name: count, "errors": own["errors"] + count}
        run = {"point": point, "load.scale": 1.0 + point, "deployment": "ab"[deployment], "replication": replication}
        rows += [{**run, "phase": "all", "metric": name, "flow": "all", "value": value} for name, value in own.items()]
    return pd.DataFrame(rows)


def test_errors_with_a_flag_are_none_at_points_where_no_run_had_it() -> None:
    found = sweep.summary(flagged((0, "errors:UH", 7.0), (1, "errors:UO", 5.0)))
    for name, means in (("errors:UH", [7.0, 7.0, 0.0, 0.0]), ("errors:UO", [0.0, 0.0, 5.0, 5.0])):
        rows = found[found["metric"] == name]
        assert rows["point"].tolist() == [0, 0, 1, 1]
        assert rows["load.scale"].tolist() == [1.0, 1.0, 2.0, 2.0]
        assert rows["mean"].tolist() == means
        assert (rows["n"] == 3).all()
        assert (rows["high"] > rows["mean"]).all()  # never seen is not impossible
    assert found["metric"].nunique() == 4


def test_errors_with_a_flag_that_nobody_had_are_none_where_they_are_asked_for() -> None:
    runs = flagged()
    assert set(sweep.summary(runs)["metric"]) == {"errors", "requests"}
    found = sweep.summary(runs, [Wanted("errors:UH"), Wanted("errors"), Wanted("errors:UH", phase="during")])
    assert found[found["metric"] == "errors:UH"]["mean"].tolist() == [0.0] * 4
    assert set(found["phase"]) == {"all"}


def test_errors_with_a_flag_have_no_value_where_errors_have_none() -> None:
    runs = flagged((0, "errors:UH", 7.0))
    runs.loc[(runs["point"] == 1) & (runs["metric"] == "errors"), "value"] = np.nan
    found = sweep.summary(runs)
    assert found[found["metric"] == "errors:UH"]["mean"].isna().tolist() == [False, False, True, True]


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.mark.slow
def test_the_command_prints_a_table_and_plain_lines_and_saves_both(file: Path, tmp_path: Path) -> None:
    words = ["sweep", str(file), "--vary", "load.scale=1,2", "--deployments", "all", "-n", "2"]
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert re.match(r"success rate\n  load\.scale +multi-primary", done.stdout)
    lines = done.stderr.splitlines()
    assert lines[0] == "2 points, 2 deployments, 2 replications: 8 units"
    assert lines[-1].startswith("8/8 units, ")
    folder = tmp_path / done.stdout.splitlines()[-1].removeprefix("Saved in ")
    names = {path.name for path in folder.iterdir()}
    assert {"sweep.parquet", "summary.parquet", "summary.csv", "manifest.json", "latency_p99.png"} <= names
    assert json.loads((folder / "manifest.json").read_text())["sweep"]["points"] == [["1"], ["2"]]
    again = command(*words, "--json", cwd=tmp_path)
    assert again.stderr == ""
    said = json.loads(again.stdout)
    assert [one["metric"] for one in said["metrics"]] == ["success_rate", "latency_p99"]
    other = tmp_path / said["folder"] / "sweep.parquet"
    assert other.read_bytes() == (folder / "sweep.parquet").read_bytes()


@pytest.mark.slow
def test_the_command_says_every_mistake_and_writes_nothing(file: Path, tmp_path: Path) -> None:
    done = command("sweep", str(file), "--vary", "load.scale=0,1", "--out", "results", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--vary load.scale=0: load.scale: 0 is too small; it must be above 0\n"
    done = command("sweep", str(file), "--vary", "load.scale=1", "--metric", "latency_p98", cwd=tmp_path)
    assert done.stderr.startswith("--metric: unknown metric 'latency_p98'; did you mean 'latency_p9")
    assert not (tmp_path / "results").exists()


WORDS = ("sweep", "tiny.json", "--vary", "load.scale=0.5..2/4", "--deployments", "all", "-n", "4", "--json")


def table(folder: Path) -> bytes:
    done = command(*WORDS, cwd=folder)
    assert done.returncode == 0, done.stderr
    return (folder / json.loads(done.stdout)["folder"] / "sweep.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_kill_9_at_random_moments_changes_nothing_in_the_end(file: Path, tmp_path: Path, jobs: str) -> None:
    quiet, harmed = tmp_path / "quiet", tmp_path / "harmed"
    for folder in (quiet, harmed):
        folder.mkdir()
        (folder / "tiny.json").write_bytes(file.read_bytes())
    began = time.monotonic()
    undisturbed = table(quiet)
    usual = time.monotonic() - began
    moments, units = random.Random(5), harmed / "results" / "tiny" / "units"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    counts = [0]
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-m", "meshsim", *WORDS, "--jobs", jobs], cwd=harmed, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(moments.uniform(0.3 * usual, 0.9 * usual))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        counts.append(len(list(units.glob("*.zip"))))
    assert counts == sorted(counts)  # nothing that had finished is ever lost
    assert counts[-1] > 0
    assert table(harmed) == undisturbed
    assert len(list(units.glob("*.zip"))) == 32
