"""What all runs of a scenario share: lowered scripts, latencies and policies."""

from __future__ import annotations

from dataclasses import dataclass

from meshsim.dataplane.lowering import Blueprint, lower
from meshsim.mesh.links import Links, round_trip
from meshsim.scenario import Scenario
from meshsim.scenario.istio.policy import Policy


@dataclass(frozen=True, slots=True)
class Prepared:
    """What runs of one scenario share: lowered scripts, links and policies."""

    scenario: Scenario
    policies: dict[str, Policy]
    blueprint: Blueprint
    links: Links


def prepare(scenario: Scenario) -> Prepared:
    """Lower a scenario once for all its runs.

    Raises
    ------
    ScenarioError
        If two regions have no latency figure.
    """
    document = scenario.document
    policies = {
        name: scenario.resources.policy(name, service.namespace, document.istio_version)
        for name, service in document.services.items()
    }
    return Prepared(scenario, policies, lower(document, policies), round_trip(document))
