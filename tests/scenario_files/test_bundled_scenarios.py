from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshsim.mesh.deployment import control_planes
from meshsim.mesh.graph import build
from meshsim.mesh.links import missing_links
from meshsim.mesh.placement import place
from meshsim.scenario import load
from meshsim.scenario.fields import mean_of
from meshsim.scenario.schema import ComputeStep, ControlPlaneDown, PodChurn

FILES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_bundled_scenario_is_valid_without_warnings(file):
    scenario = load(file)
    assert scenario.document.name == file.stem
    assert scenario.warnings == ()
    assert missing_links(scenario.document) == []
    for deployment in scenario.document.deployments:
        assert build(scenario.document, deployment)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_bundled_scenario_begins_with_question_expectation_and_source(file):
    head = re.findall(r"(?m)^# (\w+):", file.read_text().partition("\nname:")[0])
    assert head[:3] == ["Question", "Expectation", "Source"]
    assert len(load(file).document.description.splitlines()) == 1


def test_the_primary_outage_takes_one_two_or_three_clusters_with_it():
    document = load(next(file for file in FILES if file.stem == "online-boutique-primary-outage")).document
    (outage,) = (event for event in document.timeline if isinstance(event, ControlPlaneDown))
    served = {
        name: [plane.serves for plane in control_planes(document, name) if plane.home == outage.target.cluster]
        for name in document.deployments
    }
    assert served == {
        "multi-primary": [("eu-1",)],
        "primary-remote": [("eu-1", "eu-2", "us-1")],
        "hybrid": [("eu-1", "eu-2")],
    }


def test_about_a_sixth_of_the_pods_is_evicted_during_the_primary_outage():
    document = load(next(file for file in FILES if file.stem == "online-boutique-primary-outage")).document
    pods = sum(workload.replicas for workload in place(document))
    (churn,) = (event for event in document.timeline if isinstance(event, PodChurn))
    assert 0.1 < churn.rate * churn.duration / pods < 0.2


def test_the_three_tiers_are_seven_tenths_busy():
    document = load(next(file for file in FILES if file.stem == "three-tier")).document
    rate = document.load.entries["web"].rate
    for service in document.services.values():
        (endpoint,) = service.endpoints.values()
        demand = sum(mean_of(step.compute) for step in endpoint.script if isinstance(step, ComputeStep))
        assert rate * demand / (service.replicas * service.workers) == pytest.approx(0.7)
