"""Assertions in modules that tests share tell what they compared."""

import pytest

pytest.register_assert_rewrite(
    "tests.scenario_files.failures",
    "tests.scenario_files.failures_of_control_planes",
    "tests.scenario_files.failures_of_places",
)
