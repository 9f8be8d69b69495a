"""A scenario that runs in a fraction of a second, and what changes in it."""

from __future__ import annotations

from typing import Any

import pytest

import meshsim

TINY: dict[str, Any] = {
    "name": "tiny",
    "regions": {"eu": {"zones": ["a"]}},
    "clusters": {"eu-1": {"region": "eu"}},
    "services": {"web": {"replicas": 2, "endpoints": {"GET /": {"script": [{"compute": {"exponential": "20ms"}}]}}}},
    "load": {"web": {"rate": "40/s"}},
    "duration": "6s",
    "warm_up": "1s",
    "replications": 2,
    "deployments": ["multi-primary", "hybrid"],
}


@pytest.fixture
def tiny() -> meshsim.Scenario:
    return meshsim.load(TINY)
