"""``--variant``: one variant of a scenario alone, in every command that runs one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from meshsim.cli import app
from meshsim.cli_shared import load_scenario
from meshsim.cli_sweeps import _names
from meshsim.experiment.points import chosen

MESH = """
name: shop
regions: {eu: {zones: [a]}}
clusters: {eu-1: {region: eu}}
services: {web: {replicas: 1, endpoints: {"GET /": {script: [{compute: 1ms}]}}}}
load: {web: {rate: 20/s}}
deployments: [multi-primary, primary-remote]
duration: 10s
warm_up: 2s
what_if:
  deployment: primary-remote
  variants:
    three pods: {set: {services.web.replicas: 3}}
expect:
  - {metric: success_rate, deployment: three pods, at_least: 99%}
  - {metric: success_rate, deployment: multi-primary, at_most: 1%}
"""


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "shop.yaml").write_text(MESH, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "shop.yaml"


def meshsim(*words: str) -> Result:
    done = CliRunner().invoke(app, [*words, "--variant", "three pods", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done


@pytest.mark.slow
def test_run_takes_a_variant_under_the_deployment_that_it_is_one_of(mesh: str) -> None:
    found = json.loads(meshsim("run", mesh, "--check").stdout)
    assert found["folder"].startswith("results/shop-three-pods/")
    manifest = json.loads(Path(found["folder"], "manifest.json").read_text(encoding="utf-8"))
    assert manifest["deployments"] == ["primary-remote"]
    assert manifest["scenario"]["services"]["web"]["replicas"] == 3


def test_explain_takes_a_variant(mesh: str) -> None:
    found = json.loads(meshsim("explain", mesh, "--from", "ingress@eu-1", "--to", "web").stdout)
    assert (found["scenario"], found["deployment"]) == ("shop-three-pods", "primary-remote")
    assert len(found["upstreams"][0]["endpoints"]) == 3


@pytest.mark.slow
def test_sweep_takes_a_variant_and_its_deployment_only(mesh: str) -> None:
    found = json.loads(meshsim("sweep", mesh, "--vary", "load.scale=1,2", "--metric", "success_rate").stdout)
    assert {row["deployment"] for row in found["metrics"][0]["rows"]} == {"primary-remote"}


@pytest.mark.parametrize(
    ("given", "variant", "names"),
    [
        (None, None, ["multi-primary", "primary-remote"]),
        ("all", None, ["multi-primary", "primary-remote"]),
        (None, "three pods", ["primary-remote"]),
        ("all", "three pods", ["primary-remote", "multi-primary"]),
        ("multi-primary", "three pods", ["multi-primary"]),
    ],
)
def test_deployments_that_are_asked_for_are_taken_with_a_variant_too(
    mesh: str, given: str | None, variant: str | None, names: list[str]
) -> None:
    loaded = load_scenario(mesh, [], variant)
    assert chosen(loaded, _names(given, loaded, variant), None)[0] == names
