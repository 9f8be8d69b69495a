"""Names of units, and the folder that keeps them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import meshsim
from meshsim import experiment
from meshsim.errors import ResultsError
from meshsim.experiment import Unit, Units, units
from meshsim.experiment.units import Finished, key, unpacked
from tests.experiment.conftest import TINY

UNIT = Unit("hybrid", 0)

FILE = """
name: tiny
regions: {eu: {zones: [a]}}
clusters: {eu-1: {region: eu}}
services:
  web: {replicas: 2, endpoints: {"GET /": {script: [{compute: 20ms}]}}}
load: {web: {rate: 40/s}}
"""


def name_of(tmp_path: Path, text: str) -> str:
    (tmp_path / "a.yaml").write_text(text)
    return key(meshsim.load(tmp_path / "a.yaml"), UNIT)


@pytest.mark.parametrize(
    "same",
    [
        FILE.replace("load:", "# a comment\nload:"),
        FILE.replace("name: tiny", "name: other"),
        FILE + "description: the same\n",
        FILE + "replications: 7\n",
        FILE + "deployments: [hybrid, primary-remote]\n",
        FILE + "expect: [{metric: success_rate, at_least: 99%}]\n",
        FILE + "decision: {criteria: {latency: {weight: 2}}}\n",
        FILE + "what_if: {variants: {three: {set: {services.web.replicas: 3}}}}\n",
        FILE.replace("replicas: 2, endpoints: {", "endpoints: {").replace("20ms}]}}", "20ms}]}}, replicas: 2"),
    ],
)
def test_what_cannot_change_a_result_does_not_change_its_name(tmp_path: Path, same: str) -> None:
    assert name_of(tmp_path, same) == name_of(tmp_path, FILE)


@pytest.mark.parametrize(
    "other",
    [
        FILE.replace("40/s", "41/s"),
        FILE + "seed: 2\n",
        FILE + "warm_up: 10s\n",
        FILE + "deployments: {hybrid: {access: direct}}\n",
        FILE.replace("{zones: [a]}}", "{zones: [a, b]}}"),
    ],
)
def test_what_can_change_a_result_changes_its_name(tmp_path: Path, other: str) -> None:
    assert name_of(tmp_path, other) != name_of(tmp_path, FILE)


def test_every_deployment_and_replication_has_a_name_of_its_own(tiny: meshsim.Scenario) -> None:
    asked = [Unit(name, number) for name in ("multi-primary", "hybrid") for number in range(3)]
    assert len({key(tiny, unit) for unit in asked}) == 6


def test_another_simulator_gives_another_name(tiny: meshsim.Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(tiny, UNIT)
    monkeypatch.setattr(units, "simulator", lambda: "of tomorrow")
    assert key(tiny, UNIT) != before


def test_what_is_kept_is_found_again_to_the_last_bit(tiny: meshsim.Scenario, tmp_path: Path) -> None:
    store = Units(tmp_path / "units")
    first = experiment.run(tiny, store=store)
    assert len(list(store.folder.glob("*.zip"))) == 4
    again = experiment.run(tiny, store=store)
    assert all(first.tables[name].equals(again.tables[name]) for name in first.tables)


@pytest.mark.slow
def test_a_found_unit_is_not_computed_again(tiny: meshsim.Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Units(tmp_path / "units")
    experiment.run(tiny, store=store)
    monkeypatch.setattr("meshsim.experiment.work.run_unit", lambda *_: pytest.fail("computed again"))
    experiment.run(meshsim.load({**TINY, "description": "the same"}), store=store)


@pytest.mark.sample(1)
@pytest.mark.parametrize("harm", ["half", "empty", "changed"])
def test_a_damaged_unit_is_computed_again(tiny: meshsim.Scenario, tmp_path: Path, harm: str) -> None:
    store = Units(tmp_path / "units")
    whole = experiment.run(tiny, ["hybrid"], replications=1, store=store)
    [path] = store.folder.glob("*.zip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes({"half": bytes(content[: len(content) // 2]), "empty": b"", "changed": bytes(content)}[harm])
    assert store.get(path.stem) is None
    again = experiment.run(tiny, ["hybrid"], replications=1, store=store)
    assert again.tables["calls"].equals(whole.tables["calls"])
    assert store.get(path.stem) is not None


def test_a_summary_of_another_analysis_is_not_used(tiny: meshsim.Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshsim.experiment import work

    done = work.perform(work.task(tiny, UNIT, summary=True))
    packed = done.packed()
    assert unpacked(packed).summary is not None
    monkeypatch.setattr(units, "_analysis", lambda: "of tomorrow")
    assert unpacked(packed).summary is None


def test_a_unit_without_tables_says_so() -> None:
    with pytest.raises(ResultsError, match="tables of this unit were not kept"):
        Finished(1, 1.0).tables()


def test_nothing_half_written_is_left(tiny: meshsim.Scenario, tmp_path: Path) -> None:
    store = Units(tmp_path / "units")
    experiment.run(tiny, ["hybrid"], store=store)
    assert {path.suffix for path in store.folder.iterdir()} == {".zip"}
    store.discard()
    assert not store.folder.exists()


# --- which units stay ---------------------------------------------------------------------------------------------


def aged(folder: Path, name: str, *, hours: float, size: int = 10) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(b"x" * size)
    then = time.time() - 3600.0 * hours
    os.utime(path, (then, then))
    return path


def present(letter: str) -> str:
    return f"{units.simulator()[:16]}-{letter}"


def test_units_of_another_simulator_go(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    of_old, old_name = aged(folder, f"{'0' * 16}-a.zip", hours=0), aged(folder, f"{'a' * 64}.zip", hours=0)
    own = aged(folder, f"{present('a')}.zip", hours=900)
    Units(folder).tidy()
    assert (of_old.exists(), old_name.exists(), own.exists()) == (False, False, True)


def test_beyond_the_limit_the_units_unused_for_longest_go(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    paths = [
        aged(folder, f"{present(letter)}.zip", hours=hours) for letter, hours in zip("abc", (3, 1, 2), strict=True)
    ]
    Units(folder).tidy(limit=25)
    assert [path.exists() for path in paths] == [False, True, True]


@pytest.mark.slow
def test_units_of_the_command_itself_stay_however_many(tiny: meshsim.Scenario, tmp_path: Path) -> None:
    store = Units(tmp_path / "units")
    experiment.run(tiny, store=store)
    store.tidy(limit=0)
    assert len(list(store.folder.glob("*.zip"))) == 4
    Units(store.folder).tidy(limit=0)
    assert list(store.folder.iterdir()) == []


def test_a_unit_that_is_found_counts_as_used(tiny: meshsim.Scenario, tmp_path: Path) -> None:
    store = Units(tmp_path / "units")
    experiment.run(tiny, ["hybrid"], replications=1, store=store)
    [path] = store.folder.iterdir()
    os.utime(path, (0.0, 0.0))
    assert store.get(path.stem) is not None
    assert path.stat().st_mtime > time.time() - 3600.0


def test_what_a_killed_process_was_writing_goes_after_an_hour(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    old, fresh = aged(folder, ".unfinished-a", hours=2), aged(folder, ".unfinished-b", hours=0)
    Units(folder).tidy()
    assert (old.exists(), fresh.exists()) == (False, True)


@pytest.mark.slow
def test_what_is_discarded_leaves_the_units_of_another_command(tiny: meshsim.Scenario, tmp_path: Path) -> None:
    store, other = Units(tmp_path / "units"), Units(tmp_path / "units")
    experiment.run(tiny, ["hybrid"], store=store)
    experiment.run(meshsim.load({**TINY, "seed": 2}), ["hybrid"], store=other)
    store.discard()
    assert {path.stem for path in other.folder.iterdir()} == other.used


def test_no_folder_needs_no_tidying(tmp_path: Path) -> None:
    Units(tmp_path / "none").tidy()
    Units(tmp_path / "none").discard()
    assert not (tmp_path / "none").exists()
