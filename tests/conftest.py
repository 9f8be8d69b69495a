"""Settings for every test: Hypothesis draws the same examples each time, so that a red run is red for everyone."""

import gc
import os
from collections import defaultdict

# Before numpy comes: with a test process for each processor, threads of its linear algebra only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("fast", settings.get_profile("repeatable"), max_examples=12)


def pytest_configure(config):
    """Draw fewer examples where slow tests are left out, too; look for no garbage while thousands of tests come."""
    gc.disable()
    settings.load_profile("fast" if "not slow" in config.getoption("markexpr") else "repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of cases of one test with ``sample(number)``, call all but so many slow; those that stay are spread over them."""
    families = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sample"):
            families[item.parent, item.originalname].append(item)
    for family in families.values():
        (number,) = family[0].get_closest_marker("sample").args
        kept = {len(family) * place // number for place in range(number)}
        for place, item in enumerate(family):
            if place not in kept:
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """Look for garbage again, but never among the tests themselves, which stay to the end."""
    gc.collect()
    gc.freeze()
    gc.enable()
