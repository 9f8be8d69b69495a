"""The command that prints lints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from meshsim.cli import app

HELLO = "helloworld-locality-failover"


def validate(*words: str) -> Result:
    return CliRunner().invoke(app, ["validate", *words])


def test_lints_are_printed_with_their_fix_and_do_not_fail() -> None:
    done = validate(HELLO)
    assert done.exit_code == 0
    assert f"{HELLO}: valid" in done.stdout
    lines = done.stderr.splitlines()
    place = next(number for number, line in enumerate(lines) if ": MS201: DestinationRule sample/sleep: " in line)
    assert lines[place].endswith("(spec §3.2)")
    assert (
        lines[place + 1]
        == "    fix: set maxEjectionPercent to at least 100 / hosts, rounded up; 100 for locality failover"
    )


@pytest.mark.parametrize(("name", "status"), [(HELLO, 1), ("three-tier", 0)])
def test_strict_fails_where_there_is_a_lint(name: str, status: int) -> None:
    assert validate(name, "--strict").exit_code == status


def test_json_has_every_part_of_a_lint() -> None:
    (found,) = json.loads(validate(HELLO, "--json").stdout)["scenarios"]
    (one,) = [lint for lint in found["lints"] if lint["code"] == "MS201"]
    assert set(one) == {"code", "message", "where", "file", "line", "spec", "fix"}
    assert (one["where"], one["spec"]) == ("DestinationRule sample/sleep", "3.2")
    assert one["line"] > 0


def test_an_invalid_file_is_not_linted(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\n", encoding="utf-8")
    done = validate(str(tmp_path / "bad.yaml"), "--strict", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["scenarios"][0]["lints"] == []


def test_what_set_changes_is_checked_and_linted_without_a_run() -> None:
    assert validate("three-tier", "--strict", "--set", "load.web.rate=20/s").exit_code == 0
    done = validate("three-tier", "--set", "load.web.rate=20", "--set", "services.wbe.replicas=2")
    assert done.exit_code == 2
    assert sorted(done.stderr.splitlines()) == [
        "--set: load.web.rate: 20 has no unit; write 20/s",
        "--set: services.wbe.replicas: unknown name 'wbe'; did you mean 'web'? (one of app, db, web)",
    ]
