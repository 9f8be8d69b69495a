"""What a lint says, where, and that the page of codes lists them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshsim.lint import RULES, TOPICS, lint, untold
from meshsim.scenario import bundled, load
from meshsim.scenario.scenario import EXAMPLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lint.md"

SCENARIO = """\
name: small
regions: {eu: {zones: [a]}, us: {zones: [a]}}
clusters: {eu-1: {region: eu}, us-1: {region: us}}
latency: [{between: [eu, us], rtt: 80ms}]
services:
  web:
    endpoints: {GET /: {}}
load:
  web: {rate: 1/s}
istio:
  - apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: web}
    spec:
      host: web
      trafficPolicy:
        loadBalancer:
          localityLbSetting:
            failover: [{from: eu, to: us}]
      subsets:
        - {name: v1, labels: {app: web}}
        - name: v2
          labels: {version: v2}
"""


def row(code: str) -> str:
    """Return the line of the page of codes that a rule has."""
    rule = RULES[code]
    return f"| {rule.code} | {rule.title} | §{rule.spec} | {rule.fix} |"


def test_the_page_of_codes_has_every_rule_and_no_other() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| MS")]
    assert rows == [row(code) for code in sorted(RULES)]


def test_codes_are_grouped_by_topic() -> None:
    for rule in RULES.values():
        topic = TOPICS[int(rule.code[2]) - 1]
        assert rule.check.__module__ == topic.__name__, rule.code


def test_a_lint_names_the_line_of_what_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SCENARIO, encoding="utf-8")
    scenario = load("small.yaml")
    told = {one.code: str(one) for one in lint(scenario)}
    assert told["MS101"].startswith("small.yaml:19: MS101: DestinationRule default/web: failover does nothing for web")
    assert told["MS101"].endswith(" (spec §2.9)")
    assert told["MS402"].startswith("small.yaml:22: MS402: DestinationRule default/web: subset web/v2 is empty")


def test_a_warning_that_a_lint_tells_again_is_not_shown_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SCENARIO, encoding="utf-8")
    scenario = load("small.yaml")
    assert [text for text in scenario.warnings if "without outlierDetection" in text]
    assert untold(scenario.warnings, lint(scenario)) == ()
    assert untold(["small.yaml:3: something else"], lint(scenario)) == ("small.yaml:3: something else",)


# Those of questions/ are made to show mistakes: tests/scenario_files/test_questions.py has their codes.
@pytest.mark.parametrize("name", [name for name in bundled() if "/" not in name])
def test_lints_of_the_bundled_scenarios_are_those_that_are_true(name: str) -> None:
    networks = {"MS506", "MS607"}
    expected = {
        "helloworld-locality-failover": {"MS201", "MS204"},
        "hotel-reservation-gateway-loss": networks,
        "online-boutique": networks,
        "online-boutique-day": networks,
        "online-boutique-primary-outage": networks,
    }
    assert {one.code for one in lint(load(name))} == expected.get(name, set())


def test_lints_are_the_same_every_time() -> None:
    scenario = load("helloworld-locality-failover")
    assert lint(scenario) == lint(load("helloworld-locality-failover"))


def test_a_wildcard_host_does_not_flood_the_terminal() -> None:
    services = {f"s{number}": {"endpoints": {"GET /": {}}} for number in range(9)}
    wild = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "all"}}
    wild["spec"] = {"host": "*.svc.cluster.local", "trafficPolicy": {"outlierDetection": {}}}  # type: ignore[assignment]
    users = {name: {"rate": "1/s"} for name in services}
    told = [
        one.message
        for one in lint(load({**EXAMPLE, "services": services, "load": users, "istio": [wild]}))
        if one.code == "MS201"
    ]
    assert len(told) == 3
    assert told[-1].endswith(" (and 6 more like it)")
