"""A small valid scenario, and a folder to write changed copies of it to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from meshsim.scenario import Scenario, load
from meshsim.scenario.schema import Document
from meshsim.scenario.tree import from_python

BASE: str = yaml.safe_load((Path(__file__).parent / "broken.yaml").read_text(encoding="utf-8"))["base"]


@pytest.fixture
def base() -> str:
    return BASE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load_changed(folder: Path) -> Callable[..., Scenario]:
    """Return a function that loads the base scenario after textual changes."""

    def loaded(*changes: tuple[str, str], overrides: tuple[str, ...] = ()) -> Scenario:
        text = BASE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / "scenario.yaml").write_text(text, encoding="utf-8")
        return load("scenario.yaml", overrides)

    return loaded


@pytest.fixture
def document() -> Document:
    return Document.model_validate(from_python(yaml.safe_load(BASE)).plain())
