"""What a notebook sees: scenarios, what can be done with them, and comparisons with their pictures."""

from __future__ import annotations

from meshsim.api.comparison import Comparison, read
from meshsim.api.experiments import compare, find, run, sensitivity, sweep, what_if
from meshsim.api.scenario import Scenario, load

__all__ = ["Comparison", "Scenario", "compare", "find", "load", "read", "run", "sensitivity", "sweep", "what_if"]
