"""Bundled scenarios are found beside the package or inside it, and described without being validated."""

from __future__ import annotations

import pytest

from meshsim.scenario import bundled, describe


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return the folder of a package that lies elsewhere."""
    package = tmp_path / "site" / "meshsim"
    (package / "scenario").mkdir(parents=True)
    monkeypatch.setitem(bundled.__globals__, "__file__", str(package / "scenario" / "bundled.py"))
    return package


def test_a_checkout_has_scenarios():
    assert "online-boutique" in bundled()
    assert all(line for _, line in describe())


def test_a_wheel_has_them_inside_the_package(installed):
    folder = installed / "_scenarios"
    folder.mkdir()
    (folder / "b.yaml").write_text("description: |\n\n  First line.\n  Second.\n")
    (folder / "a.yaml").write_text("broken: [")
    assert list(bundled()) == ["a", "b"]
    assert describe() == [("a", ""), ("b", "First line.")]


def test_scenarios_in_folders_are_named_by_them_and_come_last(installed):
    scenarios = installed / "_scenarios"
    for folder in ("failures", "incidents", "questions", "others"):
        (scenarios / folder / "base").mkdir(parents=True)
        (scenarios / folder / "base" / "mesh.yaml").write_text("")
        (scenarios / folder / "a.yaml").write_text("")
    (scenarios / "z.yaml").write_text("")
    assert list(bundled()) == ["z", "questions/a", "failures/a", "incidents/a"]


def test_without_any_there_are_none(installed):
    assert bundled() == {}
