"""Manifests of sweeps and searches: what it took, what made it, and what a study has to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import meshsim
from meshsim.experiment import Units, find, sensitivity, sweep
from meshsim.experiment.engines import Here
from meshsim.report.sweep_files import Cost, save_search, save_study, save_sweep
from meshsim.report.sweep_frame import Sweep
from tests.experiment.conftest import TINY

COMMAND = ["meshsim", "sweep", "tiny.json", "--vary", "load.scale=1"]


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def test_a_sweep_says_what_made_it_and_what_it_took(tmp_path: Path) -> None:
    planned = sweep.plan(meshsim.load(TINY), ["load.scale=1"], ["hybrid"])
    store = Units(tmp_path / "units")
    cost, again = Cost(), Cost()
    sweep.carry_out(planned, Here(), store, cost.watching(None))
    found = Sweep(sweep.carry_out(planned, Here(), store, again.watching(None)), plan=planned)
    said = manifest(save_sweep(found, tmp_path, [], COMMAND, cost=cost))
    assert (said["command"], said["seed"], said["replications"]) == (COMMAND, 1, {"asked": 2, "finished": 2})
    assert said["versions"]["numba"]
    assert said["units"]["computed"] == 2
    assert 0.0 < said["units"]["seconds"] <= said["wall_time"]
    assert said["stress"]["4.2 run length"]["replications"] == 2
    assert "`sweep`" in said["stress"]["1.3 aims of experimentation"]["experiment"]
    said = manifest(save_sweep(found, tmp_path, [], COMMAND, cost=again))
    assert said["units"] == {"computed": 0, "found": 2, "seconds": 0.0}


def test_what_is_saved_from_a_notebook_claims_no_time(tmp_path: Path) -> None:
    planned = sweep.plan(meshsim.load(TINY), ["load.scale=1"], ["hybrid"], replications=1)
    said = manifest(save_sweep(Sweep(sweep.carry_out(planned, Here()), plan=planned), tmp_path, []))
    assert not {"wall_time", "units"} & said.keys()
    assert said["stress"]


@pytest.mark.slow
def test_a_search_says_that_its_replications_are_sequential(tmp_path: Path) -> None:
    search = find.search(
        meshsim.load(TINY), "load.scale=1..2", "latency_p99 > 1ms", ["hybrid"], resolution=1.0, replications=2, most=2
    )
    cost = Cost()
    found = find.carry_out(search, Here(), None, cost.watching(None))
    said = manifest(save_search(found, search, tmp_path, COMMAND, cost=cost))
    assert said["stress"]["4.2 run length"]["stopping"].startswith("sequential")
    assert said["units"]["computed"] == cost.computed > 0


@pytest.mark.slow
def test_a_sensitivity_study_has_the_same_facts(tmp_path: Path) -> None:
    scenario = meshsim.load(TINY)
    study = sensitivity.study(scenario, ["load.scale=1..2"], ["latency_p99"], ["hybrid"], replications=1)
    cost = Cost()
    frame = sensitivity.carry_out(study, Here(), None, cost.watching(None))
    said = manifest(save_study(frame, study, scenario, tmp_path, COMMAND, cost=cost))
    assert said["units"] == {"computed": 2, "found": 1, "seconds": cost.seconds}  # the base is an end of the range
    assert "`sensitivity`" in said["stress"]["1.3 aims of experimentation"]["experiment"]
