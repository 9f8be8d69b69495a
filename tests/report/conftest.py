from __future__ import annotations

import pytest

from meshsim.report.plots import Plots
from tests.report import synthetic


@pytest.fixture(scope="session")
def plots() -> Plots:
    """Pictures of three deployments, four replications each, one control plane lost from 90 s to 190 s."""
    return Plots(synthetic.document(), synthetic.tables())
