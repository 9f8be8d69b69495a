"""Simulate one service mesh under several Istio multi-cluster deployments, and compare what users notice.

>>> import meshsim
>>> scenario = meshsim.load("three-tier", ["duration=20s", "warm_up=5s", "load.web.rate=50/s"])
>>> comparison = meshsim.compare(scenario)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshsim.api import Comparison, Scenario, compare, find, load, read, run, sensitivity, sweep, what_if
    from meshsim.engine.simulation import Simulation
    from meshsim.errors import MeshsimError, ResultsError, ScenarioError, SimulationError
    from meshsim.scenario import bundled
    from meshsim.scenario.own_balancers import load_balancer

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "meshsim.api",
    "MeshsimError": "meshsim.errors",
    "ResultsError": "meshsim.errors",
    "Scenario": "meshsim.api",
    "ScenarioError": "meshsim.errors",
    "Simulation": "meshsim.engine.simulation",
    "SimulationError": "meshsim.errors",
    "bundled": "meshsim.scenario",
    "compare": "meshsim.api",
    "find": "meshsim.api",
    "load": "meshsim.api",
    "load_balancer": "meshsim.scenario.own_balancers",
    "read": "meshsim.api",
    "run": "meshsim.api",
    "sensitivity": "meshsim.api",
    "sweep": "meshsim.api",
    "what_if": "meshsim.api",
}

__all__ = [
    "Comparison",
    "MeshsimError",
    "ResultsError",
    "Scenario",
    "ScenarioError",
    "Simulation",
    "SimulationError",
    "bundled",
    "compare",
    "find",
    "load",
    "load_balancer",
    "read",
    "run",
    "sensitivity",
    "sweep",
    "what_if",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import meshsim`` costs nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'meshsim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
