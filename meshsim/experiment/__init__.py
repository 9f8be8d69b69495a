"""Many runs of one scenario: comparisons, and what is built on them."""

from __future__ import annotations

from meshsim.experiment.precision import Precision
from meshsim.experiment.runs import Outcome, check, run
from meshsim.experiment.units import Unit, Units
from meshsim.experiment.work import Step, Watch, compile_request_path, run_unit

__all__ = ["Outcome", "Precision", "Step", "Unit", "Units", "Watch", "check", "compile_request_path", "run", "run_unit"]
