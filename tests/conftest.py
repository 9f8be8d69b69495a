"""Settings for every test: Hypothesis draws the same examples each time, so that a red run is red for everyone."""

import os

# Before numpy comes: with a test process for each processor, threads of its linear algebra only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("fast", settings.get_profile("repeatable"), max_examples=30)


def pytest_configure(config):
    """Draw fewer examples where slow tests are left out, too."""
    settings.load_profile("fast" if "not slow" in config.getoption("markexpr") else "repeatable")
