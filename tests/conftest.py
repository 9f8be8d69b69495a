"""Settings for every test: Hypothesis draws the same examples each time, so that a red run is red for everyone."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
