from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import html5lib
import pandas as pd
import pytest

from meshsim.errors import ResultsError
from meshsim.report.page import writing
from meshsim.report.page.rendering import drawn
from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from tests.report import synthetic

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_page_holds_every_picture_and_says_what_it_shows(report):
    tree = html5lib.HTMLParser(strict=True).parse((report / "report.html").read_text(encoding="utf-8"))
    images = [element for element in tree.iter() if element.tag.endswith("}img")]
    figures = [element for element in tree.iter() if element.tag.endswith("}figure")]
    assert len(images) == len(figures) >= 7
    for image in images:
        kind, content = re.fullmatch(r"data:image/(png|svg\+xml);base64,(.*)", image.get("src")).groups()
        assert base64.b64decode(content)[:5] == {"png": b"\x89PNG\r", "svg+xml": b"<?xml"}[kind]
        assert len(image.get("alt")) > 20
        assert int(image.get("width")) > 100
    for figure in figures:
        assert "".join(figure.find("{*}figcaption").itertext()).strip()


@pytest.mark.slow
def test_every_picture_and_table_lies_beside_the_page(report):
    names = {path.name for path in report.iterdir()}
    for name in ("topology", "timeline", "response-flags", "latency", "latency-over-time", "flow-matrix", "cost"):
        assert {f"{name}.png", f"{name}.svg"} <= names
    for name in ("answer", "trade-offs", "control-planes", "events", "cost", "bill", "run", "glossary", "stress"):
        assert {f"{name}.csv", f"{name}.md"} <= names
    frame = pd.read_csv(report / "metrics.csv")
    assert {"deployment", "metric", "mean", "low", "high", "beats"} <= set(frame.columns)


@pytest.mark.slow
def test_it_is_small_enough_for_a_mail(report):
    assert (report / "report.html").stat().st_size < 3e6
    assert max(path.stat().st_size for path in report.glob("*.png")) < 4e5


@pytest.mark.slow
def test_svg_pictures_hold_no_script_and_no_link(report):
    for path in report.glob("*.svg"):
        content = path.read_text(encoding="utf-8")
        assert "<script" not in content
        assert "<image" not in content or 'href="data:' in content.replace("\n", "")


_AGAIN = """
import sys
from dataclasses import replace
from pathlib import Path
from meshsim.report.page.study import Study
from meshsim.report.page.writing import files
from meshsim.report.plots import Plots
from tests.report import synthetic
plots = Plots(synthetic.hostile(), synthetic.tables(5))
for name, content in files(Study(plots, synthetic.manifest(plots.document)), synthetic.HOSTILE).items():
    (Path(sys.argv[1]) / name).write_bytes(content)
"""


@pytest.mark.slow
def test_the_same_results_make_the_same_bytes_in_another_process(report, tmp_path):
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", _AGAIN, str(tmp_path)], check=True, env=environment, cwd=ROOT)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in report.iterdir()}


def only_text(monkeypatch):
    """Leave the pictures out, which take most of the time."""
    monkeypatch.setattr(writing, "drawn", lambda section: drawn(replace(section, figures=())))


@pytest.mark.slow
def test_files_are_written_into_a_folder_that_is_made(tmp_path, monkeypatch, plots):
    only_text(monkeypatch)
    results = Study(plots, synthetic.manifest(plots.document)).plots
    run = type("Run", (), {"tables": results.tables, "manifest": synthetic.manifest(results.document)})()
    found = writing.write(run, tmp_path / "a" / "b", run="r", question="what if?")
    assert found[0] == tmp_path / "a" / "b" / "report.html"
    assert all(path.stat().st_size for path in found)
    assert "what if?" in found[0].read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_disk_that_refuses_is_said_without_a_traceback(tmp_path, monkeypatch, plots):
    only_text(monkeypatch)
    (tmp_path / "file").write_text("")
    run = type("Run", (), {"tables": plots.tables, "manifest": synthetic.manifest(plots.document)})()
    with pytest.raises(ResultsError, match="cannot write a report"):
        writing.write(run, tmp_path / "file" / "below")


@pytest.mark.slow
def test_templates_are_part_of_the_package():
    from importlib.resources import files

    folder = files("meshsim.report.page") / "templates"
    names = {path.name for path in (folder / "sections").iterdir()}
    plots = Plots(synthetic.document(timeline=[]), synthetic.tables(1, {"hybrid": ("eu-1",)}))
    study = Study(plots, {})
    assert {f"{section(study).key}.html" for section in writing.SECTIONS} == names
    assert {"page.html", "parts.html", "page.css", "page.js"} <= {path.name for path in folder.iterdir()}
