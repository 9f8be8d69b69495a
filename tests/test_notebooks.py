"""The notebooks: stored without output, and each runs from top to bottom without an error or a warning."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
#: Seconds that a cell may take where other tests run beside it.
PATIENCE = 600

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_there_are_eight_and_the_docs_list_them() -> None:
    listed = (FOLDER.parent / "docs" / "notebooks.md").read_text()
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number}-" for number in range(1, 9)]
    for path in NOTEBOOKS:
        assert f"../notebooks/{path.name}" in listed


@each
def test_it_is_stored_without_output(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert not cell["metadata"]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@each
def test_it_names_no_place_of_a_machine(path: Path) -> None:
    for source in cells(path, "code") + cells(path, "markdown"):
        assert not re.search(r"(?<![\w.\"'+-])/(?:home|Users|work|tmp|root|opt|usr|mnt)\b|[A-Z]:\\\\", source)


@each
def test_it_begins_with_its_question_and_ends_with_what_was_seen(path: Path) -> None:
    prose = cells(path, "markdown")
    assert re.match(r"# .+\n\n\*\*.+\?\*\*", prose[0])
    assert any("## What was seen" in text for text in prose[-3:])
    # What was seen is computed: the last cell of code prints it from numbers.
    assert "print(" in cells(path, "code")[-1]


@each
def test_its_links_lead_somewhere(path: Path) -> None:
    for text in cells(path, "markdown"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (FOLDER / target).exists(), target


def executed(path: Path, folder: Path) -> list[dict[str, Any]]:
    """Return what the cells of a notebook, and its sliders, put out in a fresh kernel, started in an empty folder."""
    nbformat = pytest.importorskip("nbformat", reason="pip install 'meshsim[notebooks]' to run notebooks")
    nbclient = pytest.importorskip("nbclient", reason="pip install 'meshsim[notebooks]' to run notebooks")
    pytest.importorskip("ipykernel", reason="pip install 'meshsim[notebooks]' to run notebooks")
    pytest.importorskip("ipywidgets", reason="pip install 'meshsim[notebooks]' to run notebooks")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    kept = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    inside = [widget["state"].get("outputs", ()) for widget in kept.values()]
    shown = [cell.get("outputs", ()) for cell in notebook.cells]
    return [dict(output) for outputs in (*shown, *inside) for output in outputs]


# The kernel's own libraries warn of their own affairs; what a notebook warns of is in its output, and fails the test.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@each
def test_it_runs_without_an_error_or_a_warning(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(FOLDER.parent)
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    pictures = 0
    for output in executed(path, tmp_path):
        assert output["output_type"] != "error", output
        assert output.get("name") != "stderr", output.get("text")
        pictures += "image/png" in output.get("data", {})
    assert pictures >= 1
    assert not list(tmp_path.iterdir())  # a notebook leaves nothing behind
