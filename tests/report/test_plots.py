from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from meshsim.errors import ResultsError
from meshsim.report.plots import Plots, plots_of, save_all
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE
from tests.report import synthetic
from tests.service_entries import service_entry

NAMES = [f"{name}.{form}" for name in ("topology", "timeline", "latency", "summary") for form in ("png", "svg")]


@pytest.fixture(scope="module")
def saved(plots, tmp_path_factory):
    return save_all(plots, tmp_path_factory.mktemp("pictures") / "new")


@pytest.mark.slow
def test_every_picture_is_saved_as_png_and_svg_and_nothing_else_is_left(saved):
    assert [path.name for path in saved] == NAMES
    assert sorted(path.name for path in saved[0].parent.iterdir()) == sorted(NAMES)
    for path in saved:
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")


@pytest.mark.slow
def test_the_same_run_makes_the_same_bytes(saved, plots, tmp_path):
    again = save_all(Plots(plots.document, plots.tables), tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in saved]


def test_a_run_from_disk_is_drawn_from_its_manifest(plots):
    manifest = {"scenario": plots.document.model_dump(mode="json", by_alias=True, exclude_unset=True)}
    drawn = plots_of(SimpleNamespace(tables=plots.tables, manifest=manifest))
    assert drawn.document == plots.document
    assert drawn.deployments == tuple(synthetic.FROZEN)


def test_a_run_from_disk_knows_where_endpoints_of_service_entries_stand():
    entry = service_entry("pay", "eu/b")
    pay = {"host": "pay.example.com", "endpoints": {"GET /": {}}}
    services = {**EXAMPLE["services"], "pay": pay}
    scenario = load({**EXAMPLE, "services": services, "load": {"pay": {"rate": "1/s"}}, "istio": [entry]})
    resolved = json.loads(json.dumps(scenario.resolved()))
    what_if = {"deployment": "hybrid", "variants": [{"name": "same", "scenario": resolved}]}
    drawn = plots_of(SimpleNamespace(tables={}, manifest={"scenario": resolved, "what_if": what_if}))
    assert drawn.document == scenario.document
    assert drawn.documents["same"].services == scenario.document.services
    assert [one.zone for one in drawn.document.services["pay"].entry.endpoints] == ["b"]


def test_a_manifest_without_a_scenario_is_refused_with_its_reason():
    with pytest.raises(ResultsError, match="the run's scenario cannot be read by this version"):
        plots_of(SimpleNamespace(tables={}, manifest={}))


def test_a_folder_that_cannot_be_written_is_an_error_of_the_results(plots, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot save pictures"):
        save_all(plots, tmp_path / "file" / "pictures")


@pytest.mark.slow
def test_a_phase_that_is_not_there_falls_back_to_the_whole_run(plots):
    assert "after the warm-up, 30 s to 5m" in plots.distributions("no such phase").figure.get_suptitle()


@pytest.mark.slow
def test_drawing_uses_no_pyplot_and_importing_draws_nothing_in():
    code = (
        "import sys; from meshsim.report import plots, tables, html;"
        "heavy = {'matplotlib.pyplot', 'numba', 'simpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
