"""The failure table: what goes on and what stops when something fails, row by row, model by model (spec §5.5).

Columns, as in the specification: T existing traffic, P new pods, E endpoint changes, R rotation of certificates,
C changes of configuration. Every test is one cell, or one sentence of it; the cells themselves are in
``failures_of_control_planes.py`` and ``failures_of_places.py``. docs/failure-table.md tells them in words.
"""

from __future__ import annotations

import re

import pytest

import meshsim
from meshsim.lint import lint
from tests.scenario_files import failures_of_control_planes, failures_of_places
from tests.scenario_files.failures import CELLS, EX, FOLDER, MODELS, MP, PR, ROOT, ran

pytestmark = pytest.mark.slow

FILES = sorted(FOLDER.glob("*.yaml"))
#: Rows of the table, and the models that each names.
ROWS = {
    "istiod-down": MODELS,
    "one-replica-down": MODELS,
    "primary-cluster-down": MODELS,
    "api-server-down-remote": MODELS,
    "api-server-down-primary": (PR, EX),
    "east-west-gateway-down": MODELS,
    "partition": MODELS,
    "ca-down": MODELS,
    "region-outage": (MP, PR),
    "region-outage-control-plane": (EX,),
    "istiod-rolling-upgrade": MODELS,
    "bad-config": MODELS,
    "remote-secret-expired": MODELS,
}
#: Rows of which the table says only what is theirs; nothing else fails.
BRIEF = ("istiod-rolling-upgrade", "bad-config")
#: The modules that note the cells as they are imported.
CELL_MODULES = (failures_of_control_planes, failures_of_places)


@pytest.mark.parametrize(
    ("row", "model", "check"),
    [
        pytest.param(row, model, check, id=f"{row}-{model}-{column.replace(', ', '')}")
        for row, model, column, check in CELLS
    ],
)
def test_a_cell_of_the_failure_table_comes_out_of_a_run(row, model, check):
    check(ran(row, model))


def test_every_row_is_there_for_every_model_that_it_names():
    here = {(row, model) for row, model, _, _ in CELLS}
    assert here >= {(row, model) for row, models in ROWS.items() for model in models}
    assert {row for row, _ in here} == {file.stem for file in FILES}


@pytest.mark.parametrize(("row", "model"), [(row, model) for row in ROWS if row not in BRIEF for model in ROWS[row]])
def test_every_column_is_there_for_a_row_and_model(row, model):
    columns = {letter for *cell, column, _ in CELLS if cell == [row, model] for letter in column.split(":")[0]}
    assert columns >= set("TPERC")


@pytest.mark.parametrize("check", dict.fromkeys(check for *_, check in CELLS), ids=lambda check: check.__name__)
def test_a_cell_says_its_paragraph(check):
    assert "§" in check.__doc__


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_says_question_expectation_and_source(file):
    scenario = meshsim.load(file)
    assert scenario.document.name == file.stem
    assert scenario.document.description.startswith("Failure table: ")
    assert len(scenario.document.description.splitlines()) == 1
    head = re.findall(r"(?m)^# (\w+):", file.read_text().partition("\ninclude:")[0])
    assert head == ["Question", "Expectation", "Source"]
    assert all("has no subsets" in warning for warning in scenario.warnings)
    # Ejection of a whole network behind one address is what outlier detection does in a partition.
    assert {found.code for found in lint(scenario)} <= {"MS204"}


@pytest.mark.parametrize(("row", "model"), dict.fromkeys((row, model) for row, model, _, _ in CELLS))
def test_what_a_scenario_expects_comes_about(row, model):
    found = ran(row, model).comparison.check()
    assert found["holds"].all(), found.to_string()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario_is_in_the_page_about_the_failure_table(file):
    assert f"`{file.stem}`" in (ROOT / "docs" / "failure-table.md").read_text("utf-8")
